//! One figure along an axis: the wish at each place on it.

use std::str::FromStr;

use miette::{IntoDiagnostic, Result, miette};

use super::Scaled;
use super::ask::{TIMEOUT, about, cost_at};
use super::log::{About, Log};
use crate::bench::bed::{self, Medium, Wish};
use crate::bench::error::BenchError;
use crate::bench::record::outcome::{Outcome, Scale, ScalePoint};
use crate::bench::record::{Quantity, Trial};
use crate::bench::scenario::Routes;
use crate::bench::search::Method;
use crate::bench::suite::{self, Runner, scale, throughput};
use crate::bench::traffic::Genome;

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

/// Measures along an axis.
///
/// # Errors
/// When a place on it cannot be measured.
pub(super) fn ask(own: &Scaled, log: &mut Log) -> Result<()> {
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

pub(super) fn cost_point(
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
