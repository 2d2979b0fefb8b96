//! May the number be trusted, and for what? A pure function of a trial and of what machine and
//! medium can do without a forwarder.
//!
//! The rules are asked in this order and the first that has something to say decides, because each
//! makes those behind it meaningless:
//!
//! 1. *unaccounted*: more frames came than went, or frames are in no counter.
//! 2. *contaminated*: a thread waited for its core for more than [`MOST_WAIT`] of the trial, was
//!    put off it more than [`MOST_SWITCHES`] times a second, or the hypervisor took more than
//!    [`MOST_STEAL`] of all cores' time.
//! 3. *generator bound*: frames worth more than [`SLACK_NS`] were not sent, sending took longer
//!    than [`STRETCH`] of the plan (and that slack), the 99.9th percentile of lateness is over its
//!    [limit](lateness_limit), or what arrived is at least [`NEAR`] of what the generator can send.
//! 4. *sink bound*: a counter of the tester or the medium moved, or what arrived is at least
//!    [`NEAR`] of what the sink can take.
//! 5. *medium bound*: a forwarder that does nothing gets less than [`MARGIN`] times as much through.
//! 6. *at max load*: nothing was lost at the largest load that was to be tried.
//! 7. *ok*: else. The sentence says where frames were lost, if any were.

use super::tally::spread::float;
use crate::bench::record::trial::{Trial, Verdict, VerdictKind};
use crate::bench::record::{Calibration, Hiccup, Quantity};

/// Share of a trial that a thread may wait for its core.
pub const MOST_WAIT: f64 = 0.01;
/// Share of all cores' time that the hypervisor may take.
pub const MOST_STEAL: f64 = 0.005;
/// Times a second that a thread may be put off its core.
pub const MOST_SWITCHES: f64 = 100.0;
/// How much time's worth of frames may remain unsent, in nanoseconds.
pub const SLACK_NS: f64 = 10_000.0;
/// How much longer than planned sending may take, as siitperf has it.
pub const STRETCH: f64 = 1.000_01;
/// From this share of a calibration on the calibrated part is the limit.
pub const NEAR: f64 = 0.9;
/// How much faster a forwarder that does nothing must be.
pub const MARGIN: f64 = 1.1;
/// Share of turns without work up to which a forwarder counts as busy.
pub const BUSY: f64 = 0.02;

/// What a trial is judged by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Basis {
    /// What generator, sink and medium can do.
    pub calibration: Option<Calibration>,
    /// How long the machine lets a busy thread wait.
    pub hiccup: Option<Hiccup>,
    /// The largest load that is to be tried, all lanes together, in frames a second.
    pub max_load: Option<f64>,
}

/// Judges a trial.
pub fn judge(trial: &Trial, basis: &Basis) -> Verdict {
    let found = validity(trial)
        .or_else(|| generator(trial, basis).map(because(VerdictKind::GeneratorBound)))
        .or_else(|| sink(trial, basis).map(because(VerdictKind::SinkBound)))
        .or_else(|| medium(trial, basis).map(because(VerdictKind::MediumBound)))
        .or_else(|| max_load(trial, basis).map(because(VerdictKind::AtMaxLoad)));
    found.unwrap_or_else(|| Verdict::new(VerdictKind::Ok, losses(trial)))
}

/// Judges by the first two rules alone: whether the trial counts at all. For calibrations, which
/// find a limit of generator and sink by design.
pub fn validity(trial: &Trial) -> Option<Verdict> {
    unaccounted(trial)
        .map(because(VerdictKind::Unaccounted))
        .or_else(|| contamination(trial).map(because(VerdictKind::Contaminated)))
}

fn because(kind: VerdictKind) -> impl Fn(String) -> Verdict {
    move |why| Verdict::new(kind, why)
}

fn unaccounted(trial: &Trial) -> Option<String> {
    let frames = &trial.frames;
    if frames.lost < 0 {
        return Some(format!(
            "{} more frames arrived than were sent: the counters cannot be right; run the trial \
             again with nothing else on the medium",
            frames.lost.unsigned_abs()
        ));
    }
    match trial.unaccounted {
        None | Some(0) => None,
        Some(missing @ 1..) => Some(format!(
            "{missing} of {} frames sent neither arrived nor stand in any counter; run the trial \
             again, and if they go missing again look for a drop without a counter",
            frames.offered
        )),
        Some(extra) => Some(format!(
            "the counters know of {} frames that were not sent; keep other traffic off the medium",
            extra.unsigned_abs()
        )),
    }
}

fn contamination(trial: &Trial) -> Option<String> {
    for thread in &trial.threads {
        if thread.wait.value > MOST_WAIT {
            return Some(format!(
                "the thread `{}` ran for {} of the trial and waited for its core for {}, more than \
                 {}; stop the other load or pin it elsewhere, and run again",
                thread.name,
                percent(thread.run.value),
                percent(thread.wait.value),
                percent(MOST_WAIT),
            ));
        }
        if thread.involuntary_per_second > MOST_SWITCHES {
            return Some(format!(
                "the thread `{}` was put off its core {:.0} times a second, more than \
                 {MOST_SWITCHES}; stop the other load or pin it elsewhere, and run again",
                thread.name, thread.involuntary_per_second,
            ));
        }
    }
    (trial.steal.value > MOST_STEAL).then(|| {
        format!(
            "the hypervisor gave {} of this machine's time to others, more than {}; run again when \
             its host is quiet",
            percent(trial.steal.value),
            percent(MOST_STEAL),
        )
    })
}

fn generator(trial: &Trial, basis: &Basis) -> Option<String> {
    let frames = &trial.frames;
    let slack = trial.intended_rate.value * SLACK_NS / 1e9;
    if float(frames.unsent) > slack {
        return Some(format!(
            "{} of {} frames were not sent in time: the generator or the medium's way in takes no \
             more than {}; lower the load, or choose a faster medium",
            frames.unsent,
            frames.intended,
            rate(frames.offered, trial.elapsed.value),
        ));
    }
    let planned = trial.duration.value * STRETCH + SLACK_NS / 1e9;
    if trial.elapsed.value > planned {
        return Some(format!(
            "sending took {:.6} s instead of {:.6} s, so that the load was lower than asked for; \
             lower the load",
            trial.elapsed.value, trial.duration.value,
        ));
    }
    let limit = lateness_limit(trial, basis);
    if trial.lateness.p999.value > limit {
        return Some(format!(
            "one frame in a thousand left {} late or later, more than {}, so that bursts were sent \
             instead of an even load; lower the load, or give the generator a core of its own",
            trial.lateness.p999,
            Quantity::nanos(limit),
        ));
    }
    let most = basis.calibration.as_ref()?.sent;
    near(trial, most).map(|share| {
        format!(
            "the {} that arrived are {share} of the {most} that the generator can send: the \
             forwarder may be faster; choose a faster medium",
            rate(frames.received, trial.duration.value),
        )
    })
}

/// The largest 99.9th percentile of lateness, in nanoseconds: 10 microseconds, a tenth of the
/// median latency where that is more, and twice what the machine itself takes from a thread that
/// does nothing but read the clock.
pub fn lateness_limit(trial: &Trial, basis: &Basis) -> f64 {
    let latency = trial.latency.as_ref().map_or(0.0, |latency| latency.spread.p50.value / 10.0);
    let hiccup = basis.hiccup.as_ref().map_or(0.0, |hiccup| hiccup.p999.value * 2.0);
    SLACK_NS.max(latency).max(hiccup)
}

fn sink(trial: &Trial, basis: &Basis) -> Option<String> {
    let moved: Vec<String> = trial
        .medium_drops
        .iter()
        .filter(|(_, frames)| **frames > 0)
        .map(|(counter, frames)| format!("{counter} by {frames}"))
        .collect();
    if !moved.is_empty() {
        return Some(format!(
            "counters of the tester's own side moved ({}): frames were lost behind the forwarder \
             or on the way to it; lower the load, or give the tester longer queues",
            moved.join(", "),
        ));
    }
    let most = basis.calibration.as_ref()?.received;
    near(trial, most).map(|share| {
        format!(
            "the {} that arrived are {share} of the {most} that the sink can take: the forwarder \
             may be faster; check less of each frame, or choose a faster medium",
            rate(trial.frames.received, trial.duration.value),
        )
    })
}

fn medium(trial: &Trial, basis: &Basis) -> Option<String> {
    let null = basis.calibration.as_ref()?.null_forwarder?;
    let arrived = arrived(trial);
    (arrived > 0.0 && null.value / arrived < MARGIN).then(|| {
        format!(
            "a forwarder that does nothing gets {null} through this medium, less than {MARGIN} times \
             the {} of this one: the medium is the limit; choose a faster one",
            Quantity::rate(arrived),
        )
    })
}

fn max_load(trial: &Trial, basis: &Basis) -> Option<String> {
    let most = basis.max_load?;
    let reached = trial.intended_rate.value >= most * (1.0 - 1e-9);
    (reached && trial.frames.lost == 0 && trial.frames.unsent == 0).then(|| {
        format!(
            "nothing was lost at {}, the largest load that was to be tried: the forwarder may be \
             faster; raise the largest load",
            trial.intended_rate,
        )
    })
}

/// Where frames were lost, when the forwarder was the limit.
fn losses(trial: &Trial) -> String {
    let Some(device) = trial.device.as_ref().filter(|_| trial.frames.lost > 0) else {
        return String::new();
    };
    let mut dropped: Vec<_> = device.dropped.iter().filter(|(_, frames)| **frames > 0).collect();
    dropped.sort_by_key(|(_, frames)| std::cmp::Reverse(**frames));
    let reasons: Vec<String> =
        dropped.iter().map(|(reason, frames)| format!("{reason} {frames}")).collect();
    let reasons = if reasons.is_empty() { "nothing".to_owned() } else { reasons.join(", ") };
    let busy = match device.idle_turns {
        Some(idle) if idle.value < BUSY => {
            format!(", and found work in all but {} of its turns", percent(idle.value))
        }
        Some(idle) => format!(
            ", but found no work in {} of its turns: look for what lets frames come in bursts",
            percent(idle.value)
        ),
        None => String::new(),
    };
    format!("the forwarder dropped {reasons}{busy}")
}

/// What arrived, in frames a second.
fn arrived(trial: &Trial) -> f64 {
    float(trial.frames.received) / trial.duration.value.max(1e-9)
}

/// The share of `most` that arrived, when it is [`NEAR`].
fn near(trial: &Trial, most: Quantity) -> Option<String> {
    let share = arrived(trial) / most.value;
    (most.value > 0.0 && share >= NEAR).then(|| percent(share))
}

fn rate(frames: u64, seconds: f64) -> Quantity {
    Quantity::rate(float(frames) / seconds.max(1e-9))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
