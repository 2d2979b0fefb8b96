//! What was seen in a whole capture? Sums over its packets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::Dissection;
use super::compare::Difference;
use crate::io::pcap::Skipped;

/// Sums over the packets of a capture.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Packets that were looked at.
    pub packets: u64,
    /// Packets that *validate* takes.
    pub valid: u64,
    /// Packets that it drops, by the reason's name.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Packets of which the capture kept too little to tell.
    pub cut_off: u64,
    /// Packets that etherparse sees otherwise.
    pub differing: u64,
    /// Differences from etherparse that are on purpose, by name.
    pub explained: BTreeMap<&'static str, u64>,
    /// Packets with a difference from etherparse that has no name.
    pub unexplained: u64,
    /// What the user's parser said, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parser: Option<ParserTotals>,
    /// Packets that are no Ethernet frames.
    pub skipped: Vec<Skipped>,
}

/// Sums over the answers of a user's parser.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ParserTotals {
    /// Packets that it sees otherwise than thruway.
    pub differing: u64,
    /// Differences by field.
    pub differences: BTreeMap<&'static str, u64>,
    /// What it said that no field is called.
    pub unknown_fields: BTreeSet<String>,
}

impl Totals {
    /// Adds a packet.
    pub fn add(&mut self, seen: &Dissection) {
        self.packets += 1;
        match (seen.ours.valid, seen.ours.reason) {
            (Some(true), _) => self.valid += 1,
            (_, Some(reason)) => *self.dropped.entry(reason).or_default() += 1,
            _ => self.cut_off += 1,
        }
        self.differing += u64::from(!seen.differences.is_empty());
        let names: BTreeSet<_> = seen.differences.iter().filter_map(|own| own.name).collect();
        for name in names {
            *self.explained.entry(name).or_default() += 1;
        }
        self.unexplained += u64::from(seen.differences.iter().any(|own| own.name.is_none()));
    }

    /// Adds what the user's parser sees otherwise, and the words that no field has.
    pub fn add_parser(&mut self, differences: &[Difference], strangers: Vec<&str>) {
        let parser = self.parser.get_or_insert_default();
        parser.differing += u64::from(!differences.is_empty());
        for difference in differences {
            *parser.differences.entry(difference.field).or_default() += 1;
        }
        parser.unknown_fields.extend(strangers.into_iter().map(str::to_owned));
    }

    /// Whether something differs without a reason.
    pub fn is_strange(&self) -> bool {
        self.unexplained > 0 || self.parser.as_ref().is_some_and(|own| own.differing > 0)
    }
}

/// Names with their counts, in brackets; nothing without any.
struct Counts<'a>(&'a BTreeMap<&'static str, u64>);

impl Display for Counts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if counts.is_empty() { Ok(()) } else { write!(f, " ({})", counts.join(", ")) }
    }
}

impl Display for Totals {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let noun = if self.packets == 1 { "packet" } else { "packets" };
        let dropped: u64 = self.dropped.values().sum();
        write!(f, "{} {noun}: {} valid, ", self.packets, self.valid)?;
        write!(f, "{dropped} dropped{}, ", Counts(&self.dropped))?;
        write!(f, "{} cut off in their headers; ", self.cut_off)?;
        write!(f, "etherparse differs in {}{}, ", self.differing, Counts(&self.explained))?;
        writeln!(f, "{} unexplained", self.unexplained)?;
        if let Some(own) = &self.parser {
            writeln!(f, "your parser differs in {}{}", own.differing, Counts(&own.differences))?;
            for field in &own.unknown_fields {
                writeln!(f, "your parser says `{field}`, which is no field: not compared")?;
            }
        }
        self.skipped.iter().try_for_each(|skipped| writeln!(f, "{skipped}"))
    }
}
