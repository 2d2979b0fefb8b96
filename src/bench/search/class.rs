//! What do the trials at one load prove? (RFC 9971, appendices "Load
//! Classification Code" and "Conditional Throughput Code")
//!
//! A trial is *good* when its loss ratio is at most the goal's, and *full* when it was asked to
//! last as long as the goal wants. Bad short trials count only beyond what good short ones make up
//! for. A load is decided as soon as nothing that could still be measured would change its class.

use super::trial::Trial;
use crate::time::Span;

/// What a load has to fulfil.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criteria {
    /// The highest loss ratio of a good trial, from 0 to below 1.
    pub loss_ratio: f64,
    /// The share of the time that trials may be bad, from 0 to below 1.
    pub exceed_ratio: f64,
    /// How long a full trial is asked to last.
    pub duration: Span,
    /// How long all full trials at a load last, in sum.
    pub duration_sum: Span,
}

/// What is known about a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It fulfils the criteria.
    Lower,
    /// It does not.
    Upper,
    /// More has to be measured.
    Undecided,
}

/// The time of the trials at one load, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Full and good.
    pub good: Span,
    /// Full and bad.
    pub bad: Span,
    /// Short and good.
    pub good_short: Span,
    /// Short and bad.
    pub bad_short: Span,
}

impl Tally {
    /// Of these trials, which are all at one load.
    pub fn of<'a>(criteria: &Criteria, trials: impl IntoIterator<Item = &'a Trial>) -> Self {
        let mut tally = Self::default();
        for trial in trials {
            let full = trial.ask.duration >= criteria.duration;
            let good = trial.loss_ratio() <= criteria.loss_ratio;
            let kind = match (full, good) {
                (true, true) => &mut tally.good,
                (true, false) => &mut tally.bad,
                (false, true) => &mut tally.good_short,
                (false, false) => &mut tally.bad_short,
            };
            kind.0 = kind.0.saturating_add(trial.measured.duration.0);
        }
        tally
    }

    /// What it proves: the same whether all that is missing turned out good or bad.
    pub fn class(&self, criteria: &Criteria) -> Class {
        let exceed = criteria.exceed_ratio;
        let [good, bad, good_short, bad_short] =
            [self.good, self.bad, self.good_short, self.bad_short].map(|span| span.0 as f64);
        let made_up_for = good_short * exceed / (1.0 - exceed);
        let bad = bad + (bad_short - made_up_for).max(0.0);
        let whole = (good + bad).max(criteria.duration_sum.0 as f64);
        let may_be_bad = whole * exceed;
        match (bad <= may_be_bad, whole - good <= may_be_bad) {
            (true, true) => Class::Lower,
            (false, false) => Class::Upper,
            _ => Class::Undecided,
        }
    }
}

/// The loss ratio to take off a lower bound: that of the worst trial which is still needed to fill
/// the share of the time that has to be good. What is missing of that time counts as lost.
pub fn conditional_loss<'a>(
    criteria: &Criteria,
    trials: impl IntoIterator<Item = &'a Trial>,
) -> f64 {
    let mut full: Vec<(f64, Span)> = trials
        .into_iter()
        .filter(|trial| trial.ask.duration >= criteria.duration)
        .map(|trial| (trial.loss_ratio(), trial.measured.duration))
        .collect();
    full.sort_by(|a, b| a.0.total_cmp(&b.0));
    let measured = full.iter().map(|(_, duration)| duration.0 as f64).sum::<f64>();
    let mut missing = measured.max(criteria.duration_sum.0 as f64) * (1.0 - criteria.exceed_ratio);
    for (loss, duration) in full {
        missing -= duration.0 as f64;
        if missing <= 0.0 {
            return loss;
        }
    }
    1.0
}
