//! What is a record's answer in one line? The terminal's table and the report's summary both show
//! a [`Digest`].
//!
//! It never says more than the verdict allows: a rate that something else than the forwarder
//! limited is shown as "at least", one with frames that nobody can account for is no figure at all,
//! and a share of the nominal line rate is shown only where the forwarder was the limit.

mod figure;
#[cfg(test)]
mod tests;
mod verdict;

use super::record::outcome::Outcome;
use super::record::{Quantity, Record, VerdictKind};

pub use verdict::{Judged, limit, meaning};

/// A record's answer in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// What was asked.
    pub question: Question,
    /// The figure with its unit: `1.00 Mpps`, or what stands in for it.
    pub figure: String,
    /// What the figure is: `NDR`, `hot`.
    pub of: String,
    /// The next figure that one wants to see, with what it is.
    pub beside: String,
    /// Between which bounds, or over which runs.
    pub range: String,
    /// The figure over each line rate.
    pub shares: Shares,
    /// Whether it may be trusted; none where nothing judged it.
    pub judged: Option<Judged>,
}

/// A rate as shares of the three line rates, where both are known and may be told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// Of the nominal link speed.
    pub nominal: Option<f64>,
    /// Of what the circuit's policer lets through.
    pub circuit: Option<f64>,
    /// Of what the medium carried without a forwarder.
    pub medium: Option<f64>,
}

/// What a record answers, in the order in which one wants to read the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// See [`Outcome::Throughput`].
    Throughput,
    /// See [`Outcome::Compare`].
    Compare,
    /// See [`Outcome::Latency`].
    Latency,
    /// See [`Outcome::Loss`].
    Loss,
    /// See [`Outcome::Limits`].
    Limits,
    /// See [`Outcome::Churn`].
    Churn,
    /// See [`Outcome::Scale`].
    Scale,
    /// See [`Outcome::Cost`].
    Cost,
    /// See [`Outcome::Sessions`].
    Sessions,
    /// See [`Outcome::Failover`].
    Failover,
    /// See [`Outcome::Burst`].
    Burst,
    /// See [`Outcome::Recovery`].
    Recovery,
    /// See [`Outcome::Calibration`].
    Calibration,
}

impl Question {
    /// Every question, in order.
    pub const ALL: [Question; 13] = [
        Self::Throughput,
        Self::Compare,
        Self::Latency,
        Self::Loss,
        Self::Limits,
        Self::Churn,
        Self::Scale,
        Self::Cost,
        Self::Sessions,
        Self::Failover,
        Self::Burst,
        Self::Recovery,
        Self::Calibration,
    ];

    /// What an outcome answers.
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Throughput(_) => Self::Throughput,
            Outcome::Compare(_) => Self::Compare,
            Outcome::Latency(_) => Self::Latency,
            Outcome::Loss(_) => Self::Loss,
            Outcome::Limits(_) => Self::Limits,
            Outcome::Churn(_) => Self::Churn,
            Outcome::Scale(_) => Self::Scale,
            Outcome::Cost(_) => Self::Cost,
            Outcome::Sessions(_) => Self::Sessions,
            Outcome::Failover(_) => Self::Failover,
            Outcome::Burst(_) => Self::Burst,
            Outcome::Recovery(_) => Self::Recovery,
            Outcome::Calibration(_) => Self::Calibration,
        }
    }

    /// As a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Throughput => "Throughput",
            Self::Compare => "Comparison",
            Self::Latency => "Latency",
            Self::Loss => "Loss over load",
            Self::Limits => "Limits of the service",
            Self::Churn => "Route changes",
            Self::Scale => "Scale",
            Self::Cost => "Cost of a packet",
            Self::Sessions => "NAT sessions",
            Self::Failover => "Failover",
            Self::Burst => "Bursts",
            Self::Recovery => "Recovery from overload",
            Self::Calibration => "Calibration",
        }
    }
}

/// Sums a record up.
pub fn digest(record: &Record) -> Digest {
    let judged = verdict::judge(record);
    let kind = judged.as_ref().map_or(VerdictKind::Ok, |judged| judged.kind);
    let figure = figure::figure(record, kind);
    let shares = match (&figure.rate, figure.lines) {
        (Some(rate), Some(lines)) if kind != VerdictKind::Unaccounted => Shares {
            nominal: if kind == VerdictKind::Ok { share(*rate, lines.nominal) } else { None },
            circuit: share(*rate, lines.circuit),
            medium: share(*rate, lines.medium),
        },
        _ => Shares::default(),
    };
    Digest {
        question: Question::of(&record.result),
        figure: figure.text,
        of: figure.of,
        beside: figure.beside,
        range: figure.range,
        shares,
        judged,
    }
}

/// One rate over another of the same unit.
fn share(rate: Quantity, line: Option<Quantity>) -> Option<f64> {
    let line = line?;
    (rate.unit == line.unit && line.value > 0.0).then_some(rate.value / line.value)
}

/// `0.990 to 1.010 Mpps`: the unit once where both have the same.
pub fn between(low: Quantity, high: Quantity) -> String {
    let (low, high) = (low.to_string(), high.to_string());
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((from, unit)), Some((_, same))) if unit == same => format!("{from} to {high}"),
        _ => format!("{low} to {high}"),
    }
}
