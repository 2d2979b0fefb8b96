//! ICMP as a raw socket sees it: echo requests to send, answers and errors to read.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

use crate::lab::error::{Doing, LabError};
use crate::wire::icmp4::{self, Icmp4Header, kind};
use crate::wire::ip4::Ip4Header;
use crate::wire::{checksum, proto};

/// A message that concerns one of our echo requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// The answer to request `seq`.
    Echo { seq: u16, from: Ipv4Addr, payload: &'a [u8] },
    /// An error about request `seq`; `mtu` is that of fragmentation needed.
    Error { seq: u16, from: Ipv4Addr, kind: u8, code: u8, mtu: u16 },
}

/// A raw ICMP socket of the calling thread's namespace, with an identifier of its own.
#[derive(Debug)]
pub(crate) struct IcmpSocket {
    fd: OwnedFd,
    id: u16,
}

impl IcmpSocket {
    pub(crate) fn open(source: Option<Ipv4Addr>) -> Result<Self, LabError> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let what = || "opening a raw ICMP socket".to_owned();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(
            AddressFamily::INET,
            SocketType::RAW,
            flags,
            Some(ipproto::ICMP),
        )
        .doing(what)?;
        // Answers may come in a burst; a smaller buffer than asked for will do.
        let _ = sockopt::set_socket_recv_buffer_size(&fd, 1 << 20);
        if let Some(source) = source {
            rustix::net::bind(&fd, &SocketAddrV4::new(source, 0))
                .doing(|| format!("binding to {source}"))?;
        }
        // Identifiers differ between sockets of this process, and mostly between processes.
        let process = u16::from_ne_bytes(
            std::process::id().to_ne_bytes().first_chunk().copied().unwrap_or_default(),
        );
        let id = process.rotate_left(5).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Self { fd, id })
    }

    /// The raw socket, for its options.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends an echo request.
    pub(crate) fn send(&self, dst: Ipv4Addr, seq: u16, payload: &[u8]) -> io::Result<()> {
        let message = echo_request(self.id, seq, payload);
        let to = SocketAddrV4::new(dst, 0);
        rustix::net::sendto(&self.fd, &message, SendFlags::empty(), &to)?;
        Ok(())
    }

    /// Reads what has come without waiting, until nothing is left.
    pub(crate) fn receive_all(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(Answer<'_>),
    ) -> io::Result<()> {
        loop {
            match rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    if let Some(answer) = parse(&buffer[..len.min(buffer.len())], self.id) {
                        take(answer);
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn echo_request(id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = Icmp4Header {
        kind: kind::ECHO_REQUEST,
        code: 0,
        checksum: U16::ZERO,
        id: U16::new(id),
        seq: U16::new(seq),
    };
    let sum = checksum::add(checksum::add(0, header.as_bytes()), payload);
    header.checksum = U16::new(!checksum::fold(sum));
    [header.as_bytes(), payload].concat()
}

/// Reads a whole IPv4 packet: what it says of the echo requests with identifier `id`.
fn parse(packet: &[u8], id: u16) -> Option<Answer<'_>> {
    let (ip, icmp, payload) = split(packet)?;
    let from = Ipv4Addr::from(ip.src.get());
    if icmp.kind == kind::ECHO_REPLY && icmp.id.get() == id {
        return Some(Answer::Echo { seq: icmp.seq.get(), from, payload });
    }
    if !icmp4::is_error(icmp.kind) {
        return None;
    }
    let (_, quoted, _) = split(payload)?;
    (quoted.kind == kind::ECHO_REQUEST && quoted.id.get() == id).then(|| Answer::Error {
        seq: quoted.seq.get(),
        from,
        kind: icmp.kind,
        code: icmp.code,
        // RFC 1191 section 4: the next hop's MTU stands where a query has its sequence number.
        mtu: icmp.seq.get(),
    })
}

fn split(packet: &[u8]) -> Option<(&Ip4Header, &Icmp4Header, &[u8])> {
    let (ip, _) = Ip4Header::ref_from_prefix(packet).ok()?;
    if ip.version() != 4 || ip.proto != proto::ICMP || ip.fragment_offset() != 0 {
        return None;
    }
    let (icmp, payload) = Icmp4Header::ref_from_prefix(packet.get(ip.header_len()..)?).ok()?;
    Some((ip, icmp, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Icmpv4Slice, Icmpv4Type, PacketBuilder};

    #[test]
    fn a_request_is_what_another_library_reads() {
        let bytes = echo_request(7, 9, b"odd");
        let slice = Icmpv4Slice::from_slice(&bytes).unwrap();
        let Icmpv4Type::EchoRequest(header) = slice.icmp_type() else { panic!("{slice:?}") };
        assert_eq!((header.id, header.seq, slice.payload()), (7, 9, &b"odd"[..]));
        let expected = slice.icmp_type().calc_checksum(slice.payload());
        assert_eq!(slice.checksum(), expected);
    }

    fn packet(icmp: Icmpv4Type, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9)
            .icmpv4(icmp)
            .write(&mut bytes, payload)
            .unwrap();
        bytes
    }

    #[test]
    fn an_error_is_ours_when_it_quotes_our_request() {
        use etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded;
        let quoted =
            packet(Icmpv4Type::EchoRequest(etherparse::IcmpEchoHeader { id: 7, seq: 3 }), &[]);
        let error = FragmentationNeeded { next_hop_mtu: 1400 };
        let bytes = packet(Icmpv4Type::DestinationUnreachable(error), &quoted);
        let from = Ipv4Addr::new(10, 0, 0, 1);
        let expected = Answer::Error { seq: 3, from, kind: 3, code: 4, mtu: 1400 };
        assert_eq!(parse(&bytes, 7), Some(expected));
        assert_eq!(parse(&bytes, 8), None);
        for cut in 0..bytes.len() {
            assert!(cut >= bytes.len() || parse(&bytes[..cut], 8).is_none());
        }
    }
}
