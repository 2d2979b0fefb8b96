//! How long do frames take, at which load, in which share of the cases?

use maud::html;

use super::super::svg::{Axis, Of, Plot, Scale};
use super::super::words::{ns, shown};
use super::{Figure, judged, key};
use crate::bench::record::Hiccup;
use crate::bench::record::outcome::{LatencyAnswer, LatencyPoint};
use crate::bench::record::trial::Latency;

/// Samples beyond a percentile that make it worth showing.
const ENOUGH: f64 = 20.0;

/// Percentiles up to the last one, on an axis where each nine takes the same room.
pub(in super::super) fn percentiles(answer: &LatencyAnswer, hiccup: Option<&Hiccup>) -> Figure {
    let all = || answer.points.iter().flat_map(|point| [&point.intended, &point.actual]);
    let most = all().map(|latency| latency.spread.samples).max().unwrap_or(0).max(100);
    let x = Scale::Nines { last: 1.0 - 1.0 / most as f64 };
    let x = Axis::new("share of frames that took no longer", Of::Share, x);
    let times = all().flat_map(|latency| latency.curve.iter().map(|(_, time)| *time));
    let y = Axis::new("from send to arrival", Of::Time, Scale::log(times));
    let mut plot = Plot::new(says(answer), x, y, 300.0);
    if let Some(hiccup) = hiccup {
        floor(&mut plot, hiccup);
    }
    for (series, point) in answer.points.iter().enumerate() {
        let class = format!("c{series}");
        curve(&mut plot, &point.actual, &format!("{class} dashed"));
        curve(&mut plot, &point.intended, &format!("{class} solid"));
        let spread = point.intended.spread;
        let load = format!("{:.0} %", point.share * 100.0);
        plot.end(
            ns(spread.max),
            format!("{load}, max {}", shown(spread.max)),
            &format!("t{series}"),
        );
        let ladder =
            [(0.5, spread.p50), (0.9, spread.p90), (0.99, spread.p99), (0.999, spread.p999)];
        let marks = ladder.map(|(share, time)| {
            let title = format!("{load} load: {}", shown(time));
            judged((share, ns(time)), series, &point.verdict, title)
        });
        plot.marks(marks.to_vec());
    }
    let note = html! {
        "Solid: from the time a frame was due. Dashed: from the time it left. Pale: fewer than 20 \
         frames lie beyond. Labels: load as a share of the throughput."
    };
    Figure::full("Latency by percentile", note, vec![plot])
}

/// What the machine adds by itself: nothing under it is the forwarder's.
fn floor(plot: &mut Plot, hiccup: &Hiccup) {
    let lines = [("p99.9", hiccup.p999), ("max", hiccup.max)];
    for (name, time) in lines {
        if plot.holds_y(ns(time)) {
            plot.across(ns(time), format!("hiccup {name} {}", shown(time)), "medium");
        }
    }
}

/// The part that rests on enough samples, the rest pale.
fn curve(plot: &mut Plot, latency: &Latency, class: &str) {
    let samples = latency.spread.samples as f64;
    let sure = latency.curve.partition_point(|(share, _)| samples * (1.0 - share) >= ENOUGH);
    // The largest has no share of its own below all: it stands where one frame lies beyond.
    let last = 1.0 - 1.0 / samples.max(2.0);
    let place = |(share, time): &(f64, f64)| (share.min(last), *time);
    plot.line(latency.curve[..sure].iter().map(place).collect(), class);
    let rest = latency.curve[sure.saturating_sub(1)..].iter().map(place);
    plot.line(rest.collect(), &format!("{class} pale"));
}

/// Percentiles over load.
pub(in super::super) fn over_load(answer: &LatencyAnswer) -> Figure {
    let rows = |point: &LatencyPoint| {
        let spread = point.intended.spread;
        [("p50", spread.p50), ("p99", spread.p99), ("p99.9", spread.p999)]
    };
    let times = answer.points.iter().flat_map(|point| rows(point).map(|(_, time)| ns(time)));
    let y = Axis::new("from due time to arrival", Of::Time, Scale::log(times));
    let loads = answer.points.iter().map(|point| point.rate.value);
    let x = Axis::new("load", Of::Count("pps"), Scale::from_zero(loads));
    let mut plot = Plot::new("Latency percentiles over load.", x, y, 230.0);
    for series in 0..3 {
        let at = |point: &LatencyPoint| (point.rate.value, ns(rows(point)[series].1));
        plot.line(answer.points.iter().map(at).collect(), &format!("c{series}"));
        let marks = answer.points.iter().map(|point| {
            let (name, time) = rows(point)[series];
            judged(at(point), series, &point.verdict, format!("{name} {}", shown(time)))
        });
        plot.marks(marks.collect());
        if let Some(last) = answer.points.last() {
            let (name, time) = rows(last)[series];
            plot.end(ns(time), name, &format!("t{series}"));
        }
    }
    let note = html! { (key(0, "p50")) ", " (key(1, "p99")) ", " (key(2, "p99.9")) };
    Figure::half("Latency over load", note, vec![plot])
}

fn says(answer: &LatencyAnswer) -> String {
    let parts: Vec<String> = answer
        .points
        .iter()
        .map(|point| {
            let spread = point.intended.spread;
            let share = point.share * 100.0;
            format!("at {share:.0} % p50 {}, p99 {}", shown(spread.p50), shown(spread.p99))
        })
        .collect();
    format!("Latency percentiles by load: {}.", parts.join("; "))
}
