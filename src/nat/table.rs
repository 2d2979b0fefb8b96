//! Where is the entry of this key? Entries in a slab, and an open-addressed index of 4-byte slots.
//!
//! A slot holds an entry's number and, in the bits that are left, a part of the key's hash, so a
//! look-up reads one cache line of the index and then, with few exceptions, only the entry it
//! wants. The index is at most half full and entries never move, so nothing is ever rebuilt.
//! Capacity is fixed: address space is reserved at the start, and memory is taken where something is
//! written first, a huge page at a time.

use crate::mem::{Arena, Array, List, prefetch};

/// Entries by number; numbers are given out again, last freed first.
#[derive(Clone, Debug)]
pub(super) struct Slab<T: Copy> {
    items: List<T>,
    free: Vec<u32>,
    capacity: usize,
}

impl<T: Copy> Slab<T> {
    pub(super) fn new(arena: &mut Arena, capacity: usize) -> Self {
        Self { items: arena.list(capacity), free: Vec::with_capacity(capacity), capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// Adds an entry; `None` when the slab is full.
    pub(super) fn insert(&mut self, item: T) -> Option<u32> {
        if let Some(id) = self.free.pop() {
            self.items[id as usize] = item;
            return Some(id);
        }
        if self.items.len() == self.capacity {
            return None;
        }
        self.items.push(item);
        u32::try_from(self.items.len() - 1).ok()
    }

    /// Frees a number; what stands there stays until the number is given out again.
    pub(super) fn remove(&mut self, id: u32) {
        self.free.push(id);
    }

    #[inline(always)]
    pub(super) fn at(&self, id: u32) -> &T {
        &self.items[id as usize]
    }

    #[inline(always)]
    pub(super) fn at_mut(&mut self, id: u32) -> &mut T {
        &mut self.items[id as usize]
    }

    /// Everything that was ever inserted and not overwritten, freed entries too.
    pub(super) fn all(&self) -> &[T] {
        &self.items
    }

    /// Asks for an entry's cache line.
    #[inline(always)]
    pub(super) fn prefetch(&self, id: u32) {
        if let Some(item) = self.items.get(id as usize) {
            prefetch(item);
        }
    }
}

/// From hash to number.
#[derive(Clone, Debug)]
pub(super) struct Index {
    slots: Array<u32>,
    mask: usize,
    /// The bits of a slot that hold a number plus one; the rest is tag. A free slot is 0.
    id_mask: u32,
}

impl Index {
    /// An index for `capacity` keys whose numbers are below `ids`.
    #[expect(clippy::cast_possible_truncation, reason = "numbers are u32 by construction")]
    pub(super) fn new(arena: &mut Arena, capacity: usize, ids: usize) -> Self {
        let slots = (capacity.max(8) * 2).next_power_of_two();
        let id_mask = ((ids + 1).next_power_of_two() - 1) as u32;
        Self { slots: arena.untouched(slots), mask: slots - 1, id_mask }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the mask keeps it in range")]
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.mask
    }

    #[inline(always)]
    fn tag(&self, hash: u64) -> u32 {
        upper(hash) & !self.id_mask
    }

    /// The number under `hash` for which `is_it` holds.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = self.tag(hash);
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot & !self.id_mask == tag {
                let id = (slot & self.id_mask) - 1;
                if is_it(id) {
                    return Some(id);
                }
            }
            at = (at + 1) & self.mask;
        }
    }

    /// The first number that has `hash`'s tag, for a prefetch: likely, not certainly, the one.
    #[inline(always)]
    pub(super) fn guess(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Asks for the cache line where the search for `hash` begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&raw const self.slots[self.home(hash)]);
    }

    /// Adds a number that is not there yet.
    pub(super) fn insert(&mut self, hash: u64, id: u32) {
        let mut at = self.home(hash);
        while self.slots[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.slots[at] = self.tag(hash) | (id + 1);
    }

    /// Takes a number out and closes the gap, so that no search has to cross dead slots;
    /// `hash_of` gives the hash of any number in the index.
    pub(super) fn remove(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        let wanted = self.tag(hash) | (id + 1);
        let mut gap = self.home(hash);
        while self.slots[gap] != wanted {
            if self.slots[gap] == 0 {
                debug_assert!(false, "what is removed was inserted under the same hash");
                return;
            }
            gap = (gap + 1) & self.mask;
        }
        self.slots[gap] = 0;
        let mut at = (gap + 1) & self.mask;
        while self.slots[at] != 0 {
            let home = self.home(hash_of((self.slots[at] & self.id_mask) - 1));
            // It may move to the gap unless its home lies between the gap and where it stands.
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(gap) & self.mask) {
                self.slots[gap] = std::mem::take(&mut self.slots[at]);
                gap = at;
            }
            at = (at + 1) & self.mask;
        }
    }
}

#[inline(always)]
const fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Hashes two words under a secret that keeps senders from choosing where their keys fall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    pub(super) k0: u64,
    pub(super) k1: u64,
}

impl Hasher {
    #[inline(always)]
    pub(super) const fn hash(self, a: u64, b: u64) -> u64 {
        fold(fold(a ^ self.k0, b ^ self.k1), 0x9e37_79b9_7f4a_7c15)
    }
}

/// Both halves of the product: every bit of the factors reaches every bit of the result.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Few distinct hashes, so that clusters form, wrap around and break up.
        #[test]
        fn an_index_finds_what_a_map_finds(ops in prop::collection::vec((any::<bool>(), 0u32..60), 1..300)) {
            let hash_of = |id: u32| {
                let h = u64::from(id % 7) * 3 + 120;
                h | u64::from(id % 3) << 60
            };
            let mut index = Index::new(&mut Arena::default(), 64, 60);
            let mut map = BTreeMap::new();
            for (insert, id) in ops {
                if insert && map.insert(id, ()).is_none() {
                    index.insert(hash_of(id), id);
                } else if !insert && map.remove(&id).is_some() {
                    index.remove(hash_of(id), id, hash_of);
                }
                for id in 0..60 {
                    prop_assert_eq!(index.find(hash_of(id), |i| i == id).is_some(), map.contains_key(&id));
                }
            }
        }
    }

    #[test]
    fn a_slab_gives_each_number_once_and_stops_at_its_capacity() {
        let mut slab = Slab::new(&mut Arena::default(), 3);
        let ids: Vec<_> = (0..3).map(|i| slab.insert(i).unwrap()).collect();
        assert_eq!(ids, [0, 1, 2]);
        assert!(slab.is_full() && slab.insert(9).is_none());
        slab.remove(1);
        assert_eq!((slab.len(), slab.insert(7)), (2, Some(1)));
        assert_eq!(*slab.at(1), 7);
    }
}
