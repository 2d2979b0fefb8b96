//! When is a throughput found? Goals, and the sets of goals that have a name.

use std::fmt;
use std::str::FromStr;

use super::class::Criteria;
use super::ladder::Ladder;
use crate::time::Span;

/// What a search looks for: the highest load that fulfils the criteria, known to a width.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// How reports call it.
    pub name: String,
    /// The highest loss ratio of a good trial, from 0 to below 1.
    pub loss_ratio: f64,
    /// The share of the time that trials may be bad, from 0 to below 1.
    pub exceed_ratio: f64,
    /// How narrow the interval between the bounds has to be, as a share of the upper one. With
    /// several goals, no less than the largest loss ratio keeps their order.
    pub width: f64,
    /// How long the first, orienting trials are asked to last.
    pub initial_duration: Span,
    /// How long the trials that count are asked to last.
    pub final_duration: Span,
    /// How long the trials that count last at one load, in sum.
    pub duration_sum: Span,
    /// How many easier targets come before the goal itself; at least 1 where `initial_duration` is
    /// less than `duration_sum`. Widths double, sums shrink evenly to the initial duration.
    pub preceding: u32,
    /// By how much steps outward widen with each miss, at least 2.
    pub expansion: u32,
    /// Whether the whole search ends when the lowest load does not fulfil this goal.
    pub fail_fast: bool,
}

/// A goal or one of the easier ones before it, with its width on a ladder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) criteria: Criteria,
    pub(super) width: i64,
    pub(super) expansion: i64,
}

impl Goal {
    /// A goal with CSIT's durations, trials of 1 s and 21 s in sum, and two easier targets.
    pub fn new(name: &str, loss_ratio: f64, exceed_ratio: f64, width: f64) -> Self {
        Self {
            name: name.to_owned(),
            loss_ratio,
            exceed_ratio,
            width,
            initial_duration: Span::secs(1),
            final_duration: Span::secs(1),
            duration_sum: Span::secs(21),
            preceding: 2,
            expansion: 2,
            fail_fast: true,
        }
    }

    /// The same with trials of this duration, in sum `sum` at each load.
    pub fn lasting(self, duration: Span, sum: Span) -> Self {
        let preceding = if duration < sum { self.preceding.max(1) } else { 0 };
        Self {
            initial_duration: duration,
            final_duration: duration,
            duration_sum: sum,
            preceding,
            ..self
        }
    }

    /// What a load has to fulfil.
    pub fn criteria(&self) -> Criteria {
        Criteria {
            loss_ratio: self.loss_ratio,
            exceed_ratio: self.exceed_ratio,
            duration: self.final_duration,
            duration_sum: self.duration_sum,
        }
    }

    /// The easier targets and the goal itself, the easiest first.
    pub(super) fn chain(&self, ladder: &Ladder) -> Vec<Target> {
        let shrink = self.initial_duration.0 as f64 / self.duration_sum.0 as f64;
        let target = |easier: u32| {
            let duration_sum = if easier == 0 {
                self.duration_sum
            } else if easier == self.preceding {
                self.initial_duration
            } else {
                let share = f64::from(easier) / f64::from(self.preceding);
                nanoseconds(self.duration_sum.0 as f64 * shrink.powf(share))
            };
            let duration = self.final_duration.min(duration_sum);
            Target {
                criteria: Criteria { duration, duration_sum, ..self.criteria() },
                width: ladder.steps(self.width).saturating_mul(1 << easier),
                expansion: i64::from(self.expansion),
            }
        };
        (0..=self.preceding).rev().map(target).collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a span that was a u64"
)]
fn nanoseconds(span: f64) -> Span {
    Span(span.round() as u64)
}

/// A set of goals with a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// FD.io CSIT's NDR (no loss) and PDR (0.5 %): trials of 1 s, 21 s in sum, half of them good,
    /// known to 0.5 %.
    #[default]
    Csit,
    /// NDR and PDR with trials of 0.5 s, 5.5 s in sum, known to 1 %.
    Quick,
    /// PDR alone with trials of 0.2 s, 1 s in sum, known to 3 %.
    Smoke,
    /// RFC 2544 section 26.1: no loss in one trial of 60 s (section 24). On a noisy host this
    /// finds the longest stall rather than the capacity.
    Rfc2544,
    /// ETSI GS NFV-TST 009's loss verification: no loss in one of two trials of 60 s.
    Tst009,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 5] =
        [Self::Csit, Self::Quick, Self::Smoke, Self::Rfc2544, Self::Tst009];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csit => "csit",
            Self::Quick => "quick",
            Self::Smoke => "smoke",
            Self::Rfc2544 => "rfc2544",
            Self::Tst009 => "tst009",
        }
    }

    /// Its goals, the strictest first.
    pub fn goals(self) -> Vec<Goal> {
        let ndr = |width| Goal::new("NDR", 0.0, 0.5, width);
        let pdr = |width| Goal::new("PDR", 0.005, 0.5, width);
        match self {
            Self::Csit => vec![ndr(0.005), pdr(0.005)],
            Self::Quick => {
                let last = |goal: Goal| goal.lasting(Span::millis(500), Span::millis(5_500));
                vec![last(ndr(0.01)), last(pdr(0.01))]
            }
            Self::Smoke => vec![pdr(0.03).lasting(Span::millis(200), Span::secs(1))],
            Self::Rfc2544 => {
                let throughput = Goal::new("RFC 2544", 0.0, 0.0, 0.005);
                vec![throughput.lasting(Span::secs(60), Span::secs(60))]
            }
            Self::Tst009 => {
                let verified = Goal::new("TST 009", 0.0, 0.5, 0.005);
                vec![verified.lasting(Span::secs(60), Span::secs(120))]
            }
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no set of goals has this name; there are: csit, quick, smoke, rfc2544, tst009")]
pub struct BadPreset;

impl FromStr for Preset {
    type Err = BadPreset;
    fn from_str(text: &str) -> Result<Self, BadPreset> {
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or(BadPreset)
    }
}
