//! ICMP for IPv4 (RFC 792, RFC 1191, RFC 1812, RFC 4884).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Header length in bytes.
pub const HEADER: usize = 8;
/// Where the checksum stands in the header.
pub const CHECKSUM: usize = 2;

/// ICMP types.
pub mod kind {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench (deprecated).
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Time stamp request.
    pub const TIMESTAMP_REQUEST: u8 = 13;
    /// Time stamp reply.
    pub const TIMESTAMP_REPLY: u8 = 14;
}

/// Codes of [`kind::UNREACHABLE`].
pub mod unreachable {
    /// Network unreachable.
    pub const NET: u8 = 0;
    /// Host unreachable.
    pub const HOST: u8 = 1;
    /// Protocol unreachable.
    pub const PROTOCOL: u8 = 2;
    /// Port unreachable.
    pub const PORT: u8 = 3;
    /// Fragmentation needed and DF set (RFC 1191).
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Communication administratively prohibited (RFC 1812 5.2.7.1).
    pub const ADMIN_PROHIBITED: u8 = 13;
}

/// Whether a type is an error, which quotes the packet that caused it.
#[inline(always)]
pub const fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        kind::UNREACHABLE
            | kind::SOURCE_QUENCH
            | kind::REDIRECT
            | kind::TIME_EXCEEDED
            | kind::PARAMETER_PROBLEM
    )
}

/// Whether a type is a query or its answer, which has an identifier.
#[inline(always)]
pub const fn is_query(kind: u8) -> bool {
    matches!(
        kind,
        kind::ECHO_REPLY | kind::ECHO_REQUEST | kind::TIMESTAMP_REQUEST | kind::TIMESTAMP_REPLY
    )
}

/// An ICMP header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Icmp4Header {
    /// See [`kind`].
    pub kind: u8,
    /// Code, by type.
    pub code: u8,
    /// Checksum over the whole message.
    pub checksum: U16,
    /// Identifier of a query; unused or length (RFC 4884) in errors.
    pub id: U16,
    /// Sequence number of a query; next-hop MTU (RFC 1191) in fragmentation needed.
    pub seq: U16,
}

const _: () = assert!(size_of::<Icmp4Header>() == HEADER);
