//! What does thruway's parser see in a capture, and where does another parser see something else?
//!
//! Each frame is read by the functions that the data plane reads it with ([`ours`]), by etherparse
//! ([`theirs`]), and, if asked, by a program of the user's ([`user`]). All of them give a [`View`]:
//! the same names for the same fields. [`compare`] tells the differences, those on purpose by
//! name; [`shrink`] makes a frame small that shows one.
//!
//! Nothing is forwarded here, and nothing of tables or configuration is known: a frame that is valid
//! can still be dropped later. Offsets count from the beginning of the Ethernet header.

pub mod compare;
pub mod keep;
mod mend;
pub mod ours;
pub mod shrink;
pub mod theirs;
mod totals;
pub mod user;
mod view;

#[cfg(test)]
mod tests;

use crate::io::pcap::Captured;

pub use compare::Difference;
pub use keep::{Keeper, Kept, Sign};
pub use totals::{ParserTotals, Totals};
pub use view::{FIELDS, Field, View, name};

/// Longest frame that is looked at in bytes: an IPv4 packet of the greatest size behind three tags.
const LONGEST: usize = 65_535 + 26;

/// A frame as it was on the wire, as far as the capture kept it: zeros stand for what it cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// How many of them were captured.
    pub captured: usize,
}

impl Whole {
    /// The frame of a captured packet. A size on the wire that no frame has is not believed.
    pub fn of(packet: &Captured<'_>) -> Self {
        let original = usize::try_from(packet.original_size).ok();
        let original = original.filter(|size| *size <= LONGEST).unwrap_or_default();
        let mut bytes = packet.bytes.to_vec();
        let captured = bytes.len();
        bytes.resize(captured.max(original), 0);
        Self { bytes, captured }
    }

    /// A frame that is all there.
    pub fn all(bytes: Vec<u8>) -> Self {
        Self { captured: bytes.len(), bytes }
    }

    /// Whether its end is missing.
    pub fn is_cut(&self) -> bool {
        self.captured < self.bytes.len()
    }
}

/// A frame as two parsers see it.
#[derive(Clone, Debug)]
pub struct Dissection {
    /// What the data plane reads.
    pub ours: View,
    /// What etherparse reads.
    pub theirs: View,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

impl Dissection {
    /// Reads a frame twice.
    pub fn of(frame: &Whole) -> Self {
        let (ours, theirs) = (ours::read(frame), theirs::read(&frame.bytes));
        let differences = compare::explained(&ours, &theirs);
        Self { ours, theirs, differences }
    }
}
