//! How many flows does a gateway know, over all shards, at this moment?
//!
//! A ring of counters, one per tick of time, holds how many flows were last used in that tick;
//! when a tick falls out of the idle time, its flows leave the total together. So the total is
//! exact at every tick without anybody walking tables. Workers share a census by reference; each
//! flow costs it a few atomic additions per tick in which the flow is used, not per packet.

use crossbeam::utils::CachePadded;

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::time::{Now, Span};

/// One tick is 2^28 ns, 0.27 s: the grain in which flows age.
const TICK_BITS: u32 = 28;

/// The tick that `now` lies in.
#[inline(always)]
pub(super) const fn tick_of(now: Now) -> u64 {
    now.0 >> TICK_BITS
}

/// Whole ticks that cover `idle`, at most 2^20 of them (over three days).
pub(super) const fn ticks_in(idle: Span) -> u32 {
    let ticks = idle.0.div_ceil(1 << TICK_BITS);
    let most = 1 << 20;
    #[allow(clippy::cast_possible_truncation)] // at most 2^20
    let ticks = if ticks > most { most as u32 } else { ticks as u32 };
    if ticks == 0 { 1 } else { ticks }
}

/// The number of known flows, shared by the flow tables of all shards.
#[derive(Debug)]
pub struct Census {
    clock: CachePadded<AtomicU64>,
    known: CachePadded<AtomicU64>,
    /// Flows last used in each tick; place = tick modulo length, longer than the idle time.
    ring: Box<[AtomicU32]>,
    idle: u32,
    limit: u64,
}

impl Census {
    /// A census of flows that live for `idle` after their last packet, `limit` of them at most.
    pub fn new(idle: Span, limit: u64) -> Self {
        let idle = ticks_in(idle);
        let len = (idle as usize + 2).next_power_of_two();
        Self {
            clock: CachePadded::default(),
            known: CachePadded::default(),
            ring: (0..len).map(|_| AtomicU32::new(0)).collect(),
            idle,
            limit,
        }
    }

    /// How many flows are known at `now`.
    pub fn known(&self, now: Now) -> u64 {
        self.advance(now);
        self.known.load(Ordering::Relaxed)
    }

    /// The most flows there may be.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The idle time in ticks.
    pub(super) fn idle(&self) -> u32 {
        self.idle
    }

    /// Moves the clock, which never goes back, and lets go of flows that were idle for too long.
    /// Returns the tick that all shards live in.
    #[inline]
    pub(super) fn advance(&self, now: Now) -> u64 {
        let tick = tick_of(now);
        let mut clock = self.clock.load(Ordering::Acquire);
        while tick > clock {
            let order = Ordering::AcqRel;
            match self.clock.compare_exchange_weak(clock, tick, order, Ordering::Acquire) {
                Ok(_) => {
                    self.retire(clock, tick);
                    return tick;
                }
                Err(newer) => clock = newer,
            }
        }
        clock
    }

    /// Takes out the flows of the ticks that were within the idle time at `from` and no longer
    /// are at `to`.
    #[cold]
    fn retire(&self, from: u64, to: u64) {
        let idle = u64::from(self.idle);
        let len = self.ring.len() as u64;
        // Ticks from - idle ..= to - idle - 1, written without going below zero; when time jumped
        // by more than the ring, each place once.
        let first = from + len - idle;
        let last = first + (to - from).min(len);
        let gone: u64 =
            (first..last).map(|tick| u64::from(self.at(tick).swap(0, Ordering::AcqRel))).sum();
        self.known.fetch_sub(gone, Ordering::AcqRel);
    }

    /// Counts a new flow, unless there are as many as may be.
    pub(super) fn enter(&self, tick: u64) -> bool {
        let (set, fetch) = (Ordering::AcqRel, Ordering::Relaxed);
        let below = |known| (known < self.limit).then_some(known + 1);
        let entered = self.known.fetch_update(set, fetch, below).is_ok();
        if entered {
            self.at(tick).fetch_add(1, Ordering::AcqRel);
        }
        entered
    }

    /// A flow that was last used in tick `from` (its low bits) is used again in `to`.
    pub(super) fn renew(&self, from: u32, to: u64) {
        if !self.take(from) {
            // A worker whose clock runs ahead let it go in this very moment; it lives.
            self.known.fetch_add(1, Ordering::AcqRel);
        }
        self.at(to).fetch_add(1, Ordering::AcqRel);
    }

    /// A flow that was last used in tick `from` ends before its time.
    pub(super) fn leave(&self, from: u32) {
        if self.take(from) {
            self.known.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn take(&self, tick: u32) -> bool {
        let (set, fetch) = (Ordering::AcqRel, Ordering::Relaxed);
        self.at(u64::from(tick)).fetch_update(set, fetch, |n| n.checked_sub(1)).is_ok()
    }

    /// The counter of `tick`, of which the low 32 bits suffice.
    #[inline(always)]
    fn at(&self, tick: u64) -> &AtomicU32 {
        #[allow(clippy::cast_possible_truncation)] // masked
        &self.ring[tick as usize & (self.ring.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 1 << TICK_BITS;

    #[test]
    fn flows_leave_together_when_their_tick_does() {
        let census = Census::new(Span(10 * TICK), 3);
        let start = census.advance(Now(1_000_000 * TICK));
        assert!(census.enter(start) && census.enter(start) && census.enter(start));
        assert!(!census.enter(start), "the limit");
        let later = census.advance(Now((start + 4) * TICK));
        census.renew(u32::try_from(start).unwrap(), later);
        assert_eq!(census.known(Now((start + 10) * TICK)), 3, "idle for ten ticks is not too long");
        assert_eq!(census.known(Now((start + 11) * TICK)), 1);
        assert_eq!(census.known(Now((start + 11) * TICK - 5)), 1, "time does not go back");
        assert_eq!(census.known(Now((start + 15) * TICK)), 0);
    }

    #[test]
    fn a_long_silence_lets_everything_go() {
        let census = Census::new(Span::secs(240), 100);
        let tick = census.advance(Now(5 * TICK));
        assert!(census.enter(tick));
        assert_eq!(census.known(Now(u64::MAX)), 0);
    }

    #[test]
    fn ending_a_flow_makes_room() {
        let census = Census::new(Span::secs(60), 1);
        let tick = census.advance(Now(0));
        assert!(census.enter(tick));
        census.leave(0);
        census.leave(0);
        assert_eq!(census.known(Now(0)), 0, "a flow that left before does not leave twice");
        assert!(census.enter(tick));
    }

    #[test]
    fn workers_with_clocks_apart_never_lose_count() {
        let census = Census::new(Span(4 * TICK), 10_000);
        let run = |ahead: u64| {
            for i in 0..20_000u64 {
                let tick = census.advance(Now((i / 50 + ahead) * TICK));
                if census.enter(tick) && i % 3 == 0 {
                    let old = u32::try_from(tick).unwrap();
                    census.renew(old, census.advance(Now((i / 50 + 1 + ahead) * TICK)));
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| run(0));
            scope.spawn(|| run(3));
        });
        let in_ring: u64 = census.ring.iter().map(|n| u64::from(n.load(Ordering::Relaxed))).sum();
        assert_eq!(census.known.load(Ordering::Relaxed), in_ring);
        assert_eq!(census.known(Now(1 << 60)), 0);
    }
}
