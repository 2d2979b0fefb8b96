//! Where does a search begin? At the highest load, then at what came through of it, then a step
//! from there to the other side.
//!
//! A forwarder that is offered too much mostly still forwards what it can, so that two or three
//! short trials lead close to every goal.

use super::goal::Target;
use super::ladder::{Ladder, Rung};
use super::trial::Trial;
use crate::time::Span;

/// The first trials, which serve every goal.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// The strictest goal's.
    loss_ratio: f64,
    /// The longest that a goal wants at first.
    duration: Span,
    /// The widest that a goal is content with at first.
    width: i64,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// At the highest load.
    Highest,
    /// At what came through of it.
    Rate,
    /// On this one's other side.
    Beside(Rung),
}

/// What follows a trial of the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another of its trials.
    Try(Rung),
    /// The goals' own trials, from between these loads.
    Begin(Rung, Rung),
}

impl Opening {
    /// For chains of targets, the easiest of each first.
    pub(super) fn new(chains: &[Vec<Target>]) -> Self {
        let easiest = || chains.iter().filter_map(|chain| chain.first());
        let losses = easiest().map(|target| target.criteria.loss_ratio);
        Self {
            loss_ratio: losses.reduce(f64::min).unwrap_or(0.0),
            duration: easiest().map(|target| target.criteria.duration).max().unwrap_or(Span::ZERO),
            width: easiest().map(|target| target.width).max().unwrap_or(1),
            step: Step::Highest,
        }
    }

    /// How long its trials are asked to last.
    pub(super) fn duration(&self) -> Span {
        self.duration
    }

    /// What follows this trial, which is the one that it asked for last.
    pub(super) fn next(&mut self, ladder: &Ladder, rung: Rung, trial: &Trial) -> Next {
        let top = ladder.top();
        let (next, step) = match self.step {
            Step::Highest => {
                let rate = self.carried(ladder, trial);
                (ladder.between(None, Some(top), rate, self.width), Step::Rate)
            }
            Step::Rate => {
                let next = if trial.loss_ratio() > self.loss_ratio {
                    let rate = self.carried(ladder, trial);
                    ladder.between(None, Some(rung), rate, self.width)
                } else {
                    ladder.between(Some(rung), Some(top), rung.up(self.width), self.width)
                };
                (next, Step::Beside(rung))
            }
            Step::Beside(other) => return Next::Begin(rung.min(other), rung.max(other)),
        };
        self.step = step;
        next.map_or(Next::Begin(rung, rung), Next::Try)
    }

    /// The load that would lose as much as the strictest goal allows, if all that is offered on
    /// top of what came through is lost.
    fn carried(&self, ladder: &Ladder, trial: &Trial) -> Rung {
        ladder.below(trial.forwarding_rate() * (1.0 / (1.0 - self.loss_ratio)))
    }
}
