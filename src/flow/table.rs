//! Is this flow known? A table of fixed size with one word per flow.
//!
//! Open addressing with linear probing: a slot is 32 bytes, two to a cache line, so a hit is one
//! line. A list through all flows in the order of their last use stands in an array of its own
//! and is touched once per flow and tick (0.27 s), not per packet.
//!
//! **Age.** A flow lives for the table's idle time after the tick of its last packet: at least
//! that long, at most two ticks more. Time is the latest that any call brought and never goes
//! back. Whatever [`FlowTable::expire`] has or has not cleaned up yet, an expired flow is not
//! found, not counted and not in the way of a new one.

use std::sync::Arc;

use zerocopy::FromZeros;

use super::census::{Census, tick_of, ticks_in};
use super::key::{Key, Tuple, Way, tuple_of};
use crate::frame::DropReason;
use crate::mem::{self, Arena, Array};
use crate::time::{Now, Span};

/// No slot.
const NONE: u32 = u32::MAX;
/// How many ticks [`FlowTable::expire`] stays behind, for packets that other workers received
/// before `now` and that are still on their way here: one second.
const GRACE: u32 = 4;

/// Why a flow was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The table is full of living flows.
    Full,
    /// The census knows as many flows as it may.
    Limit,
}

impl From<Refused> for DropReason {
    fn from(refused: Refused) -> DropReason {
        match refused {
            Refused::Full => DropReason::FlowTableFull,
            Refused::Limit => DropReason::GatewayFlows,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, FromZeros)]
#[repr(C)]
struct Slot {
    /// The key's bits; 0 is an empty slot.
    bits: u128,
    value: u64,
    /// Low bits of the tick of the last use.
    tick: u32,
    hash: u32,
}

const _: () = assert!(size_of::<Slot>() == 32);

/// Neighbours in the list of last use; of a slot that is in use.
#[derive(Clone, Copy, Debug, FromZeros)]
struct Link {
    older: u32,
    newer: u32,
}

/// The flows of one shard.
#[derive(Debug)]
pub struct FlowTable {
    slots: Array<Slot>,
    links: Array<Link>,
    oldest: u32,
    newest: u32,
    len: u32,
    capacity: u32,
    idle: u32,
    clock: u64,
    census: Option<Arc<Census>>,
}

impl FlowTable {
    /// Most flows that one table can hold.
    pub const MOST: usize = 1 << 28;

    /// A table for `capacity` flows (1 to [`FlowTable::MOST`], else the nearest of these) that
    /// live for `idle` after their last packet. All memory, 60 to 120 bytes a flow, is taken now.
    pub fn new(arena: &mut Arena, capacity: usize, idle: Span) -> Self {
        Self::build(arena, capacity, ticks_in(idle), None)
    }

    /// A table whose flows are counted in `census`, together with those of other shards; they
    /// live for the census' idle time.
    pub fn counted(arena: &mut Arena, capacity: usize, census: Arc<Census>) -> Self {
        Self::build(arena, capacity, census.idle(), Some(census))
    }

    fn build(arena: &mut Arena, capacity: usize, idle: u32, census: Option<Arc<Census>>) -> Self {
        let capacity = capacity.clamp(1, Self::MOST);
        let slots = (capacity + capacity / 2 + 2).next_power_of_two();
        Self {
            slots: arena.array(slots),
            links: arena.array(slots),
            oldest: NONE,
            newest: NONE,
            len: 0,
            capacity: u32::try_from(capacity).expect("capacity is at most 2^28"),
            idle,
            clock: 0,
            census,
        }
    }

    /// Asks for the memory that a look-up of `key` will read.
    #[inline(always)]
    pub fn prefetch(&self, key: &Key) {
        mem::prefetch(&raw const self.slots[self.home(key.hash)]);
    }

    /// The word of a living flow, which is used by this and lives on.
    #[inline]
    pub fn lookup(&mut self, key: &Key, now: Now) -> Option<&mut u64> {
        self.use_flow(key, now)
    }

    /// As [`FlowTable::lookup`], in the place of its call: for loops over many packets.
    #[inline(always)]
    pub fn use_flow(&mut self, key: &Key, now: Now) -> Option<&mut u64> {
        self.advance(now);
        let at = self.find(key).filter(|&at| !self.is_old(at))?;
        self.renew(at);
        Some(&mut self.slots[at].value)
    }

    /// The word of a living flow, which does not live longer for it.
    pub fn peek(&mut self, key: &Key, now: Now) -> Option<u64> {
        self.advance(now);
        let at = self.find(key).filter(|&at| !self.is_old(at))?;
        Some(self.slots[at].value)
    }

    /// Takes in a flow, or gives a known one a new word.
    ///
    /// # Errors
    /// When there is no room for it among the living.
    pub fn insert(&mut self, key: &Key, value: u64, now: Now) -> Result<(), Refused> {
        self.advance(now);
        match self.find(key) {
            Some(at) if !self.is_old(at) => {
                self.renew(at);
                self.slots[at].value = value;
                return Ok(());
            }
            Some(at) => self.delete(at),
            None => {}
        }
        // Each new flow sweeps up to two dead ones, so the dead never pile up under load.
        self.sweep(2, 0);
        if self.len == self.capacity {
            return Err(Refused::Full);
        }
        if self.census.as_ref().is_some_and(|census| !census.enter(self.clock)) {
            return Err(Refused::Limit);
        }
        let mut at = self.home(key.hash);
        while self.slots[at].bits != 0 {
            at = self.after(at);
        }
        let tick = self.tick();
        self.slots[at] = Slot { bits: key.bits, value, tick, hash: key.hash };
        self.append(at);
        self.len += 1;
        Ok(())
    }

    /// Ends a flow; returns its word if it was alive.
    pub fn remove(&mut self, key: &Key, now: Now) -> Option<u64> {
        self.advance(now);
        let at = self.find(key)?;
        let Slot { value, tick, .. } = self.slots[at];
        let alive = !self.is_old(at);
        if alive && let Some(census) = &self.census {
            census.leave(tick);
        }
        self.delete(at);
        alive.then_some(value)
    }

    /// Clears away up to `budget` flows that are long dead at `now`; returns how many. Only memory
    /// changes by this, no answer, as long as no packet is over a second older than `now`.
    pub fn expire(&mut self, now: Now, budget: usize) -> usize {
        let ahead = tick_of(now).saturating_sub(self.clock);
        match u32::try_from(ahead) {
            Ok(ahead) => self.sweep(budget, ahead.saturating_sub(GRACE)),
            Err(_) => self.sweep(budget, self.idle + 1),
        }
    }

    /// How many flows are alive at `now`; walks over the dead that are still in memory.
    pub fn len(&self, now: Now) -> usize {
        let ahead = u32::try_from(tick_of(now).saturating_sub(self.clock)).unwrap_or(u32::MAX);
        let mut dead = 0;
        let mut at = self.oldest;
        while at != NONE && self.age(at as usize).saturating_add(ahead) > self.idle {
            dead += 1;
            at = self.links[at as usize].newer;
        }
        self.len as usize - dead
    }

    /// Most flows that the table holds.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// The living flows from the longest idle to the latest used: domain, tuple from the lower to
    /// the higher end, word.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Tuple, u64)> {
        let mut next = self.oldest;
        std::iter::from_fn(move || {
            let at = usize::try_from(next).ok().filter(|_| next != NONE)?;
            next = self.links[at].newer;
            Some(at)
        })
        .filter(|&at| !self.is_old(at))
        .map(|at| {
            let slot = &self.slots[at];
            #[allow(clippy::cast_possible_truncation)] // cut out of its bits
            let domain = (slot.bits >> 16) as u16;
            (domain, tuple_of(slot.bits, Way::Up), slot.value)
        })
    }

    #[inline(always)]
    fn advance(&mut self, now: Now) {
        let tick = match &self.census {
            None => tick_of(now),
            Some(census) => census.advance(now),
        };
        self.clock = self.clock.max(tick);
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // ages are differences modulo 2^32 ticks: 36 years
    fn tick(&self) -> u32 {
        self.clock as u32
    }

    #[inline(always)]
    fn age(&self, at: usize) -> u32 {
        self.tick().wrapping_sub(self.slots[at].tick)
    }

    #[inline(always)]
    fn is_old(&self, at: usize) -> bool {
        self.age(at) > self.idle
    }

    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// Where the key is, alive or dead. Ends because a third of all slots is always empty.
    #[inline(always)]
    fn find(&self, key: &Key) -> Option<usize> {
        let mut at = self.home(key.hash);
        loop {
            let bits = self.slots[at].bits;
            if bits == key.bits {
                return Some(at);
            }
            if bits == 0 {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Marks a flow as used now: nothing to do when it was already used in this tick.
    #[inline(always)]
    fn renew(&mut self, at: usize) {
        let tick = self.tick();
        if self.slots[at].tick != tick {
            self.renew_in_list(at, tick);
        }
    }

    #[inline(never)]
    fn renew_in_list(&mut self, at: usize, tick: u32) {
        if let Some(census) = &self.census {
            census.renew(self.slots[at].tick, self.clock);
        }
        self.slots[at].tick = tick;
        self.unlink(at);
        self.append(at);
    }

    /// Removes up to `budget` of the oldest flows that are dead `ahead` ticks from the clock.
    fn sweep(&mut self, budget: usize, ahead: u32) -> usize {
        let mut swept = 0;
        while swept < budget && self.oldest != NONE {
            let at = self.oldest as usize;
            if self.age(at).saturating_add(ahead) <= self.idle {
                break;
            }
            self.delete(at);
            swept += 1;
        }
        swept
    }

    /// Empties a slot and moves later entries of its run up, so that no probe ends too early.
    fn delete(&mut self, at: usize) {
        self.unlink(at);
        self.len -= 1;
        let mask = self.slots.len() - 1;
        let (mut hole, mut next) = (at, self.after(at));
        while self.slots[next].bits != 0 {
            let home = self.home(self.slots[next].hash);
            // It may move if its home does not lie behind the hole, on the way to where it is.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.slots[hole] = self.slots[next];
                self.relocate(next, hole);
                hole = next;
            }
            next = self.after(next);
        }
        self.slots[hole] = Slot::default();
    }

    /// The entry at `from` stands at `to` now: tells its neighbours in the list.
    fn relocate(&mut self, from: usize, to: usize) {
        let link = self.links[from];
        self.links[to] = link;
        self.join(link.older, index(to));
        self.join(index(to), link.newer);
    }

    fn unlink(&mut self, at: usize) {
        let Link { older, newer } = self.links[at];
        self.join(older, newer);
    }

    fn append(&mut self, at: usize) {
        self.join(self.newest, index(at));
        self.join(index(at), NONE);
    }

    /// Makes two entries neighbours in the list; none stands for its ends.
    fn join(&mut self, older: u32, newer: u32) {
        match self.links.get_mut(older as usize) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
        match self.links.get_mut(newer as usize) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a table has at most 2^29 slots")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::hash5;
    use super::*;

    const TICK: u64 = 1 << 28;

    fn tuple(number: u32) -> Tuple {
        Tuple { src: number, dst: 0x0a00_0001, sport: 1_000, dport: 53, proto: 17 }
    }

    fn key(number: u32) -> Key {
        let Tuple { src, dst, sport, dport, proto } = tuple(number);
        Key::new(1, &tuple(number), hash5(9, src, dst, sport, dport, proto))
    }

    /// A key that wants slot `home`, to make runs.
    fn crowded(number: u32, home: u32) -> Key {
        Key::new(0, &tuple(number), home)
    }

    #[test]
    fn both_directions_find_the_same_word() {
        let mut table = FlowTable::new(&mut Arena::default(), 10, Span::secs(60));
        let there = tuple(5);
        table.insert(&Key::new(1, &there, 77), 42, Now(0)).unwrap();
        let back = Key::new(1, &there.reversed(), 77);
        *table.lookup(&back, Now(1)).unwrap() += 1;
        assert_eq!(table.peek(&Key::new(1, &there, 77), Now(1)), Some(43));
        assert_eq!(table.peek(&Key::new(2, &there, 77), Now(1)), None, "another domain");
        assert_eq!(table.iter().collect::<Vec<_>>(), [(1, there, 43)]);
    }

    #[test]
    fn a_flow_lives_for_its_idle_time_and_is_over_two_ticks_later() {
        let idle = Span::secs(240);
        for start in [0, 1, TICK - 1, 1_700_000_000_000_000_000] {
            let mut table = FlowTable::new(&mut Arena::default(), 4, idle);
            table.insert(&key(1), 0, Now(start)).unwrap();
            assert!(table.peek(&key(1), Now(start) + idle).is_some());
            assert!(table.peek(&key(1), Now(start) + idle + Span(2 * TICK)).is_none());
        }
    }

    #[test]
    fn looking_up_keeps_alive_and_peeking_does_not() {
        let mut table = FlowTable::new(&mut Arena::default(), 4, Span::secs(10));
        table.insert(&key(1), 0, Now(0)).unwrap();
        table.insert(&key(2), 0, Now(0)).unwrap();
        let later = Now(0) + Span::secs(8);
        assert!(table.lookup(&key(1), later).is_some() && table.peek(&key(2), later).is_some());
        let later = Now(0) + Span::secs(16);
        assert!(table.lookup(&key(1), later).is_some() && table.peek(&key(2), later).is_none());
    }

    #[test]
    fn a_full_table_takes_a_flow_as_soon_as_one_is_over() {
        let mut table = FlowTable::new(&mut Arena::default(), 2, Span::secs(10));
        table.insert(&key(1), 0, Now(0)).unwrap();
        table.insert(&key(2), 0, Now(0) + Span::secs(5)).unwrap();
        let late = Now(0) + Span::secs(9);
        assert_eq!(table.insert(&key(3), 0, late), Err(Refused::Full));
        assert_eq!(table.insert(&key(2), 7, late), Ok(()), "known already");
        let later = Now(0) + Span::secs(11);
        assert_eq!(table.len(later), 1);
        assert_eq!(table.insert(&key(3), 0, later), Ok(()));
        assert_eq!(table.insert(&key(4), 0, later), Err(Refused::Full));
        assert_eq!(DropReason::from(Refused::Full), DropReason::FlowTableFull);
    }

    #[test]
    fn a_census_counts_over_all_tables_and_refuses_above_its_limit() {
        let census = Arc::new(Census::new(Span::secs(10), 3));
        let mut one = FlowTable::counted(&mut Arena::default(), 10, Arc::clone(&census));
        let mut two = FlowTable::counted(&mut Arena::default(), 10, Arc::clone(&census));
        let at = |seconds| Now(0) + Span::secs(seconds);
        one.insert(&key(1), 0, at(0)).unwrap();
        two.insert(&key(2), 0, at(0)).unwrap();
        two.insert(&key(3), 0, at(5)).unwrap();
        assert_eq!(one.insert(&key(4), 0, at(6)), Err(Refused::Limit));
        assert_eq!(DropReason::from(Refused::Limit), DropReason::GatewayFlows);
        assert!(two.lookup(&key(2), at(6)).is_some());
        // Key 1 is over, and nobody has swept it yet.
        assert_eq!(census.known(at(11)), 2);
        assert!(one.peek(&key(1), at(11)).is_none());
        two.insert(&key(4), 0, at(11)).unwrap();
        assert_eq!(two.remove(&key(3), at(11)), Some(0));
        assert_eq!(census.known(at(11)), 2);
    }

    #[test]
    fn expiring_frees_memory_within_its_budget_and_spares_the_living() {
        let mut table = FlowTable::new(&mut Arena::default(), 100, Span::secs(10));
        for i in 0..50 {
            table.insert(&key(i), 0, Now(0)).unwrap();
        }
        table.insert(&key(50), 0, Now(0) + Span::secs(9)).unwrap();
        let late = Now(0) + Span::secs(13);
        assert_eq!(table.expire(late, 20), 20);
        assert_eq!(table.expire(late, usize::MAX), 30);
        assert_eq!((table.len, table.len(late)), (1, 1));
        assert_eq!(table.expire(Now(u64::MAX), usize::MAX), 1);
        assert_eq!((table.oldest, table.newest), (NONE, NONE));
    }

    #[test]
    fn no_size_or_time_makes_it_panic() {
        let mut table = FlowTable::new(&mut Arena::default(), 0, Span(u64::MAX));
        assert_eq!(table.capacity(), 1);
        table.insert(&key(1), 0, Now(u64::MAX)).unwrap();
        assert!(table.lookup(&key(1), Now(0)).is_some(), "time does not go back");
        assert_eq!(table.expire(Now(u64::MAX), 9), 0);
    }

    /// What can be done to a table.
    #[derive(Clone, Debug)]
    enum Op {
        Lookup(u32),
        Peek(u32),
        Insert(u32, u64),
        Remove(u32),
        Expire(usize),
        Wait(u64),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (0u32..40).prop_map(Op::Lookup),
            1 => (0u32..40).prop_map(Op::Peek),
            6 => (0u32..40, any::<u64>()).prop_map(|(key, value)| Op::Insert(key, value)),
            2 => (0u32..40).prop_map(Op::Remove),
            1 => (0usize..8).prop_map(Op::Expire),
            3 => (0u64..3 * TICK).prop_map(Op::Wait),
        ];
        prop::collection::vec(op, 1..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn answers_are_those_of_a_map_that_never_expires_early_or_late(
            ops in ops(), capacity in 1usize..24, limit in 1u64..24, counted in any::<bool>(),
        ) {
            let idle = 5;
            let census = Arc::new(Census::new(Span(idle * TICK), limit));
            let mut table = if counted {
                FlowTable::counted(&mut Arena::default(), capacity, Arc::clone(&census))
            } else {
                FlowTable::new(&mut Arena::default(), capacity, Span(idle * TICK))
            };
            // Few homes, some at the end of the table, so that runs are long and wrap.
            let key = |n: u32| crowded(n, if n.is_multiple_of(3) { u32::MAX - n % 2 } else { n % 4 });
            let mut model: HashMap<u32, (u64, u64)> = HashMap::new();
            let mut now = Now(1 << 50);
            for op in ops {
                let tick = now.0 / TICK;
                let alive = |entry: &(u64, u64)| tick - entry.1 <= idle;
                model.retain(|_, entry| alive(entry));
                match op {
                    Op::Wait(span) => now = now + Span(span),
                    Op::Expire(budget) => {
                        table.expire(now, budget);
                    }
                    Op::Peek(n) => {
                        prop_assert_eq!(table.peek(&key(n), now), model.get(&n).map(|e| e.0));
                    }
                    Op::Lookup(n) => {
                        let found = table.lookup(&key(n), now).copied();
                        prop_assert_eq!(found, model.get(&n).map(|e| e.0));
                        if let Some(entry) = model.get_mut(&n) {
                            entry.1 = tick;
                        }
                    }
                    Op::Remove(n) => {
                        let removed = model.remove(&n).map(|e| e.0);
                        prop_assert_eq!(table.remove(&key(n), now), removed);
                    }
                    Op::Insert(n, value) => {
                        let new = !model.contains_key(&n);
                        let wanted = if new && model.len() == capacity {
                            Err(Refused::Full)
                        } else if new && counted && model.len() as u64 == limit {
                            Err(Refused::Limit)
                        } else {
                            model.insert(n, (value, tick));
                            Ok(())
                        };
                        prop_assert_eq!(table.insert(&key(n), value, now), wanted);
                    }
                }
                let tick = now.0 / TICK;
                let living = model.values().filter(|entry| tick - entry.1 <= idle).count();
                prop_assert_eq!(table.len(now), living);
                if counted {
                    prop_assert_eq!(census.known(now), living as u64);
                }
            }
        }
    }
}
