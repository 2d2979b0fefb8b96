//! What came of one trial: every frame's fate, every sensor, and whether the number may be trusted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Quantity;

/// One constant load for one span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trial {
    /// What it was for: `warm_up`, `search`, `latency 50 %`.
    pub purpose: String,
    /// The load asked for, all directions together.
    pub intended_rate: Quantity,
    /// How long it was asked to last.
    pub duration: Quantity,
    /// How long sending really took.
    pub elapsed: Quantity,
    /// Frames by fate, all directions together.
    pub frames: Frames,
    /// How late frames left: actual minus due.
    pub lateness: Spread,
    /// From the due time of a frame to its arrival: free of coordinated omission.
    pub latency: Option<Latency>,
    /// From the moment a frame really left to its arrival; shown beside the other.
    pub latency_actual: Option<Latency>,
    /// Lost runs longer than three frames, and when they began after the first frame.
    pub gaps: Vec<Gap>,
    /// Each thread that took part.
    pub threads: Vec<ThreadSense>,
    /// Share of the machine's time that the hypervisor gave to others.
    pub steal: Quantity,
    /// The forwarder's own accounts, where it keeps any.
    pub device: Option<DeviceFrames>,
    /// Frames that the tester's and the medium's own counters lost, by counter.
    pub medium_drops: BTreeMap<String, u64>,
    /// Frames offered that no counter explains; 0 when everything is conserved. Only a forwarder
    /// that keeps accounts can be held to it.
    pub unaccounted: Option<i64>,
    /// Whether the number may be trusted, and for what.
    pub verdict: Verdict,
}

/// Frames by fate. `intended = offered + unsent`, `lost = offered - received`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Frames {
    /// Due within the trial.
    pub intended: u64,
    /// Left the generator.
    pub offered: u64,
    /// Due and never sent.
    pub unsent: u64,
    /// Arrived, each counted once.
    pub received: u64,
    /// Offered and not received; negative is an error that is shown, not hidden.
    pub lost: i64,
    /// Arrived once more.
    pub duplicates: u64,
    /// Arrived after a later frame of their stream.
    pub reordered: u64,
    /// Arrived with other bytes than were sent.
    pub corrupt: u64,
    /// Arrived and were never sent by this trial.
    pub foreign: u64,
}

/// A distribution in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spread {
    /// How many samples.
    pub samples: u64,
    /// The least.
    pub min: Quantity,
    /// The median.
    pub p50: Quantity,
    /// The 90th percentile.
    pub p90: Quantity,
    /// The 99th percentile.
    pub p99: Quantity,
    /// The 99.9th percentile.
    pub p999: Quantity,
    /// The most.
    pub max: Quantity,
}

/// Latencies: a few numbers, and all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latency {
    /// The few numbers.
    pub spread: Spread,
    /// The curve: share of frames (0 to 1), and the latency that they did not exceed, in
    /// nanoseconds.
    pub curve: Vec<(f64, f64)>,
}

/// Frames lost in a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// The stream they belong to.
    pub stream: u32,
    /// The due time of the first lost frame, from the trial's begin.
    pub begin: Quantity,
    /// From the last frame before it to the first after it, less one interval.
    pub length: Quantity,
    /// How many were lost.
    pub frames: u64,
}

/// What the scheduler did to a thread during the trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadSense {
    /// The thread: `tester`, `worker 0`.
    pub name: String,
    /// Share of the trial that it ran.
    pub run: Quantity,
    /// Share that it wanted to run and waited for a core.
    pub wait: Quantity,
    /// Times a second that it was put off the core against its will.
    pub involuntary_per_second: f64,
}

/// A forwarder's accounts over the trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceFrames {
    /// Received on all ports.
    pub received: u64,
    /// Made by the forwarder.
    pub originated: u64,
    /// Made by cutting.
    pub split: u64,
    /// Sent on all ports.
    pub sent: u64,
    /// Given to its control plane.
    pub punted: u64,
    /// For its own addresses, and answered.
    pub answered: u64,
    /// Waiting for a neighbour at the end, less those at the begin.
    pub held: i64,
    /// Dropped, by reason; reasons with none are left out.
    pub dropped: BTreeMap<String, u64>,
    /// Share of its turns that found no work, where it knows.
    pub idle_turns: Option<Quantity>,
}

/// Whether a number may be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// In a word.
    pub kind: VerdictKind,
    /// In a sentence: what was seen, and what to do about it.
    pub why: String,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// The forwarder was the limit.
    Ok,
    /// The generator was: the forwarder may be faster.
    GeneratorBound,
    /// The sink was.
    SinkBound,
    /// The medium was: a forwarder that does nothing is hardly faster.
    MediumBound,
    /// Other work disturbed the machine.
    Contaminated,
    /// The largest load that was to be tried passed.
    AtMaxLoad,
    /// Frames went missing that no counter knows: the trial is invalid.
    Unaccounted,
}

impl VerdictKind {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            VerdictKind::Ok => "ok",
            VerdictKind::GeneratorBound => "generator_bound",
            VerdictKind::SinkBound => "sink_bound",
            VerdictKind::MediumBound => "medium_bound",
            VerdictKind::Contaminated => "contaminated",
            VerdictKind::AtMaxLoad => "at_max_load",
            VerdictKind::Unaccounted => "unaccounted",
        }
    }
}

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Verdict {
    /// Nothing is to be said against the number.
    pub fn ok() -> Self {
        Self { kind: VerdictKind::Ok, why: String::new() }
    }

    /// Something is.
    pub fn new(kind: VerdictKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}
