//! Which shard owns an inside address or an outside port, and which ports may a shard give out?
//!
//! The partition is fixed arithmetic, so that steering programs can compute it too: an inside
//! address by a multiplicative hash, an outside port by bits 1 to 6, which leaves each shard even
//! and odd ports in pairs all over the range.

use crate::ids::{SHARDS, ShardId};

use super::config::PortRange;
use super::rng::below;

const _: () = assert!(SHARDS == 64, "both partitions take six bits");

/// Multiplier of the hash of inside addresses; [`shard_of_inside`] takes the product's top 6 bits.
pub const INSIDE_MULTIPLIER: u32 = 0x9e37_79b1;

/// Ports between two pairs of one shard.
const STRIDE: u32 = 128;

/// The shard that owns all state of an inside address.
#[inline(always)]
pub const fn shard_of_inside(address: u32) -> ShardId {
    ShardId((address.wrapping_mul(INSIDE_MULTIPLIER) >> 26) as u8)
}

/// The shard that gives out an outside port or ICMP query identifier.
#[inline(always)]
pub const fn shard_of_outside(port: u16) -> ShardId {
    ShardId(((port >> 1) & 63) as u8)
}

/// The ports of every pool address that one shard may give out.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortSet {
    shard: u32,
    range: PortRange,
    first_block: u32,
    slots: u32,
}

impl PortSet {
    pub(super) fn new(shard: ShardId, range: PortRange) -> Self {
        let first_block = u32::from(range.first) / STRIDE;
        let blocks = (u32::from(range.last) / STRIDE + 1).saturating_sub(first_block);
        Self { shard: u32::from(shard.0), range, first_block, slots: blocks * 2 }
    }

    fn port(&self, slot: u32) -> Option<u16> {
        let port = (self.first_block + slot / 2) * STRIDE + self.shard * 2 + slot % 2;
        let port = u16::try_from(port).ok()?;
        (self.range.first <= port && port <= self.range.last).then_some(port)
    }

    /// All ports of the set, each once, in an order that `draw` picks: a random start and a random
    /// stride, so that neither the first choice nor the next after a collision can be guessed
    /// (RFC 6056 3.3).
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the draw")]
    pub(super) fn candidates(self, draw: u64) -> impl Iterator<Item = u16> {
        let n = self.slots;
        let start = below(draw as u32, n);
        let mut step = 1 + below((draw >> 32) as u32, n.saturating_sub(1).max(1));
        while step > 1 && gcd(step, n) != 1 {
            step -= 1;
        }
        (0..n)
            .scan(start, move |slot, _| {
                let this = *slot;
                *slot = (this + step) % n;
                Some(this)
            })
            .filter_map(move |slot| self.port(slot))
    }
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: PortRange = PortRange { first: 1024, last: 65535 };

    #[test]
    fn every_port_belongs_to_exactly_one_shard() {
        let mut owner = vec![None; 65536];
        for shard in (0..64).map(ShardId) {
            for port in PortSet::new(shard, ALL).candidates(0x1234_5678_9abc_def0) {
                assert_eq!(shard_of_outside(port), shard);
                assert_eq!(owner[usize::from(port)].replace(shard), None, "port {port} twice");
            }
        }
        assert!(owner[..1024].iter().all(Option::is_none));
        assert!(owner[1024..].iter().all(Option::is_some));
    }

    #[test]
    fn every_draw_visits_every_port_once() {
        let set = PortSet::new(ShardId(5), PortRange { first: 1500, last: 9000 });
        let expected: Vec<u16> = (1500..=9000).filter(|&p| shard_of_outside(p).0 == 5).collect();
        for draw in (0..500u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let mut ports: Vec<u16> = set.candidates(draw).collect();
            ports.sort_unstable();
            assert_eq!(ports, expected);
        }
    }

    #[test]
    fn inside_addresses_of_one_prefix_spread_over_the_shards() {
        let mut count = [0; 64];
        for host in 0..65536u32 {
            count[shard_of_inside(0x0a00_0000 + host).index()] += 1;
        }
        assert!(count.iter().all(|&c| (900..1150).contains(&c)), "{count:?}");
    }
}
