//! Which entries may have ended by now? A timing wheel of intrusive lists.
//!
//! An entry stands in the slot of its deadline or an earlier one, never a later one. A deadline
//! that moves back (every packet does that) leaves the entry where it is: when its slot comes up
//! it is put into a later one. So a refresh costs the wheel nothing, and every entry is visited
//! about once a timeout. The wheel knows candidates only; their owner knows the deadlines.

use super::session::NIL;
use crate::mem::{Arena, List};
use crate::time::Now;

/// Nanoseconds of a tick as a power of two: about a second.
const TICK_SHIFT: u32 = 30;
/// Slots of a wheel; what lies further ahead waits in the last slot.
const SLOTS: u64 = 512;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    prev: u32,
}

/// A wheel of entries that are numbers below its capacity.
#[derive(Clone, Debug)]
pub(super) struct Wheel {
    /// Entries first, then one head a slot: circular lists without special cases.
    links: List<Link>,
    heads: Box<[Link]>,
    capacity: u32,
    len: usize,
    /// The first tick whose slot is not known to be done.
    cursor: u64,
}

const fn tick(at: Now) -> u64 {
    at.0 >> TICK_SHIFT
}

impl Wheel {
    pub(super) fn new(arena: &mut Arena, capacity: usize) -> Self {
        let capacity =
            u32::try_from(capacity).expect("capacities are checked by the configuration");
        let heads = (0u32..).take(usize::try_from(SLOTS).expect("few slots"));
        let heads = heads.map(|s| Link { next: capacity + s, prev: capacity + s }).collect();
        Self { links: arena.list(capacity as usize), heads, capacity, len: 0, cursor: 0 }
    }

    #[inline]
    fn link(&mut self, node: u32) -> &mut Link {
        match node.checked_sub(self.capacity) {
            Some(slot) => &mut self.heads[slot as usize],
            None => &mut self.links[node as usize],
        }
    }

    fn head(&self, tick: u64) -> u32 {
        self.capacity + (tick % SLOTS) as u32
    }

    /// Files an entry that is not filed yet.
    pub(super) fn insert(&mut self, id: u32, deadline: Now, now: Now) {
        if self.len == 0 {
            self.cursor = tick(now);
        }
        while self.links.len() <= id as usize {
            self.links.push(Link { next: NIL, prev: NIL });
        }
        let slot = tick(deadline).clamp(self.cursor, self.cursor + SLOTS - 1);
        let head = self.head(slot);
        let prev = std::mem::replace(&mut self.link(head).prev, id);
        *self.link(id) = Link { next: head, prev };
        self.link(prev).next = id;
        self.len += 1;
    }

    /// Takes an entry out; does nothing when it is not filed.
    pub(super) fn remove(&mut self, id: u32) {
        let Some(&Link { next, prev }) = self.links.get(id as usize) else { return };
        if next == NIL {
            return;
        }
        self.link(prev).next = next;
        self.link(next).prev = prev;
        *self.link(id) = Link { next: NIL, prev: NIL };
        self.len -= 1;
    }

    /// Takes out the next entry whose slot has passed wholly; it has ended unless its deadline
    /// moved, and then it must be filed again. `None` when all of them have been seen.
    pub(super) fn pop_passed(&mut self, now: Now) -> Option<u32> {
        while self.len > 0 && self.cursor < tick(now) {
            let head = self.head(self.cursor);
            let first = self.link(head).next;
            if first != head {
                self.remove(first);
                return Some(first);
            }
            self.cursor += 1;
        }
        None
    }

    /// The entry after `at` in the slot that time is in, or the first; those of later slots end
    /// later. Sensible once [`Wheel::pop_passed`] gives nothing more.
    pub(super) fn next_current(&self, at: Option<u32>) -> Option<u32> {
        let head = self.head(self.cursor);
        let next = match at {
            Some(id) => self.links[id as usize].next,
            None => self.heads[(head - self.capacity) as usize].next,
        };
        (next != head).then_some(next)
    }

    /// The first instant after the tick that `now` is in.
    pub(super) fn next_tick(now: Now) -> Now {
        Now((tick(now) + 1) << TICK_SHIFT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// Whatever is filed comes out once its tick has passed, and not before.
        #[test]
        fn entries_come_out_after_their_deadline(
            ops in prop::collection::vec((0u32..20, 0u64..2_000, 0u64..700), 1..200),
        ) {
            let mut wheel = Wheel::new(&mut Arena::default(), 20);
            let mut deadlines: BTreeMap<u32, Now> = BTreeMap::new();
            let mut now = Now(5_000_000_000_000);
            for (id, life, pause) in ops {
                wheel.remove(id);
                deadlines.insert(id, now + Span::secs(life));
                wheel.insert(id, deadlines[&id], now);
                now = now + Span::secs(pause);
                while let Some(id) = wheel.pop_passed(now) {
                    if deadlines[&id] > now {
                        wheel.insert(id, deadlines[&id], now);
                    } else {
                        deadlines.remove(&id);
                    }
                }
                let next = |at: &u32| wheel.next_current(Some(*at));
                let current: Vec<u32> = std::iter::successors(wheel.next_current(None), next).collect();
                for (id, deadline) in &deadlines {
                    prop_assert!(*deadline > now || current.contains(id));
                }
            }
            prop_assert_eq!(wheel.len, deadlines.len());
        }
    }
}
