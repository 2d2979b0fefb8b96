//! Which shard owns an inside address or an outside port, and which ports may a shard give out?
//!
//! The partition is fixed arithmetic over the pool, so that both directions of a translation and
//! any number of workers agree on it without asking.
//!
//! - An inside address belongs to a shard by a multiplicative hash.
//! - A pool address has 64 *slices*: the ports with equal bits 1 to 6, even and odd ones in pairs
//!   all over the range. The slices of a pool of `n` addresses in a row, address by address, are
//!   cut into 64 equal shares: shard `s` gives out the slices from `s * n` to `(s + 1) * n`.
//!
//! So every shard has the same number of ports, on as few addresses as can be. An inside host
//! keeps to one address (RFC 4787 REQ-2), and finds all the ports there that its shard has, or at
//! least half of them where the share crosses from one address to the next.

use std::cmp::Reverse;

use crate::ids::{SHARDS, ShardId};

use super::config::PortRange;
use super::rng::below;
use super::session::Proto;
use crate::time::Now;

const _: () = assert!(SHARDS == 64, "an address has as many slices, by six bits of the port");

/// Multiplier of the hash of inside addresses; [`shard_of_inside`] takes the product's top 6 bits.
pub const INSIDE_MULTIPLIER: u32 = 0x9e37_79b1;

/// Slices of an address.
const SLICES: u32 = 64;
/// Ports between two pairs of one slice.
const STRIDE: u32 = 2 * SLICES;
/// Ports that are tried one after the other, and known as full together.
pub(super) const GROUP: u32 = 64;

/// The shard that owns all state of an inside address.
#[inline(always)]
pub const fn shard_of_inside(address: u32) -> ShardId {
    ShardId((address.wrapping_mul(INSIDE_MULTIPLIER) >> 26) as u8)
}

/// The slice of its address that a port or ICMP query identifier is in.
#[inline(always)]
const fn slice(port: u16) -> u8 {
    ((port >> 1) & 63) as u8
}

/// Addresses without a gap, and the place of the first in the pool.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u32,
    last: u32,
    place: u32,
}

/// The outside addresses of dynamic mappings, and who gives out their ports.
#[derive(Clone, Debug)]
pub struct Pool {
    addresses: Vec<u32>,
    /// In the order of addresses.
    runs: Vec<Run>,
    /// 2^38 divided by the number of addresses, rounded up: with fewer than 2^22 slices and at
    /// most 2^16 addresses, the top of a product with this is the quotient, exactly.
    reciprocal: u64,
}

/// The slices of one pool address that one shard has: `len` of them from `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) address: u32,
    first: u32,
    len: u32,
}

impl Pool {
    /// A pool of these addresses, each of which comes once; at most [`super::config::MAX_POOL`].
    pub(super) fn new(addresses: Vec<u32>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (place, &address) in (0u32..).zip(&addresses) {
            match runs.last_mut() {
                Some(run) if run.last.checked_add(1) == Some(address) => run.last = address,
                _ => runs.push(Run { first: address, last: address, place }),
            }
        }
        runs.sort_unstable_by_key(|run| run.first);
        let reciprocal = (1u64 << 38).div_ceil(addresses.len().max(1) as u64);
        Self { addresses, runs, reciprocal }
    }

    /// The addresses, in the order of the configuration.
    pub fn addresses(&self) -> &[u32] {
        &self.addresses
    }

    /// The shard that gives out this port or ICMP query identifier; of an address that is not of
    /// the pool, some shard.
    #[inline]
    pub fn shard_of(&self, address: u32, port: u16) -> ShardId {
        let after = self.runs.partition_point(|run| run.first <= address);
        let run = after.checked_sub(1).map(|at| self.runs[at]);
        let Some(run) = run.filter(|run| address <= run.last) else {
            return ShardId(slice(port));
        };
        let number = (run.place + (address - run.first)) * SLICES + u32::from(slice(port));
        ShardId(((u64::from(number) * self.reciprocal) >> 38 & 63) as u8)
    }

    /// What a shard has of the pool, the largest shares first.
    pub(super) fn shares(&self, shard: ShardId) -> Vec<Share> {
        let n = u32::try_from(self.addresses.len()).expect("pools are limited");
        let (mut at, end) = (u32::from(shard.0) * n, (u32::from(shard.0) + 1) * n);
        let mut shares = Vec::new();
        while at < end {
            let first = at % SLICES;
            let len = (SLICES - first).min(end - at);
            shares.push(Share { address: self.addresses[(at / SLICES) as usize], first, len });
            at += len;
        }
        shares.sort_by_key(|share| Reverse(share.len));
        shares
    }
}

impl Share {
    /// Whether it has at least as many slices.
    pub(super) const fn is_as_large_as(&self, other: &Share) -> bool {
        self.len >= other.len
    }

    /// In how many groups of [`GROUP`] the share's ports are tried.
    pub(super) fn groups(&self, range: PortRange) -> u32 {
        self.slots(range).div_ceil(GROUP)
    }

    /// The ports of one group that are in `range`, in an order that `draw` picks.
    pub(super) fn group(
        self,
        range: PortRange,
        group: u32,
        draw: u64,
    ) -> impl Iterator<Item = u16> {
        let first = group * GROUP;
        let len = GROUP.min(self.slots(range).saturating_sub(first));
        let width = 2 * self.len;
        let first_block = first_block(range);
        any_order(len, draw).filter_map(move |i| {
            let (block, at) = ((first + i) / width, (first + i) % width);
            let port = (first_block + block) * STRIDE + 2 * self.first + at;
            let port = u16::try_from(port).ok()?;
            (range.first <= port && port <= range.last).then_some(port)
        })
    }

    fn slots(&self, range: PortRange) -> u32 {
        let blocks = (u32::from(range.last) / STRIDE + 1).saturating_sub(first_block(range));
        blocks * 2 * self.len
    }
}

/// Groups of a shard's ports that were found full: until when none of theirs can be free.
#[derive(Clone, Debug)]
pub(super) struct FullGroups {
    /// In nanoseconds, by share, protocol and group; zeros that nobody wrote take no memory.
    until: Vec<u64>,
    /// By share and protocol: the latest of its groups, so that the others are asked for only once
    /// one has been full.
    latest: Vec<[Now; Proto::COUNT]>,
    /// Where each share begins, and its groups of one protocol.
    shares: Vec<(usize, usize)>,
}

impl FullGroups {
    /// Of a shard that has these shares: none.
    pub(super) fn new(shares: &[Share], range: PortRange) -> Self {
        let mut end = 0;
        let place = |share: &Share| {
            let (first, groups) = (end, share.groups(range) as usize);
            end += Proto::COUNT * groups;
            (first, groups)
        };
        let shares: Vec<_> = shares.iter().map(place).collect();
        let latest = vec![[Now(0); Proto::COUNT]; shares.len()];
        Self { until: vec![0; end], latest, shares }
    }

    /// Whether no port of the group can be free at `now`.
    pub(super) fn is_full(&self, share: u32, proto: Proto, group: u32, now: Now) -> bool {
        now < self.latest[share as usize][proto.index()]
            && now.0 < self.until[self.place(share, proto, group)]
    }

    /// Notes that no port of the group can be free before `until`.
    pub(super) fn note(&mut self, share: u32, proto: Proto, group: u32, until: Now) {
        let place = self.place(share, proto, group);
        self.until[place] = until.0;
        let latest = &mut self.latest[share as usize][proto.index()];
        *latest = until.max(*latest);
    }

    fn place(&self, share: u32, proto: Proto, group: u32) -> usize {
        let (first, groups) = self.shares[share as usize];
        first + proto.index() * groups + group as usize
    }
}

fn first_block(range: PortRange) -> u32 {
    u32::from(range.first) / STRIDE
}

/// The numbers below `n`, each once: from a random start with a random stride, so that neither the
/// first choice nor the next after a collision can be guessed (RFC 6056 3.3).
#[expect(clippy::cast_possible_truncation, reason = "the two halves of the draw")]
pub(super) fn any_order(n: u32, draw: u64) -> impl Iterator<Item = u32> {
    let mut step = None;
    (0..n).scan(below(draw as u32, n), move |at, turn| {
        // The first choice is most often the last: only the second needs the stride.
        if turn > 0 {
            *at = (*at + *step.get_or_insert_with(|| stride(n, (draw >> 32) as u32))) % n;
        }
        Some(*at)
    })
}

/// A stride that leads through all numbers below `n`.
fn stride(n: u32, draw: u32) -> u32 {
    let mut step = 1 + below(draw, n.saturating_sub(1).max(1));
    while step > 1 && gcd(step, n) != 1 {
        step -= 1;
    }
    step
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const ALL: PortRange = PortRange { first: 1024, last: 65535 };

    /// A pool of `n` addresses in three pieces that are not in order.
    fn pool(n: u32) -> Pool {
        let at = |k: u32| [0xcb00_7140, 0xc633_6400, 0xc000_0200][(k * 3 / n) as usize] + k;
        Pool::new((0..n).map(at).collect())
    }

    /// All ports of a share, as an allocation would try them.
    fn candidates(share: Share, range: PortRange, draw: u64) -> impl Iterator<Item = u16> {
        let groups = any_order(share.groups(range), draw);
        groups.flat_map(move |group| share.group(range, group, draw.rotate_left(7)))
    }

    #[test]
    fn every_port_of_every_address_belongs_to_exactly_one_shard() {
        for n in [1, 2, 3, 5, 16, 65] {
            let pool = pool(n);
            let mut owners = HashMap::new();
            for shard in (0..64).map(ShardId) {
                for share in pool.shares(shard) {
                    for port in candidates(share, ALL, 0x1234_5678_9abc_def0) {
                        assert_eq!(pool.shard_of(share.address, port), shard, "of {n}");
                        let ports =
                            owners.entry(share.address).or_insert_with(|| vec![None; 65_536]);
                        let before = ports[usize::from(port)].replace(shard);
                        assert_eq!(before, None, "{:x}:{port} of {n} twice", share.address);
                    }
                }
            }
            assert_eq!(owners.len(), n as usize);
            for ports in owners.values() {
                assert!(ports[..1024].iter().all(Option::is_none));
                assert!(ports[1024..].iter().all(Option::is_some));
            }
        }
    }

    #[test]
    fn every_shard_has_as_many_ports_on_as_few_addresses_as_can_be() {
        for n in [1u32, 2, 3, 14, 16, 63, 64, 65, 256, 65_536] {
            let pool = pool(n);
            for shard in (0..64).map(ShardId) {
                let shares = pool.shares(shard);
                assert_eq!(shares.iter().map(|share| share.len).sum::<u32>(), n);
                let most = shares[0].len;
                assert!(most >= n.min(64).div_ceil(2), "{most} of {n}");
                assert!(shares.iter().all(|share| shares[0].is_as_large_as(share)));
                if n.is_power_of_two() {
                    assert_eq!(most, n.min(64));
                }
            }
        }
    }

    #[test]
    fn the_reciprocal_divides_exactly() {
        for n in (1..400).chain([1000, 32_767, 32_769, 65_535, 65_536]) {
            let pool = pool(n);
            for place in (0..n).step_by(1 + n as usize / 300) {
                let address = pool.addresses()[place as usize];
                for port in [0u16, 1, 2, 1024, 1151, 40_000, 65_535] {
                    let number = place * 64 + u32::from(port / 2 % 64);
                    let owner = pool.shard_of(address, port);
                    assert_eq!(u32::from(owner.0), number / n, "slice {number} of {n} addresses");
                }
            }
        }
    }

    #[test]
    fn every_draw_visits_every_port_once() {
        let pool = pool(3);
        let range = PortRange { first: 1500, last: 9000 };
        let share = pool.shares(ShardId(5))[0];
        let ours = |&port: &u16| pool.shard_of(share.address, port) == ShardId(5);
        let expected: Vec<u16> = (1500..=9000).filter(ours).collect();
        for draw in (0..500u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let mut ports: Vec<u16> = candidates(share, range, draw).collect();
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
