//! What does a suite ask for trials? A forwarder on a medium with its traffic: a [`Bed`] made of
//! the parts that fit the question.

mod cable;
mod kernel;
mod local;
mod site;
mod wish;

use std::io;
use std::sync::Arc;

use super::error::BenchError;
use super::medium::{Changed, Device, Tester};
use super::record::{self, Calibration, LineRates, Quantity};
use super::scenario::{Direction, Mix, Scenario, ServiceLimit};
use super::suite::{Bed, Event, Opened, Plan};
use super::traffic::{Frames, Genome, Learned, Learner, Stream as _, size};
use super::trial::{Basis, Load, RealClock, Rig, Run, Spec, Step, Watch};
use crate::bench::traffic::Probe;
use crate::time::Span;

pub use wish::{CableWish, DeviceKind, Medium, Wish};

/// Width of the slices of a trial's course.
const SLICE: Span = Span::millis(10);

/// Makes the bed that is wished for, with its medium calibrated and its sessions open.
///
/// # Errors
/// When the machine, the medium or the forwarder cannot do it: what, and the way out.
pub fn open(wish: &Wish) -> Result<Box<dyn Bed>, BenchError> {
    match wish.medium {
        Medium::Memory | Medium::Ring => local::open(wish),
        Medium::Veth | Medium::Tap => site::open(wish),
        Medium::Cable => cable::open(wish),
    }
}

/// Makes a bed on the medium ring whose routes can be changed while frames flow.
///
/// # Errors
/// As [`open`], and when no routes are looked up on the way.
pub fn open_with_churn(wish: &Wish) -> Result<Box<dyn Bed>, BenchError> {
    local::open_with_churn(wish)
}

/// Does to the forwarder or its links what a plan says.
type Doer = Box<dyn FnMut(Event) -> io::Result<()>>;

/// Everything that a bed is made of, whatever the medium.
struct Parts<T, D> {
    tester: T,
    device: D,
    /// None between interfaces of the user's, where frames are given.
    scenario: Option<Scenario>,
    genome: Genome,
    direction: Direction,
    mix: Mix,
    record: record::Scenario,
    calibration: Calibration,
    lines: LineRates,
    notes: Vec<String>,
    doer: Option<Doer>,
}

/// A tester and a device with traffic between them.
struct OnRig<T, D> {
    parts: Parts<T, D>,
    clock: RealClock,
    basis: Basis,
    streams: Vec<Frames>,
    learned: Option<Arc<Learned>>,
    /// Sessions that a suite opened.
    opened: Option<Arc<Learned>>,
}

impl<T: Tester, D: Device> OnRig<T, D> {
    /// Opens the scenario's sessions and draws its frames.
    fn new(parts: Parts<T, D>) -> Result<Self, BenchError> {
        let basis = Basis { calibration: Some(parts.calibration.clone()), ..Basis::default() };
        let clock = RealClock::calibrate();
        let mut bed =
            Self { parts, clock, basis, streams: Vec::new(), learned: None, opened: None };
        bed.refill()?;
        Ok(bed)
    }

    /// With frames that are given, and nothing to open.
    fn with_frames(parts: Parts<T, D>, streams: Vec<Frames>) -> Self {
        let basis = Basis { calibration: Some(parts.calibration.clone()), ..Basis::default() };
        Self { parts, clock: RealClock::calibrate(), basis, streams, learned: None, opened: None }
    }

    /// Opens the sessions that traffic needs, and draws the frames that suit them.
    fn refill(&mut self) -> Result<(), BenchError> {
        let parts = &mut self.parts;
        let Some(scenario) = &parts.scenario else { return Ok(()) };
        if scenario.has_state() && parts.mix != Mix::New {
            let opened = scenario.open(&mut parts.tester).map_err(|why| BenchError::Device {
                device: parts.record.device.clone(),
                why: why.to_string(),
            })?;
            self.learned = opened.learned;
        }
        let last = parts.direction.lanes().last().copied().unwrap_or(0);
        let frames = |lane| {
            let mix = if lane == 0 { parts.mix } else { Mix::Known };
            scenario.frames(lane, &parts.genome, mix, self.learned.as_ref())
        };
        // A quiet lane before a busy one has frames too, and sends none.
        let streams: Result<Vec<Frames>, _> = (0..=last)
            .map(|lane| {
                let quiet = !parts.direction.lanes().contains(&lane);
                if quiet { frames(0) } else { frames(lane) }
            })
            .collect();
        self.streams = streams.map_err(|why| BenchError::Asked(why.to_string()))?;
        Ok(())
    }

    /// The trial that a plan asks for, its load shared out to the lanes.
    fn spec(&self, plan: &Plan) -> Spec {
        let lanes = self.parts.direction.lanes();
        let share = 1.0 / f64::from(u32::try_from(lanes.len()).expect("two at most"));
        let load = |lane: usize| {
            if !lanes.contains(&lane) {
                return Load::none();
            }
            let steps = plan.steps.iter();
            Load::steps(steps.map(|step| Step::lasting(step.rate * share, step.duration)).collect())
        };
        let loads = (0..self.streams.len()).map(load).collect();
        let mut spec = Spec::new(plan.purpose.clone(), loads);
        if plan.steps.len() > 1 || plan.event.is_some() {
            spec.slices = SLICE;
        }
        if let Some((at, _)) = plan.event {
            spec.events = vec![at];
            spec.by_flow = true;
        }
        spec
    }
}

/// Notes what the forwarder made of each new session.
struct Learning(Learner);

impl Watch for Learning {
    fn frame(&mut self, _lane: usize, frame: &[u8], _probe: &Probe) {
        self.0.see(frame);
    }
}

/// Runs the event of a plan.
struct Doing<'a> {
    doer: Option<&'a mut Doer>,
    event: Option<Event>,
}

impl Watch for Doing<'_> {
    fn frame(&mut self, _lane: usize, _frame: &[u8], _probe: &Probe) {}

    fn event(&mut self, _index: usize) -> io::Result<()> {
        match (self.event, self.doer.as_mut()) {
            (Some(event), Some(doer)) => doer(event),
            (Some(event), None) => Err(io::Error::other(format!("{event:?} cannot be done here"))),
            (None, _) => Ok(()),
        }
    }
}

impl<T: Tester, D: Device> Bed for OnRig<T, D> {
    fn scenario(&self) -> &record::Scenario {
        &self.parts.record
    }

    fn calibration(&self) -> Option<&Calibration> {
        Some(&self.parts.calibration)
    }

    fn run(&mut self, plan: &Plan) -> Result<Run, BenchError> {
        let spec = self.spec(plan);
        let event = plan.event.map(|(_, event)| event);
        let mut watch = Doing { doer: self.parts.doer.as_mut(), event };
        let mut rig = Rig {
            tester: &mut self.parts.tester,
            device: &mut self.parts.device,
            streams: &mut self.streams,
            clock: &self.clock,
            basis: self.basis.clone(),
        };
        rig.run_watched(&spec, &mut watch).map_err(failed(&plan.purpose))
    }

    fn churn(&mut self, plan: &Plan) -> Result<(Run, Changed), BenchError> {
        let full = |why| BenchError::medium("changing routes")(io::Error::other(why));
        let Some(churn) = self.parts.tester.churn() else {
            let why = "routes are changed in this process, on the medium ring, for bench churn";
            return Err(BenchError::Asked(why.to_owned()));
        };
        churn.start().map_err(full)?;
        let ran = self.run(plan);
        let churn = self.parts.tester.churn().expect("it has just been there");
        let changed = churn.finish().map_err(full)?;
        Ok((ran?, changed))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.parts.scenario.as_ref().map_or(Vec::new(), Scenario::notes);
        notes.extend(self.parts.notes.iter().cloned());
        notes
    }

    fn lines(&self) -> LineRates {
        self.parts.lines
    }

    fn limit(&self) -> Option<ServiceLimit> {
        let [lane] = self.parts.direction.lanes() else { return None };
        self.parts.scenario.as_ref()?.first_limit(*lane, &self.parts.genome)
    }

    fn max_rate(&self) -> f64 {
        self.parts.calibration.sent.value
    }

    fn reset(&mut self) -> Result<bool, BenchError> {
        let done = self.parts.device.reset().map_err(BenchError::medium("clearing sessions"))?;
        if done {
            self.refill()?;
        }
        Ok(done)
    }

    fn mend(&mut self) -> Result<(), BenchError> {
        match &mut self.parts.doer {
            Some(doer) => doer(Event::Mend).map_err(BenchError::medium("mending the link")),
            None => Ok(()),
        }
    }

    fn open_sessions(&mut self, sessions: u64, rate: f64) -> Result<Opened, BenchError> {
        let cleared = self.parts.device.reset().map_err(BenchError::medium("clearing sessions"))?;
        if !cleared {
            let device = self.parts.record.device.clone();
            let why = "its sessions cannot be cleared between trials, so trials would differ";
            return Err(BenchError::Device { device, why: why.to_owned() });
        }
        let parts = &mut self.parts;
        let Some(scenario) = &parts.scenario else {
            return Err(BenchError::Asked("there are no sessions between interfaces".to_owned()));
        };
        let frames = scenario.frames(0, &parts.genome, Mix::New, None);
        let mut streams = vec![frames.map_err(|why| BenchError::Asked(why.to_string()))?];
        let most = streams[0].flows();
        if sessions > most {
            return Err(BenchError::Asked(format!(
                "{sessions} new sessions and the scenario has {most}: ask for fewer"
            )));
        }
        let spec = Spec::new(format!("open {sessions}"), vec![Load::once(sessions, rate)]);
        let mut rig = Rig {
            tester: &mut parts.tester,
            device: &mut parts.device,
            streams: &mut streams,
            clock: &self.clock,
            basis: self.basis.clone(),
        };
        let len = usize::try_from(sessions).expect("a table of sessions fits memory");
        let mut learning = Learning(Learner::of_any_trial(len));
        let run = rig.run_watched(&spec, &mut learning).map_err(failed("opening sessions"))?;
        let arrived = run.trial.frames.received;
        self.opened = learning.0.finish().map(Arc::new);
        Ok(Opened { trial: run.trial, arrived, counted: None })
    }

    fn find_sessions(&mut self, rate: f64) -> Result<u64, BenchError> {
        let parts = &mut self.parts;
        let (Some(scenario), Some(opened)) = (&parts.scenario, &self.opened) else { return Ok(0) };
        let answers = scenario.answers_to_new(&parts.genome, opened);
        let answers = answers.map_err(|why| BenchError::Asked(why.to_string()))?;
        let quiet = scenario.frames(0, &parts.genome, Mix::New, None);
        let quiet = quiet.map_err(|why| BenchError::Asked(why.to_string()))?;
        let loads = vec![Load::none(), Load::once(opened.len(), rate)];
        let spec = Spec::new(format!("find {}", opened.len()), loads);
        let mut rig = Rig {
            tester: &mut parts.tester,
            device: &mut parts.device,
            streams: &mut [quiet, answers],
            clock: &self.clock,
            basis: self.basis.clone(),
        };
        let run = rig.run(&spec).map_err(failed("looking for sessions"))?;
        Ok(run.trial.frames.received)
    }
}

fn failed(purpose: &str) -> impl Fn(super::trial::TrialError) -> BenchError {
    let purpose = purpose.to_owned();
    move |why| BenchError::Medium { during: purpose.clone(), why: io::Error::other(why) }
}

/// The line rates of frames of a record's sizes: a nominal link, the circuit's policer where one
/// holds, and what the medium carried.
fn lines(
    record: &record::Scenario,
    nominal_bps: u64,
    circuit: Option<ServiceLimit>,
    medium: Option<Quantity>,
) -> LineRates {
    let nominal = Quantity::rate(size::line_rate(nominal_bps, &record.frame_sizes));
    let circuit = circuit.map(|limit| Quantity::rate(limit.rate));
    LineRates { nominal: Some(nominal), circuit, medium }
}
