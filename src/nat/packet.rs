//! Packets for NAT's tests, built and checked by another library.

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, IpNumber, Ipv4Header, Ipv4HeaderSlice, Ipv4Options,
    TcpHeader, TcpSlice, UdpHeader, UdpSlice,
};

use super::session::Endpoint;
use crate::frame::{Flags, Row};
use crate::wire::icmp4::{self, kind};
use crate::wire::proto;
use crate::wire::tcp::flag;

const L2: usize = 14;

pub(super) fn ip(text: &str) -> u32 {
    text.parse::<std::net::Ipv4Addr>().unwrap().to_bits()
}

pub(super) fn ep(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddrV4>().unwrap().into()
}

/// A frame in its buffer, with its row.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) buf: Vec<u8>,
    pub(super) row: Row,
}

impl Packet {
    /// Any IPv4 packet; `fragment` is identification, offset in bytes, and whether more follow.
    pub(super) fn raw(
        src: u32,
        dst: u32,
        proto: u8,
        payload: &[u8],
        options: &[u8],
        fragment: Option<(u16, u16, bool)>,
    ) -> Self {
        let len = u16::try_from(payload.len()).unwrap();
        let addresses = (src.to_be_bytes(), dst.to_be_bytes());
        let mut header =
            Ipv4Header::new(len, 61, IpNumber(proto), addresses.0, addresses.1).unwrap();
        header.options = Ipv4Options::try_from(options).unwrap();
        header.total_len = len + u16::try_from(header.header_len()).unwrap();
        header.dont_fragment = fragment.is_none();
        if let Some((id, offset, more)) = fragment {
            header.identification = id;
            header.fragment_offset = (offset / 8).try_into().unwrap();
            header.more_fragments = more;
        }
        header.header_checksum = header.calc_header_checksum();
        let mut buf = vec![0; L2];
        buf[12..14].copy_from_slice(&[8, 0]);
        buf.extend_from_slice(&header.to_bytes());
        buf.extend_from_slice(payload);
        let row = row_of(&buf);
        Self { buf, row }
    }

    pub(super) fn udp(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Self {
        Self::raw(src.ip, dst.ip, proto::UDP, &udp_segment(src, dst, payload), &[], None)
    }

    pub(super) fn tcp(src: Endpoint, dst: Endpoint, flags: u8) -> Self {
        let mut tcp = TcpHeader::new(src.port, dst.port, 0x1234_5678, 4096);
        tcp.syn = flags & flag::SYN != 0;
        tcp.ack = flags & flag::ACK != 0;
        tcp.fin = flags & flag::FIN != 0;
        tcp.rst = flags & flag::RST != 0;
        let (s, d) = (src.ip.to_be_bytes(), dst.ip.to_be_bytes());
        tcp.checksum = tcp.calc_checksum_ipv4_raw(s, d, b"segment").unwrap();
        let payload = [&tcp.to_bytes()[..], b"segment"].concat();
        Self::raw(src.ip, dst.ip, proto::TCP, &payload, &[], None)
    }

    /// An echo request or reply.
    pub(super) fn echo(kind: u8, src: u32, dst: u32, id: u16) -> Self {
        let echo = IcmpEchoHeader { id, seq: 9 };
        let kind = match kind {
            kind::ECHO_REQUEST => Icmpv4Type::EchoRequest(echo),
            _ => Icmpv4Type::EchoReply(echo),
        };
        let header = Icmpv4Header::with_checksum(kind, b"ping");
        Self::raw(src, dst, proto::ICMP, &[&header.to_bytes()[..], b"ping"].concat(), &[], None)
    }

    /// An ICMP error that quotes the first `size` bytes of this packet from its IP header.
    pub(super) fn error(&self, kind: u8, code: u8, src: u32, dst: u32, size: usize) -> Self {
        let quote = &self.buf[L2..];
        let quote = &quote[..quote.len().min(size)];
        let mut message = [&[kind, code, 0, 0, 0, 0, 5, 220], quote].concat();
        let sum = sum(&message).to_ne_bytes();
        message[2..4].copy_from_slice(&sum);
        Self::raw(src, dst, proto::ICMP, &message, &[], None)
    }

    pub(super) fn src(&self) -> Endpoint {
        Endpoint::new(self.row.src, self.row.sport)
    }

    pub(super) fn dst(&self) -> Endpoint {
        Endpoint::new(self.row.dst, self.row.dport)
    }

    /// The IPv4 packet.
    pub(super) fn ip(&self) -> &[u8] {
        &self.buf[L2..]
    }

    /// The packet that this ICMP error quotes, as a packet.
    pub(super) fn quoted(&self) -> Packet {
        let quote = &self.buf[usize::from(self.row.l4) + icmp4::HEADER..];
        let buf = [&self.buf[..L2], quote].concat();
        let row = row_of(&buf);
        Packet { buf, row }
    }

    /// Panics unless all checksums are right and the row says what the bytes say.
    #[track_caller]
    pub(super) fn check(&self) {
        check_ip(self.ip(), true);
        let fresh = row_of(&self.buf);
        assert_eq!((self.row.src, self.row.dst), (fresh.src, fresh.dst), "addresses in the row");
        assert_eq!(
            (self.row.sport, self.row.dport),
            (fresh.sport, fresh.dport),
            "ports in the row"
        );
    }
}

/// A UDP header with checksum, and its payload.
pub(super) fn udp_segment(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let mut udp =
        UdpHeader { source_port: src.port, destination_port: dst.port, length: len, checksum: 0 };
    let (s, d) = (src.ip.to_be_bytes(), dst.ip.to_be_bytes());
    udp.checksum = udp.calc_checksum_ipv4_raw(s, d, payload).unwrap();
    [&udp.to_bytes()[..], payload].concat()
}

/// In the byte order that the library keeps.
fn sum(bytes: &[u8]) -> u16 {
    Sum16BitWords::new().add_slice(bytes).ones_complement()
}

#[track_caller]
fn check_ip(packet: &[u8], outermost: bool) {
    let header = Ipv4HeaderSlice::from_slice(packet).unwrap();
    let size = header.slice().len();
    let sums = header.to_header();
    assert_eq!(sums.header_checksum, sums.calc_header_checksum(), "IPv4 checksum");
    if header.is_fragmenting_payload() || usize::from(header.total_len()) != packet.len() {
        return;
    }
    let rest = &packet[size..];
    let (s, d) = (header.source(), header.destination());
    match header.protocol().0 {
        proto::UDP => {
            let udp = UdpSlice::from_slice(rest).unwrap();
            let expected = udp.to_header().calc_checksum_ipv4_raw(s, d, udp.payload()).unwrap();
            assert!([0, expected].contains(&udp.checksum()), "UDP checksum");
        }
        proto::TCP => {
            let tcp = TcpSlice::from_slice(rest).unwrap();
            let expected = tcp.to_header().calc_checksum_ipv4_raw(s, d, tcp.payload()).unwrap();
            assert_eq!(tcp.checksum(), expected, "TCP checksum");
        }
        proto::ICMP => {
            assert_eq!(sum(rest), 0, "ICMP checksum");
            if outermost && icmp4::is_error(rest[0]) {
                check_ip(&rest[icmp4::HEADER..], false);
            }
        }
        _ => {}
    }
}

/// What a stage before NAT would know of a frame without tags.
fn row_of(buf: &[u8]) -> Row {
    let header = Ipv4HeaderSlice::from_slice(&buf[L2..]).unwrap();
    let l4 = L2 + header.slice().len();
    let mut row = Row {
        src: u32::from_be_bytes(header.source()),
        dst: u32::from_be_bytes(header.destination()),
        l3: u16::try_from(L2).unwrap(),
        l4: u16::try_from(l4).unwrap(),
        len: u32::try_from(buf.len()).unwrap(),
        ip_len: header.total_len(),
        proto: header.protocol().0,
        ttl: header.ttl(),
        flags: Flags::IP4,
        ..Row::default()
    };
    if header.is_fragmenting_payload() {
        row.flags.set(Flags::FRAGMENT);
    }
    if header.fragments_offset().value() != 0 {
        row.flags.set(Flags::LATER_FRAGMENT);
        return row;
    }
    let rest = &buf[l4..];
    let word = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    match row.proto {
        proto::TCP | proto::UDP => {
            row.flags.set(Flags::L4);
            (row.sport, row.dport) = (word(0), word(2));
            if row.proto == proto::TCP && rest.len() > 13 {
                row.tcp_flags = rest[13];
            }
        }
        proto::ICMP => {
            row.flags.set(Flags::L4);
            row.icmp_type = rest[0];
            if icmp4::is_error(rest[0]) {
                row.flags.set(Flags::ICMP_ERROR);
            } else if icmp4::is_query(rest[0]) {
                (row.sport, row.dport) = (word(4), word(4));
            }
        }
        _ => {}
    }
    row
}
