//! How far does the change of a route go? The entries that it covers and no nested route hides.

use std::ops::RangeInclusive;

use super::compact::{ENTRIES, GROUP};
use super::prefix::{Prefix as _, Prefix4};
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
    let block = 1 << (32 - to);
    let end = u64::from(prefix.last_addr()) + 1;
    let mut at = u64::from(prefix.addr());
    let mut paint_to = |at: u64, end: u64| {
        for place in (at..end).step_by(block) {
            set(u32::try_from(place).expect("an address"));
        }
    };
    // In order, so that what is nested deeper comes after what hides it.
    let mut from = Some(prefix);
    while let Some(first) = from.take() {
        let mut passed = 0;
        for nested in routes.within_from(prefix, first) {
            let begin = u64::from(nested.addr());
            if (prefix.len() + 1..=to).contains(&nested.len()) && begin >= at {
                paint_to(at, begin);
                at = u64::from(nested.last_addr()) + 1;
                passed = 0;
                continue;
            }
            passed += 1;
            if passed == PASSED {
                // What counts begins with a block, and behind what is hidden.
                let next = at.max((begin / block as u64 + 1) * block as u64);
                from = (next < end).then(|| first_at(next));
                break;
            }
        }
    }
    paint_to(at, end);
}

/// Routes that do not count, in a row, after which it is cheaper to search for the next that can.
const PASSED: u32 = if cfg!(test) { 2 } else { 16 };

/// The first in order of the prefixes that begin with an address.
fn first_at(addr: u64) -> Prefix4 {
    let addr = u32::try_from(addr).expect("an address");
    Prefix4::around(addr, u8::try_from(32 - addr.trailing_zeros()).expect("32 at most"))
}

/// The groups of a node that reach into these places.
pub(super) fn groups_of((first, last): (usize, usize)) -> RangeInclusive<usize> {
    first % ENTRIES / GROUP..=last % ENTRIES / GROUP
}

/// The place of `addr` among all prefixes of `bits` bits.
pub(super) fn place(addr: u32, bits: u8) -> usize {
    (addr >> (32 - bits)) as usize
}
