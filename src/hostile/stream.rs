//! Which hostile frames does a seed make? The same ones on any machine, for the same kinds, hosts
//! and captured frames.

use std::fmt;
use std::str::FromStr;

use super::attack::{Attack, Sequence};
use super::entropy::{Entropy, Numbers};
use super::grammar::{self, Family};
use super::hosts::Hosts;
use super::mutate;

/// Bytes of choices for one frame; the longest chain of them is shorter.
const CHOICES: usize = 512;

/// How hostile frames are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Captured frames, changed.
    Mutated,
    /// Single frames of any family.
    Grammar,
    /// Storms of fragments.
    Fragments,
    /// A walk over all VLANs.
    Vlan,
    /// Floods of ARP, and others' addresses claimed.
    Arp,
    /// Floods of ICMP errors that quote others' flows.
    Icmp,
    /// All combinations of TCP flags.
    Tcp,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 7] = [
        Kind::Mutated,
        Kind::Grammar,
        Kind::Fragments,
        Kind::Vlan,
        Kind::Arp,
        Kind::Icmp,
        Kind::Tcp,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Mutated => "mutated",
            Kind::Grammar => "grammar",
            Kind::Fragments => "fragments",
            Kind::Vlan => "vlan",
            Kind::Arp => "arp",
            Kind::Icmp => "icmp",
            Kind::Tcp => "tcp",
        }
    }

    const fn sequence(self) -> Option<Sequence> {
        match self {
            Kind::Mutated | Kind::Grammar => None,
            Kind::Fragments => Some(Sequence::Fragments),
            Kind::Vlan => Some(Sequence::Vlan),
            Kind::Arp => Some(Sequence::Arp),
            Kind::Icmp => Some(Sequence::Icmp),
            Kind::Tcp => Some(Sequence::Tcp),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kinds are mutated, grammar, fragments, vlan, arp, icmp and tcp")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == word).ok_or(UnknownKind)
    }
}

/// How short and how long frames may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Shorter ones get zeroes at their end.
    pub min: usize,
    /// No frame is longer.
    pub max: usize,
}

/// An endless stream of hostile frames.
#[derive(Debug)]
pub struct Stream {
    numbers: Numbers,
    kinds: Vec<(Kind, Option<Attack>)>,
    hosts: Hosts,
    captured: Vec<Vec<u8>>,
    sizes: Sizes,
}

impl Stream {
    /// The stream of a seed; without captured frames none are mutated, whatever `kinds` says, and
    /// without any kind frames are by grammar.
    pub fn new(
        seed: u64,
        kinds: &[Kind],
        hosts: Hosts,
        captured: Vec<Vec<u8>>,
        sizes: Sizes,
    ) -> Self {
        let can = |kind: &&Kind| **kind != Kind::Mutated || !captured.is_empty();
        let mut kinds: Vec<_> = kinds.iter().filter(can).copied().collect();
        if kinds.is_empty() {
            kinds.push(Kind::Grammar);
        }
        let kinds = kinds.into_iter().map(|kind| (kind, kind.sequence().map(Attack::new)));
        Self { numbers: Numbers::new(seed), kinds: kinds.collect(), hosts, captured, sizes }
    }

    /// The next frame, and how it was made.
    pub fn next_frame(&mut self) -> (Kind, Vec<u8>) {
        let mut choices = [0; CHOICES];
        self.numbers.fill(&mut choices);
        let mut entropy = Entropy::new(&choices);
        let at = entropy.below(self.kinds.len());
        let (kind, attack) = &mut self.kinds[at];
        let max = self.sizes.max;
        let mut frame = match attack {
            Some(attack) => attack.next(&mut entropy, &self.hosts, max),
            None if *kind == Kind::Mutated => mutate::frame(&mut entropy, &self.captured, max),
            None => {
                let family = Family::choose(&mut entropy);
                grammar::frame_of(family, &mut entropy, &self.hosts, max)
            }
        };
        if frame.len() < self.sizes.min {
            frame.resize(self.sizes.min, 0);
        }
        (*kind, frame)
    }
}
