//! How much is lost at which load?

use maud::html;

use super::super::svg::{Axis, Of, Plot, Scale};
use super::super::words::shown;
use super::{Figure, judged, line_label, line_rates, reach};
use crate::bench::record::outcome::{LossCurve, LossPoint};

/// Loss over load, with the three line rates.
pub(in super::super) fn loss(curve: &LossCurve) -> Figure {
    let points = by_load(curve);
    let y = Scale::from_zero(points.iter().map(|point| point.loss_ratio).chain([0.001]));
    let y = Axis::new("lost and unsent", Of::Share, y);
    let mut plot = Plot::new(says(&points), load_axis(curve, true), y, 230.0);
    for (name, rate) in line_rates(&curve.lines) {
        plot.upright(rate.value, line_label(name, rate), name);
    }
    let at = |point: &LossPoint| (point.rate.value, point.loss_ratio);
    plot.line(points.iter().map(|point| at(point)).collect(), "c0");
    let marks = points.iter().map(|point| judged(at(point), 0, &point.verdict, tells(point)));
    plot.marks(marks.collect());
    let note = html! { "Upright: the line rates." };
    Figure::half("Loss over load", note, vec![plot])
}

/// What got through over what was asked for.
pub(in super::super) fn forwarded(curve: &LossCurve) -> Figure {
    let points = by_load(curve);
    let most = points.iter().map(|point| point.forwarded.value).fold(0.0, f64::max);
    let lines = line_rates(&curve.lines).into_iter().map(|(_, rate)| rate.value);
    let near = lines.filter(|rate| *rate <= most * 1.4);
    let y = Axis::new("forwarded", Of::Count("pps"), Scale::from_zero(near.chain([most])));
    let mut plot = Plot::new("Forwarded frames over load.", load_axis(curve, false), y, 230.0);
    let end = most.min(points.last().map_or(most, |point| point.rate.value));
    plot.line(vec![(0.0, 0.0), (end, end)], "faint");
    for (name, rate) in line_rates(&curve.lines) {
        plot.across(rate.value, line_label(name, rate), name);
    }
    let at = |point: &LossPoint| (point.rate.value, point.forwarded.value);
    plot.line(points.iter().map(|point| at(point)).collect(), "c0");
    let marks = points.iter().map(|point| judged(at(point), 0, &point.verdict, tells(point)));
    plot.marks(marks.collect());
    let note = html! { "Grey diagonal: nothing lost." };
    Figure::half("Forwarded over load", note, vec![plot])
}

fn by_load(curve: &LossCurve) -> Vec<&LossPoint> {
    let mut points: Vec<&LossPoint> = curve.points.iter().collect();
    points.sort_by(|a, b| a.rate.value.total_cmp(&b.rate.value));
    points
}

/// From no load to the largest, and to the line rates near it where these are drawn upright.
fn load_axis(curve: &LossCurve, lines: bool) -> Axis {
    let loads = || curve.points.iter().map(|point| point.rate.value);
    let most = if lines { reach(loads(), &curve.lines) } else { loads().fold(0.0, f64::max) };
    Axis::new("load", Of::Count("pps"), Scale::from_zero([most]))
}

fn tells(point: &LossPoint) -> String {
    let LossPoint { rate, forwarded, loss_ratio, .. } = point;
    let loss = loss_ratio * 100.0;
    format!("{} asked for, {} forwarded, {loss:.3} % lost", shown(*rate), shown(*forwarded))
}

fn says(points: &[&LossPoint]) -> String {
    let parts: Vec<String> = points
        .iter()
        .map(|point| format!("{:.2} % at {}", point.loss_ratio * 100.0, shown(point.rate)))
        .collect();
    format!("Loss over load: {}.", parts.join(", "))
}
