//! What is a trial asked to do? A [`Load`] for each lane, and what is kept besides counts.

use thiserror::Error;

use super::schedule::{HIGHEST_RATE, LOWEST_RATE, Schedule, Shape, Step};
use super::tally::Check;
use crate::bench::medium::BURST;
use crate::bench::traffic::probe::{LAST_DUE_NS, LAST_SEQ};
use crate::time::Span;

/// How many steps a ramp has.
const RAMP_STEPS: u32 = 10;

/// What a lane carries: steps of load, and how frames are spread within them.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// How frames are spread.
    pub shape: Shape,
    /// One after the other; none for a lane that is quiet.
    pub steps: Vec<Step>,
}

impl Load {
    /// Evenly spread frames at one rate.
    ///
    /// # Panics
    /// As [`Step::lasting`].
    pub fn constant(rate: f64, time: Span) -> Self {
        Self::steps(vec![Step::lasting(rate, time)])
    }

    /// Evenly spread frames, the rate changing from step to step.
    pub const fn steps(steps: Vec<Step>) -> Self {
        Self { shape: Shape::Constant, steps }
    }

    /// So many evenly spread frames.
    ///
    /// # Panics
    /// As [`Step::counting`].
    pub fn once(frames: u64, rate: f64) -> Self {
        Self::steps(vec![Step::counting(frames, rate)])
    }

    /// Nothing.
    pub const fn none() -> Self {
        Self::steps(Vec::new())
    }

    /// The ramp before the first step: rates from a tenth of its rate up to all of it.
    fn ramp(&self, time: Span) -> Vec<Step> {
        let Some(first) = self.steps.first().filter(|_| time.0 > 0) else { return Vec::new() };
        let slice = |i: u32| {
            let (from, to) = (u64::from(i - 1), u64::from(i));
            let length =
                time.0 * to / u64::from(RAMP_STEPS) - time.0 * from / u64::from(RAMP_STEPS);
            let rate = first.rate() * f64::from(i) / f64::from(RAMP_STEPS);
            Step::lasting(rate.clamp(LOWEST_RATE, HIGHEST_RATE), Span(length))
        };
        (1..=RAMP_STEPS).map(slice).collect()
    }
}

/// How a trial waits for the last frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// So long nothing may arrive after everything has: a duplicate may still be under way.
    pub quiet: Span,
    /// So long nothing may arrive and no account may move while frames are missing.
    pub patience: Span,
    /// So long in all.
    pub limit: Span,
}

impl Default for Drain {
    /// 2 ms, 100 ms and 2 s; the last is what RFC 2544 section 23 waits.
    fn default() -> Self {
        Self { quiet: Span::millis(2), patience: Span::millis(100), limit: Span::secs(2) }
    }
}

/// One trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What it is for: `search`, `latency 50 %`.
    pub purpose: String,
    /// What each lane carries.
    pub loads: Vec<Load>,
    /// How long the load rises before the first step; frames of that time are in no figure.
    pub ramp: Span,
    /// How closely the sink looks.
    pub check: Check,
    /// Most frames that are sent in one go, 1 to [`BURST`].
    pub burst: usize,
    /// Width of the timeline's slices; zero for no timeline.
    pub slices: Span,
    /// Whether gaps of each flow are kept apart.
    pub by_flow: bool,
    /// When [`super::Watch::event`] is called, from the end of the ramp, in ascending order.
    pub events: Vec<Span>,
    /// How to wait for the last frames.
    pub drain: Drain,
}

/// What cannot be asked of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// Loads and streams do not pair up.
    #[error("a trial of {loads} loads over {streams} lanes: give one load for each lane")]
    Lanes {
        /// Loads asked for.
        loads: usize,
        /// Streams there are.
        streams: usize,
    },
    /// Nothing to send.
    #[error("a trial without frames: give at least one lane a rate and a time")]
    Empty,
    /// A lane's frames or times do not fit the probe.
    #[error(
        "lane {0} would send more than 2^40 frames or last longer than three days: \
         ask for a shorter trial"
    )]
    TooLong(usize),
    /// An event outside the time of sending.
    #[error("event {0} is not within the trial's time, or not after the event before it")]
    Event(usize),
}

impl Spec {
    /// A trial of these loads, without ramp, timeline and events.
    pub fn new(purpose: impl Into<String>, loads: Vec<Load>) -> Self {
        Self {
            purpose: purpose.into(),
            loads,
            ramp: Span::ZERO,
            check: Check::Full,
            burst: BURST,
            slices: Span::ZERO,
            by_flow: false,
            events: Vec::new(),
            drain: Drain::default(),
        }
    }

    /// One constant rate for each lane, in frames a second.
    ///
    /// # Panics
    /// As [`Step::lasting`]; a rate of 0 makes a quiet lane.
    pub fn constant(purpose: impl Into<String>, rates: &[f64], time: Span) -> Self {
        let load =
            |rate: &f64| if *rate == 0.0 { Load::none() } else { Load::constant(*rate, time) };
        Self::new(purpose, rates.iter().map(load).collect())
    }

    /// How long it lasts without its ramp.
    pub fn length(&self) -> Span {
        let length = |load: &Load| load.steps.iter().map(|step| step.length().0).sum();
        Span(self.loads.iter().map(length).max().unwrap_or(0))
    }

    /// Each lane's schedule, and how many frames of it belong to the ramp.
    pub(super) fn schedules(&self, streams: usize) -> Result<Vec<(Schedule, u64)>, SpecError> {
        if self.loads.len() != streams {
            return Err(SpecError::Lanes { loads: self.loads.len(), streams });
        }
        let schedules: Vec<(Schedule, u64)> = self.loads.iter().map(|l| self.schedule(l)).collect();
        if schedules.iter().all(|(schedule, ramp)| schedule.remaining() <= *ramp) {
            return Err(SpecError::Empty);
        }
        let fits = |schedule: &Schedule| {
            schedule.remaining() <= LAST_SEQ && schedule.end_ns() <= LAST_DUE_NS
        };
        if let Some(lane) = schedules.iter().position(|(schedule, _)| !fits(schedule)) {
            return Err(SpecError::TooLong(lane));
        }
        let mut last = Span::ZERO;
        for (i, event) in self.events.iter().enumerate() {
            if *event < last || *event >= self.length() {
                return Err(SpecError::Event(i));
            }
            last = *event;
        }
        Ok(schedules)
    }

    fn schedule(&self, load: &Load) -> (Schedule, u64) {
        let ramp = load.ramp(self.ramp);
        let frames = match load.shape {
            // Only counting shows how many a random process has.
            Shape::Poisson(_) => Schedule::new(load.shape, &ramp).count() as u64,
            _ => Schedule::new(load.shape, &ramp).remaining(),
        };
        (Schedule::new(load.shape, &[ramp, load.steps.clone()].concat()), frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_rises_to_the_first_steps_rate_and_is_counted_apart() {
        let mut spec = Spec::constant("x", &[1e6], Span::millis(100));
        spec.ramp = Span::millis(10);
        let (schedule, ramp) = spec.schedules(1).unwrap().remove(0);
        // The mean of 10 %, 20 % ... 100 % is 55 %.
        assert_eq!((ramp, schedule.remaining()), (5_500, 105_500));
        let due: Vec<u64> = schedule.collect();
        assert_eq!((due[0], due[1], due[5_499], due[5_500]), (0, 10_000, 9_999_000, 10_000_000));
    }

    #[test]
    fn the_ramp_of_a_random_load_is_the_begin_of_the_same_process() {
        let load = Load { shape: Shape::Poisson(7), ..Load::constant(1e6, Span::millis(5)) };
        let spec = Spec { ramp: Span::millis(2), ..Spec::new("x", vec![load]) };
        let (schedule, ramp) = spec.schedules(1).unwrap().remove(0);
        assert_eq!(schedule.filter(|due| *due < 2_000_000).count() as u64, ramp);
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        let spec = Spec::constant("x", &[1e3], Span::secs(1));
        assert_eq!(
            spec.schedules(2).unwrap_err().to_string(),
            "a trial of 1 loads over 2 lanes: give one load for each lane"
        );
        let none = Spec::constant("x", &[0.0], Span::secs(1));
        assert_eq!(none.schedules(1).unwrap_err(), SpecError::Empty);
        let long = Spec::constant("x", &[1e9], Span::secs(2000));
        assert_eq!(long.schedules(1).unwrap_err(), SpecError::TooLong(0));
        let late = Spec { events: vec![Span::millis(1), Span::secs(1)], ..spec };
        assert_eq!(late.schedules(1).unwrap_err(), SpecError::Event(1));
    }
}
