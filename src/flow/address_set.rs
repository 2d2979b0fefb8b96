//! A set of IPv4 addresses as sorted ranges, so that prefixes, unions and "everything but" are all
//! the same.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// A set of IPv4 addresses.
///
/// ```
/// use thruway::flow::AddressSet;
///
/// let vnet: AddressSet = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
/// let internet = vnet.complement();
/// assert!(vnet.contains(0x0a01_0203) && !internet.contains(0x0a01_0203));
/// assert!(internet.contains(0x0800_0001));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// First and last address of each range: ascending, and no two touch.
    ranges: Vec<(u32, u32)>,
}

impl AddressSet {
    /// No address.
    pub const fn none() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Every address.
    pub fn any() -> Self {
        Self { ranges: vec![(0, u32::MAX)] }
    }

    /// The addresses of first-and-last pairs in any order; pairs the wrong way round are empty.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|(a, b)| a <= b).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// Whether `address` (host order) is in it.
    pub fn contains(&self, address: u32) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= address);
        after > 0 && address <= self.ranges[after - 1].1
    }

    /// Every address that is not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut from = Some(0);
        for &(first, last) in &self.ranges {
            if let Some(from) = from
                && first > from
            {
                ranges.push((from, first - 1));
            }
            from = last.checked_add(1);
        }
        ranges.extend(from.map(|from| (from, u32::MAX)));
        Self { ranges }
    }

    /// Every address that is in one of the two.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_ranges(self.ranges.iter().chain(&other.ranges).copied())
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// First and last address of each range, ascending.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }
}

impl FromIterator<Ipv4Net> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Ipv4Net>>(prefixes: I) -> Self {
        let range = |net: Ipv4Net| (net.network().to_bits(), net.broadcast().to_bits());
        Self::from_ranges(prefixes.into_iter().map(range))
    }
}

impl From<Ipv4Addr> for AddressSet {
    fn from(address: Ipv4Addr) -> Self {
        Self::from_ranges([(address.to_bits(), address.to_bits())])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefixes() -> impl Strategy<Value = Vec<Ipv4Net>> {
        // Few distinct bits, so that prefixes nest and touch, also at both ends of the space.
        let prefix = (prop_oneof![0u32..16, (u32::MAX - 15)..=u32::MAX, any::<u32>()], 0u8..=32);
        let net = prefix
            .prop_map(|(bits, len)| Ipv4Net::new(Ipv4Addr::from_bits(bits), len).unwrap().trunc());
        prop::collection::vec(net, 0..6)
    }

    proptest! {
        #[test]
        fn a_set_holds_what_one_of_its_prefixes_holds(
            a in prefixes(), b in prefixes(), probes in prop::collection::vec(any::<u32>(), 8),
        ) {
            let (left, right): (AddressSet, AddressSet) =
                (a.iter().copied().collect(), b.iter().copied().collect());
            let edges = a.iter().chain(&b).flat_map(|net| {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
            });
            for address in edges.chain(probes.iter().copied()) {
                let ip = Ipv4Addr::from_bits(address);
                let in_a = a.iter().any(|net| net.contains(&ip));
                let in_b = b.iter().any(|net| net.contains(&ip));
                prop_assert_eq!(left.contains(address), in_a);
                prop_assert_eq!(left.complement().contains(address), !in_a);
                prop_assert_eq!(left.union(&right).contains(address), in_a || in_b);
            }
            prop_assert_eq!(left.complement().complement(), left);
        }
    }

    #[test]
    fn nothing_and_everything_are_complements() {
        assert_eq!(AddressSet::none().complement(), AddressSet::any());
        assert!(AddressSet::any().complement().is_empty());
    }
}
