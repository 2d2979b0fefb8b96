//! One against another: whole runs in pairs, each with everything fresh.

use std::cell::RefCell;
use std::path::PathBuf;

use miette::{IntoDiagnostic, Result, miette};

use super::Compared;
use super::ask::{about, span};
use super::log::{About, Log};
use super::scaled::cost_point;
use crate::bench::bed::{self, DeviceKind, Medium, Wish};
use crate::bench::error::BenchError;
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
    let (peer, name) = peer(&wish, &own.peer);
    let names = [name, wish.device.word().to_owned()];
    let how = Versus {
        peer,
        names,
        pairs: own.pairs,
        most_pairs: own.pairs.max(60),
        margin: own.margin,
        seconds: own.asked.seconds,
    };
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
        rules: Rules { margin: own.margin, most_pairs: own.most_pairs, ..Rules::default() },
    };
    let mut described = None;
    let log_cell = RefCell::new(log);
    let (found, trials) = compare::pairs(
        &how,
        |side| {
            let wish = if side == Side::A { &own.peer } else { wish };
            let (about, sample) = fresh(wish, own.seconds, &mut log_cell.borrow_mut())?;
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
