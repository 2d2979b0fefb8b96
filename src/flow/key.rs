//! A flow's name: its routing domain and its 5-tuple with the ends in order, so that both
//! directions have one name.

use super::hash::hash5;
use crate::wire::proto;

/// A packet's 5-tuple. Addresses and ports are in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Source port, the identifier of an ICMP query, or 0.
    pub sport: u16,
    /// Destination port, the identifier of an ICMP query, or 0.
    pub dport: u16,
    /// IP protocol number.
    pub proto: u8,
}

impl Tuple {
    /// The tuple of the answers.
    pub const fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, ..self }
    }

    /// Whether `sport` and `dport` are ports.
    #[inline]
    pub const fn has_ports(&self) -> bool {
        matches!(self.proto, proto::TCP | proto::UDP)
    }
}

/// Which of a flow's two directions a packet runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the lower end to the higher.
    Up,
    /// From the higher end to the lower.
    Down,
}

/// A flow's name, with the hash that finds it and the packet's way.
///
/// ```
/// use thruway::flow::{Key, Tuple, Way};
///
/// let query = Tuple { src: 1, dst: 2, sport: 40_000, dport: 53, proto: 17 };
/// let (ask, answer) = (Key::new(7, &query, 99), Key::new(7, &query.reversed(), 99));
/// assert!(ask.same_flow(&answer));
/// assert_eq!((ask.way(), answer.way()), (Way::Up, Way::Down));
/// assert_eq!(answer.tuple(), query.reversed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Lower end (48 bits), higher end (48), domain (16), protocol (8), which end (7), 1.
    /// Never 0.
    pub(super) bits: u128,
    pub(super) hash: u32,
    way: Way,
}

impl Key {
    /// The key of `tuple` in `domain` (any number that tells routing domains or policies apart).
    /// `hash` is that of [`super::hash5`], the same for both directions.
    #[inline(always)]
    pub const fn new(domain: u16, tuple: &Tuple, hash: u32) -> Self {
        let src = (tuple.src as u64) << 16 | tuple.sport as u64;
        let dst = (tuple.dst as u64) << 16 | tuple.dport as u64;
        let (low, high, way) = if src <= dst { (src, dst, Way::Up) } else { (dst, src, Way::Down) };
        let bits = (low as u128) << 80
            | (high as u128) << 32
            | (domain as u128) << 16
            | (tuple.proto as u128) << 8
            | 1;
        Self { bits, hash: spread(hash, domain), way }
    }

    /// The key of `tuple` in domain 0, with its hash by `seed`: both put the ends in order once.
    #[inline(always)]
    pub const fn hashed(seed: u64, tuple: &Tuple) -> Self {
        let Tuple { src, dst, sport, dport, proto } = *tuple;
        Self::new(0, tuple, hash5(seed, src, dst, sport, dport, proto))
    }

    /// The key of the same packet in `domain`, of one in domain 0.
    #[inline(always)]
    #[must_use]
    pub const fn in_domain(self, domain: u16) -> Self {
        debug_assert!(self.bits >> 16 & 0xffff == 0, "the key is in domain 0");
        let bits = self.bits | (domain as u128) << 16;
        Self { bits, hash: spread(self.hash, domain), way: self.way }
    }

    /// The hash of the 5-tuple, of a key in domain 0.
    #[inline(always)]
    pub const fn hash(&self) -> u32 {
        debug_assert!(self.bits >> 16 & 0xffff == 0, "the key is in domain 0");
        self.hash
    }

    /// The same flow as seen at one of its two ends: a key of its own.
    #[inline(always)]
    #[must_use]
    pub const fn at_end(self, end: bool) -> Self {
        Self { bits: self.bits & !2 | (end as u128) << 1, ..self }
    }

    /// The packet's way.
    #[inline(always)]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Whether `other` is a packet of the same flow, in either direction.
    #[inline(always)]
    pub const fn same_flow(&self, other: &Key) -> bool {
        self.bits == other.bits
    }

    /// The packet's tuple.
    pub const fn tuple(&self) -> Tuple {
        tuple_of(self.bits, self.way)
    }
}

/// Equal tuples of several domains must not all want the same slot.
#[inline(always)]
const fn spread(hash: u32, domain: u16) -> u32 {
    hash.wrapping_add((domain as u32).wrapping_mul(0x9e37_79b1))
}

/// The tuple that the packed `bits` name, seen in direction `way`.
#[allow(clippy::cast_possible_truncation)] // each field is cut out of the bits it was put into
pub(super) const fn tuple_of(bits: u128, way: Way) -> Tuple {
    let low = (bits >> 80) as u64;
    let high = (bits >> 32) as u64 & 0xffff_ffff_ffff;
    let (src, dst) = match way {
        Way::Up => (low, high),
        Way::Down => (high, low),
    };
    Tuple {
        src: (src >> 16) as u32,
        dst: (dst >> 16) as u32,
        sport: src as u16,
        dport: dst as u16,
        proto: (bits >> 8) as u8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_keeps_every_field_of_its_tuple(
            domain in any::<u16>(), src in any::<u32>(), dst in any::<u32>(), sport in any::<u16>(),
            dport in any::<u16>(), proto in any::<u8>(), hash in any::<u32>(),
        ) {
            let tuple = Tuple { src, dst, sport, dport, proto };
            let (there, back) =
                (Key::new(domain, &tuple, hash), Key::new(domain, &tuple.reversed(), hash));
            prop_assert_eq!(there.tuple(), tuple);
            prop_assert_eq!(back.tuple(), tuple.reversed());
            prop_assert!(there.same_flow(&back));
            prop_assert_eq!(there.hash, back.hash);
            prop_assert_eq!(Key::new(0, &tuple, hash).in_domain(domain), there);
            prop_assert_eq!(
                Key::hashed(u64::from(hash), &tuple).hash(),
                hash5(u64::from(hash), src, dst, sport, dport, proto)
            );
            let other = Key::new(domain.wrapping_add(1), &tuple, hash);
            prop_assert!(!there.same_flow(&other));
            let other = Tuple { sport: sport ^ 1, ..tuple };
            prop_assert!(!there.same_flow(&Key::new(domain, &other, hash)));
        }
    }

    #[test]
    fn a_packet_to_itself_runs_one_way() {
        let tuple = Tuple { src: 9, dst: 9, sport: 5, dport: 5, proto: 17 };
        assert_eq!(Key::new(0, &tuple, 0).way(), Key::new(0, &tuple.reversed(), 0).way());
    }
}
