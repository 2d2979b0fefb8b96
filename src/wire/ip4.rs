//! IPv4 (RFC 791).

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Shortest header in bytes.
pub const HEADER: usize = 20;
/// Where the header checksum stands.
pub const CHECKSUM: usize = 10;
/// The first byte of such a header without options: version and header length.
pub const PLAIN_FIRST_BYTE: u8 = 0x45;
/// The don't-fragment bit of `flags_fragment`.
pub const DF: u16 = 0x4000;
/// The more-fragments bit of `flags_fragment`.
pub const MF: u16 = 0x2000;
/// The fragment offset's bits of `flags_fragment`, in units of 8 bytes.
pub const OFFSET: u16 = 0x1fff;

/// An IPv4 header without its options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ip4Header {
    /// Version (4 bits) and header length in 32-bit words (4 bits).
    pub version_ihl: u8,
    /// Differentiated services (6 bits) and ECN (2 bits).
    pub tos: u8,
    /// Length of the whole packet in bytes.
    pub total_len: U16,
    /// Identification of the datagram that fragments belong to.
    pub id: U16,
    /// Flags (3 bits) and fragment offset (13 bits).
    pub flags_fragment: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub proto: u8,
    /// Header checksum (RFC 1071).
    pub checksum: U16,
    /// Source address.
    pub src: U32,
    /// Destination address.
    pub dst: U32,
}

const _: () = assert!(size_of::<Ip4Header>() == HEADER);

impl Ip4Header {
    /// IP version.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Header length with options, in bytes.
    #[inline(always)]
    pub const fn header_len(&self) -> usize {
        (self.version_ihl & 0x0f) as usize * 4
    }

    /// Fragment offset in bytes.
    #[inline(always)]
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.flags_fragment.get() & OFFSET) * 8
    }

    /// Whether this is a fragment, first or later.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        self.flags_fragment.get() & (MF | OFFSET) != 0
    }
}
