//! What does a measurement leave behind? One [`Record`] a scenario run, a line of JSON each.
//!
//! Everything that a later reader needs to judge the number stands in it: the machine, the command,
//! the seed, the calibration, every trial with its verdict. `docs/bench.schema.json` is its schema;
//! fields are only ever added within one major version. Counts are of frames; everything else that
//! was measured is a [`Quantity`].

pub mod environment;
mod file;
pub mod outcome;
#[cfg(test)]
mod tests;
pub mod trial;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use environment::{Calibration, Environment, Hiccup};
pub use file::{Unread, read, write};
pub use outcome::Outcome;
pub use trial::{Frames, Trial, Verdict, VerdictKind};

/// The schema's name and major version.
pub const SCHEMA: &str = "bench/1";

/// A measured value and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Quantity {
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
}

/// The units of a [`Quantity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Unit {
    /// Frames a second.
    #[serde(rename = "frames/s")]
    FramesPerSecond,
    /// Bits a second of layer 2, frame check sequence included.
    #[serde(rename = "bit/s")]
    BitsPerSecond,
    /// Sessions a second.
    #[serde(rename = "sessions/s")]
    SessionsPerSecond,
    /// Route changes a second.
    #[serde(rename = "updates/s")]
    UpdatesPerSecond,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Ticks of the time stamp counter.
    #[serde(rename = "ticks")]
    Ticks,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// Frames.
    #[serde(rename = "frames")]
    Frames,
    /// A share or a quotient: 1 is all, or the same.
    #[serde(rename = "1")]
    Ratio,
}

impl Quantity {
    /// Frames a second.
    pub const fn rate(value: f64) -> Self {
        Self { value, unit: Unit::FramesPerSecond }
    }

    /// Seconds.
    pub const fn seconds(value: f64) -> Self {
        Self { value, unit: Unit::Seconds }
    }

    /// Nanoseconds.
    pub const fn nanos(value: f64) -> Self {
        Self { value, unit: Unit::Nanoseconds }
    }

    /// Ticks of the time stamp counter.
    pub const fn ticks(value: f64) -> Self {
        Self { value, unit: Unit::Ticks }
    }

    /// A share or a quotient.
    pub const fn ratio(value: f64) -> Self {
        Self { value, unit: Unit::Ratio }
    }
}

/// One scenario run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Record {
    /// `bench/1`, or `bench/1.` and a number that counts what was added since.
    #[cfg_attr(test, schemars(regex(pattern = r"^bench/1(\.[0-9]+)?$")))]
    pub schema: String,
    /// The same for all records of one command.
    pub run_id: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// The program's version.
    pub version: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The seed of everything random.
    pub seed: u64,
    /// The machine.
    pub environment: Environment,
    /// How long the machine let a busy thread wait, before the run.
    pub hiccup: Option<Hiccup>,
    /// What generator, sink and medium can do without a forwarder between them.
    pub calibration: Option<Calibration>,
    /// What was measured.
    pub scenario: Scenario,
    /// Every trial, in order.
    pub trials: Vec<Trial>,
    /// The answer.
    pub result: Outcome,
    /// What a reader must know: limits that were off, layouts, refusals; whole sentences.
    pub notes: Vec<String>,
}

/// What was measured: which forwarder, on which medium, with which traffic and tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scenario {
    /// Its name, unique in a run: `fastpath/veth/64/1`.
    pub name: String,
    /// The forwarder: `thruway`, `kernel`, `testpmd`, `null`, or what the user called it.
    pub device: String,
    /// The way through it: `fastpath`, `gateway`, `nat`, `provider`, `microsoft`, `forward` (any
    /// router).
    pub way: String,
    /// `memory`, `ring`, `veth`, `tap`, `cable` (between two interfaces of the user's).
    pub medium: String,
    /// How the frames were tagged: `Untagged`, `Dot1Q`, `QinQ`.
    pub hand_over: String,
    /// Bytes of each frame on a wire, check sequence included, in the order they are sent.
    pub frame_sizes: Vec<u32>,
    /// The sizes as an IMIX genome (RFC 6985), where they are one.
    pub genome: Option<String>,
    /// Flows that are cycled through.
    pub flows: u64,
    /// Routes in the table that is looked up.
    pub routes: u64,
    /// NAT sessions that are open before the first trial; 0 without NAT.
    pub sessions: u64,
    /// The forwarder's workers.
    pub workers: u32,
    /// `to_azure`, `to_onprem`, `both`.
    pub direction: String,
    /// Whether the service's limits are enforced.
    pub limits: String,
    /// Which thread ran on which core.
    pub layout: String,
}

/// The three line rates: what the number is held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LineRates {
    /// Of the nominal link speed, by arithmetic.
    pub nominal: Option<Quantity>,
    /// What the circuit's policer lets through.
    pub circuit: Option<Quantity>,
    /// What the medium carried with nothing between generator and sink.
    pub medium: Option<Quantity>,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::FramesPerSecond => "pps",
            Unit::BitsPerSecond => "bit/s",
            Unit::SessionsPerSecond => "sessions/s",
            Unit::UpdatesPerSecond => "updates/s",
            Unit::Bytes => "B",
            Unit::Seconds => return seconds(f, self.value),
            Unit::Nanoseconds => return seconds(f, self.value / 1e9),
            Unit::Ticks => return write!(f, "{} ticks", significant(self.value)),
            Unit::Frames => return write!(f, "{} frames", significant(self.value)),
            Unit::Ratio => return write!(f, "{:.3}", self.value),
        };
        // What would round up to a thousand belongs to the next prefix.
        let (value, prefix) = match self.value.abs() {
            v if v >= 999.95e6 => (self.value / 1e9, "G"),
            v if v >= 999.95e3 => (self.value / 1e6, "M"),
            v if v >= 999.95 => (self.value / 1e3, "k"),
            _ => (self.value, ""),
        };
        // Four digits that count: the bounds of a search lie half a percent apart.
        let digits = match value.abs() {
            _ if prefix.is_empty() => return write!(f, "{} {unit}", significant(value)),
            v if v >= 100.0 => 1,
            v if v >= 10.0 => 2,
            _ => 3,
        };
        write!(f, "{value:.digits$} {prefix}{unit}")
    }
}

/// A length of time in the unit that suits it.
fn seconds(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    match value.abs() {
        v if v >= 0.9995 || v == 0.0 => write!(f, "{} s", significant(value)),
        v if v >= 0.9995e-3 => write!(f, "{} ms", significant(value * 1e3)),
        v if v >= 0.9995e-6 => write!(f, "{} us", significant(value * 1e6)),
        _ => write!(f, "{:.0} ns", value * 1e9),
    }
}

/// A number with three digits that count; whole numbers keep all of theirs and no point.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
