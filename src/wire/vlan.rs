//! VLAN tags (IEEE 802.1Q): the outer is the S-tag, the inner the C-tag, both 0x8100 here.
//!
//! [`read_tags`] says which tags a frame has, [`push`] and [`pop`] change them by moving the two
//! MAC addresses into the headroom or out of it. Which tags are right is not decided here.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::eth;
use crate::planted::{Bug, planted};

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

/// The most tags that [`read_tags`] looks at: one more than any port may carry.
pub const MOST_TAGS: usize = 3;

/// Whether an EtherType announces a VLAN tag.
#[inline(always)]
pub const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, eth::ether_type::VLAN | eth::ether_type::SERVICE_VLAN)
}

/// One tag as it stands in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// Tag protocol: 0x8100 or 0x88A8.
    pub tpid: u16,
    /// Tag control information.
    pub tci: u16,
}

impl Tag {
    /// VLAN identifier; 0 in a tag that carries priority alone.
    #[inline(always)]
    pub const fn vid(self) -> u16 {
        self.tci & VID
    }

    /// Priority code point, 0 to 7.
    #[inline(always)]
    pub const fn pcp(self) -> u8 {
        (self.tci >> 13) as u8
    }

    /// Whether the tag names no VLAN (IEEE 802.1Q 6.9): the frame counts as if it were not there.
    #[inline(always)]
    pub const fn is_priority(self) -> bool {
        self.vid() == 0
    }
}

/// What stands between the MAC addresses and the payload of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    len: u8,
    tags: [Tag; MOST_TAGS],
    /// EtherType of the payload; of the fourth tag if there are that many.
    pub ether_type: u16,
}

impl Tags {
    /// The tags, outer first; three stand for three or more.
    #[inline(always)]
    pub fn tags(&self) -> &[Tag] {
        &self.tags[..usize::from(self.len).min(MOST_TAGS)]
    }

    /// How many tags there are, up to [`MOST_TAGS`].
    #[inline(always)]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the payload begins, from the start of the Ethernet header.
    #[inline(always)]
    pub const fn payload(&self) -> usize {
        eth::HEADER + self.len as usize * TAG
    }

    /// The VLANs that the frame belongs to, priority tags left out; `None` when it has three or
    /// more tags.
    #[inline]
    pub fn stack(&self) -> Option<TagStack> {
        if self.len() >= MOST_TAGS {
            return None;
        }
        let mut vids = self.tags().iter().filter(|tag| !tag.is_priority()).map(|tag| tag.vid());
        Some(match (vids.next(), vids.next()) {
            (Some(outer), Some(inner)) => TagStack::double(outer, inner),
            (Some(vid), None) => TagStack::single(vid),
            _ => TagStack::UNTAGGED,
        })
    }
}

/// Reads the tags of a frame; `None` when it ends inside its Ethernet header or a tag.
#[inline]
pub fn read_tags(frame: &[u8]) -> Option<Tags> {
    let (header, mut rest) = eth::EthHeader::ref_from_prefix(frame).ok()?;
    let mut read = Tags { ether_type: header.ether_type.get(), ..Tags::default() };
    for place in 0..MOST_TAGS {
        if !is_tag(read.ether_type) {
            break;
        }
        let (tag, behind) = VlanTag::ref_from_prefix(rest).ok()?;
        read.tags[place] = Tag { tpid: read.ether_type, tci: tag.tci.get() };
        read.ether_type = tag.ether_type.get();
        read.len += 1;
        rest = behind;
    }
    Some(read)
}

/// Both MAC addresses: what moves when tags come and go.
const MACS: usize = 12;

/// Puts a tag outside all others of the frame that begins at `start` of `buf`, and returns where
/// the frame begins now; `None`, and nothing changed, without four bytes of headroom or two MAC
/// addresses.
#[inline]
pub fn push(buf: &mut [u8], start: usize, tag: Tag) -> Option<usize> {
    let new = start.checked_sub(TAG)?;
    let header = buf.get_mut(new..start + MACS)?;
    header.copy_within(TAG.., 0);
    header[MACS..MACS + 2].copy_from_slice(&tag.tpid.to_be_bytes());
    header[MACS + 2..].copy_from_slice(&tag.tci.to_be_bytes());
    Some(new)
}

/// Takes the outer `count` tags off the frame that begins at `start` of `buf`, and returns where
/// the frame begins now; `None`, and nothing changed, when it has fewer.
#[inline]
pub fn pop(buf: &mut [u8], start: usize, count: usize) -> Option<usize> {
    let frame = buf.get_mut(start..)?;
    let len = read_tags(frame)?.len();
    if len < count {
        return None;
    }
    let count = if count == 2 && len > 2 && planted(Bug::DoublePop) { 3 } else { count };
    frame.copy_within(..MACS, count * TAG);
    Some(start + count * TAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS_AND_TAGS: [u8; 22] =
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x88, 0xa8, 0x63, 0xe9, 0x81, 0, 0, 200, 8, 0];

    #[test]
    fn tags_are_read_outer_first() {
        let tags = read_tags(&MACS_AND_TAGS).unwrap();
        assert_eq!(
            tags.tags(),
            [Tag { tpid: 0x88a8, tci: 0x63e9 }, Tag { tpid: 0x8100, tci: 200 }]
        );
        assert_eq!((tags.tags()[0].vid(), tags.tags()[0].pcp()), (1001, 3));
        assert_eq!((tags.ether_type, tags.payload()), (0x0800, 22));
        assert_eq!(tags.stack(), Some(TagStack::double(1001, 200)));
    }

    #[test]
    fn a_frame_that_ends_in_a_tag_has_no_tags() {
        for len in 0..MACS_AND_TAGS.len() {
            assert_eq!(read_tags(&MACS_AND_TAGS[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_third_tag_is_counted_and_a_fourth_is_not_looked_at() {
        let mut frame = vec![0; 12];
        for vid in [1, 2, 3, 4] {
            frame.extend_from_slice(&[0x81, 0, 0, vid]);
        }
        let tags = read_tags(&frame).unwrap();
        assert_eq!((tags.len(), tags.ether_type, tags.payload()), (3, 0x8100, 26));
        assert_eq!(tags.stack(), None);
    }

    #[test]
    fn a_priority_tag_names_no_vlan() {
        let mut frame = MACS_AND_TAGS;
        frame[18..20].copy_from_slice(&[0xa0, 0]);
        assert_eq!(read_tags(&frame).unwrap().stack(), Some(TagStack::single(1001)));
        frame[14..16].copy_from_slice(&[0xe0, 0]);
        assert_eq!(read_tags(&frame).unwrap().stack(), Some(TagStack::UNTAGGED));
    }

    #[test]
    fn pop_takes_the_outer_tag_and_push_puts_it_back() {
        let mut buf = MACS_AND_TAGS;
        let start = pop(&mut buf, 0, 1).unwrap();
        assert_eq!(buf[start..], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0, 0, 200, 8, 0]);
        let start = push(&mut buf, start, Tag { tpid: 0x88a8, tci: 0x63e9 }).unwrap();
        assert_eq!((start, buf), (0, MACS_AND_TAGS));
    }

    #[test]
    fn push_needs_headroom_and_pop_needs_tags() {
        let mut buf = MACS_AND_TAGS;
        assert_eq!(push(&mut buf, 3, Tag::default()), None);
        assert_eq!(push(&mut buf, 18, Tag::default()), None);
        assert_eq!(pop(&mut buf, 0, 3), None);
        assert_eq!(pop(&mut buf, 23, 0), None);
        assert_eq!(buf, MACS_AND_TAGS);
        assert_eq!(pop(&mut buf, 0, 2), Some(8));
        assert_eq!(buf[8..], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0]);
    }
}
