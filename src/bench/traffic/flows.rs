//! Which addresses and ports does a frame have? Flows by number, each once, in an order that looks
//! random and follows from the seed.
//!
//! Nothing is drawn while frames are sent: a flow's tuple follows from its number by arithmetic, so
//! the generator's own memory stays out of the forwarder's cache. Only destinations that lie in
//! given routes come from a list, which is read in order.
//!
//! Ports are those of RFC 4814: sources 1,024 to 65,535, destinations 1 to 49,151.

use std::sync::Arc;

use super::learn::Learned;

/// Ports that a source may have (RFC 4814 4.5).
pub const FIRST_SPORT: u16 = 1024;
/// How many those are.
pub const SPORTS: u32 = 65_536 - FIRST_SPORT as u32;
/// How many destination ports there are, from 1 (RFC 4814 4.5).
pub const DPORTS: u32 = 49_151;
/// Sessions of each host behind a NAT: 1,024 hosts make 64,512, the ports of one address.
pub const PORTS_PER_HOST: u32 = 63;
/// Session counts that others measure NAT at, and 10 million.
pub const SESSION_SCALES: [u64; 5] = [64_512, 258_048, 1_032_192, 4_128_768, 10_000_000];

/// A flow's addresses and ports, in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

impl Tuple {
    /// The tuple of an answer.
    pub const fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport }
    }
}

/// A permutation of `0..len` that takes no memory: every number once, in seeded disorder.
///
/// Each step (shift and exclusive or, odd multiplication, addition) can be undone within a power
/// of two; what falls outside `len` goes round again until it is inside.
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    mask: u64,
    shift: u32,
    keys: [u64; 3],
}

impl Permutation {
    /// The permutation of this seed; of 0 numbers as of 1.
    pub fn new(seed: u64, len: u64) -> Self {
        let len = len.max(1);
        let bits = u64::BITS - (len - 1).leading_zeros();
        let mask = if bits == 0 { 0 } else { u64::MAX >> (u64::BITS - bits) };
        let keys = [1, 2, 3].map(|round| mix(seed ^ round));
        Self { len, mask, shift: (bits / 2).max(1), keys }
    }

    /// Where number `index` goes; `index` counts modulo the power of two above `len`.
    #[inline]
    pub fn at(&self, index: u64) -> u64 {
        let mut x = index & self.mask;
        loop {
            for key in self.keys {
                x ^= x >> self.shift;
                x = x.wrapping_mul(key | 1).wrapping_add(key >> 32) & self.mask;
            }
            x ^= x >> self.shift;
            if x < self.len {
                return x;
            }
        }
    }

    /// How many numbers there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Never: a permutation has a number.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// A number's hash (SplitMix64's finaliser: Steele, Lea, Flood 2014).
#[inline(always)]
pub(super) const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A 32-bit hash mapped onto `0..count` without a division.
#[inline(always)]
const fn spread(hash: u32, count: u32) -> u32 {
    ((hash as u64 * count as u64) >> 32) as u32
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "halves of a hash")]
const fn halves(hash: u64) -> (u32, u32) {
    ((hash >> 32) as u32, hash as u32)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "port numbers are below 65,536")]
const fn port(first: u32, offset: u32) -> u16 {
    (first + offset) as u16
}

/// Hosts of one prefix to a list of destinations.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The first source address.
    first: u32,
    /// Its hosts are a power of two.
    host_bits: u32,
    destinations: Arc<[u32]>,
    order: Permutation,
}

impl Routed {
    /// `len` flows from `1 << host_bits` hosts, each to one of `destinations`: as many flows as
    /// there are destinations reach each of them once, in the order of the list.
    ///
    /// # Panics
    /// When there is no destination, or the hosts have not that many ports.
    pub fn new(
        seed: u64,
        (first, host_bits): (u32, u32),
        destinations: Arc<[u32]>,
        len: u64,
    ) -> Self {
        assert!(!destinations.is_empty(), "flows have destinations");
        assert!(len >> host_bits <= u64::from(SPORTS), "flows differ in source address or port");
        Self { first, host_bits, destinations, order: Permutation::new(seed, len) }
    }

    #[inline]
    fn tuple(&self, place: u64) -> Tuple {
        let number = self.order.at(place);
        let (high, low) = halves(mix(number));
        let count = self.destinations.len();
        let destination = match usize::try_from(place) {
            Ok(place) if self.order.len() <= count as u64 => place,
            // More flows than destinations: any of them, and the list is short.
            _ => ((u64::from(high) * count as u64) >> 32) as usize,
        };
        let (_, host) = halves(number & ((1 << self.host_bits) - 1));
        let (_, turn) = halves(number >> self.host_bits);
        // A host's ports begin anywhere and go round: no two turns meet.
        let begin = spread(halves(mix(u64::from(host))).0, SPORTS);
        let offset = begin + turn;
        let offset = if offset >= SPORTS { offset - SPORTS } else { offset };
        Tuple {
            src: self.first + host,
            dst: self.destinations[destination],
            sport: port(u32::from(FIRST_SPORT), offset),
            dport: port(1, spread(low, DPORTS)),
        }
    }
}

/// Hosts behind a NAT with [`PORTS_PER_HOST`] ports each, all to services.
#[derive(Clone, Debug)]
pub struct Hosts {
    first_host: u32,
    first_service: u32,
    services: u32,
    /// Flows before these.
    offset: u64,
    order: Permutation,
}

impl Hosts {
    /// `len` flows, numbered from `offset` on, from hosts that follow each other from `first_host`
    /// on to `services` addresses from `first_service` on.
    pub fn new(
        seed: u64,
        first_host: u32,
        (first_service, services): (u32, u32),
        (offset, len): (u64, u64),
    ) -> Self {
        let services = services.max(1);
        Self { first_host, first_service, services, offset, order: Permutation::new(seed, len) }
    }

    /// Hosts that so many flows have.
    pub const fn hosts(flows: u64) -> u64 {
        flows.div_ceil(PORTS_PER_HOST as u64)
    }

    #[inline]
    fn tuple(&self, place: u64) -> Tuple {
        let number = self.offset + self.order.at(place);
        let (_, host) = halves(number / u64::from(PORTS_PER_HOST));
        let (_, turn) = halves(number % u64::from(PORTS_PER_HOST));
        let (high, low) = halves(mix(number));
        // The 63 ports of a host lie 1,024 apart, and begin anywhere.
        let begin = halves(mix(u64::from(host))).0 >> 22;
        Tuple {
            src: self.first_host + host,
            dst: self.first_service + spread(high, self.services),
            sport: port(u32::from(FIRST_SPORT), (turn << 10) + begin),
            dport: port(1, spread(low, DPORTS)),
        }
    }
}

/// The flows of a stream.
#[derive(Clone, Debug)]
pub enum Flows {
    /// From a prefix to destinations.
    Routed(Routed),
    /// The answers to those.
    Answers(Routed),
    /// From behind a NAT.
    Hosts(Hosts),
    /// To what a NAT made of those: the other end's answers (RFC 9693 phase 2).
    Learned(Hosts, Arc<Learned>),
    /// From behind a NAT: each `every`-th frame begins a flow of `new`, the others go on with those
    /// of `known`.
    Mixed {
        /// Flows that have sessions.
        known: Hosts,
        /// Flows that have none before their first frame.
        new: Hosts,
        /// 1 is new flows alone.
        every: u64,
    },
}

impl Flows {
    /// After how many frames all begins anew.
    pub fn len(&self) -> u64 {
        match self {
            Flows::Routed(own) | Flows::Answers(own) => own.order.len(),
            Flows::Hosts(own) | Flows::Learned(own, _) => own.order.len(),
            Flows::Mixed { new, every, .. } => new.order.len() * (*every).max(1),
        }
    }

    /// Never: there is always a flow.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The tuple at this place of the order, which is below [`Flows::len`].
    #[inline]
    pub fn tuple(&self, place: u64) -> Tuple {
        match self {
            Flows::Routed(own) => own.tuple(place),
            Flows::Answers(own) => own.tuple(place).reversed(),
            Flows::Hosts(own) => own.tuple(place),
            Flows::Learned(own, learned) => {
                let (address, port) = learned.outside(place);
                Tuple { src: address, sport: port, ..own.tuple(place) }.reversed()
            }
            Flows::Mixed { known, new, every } => {
                let every = (*every).max(1);
                let (round, step) = (place / every, place % every);
                if step + 1 == every {
                    new.tuple(round)
                } else {
                    known.tuple((round * (every - 1) + step) % known.order.len())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
