//! ICMP for IPv6 (RFC 4443) and neighbour discovery (RFC 4861).

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Header length in bytes.
pub const HEADER: usize = 8;
/// Where the checksum stands in the header.
pub const CHECKSUM: usize = 2;
/// Length of a neighbour solicitation or advertisement without its options, in bytes.
pub const NEIGHBOUR: usize = 24;

/// ICMPv6 types; errors are those below 128.
pub mod kind {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation (RFC 4861 4.1).
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Router advertisement (RFC 4861 4.2).
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbour solicitation (RFC 4861 4.3).
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement (RFC 4861 4.4).
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Redirect (RFC 4861 4.5).
    pub const REDIRECT: u8 = 137;
}

/// Codes of [`kind::UNREACHABLE`] (RFC 4443 3.1).
pub mod unreachable {
    /// No route to the destination.
    pub const NO_ROUTE: u8 = 0;
    /// Communication administratively prohibited.
    pub const ADMIN_PROHIBITED: u8 = 1;
    /// Beyond the scope of the source address.
    pub const BEYOND_SCOPE: u8 = 2;
    /// Address unreachable.
    pub const ADDRESS: u8 = 3;
    /// Port unreachable.
    pub const PORT: u8 = 4;
    /// The source address failed a policy.
    pub const SOURCE_POLICY: u8 = 5;
    /// The route rejects the destination.
    pub const REJECT_ROUTE: u8 = 6;
}

/// Options of neighbour discovery messages (RFC 4861 4.6).
pub mod option {
    /// The sender's link-layer address.
    pub const SOURCE_LINK_LAYER: u8 = 1;
    /// The target's link-layer address.
    pub const TARGET_LINK_LAYER: u8 = 2;
    /// An on-link prefix.
    pub const PREFIX: u8 = 3;
    /// The packet that caused a redirect.
    pub const REDIRECTED: u8 = 4;
    /// The link's MTU.
    pub const MTU: u8 = 5;
}

/// Flags of a neighbour advertisement, in [`NeighbourMessage::flags`] (RFC 4861 4.4).
pub mod advertisement {
    /// The sender is a router.
    pub const ROUTER: u32 = 0x8000_0000;
    /// Sent in answer to a solicitation.
    pub const SOLICITED: u32 = 0x4000_0000;
    /// Replaces a known link-layer address.
    pub const OVERRIDE: u32 = 0x2000_0000;
}

/// Whether a type is an error, which quotes the packet that caused it (RFC 4443 2.1).
#[inline(always)]
pub const fn is_error(kind: u8) -> bool {
    kind < 128
}

/// An ICMPv6 header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Icmp6Header {
    /// See [`kind`].
    pub kind: u8,
    /// Code, by type.
    pub code: u8,
    /// Checksum over pseudo-header and message.
    pub checksum: U16,
    /// Identifier of an echo; upper half of the MTU in packet too big.
    pub id: U16,
    /// Sequence number of an echo; lower half of the MTU in packet too big.
    pub seq: U16,
}

const _: () = assert!(size_of::<Icmp6Header>() == HEADER);

/// A neighbour solicitation or advertisement without its options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NeighbourMessage {
    /// [`kind::NEIGHBOUR_SOLICITATION`] or [`kind::NEIGHBOUR_ADVERTISEMENT`].
    pub kind: u8,
    /// Zero.
    pub code: u8,
    /// Checksum over pseudo-header and message.
    pub checksum: U16,
    /// See [`advertisement`]; zero in a solicitation.
    pub flags: U32,
    /// The address in question.
    pub target: [u8; 16],
}

const _: () = assert!(size_of::<NeighbourMessage>() == NEIGHBOUR);
