//! One question after the other: which bed, which suite, which record.

use std::path::PathBuf;
use std::str::FromStr;

use miette::{IntoDiagnostic, Result, miette};

use super::log::{About, Log};
use super::{Asked, Compared, Question, Repeated, Scaled, Searched};
use crate::bench::bed::{self, DeviceKind, Medium, Wish};
use crate::bench::cost;
use crate::bench::error::BenchError;
use crate::bench::medium::Cores;
use crate::bench::record::outcome::{Calibrated, Cost, Outcome, Scale, ScalePoint};
use crate::bench::record::{Quantity, Trial};
use crate::bench::scenario::{self, Direction, Routes, Scenario, Way};
use crate::bench::search::{Method, Preset};
use crate::bench::stats::compare::{Better, Rules, Side};
use crate::bench::suite::{
    self, Bed, Event, Plan, Runner, burst, compare, failover, latency, loss, recovery, scale,
    sessions, throughput,
};
use crate::bench::traffic::Genome;
use crate::time::Span;

/// How long a search may take.
const TIMEOUT: Span = Span::secs(1200);

/// Along which axis a figure is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// Routes in the table.
    Routes,
    /// Flows, or sessions with NAT.
    Flows,
    /// Bytes of a frame.
    Sizes,
    /// Workers.
    Workers,
}

impl FromStr for Axis {
    type Err = BenchError;
    fn from_str(text: &str) -> Result<Self, BenchError> {
        match text {
            "routes" => Ok(Axis::Routes),
            "flows" => Ok(Axis::Flows),
            "sizes" => Ok(Axis::Sizes),
            "workers" => Ok(Axis::Workers),
            _ => Err(BenchError::Asked(format!(
                "{text:?} is none of: routes, flows, sizes, workers"
            ))),
        }
    }
}

/// Answers one question.
///
/// # Errors
/// When it cannot be measured.
pub(super) fn one(question: &Question, log: &mut Log) -> Result<()> {
    match question {
        Question::Calibrate(own) => calibrate(&own.wanted.wish()?, log),
        Question::Cost(own) => cost_of(&own.wanted.wish()?, log),
        Question::Throughput(own) => searched(own, log, Suite::Throughput),
        Question::Latency(own) => searched(own, log, Suite::Latency),
        Question::Burst(own) => searched(own, log, Suite::Burst),
        Question::Recovery(own) => searched(own, log, Suite::Recovery),
        Question::Loss(own) => losses(own, log),
        Question::Failover(own) => failovers(own, log),
        Question::Sessions(own) => session_rates(own, log),
        Question::Scale(own) => scaled(own, log),
        Question::Compare(own) => compared(own, log),
        Question::Report(_) | Question::Selftest => Ok(()),
    }
}

/// What the record of a bed says.
fn about(bed: &dyn Bed, wish: &Wish) -> About {
    About {
        scenario: bed.scenario().clone(),
        seed: wish.spec.seed,
        calibration: bed.calibration().cloned(),
        notes: bed.notes(),
    }
}

/// Measures what the medium can do.
///
/// # Errors
/// When the bed cannot be made.
pub(super) fn calibrate(wish: &Wish, log: &mut Log) -> Result<()> {
    log.begin();
    let bed = bed::open(wish).into_diagnostic()?;
    let lines = bed.lines();
    log.keep(about(&*bed, wish), Vec::new(), Outcome::Calibration(Calibrated { lines }))
}

/// Measures ticks a packet.
///
/// # Errors
/// When the scenario cannot be had.
pub(super) fn cost_of(wish: &Wish, log: &mut Log) -> Result<()> {
    log.begin();
    let (about, cost) = cost_at(wish, log).into_diagnostic()?;
    log.keep(about, Vec::new(), Outcome::Cost(cost))
}

/// A suite that begins with, or is, a search.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Suite {
    /// The search alone.
    Throughput,
    /// Latency at shares of what it finds.
    Latency,
    /// Bursts above what it finds.
    Burst,
    /// Overload of what it finds.
    Recovery,
}

fn searched(own: &Searched, log: &mut Log, suite: Suite) -> Result<()> {
    let how = How {
        preset: own.preset,
        method: if own.bisect { Method::Bisection } else { Method::MlrSearch },
        known: own.throughput,
        repeats: own.repeats,
        seconds: own.asked.seconds,
    };
    search(&own.asked.wanted.wish()?, &how, suite, log)
}

/// How a suite that searches goes about it.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// The goals.
    pub preset: Preset,
    /// How loads are chosen.
    pub method: Method,
    /// The throughput, where it is known.
    pub known: Option<f64>,
    /// Repeats, of bursts.
    pub repeats: usize,
    /// Seconds of each trial that is no search's.
    pub seconds: f64,
}

/// Runs a suite on a fresh bed.
///
/// # Errors
/// When it cannot be measured.
pub(super) fn search(wish: &Wish, own: &How, suite: Suite, log: &mut Log) -> Result<()> {
    if wish.medium == Medium::Memory {
        return Err(miette!(
            help = "`bench cost` says what a packet costs there; the media ring, veth and tap \
                    have a generator of their own",
            "in memory, generator and forwarder share a thread: there is no throughput"
        ));
    }
    log.begin();
    let mut bed = bed::open(wish).into_diagnostic()?;
    let about = about(&*bed, wish);
    let seconds = span(own.seconds);
    let mut runner = Runner::new(&mut *bed, log);
    let how = throughput::How { preset: own.preset, method: own.method, timeout: TIMEOUT };
    let known = match (own.known, suite) {
        (Some(rate), _) if suite != Suite::Throughput => rate,
        _ => {
            let found = throughput::search(&mut runner, how).into_diagnostic()?;
            let rate = throughput::rate(&found);
            if suite == Suite::Throughput {
                let trials = runner.into_trials();
                return log.keep(about, trials, Outcome::Throughput(found));
            }
            rate.ok_or_else(|| miette!("no load passes: there is no throughput to begin with"))?
        }
    };
    let outcome = match suite {
        Suite::Throughput => unreachable!("it has returned"),
        Suite::Latency => {
            let shares = &latency::SHARES;
            Outcome::Latency(
                latency::at_shares(&mut runner, known, shares, seconds).into_diagnostic()?,
            )
        }
        Suite::Burst => {
            let search = burst::Search { repeats: own.repeats, longest: Span::secs(2), step: 0.01 };
            let rate = runner.bed().max_rate();
            Outcome::Burst(burst::longest(&mut runner, rate, known, search).into_diagnostic()?)
        }
        Suite::Recovery => {
            let overload = span(own.seconds.max(1.0));
            Outcome::Recovery(
                recovery::from_overload(&mut runner, known, overload).into_diagnostic()?,
            )
        }
    };
    let trials = runner.into_trials();
    log.keep(about, trials, outcome)
}

fn losses(own: &Asked, log: &mut Log) -> Result<()> {
    let wish = own.wanted.wish()?;
    let mut bed = bed::open(&wish).into_diagnostic()?;
    log.begin();
    let about = about(&*bed, &wish);
    let from = bed.max_rate();
    let mut runner = Runner::new(&mut *bed, log);
    let curve = loss::curve(&mut runner, from, span(own.seconds)).into_diagnostic()?;
    let trials = runner.into_trials();
    log.keep(about, trials, Outcome::Loss(curve))
}

fn failovers(own: &Repeated, log: &mut Log) -> Result<()> {
    let mut wish = own.asked.wanted.wish()?;
    if wish.medium != Medium::Veth || wish.spec.way != Way::FastPath {
        return Err(miette!(
            help = "bench failover --medium veth --way fastpath",
            "links can be cut on veth alone, on the way fastpath, whose edge has both links"
        ));
    }
    // The edge chooses among the links for what leaves it.
    (wish.two_links, wish.direction) = (true, Direction::ToOnprem);
    // Few flows, so that each one's gap is seen closely: 64 have a frame each 6.4 ms at 10 kpps.
    wish.spec.flows = own.asked.wanted.flows.unwrap_or(64);
    log.begin();
    let mut bed = bed::open(&wish).into_diagnostic()?;
    let about = about(&*bed, &wish);
    let failure = failover::Failure { event: Event::CutPrimary, name: "primary link cut" };
    let load = (own.rate, span(own.asked.seconds.max(2.0)));
    let mut runner = Runner::new(&mut *bed, log);
    let found = failover::repeat(&mut runner, failure, own.repeats, load).into_diagnostic()?;
    let trials = runner.into_trials();
    log.keep(about, trials, Outcome::Failover(found))
}

fn session_rates(own: &Asked, log: &mut Log) -> Result<()> {
    let mut wish = own.wanted.wish()?;
    let most = wish.spec.flows;
    wish.spec.new_flows = wish.spec.new_flows.max(most);
    let mut bed = bed::open(&wish).into_diagnostic()?;
    log.begin();
    let about = about(&*bed, &wish);
    let search =
        sessions::Search { sessions: most, width: 0.05, first_size: most.min(64_512), most };
    let mut runner = Runner::new(&mut *bed, log);
    let found = sessions::measure(&mut runner, search).into_diagnostic()?;
    let trials = runner.into_trials();
    log.keep(about, trials, Outcome::Sessions(found))
}

fn scaled(own: &Scaled, log: &mut Log) -> Result<()> {
    let wish = own.searched.asked.wanted.wish()?;
    let places = places(own.axis, &own.at);
    log.begin();
    let (mut first, mut trials) = (None, Vec::new());
    let memory = wish.medium == Medium::Memory;
    let figure = if memory { "ticks a packet" } else { "frames/s" };
    let answer = scale::along(axis_name(own.axis), figure, &places, |place| {
        let wish = moved(&wish, own.axis, place.at)?;
        let (about, point, more) = if memory {
            cost_point(&wish, place, log)?
        } else {
            search_point(&wish, place, own, log)?
        };
        first.get_or_insert(about);
        trials.extend(more);
        Ok(point)
    });
    let answer: Scale = answer.into_diagnostic()?;
    let about = first.ok_or_else(|| miette!("--at names no place on the axis"))?;
    log.keep(about, trials, Outcome::Scale(answer))
}

/// Ticks a packet of one wish, on the tester's core.
fn cost_at(wish: &Wish, log: &mut Log) -> Result<(About, Cost), BenchError> {
    let asked = |why: &dyn std::fmt::Display| BenchError::Asked(why.to_string());
    let scenario = Scenario::new(wish.spec.clone()).map_err(|why| asked(&why))?;
    let cores = Cores::share(1).map_err(|why| asked(&why))?;
    cores.pin_tester().map_err(|why| asked(&why))?;
    log.say("measuring what a packet costs", None);
    let [lane] = wish.direction.lanes() else {
        return Err(BenchError::Asked("what a packet costs is asked for one direction".to_owned()));
    };
    let options = cost::Options::default();
    let found = cost::measure(&scenario, *lane, &wish.genome, wish.mix, &options)
        .map_err(|why| asked(&why))?;
    let run = scenario::Run {
        device: "thruway",
        medium: "memory",
        genome: &wish.genome,
        workers: 1,
        direction: wish.direction,
        layout: &format!("tester and worker share core {}", cores.tester),
    };
    let mut notes = scenario.notes();
    notes.extend(found.notes);
    let scenario = scenario.record(&run);
    Ok((About { scenario, seed: wish.spec.seed, calibration: None, notes }, found.cost))
}

fn cost_point(
    wish: &Wish,
    place: &scale::Place,
    log: &mut Log,
) -> Result<(About, ScalePoint, Vec<Trial>), BenchError> {
    let (about, cost) = cost_at(wish, log)?;
    let runs = &cost.hot.runs;
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = runs.iter().copied().fold(0.0, f64::max);
    let point = ScalePoint {
        at: place.at,
        label: place.label.clone(),
        value: cost.hot.ticks,
        range: (least, most),
        lines: None,
        verdict: cost.verdict,
    };
    Ok((about, point, Vec::new()))
}

fn search_point(
    wish: &Wish,
    place: &scale::Place,
    own: &Scaled,
    log: &mut Log,
) -> Result<(About, ScalePoint, Vec<Trial>), BenchError> {
    let mut bed = bed::open(wish)?;
    let about = about(&*bed, wish);
    let how = throughput::How {
        preset: own.searched.preset,
        method: Method::MlrSearch,
        timeout: TIMEOUT,
    };
    let mut runner = Runner::new(&mut *bed, log);
    let found = throughput::search(&mut runner, how)?;
    let goal = found.goals.last().expect("every preset has a goal");
    let value = |rate: Option<Quantity>| rate.map_or(0.0, |rate| rate.value);
    let point = ScalePoint {
        at: place.at,
        label: place.label.clone(),
        value: goal.conditional.unwrap_or(Quantity::rate(0.0)),
        range: (value(goal.lower), value(goal.upper.or(goal.lower))),
        lines: Some(found.lines),
        verdict: found.verdict.clone(),
    };
    Ok((about, point, runner.into_trials()))
}

const fn axis_name(axis: Axis) -> &'static str {
    match axis {
        Axis::Routes => "routes",
        Axis::Flows => "flows",
        Axis::Sizes => "frame size",
        Axis::Workers => "workers",
    }
}

/// The places that were asked for, or the usual ones.
fn places(axis: Axis, at: &[u64]) -> Vec<scale::Place> {
    let usual: &[u64] = match axis {
        Axis::Routes => &[1, 10_000, 100_000, 1_000_000],
        Axis::Flows => &[64_512, 258_048, 1_032_192],
        Axis::Sizes => &[64, 128, 256, 512, 1024, 1280, 1518],
        Axis::Workers => &[1, 2],
    };
    let at = if at.is_empty() { usual } else { at };
    let place = |at: &u64| scale::Place { at: suite::count(*at), label: at.to_string() };
    at.iter().map(place).collect()
}

/// The wish at another place on an axis.
fn moved(wish: &Wish, axis: Axis, at: f64) -> Result<Wish, BenchError> {
    let mut wish = wish.clone();
    let at = suite::whole(at);
    let small = u32::try_from(at).map_err(|_| BenchError::Asked(format!("{at} is too many")))?;
    match axis {
        Axis::Routes => {
            wish.spec.routes = Routes::sized(wish.spec.seed, small);
            wish.spec.flows = at.clamp(1, 100_000);
        }
        Axis::Flows => wish.spec.flows = at,
        Axis::Sizes => {
            wish.genome = Genome::one(small).map_err(|why| BenchError::Asked(why.to_string()))?;
        }
        Axis::Workers => wish.workers = usize::try_from(at).unwrap_or(usize::MAX),
    }
    Ok(wish)
}

fn compared(own: &Compared, log: &mut Log) -> Result<()> {
    let wish = own.asked.wanted.wish()?;
    let (peer, name) = peer(&wish, &own.peer);
    let names = [name, wish.device.word().to_owned()];
    let how =
        Versus { peer, names, pairs: own.pairs, margin: own.margin, seconds: own.asked.seconds };
    versus(&wish, &how, log)
}

/// A comparison of a wish with its peer.
pub(super) struct Versus {
    /// The other wish, A.
    pub peer: Wish,
    /// Names, A's first.
    pub names: [String; 2],
    /// Pairs before the first judgement.
    pub pairs: usize,
    /// Difference that matters.
    pub margin: f64,
    /// Seconds of each run.
    pub seconds: f64,
}

/// Compares in pairs, each run with everything fresh.
///
/// # Errors
/// When a run fails.
pub(super) fn versus(wish: &Wish, own: &Versus, log: &mut Log) -> Result<()> {
    log.begin();
    let memory = wish.medium == Medium::Memory;
    let (figure, better) = if memory {
        ("ticks a packet", Better::Lower)
    } else {
        ("frames/s at max load", Better::Higher)
    };
    let how = compare::How {
        names: own.names.clone(),
        figure: figure.to_owned(),
        better,
        pairs: own.pairs,
        rules: Rules { margin: own.margin, ..Rules::default() },
    };
    let mut described = None;
    let log_cell = std::cell::RefCell::new(log);
    let (found, trials) = compare::pairs(
        &how,
        |side| {
            let wish = if side == Side::A { &own.peer } else { wish };
            let (about, sample) = fresh(wish, own.seconds, &mut **log_cell.borrow_mut())?;
            if side == Side::B {
                described.get_or_insert(about);
            }
            Ok(sample)
        },
        |what| log_cell.borrow_mut().say(what, None),
    )
    .into_diagnostic()?;
    let about = described.ok_or_else(|| miette!("no pair was measured"))?;
    log_cell.into_inner().keep(about, trials, Outcome::Compare(found))
}

/// One run of one side, with everything fresh.
fn fresh(wish: &Wish, seconds: f64, log: &mut Log) -> Result<(About, compare::Sample), BenchError> {
    if wish.medium == Medium::Memory {
        let place = scale::Place { at: 0.0, label: String::new() };
        let (about, point, trials) = cost_point(wish, &place, log)?;
        return Ok((about, compare::Sample { figure: point.value.value, trials }));
    }
    let mut bed = bed::open(wish)?;
    let about = about(&*bed, wish);
    let rate = bed.max_rate();
    let mut runner = Runner::new(&mut *bed, log);
    runner.once(&Plan::constant("warm_up", rate, Span::millis(200)))?;
    let trial = runner.run(&Plan::constant("at max load", rate, span(seconds)))?.trial;
    let figure = suite::forwarding_rate(&trial);
    Ok((about, compare::Sample { figure, trials: runner.into_trials() }))
}

/// The wish with the peer in the forwarder's place, and the peer's name.
pub(super) fn peer(wish: &Wish, word: &str) -> (Wish, String) {
    let mut other = wish.clone();
    match word.parse::<DeviceKind>() {
        Ok(device) => {
            other.device = device;
            (other, word.to_owned())
        }
        Err(_) if word == "itself" => (other, format!("{} itself", wish.device)),
        Err(_) => {
            other.program = Some(PathBuf::from(word));
            (other, word.to_owned())
        }
    }
}

fn span(seconds: f64) -> Span {
    Span(suite::whole(seconds * 1e9))
}
