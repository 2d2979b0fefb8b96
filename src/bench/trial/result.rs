//! What came of a trial, beyond what its record keeps: each lane by itself, and whole histograms.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::Spec;
use super::course::Rest;
use super::lane::Lane;
use super::schedule::Schedule;
use super::sense::Sensed;
use super::tally::spread::{self, float};
use super::tally::{Run as LostRun, Silence, Timeline};
use crate::bench::record::Quantity;
use crate::bench::record::trial::{Frames, Gap, Trial, Verdict, VerdictKind};
use crate::bench::traffic::Stream;
use crate::time::Span;

/// A finished trial.
#[derive(Debug)]
pub struct Run {
    /// Its record.
    pub trial: Trial,
    /// Each lane.
    pub lanes: Vec<LaneRun>,
    /// From due time to arrival, all lanes, in nanoseconds.
    pub intended: Histogram<u64>,
    /// From departure to arrival.
    pub actual: Histogram<u64>,
    /// From due time to departure.
    pub lateness: Histogram<u64>,
    /// When each event was called.
    pub events: Vec<EventTime>,
    /// Whether everything had come to rest before the drain's time was over.
    pub at_rest: bool,
}

impl Run {
    /// Puts a record together; its verdict is still to come.
    pub(super) fn assemble(
        spec: &Spec,
        lanes: Vec<LaneRun>,
        sensed: Sensed,
        rest: Rest,
        events: Vec<EventTime>,
    ) -> Self {
        let mut frames = Frames::default();
        let [mut intended, mut actual, mut lateness] = [(); 3].map(|()| spread::times());
        for lane in &lanes {
            add(&mut frames, &lane.frames);
            merge(&mut intended, &lane.intended);
            merge(&mut actual, &lane.actual);
            merge(&mut lateness, &lane.lateness);
        }
        let length = spec.length().as_secs_f64();
        let elapsed_ns = lanes.iter().map(|lane| lane.last_left_ns).max().unwrap_or(0);
        let trial = Trial {
            purpose: spec.purpose.clone(),
            intended_rate: Quantity::rate(float(frames.intended) / length),
            duration: Quantity::seconds(length),
            elapsed: Quantity::seconds(Span(elapsed_ns).as_secs_f64()),
            frames,
            lateness: spread::spread_or_zero(&lateness),
            latency: spread::latency(&intended),
            latency_actual: spread::latency(&actual),
            gaps: lanes.iter().flat_map(|lane| lane.gaps.iter().copied()).collect(),
            threads: sensed.threads,
            steal: Quantity::ratio(sensed.steal),
            device: rest.device,
            medium_drops: rest.drops,
            unaccounted: rest.unaccounted,
            verdict: Verdict::ok(),
        };
        Self { trial, lanes, intended, actual, lateness, events, at_rest: rest.at_rest }
    }

    /// The verdict when frames came too late to be told from duplicates.
    pub(super) fn too_late(&self) -> Option<Verdict> {
        let frames: u64 = self.lanes.iter().map(|lane| lane.stale).sum();
        let why = || {
            format!(
                "{frames} frames arrived so late that it is not known any more whether they had \
                 arrived before; run a shorter trial"
            )
        };
        (frames > 0).then(|| Verdict::new(VerdictKind::Unaccounted, why()))
    }
}

/// When an event was called, in nanoseconds from the end of the ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// When it was due.
    pub due_ns: u64,
    /// When [`super::Watch::event`] was called.
    pub begin_ns: u64,
    /// When it returned.
    pub end_ns: u64,
}

/// One lane of a finished trial. Times are nanoseconds from the end of the ramp.
#[derive(Debug)]
pub struct LaneRun {
    /// Frames by fate.
    pub frames: Frames,
    /// Lost runs longer than three frames, in order; of very many, the longest.
    pub gaps: Vec<Gap>,
    /// All such runs, counted.
    pub gap_count: u64,
    /// Each flow's longest gap, when that was asked for and there are 2 to 65,536 flows.
    pub flow_gaps: Vec<FlowGap>,
    /// When the last lost frame was due.
    pub last_lost_ns: Option<u64>,
    /// The longest time without a new frame, by frames skipped.
    pub silence: Option<Silence>,
    /// How far behind the newest frame the latest one was, in frames.
    pub reorder_extent: u64,
    /// Frames so late that it is not known whether they had arrived before.
    pub stale: u64,
    /// The most frames that left within a millisecond.
    pub most_per_millisecond: u64,
    /// When the last frame left.
    pub last_left_ns: u64,
    /// By time.
    pub timeline: Timeline,
    /// From due time to arrival, in nanoseconds.
    pub intended: Histogram<u64>,
    /// From departure to arrival.
    pub actual: Histogram<u64>,
    /// From due time to departure.
    pub lateness: Histogram<u64>,
}

/// A flow's longest gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowGap {
    /// The flow: frames whose numbers leave this when divided by the number of flows.
    pub flow: u64,
    /// Frames lost in a row of this flow; 0 when it lost none.
    pub frames: u64,
    /// When the first of them was due.
    pub begin_ns: u64,
    /// From there until the first frame after them was due.
    pub length_ns: u64,
}

impl LaneRun {
    /// Settles a lane in which nothing can arrive any more.
    pub(super) fn finish<S: Stream>(lane: Lane<'_, S>, ramp_ns: u64, by_flow: bool) -> Self {
        let (index, unsent) = (lane.index, lane.unsent());
        let (schedule, flows) = (lane.schedule(), lane.flows());
        let mut tally = lane.tally;
        tally.finish();
        let offered = tally.offered();
        let runs = tally.losses.runs();
        let flow_runs: Vec<LostRun> =
            if by_flow { tally.losses.flows().collect() } else { Vec::new() };
        let last = tally.losses.last();
        let ends = runs.iter().flat_map(|run| [run.first, run.first + run.frames]);
        let flow_ends =
            flow_runs.iter().flat_map(|run| [run.first, run.first + run.frames * flows]);
        let due = due_times(schedule, ends.chain(flow_ends).chain(last), ramp_ns);
        let gap = |run: &LostRun| Gap {
            stream: u32::try_from(index).expect("few lanes"),
            begin: Quantity::seconds(float(due[&run.first]) / 1e9),
            length: Quantity::seconds(
                float(due[&(run.first + run.frames)] - due[&run.first]) / 1e9,
            ),
            frames: run.frames,
        };
        let flow_gap = |(flow, run): (u64, &LostRun)| FlowGap {
            flow,
            frames: run.frames,
            begin_ns: due[&run.first],
            length_ns: due[&(run.first + run.frames * flows)] - due[&run.first],
        };
        let counts = tally.counts;
        debug_assert!(counts.stale > 0 || tally.losses.lost() + counts.unique == offered);
        let after_ramp = |silence: Silence| Silence {
            from_ns: silence.from_ns.saturating_sub(ramp_ns),
            to_ns: silence.to_ns.saturating_sub(ramp_ns),
            ..silence
        };
        Self {
            frames: Frames {
                intended: offered + unsent,
                offered,
                unsent,
                received: counts.unique,
                lost: offered.cast_signed() - counts.unique.cast_signed(),
                duplicates: counts.duplicates,
                reordered: counts.reordered,
                corrupt: counts.corrupt,
                foreign: counts.foreign,
            },
            gaps: runs.iter().map(gap).collect(),
            gap_count: tally.losses.worthy(),
            flow_gaps: (0..).zip(&flow_runs).map(flow_gap).collect(),
            last_lost_ns: last.map(|seq| due[&seq]),
            silence: tally.silence.map(after_ramp),
            reorder_extent: counts.extent,
            stale: counts.stale,
            most_per_millisecond: tally.pace.most_per_millisecond(),
            last_left_ns: tally.pace.last_ns().saturating_sub(ramp_ns),
            timeline: tally.timeline,
            intended: tally.intended,
            actual: tally.actual,
            lateness: tally.lateness,
        }
    }
}

/// When frames are due after the ramp, by number.
fn due_times(
    mut schedule: Schedule,
    numbers: impl Iterator<Item = u64>,
    ramp_ns: u64,
) -> BTreeMap<u64, u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(|seq| (seq, schedule.due(seq).saturating_sub(ramp_ns))).collect()
}

fn add(sum: &mut Frames, one: &Frames) {
    sum.intended += one.intended;
    sum.offered += one.offered;
    sum.unsent += one.unsent;
    sum.received += one.received;
    sum.lost += one.lost;
    sum.duplicates += one.duplicates;
    sum.reordered += one.reordered;
    sum.corrupt += one.corrupt;
    sum.foreign += one.foreign;
}

fn merge(sum: &mut Histogram<u64>, one: &Histogram<u64>) {
    sum.add(one).expect("all histograms have the same bounds");
}
