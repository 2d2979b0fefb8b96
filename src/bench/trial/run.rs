//! One trial from its first frame to its record.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use thiserror::Error;

use super::clock::ClockDrift;
use super::course::Course;
use super::lane::Lane;
use super::schedule::HIGHEST_RATE;
use super::sense::{Sensors, this_thread};
use super::spec::SpecError;
use super::tally::spread::float;
use super::tally::{Kept, Timeline};
use super::{Basis, Clock, LaneRun, Run, Spec, verdict};
use crate::bench::medium::{Device, Tester};
use crate::bench::record::trial::{Verdict, VerdictKind};
use crate::bench::record::{Calibration, Quantity};
use crate::bench::traffic::{Probe, Stream};
use crate::time::Span;

/// What a trial runs on.
pub struct Rig<'a, T, D: ?Sized, S, C> {
    /// Generator's and sink's end of the medium.
    pub tester: &'a mut T,
    /// What is measured.
    pub device: &'a mut D,
    /// Each lane's frames.
    pub streams: &'a mut [S],
    /// The clock.
    pub clock: &'a C,
    /// What trials are judged by.
    pub basis: Basis,
}

/// Sees a trial while it runs, in the tester's thread: what takes long here makes frames late.
pub trait Watch {
    /// A whole frame of this trial arrived, perhaps once more.
    fn frame(&mut self, _lane: usize, _frame: &[u8], _probe: &Probe) {}

    /// Event number `index` of [`Spec::events`] is due.
    ///
    /// # Errors
    /// End the trial.
    fn event(&mut self, _index: usize) -> io::Result<()> {
        Ok(())
    }
}

/// Sees nothing.
impl Watch for () {}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The trial makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The clock cannot be trusted.
    #[error(transparent)]
    Clock(#[from] ClockDrift),
    /// Something did not work.
    #[error("{what} failed: {error}")]
    Io {
        /// What was done.
        what: &'static str,
        /// What went wrong.
        error: io::Error,
    },
}

/// Says what was done when an input or output failed.
pub(super) fn during(what: &'static str) -> impl Fn(io::Error) -> TrialError {
    move |error| TrialError::Io { what, error }
}

/// The number of the next trial in this process: frames of an earlier one, over whatever rig, are
/// foreign.
static NEXT: AtomicU16 = AtomicU16::new(1);

impl<T: Tester, D: Device + ?Sized, S: Stream, C: Clock> Rig<'_, T, D, S, C> {
    /// Runs one trial and judges it.
    ///
    /// # Errors
    /// When the spec makes no sense, the medium or the device fails, or the clock ran away. A
    /// number that cannot be trusted is no error but a verdict.
    pub fn run(&mut self, spec: &Spec) -> Result<Run, TrialError> {
        self.run_watched(spec, &mut ())
    }

    /// Runs a trial again while other work disturbs it, `times` at most; the last one counts, and
    /// all are returned, in order.
    ///
    /// # Errors
    /// As [`Rig::run`].
    pub fn run_undisturbed(&mut self, spec: &Spec, times: usize) -> Result<Vec<Run>, TrialError> {
        let mut runs = Vec::new();
        loop {
            runs.push(self.run(spec)?);
            let kind = runs.last().map(|run: &Run| run.trial.verdict.kind);
            if kind != Some(VerdictKind::Contaminated) || runs.len() >= times {
                return Ok(runs);
            }
        }
    }

    /// Runs a trial, judges it, and shows frames and events to `watch`.
    ///
    /// # Errors
    /// As [`Rig::run`].
    pub fn run_watched(&mut self, spec: &Spec, watch: &mut impl Watch) -> Result<Run, TrialError> {
        self.discard().map_err(during("emptying the medium before a trial"))?;
        let lanes = lanes(spec, self.streams)?;
        let before = self.device.accounts().map_err(during("reading the device's accounts"))?;
        let sensors = if self.clock.is_real() {
            let tester = std::iter::once(("tester".to_owned(), this_thread()));
            Sensors::start(tester.chain(self.device.threads()))
        } else {
            Sensors::none()
        };
        let mut course = Course::begin(&mut *self.tester, self.clock, lanes, watch, spec);
        let events = course.send()?;
        let sensed = sensors.stop(course.passed());
        let rest = course.drain(&mut *self.device, before.as_ref())?;
        self.clock.verify()?;
        let lanes = course.into_lanes().into_iter();
        let lanes = lanes.map(|lane| LaneRun::finish(lane, spec.ramp.0, spec.by_flow)).collect();
        let mut run = Run::assemble(spec, lanes, sensed, rest, events);
        run.trial.verdict =
            run.too_late().unwrap_or_else(|| verdict::judge(&run.trial, &self.basis));
        Ok(run)
    }

    /// What generator, sink and medium can do, by as much load as can be asked for in each lane;
    /// the best of `repeats` runs. A wire or a forwarder that does nothing stands in the device's
    /// place.
    ///
    /// # Errors
    /// As [`Rig::run`].
    pub fn calibrate(&mut self, time: Span, repeats: usize) -> Result<Calibration, TrialError> {
        let rates = vec![HIGHEST_RATE; self.streams.len()];
        let spec = Spec::constant("calibration", &rates, time);
        let mut best: Option<Calibration> = None;
        for _ in 0..repeats.max(1) {
            let trial = self.run(&spec)?.trial;
            let rate = |frames| Quantity::rate(float(frames) / trial.elapsed.value.max(1e-9));
            let found = Calibration {
                sent: rate(trial.frames.offered),
                received: rate(trial.frames.received),
                null_forwarder: None,
                verdict: verdict::validity(&trial).unwrap_or_else(Verdict::ok),
            };
            if best.as_ref().is_none_or(|best| found.received.value > best.received.value) {
                best = Some(found);
            }
        }
        Ok(best.expect("one run at least"))
    }

    /// Throws away what waits at the tester, and what its counters say so far.
    fn discard(&mut self) -> io::Result<()> {
        let begin = self.clock.now();
        loop {
            self.tester.step();
            let mut len = 0;
            for lane in 0..self.streams.len() {
                len += self.tester.receive(lane, |_| {})?;
            }
            self.clock.turn();
            // A device that makes frames of its own all the time must not keep a trial waiting.
            if len == 0 || self.clock.now() - begin > Span::millis(100).0 {
                break;
            }
        }
        self.tester.drops().map(drop)
    }
}

/// The lanes of a trial, nothing sent yet.
fn lanes<'a, S: Stream>(spec: &Spec, streams: &'a mut [S]) -> Result<Vec<Lane<'a, S>>, SpecError> {
    let schedules = spec.schedules(streams.len())?;
    let trial = NEXT.fetch_add(1, Ordering::Relaxed);
    let end_ns = spec.ramp.0 + spec.length().0;
    let lane = |(index, ((schedule, ramp), stream)): (usize, (_, &'a mut S))| {
        let schedule: super::schedule::Schedule = schedule;
        let kept = Kept {
            trial,
            stream: u16::try_from(index).expect("few lanes"),
            check: spec.check,
            ramp,
            frames: schedule.remaining(),
            flows: if spec.by_flow { stream.flows() } else { 1 },
        };
        let timeline = Timeline::new(spec.ramp.0, end_ns, spec.slices.0);
        Lane::new(index, stream, schedule, spec.burst, kept, timeline)
    };
    Ok(schedules.into_iter().zip(streams).enumerate().map(lane).collect())
}
