//! What is asked of a trial, and what comes back.

use crate::time::Span;

/// A trial that is to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// The trial's number, from 1; the warm-up counts.
    pub number: usize,
    /// The load to offer, in frames a second over all directions that the caller counts.
    pub load: f64,
    /// How long to offer it.
    pub duration: Span,
    /// Whether the trial only warms caches and tables up.
    pub warm_up: bool,
    /// The goal that wanted it, as an index into [`super::Plan::goals`]; the first trials serve all.
    pub goal: Option<usize>,
}

/// What a trial counted.
///
/// `received` may exceed `offered` and `offered` may exceed `intended`: neither is clipped, both
/// count as loss, so that doubtful trials lead the search down and never up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Frames that load and duration asked for.
    pub intended: u64,
    /// Frames that left the generator.
    pub offered: u64,
    /// Frames that came back, each counted once.
    pub received: u64,
    /// The time that the trial took with all that belongs to it (waits, draining); counts as what
    /// was asked for if it is less.
    pub duration: Span,
}

impl Measured {
    /// `(|lost| + |unsent|) / max(offered, intended)`; 0 when nothing was to be sent.
    pub fn loss_ratio(&self) -> f64 {
        let lost = self.offered.abs_diff(self.received);
        let unsent = self.intended.abs_diff(self.offered);
        let whole = self.offered.max(self.intended);
        if whole == 0 { 0.0 } else { (u128::from(lost) + u128::from(unsent)) as f64 / whole as f64 }
    }
}

/// A trial that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// What was asked.
    pub ask: Ask,
    /// What was counted.
    pub measured: Measured,
}

impl Trial {
    /// As [`Measured::loss_ratio`].
    pub fn loss_ratio(&self) -> f64 {
        self.measured.loss_ratio()
    }

    /// What came through of the load that was asked for, in frames a second.
    pub fn forwarding_rate(&self) -> f64 {
        self.ask.load * (1.0 - self.loss_ratio())
    }
}
