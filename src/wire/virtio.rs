//! What did a kernel leave open in a frame, and what may we leave open to it? The header of ten
//! bytes that TAPs and packet sockets put before each frame (`struct virtio_net_hdr`, virtio 1.2
//! section 5.1.6, legacy layout in the host's byte order).
//!
//! A checksum that is left open is partial: its field holds the sum of the pseudo-header. A frame
//! that is left to be cut is a super-frame, whose checksum is left open as well.

use zerocopy::byteorder::native_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::offload::{OffloadError, Place, complete_checksum};
use super::segment::Segments;
use super::tcp::flag;
use super::{checksum, proto};

/// Header length in bytes.
pub const HEADER: usize = 10;

/// The checksum is partial.
const NEEDS_CHECKSUM: u8 = 1;
/// Kinds of super-frames, as the kernel writes them.
const TCP4: u8 = 1;
const TCP6: u8 = 4;
const UDP: u8 = 5;
/// Beside a kind: the first segment alone says that the window was reduced.
const ECN: u8 = 0x80;
/// Where TCP's flags stand.
const TCP_FLAGS: usize = 13;

/// The header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct OffloadHeader {
    flags: u8,
    kind: u8,
    /// Bytes of all headers, a hint.
    header_size: U16,
    gso_size: U16,
    checksum_start: U16,
    checksum_offset: U16,
}

const _: () = assert!(size_of::<OffloadHeader>() == HEADER);

/// Kinds of super-frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
}

/// What is left open in a frame that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Whether the TCP or UDP checksum is partial.
    pub is_partial: bool,
    /// Bytes of payload of each segment; 0 for an ordinary frame.
    pub gso_size: u16,
}

impl OffloadHeader {
    /// Of a frame in which nothing is left open.
    pub const NONE: Self = Self {
        flags: 0,
        kind: 0,
        header_size: U16::ZERO,
        gso_size: U16::ZERO,
        checksum_start: U16::ZERO,
        checksum_offset: U16::ZERO,
    };

    /// The header at the front of `bytes`; nothing left open where they are too few.
    #[inline]
    pub fn read(bytes: &[u8]) -> Self {
        Self::read_from_prefix(bytes).map_or(Self::NONE, |(header, _)| header)
    }

    /// The header of a frame whose checksum is partial, and which is to be cut into segments of
    /// `gso_size` bytes of payload unless that is 0.
    ///
    /// # Errors
    /// When the frame carries no whole TCP or UDP.
    pub fn of(frame: &[u8], gso_size: u16) -> Result<Self, OffloadError> {
        let place = Place::of(frame)?;
        let word = |at| u16::try_from(at).map(U16::new).map_err(|_| OffloadError::BadLength);
        let mut header = Self {
            flags: NEEDS_CHECKSUM,
            header_size: word(place.payload)?,
            checksum_start: word(place.l4)?,
            checksum_offset: word(place.checksum() - place.l4)?,
            ..Self::NONE
        };
        if gso_size > 0 {
            header.gso_size = U16::new(gso_size);
            header.kind = kind(&place);
            if place.proto == proto::TCP && frame[place.l4 + TCP_FLAGS] & flag::CWR != 0 {
                header.kind |= ECN;
            }
        }
        Ok(header)
    }

    /// Whether the frame is a super-frame.
    #[inline]
    pub const fn is_super_frame(&self) -> bool {
        self.kind != 0
    }

    /// What kind of super-frame this is; `None` for an ordinary frame.
    pub const fn kind(&self) -> Option<Kind> {
        match self.kind & !ECN {
            TCP4 => Some(Kind::Tcp4),
            TCP6 => Some(Kind::Tcp6),
            UDP => Some(Kind::Udp),
            _ => None,
        }
    }

    /// Whether the first segment alone says that the window was reduced.
    pub const fn is_ecn(&self) -> bool {
        self.kind & ECN != 0
    }

    /// Bytes of payload of each segment; 0 for an ordinary frame.
    pub const fn gso_size(&self) -> u16 {
        self.gso_size.get()
    }

    /// Bytes of headers that each segment repeats, from the Ethernet header.
    pub const fn header_size(&self) -> u16 {
        self.header_size.get()
    }

    /// A tag of four bytes was put into the frame before what this header points at.
    #[must_use]
    pub const fn behind_tag(mut self) -> Self {
        const TAG: u16 = 4;
        self.checksum_start = U16::new(self.checksum_start.get().saturating_add(TAG));
        self
    }

    /// What is left open in the frame that came behind this header. An open checksum that is no
    /// TCP's or UDP's directly behind one IP header, as in tunnels, is completed here.
    ///
    /// # Errors
    /// When the frame is to be cut and cannot be.
    #[inline]
    pub fn settle(&self, frame: &mut [u8]) -> Result<Open, OffloadError> {
        if self.flags & NEEDS_CHECKSUM == 0 && !self.is_super_frame() {
            return Ok(Open::default());
        }
        self.settle_open(frame)
    }

    fn settle_open(&self, frame: &mut [u8]) -> Result<Open, OffloadError> {
        let (start, offset) = (self.checksum_start.get(), self.checksum_offset.get());
        let place = Place::of(frame);
        let (from, at) = (usize::from(start), usize::from(start) + usize::from(offset));
        let ours = |place: &Place| (place.l4, place.checksum()) == (from, at);
        if !self.is_super_frame() {
            if place.as_ref().is_ok_and(ours) {
                return Ok(Open { is_partial: true, gso_size: 0 });
            }
            // A place outside the frame leaves it as it came; its checksum will not hold.
            let _ = complete_checksum(frame, start, offset);
            return Ok(Open::default());
        }
        let place = place?;
        let gso_size = self.gso_size.get();
        Segments::new(frame, gso_size)?;
        if self.kind & !ECN != kind(&place) {
            return Err(OffloadError::NotTcpOrUdp);
        }
        if self.flags & NEEDS_CHECKSUM == 0 {
            leave_open(frame, &place);
        } else if !ours(&place) {
            return Err(OffloadError::BadChecksumPlace);
        }
        Ok(Open { is_partial: true, gso_size })
    }
}

const fn kind(place: &Place) -> u8 {
    match (place.proto, place.is_ip6) {
        (proto::TCP, false) => TCP4,
        (proto::TCP, true) => TCP6,
        _ => UDP,
    }
}

/// Makes a frame's checksum partial.
pub(super) fn leave_open(frame: &mut [u8], place: &Place) {
    let sum = checksum::fold(place.pseudo_header(frame, place.end - place.l4));
    if let Some(field) = frame.get_mut(place.checksum()..place.checksum() + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Packet, TcpFields};
    use super::super::eth::MacAddr;
    use super::super::vlan::TagStack;
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn tcp(flags: u8, payload: &[u8]) -> Packet {
        let fields = TcpFields { src: 1, dst: 2, flags, ..TcpFields::default() };
        Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(fields, payload).partial_checksum()
    }

    #[test]
    fn the_header_is_as_the_kernel_has_it() {
        // linux/virtio_net.h: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset.
        let frame = tcp(flag::ACK, &[7; 3000]).eth(MAC, MAC).tags(TagStack::double(7, 8)).build();
        let header = OffloadHeader::of(&frame, 1448).unwrap();
        let words = [62_u16, 1448, 42, 16].map(u16::to_ne_bytes).concat();
        assert_eq!(header.as_bytes(), [&[1, 1], &words[..]].concat());
        let frame = tcp(flag::ACK | flag::CWR, &[7; 3000]).eth(MAC, MAC).build();
        assert_eq!(OffloadHeader::of(&frame, 1448).unwrap().as_bytes()[1], 0x81);
        let datagram = Packet::ip6([1; 16], [2; 16]).udp(1, 2, &[7; 3000]).partial_checksum();
        let header = OffloadHeader::of(&datagram.eth(MAC, MAC).build(), 1000).unwrap();
        let words = [62_u16, 1000, 54, 6].map(u16::to_ne_bytes).concat();
        assert_eq!(header.as_bytes(), [&[1, 5], &words[..]].concat());
        assert_eq!((header.kind(), header.is_ecn()), (Some(Kind::Udp), false));
    }

    #[test]
    fn what_is_left_open_is_known_again() {
        for (gso_size, tags) in [(0, TagStack::UNTAGGED), (1448, TagStack::double(7, 8))] {
            let mut frame = tcp(flag::ACK, &[7; 3000]).eth(MAC, MAC).tags(tags).build();
            let before = frame.clone();
            let header = OffloadHeader::of(&frame, gso_size).unwrap();
            let open = header.settle(&mut frame).unwrap();
            assert_eq!(open, Open { is_partial: true, gso_size });
            assert_eq!(frame, before);
        }
        let mut frame = tcp(flag::ACK, b"x").eth(MAC, MAC).build();
        assert_eq!(OffloadHeader::NONE.settle(&mut frame), Ok(Open::default()));
        assert_eq!(OffloadHeader::read(&[1; 9]), OffloadHeader::NONE);
    }

    #[test]
    fn an_open_checksum_of_a_tunnel_is_completed() {
        let inner = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2, b"inner");
        let tunnel = |inner: Packet| {
            let bytes = inner.eth(MAC, MAC).build();
            Packet::ip4([10, 1, 0, 1], [10, 1, 0, 2]).raw(4, &bytes[14..]).eth(MAC, MAC).build()
        };
        let mut frame = tunnel(inner.clone().partial_checksum());
        let word = U16::new;
        let header = OffloadHeader {
            flags: NEEDS_CHECKSUM,
            checksum_start: word(14 + 20 + 20),
            checksum_offset: word(6),
            ..OffloadHeader::NONE
        };
        assert_eq!(header.settle(&mut frame), Ok(Open::default()));
        assert_eq!(frame, tunnel(inner));
    }

    #[test]
    fn a_super_frame_with_a_whole_checksum_is_left_open_from_here_on() {
        let whole = {
            let fields = TcpFields { src: 1, dst: 2, ..TcpFields::default() };
            Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(fields, &[7; 3000])
        };
        let mut frame = whole.eth(MAC, MAC).build();
        let header = OffloadHeader { flags: 0, ..OffloadHeader::of(&frame, 1000).unwrap() };
        header.settle(&mut frame).unwrap();
        assert_eq!(frame, whole.partial_checksum().eth(MAC, MAC).build());
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let mut frame = tcp(flag::ACK, &[7; 3000]).eth(MAC, MAC).build();
        let good = OffloadHeader::of(&frame, 1448).unwrap();
        let mut refused = |header: OffloadHeader| header.settle(&mut frame).unwrap_err();
        let udp = OffloadHeader { kind: UDP, ..good };
        assert_eq!(refused(udp), OffloadError::NotTcpOrUdp);
        let nothing = OffloadHeader { gso_size: U16::ZERO, ..good };
        assert_eq!(refused(nothing), OffloadError::NoSegmentSize);
        assert_eq!(refused(good.behind_tag()), OffloadError::BadChecksumPlace);
    }
}
