//! What is the answer? One variant for each question that a suite can ask.

mod cost;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trial::{Gap, Latency, Verdict};
use super::{LineRates, Quantity};

pub use cost::{Abreast, Cost, CostSpread};

/// The answer of a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// What generator, sink and medium can do.
    Calibration(Calibrated),
    /// What a packet costs, with generator and sink left out.
    Cost(Cost),
    /// The largest loads that meet each goal.
    Throughput(Throughput),
    /// Latency at shares of the throughput.
    Latency(LatencyAnswer),
    /// What a limit of the service lets through.
    Limits(LimitAnswer),
    /// Loss over load.
    Loss(LossCurve),
    /// The longest burst without loss (RFC 2544 26.4, RFC 9004).
    Burst(Burst),
    /// How long it takes to recover from overload (RFC 2544 26.5).
    Recovery(Recovery),
    /// How long traffic stops when a link fails (RFC 6201).
    Failover(Failover),
    /// How fast sessions are opened, and how many there can be (RFC 9693).
    Sessions(Sessions),
    /// How many route changes a second the table takes under load.
    Churn(Churn),
    /// One figure along an axis.
    Scale(Scale),
    /// Two forwarders, or two builds, in pairs.
    Compare(Compare),
}

/// See [`Outcome::Calibration`]; the figures stand in the record's calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Calibrated {
    /// The line rates that follow.
    pub lines: LineRates,
}

/// See [`Outcome::Throughput`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Throughput {
    /// The search's name: `csit`, `quick`, `rfc2544`.
    pub preset: String,
    /// Each goal's answer, the strictest first.
    pub goals: Vec<GoalAnswer>,
    /// Each goal's bounds whenever a trial moved them, in order.
    #[serde(default)]
    pub steps: Vec<BoundStep>,
    /// What it is held against.
    pub lines: LineRates,
    /// NDR over PDR: under 0.9 the machine is noisy.
    pub ndr_to_pdr: Option<Quantity>,
    /// Frames a second that got through at the largest load (RFC 2285 FRMOL).
    pub at_max_load: Option<Quantity>,
    /// The whole's verdict.
    pub verdict: Verdict,
}

/// What a goal's bounds were from one trial on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BoundStep {
    /// The place of the trial in the record's list, from 0.
    pub trial: u32,
    /// The goal's name.
    pub goal: String,
    /// Largest load so far that meets the goal.
    pub lower: Option<Quantity>,
    /// Smallest load so far that does not.
    pub upper: Option<Quantity>,
}

/// One goal's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GoalAnswer {
    /// `NDR`, `PDR`.
    pub name: String,
    /// Loss ratio that the goal allows.
    pub loss_ratio: f64,
    /// Share of the time in which it may be exceeded.
    pub exceed_ratio: f64,
    /// Relative width that the bounds may keep.
    pub width: f64,
    /// Largest load that meets the goal, if one does.
    pub lower: Option<Quantity>,
    /// Smallest load that does not, if one was found.
    pub upper: Option<Quantity>,
    /// What the lower bound really forwards, in the median.
    pub conditional: Option<Quantity>,
    /// Why the search ended: `done`, `timeout`, `fails_at_min_load`, `at_max_load`.
    pub stopped: String,
}

/// See [`Outcome::Latency`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LatencyAnswer {
    /// By load, the lightest first.
    pub points: Vec<LatencyPoint>,
}

/// Latency at one load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LatencyPoint {
    /// Share of the throughput.
    pub share: f64,
    /// The load.
    pub rate: Quantity,
    /// From due time to arrival.
    pub intended: Latency,
    /// From departure to arrival.
    pub actual: Latency,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}

/// See [`Outcome::Limits`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LimitAnswer {
    /// Which limit.
    pub limit: String,
    /// What it lets through, by arithmetic from what the service publishes.
    pub rate: Quantity,
    /// The load, once the limit's bucket was empty.
    pub offered: Quantity,
    /// What got through of it.
    pub admitted: Quantity,
    /// `admitted / rate - 1`: 0 is exact.
    pub error: f64,
    /// What passed beyond the rate while the bucket emptied.
    pub bucket: Quantity,
    /// The forwarder's drops, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Whether the limit was what kept frames back.
    pub verdict: Verdict,
}

/// See [`Outcome::Loss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossCurve {
    /// The largest load first.
    pub points: Vec<LossPoint>,
    /// What the loads are held against.
    pub lines: LineRates,
}

/// Loss at one load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossPoint {
    /// Share of the largest load.
    pub share: f64,
    /// The load.
    pub rate: Quantity,
    /// What got through.
    pub forwarded: Quantity,
    /// Lost and unsent over intended.
    pub loss_ratio: f64,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}

/// See [`Outcome::Burst`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Burst {
    /// The rate within a burst.
    pub burst_rate: Quantity,
    /// The throughput that the correction uses.
    pub throughput: Quantity,
    /// Longest burst without loss of each repeat, in frames.
    pub bursts: Vec<u64>,
    /// Their mean.
    pub mean: Quantity,
    /// `mean / burst_rate`.
    pub implied_buffer: Quantity,
    /// RFC 9004: the forwarder drains while the burst arrives.
    pub corrected_buffer: Quantity,
    /// Whether loss could be caused at all.
    pub limit_reached: bool,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}

/// See [`Outcome::Recovery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recovery {
    /// The overload.
    pub overload: Quantity,
    /// The load that it dropped to.
    pub relief: Quantity,
    /// From the drop in load to the last lost frame.
    pub to_last_loss: Quantity,
    /// From the drop in load until mean latency is within 10 % of its value at rest.
    pub to_usual_latency: Option<Quantity>,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}

/// See [`Outcome::Failover`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failover {
    /// Each repeat.
    pub runs: Vec<FailoverRun>,
    /// What such an event is expected to take, in sentences with their source.
    pub expected: Vec<String>,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailoverRun {
    /// What was done: `link cut`, `edge killed`.
    pub event: String,
    /// `to_azure`, `to_onprem`.
    pub direction: String,
    /// Lost frames over rate.
    pub by_loss: Quantity,
    /// From the last frame before to the first after, by arrival.
    pub by_time: Quantity,
    /// Missing sequence numbers over rate, the longest run.
    pub by_gap: Quantity,
    /// Whether the three agree, in a sentence.
    pub agreement: String,
    /// Longest gap of each flow: least, median, 95th percentile, most.
    pub by_flow: [Quantity; 4],
    /// Lost runs longer than three frames, of all flows; they begin counted from the event, and
    /// those before it have a negative begin.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// Frames that arrived twice.
    pub duplicates: u64,
    /// Frames that arrived out of order.
    pub reordered: u64,
    /// NAT sessions before, and those of them that still forward afterwards.
    pub sessions: Option<(u64, u64)>,
}

/// See [`Outcome::Sessions`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sessions {
    /// Largest rate at which every new session was opened.
    pub establishment: Option<Quantity>,
    /// Rate at which sessions end.
    pub tear_down: Option<Quantity>,
    /// Each table size tried: sessions opened, sessions found again from outside.
    pub capacity: Vec<(u64, u64)>,
    /// Throughput with all sessions new, and with all of them open.
    pub all_new: Option<Quantity>,
    /// Throughput with all sessions open.
    pub all_open: Option<Quantity>,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}

/// See [`Outcome::Churn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Churn {
    /// The load under which routes changed.
    pub load: Quantity,
    /// The throughput that it is a share of, where that was searched for; in memory, what went
    /// through without changes.
    pub throughput: Option<Quantity>,
    /// Route changes a second, the median of the runs.
    pub updates: Quantity,
    /// Each pair of trials, one with changes and one without.
    pub runs: Vec<ChurnRun>,
    /// Whether the table took them.
    pub verdict: Verdict,
}

/// A trial with route changes and one without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChurnRun {
    /// Route changes a second.
    pub updates: Quantity,
    /// Frames lost with changes, and without.
    pub lost: (u64, u64),
    /// Frames that were due and not sent, with changes and without.
    pub unsent: (u64, u64),
    /// Addresses looked up in the table and in one built anew from its routes.
    pub compared: u64,
    /// Those of them that led elsewhere.
    pub differing: u64,
}

/// See [`Outcome::Scale`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scale {
    /// `routes`, `flows`, `sessions`, `frame size`, `workers`.
    pub axis: String,
    /// What is shown along it: `throughput`, `cost`.
    pub figure: String,
    /// In order of the axis.
    pub points: Vec<ScalePoint>,
}

/// One place on the axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScalePoint {
    /// Where.
    pub at: f64,
    /// What to call it.
    pub label: String,
    /// The figure.
    pub value: Quantity,
    /// Its lowest and highest over the runs, or its bounds.
    pub range: (f64, f64),
    /// What it is held against, where that changes along the axis.
    pub lines: Option<LineRates>,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}

/// See [`Outcome::Compare`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Compare {
    /// The first one.
    pub a: String,
    /// The second one.
    pub b: String,
    /// What is compared: `frames/s at max load`, `ticks a packet`, `latency p99`.
    pub figure: String,
    /// Figures of each pair, A's first, in the order measured.
    pub pairs: Vec<(f64, f64)>,
    /// B over A, the median of pairs; over 1 B has more of the figure.
    pub ratio: f64,
    /// Its 95 % confidence interval.
    pub interval: (f64, f64),
    /// Wilcoxon's signed-rank p; of several figures of the same runs, as Holm corrects it.
    pub p_value: f64,
    /// B less A, the median of pairs, and its 95 % confidence interval; of latencies.
    #[serde(default)]
    pub difference: Option<(Quantity, (f64, f64))>,
    /// Difference that matters.
    pub margin: f64,
    /// `improvement`, `regression`, `equal`, `inconclusive`; seen from A to B.
    pub decision: String,
    /// Whether it may be trusted.
    pub verdict: Verdict,
}
