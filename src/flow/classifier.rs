//! Which is the first of many rules that matches a tuple? Each field is cut into the intervals
//! between all rules' edges; every interval holds the set of rules that accept it. A match is the
//! lowest bit that the fields' sets have in common (the bit-vector scheme of Lakshman and
//! Stiliadis, 1998), so that fifty rules cost four binary searches and one AND.

use super::key::Tuple;
use super::rules::{PortSet, Protocol, Rule};
use crate::planted::{Bug, planted};
use crate::wire::proto;

/// The sets of rules that accept each interval of one field's values.
#[derive(Clone, Debug)]
struct Field {
    /// First value of each interval, ascending from 0.
    starts: Vec<u32>,
    /// `words` of rule bits per interval.
    sets: Vec<u64>,
}

impl Field {
    /// `ranges` gives each rule's accepted first-and-last pairs.
    fn new<'a, R: Iterator<Item = (u32, u32)>>(
        rules: &'a [Rule],
        words: usize,
        ranges: impl Fn(&'a Rule) -> R,
    ) -> Self {
        let mut starts = vec![0];
        for (first, last) in rules.iter().flat_map(&ranges) {
            starts.push(first);
            starts.extend(last.checked_add(1));
        }
        starts.sort_unstable();
        starts.dedup();
        let mut sets = vec![0; starts.len() * words];
        for (number, rule) in rules.iter().enumerate() {
            for (first, last) in ranges(rule) {
                let from = starts.partition_point(|&start| start < first);
                let early = u32::from(last > first && planted(Bug::RangeEnd));
                let to = starts.partition_point(|&start| start <= last - early);
                for interval in from..to {
                    set_bit(&mut sets[interval * words..][..words], number);
                }
            }
        }
        Self { starts, sets }
    }

    #[inline]
    fn find(&self, value: u32, words: usize) -> &[u64] {
        // `starts` begins with 0, so at least one start is not above the value.
        let interval = self.starts.partition_point(|&start| start <= value) - 1;
        &self.sets[interval * words..][..words]
    }
}

fn set_bit(set: &mut [u64], number: usize) {
    set[number / 64] |= 1 << (number % 64);
}

/// One direction's rules, compiled.
#[derive(Clone, Debug)]
pub(super) struct Classifier {
    words: usize,
    src: Field,
    dst: Field,
    sport: Field,
    dport: Field,
    /// Rules for TCP, UDP, ICMP and the rest, `words` each.
    protocols: [Vec<u64>; 6],
    /// Rules that ask for no particular port.
    portless: Vec<u64>,
}

impl Classifier {
    /// Compiles rules that stand in the order in which they are asked.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let words = rules.len().div_ceil(64).max(1);
        let set_of = |accepts: &dyn Fn(&Rule) -> bool| {
            let mut set = vec![0; words];
            for (number, _) in rules.iter().enumerate().filter(|(_, rule)| accepts(rule)) {
                set_bit(&mut set, number);
            }
            set
        };
        let protocol = |wanted: Protocol| {
            set_of(&|rule: &Rule| rule.protocol == wanted || rule.protocol == Protocol::Any)
        };
        Self {
            words,
            src: Field::new(rules, words, |rule| rule.source.ranges().iter().copied()),
            dst: Field::new(rules, words, |rule| rule.destination.ranges().iter().copied()),
            sport: Field::new(rules, words, |rule| rule.source_ports.ranges()),
            dport: Field::new(rules, words, |rule| rule.destination_ports.ranges()),
            protocols: [
                protocol(Protocol::Tcp),
                protocol(Protocol::Udp),
                protocol(Protocol::Icmp),
                protocol(Protocol::Esp),
                protocol(Protocol::Ah),
                protocol(Protocol::Any),
            ],
            portless: set_of(&|rule: &Rule| {
                [&rule.source_ports, &rule.destination_ports].into_iter().all(PortSet::is_any)
            }),
        }
    }

    /// Number of the first rule that matches.
    #[inline]
    pub(super) fn first_match(&self, tuple: &Tuple) -> Option<usize> {
        let words = self.words;
        let protocol = match tuple.proto {
            proto::TCP => 0,
            proto::UDP => 1,
            proto::ICMP => 2,
            proto::ESP => 3,
            proto::AH => 4,
            _ => 5,
        };
        let (src, dst) = (self.src.find(tuple.src, words), self.dst.find(tuple.dst, words));
        let (sport, dport) = if tuple.has_ports() {
            (self.sport.find(tuple.sport.into(), words), self.dport.find(tuple.dport.into(), words))
        } else {
            (&self.portless[..], &self.portless[..])
        };
        let protocol = &self.protocols[protocol][..words];
        (0..words).find_map(|word| {
            let common = src[word] & dst[word] & sport[word] & dport[word] & protocol[word];
            (common != 0).then(|| word * 64 + common.trailing_zeros() as usize)
        })
    }
}
