//! One question after the other: which bed, which suite, which record.

use miette::{IntoDiagnostic, Result, miette};

use super::log::{About, Log};
use super::{Asked, Limited, Question, Repeated, Searched, churned, scaled, tcp, versus};
use crate::bench::bed::{self, Medium, Wish};
use crate::bench::cost;
use crate::bench::error::BenchError;
use crate::bench::medium::Cores;
use crate::bench::record::outcome::{Calibrated, Cost, Outcome};
use crate::bench::scenario::{self, Direction, Limits, Mix, Scenario, Way};
use crate::bench::search::{Method, Preset};
use crate::bench::suite::{
    self, Bed, Event, Runner, burst, failover, latency, limits, loss, recovery, sessions,
    throughput,
};
use crate::time::Span;

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
        Question::Limits(own) => limits(own, log),
        Question::Churn(own) => churned::ask(own, log),
        Question::Failover(own) => failovers(own, log),
        Question::Sessions(own) => session_rates(own, log),
        Question::Scale(own) => scaled::ask(own, log),
        Question::Compare(own) => versus::ask(own, log),
        Question::Tcp(own) => tcp::ask(own, log),
        Question::Report(_) | Question::Selftest => Ok(()),
    }
}

/// What the record of a bed says.
pub(super) fn about(bed: &dyn Bed, wish: &Wish) -> About {
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
    let options = cost::Options::default();
    let asked = if wish.workers > 1 { abreast_at } else { cost_at };
    let (about, cost) = asked(wish, &options, log).into_diagnostic()?;
    log.keep(about, Vec::new(), Outcome::Cost(cost))
}

/// Ticks a packet of one wish, on the tester's core.
pub(super) fn cost_at(
    wish: &Wish,
    options: &cost::Options,
    log: &mut Log,
) -> Result<(About, Cost), BenchError> {
    let asked = |why: &dyn std::fmt::Display| BenchError::Asked(why.to_string());
    let scenario = Scenario::new(wish.spec.clone()).map_err(|why| asked(&why))?;
    let cores = Cores::share(1).map_err(|why| asked(&why))?;
    cores.pin_tester().map_err(|why| asked(&why))?;
    log.say("measuring what a packet costs", None);
    let [lane] = wish.direction.lanes() else {
        return Err(BenchError::Asked("what a packet costs is asked for one direction".to_owned()));
    };
    let found = cost::measure(&scenario, *lane, &wish.genome, wish.mix, options)
        .map_err(|why| asked(&why))?;
    let layout = format!("tester and worker share core {}", cores.tester);
    Ok(told(wish, &scenario, found, &layout))
}

/// Ticks a packet of one worker, and what several carry beside it, each on a core of its own.
fn abreast_at(
    wish: &Wish,
    options: &cost::Options,
    log: &mut Log,
) -> Result<(About, Cost), BenchError> {
    let asked = |why: &dyn std::fmt::Display| BenchError::Asked(why.to_string());
    let scenario = Scenario::new(wish.spec.clone()).map_err(|why| asked(&why))?;
    let cores = Cores::each(wish.workers).map_err(|why| asked(&why))?;
    log.say("measuring workers beside each other", None);
    let ([lane], Mix::Known) = (wish.direction.lanes(), wish.mix) else {
        let why = "workers beside each other are asked for one direction and known flows: take \
                   --direction to_azure --new none";
        return Err(BenchError::Asked(why.to_owned()));
    };
    let each: Vec<Option<usize>> = cores.iter().copied().map(Some).collect();
    let found = cost::abreast::measure(&scenario, *lane, &wish.genome, &each, options)
        .map_err(|why| asked(&why))?;
    let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
    Ok(told(wish, &scenario, found, &format!("a worker each on cores {}", cores.join(", "))))
}

/// What the record says of a cost.
fn told(wish: &Wish, scenario: &Scenario, found: cost::Measured, layout: &str) -> (About, Cost) {
    let run = scenario::Run {
        device: "thruway",
        medium: "memory",
        genome: &wish.genome,
        workers: found.cost.abreast.as_ref().map_or(1, |abreast| abreast.workers),
        direction: wish.direction,
        layout,
    };
    let mut notes = scenario.notes();
    notes.extend(found.notes);
    let scenario = scenario.record(&run);
    (About { scenario, seed: wish.spec.seed, calibration: None, notes }, found.cost)
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
        timeout: Span::secs(own.at_most),
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
    /// How long a search may take; what it knows by then is its answer.
    pub timeout: Span,
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
    let how = throughput::How { preset: own.preset, method: own.method, timeout: own.timeout };
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

fn limits(own: &Limited, log: &mut Log) -> Result<()> {
    let mut wish = own.asked.wanted.wish()?;
    // Without limits there is nothing to ask.
    wish.spec.limits = Limits::Enforced;
    if wish.medium == Medium::Memory {
        return Err(miette!(
            help = "measure on ring, veth or tap",
            "in memory, generator and forwarder share a thread: there is no load above a limit"
        ));
    }
    log.begin();
    let mut bed = bed::open(&wish).into_diagnostic()?;
    let about = about(&*bed, &wish);
    let mut runner = Runner::new(&mut *bed, log);
    let found = limits::admitted(&mut runner, own.rate, span(own.asked.seconds.max(0.1)));
    let found = found.into_diagnostic()?;
    let trials = runner.into_trials();
    log.keep(about, trials, Outcome::Limits(found))
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

pub(super) fn span(seconds: f64) -> Span {
    Span(suite::whole(seconds * 1e9))
}
