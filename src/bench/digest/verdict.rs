//! May a record's figure be trusted, and what limited it?

use crate::bench::record::outcome::Outcome;
use crate::bench::record::{Record, Verdict, VerdictKind};

/// The verdicts of a record's parts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The worst of them.
    pub kind: VerdictKind,
    /// The sentences of all that are not ok, each once.
    pub whys: Vec<String>,
    /// How many parts are not ok, and how many there are.
    pub flawed: (usize, usize),
}

/// What limited the figure, as the end of the sentence "the limit was".
pub const fn limit(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Ok => "the forwarder",
        VerdictKind::GeneratorBound => "the generator",
        VerdictKind::SinkBound => "the sink",
        VerdictKind::MediumBound => "the medium",
        VerdictKind::Contaminated => "other work on the machine",
        VerdictKind::AtMaxLoad => "the largest load tried",
        VerdictKind::Unaccounted => "unknown: frames are missing",
    }
}

/// What a verdict means and what to do about it.
pub const fn meaning(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Ok => "The forwarder was the limit: the figure is its own.",
        VerdictKind::GeneratorBound => {
            "The generator could not send more or was late. The forwarder does at least this; give \
             the generator a core of its own."
        }
        VerdictKind::SinkBound => {
            "The sink could not take more. The forwarder does at least this; give the sink a core \
             of its own."
        }
        VerdictKind::MediumBound => {
            "A forwarder that does nothing is hardly faster on this medium. The forwarder does at \
             least this; measure on a faster medium."
        }
        VerdictKind::Contaminated => {
            "Other work took time from a thread of the measurement. The figure is likely too low; \
             end the other work and measure again."
        }
        VerdictKind::AtMaxLoad => {
            "The largest load that was to be tried passed. The forwarder does at least this; allow \
             a larger load."
        }
        VerdictKind::Unaccounted => {
            "Frames went missing that no counter knows. There is no figure; this is an error of \
             the harness or of the forwarder's counters."
        }
    }
}

/// How bad it is: what makes a figure worthless outweighs what makes it a lower bound.
const fn weight(kind: VerdictKind) -> u8 {
    match kind {
        VerdictKind::Ok => 0,
        VerdictKind::AtMaxLoad => 1,
        VerdictKind::MediumBound => 2,
        VerdictKind::SinkBound => 3,
        VerdictKind::GeneratorBound => 4,
        VerdictKind::Contaminated => 5,
        VerdictKind::Unaccounted => 6,
    }
}

/// The verdict of a record; none where neither a part nor a trial has one.
pub(super) fn judge(record: &Record) -> Option<Judged> {
    let parts = parts(record);
    let worst = parts.iter().max_by_key(|verdict| weight(verdict.kind))?;
    let flawed = || parts.iter().filter(|verdict| verdict.kind != VerdictKind::Ok);
    let mut whys: Vec<String> = Vec::new();
    for verdict in flawed() {
        if !verdict.why.is_empty() && !whys.contains(&verdict.why) {
            whys.push(verdict.why.clone());
        }
    }
    Some(Judged { kind: worst.kind, whys, flawed: (flawed().count(), parts.len()) })
}

fn parts(record: &Record) -> Vec<&Verdict> {
    match &record.result {
        Outcome::Calibration(_) => record.calibration.iter().map(|c| &c.verdict).collect(),
        Outcome::Cost(answer) => vec![&answer.verdict],
        Outcome::Throughput(answer) => vec![&answer.verdict],
        Outcome::Latency(answer) => answer.points.iter().map(|point| &point.verdict).collect(),
        Outcome::Loss(answer) => answer.points.iter().map(|point| &point.verdict).collect(),
        Outcome::Limits(answer) => vec![&answer.verdict],
        Outcome::Burst(answer) => vec![&answer.verdict],
        Outcome::Recovery(answer) => vec![&answer.verdict],
        // The three methods judge each other; what disturbed the trials still counts.
        Outcome::Failover(_) => record.trials.iter().map(|trial| &trial.verdict).collect(),
        Outcome::Sessions(answer) => vec![&answer.verdict],
        Outcome::Churn(answer) => vec![&answer.verdict],
        Outcome::Scale(answer) => answer.points.iter().map(|point| &point.verdict).collect(),
        Outcome::Compare(answer) => vec![&answer.verdict],
    }
}
