//! What a search is given, and what makes it impossible.

use super::goal::Goal;
use crate::time::Span;

/// Goals and limits of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What to look for, at least one goal.
    pub goals: Vec<Goal>,
    /// The lowest load to try, in frames a second, above 0.
    pub min_load: f64,
    /// The highest load to try, in frames a second.
    pub max_load: f64,
    /// How long the first trial, which proves nothing, is asked to last; none if zero.
    pub warm_up: Span,
    /// When to give up: no trial begins once all before took this long.
    pub timeout: Span,
    /// How loads are chosen.
    pub method: Method,
}

/// How a search chooses loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// As MLRsearch's reference code: from the forwarding rates seen, over easier targets.
    #[default]
    MlrSearch,
    /// RFC 2544's: the highest load, then halfway between what failed and what passed, 0 at first;
    /// with every trial at full duration, one goal after the other. `warm_up` is kept.
    Bisection,
}

/// Why a plan cannot be searched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadPlan {
    /// Nothing to look for.
    #[error("the search has no goal; name at least one")]
    NoGoal,
    /// Loads that are no range.
    #[error(
        "loads from {min} to {max} frames/s are no range; the lowest has to be above 0 and the highest at least 0.1 % above that"
    )]
    Loads {
        /// The lowest load.
        min: f64,
        /// The highest load.
        max: f64,
    },
    /// A goal's figure out of its range.
    #[error("goal {goal}: {what} of {value} is out of range; give {range}")]
    Figure {
        /// The goal's name.
        goal: String,
        /// Which figure.
        what: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A goal's durations out of order.
    #[error(
        "goal {goal}: durations of {initial} s at first, {full} s at last and {sum} s in sum are out of order; each has to be at least the one before, the first above 0"
    )]
    Durations {
        /// The goal's name.
        goal: String,
        /// Of the first trials, in seconds.
        initial: f64,
        /// Of the trials that count, in seconds.
        full: f64,
        /// In sum, in seconds.
        sum: f64,
    },
}

/// Within these, a ladder's step is found soon, and it has far fewer rungs than a float is exact.
const NARROWEST: f64 = 1.001;
const WIDTHS: std::ops::RangeInclusive<f64> = 0.0001..=0.5;

impl Plan {
    /// With one second of warm-up and 20 minutes in all, as CSIT does.
    pub fn new(goals: Vec<Goal>, min_load: f64, max_load: f64) -> Self {
        Self {
            goals,
            min_load,
            max_load,
            warm_up: Span::secs(1),
            timeout: Span::secs(1200),
            method: Method::MlrSearch,
        }
    }

    /// Whether it can be searched.
    ///
    /// # Errors
    /// The first thing that makes it impossible.
    pub fn check(&self) -> Result<(), BadPlan> {
        let (min, max) = (self.min_load, self.max_load);
        if !(min > 0.0 && max.is_finite() && max >= min * NARROWEST) {
            return Err(BadPlan::Loads { min, max });
        }
        if self.goals.is_empty() {
            return Err(BadPlan::NoGoal);
        }
        self.goals.iter().try_for_each(check_goal)
    }
}

fn check_goal(goal: &Goal) -> Result<(), BadPlan> {
    let share = |value: f64| (0.0..1.0).contains(&value);
    let (loss, exceed, width) = (goal.loss_ratio, goal.exceed_ratio, goal.width);
    let (preceding, expansion) = (goal.preceding, goal.expansion);
    let needed = u32::from(goal.initial_duration < goal.duration_sum);
    let figures = [
        (share(loss), "a loss ratio", loss, "0 or more and less than 1"),
        (share(exceed), "an exceed ratio", exceed, "0 or more and less than 1"),
        (WIDTHS.contains(&width), "a width", width, "0.0001 to 0.5"),
        (
            (needed..=16).contains(&preceding),
            "a number of preceding targets",
            f64::from(preceding),
            "at most 16, and at least 1 if trials are shorter than their sum",
        ),
        ((2..=16).contains(&expansion), "an expansion", f64::from(expansion), "2 to 16"),
    ];
    if let Some((_, what, value, range)) = figures.into_iter().find(|(fits, ..)| !fits) {
        return Err(BadPlan::Figure { goal: goal.name.clone(), what, value, range });
    }
    let [initial, full, sum] = [goal.initial_duration, goal.final_duration, goal.duration_sum];
    if Span::ZERO < initial && initial <= full && full <= sum {
        return Ok(());
    }
    let [initial, full, sum] = [initial, full, sum].map(Span::as_secs_f64);
    Err(BadPlan::Durations { goal: goal.name.clone(), initial, full, sum })
}
