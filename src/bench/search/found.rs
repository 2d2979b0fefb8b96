//! What a search found, also when it ended early.

use std::fmt;

use super::class::Tally;
use super::goal::Goal;
use super::trial::Trial;
use crate::time::Span;

/// Bounds and throughput of every goal, and all trials.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// In the order of the plan.
    pub goals: Vec<GoalFound>,
    /// Every trial in order, the warm-up too.
    pub trials: Vec<Trial>,
    /// What all trials took.
    pub elapsed: Span,
}

/// What was found for a goal.
#[derive(Clone, Debug, PartialEq)]
pub struct GoalFound {
    /// The goal.
    pub goal: Goal,
    /// The highest load that fulfils it, below every load that does not.
    pub lower: Option<Bound>,
    /// The lowest load that does not fulfil it.
    pub upper: Option<Bound>,
    /// What came through at the lower bound in all but the share of the time that may be bad, in
    /// frames a second (RFC 9971, conditional throughput).
    pub conditional_throughput: Option<f64>,
    /// Why nothing more was tried for it.
    pub end: End,
}

/// A load of known class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// In frames a second.
    pub load: f64,
    /// How long trials at it were good and bad.
    pub tally: Tally,
}

/// Why nothing more is tried for a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its bounds are as close as it wants.
    Done,
    /// The highest load fulfils it: the throughput may be more.
    AtMaxLoad,
    /// The lowest load does not fulfil it: the throughput is less.
    MinLoadFails,
    /// The search took too long.
    TimedOut,
    /// The lowest load did not fulfil another goal, which ended the search.
    Abandoned,
    /// The search goes on.
    Running,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::AtMaxLoad => "the highest load passes",
            Self::MinLoadFails => "the lowest load fails",
            Self::TimedOut => "the time is up",
            Self::Abandoned => "ended by another goal, which the lowest load fails",
            Self::Running => "not finished",
        })
    }
}

impl GoalFound {
    /// How far the bounds are apart, as a share of the upper one.
    pub fn width(&self) -> Option<f64> {
        let (lower, upper) = (self.lower?.load, self.upper?.load);
        Some((upper - lower) / upper)
    }
}

impl Found {
    /// The strictest goal's conditional throughput as a share of the most tolerant one's, by loss
    /// ratio: a gauge of noise, since a quiet host has them close together. Below 0.9 it is noisy.
    pub fn steadiness(&self) -> Option<f64> {
        let by_loss =
            |a: &&GoalFound, b: &&GoalFound| a.goal.loss_ratio.total_cmp(&b.goal.loss_ratio);
        let strictest = self.goals.iter().min_by(by_loss)?;
        let most_tolerant = self.goals.iter().max_by(by_loss)?;
        if strictest.goal.loss_ratio == most_tolerant.goal.loss_ratio {
            return None;
        }
        let tolerant = most_tolerant.conditional_throughput.filter(|&rate| rate > 0.0)?;
        Some(strictest.conditional_throughput? / tolerant)
    }
}
