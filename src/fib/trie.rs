//! Which routes are there, and which is the longest that covers an address?
//!
//! The writer's own account of a table: ordered, exact, and slow enough to be obviously right, so
//! that compiled forms are derived from it and checked against it. A search by length over an
//! ordered map stands in for nodes with children; nothing here is for the packet path.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::prefix::Prefix;

/// Routes by prefix, for either address family.
///
/// ```
/// use thruway::fib::{Prefix4, Trie};
/// let mut trie = Trie::new();
/// trie.insert("10.0.0.0/8".parse::<Prefix4>().expect("a prefix"), "coarse");
/// trie.insert("10.1.0.0/16".parse::<Prefix4>().expect("a prefix"), "fine");
/// let (prefix, value) = trie.longest_match(0x0a01_0203).expect("covered");
/// assert_eq!((prefix.to_string().as_str(), *value), ("10.1.0.0/16", "fine"));
/// ```
#[derive(Clone, Debug)]
pub struct Trie<P, V> {
    routes: BTreeMap<P, V>,
    /// Routes of each length, so that a search skips lengths that nobody uses.
    of_len: [usize; 129],
}

impl<P: Prefix, V> Default for Trie<P, V> {
    fn default() -> Self {
        Self { routes: BTreeMap::new(), of_len: [0; 129] }
    }
}

impl<P: Prefix, V> Trie<P, V> {
    /// A table without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route, or replaces it and returns what it led to.
    pub fn insert(&mut self, prefix: P, value: V) -> Option<V> {
        let old = self.routes.insert(prefix, value);
        if old.is_none() {
            self.of_len[usize::from(prefix.bits())] += 1;
        }
        old
    }

    /// Takes a route out and returns what it led to.
    pub fn remove(&mut self, prefix: P) -> Option<V> {
        let old = self.routes.remove(&prefix);
        if old.is_some() {
            self.of_len[usize::from(prefix.bits())] -= 1;
        }
        old
    }

    /// What exactly this prefix leads to.
    pub fn exact(&self, prefix: P) -> Option<&V> {
        if self.of_len[usize::from(prefix.bits())] == 0 {
            return None;
        }
        self.routes.get(&prefix)
    }

    /// The longest route that covers `addr`.
    pub fn longest_match(&self, addr: P::Addr) -> Option<(P, &V)> {
        self.longest_match_of(addr, 0..=P::MAX_LEN)
    }

    /// The longest of the routes of these lengths that covers `addr`.
    pub fn longest_match_of(&self, addr: P::Addr, len: RangeInclusive<u8>) -> Option<(P, &V)> {
        let (least, most) = (*len.start(), (*len.end()).min(P::MAX_LEN));
        (least..=most).rev().find_map(|len| {
            let prefix = P::around(addr, len);
            self.exact(prefix).map(|value| (prefix, value))
        })
    }

    /// All routes, a prefix directly before what is nested in it.
    pub fn iter(&self) -> impl Iterator<Item = (P, &V)> {
        self.routes.iter().map(|(prefix, value)| (*prefix, value))
    }

    /// The prefixes that `prefix` covers, in the order of [`Trie::iter`], from the place of `from` on.
    pub fn within_from(&self, prefix: P, from: P) -> impl Iterator<Item = P> {
        let last = P::around(prefix.last(), P::MAX_LEN);
        self.routes
            .range(from..)
            .map(|(prefix, _)| *prefix)
            .take_while(move |nested| *nested <= last)
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

impl<P: Prefix, V> FromIterator<(P, V)> for Trie<P, V> {
    /// Of several routes with one prefix, the last one stays.
    fn from_iter<I: IntoIterator<Item = (P, V)>>(routes: I) -> Self {
        let routes: BTreeMap<P, V> = routes.into_iter().collect();
        let mut of_len = [0; 129];
        for prefix in routes.keys() {
            of_len[usize::from(prefix.bits())] += 1;
        }
        Self { routes, of_len }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::prefix::{Prefix4, Prefix6};
    use super::*;

    fn p4(text: &str) -> Prefix4 {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_of_nested_routes_wins_and_its_parent_returns() {
        let mut trie = Trie::new();
        assert_eq!(trie.insert(p4("0.0.0.0/0"), 1), None);
        assert_eq!(trie.insert(p4("10.0.0.0/8"), 2), None);
        assert_eq!(trie.insert(p4("10.0.0.1/32"), 3), None);
        assert_eq!(trie.insert(p4("10.0.0.1/32"), 4), Some(3));
        assert_eq!(trie.len(), 3);
        assert_eq!(trie.longest_match(0x0a00_0001), Some((p4("10.0.0.1/32"), &4)));
        assert_eq!(trie.longest_match_of(0x0a00_0001, 0..=31), Some((p4("10.0.0.0/8"), &2)));
        assert_eq!(trie.remove(p4("10.0.0.1/32")), Some(4));
        assert_eq!(trie.remove(p4("10.0.0.1/32")), None);
        assert_eq!(trie.longest_match(0x0a00_0001), Some((p4("10.0.0.0/8"), &2)));
        assert_eq!(trie.longest_match(0), Some((Prefix4::ALL, &1)));
        assert_eq!(trie.exact(p4("10.0.0.0/9")), None);
    }

    #[test]
    fn within_lists_a_prefix_and_what_is_nested_in_it_alone() {
        let trie: Trie<Prefix4, u8> = [
            ("10.0.0.0/7", 0),
            ("10.0.0.0/8", 1),
            ("10.255.255.255/32", 2),
            ("11.0.0.0/8", 3),
            ("10.0.0.0/16", 4),
        ]
        .into_iter()
        .map(|(text, value)| (p4(text), value))
        .collect();
        let inside =
            |from| -> Vec<Prefix4> { trie.within_from(p4("10.0.0.0/8"), p4(from)).collect() };
        let all = ["10.0.0.0/8", "10.0.0.0/16", "10.255.255.255/32"].map(p4);
        assert_eq!(inside("10.0.0.0/8"), all);
        assert_eq!(inside("10.0.0.0/9"), all[1..]);
        assert!(inside("11.0.0.0/8").is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn ip6_longest_match_equals_a_linear_scan(
            routes in prop::collection::vec((any::<u128>(), 0u8..=128), 0..40),
            picks in prop::collection::vec(any::<u128>(), 8),
        ) {
            // Few top bits, so that prefixes nest.
            let routes: Vec<(Prefix6, usize)> = routes
                .iter()
                .enumerate()
                .map(|(i, (addr, len))| (Prefix6::around(addr & (3 << 126 | 0xff), *len), i))
                .collect();
            let trie: Trie<Prefix6, usize> = routes.iter().copied().collect();
            let ends = routes.iter().flat_map(|(p, _)| [p.addr(), p.last_addr()]);
            for addr in picks.iter().copied().chain(ends) {
                let scan = routes
                    .iter()
                    .filter(|(prefix, _)| prefix.contains(addr))
                    .max_by_key(|(prefix, i)| (prefix.len(), *i));
                prop_assert_eq!(trie.longest_match(addr).map(|(p, v)| (p, *v)), scan.copied());
            }
        }
    }
}
