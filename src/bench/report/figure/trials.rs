//! What did each trial show? The ladder of a search, and the strip of any record's trials.

use maud::html;

use super::super::svg::{Axis, Mark, Of, Plot, Scale, Shape};
use super::super::words::{shown, verdict_class};
use super::{Figure, key, line_label, line_rates, trusted};
use crate::bench::record::outcome::{GoalAnswer, Throughput};
use crate::bench::record::{Quantity, Trial, VerdictKind};

/// Trials that half the page has room for.
const FEW: usize = 16;

/// The loads that a search tried, and between which bounds they left each goal.
pub(in super::super) fn ladder(trials: &[Trial], answer: &Throughput) -> Figure {
    let note = html! {
        @for (index, goal) in answer.goals.iter().enumerate() {
            (key(index, &format!("within {}", goal.name))) ", "
        }
        span.key.bad-text { "✕" } " not, grey: contaminated, arrowheads: beyond the axis. Bands: the bounds as trials moved them."
    };
    let plots = vec![loads(trials, answer), losses(trials, &answer.goals), verdicts(trials)];
    Figure::full("The search, trial by trial", note, plots)
}

/// What each trial lost, and its verdict.
pub(in super::super) fn strip(trials: &[Trial]) -> Option<Figure> {
    if trials.is_empty() {
        return None;
    }
    let note = html! { "Grey: contaminated." };
    let plots = vec![losses(trials, &[]), verdicts(trials)];
    let few = trials.len() <= FEW;
    Some(if few {
        Figure::half("Trials", note, plots)
    } else {
        Figure::full("Trials", note, plots)
    })
}

/// Lost and unsent over intended.
pub(in super::super) fn loss_ratio(trial: &Trial) -> f64 {
    let frames = trial.frames;
    let missing = frames.lost.unsigned_abs() + frames.unsent;
    missing as f64 / frames.offered.max(frames.intended).max(1) as f64
}

fn in_order(trials: &[Trial]) -> Axis {
    Axis::new("trial, in order", Of::Count(""), Scale::Order(trials.len()))
}

fn loads(trials: &[Trial], answer: &Throughput) -> Plot {
    let (low, high) = window(trials, answer);
    let y = Axis::new("load", Of::Count("pps"), Scale::Linear { low, high });
    let mut plot = Plot::new(says(trials, answer), in_order(trials), y, 230.0).unlabelled();
    for (series, goal) in answer.goals.iter().enumerate() {
        bounds_of(&mut plot, series, goal, answer, (low, high));
    }
    for (name, rate) in line_rates(&answer.lines) {
        if plot.holds_y(rate.value) {
            plot.across(rate.value, line_label(name, rate), name);
        }
    }
    let numbered = trials.iter().enumerate();
    let marks = numbered.map(|(index, trial)| {
        let mark = mark(index, trial, &answer.goals);
        let shape = match mark.at.1 {
            load if load > high => Shape::Up,
            load if load < low => Shape::Down,
            _ => mark.shape,
        };
        let class = if shape == mark.shape { mark.class } else { format!("{} beyond", mark.class) };
        Mark { shape, class, ..mark }
    });
    plot.marks(marks.collect());
    plot
}

/// The loads around the answer: a search begins far from it, and would make it too small to see.
fn window(trials: &[Trial], answer: &Throughput) -> (f64, f64) {
    let loads = || trials.iter().map(|trial| trial.intended_rate.value);
    let (least, most) = (loads().fold(f64::MAX, f64::min), loads().fold(0.0, f64::max));
    let bounds = || answer.goals.iter().flat_map(|goal| [goal.lower, goal.upper]).flatten();
    let low = bounds().map(|load| load.value).fold(f64::MAX, f64::min) * 0.75;
    let high = bounds().map(|load| load.value).fold(0.0, f64::max) * 1.4;
    let (low, high) =
        if high > 0.0 { (low.max(least * 0.97), high.min(most * 1.03)) } else { (least, most) };
    if high > low { (low, high) } else { (low * 0.9, low.abs() * 1.1 + 1.0) }
}

/// The bounds of a goal as a band that narrows, and its answer at the right.
fn bounds_of(
    plot: &mut Plot,
    series: usize,
    goal: &GoalAnswer,
    answer: &Throughput,
    (low, high): (f64, f64),
) {
    let load = |bound: Option<Quantity>, none: f64| bound.map_or(none, |load| load.value);
    let own = answer.steps.iter().filter(|step| step.goal == goal.name);
    let mut band: Vec<(f64, f64, f64)> = own
        .map(|step| (f64::from(step.trial) + 1.0, load(step.lower, low), load(step.upper, high)))
        .collect();
    if let Some((_, lower, upper)) = band.last().copied() {
        band.push((f64::MAX, lower, upper));
    }
    plot.band(&band, &format!("c{series}"));
    if let Some(lower) = goal.lower {
        let class = format!("c{series} t{series}");
        if band.is_empty() {
            plot.across(lower.value, format!("{} {}", goal.name, shown(lower)), &class);
        } else {
            plot.end(lower.value, format!("{} {}", goal.name, shown(lower)), &class);
        }
    }
}

/// A trial's mark has the shape and colour of the strictest goal that it meets.
fn look(trial: &Trial, goals: &[GoalAnswer]) -> (Shape, String) {
    let met = goals.iter().position(|goal| loss_ratio(trial) <= goal.loss_ratio);
    let (shape, class) = match met {
        Some(series) => (Shape::of(series), format!("c{series}")),
        None => (Shape::Cross, "bad".to_owned()),
    };
    match trial.verdict.kind {
        // A bound of the harness fails the trial by its unsent frames, which are drawn as loss.
        VerdictKind::Contaminated => (shape, format!("{class} grey")),
        VerdictKind::Unaccounted => (Shape::Cross, "bad".to_owned()),
        _ => (shape, class),
    }
}

fn mark(index: usize, trial: &Trial, goals: &[GoalAnswer]) -> Mark {
    let (shape, class) = look(trial, goals);
    let at = (index as f64 + 1.0, trial.intended_rate.value);
    Mark::new(at, shape, &class, tells(index, trial))
}

fn tells(index: usize, trial: &Trial) -> String {
    let Trial { purpose, intended_rate, duration, verdict, .. } = trial;
    let (rate, duration) = (shown(*intended_rate), shown(*duration));
    let loss = percent(loss_ratio(trial));
    let why = if verdict.why.is_empty() { String::new() } else { format!(": {}", verdict.why) };
    let kind = verdict.kind;
    format!("Trial {}, {purpose}: {rate} for {duration}, {loss} lost; {kind}{why}", index + 1)
}

fn percent(ratio: f64) -> String {
    if ratio == 0.0 { "nothing".to_owned() } else { format!("{:.4} %", ratio * 100.0) }
}

fn losses(trials: &[Trial], goals: &[GoalAnswer]) -> Plot {
    let smallest = trials.iter().map(loss_ratio).filter(|ratio| *ratio > 0.0).fold(1e-2, f64::min);
    let least = 10_f64.powf(smallest.log10().floor()).clamp(1e-7, 1e-2);
    let y = Axis::new("lost and unsent", Of::Share, Scale::Loss { least });
    let disturbed = trials.iter().filter(|t| t.verdict.kind == VerdictKind::Contaminated).count();
    let says = format!("Loss of {} trials, {disturbed} of them contaminated.", trials.len());
    let mut plot = Plot::new(says, in_order(trials), y, 104.0).unlabelled();
    for (series, goal) in goals.iter().enumerate().filter(|(_, goal)| goal.loss_ratio > 0.0) {
        let text = format!("{} {} %", goal.name, goal.loss_ratio * 100.0);
        plot.across(goal.loss_ratio, text, &format!("c{series} t{series}"));
    }
    let numbered = trials.iter().enumerate();
    let marks = numbered.map(|(index, trial)| {
        let at = (index as f64 + 1.0, loss_ratio(trial));
        if goals.is_empty() {
            let class = format!("c0{}", trusted(trial.verdict.kind));
            return Mark::new(at, Shape::Circle, &class, tells(index, trial));
        }
        Mark { at, ..mark(index, trial, goals) }
    });
    plot.marks(marks.collect());
    plot
}

/// A row of fields, one a trial, in the colour of its verdict.
fn verdicts(trials: &[Trial]) -> Plot {
    let y = Axis::new("verdict", Of::Count(""), Scale::Names(vec![String::new()]));
    let mut plot = Plot::new("", in_order(trials), y, 18.0);
    for (index, trial) in trials.iter().enumerate() {
        let at = index as f64 + 1.0;
        let class = verdict_class(trial.verdict.kind);
        plot.bar((at - 0.44, at + 0.44), (-0.5, 0.5), class, tells(index, trial));
    }
    plot
}

fn says(trials: &[Trial], answer: &Throughput) -> String {
    let goals = answer.goals.iter().map(|goal| match (goal.lower, goal.upper) {
        (Some(lower), Some(upper)) => {
            format!("{} between {} and {}", goal.name, shown(lower), shown(upper))
        }
        (Some(lower), None) => format!("{} at least {}", goal.name, shown(lower)),
        (None, Some(upper)) => format!("{} under {}", goal.name, shown(upper)),
        (None, None) => format!("{} not found", goal.name),
    });
    let goals: Vec<String> = goals.collect();
    format!("Loads of {} trials in order; {}.", trials.len(), goals.join(", "))
}
