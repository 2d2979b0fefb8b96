//! How many route changes a second does the table take while frames flow, and is any frame lost for
//! them? Trials with changes and without alternate, at the same load.
//!
//! The changes are such that no frame needs what they take away, so that a frame that is lost for
//! them is the table's fault unless the sink had no room, as is an address that leads elsewhere afterwards than in a table that
//! was built anew. That frames leave in bursts does not matter here: the changes take turns with
//! the generator.

use super::{Plan, RETRIES, Runner, count};
use crate::bench::error::BenchError;
use crate::bench::medium::Changed;
use crate::bench::record::outcome::{Churn, ChurnRun};
use crate::bench::record::{Quantity, Trial, Unit, Verdict, VerdictKind};
use crate::bench::trial::verdict::SLACK_NS;
use crate::frame::DropReason;
use crate::time::Span;

/// The share of the throughput at which routes change.
pub const SHARE: f64 = 0.7;

/// A trial with changes, one without, and what was changed.
#[derive(Clone, Debug)]
struct Pair {
    with: Trial,
    without: Trial,
    changed: Changed,
}

/// Changes routes under `load` frames a second in trials of `duration`, and compares with as many
/// trials without changes; again where other work disturbed a pair.
///
/// # Errors
/// When routes cannot be changed here, or a trial cannot be run.
pub fn measure(
    runner: &mut Runner<'_>,
    load: f64,
    throughput: Option<f64>,
    (pairs, duration): (usize, Span),
) -> Result<Churn, BenchError> {
    let mut kept = Vec::new();
    for index in 0..pairs.max(1) {
        let mut pair = one(runner, load, duration, index)?;
        for _ in 0..RETRIES {
            let disturbed = [&pair.with, &pair.without]
                .into_iter()
                .any(|trial| trial.verdict.kind == VerdictKind::Contaminated);
            if !disturbed {
                break;
            }
            pair = one(runner, load, duration, index)?;
        }
        let updates = pair.updates();
        runner.say(&format!("{updates} in pair {}", index + 1), None);
        kept.push(pair);
    }
    let mut updates: Vec<f64> = kept.iter().map(|pair| pair.updates().value).collect();
    updates.sort_by(f64::total_cmp);
    let (low, high) = (updates[(updates.len() - 1) / 2], updates[updates.len() / 2]);
    Ok(Churn {
        load: Quantity::rate(load),
        throughput: throughput.map(Quantity::rate),
        updates: per_second(f64::midpoint(low, high)),
        runs: kept.iter().map(Pair::run).collect(),
        verdict: judge(&kept),
    })
}

/// Both trials of a pair; which one comes first alternates.
fn one(
    runner: &mut Runner<'_>,
    load: f64,
    duration: Span,
    index: usize,
) -> Result<Pair, BenchError> {
    let plan = |purpose| Plan::constant(purpose, load, duration);
    let (with, without) = (plan("with changes"), plan("without changes"));
    if index.is_multiple_of(2) {
        let without = runner.once(&without)?.trial;
        let (run, changed) = runner.churn(&with)?;
        return Ok(Pair { with: run.trial, without, changed });
    }
    let (run, changed) = runner.churn(&with)?;
    Ok(Pair { with: run.trial, without: runner.once(&without)?.trial, changed })
}

fn per_second(value: f64) -> Quantity {
    Quantity { value, unit: Unit::UpdatesPerSecond }
}

impl Pair {
    fn updates(&self) -> Quantity {
        per_second(count(self.changed.changes) / self.with.elapsed.value.max(1e-9))
    }

    fn run(&self) -> ChurnRun {
        let both = |of: &dyn Fn(&Trial) -> u64| (of(&self.with), of(&self.without));
        ChurnRun {
            updates: self.updates(),
            lost: both(&lost),
            unsent: both(&|trial| trial.frames.unsent),
            compared: self.changed.compared,
            differing: self.changed.differing,
        }
    }
}

/// Frames that were sent and did not arrive.
fn lost(trial: &Trial) -> u64 {
    trial.frames.lost.max(0).unsigned_abs()
}

/// Whether the table took the changes. What voids the figure comes before what disturbed it.
fn judge(pairs: &[Pair]) -> Verdict {
    let trials = || pairs.iter().flat_map(|pair| [&pair.with, &pair.without]);
    let of = |kind| trials().map(|trial| &trial.verdict).find(|verdict| verdict.kind == kind);
    // A forwarder that loses frames also answers with errors that no lane takes.
    if let Some(why) = pairs.iter().find_map(broken) {
        return Verdict::new(VerdictKind::Unaccounted, why);
    }
    if let Some(verdict) = of(VerdictKind::Unaccounted).or_else(|| of(VerdictKind::Contaminated)) {
        return verdict.clone();
    }
    if let Some(why) = pairs.iter().find_map(untaken) {
        return Verdict::new(VerdictKind::SinkBound, why);
    }
    match pairs.iter().find_map(short) {
        Some(why) => Verdict::new(VerdictKind::GeneratorBound, why),
        None => Verdict::ok(),
    }
}

/// What is wrong with the table, if anything is.
fn broken(pair: &Pair) -> Option<String> {
    let Changed { compared, differing, .. } = pair.changed;
    if differing > 0 {
        return Some(format!(
            "{differing} of {compared} addresses lead elsewhere than in a table that was built \
             anew from the same routes: what workers read is not what was written"
        ));
    }
    let [with, without] =
        [&pair.with, &pair.without].map(|trial| lost(trial).saturating_sub(port_full(trial)));
    (with > without).then(|| {
        let drops = pair.with.device.as_ref().map(|device| device.dropped.clone());
        format!(
            "{with} frames were lost while routes changed and {without} without; the forwarder \
             dropped {:?}: no change took away what a frame needed, so none may be lost",
            drops.unwrap_or_default(),
        )
    })
}

/// Frames for which the sink had no room.
fn port_full(trial: &Trial) -> u64 {
    let dropped = trial.device.as_ref().map(|device| &device.dropped);
    dropped.and_then(|own| own.get(DropReason::PortFull.name())).copied().unwrap_or(0)
}

/// What the sink did not take for the changes, if anything.
fn untaken(pair: &Pair) -> Option<String> {
    let (with, without) = (port_full(&pair.with), port_full(&pair.without));
    (with > without).then(|| {
        format!(
            "{with} frames found the sink's ring full while routes changed and {without} without: \
             the tester's core has no time left at this load; take a lower --load"
        )
    })
}

/// What kept the load or the changes from being what was asked for, if anything did.
fn short(pair: &Pair) -> Option<String> {
    let (with, without) = (pair.with.frames.unsent, pair.without.frames.unsent);
    let slack = pair.with.intended_rate.value * SLACK_NS / 1e9;
    if with > without && count(with) > slack {
        return Some(format!(
            "{with} frames were not sent in time while routes changed and {without} without: the \
             tester's core or the forwarder has no time left at this load; take a lower --load"
        ));
    }
    (pair.changed.changes == 0).then(|| {
        "no route was changed: at this load the tester's core has no time for it; take a lower \
         --load"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
