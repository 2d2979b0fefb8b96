//! VLAN tags (IEEE 802.1Q): the outer is the S-tag, the inner the C-tag, both 0x8100 here.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::eth;

/// Length of one tag in bytes.
pub const TAG: usize = 4;

/// The VLAN identifier's bits of a TCI.
pub const VID: u16 = 0x0fff;

/// What follows the tag protocol: priority, drop eligibility and VLAN identifier, then the
/// EtherType of what is tagged.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VlanTag {
    /// Tag control information.
    pub tci: U16,
    /// EtherType of the payload, or the next tag's protocol.
    pub ether_type: U16,
}

/// The tags of a frame, outer first, as VLAN identifiers; none, one or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagStack {
    len: u8,
    vids: [u16; 2],
}

impl TagStack {
    /// No tag.
    pub const UNTAGGED: TagStack = TagStack { len: 0, vids: [0; 2] };

    /// One tag.
    pub const fn single(vid: u16) -> Self {
        Self { len: 1, vids: [vid & VID, 0] }
    }

    /// An outer and an inner tag.
    pub const fn double(outer: u16, inner: u16) -> Self {
        Self { len: 2, vids: [outer & VID, inner & VID] }
    }

    /// The identifiers, outer first.
    #[inline(always)]
    pub fn vids(&self) -> &[u16] {
        &self.vids[..usize::from(self.len.min(2))]
    }

    /// How many tags there are.
    #[inline(always)]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the tags take.
    #[inline(always)]
    pub const fn size(&self) -> usize {
        self.len as usize * TAG
    }

    /// Writes a whole layer-2 header with these tags so that it ends at `l3` of `buf`, and
    /// returns where it begins. All tags are 0x8100; priority bits are `pcp` (bits 15 to 12 of
    /// the TCI).
    ///
    /// Returns `None` when there is not enough room before `l3`.
    #[inline]
    pub fn write_l2(
        &self,
        buf: &mut [u8],
        l3: usize,
        dst: eth::MacAddr,
        src: eth::MacAddr,
        pcp: u16,
        ether_type: u16,
    ) -> Option<usize> {
        let start = l3.checked_sub(eth::HEADER + self.size())?;
        let header = buf.get_mut(start..l3)?;
        header[..6].copy_from_slice(&dst.0);
        header[6..12].copy_from_slice(&src.0);
        let mut at = 12;
        for vid in self.vids() {
            header[at..at + 2].copy_from_slice(&eth::ether_type::VLAN.to_be_bytes());
            header[at + 2..at + 4].copy_from_slice(&(vid | (pcp & !VID)).to_be_bytes());
            at += TAG;
        }
        header[at..at + 2].copy_from_slice(&ether_type.to_be_bytes());
        Some(start)
    }
}

impl std::fmt::Display for TagStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.vids() {
            [] => f.write_str("untagged"),
            [c] => write!(f, "c-tag {c}"),
            [s, c, ..] => write!(f, "s-tag {s} c-tag {c}"),
        }
    }
}
