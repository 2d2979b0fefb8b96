//! How far does the change of a route go? The entries that it covers and no nested route hides.

use std::ops::RangeInclusive;

use super::compact::{ENTRIES, GROUP};
use super::prefix::Prefix4;
use super::trie::Trie;
use crate::ids::NextHopId;

/// Calls `set` with the first address of each prefix of `to` bits in `prefix` that no route nested
/// in `prefix` (of at most `to` bits) hides.
pub(super) fn paint(
    routes: &Trie<Prefix4, NextHopId>,
    prefix: Prefix4,
    to: u8,
    set: &mut impl FnMut(u32),
) {
    if prefix.len() == to {
        return set(prefix.addr());
    }
    let mut at = u64::from(prefix.addr());
    let mut paint_to = |at: u64, end: u64| {
        for place in (at..end).step_by(1 << (32 - to)) {
            set(u32::try_from(place).expect("an address"));
        }
    };
    // In order, so that what is nested deeper comes after what hides it.
    let nested = routes.within(prefix).map(|(nested, _)| nested);
    for nested in nested.filter(|nested| (prefix.len() + 1..=to).contains(&nested.len())) {
        if u64::from(nested.addr()) >= at {
            paint_to(at, u64::from(nested.addr()));
            at = u64::from(nested.last_addr()) + 1;
        }
    }
    paint_to(at, u64::from(prefix.last_addr()) + 1);
}

/// The groups of a node that reach into these places.
pub(super) fn groups_of((first, last): (usize, usize)) -> RangeInclusive<usize> {
    first % ENTRIES / GROUP..=last % ENTRIES / GROUP
}

/// The place of `addr` among all prefixes of `bits` bits.
pub(super) fn place(addr: u32, bits: u8) -> usize {
    (addr >> (32 - bits)) as usize
}
