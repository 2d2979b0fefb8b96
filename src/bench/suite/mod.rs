//! How does each question become trials, and trials an answer?
//!
//! A suite knows no medium and no forwarder: it asks a [`Bed`] for trials. It keeps every trial,
//! also those that did not count, and never prints; whoever runs it hears of each trial.

pub mod burst;
pub mod churn;
pub mod compare;
pub mod failover;
pub mod latency;
pub mod limits;
pub mod loss;
pub mod recovery;
pub mod scale;
pub mod sessions;
pub mod throughput;

use super::error::BenchError;
use super::medium::Changed;
use super::record::{Calibration, LineRates, Scenario, Trial, VerdictKind};
use super::scenario::ServiceLimit;
use super::trial::Run;
use crate::time::Span;

/// A load that is held for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Frames a second, all lanes together.
    pub rate: f64,
    /// For how long.
    pub duration: Span,
}

/// What a bed does to the forwarder's links while frames flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The primary link is cut.
    CutPrimary,
    /// What was cut is whole again.
    Mend,
}

/// One trial to run: loads that follow each other without a break, and what happens meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it is for.
    pub purpose: String,
    /// The loads.
    pub steps: Vec<Step>,
    /// What happens, and how long after the begin.
    pub event: Option<(Span, Event)>,
}

impl Plan {
    /// One constant load.
    pub fn constant(purpose: impl Into<String>, rate: f64, duration: Span) -> Self {
        Self { purpose: purpose.into(), steps: vec![Step { rate, duration }], event: None }
    }
}

/// A forwarder on a medium, with traffic, ready for trials.
pub trait Bed {
    /// What is measured here.
    fn scenario(&self) -> &Scenario;

    /// Runs one plan and lets everything come to rest.
    ///
    /// # Errors
    /// When the medium or the forwarder fails.
    fn run(&mut self, plan: &Plan) -> Result<Run, BenchError>;

    /// What generator, sink and medium can do.
    fn calibration(&self) -> Option<&Calibration>;

    /// What a reader of its figures must know, in sentences.
    fn notes(&self) -> Vec<String>;

    /// What rates are held against; the medium's comes from calibration.
    fn lines(&self) -> LineRates;

    /// The limit of the service that the traffic reaches first, where limits are enforced and
    /// traffic goes one way.
    fn limit(&self) -> Option<ServiceLimit>;

    /// The most frames a second that are worth asking for: what the generator can send.
    fn max_rate(&self) -> f64;

    /// Forgets what earlier trials left in the forwarder, where sessions are measured; says
    /// whether it can.
    ///
    /// # Errors
    /// When the forwarder does not come back.
    fn reset(&mut self) -> Result<bool, BenchError>;

    /// Takes back what an event did, and waits until traffic flows as before.
    ///
    /// # Errors
    /// When it does not.
    fn mend(&mut self) -> Result<(), BenchError>;

    /// Opens `sessions` new sessions with a frame each at `rate`; returns how many of the frames
    /// arrived.
    ///
    /// # Errors
    /// When the bed has no sessions, or the medium fails.
    fn open_sessions(&mut self, sessions: u64, rate: f64) -> Result<Opened, BenchError>;

    /// Sends a frame from outside to each session that was opened last, at `rate`; returns how many
    /// came in.
    ///
    /// # Errors
    /// When the bed has no sessions, or the medium fails.
    fn find_sessions(&mut self, rate: f64) -> Result<u64, BenchError>;

    /// Runs one plan while routes change, and says what was changed.
    ///
    /// # Errors
    /// When routes cannot be changed here, or as [`Bed::run`].
    fn churn(&mut self, plan: &Plan) -> Result<(Run, Changed), BenchError>;
}

/// What became of new sessions.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The trial that opened them.
    pub trial: Trial,
    /// Those whose first frame arrived.
    pub arrived: u64,
    /// Those that the forwarder counts, where it does.
    pub counted: Option<u64>,
}

/// Who hears what a suite is doing.
pub trait Listener {
    /// A trial is about to run.
    fn begins(&mut self, plan: &Plan);
    /// A trial has ended.
    fn ended(&mut self, trial: &Trial);
    /// What is known so far, and an estimate of the time left where there is one.
    fn knows(&mut self, what: &str, left: Option<Span>);
}

/// How often a contaminated trial is tried again before it counts as it is.
const RETRIES: usize = 3;

/// Runs trials, keeps each, tells the listener, and tries disturbed ones again.
pub struct Runner<'a> {
    bed: &'a mut dyn Bed,
    listener: &'a mut dyn Listener,
    trials: Vec<Trial>,
}

impl<'a> Runner<'a> {
    /// A runner that has run nothing.
    pub fn new(bed: &'a mut dyn Bed, listener: &'a mut dyn Listener) -> Self {
        Self { bed, listener, trials: Vec::new() }
    }

    /// The bed, for what is no trial.
    pub fn bed(&mut self) -> &mut dyn Bed {
        self.bed
    }

    /// Tells the listener.
    pub fn say(&mut self, what: &str, left: Option<Span>) {
        self.listener.knows(what, left);
    }

    /// Runs a plan; again, up to three times, while other work disturbs it.
    ///
    /// # Errors
    /// When the bed fails.
    pub fn run(&mut self, plan: &Plan) -> Result<Run, BenchError> {
        let mut ran = self.once(plan)?;
        for _ in 0..RETRIES {
            if ran.trial.verdict.kind != VerdictKind::Contaminated {
                break;
            }
            ran = self.once(plan)?;
        }
        Ok(ran)
    }

    /// Runs a plan once, whatever disturbs it.
    ///
    /// # Errors
    /// When the bed fails.
    pub fn once(&mut self, plan: &Plan) -> Result<Run, BenchError> {
        self.listener.begins(plan);
        let ran = self.bed.run(plan)?;
        self.keep(ran.trial.clone());
        Ok(ran)
    }

    /// Runs a plan once while routes change.
    ///
    /// # Errors
    /// When the bed fails, or cannot change routes.
    pub fn churn(&mut self, plan: &Plan) -> Result<(Run, Changed), BenchError> {
        self.listener.begins(plan);
        let (ran, changed) = self.bed.churn(plan)?;
        self.keep(ran.trial.clone());
        Ok((ran, changed))
    }

    /// Keeps a trial that was run otherwise.
    pub fn keep(&mut self, trial: Trial) {
        self.listener.ended(&trial);
        self.trials.push(trial);
    }

    /// How many trials were run.
    pub fn len(&self) -> usize {
        self.trials.len()
    }

    /// Whether nothing was run yet.
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }

    /// Everything that was run, in order.
    pub fn into_trials(self) -> Vec<Trial> {
        self.trials
    }
}

/// Lost and unsent frames over those that were due.
pub fn loss_ratio(trial: &Trial) -> f64 {
    let frames = &trial.frames;
    let missing = frames.lost.unsigned_abs() + frames.unsent;
    ratio(missing, frames.intended.max(frames.offered))
}

/// Frames a second that arrived.
pub fn forwarding_rate(trial: &Trial) -> f64 {
    let seconds = trial.duration.value;
    if seconds > 0.0 { count(trial.frames.received) / seconds } else { 0.0 }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts of frames stay far below 2^52")]
pub fn count(frames: u64) -> f64 {
    frames as f64
}

/// The nearest whole number of something that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive and far below 2^52"
)]
pub fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { count(part) / count(whole) }
}
