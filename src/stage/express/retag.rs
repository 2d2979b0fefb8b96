//! What does a frame look like that crosses the provider's edge? Its own MAC addresses and priority
//! bits, and the tags of where it goes: what [`crate::stage::rewrite`] makes of it.

use crate::frame::Frame;
use crate::tables::next_hop::MAX_L2;
use crate::wire::eth::{self, MacAddr, ether_type};
use crate::wire::vlan::{TAG, TagStack};

/// Tags and EtherType, as far as there are any, end a header with two tags.
const TAIL: usize = 2 * TAG + 2;
/// First bytes of the TCIs in there, of the outer tag of two and of the inner or only one.
const OUTER: usize = 2;
const INNER: usize = OUTER + TAG;
/// The bits of that byte that are no VID.
const PRIORITY: u8 = 0xf0;

/// The header that IPv4 frames get.
#[derive(Debug)]
pub(super) struct Retag {
    size: usize,
    tail: [u8; TAIL],
    /// Which priority bits there is a tag for.
    outer: u8,
    inner: u8,
}

impl Retag {
    pub(super) fn to(tags: TagStack) -> Self {
        let mut header = [0; MAX_L2];
        tags.write_l2(&mut header, MAX_L2, MacAddr::ZERO, MacAddr::ZERO, 0, ether_type::IP4)
            .expect("two tags fit");
        let tail = *header.last_chunk().expect("shorter");
        let bits = |there: bool| if there { PRIORITY } else { 0 };
        let len = tags.vids().len();
        Self { size: eth::HEADER + tags.size(), tail, outer: bits(len > 1), inner: bits(len > 0) }
    }

    /// Replaces the header of `L2` bytes that ends at `l3`; returns the size of the new one.
    #[inline(always)]
    pub(super) fn write<const L2: usize>(&self, frame: &mut Frame, l3: usize) -> usize {
        let header: &mut [u8; MAX_L2] =
            frame[l3 - MAX_L2..].first_chunk_mut().expect("a packet is there");
        let old = MAX_L2 - L2;
        let macs: [u8; 12] = *header[old..].first_chunk().expect("two addresses");
        // A tag that is pushed takes the bits of the one inside.
        let (outer, inner) = match (L2 - eth::HEADER) / TAG {
            0 => (0, 0),
            1 => (header[MAX_L2 - TAG], header[MAX_L2 - TAG]),
            _ => (header[eth::HEADER], header[MAX_L2 - TAG]),
        };
        let mut tail = self.tail;
        tail[OUTER] |= outer & self.outer;
        tail[INNER] |= inner & self.inner;
        *header.last_chunk_mut().expect("shorter") = tail;
        let macs_at = MAX_L2.wrapping_sub(self.size);
        *header[macs_at..].first_chunk_mut().expect("two addresses") = macs;
        self.size
    }
}
