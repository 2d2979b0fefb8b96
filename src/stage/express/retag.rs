//! What does a frame look like that crosses the provider's edge? Its own MAC addresses and priority
//! bits, and the tags of where it goes: what [`crate::stage::rewrite`] makes of it.

use crate::tables::rewrite::MAX_L2;
use crate::wire::eth::{self, MacAddr, ether_type};
use crate::wire::vlan::{TAG, TagStack};

/// Two tags and the EtherType end a header.
const TAGS: usize = 2 * TAG;
const END: usize = TAGS + 2;
/// First bytes of the TCIs in there, of the outer tag of two and of the inner or only one.
const OUTER: usize = 2;
const INNER: usize = OUTER + TAG;
/// The bits of that byte that are no VID.
const PRIORITY: u8 = 0xf0;
/// Two MAC addresses begin at most here.
const LAST_MACS: usize = MAX_L2 - 12;

/// The header that IPv4 frames get.
#[derive(Debug)]
pub(super) struct Retag {
    size: usize,
    /// Its tags, as far as there are any, as they stand in memory.
    tags: u64,
    /// The priority bits that there is a tag for, likewise.
    priority: u64,
}

impl Retag {
    pub(super) fn to(tags: TagStack) -> Self {
        let mut header = [0; MAX_L2];
        tags.write_l2(&mut header, MAX_L2, MacAddr::ZERO, MacAddr::ZERO, 0, ether_type::IP4)
            .expect("two tags fit");
        let end: [u8; END] = *header.last_chunk().expect("shorter");
        let bits = |there: bool| if there { PRIORITY } else { 0 };
        let len = tags.vids().len();
        Self {
            size: eth::HEADER + tags.size(),
            tags: u64::from_ne_bytes(*end.first_chunk().expect("shorter")),
            priority: in_tags(bits(len > 1), bits(len > 0)),
        }
    }

    /// Replaces a header of `L2` bytes that ends with the room; returns the size of the new one.
    #[inline(always)]
    pub(super) fn write<const L2: usize>(&self, room: &mut [u8; MAX_L2]) -> usize {
        let macs: [u8; 12] = *room[MAX_L2 - L2..].first_chunk().expect("two addresses");
        // A tag that is pushed takes the bits of the one inside.
        let priority = match (L2 - eth::HEADER) / TAG {
            0 => 0,
            1 => in_tags(room[MAX_L2 - TAG], room[MAX_L2 - TAG]),
            _ => in_tags(room[eth::HEADER], room[MAX_L2 - TAG]),
        };
        let tags = self.tags | (priority & self.priority);
        let end: &mut [u8; END] = room.last_chunk_mut().expect("shorter");
        end[..TAGS].copy_from_slice(&tags.to_ne_bytes());
        end[TAGS..].copy_from_slice(&ether_type::IP4.to_be_bytes());
        let macs_at = MAX_L2.wrapping_sub(self.size).min(LAST_MACS);
        *room[macs_at..].first_chunk_mut().expect("two addresses") = macs;
        self.size
    }
}

/// First bytes of TCIs at their place in two tags.
#[inline(always)]
const fn in_tags(outer: u8, inner: u8) -> u64 {
    let mut tags = [0; TAGS];
    (tags[OUTER], tags[INNER]) = (outer, inner);
    u64::from_ne_bytes(tags)
}
