//! Longest prefix match alone, 64 addresses at a time.

use std::sync::Arc;

use thruway::fib::{Fib, synth};
use thruway::frame::BATCH;
use thruway::ids::NextHopId;

use super::{Scenario, Work};

/// Addresses that are looked up again and again.
const ADDRESSES: usize = 1 << 14;
const SEED: u64 = 1;

pub(super) fn all() -> Vec<Scenario> {
    let sizes = [("10", 10), ("10k", 10_000), ("1M", 1_000_000)];
    let pair = |(name, len)| {
        [
            Scenario::new(format!("fib/hit/ipv4/{name}"), BATCH, move || Lookups::new(len, true)),
            Scenario::new(format!("fib/miss/ipv4/{name}"), BATCH, move || Lookups::new(len, false)),
        ]
    };
    sizes.into_iter().flat_map(pair).collect()
}

struct Lookups {
    fib: Arc<Fib>,
    addresses: Vec<u32>,
    at: usize,
    found: [NextHopId; BATCH],
    hit: bool,
}

impl Lookups {
    fn new(len: usize, hit: bool) -> Self {
        let routes = synth::internet(SEED, len, 64);
        let fib = Fib::build(routes.iter().copied()).expect("the table has room");
        let addresses = if hit {
            synth::addresses_inside(SEED, &routes, ADDRESSES)
        } else {
            let mut numbers = synth::Numbers::new(SEED);
            let mut draw = || numbers.next_u32();
            let nowhere = |address: &u32| fib.lookup(*address) == NextHopId(0);
            std::iter::repeat_with(&mut draw).filter(nowhere).take(ADDRESSES).collect()
        };
        Self { fib, addresses, at: 0, found: [NextHopId(0); BATCH], hit }
    }
}

impl Work for Lookups {
    fn prepare(&mut self) {
        self.at = (self.at + BATCH) % self.addresses.len();
    }

    fn run(&mut self) {
        self.fib.lookup_batch(&self.addresses[self.at..self.at + BATCH], &mut self.found);
    }

    fn settle(&mut self) {
        assert!(self.found.iter().all(|hop| (*hop != NextHopId(0)) == self.hit));
    }
}
