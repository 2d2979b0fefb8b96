//! One hash for both directions of a flow: it picks the shard, the place in tables, and the path
//! among equal-cost ones.

use crate::ids::{SHARDS, ShardId};

/// Odd constants with no structure (the fractional parts of the square roots of 2 and 3).
const K0: u64 = 0x6a09_e667_f3bc_c909;
const K1: u64 = 0xbb67_ae85_84ca_a73b;

/// The hash of a 5-tuple, the same in both directions. Addresses and ports are in host order;
/// ports are 0 where there are none. Whoever knows `seed` can make collisions: keep it secret and
/// the same for the life of all tables.
#[inline(always)]
pub const fn hash5(seed: u64, src: u32, dst: u32, sport: u16, dport: u16, proto: u8) -> u32 {
    let a = (src as u64) << 16 | sport as u64;
    let b = (dst as u64) << 16 | dport as u64;
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mixed = fold(low ^ seed, high ^ K0 ^ ((proto as u64) << 48));
    let mixed = fold(mixed ^ K1, seed ^ K0);
    (mixed >> 32) as u32
}

/// The part of all session state that a flow with this hash belongs to.
#[inline(always)]
pub const fn shard_of(hash: u32) -> ShardId {
    const { assert!(SHARDS == 64) };
    ShardId((hash >> 26) as u8)
}

/// Both halves of the 128-bit product, one upon the other.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // the halves are what is wanted
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_directions_have_one_hash(
            seed in any::<u64>(), src in any::<u32>(), dst in any::<u32>(), sport in any::<u16>(),
            dport in any::<u16>(), proto in any::<u8>(),
        ) {
            prop_assert_eq!(
                hash5(seed, src, dst, sport, dport, proto),
                hash5(seed, dst, src, dport, sport, proto)
            );
        }
    }

    /// Chi-square of `values` over `cells`, per degree of freedom: about 1 when they are even.
    fn unevenness(values: impl Iterator<Item = usize>, cells: usize) -> f64 {
        let mut counts = vec![0u32; cells];
        let mut total = 0.0;
        for value in values {
            counts[value] += 1;
            total += 1.0;
        }
        let fair = total / cells as f64;
        let sum: f64 = counts.iter().map(|&n| (f64::from(n) - fair).powi(2) / fair).sum();
        sum / (cells - 1) as f64
    }

    #[test]
    fn orderly_tuples_spread_evenly_over_shards_and_slots() {
        for seed in [0x1234_5678_9abc_def0, 42, u64::MAX] {
            // One client port after the other, one host after the other, and both.
            let tuples = |i: u32| {
                let port = u16::try_from(1024 + i % 60_000).unwrap();
                [
                    hash5(seed, 0x0a00_0001, 0x0a0a_0104, port, 443, 6),
                    hash5(seed, 0x0a00_0000 + i, 0x0a0a_0104, 40_000, 443, 6),
                    hash5(seed, 0x0a00_0000 + i % 256, 0x0a0a_0100 + i / 256, port, 53, 17),
                ]
            };
            for kind in 0..3 {
                let hashes: Vec<_> = (0..60_000).map(|i| tuples(i)[kind]).collect();
                let shards = hashes.iter().map(|&h| shard_of(h).index());
                let slots = hashes.iter().map(|&h| h as usize & 0xfff);
                for even in [unevenness(shards, 64), unevenness(slots, 4096)] {
                    assert!((0.4..1.9).contains(&even), "kind {kind}: {even}");
                }
            }
        }
    }

    #[test]
    fn one_flipped_bit_changes_half_of_the_hash() {
        let seed = 0x0123_4567_89ab_cdef;
        let base = hash5(seed, 0x0a01_0203, 0x0a0a_0104, 40_000, 443, 6);
        let mut flips = 0;
        for bit in 0..32 {
            flips += (base ^ hash5(seed, 0x0a01_0203 ^ 1 << bit, 0x0a0a_0104, 40_000, 443, 6))
                .count_ones();
            flips += (base ^ hash5(seed, 0x0a01_0203, 0x0a0a_0104 ^ 1 << bit, 40_000, 443, 6))
                .count_ones();
        }
        assert!((13..=19).contains(&(flips / 64)), "{flips}");
    }
}
