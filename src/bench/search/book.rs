//! What do all trials so far say about all loads? Every trial in order, and the bounds they give.

use std::collections::BTreeMap;

use super::class::{Class, Criteria, Tally, conditional_loss};
use super::ladder::Rung;
use super::trial::Trial;

/// The bounds that count for a set of criteria.
///
/// The upper one is the lowest load that fails; the lower one is the highest load that passes
/// below it, whatever passed above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) lower: Option<Rung>,
    pub(super) upper: Option<Rung>,
}

impl Bounds {
    /// The steps between both bounds.
    pub(super) fn width(&self) -> Option<i64> {
        Some(self.upper?.above(self.lower?))
    }

    /// Whether a trial at `rung` could give a bound that is missing or better than these.
    pub(super) fn leave_open(&self, rung: Rung) -> bool {
        self.lower.is_none_or(|lower| lower < rung) && self.upper.is_none_or(|upper| rung < upper)
    }
}

/// All trials, by order and by load.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    trials: Vec<Trial>,
    /// Which trials count at which load.
    at: BTreeMap<Rung, Vec<usize>>,
}

impl Book {
    /// Every trial in order.
    pub(super) fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Enters a trial; one that warmed up is kept and proves nothing.
    pub(super) fn enter(&mut self, rung: Rung, trial: Trial) {
        if !trial.ask.warm_up {
            self.at.entry(rung).or_default().push(self.trials.len());
        }
        self.trials.push(trial);
    }

    /// The trials at a load.
    pub(super) fn at(&self, rung: Rung) -> impl Iterator<Item = &Trial> {
        self.at.get(&rung).into_iter().flatten().map(|&index| &self.trials[index])
    }

    /// The time measured at a load.
    pub(super) fn tally(&self, rung: Rung, criteria: &Criteria) -> Tally {
        Tally::of(criteria, self.at(rung))
    }

    /// What is known about a load.
    pub(super) fn class(&self, rung: Rung, criteria: &Criteria) -> Class {
        self.tally(rung, criteria).class(criteria)
    }

    /// As [`conditional_loss`] says of this load.
    pub(super) fn conditional_loss(&self, rung: Rung, criteria: &Criteria) -> f64 {
        conditional_loss(criteria, self.at(rung))
    }

    /// The bounds that count.
    pub(super) fn bounds(&self, criteria: &Criteria) -> Bounds {
        let mut bounds = Bounds::default();
        for &rung in self.at.keys() {
            match self.class(rung, criteria) {
                Class::Lower => bounds.lower = Some(rung),
                Class::Undecided => {}
                Class::Upper => {
                    bounds.upper = Some(rung);
                    break;
                }
            }
        }
        bounds
    }
}
