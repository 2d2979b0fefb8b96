//! IPv6 (RFC 8200): the fixed header, and the walk over extension headers to what they carry.
//!
//! Nothing here forwards; the walk never reads beyond the bytes it is given.

use std::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum;

/// Length of the fixed header in bytes.
pub const HEADER: usize = 40;
/// Length of a fragment header in bytes.
pub const FRAGMENT_HEADER: usize = 8;
/// The more-fragments bit of [`FragmentHeader::offset_flags`].
pub const MF: u16 = 0x0001;
/// The fragment offset's bits of [`FragmentHeader::offset_flags`]; they count bytes as they stand.
pub const OFFSET: u16 = 0xfff8;

/// Extension headers (RFC 8200 4, IANA); other numbers mean what they mean in IPv4.
pub mod next_header {
    /// Hop-by-hop options; only directly behind the fixed header.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Encapsulating security payload (RFC 4303): what follows is encrypted.
    pub const ESP: u8 = 50;
    /// Authentication (RFC 4302).
    pub const AUTHENTICATION: u8 = 51;
    /// Nothing follows.
    pub const NONE: u8 = 59;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
    /// Mobility (RFC 6275).
    pub const MOBILITY: u8 = 135;
    /// Host identity protocol (RFC 7401).
    pub const HIP: u8 = 139;
    /// Shim6 (RFC 5533).
    pub const SHIM6: u8 = 140;
}

/// An IPv6 header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ip6Header {
    /// Version (4 bits), traffic class (8 bits), flow label (20 bits).
    pub version_class_flow: U32,
    /// Bytes behind this header, extension headers included; 0 in a jumbogram (RFC 2675).
    pub payload_len: U16,
    /// What follows: an extension header or a protocol.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
}

const _: () = assert!(size_of::<Ip6Header>() == HEADER);

impl Ip6Header {
    /// IP version.
    #[inline(always)]
    pub fn version(&self) -> u8 {
        self.version_class_flow.as_bytes()[0] >> 4
    }

    /// Differentiated services (6 bits) and ECN (2 bits).
    #[inline(always)]
    pub fn traffic_class(&self) -> u8 {
        let [a, b, ..] = self.version_class_flow.to_bytes();
        a << 4 | b >> 4
    }

    /// Flow label, 20 bits.
    #[inline(always)]
    pub fn flow_label(&self) -> u32 {
        self.version_class_flow.get() & 0x000f_ffff
    }

    /// Source address.
    #[inline(always)]
    pub const fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.src)
    }

    /// Destination address.
    #[inline(always)]
    pub const fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.dst)
    }
}

/// A fragment header (RFC 8200 4.5).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FragmentHeader {
    /// What the fragmented part begins with.
    pub next_header: u8,
    /// Zero.
    pub reserved: u8,
    /// Fragment offset (13 bits), two zero bits, more fragments (1 bit).
    pub offset_flags: U16,
    /// Identification of the packet that fragments belong to.
    pub id: U32,
}

const _: () = assert!(size_of::<FragmentHeader>() == FRAGMENT_HEADER);

impl FragmentHeader {
    /// Fragment offset in bytes.
    #[inline(always)]
    pub fn offset(&self) -> usize {
        usize::from(self.offset_flags.get() & OFFSET)
    }

    /// Whether more fragments follow.
    #[inline(always)]
    pub fn more(&self) -> bool {
        self.offset_flags.get() & MF != 0
    }

    /// Whether the packet is a part of a larger one; an atomic fragment (RFC 6946) is whole.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        self.offset_flags.get() & (OFFSET | MF) != 0
    }
}

/// What stands behind the extension headers.
#[derive(Clone, Copy, Debug)]
pub struct Upper {
    /// Protocol, or the first extension header that the walk does not know.
    pub proto: u8,
    /// Where it begins, from the start of the fixed header.
    pub offset: usize,
    /// The fragment header on the way, if any; when its offset is not 0, `offset` is the middle
    /// of a payload.
    pub fragment: Option<FragmentHeader>,
}

/// Walks the extension headers of `packet`, which begins with a fixed header, and says what they
/// carry; `None` when the bytes end first.
pub fn upper(packet: &[u8]) -> Option<Upper> {
    let (fixed, _) = Ip6Header::ref_from_prefix(packet).ok()?;
    let mut at = Upper { proto: fixed.next_header, offset: HEADER, fragment: None };
    loop {
        // Every header is at least 8 bytes, so the walk ends with the packet.
        let rest = packet.get(at.offset..)?;
        let size = match at.proto {
            next_header::HOP_BY_HOP
            | next_header::ROUTING
            | next_header::DESTINATION
            | next_header::MOBILITY
            | next_header::HIP
            | next_header::SHIM6 => (usize::from(*rest.get(1)?) + 1) * 8,
            // RFC 4302 2.2: in units of 4 bytes, minus 2; 8 bytes are its least length.
            next_header::AUTHENTICATION => ((usize::from(*rest.get(1)?) + 2) * 4).max(8),
            next_header::FRAGMENT => {
                let (fragment, _) = FragmentHeader::read_from_prefix(rest).ok()?;
                at.fragment = Some(fragment);
                if fragment.offset() != 0 {
                    at.proto = fragment.next_header;
                    at.offset += FRAGMENT_HEADER;
                    return Some(at);
                }
                FRAGMENT_HEADER
            }
            _ => return Some(at),
        };
        at.proto = *rest.get(..size)?.first()?;
        at.offset += size;
    }
}

/// Sum of the TCP, UDP and ICMPv6 pseudo-header (RFC 8200 8.1).
#[inline]
pub fn pseudo_header(src: &[u8; 16], dst: &[u8; 16], proto: u8, l4_len: u32) -> u64 {
    checksum::add(checksum::add(u64::from(proto) + u64::from(l4_len), src), dst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER];
        packet[0] = 0x6a;
        packet[1] = 0xb0;
        packet[6] = next;
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn the_first_word_has_version_class_and_label() {
        let bytes = packet(59, &[]);
        let (header, _) = Ip6Header::ref_from_prefix(&bytes).unwrap();
        assert_eq!((header.version(), header.traffic_class(), header.flow_label()), (6, 0xab, 0));
    }

    #[test]
    fn the_walk_passes_options_and_authentication() {
        // Hop-by-hop of 8 bytes, destination options of 16, authentication of 12, UDP.
        let mut rest = vec![60, 0, 1, 4, 0, 0, 0, 0];
        rest.extend_from_slice(&[51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        rest.extend_from_slice(&[17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
        let bytes = packet(0, &rest);
        let upper = upper(&bytes).unwrap();
        assert_eq!((upper.proto, upper.offset), (17, HEADER + 36));
        assert!(upper.fragment.is_none());
    }

    #[test]
    fn a_later_fragment_ends_the_walk() {
        let bytes = packet(44, &[0, 0, 0x05, 0xa9, 0, 0, 0, 7]);
        let upper = upper(&bytes).unwrap();
        let fragment = upper.fragment.unwrap();
        assert_eq!((fragment.offset(), fragment.more(), fragment.id.get()), (1448, true, 7));
        assert_eq!((upper.proto, upper.offset), (0, HEADER + 8));
    }

    #[test]
    fn headers_that_end_beyond_the_packet_are_no_headers() {
        assert!(upper(&packet(0, &[17, 1, 0, 0, 0, 0, 0, 0])).is_none());
        assert!(upper(&packet(44, &[17, 0, 0])).is_none());
        assert!(upper(&[0x60; 39]).is_none());
    }
}
