//! What would a full Internet table look like? A seeded one for benches and tests.
//!
//! Two things make a real table what it is to a look-up, and both are imitated: the mix of prefix
//! lengths, and that prefixes lie in clumps, nested in the blocks that registries gave out. The
//! same seed makes the same table on every machine. It is not a copy of any network's routes.

use std::collections::HashSet;

use super::prefix::{Prefix as _, Prefix4};
use crate::ids::NextHopId;

/// Share of each prefix length in 10,000 routes: up to 24 bits as in global tables of the middle
/// 2020s, beyond that the few that a provider's own network adds.
const LENGTHS: [(u8, u32); 21] = [
    (24, 6000),
    (22, 1100),
    (23, 1000),
    (21, 500),
    (20, 500),
    (19, 300),
    (18, 150),
    (16, 150),
    (17, 100),
    (15, 30),
    (14, 15),
    (13, 8),
    (12, 4),
    (11, 2),
    (10, 1),
    (25, 20),
    (26, 20),
    (28, 20),
    (29, 20),
    (30, 20),
    (32, 40),
];

/// A small generator of numbers (SplitMix64: Steele, Lea, Flood 2014): seeded, fast, not secret.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number's upper half.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `end`, or 0 when that is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(end)) >> 32) as u32
    }
}

/// `len` routes, at most 2,000,000, in random order, to next hops 1 to `hops`.
pub fn internet(seed: u64, len: usize, hops: u32) -> Vec<(Prefix4, NextHopId)> {
    let len = len.min(2_000_000);
    let mut numbers = Numbers::new(seed);
    let blocks = allocations(&mut numbers);
    let mut seen = HashSet::with_capacity(len);
    let mut routes = Vec::with_capacity(len);
    let mut clump = Clump { inside: blocks[0], next: 0, left: 0 };
    while routes.len() < len {
        let bits = length(&mut numbers);
        // Tried again where the place is taken, so that the mix stays as it should be; not for
        // ever, since a large table may use a short length up.
        for _ in 0..8 {
            if clump.left == 0 || bits <= clump.inside.len() {
                clump = Clump::new(&mut numbers, &blocks);
            }
            let prefix = clump.prefix(&mut numbers, bits);
            if seen.insert(prefix) {
                routes.push((prefix, NextHopId(1 + numbers.below(hops.max(1)))));
                break;
            }
        }
    }
    routes
}

/// Addresses that lie in random routes of `routes`, each at a random place in it.
pub fn addresses_inside(seed: u64, routes: &[(Prefix4, NextHopId)], len: usize) -> Vec<u32> {
    let mut numbers = Numbers::new(seed);
    let count = u32::try_from(routes.len()).unwrap_or(u32::MAX);
    (0..len)
        .map(|_| {
            let place = numbers.next_u32();
            let route = routes.get(numbers.below(count) as usize);
            route.map_or(place, |(prefix, _)| {
                prefix.addr() | (place & (prefix.last_addr() - prefix.addr()))
            })
        })
        .collect()
}

/// Addresses from everywhere.
pub fn addresses_uniform(seed: u64, len: usize) -> Vec<u32> {
    let mut numbers = Numbers::new(seed);
    (0..len).map(|_| numbers.next_u32()).collect()
}

/// A run of neighbouring routes of one holder: what follows is near, and may lie inside.
struct Clump {
    inside: Prefix4,
    next: u32,
    left: u32,
}

impl Clump {
    fn new(numbers: &mut Numbers, blocks: &[Prefix4]) -> Self {
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        // The lower of two draws: some holders announce far more than others.
        let block = numbers.below(count).min(numbers.below(count));
        let inside = blocks[block as usize];
        let size = inside.last_addr() - inside.addr();
        Self { inside, next: inside.addr() + numbers.below(size), left: 4 + numbers.below(60) }
    }

    fn prefix(&mut self, numbers: &mut Numbers, bits: u8) -> Prefix4 {
        self.left -= 1;
        let prefix = Prefix4::around(self.next, bits);
        // Three of four times on to the neighbour; else stay, so that the next one may nest.
        if numbers.below(4) != 0 {
            let (first, last) = (self.inside.addr(), self.inside.last_addr());
            let after = prefix.last_addr().checked_add(1).filter(|addr| *addr <= last);
            self.next = after.unwrap_or(first);
        }
        prefix
    }
}

/// Blocks that a registry may have given out: the unicast space, cut at random.
fn allocations(numbers: &mut Numbers) -> Vec<Prefix4> {
    let mut blocks = Vec::new();
    let mut open: Vec<Prefix4> = (1..224)
        .filter(|first| ![10, 127].contains(first))
        .map(|first| Prefix4::around(first << 24, 8))
        .collect();
    while let Some(block) = open.pop() {
        // From /8 on ever fewer cuts, none beyond /20.
        if block.len() < 20 && numbers.below(20) >= u32::from(block.len()) - 6 {
            let len = block.len() + 1;
            open.extend([block.addr(), block.last_addr()].map(|addr| Prefix4::around(addr, len)));
        } else {
            blocks.push(block);
        }
    }
    // In random order, so that busy holders are everywhere.
    for i in (1..blocks.len()).rev() {
        let other = numbers.below(u32::try_from(i).unwrap_or(u32::MAX)) as usize;
        blocks.swap(i, other);
    }
    blocks
}

fn length(numbers: &mut Numbers) -> u8 {
    let mut pick = numbers.below(LENGTHS.iter().map(|(_, share)| share).sum());
    for (len, share) in LENGTHS {
        if pick < share {
            return len;
        }
        pick -= share;
    }
    24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_table() {
        assert_eq!(internet(1, 5_000, 16), internet(1, 5_000, 16));
        assert_ne!(internet(1, 100, 16), internet(2, 100, 16));
    }

    #[test]
    fn routes_are_distinct_and_three_fifths_are_of_24_bits() {
        let routes = internet(7, 50_000, 16);
        let distinct: HashSet<Prefix4> = routes.iter().map(|(prefix, _)| *prefix).collect();
        assert_eq!(distinct.len(), 50_000);
        let of_24 = distinct.iter().filter(|prefix| prefix.len() == 24).count();
        assert!((29_000..32_500).contains(&of_24), "{of_24}");
        assert!(routes.iter().all(|(_, hop)| (1..=16).contains(&hop.0)));
    }

    #[test]
    fn addresses_inside_lie_inside_a_route() {
        let routes = internet(7, 1_000, 16);
        let trie: super::super::Trie<_, _> = routes.iter().copied().collect();
        let addrs = addresses_inside(3, &routes, 1_000);
        assert!(addrs.iter().all(|addr| trie.longest_match(*addr).is_some()));
        assert_eq!(addresses_inside(3, &[], 4).len(), 4);
    }
}
