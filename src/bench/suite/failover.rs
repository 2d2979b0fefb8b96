//! How long does traffic stop when something fails? Three ways to tell (RFC 6201): frames lost over
//! the rate, silence at the sink, missing numbers. Where they disagree, that is a finding: several
//! blips, or frames that were delayed and not lost.

use super::{Event, Plan, Runner, Step, count};
use crate::bench::error::BenchError;
use crate::bench::record::outcome::{Failover, FailoverRun};
use crate::bench::record::trial::Gap;
use crate::bench::record::{Quantity, Trial, Verdict};
use crate::bench::trial::Run;
use crate::bench::trial::outage::Outage;
use crate::time::Span;

/// One event and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// What is done.
    pub event: Event,
    /// What the record calls it.
    pub name: &'static str,
}

/// What such failures take by the service's own word.
const EXPECTED: [&str; 3] = [
    "BFD notices within 900 ms (300 ms, three times; Azure's documentation)",
    "BGP's hold timer runs out after 180 s (Azure's documentation)",
    "convergence between gateways and edges takes up to a minute (Azure's documentation)",
];

/// Repeats a failure under `rate` frames a second; it comes a quarter into each trial of `duration`.
///
/// # Errors
/// When a trial cannot be run.
pub fn repeat(
    runner: &mut Runner<'_>,
    failure: Failure,
    repeats: usize,
    (rate, duration): (f64, Span),
) -> Result<Failover, BenchError> {
    let mut runs = Vec::new();
    for done in 0..repeats {
        let left = Span(duration.0 * (repeats - done) as u64);
        runner.say(&format!("{}, {} of {repeats}", failure.name, done + 1), Some(left));
        let plan = Plan {
            purpose: failure.name.to_owned(),
            steps: vec![Step { rate, duration }],
            event: Some((Span(duration.0 / 4), failure.event)),
        };
        let mut run = runner.bed().run(&plan)?;
        explain(&mut run.trial);
        runner.keep(run.trial.clone());
        let direction = runner.bed().scenario().direction.clone();
        runs.push(judge(&run, failure.name, direction, rate));
        runner.bed().mend()?;
    }
    Ok(Failover { runs, expected: EXPECTED.map(str::to_owned).to_vec() })
}

/// Frames that were on the link when it was cut are in no counter of anybody's: at most what one
/// call sends.
fn explain(trial: &mut Trial) {
    let Some(frames) = trial.unaccounted.filter(|frames| (1..=IN_FLIGHT).contains(frames)) else {
        return;
    };
    trial.medium_drops.insert("on the link when it was cut".to_owned(), frames.unsigned_abs());
    trial.unaccounted = Some(0);
    trial.verdict = Verdict::ok();
}

/// Frames of one batch.
const IN_FLIGHT: i64 = 64;

/// The three methods beside each other, for the lane that carried most.
pub fn judge(run: &Run, event: &str, direction: String, rate: f64) -> FailoverRun {
    let lane = run.lanes.iter().max_by_key(|lane| lane.frames.offered);
    let outage = lane.map(|lane| Outage::of(lane, rate, 0));
    let none = Quantity::seconds(0.0);
    let begin = run.events.first().map_or(0.0, |event| count(event.begin_ns) / 1e9);
    let gap = |gap: &Gap| Gap { begin: Quantity::seconds(gap.begin.value - begin), ..*gap };
    FailoverRun {
        event: event.to_owned(),
        direction,
        by_loss: outage.as_ref().map_or(none, |own| own.by_loss),
        by_time: outage.as_ref().map_or(none, |own| own.by_time),
        by_gap: outage.as_ref().map_or(none, |own| own.by_gap),
        agreement: outage.as_ref().map_or(String::new(), |own| own.agreement.clone()),
        by_flow: outage.map_or([none; 4], |own| own.by_flow),
        gaps: run.trial.gaps.iter().map(gap).collect(),
        duplicates: run.trial.frames.duplicates,
        reordered: run.trial.frames.reordered,
        sessions: None,
    }
}
