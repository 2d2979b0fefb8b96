//! UDP (RFC 768).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Header length in bytes.
pub const HEADER: usize = 8;
/// Where the checksum stands in the header.
pub const CHECKSUM: usize = 6;

/// A UDP header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct UdpHeader {
    /// Source port.
    pub src: U16,
    /// Destination port.
    pub dst: U16,
    /// Length of header and payload in bytes.
    pub len: U16,
    /// Checksum; 0 says that there is none.
    pub checksum: U16,
}

const _: () = assert!(size_of::<UdpHeader>() == HEADER);
