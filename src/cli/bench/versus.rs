//! One against another: whole runs in pairs, each with everything fresh.

use std::cell::RefCell;
use std::path::PathBuf;

use miette::{IntoDiagnostic, Result, miette};

use super::ask::{about, span};
use super::log::{About, Log};
use super::scaled::cost_point;
use super::{Compared, Figure};
use crate::bench::bed::{self, DeviceKind, Medium, Wish};
use crate::bench::cost;
use crate::bench::error::BenchError;
use crate::bench::record::Unit;
use crate::bench::record::outcome::Outcome;
use crate::bench::stats::compare::{Better, Rules, Side};
use crate::bench::suite::{self, Plan, Runner, compare, scale};
use crate::time::Span;

/// Compares with a peer.
///
/// # Errors
/// When a run fails.
pub(super) fn ask(own: &Compared, log: &mut Log) -> Result<()> {
    let wish = own.asked.wanted.wish()?;
    let (peer, names) = match own.against_way {
        None => {
            let (peer, name) = peer(&wish, &own.peer);
            (peer, [name, wish.device.word().to_owned()])
        }
        Some(way) => {
            let mut other = wish.clone();
            other.spec.way = way;
            (other, [format!("way {way}"), format!("way {}", wish.spec.way)])
        }
    };
    let how = Versus {
        peer,
        names,
        pairs: own.pairs,
        most_pairs: own.pairs.max(own.most_pairs),
        margin: own.margin,
        seconds: own.asked.seconds,
        latency_at: matches!(own.figure, Figure::Latency).then_some(own.rate),
        handicap: own.handicap,
    };
    if how.handicap > 0.0 && wish.medium != Medium::Memory {
        return Err(miette!(
            help = "--medium memory, and --limits ample if the service's are to work",
            "a busy loop can be added to turns in memory alone"
        ));
    }
    if wish.medium == Medium::Memory && how.latency_at.is_some() {
        return Err(miette!(
            help = "compare on ring, veth or tap",
            "in memory, generator and forwarder share a thread: there is no latency"
        ));
    }
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
    /// Pairs after which it is left at inconclusive.
    pub most_pairs: usize,
    /// Difference that matters.
    pub margin: f64,
    /// Seconds of each run.
    pub seconds: f64,
    /// Latency at this many frames a second is compared, not rates.
    pub latency_at: Option<f64>,
    /// Share of its ticks that a busy loop adds to A, in memory.
    pub handicap: f64,
}

impl Versus {
    /// What is compared on a medium.
    fn figures(&self, medium: Medium) -> Vec<compare::Compared> {
        let one =
            |name: &str, better, unit| compare::Compared { name: name.to_owned(), better, unit };
        match (self.latency_at, medium) {
            (Some(_), _) => {
                PERCENTILES.map(|name| one(name, Better::Lower, Some(Unit::Nanoseconds))).to_vec()
            }
            (None, Medium::Memory) => vec![one("ticks a packet", Better::Lower, None)],
            (None, _) => vec![one("frames/s at max load", Better::Higher, None)],
        }
    }
}

/// Latencies that are compared, from due time.
const PERCENTILES: [&str; 3] = ["latency p50", "latency p90", "latency p99"];

/// Compares in pairs, each run with everything fresh.
///
/// # Errors
/// When a run fails.
pub(super) fn versus(wish: &Wish, own: &Versus, log: &mut Log) -> Result<()> {
    log.begin();
    let how = compare::How {
        names: own.names.clone(),
        figures: own.figures(wish.medium),
        pairs: own.pairs,
        rules: Rules { margin: own.margin, most_pairs: own.most_pairs, ..Rules::default() },
    };
    let mut described = None;
    let log_cell = RefCell::new(log);
    let (found, trials) = compare::pairs(
        &how,
        |side| {
            let wish = if side == Side::A { &own.peer } else { wish };
            let (about, sample) = fresh(side, wish, own, &mut log_cell.borrow_mut())?;
            if side == Side::B {
                described.get_or_insert(about);
            }
            Ok(sample)
        },
        |what| log_cell.borrow_mut().say(what, None),
    )
    .into_diagnostic()?;
    let about = described.ok_or_else(|| miette!("no pair was measured"))?;
    let (log, mut trials) = (log_cell.into_inner(), Some(trials));
    for (place, compared) in found.into_iter().enumerate() {
        if place > 0 {
            log.begin();
        }
        // Figures of the same runs: the first record has their trials.
        let trials = trials.take().unwrap_or_default();
        log.keep(about.clone(), trials, Outcome::Compare(compared))?;
    }
    Ok(())
}

/// One run of one side, with everything fresh.
fn fresh(
    side: Side,
    wish: &Wish,
    own: &Versus,
    log: &mut Log,
) -> Result<(About, compare::Sample), BenchError> {
    if wish.medium == Medium::Memory {
        let place = scale::Place { at: 0.0, label: String::new() };
        let handicap = if side == Side::A { own.handicap } else { 0.0 };
        let options = cost::Options { runs: 5, cold: 0, handicap, ..cost::Options::default() };
        let (about, point, trials) = cost_point(wish, &place, &options, log)?;
        return Ok((about, compare::Sample { figures: vec![point.value.value], trials }));
    }
    let mut bed = bed::open(wish)?;
    let about = about(&*bed, wish);
    let (rate, purpose) = match own.latency_at {
        Some(rate) => (rate, "latency"),
        None => (bed.max_rate(), "at max load"),
    };
    let mut runner = Runner::new(&mut *bed, log);
    runner.once(&Plan::constant("warm_up", rate, Span::millis(200)))?;
    let trial = runner.run(&Plan::constant(purpose, rate, span(own.seconds)))?.trial;
    let figures = match (own.latency_at, &trial.latency) {
        (None, _) => vec![suite::forwarding_rate(&trial)],
        (Some(_), Some(latency)) => {
            let spread = &latency.spread;
            [spread.p50, spread.p90, spread.p99].map(|own| own.value).to_vec()
        }
        (Some(rate), None) => {
            let why = format!("no frame arrived at {rate:.0} frames/s: there is no latency");
            return Err(BenchError::Asked(why));
        }
    };
    Ok((about, compare::Sample { figures, trials: runner.into_trials() }))
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
