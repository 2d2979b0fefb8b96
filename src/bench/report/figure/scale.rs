//! How does a figure change along an axis?

use maud::html;

use super::super::svg::{Axis, Of, Plot, Scale as Spread};
use super::super::words::shown;
use super::{Figure, judged, line_rates};
use crate::bench::record::Unit;
use crate::bench::record::outcome::{Scale, ScalePoint};

/// The figure along its axis, with its range and the line rates at each place.
pub(in super::super) fn scale(answer: &Scale) -> Figure {
    let lines = [("nominal", 0), ("circuit", 1), ("medium", 2)].map(|(name, _)| {
        let rate = |point: &ScalePoint| {
            let rates = line_rates(&point.lines?);
            rates.into_iter().find(|(other, _)| *other == name).map(|(_, rate)| rate.value)
        };
        let known = answer.points.iter().filter_map(|point| Some((point.at, rate(point)?)));
        (name, known.collect::<Vec<(f64, f64)>>())
    });
    let own =
        answer.points.iter().flat_map(|point| [point.range.0, point.range.1, point.value.value]);
    let mut values: Vec<f64> = own.collect();
    values.extend(lines.iter().flat_map(|(_, points)| points.iter().map(|(_, rate)| *rate)));
    let places: Vec<f64> = answer.points.iter().map(|point| point.at).collect();
    let x = Axis::new(&answer.axis, Of::Count(""), Spread::fitting(&places, 12.0));
    let labels = answer.points.iter().map(|point| (point.at, point.label.clone()));
    let x = x.with_ticks(labels.collect());
    let y = Axis::new(&answer.figure, unit(answer), Spread::fitting(&values, 12.0));
    let mut plot = Plot::new(says(answer), x, y, 250.0);
    for (name, points) in lines {
        if let Some((_, last)) = points.last() {
            plot.end(*last, name, name);
        }
        plot.line(points, name);
    }
    curve(&mut plot, answer);
    let note = html! { "Strokes: the range of the runs, or the bounds." };
    Figure::half(format!("{} along {}", capital(&answer.figure), answer.axis), note, vec![plot])
}

fn curve(plot: &mut Plot, answer: &Scale) {
    let at = |point: &ScalePoint| (point.at, point.value.value);
    plot.line(answer.points.iter().map(at).collect(), "c0");
    for point in &answer.points {
        plot.line(vec![(point.at, point.range.0), (point.at, point.range.1)], "c0 range");
    }
    let marks = answer.points.iter().map(|point| {
        let title = format!("{} {}: {}", point.label, answer.axis, shown(point.value));
        judged(at(point), 0, &point.verdict, title)
    });
    plot.marks(marks.collect());
    if let Some(last) = answer.points.last() {
        plot.end(last.value.value, shown(last.value), "t0");
    }
}

fn unit(answer: &Scale) -> Of {
    match answer.points.first().map(|point| point.value.unit) {
        Some(Unit::FramesPerSecond) => Of::Count("pps"),
        Some(Unit::BitsPerSecond) => Of::Count("bit/s"),
        Some(Unit::SessionsPerSecond) => Of::Count("sessions/s"),
        Some(Unit::UpdatesPerSecond) => Of::Count("updates/s"),
        Some(Unit::Ticks) => Of::Count("ticks"),
        Some(Unit::Bytes) => Of::Count("B"),
        Some(Unit::Nanoseconds) => Of::Time,
        Some(Unit::Seconds) => Of::Count("s"),
        Some(Unit::Ratio) => Of::Times,
        Some(Unit::Frames) | None => Of::Count(""),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn says(answer: &Scale) -> String {
    let part = |point: &ScalePoint| format!("{} at {}", shown(point.value), point.label);
    let parts: Vec<String> = answer.points.iter().map(part).collect();
    format!("{} along {}: {}.", capital(&answer.figure), answer.axis, parts.join(", "))
}
