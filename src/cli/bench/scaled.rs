//! One figure along an axis: the wish at each place on it.

use std::str::FromStr;

use miette::{IntoDiagnostic, Result, miette};

use super::Scaled;
use super::ask::{about, cost_at};
use super::log::{About, Log};
use crate::bench::bed::{self, Medium, Wish};
use crate::bench::cost;
use crate::bench::error::BenchError;
use crate::bench::medium::Cores;
use crate::bench::record::outcome::{Outcome, Scale, ScalePoint};
use crate::bench::record::{Quantity, Trial};
use crate::bench::scenario::{Routes, Scenario};
use crate::bench::search::Method;
use crate::bench::suite::{self, Runner, scale, throughput};
use crate::bench::traffic::Genome;

/// Along which axis a figure is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// Routes in the table.
    Routes,
    /// Flows.
    Flows,
    /// NAT sessions.
    Sessions,
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
            "sessions" => Ok(Axis::Sessions),
            "sizes" => Ok(Axis::Sizes),
            "workers" => Ok(Axis::Workers),
            _ => Err(BenchError::Asked(format!(
                "{text:?} is none of: routes, flows, sessions, sizes, workers"
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
    if own.axis == Axis::Sessions && !wish.spec.way.translates() {
        return Err(miette!(help = "--way nat", "way {} has no sessions", wish.spec.way));
    }
    let (places, left_out) = possible(&wish, own.axis, places(&wish, own.axis, &own.at))?;
    log.begin();
    let (mut first, mut trials) = (None, Vec::new());
    let memory = wish.medium == Medium::Memory;
    let figure = if memory { "ticks a packet" } else { "frames/s" };
    let answer = scale::along(axis_name(own.axis), figure, &places, |place| {
        let wish = moved(&wish, own.axis, place)?;
        let (about, point, more) = if memory {
            cost_point(&wish, place, &cost::Options::default(), log)?
        } else {
            search_point(&wish, place, own, log)?
        };
        first.get_or_insert(about);
        trials.extend(more);
        Ok(point)
    });
    let answer: Scale = answer.into_diagnostic()?;
    let mut about = first.ok_or_else(|| miette!("--at names no place on the axis"))?;
    for sentence in &left_out {
        log.remark(sentence);
    }
    about.notes.extend(left_out);
    log.keep(about, trials, Outcome::Scale(answer))
}

pub(super) fn cost_point(
    wish: &Wish,
    place: &scale::Place,
    options: &cost::Options,
    log: &mut Log,
) -> Result<(About, ScalePoint, Vec<Trial>), BenchError> {
    let (about, cost) = cost_at(wish, options, log)?;
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
        timeout: crate::time::Span::secs(own.searched.at_most),
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
        Axis::Sessions => "sessions",
        Axis::Sizes => "frame size",
        Axis::Workers => "workers",
    }
}

/// The places that were asked for, or the usual ones: with frame sizes, a mix is the last.
fn places(wish: &Wish, axis: Axis, at: &[u64]) -> Vec<scale::Place> {
    let usual: &[u64] = match axis {
        Axis::Routes => &[1, 10_000, 100_000, 1_000_000],
        Axis::Sessions if wish.medium == Medium::Memory => &[64_512, 1_032_192, 4_128_768, MANY],
        Axis::Flows | Axis::Sessions => &[64_512, 258_048, 1_032_192],
        Axis::Sizes => &[64, 128, 256, 512, 1024, 1280, 1518],
        Axis::Workers => &[1, 2, 4, 8, 16],
    };
    let is_usual = at.is_empty();
    let place = |at: &u64| scale::Place { at: suite::count(*at), label: at.to_string() };
    let mut places: Vec<_> = if is_usual { usual } else { at }.iter().map(place).collect();
    if axis == Axis::Sizes && is_usual {
        let genome = mix(wish);
        let sum: u32 = genome.sizes().iter().sum();
        let len = suite::count(genome.sizes().len() as u64);
        places.push(scale::Place { at: f64::from(sum) / len, label: MIX.to_owned() });
    }
    places
}

/// The most sessions of the usual places.
const MANY: u64 = 10_000_000;
/// What the mix of sizes is called on its axis.
const MIX: &str = "IMIX";

/// The mix that was asked for, or the usual one.
fn mix(wish: &Wish) -> Genome {
    let is_mix = wish.genome.sizes().len() > 1;
    if is_mix { wish.genome.clone() } else { Genome::simple_imix() }
}

/// The places that can be measured here, and a sentence for each that cannot.
fn possible(
    wish: &Wish,
    axis: Axis,
    places: Vec<scale::Place>,
) -> Result<(Vec<scale::Place>, Vec<String>)> {
    let (mut left, mut sentences) = (Vec::new(), Vec::new());
    for place in places {
        let moved = moved(wish, axis, &place).into_diagnostic()?;
        match obstacle(&moved, axis) {
            None => left.push(place),
            Some(why) => {
                let name = axis_name(axis);
                sentences.push(format!("{name} {}: not shown here. {why}.", place.label));
            }
        }
    }
    if left.is_empty() { Err(miette!("{}", sentences.join("\n"))) } else { Ok((left, sentences)) }
}

/// What keeps a place from being measured, where that is known before.
fn obstacle(wish: &Wish, axis: Axis) -> Option<String> {
    match axis {
        Axis::Workers if wish.medium == Medium::Memory => {
            let why = "In memory all workers share one thread: take ring, veth or tap, or ask bench \
                       cost --workers";
            Some(why.to_owned())
        }
        Axis::Workers => Cores::share(wish.workers).err().map(|why| why.to_string()),
        Axis::Routes => wish.wrong_side(),
        Axis::Sizes => {
            let scenario = Scenario::new(wish.spec.clone()).ok()?;
            let most = scenario.largest();
            (wish.genome.largest() > most)
                .then(|| format!("Way {} carries frames of {most} bytes at most", wish.spec.way))
        }
        _ => None,
    }
}

/// The wish at another place on an axis.
fn moved(wish: &Wish, axis: Axis, place: &scale::Place) -> Result<Wish, BenchError> {
    let mut wish = wish.clone();
    let at = suite::whole(place.at);
    let small = u32::try_from(at).map_err(|_| BenchError::Asked(format!("{at} is too many")))?;
    match axis {
        Axis::Routes => {
            wish.spec.routes = Routes::sized(wish.spec.seed, small);
            wish.spec.flows = at.clamp(1, 100_000);
        }
        Axis::Flows | Axis::Sessions => wish.spec.flows = at,
        Axis::Sizes if place.label == MIX => wish.genome = mix(&wish),
        Axis::Sizes => {
            wish.genome = Genome::one(small).map_err(|why| BenchError::Asked(why.to_string()))?;
        }
        Axis::Workers => wish.workers = usize::try_from(at).unwrap_or(usize::MAX),
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::{Spec, Way};
    use crate::cli::bench::standard;

    #[test]
    fn a_mix_of_sizes_is_the_last_of_the_usual_sizes() {
        let wish = standard::wish(Spec::new(Way::FastPath), Medium::Memory).unwrap();
        let all = places(&wish, Axis::Sizes, &[]);
        let labels: Vec<_> = all.iter().map(|place| place.label.as_str()).collect();
        // RFC 2544 9.1, and the mix.
        assert_eq!(labels, ["64", "128", "256", "512", "1024", "1280", "1518", "IMIX"]);
        // Seven of 64, four of 570, one of 1,518 bytes.
        let mean = (7.0 * 64.0 + 4.0 * 570.0 + 1518.0) / 12.0;
        assert!((all[7].at - mean).abs() < 0.01);
        let mixed = moved(&wish, Axis::Sizes, &all[7]).unwrap();
        assert_eq!(mixed.genome.sizes().len(), 12);
        assert_eq!(places(&wish, Axis::Sizes, &[512]).len(), 1);
    }
}
