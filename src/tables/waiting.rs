//! How many frames wait for a neighbour, over all workers? So that three wait for each and not
//! three at each worker: what a packet meets does not depend on how many workers there are.
//!
//! Places on connected prefixes share counters by hash; two that collide share their three places.

use crate::ids::{AttachmentId, NeighbourId};
use crate::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Most frames that wait for one neighbour.
pub const HELD_EACH: u8 = 3;
/// Most frames that wait at all workers together.
pub const HELD_MOST: usize = 1024;

/// What a held frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A known neighbour's MAC address.
    Neighbour(NeighbourId),
    /// An address on a connected prefix that nobody has asked for yet.
    Address(AttachmentId, u32),
}

/// No place is left to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Whether others wait for the same neighbour.
    pub others_wait: bool,
}

/// The number of frames that wait, for each neighbour and in all.
#[derive(Debug)]
pub struct Waiting {
    neighbours: Box<[AtomicU8]>,
    addresses: Box<[AtomicU8]>,
    all: AtomicUsize,
}

/// Counters of addresses on connected prefixes.
const ADDRESSES: usize = if cfg!(thruway_loom) { 2 } else { 1 << 14 };

impl Waiting {
    /// Nobody waits for neighbours 0 to `neighbours` - 1.
    pub fn new(neighbours: usize) -> Self {
        let counters = |len: usize| (0..len.max(1)).map(|_| AtomicU8::new(0)).collect();
        Self {
            neighbours: counters(neighbours),
            addresses: counters(ADDRESSES),
            all: AtomicUsize::new(0),
        }
    }

    fn counter(&self, waits_for: WaitsFor) -> &AtomicU8 {
        match waits_for {
            WaitsFor::Neighbour(id) => &self.neighbours[id.index() % self.neighbours.len()],
            WaitsFor::Address(attachment, address) => {
                let mixed = address.wrapping_add(u32::from(attachment.0) << 16);
                let mixed = mixed.wrapping_mul(0x9e37_79b1);
                &self.addresses[(mixed ^ mixed >> 16) as usize % ADDRESSES]
            }
        }
    }

    /// Takes a place for one frame.
    ///
    /// # Errors
    /// When none is left.
    pub fn enter(&self, waits_for: WaitsFor) -> Result<(), Full> {
        let (set, fetch) = (Ordering::AcqRel, Ordering::Relaxed);
        let counter = self.counter(waits_for);
        let below = |n: u8| (n < HELD_EACH).then_some(n + 1);
        let before = counter.fetch_update(set, fetch, below);
        let before = before.map_err(|_| Full { others_wait: true })?;
        let below = |n: usize| (n < HELD_MOST).then_some(n + 1);
        if self.all.fetch_update(set, fetch, below).is_err() {
            counter.fetch_sub(1, set);
            return Err(Full { others_wait: before > 0 });
        }
        Ok(())
    }

    /// Gives the place of a frame back that had entered.
    pub fn leave(&self, waits_for: WaitsFor) {
        self.counter(waits_for).fetch_sub(1, Ordering::AcqRel);
        self.all.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_frames_wait_for_each_neighbour_and_a_thousand_in_all() {
        let waiting = Waiting::new(2000);
        let place = |n| WaitsFor::Neighbour(NeighbourId(n));
        for _ in 0..3 {
            assert_eq!(waiting.enter(place(7)), Ok(()));
        }
        assert_eq!(waiting.enter(place(7)), Err(Full { others_wait: true }));
        waiting.leave(place(7));
        assert_eq!(waiting.enter(place(7)), Ok(()));
        let entered = (100..2000).filter(|n| waiting.enter(place(*n)).is_ok()).count();
        assert_eq!(entered, HELD_MOST - 3);
        assert_eq!(waiting.enter(place(1999)), Err(Full { others_wait: false }));
        waiting.leave(place(7));
        let address = WaitsFor::Address(AttachmentId(1), 0x0a00_0001);
        assert_eq!(waiting.enter(address), Ok(()));
    }
}
