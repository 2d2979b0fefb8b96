//! What happened, and when? Failures, bursts, overload.

use maud::html;

use super::super::svg::{Axis, Mark, Of, Plot, Scale, Shape};
use super::super::words::{direction, ns, shown};
use super::{Figure, key};
use crate::bench::record::outcome::{Burst, Failover, FailoverRun, Recovery};

/// How long traffic stopped in each run, by the three methods and over the flows.
pub(in super::super) fn three_methods(answer: &Failover) -> Figure {
    let times = |run: &FailoverRun| {
        [run.by_loss, run.by_time, run.by_gap, run.by_flow[1], run.by_flow[3]].map(ns)
    };
    let all: Vec<f64> = answer.runs.iter().flat_map(times).collect();
    let x = Axis::new("outage", Of::Time, Scale::fitting(&all, 20.0));
    let said = answer.runs.iter().map(|run| format!("{} {}", run.event, shown(run.by_gap)));
    let says = format!("Outages by run: {}.", said.collect::<Vec<_>>().join(", "));
    let mut plot = Plot::new(says, x, run_axis(answer), 27.0 * answer.runs.len() as f64);
    for (index, run) in answer.runs.iter().enumerate() {
        let row = index as f64;
        let flows = (ns(run.by_flow[1]), ns(run.by_flow[3]));
        let title = format!(
            "longest gap of the flows: median {}, most {}",
            shown(run.by_flow[1]),
            shown(run.by_flow[3])
        );
        plot.bar(flows, (row - 0.3, row + 0.3), "fill pale-fill", title);
        let methods =
            [("lost frames", run.by_loss), ("arrivals", run.by_time), ("gap", run.by_gap)];
        let marks = methods.iter().enumerate().map(|(series, (name, time))| {
            // One above the other, so that three that agree can all be seen.
            let at = (ns(*time), row + [-0.24, 0.0, 0.24][series]);
            let title = format!("by {name}: {}. {}", shown(*time), run.agreement);
            Mark::new(at, Shape::of(series), &format!("c{series} small"), title)
        });
        plot.marks(marks.collect());
    }
    let note = html! {
        (key(0, "lost frames over rate")) ", " (key(1, "between arrivals")) ", "
        (key(2, "gap in sequence numbers")) ". Bar: flows, from the median to the longest."
    };
    Figure::half("Outage by three methods", note, vec![plot])
}

/// When frames were missing, counted from the event.
pub(in super::super) fn timeline(answer: &Failover) -> Option<Figure> {
    let ends =
        answer.runs.iter().flat_map(|run| &run.gaps).map(|gap| ns(gap.begin) + ns(gap.length));
    let last = ends.fold(0.0, f64::max);
    if last <= 0.0 {
        return None;
    }
    let begins = answer.runs.iter().flat_map(|run| &run.gaps).map(|gap| ns(gap.begin));
    let first = begins.fold(-last * 0.04, f64::min);
    let x = Axis::new("after the event", Of::Time, Scale::Linear { low: first, high: last * 1.04 });
    let says = "When frames were missing in each run, counted from the event.";
    let mut plot = Plot::new(says, x, run_axis(answer), 27.0 * answer.runs.len() as f64);
    plot.upright(0.0, "event", "medium");
    for (index, run) in answer.runs.iter().enumerate() {
        let row = index as f64;
        for gap in &run.gaps {
            let (begin, length) = (ns(gap.begin), ns(gap.length));
            let title = format!(
                "from {} after the event for {}: {} frames",
                shown(gap.begin),
                shown(gap.length),
                gap.frames
            );
            plot.bar((begin, begin + length), (row - 0.26, row + 0.26), "fill c1", title);
        }
    }
    let note = html! { "Bars: runs of more than three lost frames." };
    Some(Figure::half("Timeline", note, vec![plot]))
}

fn run_axis(answer: &Failover) -> Axis {
    let name = |(index, run): (usize, &FailoverRun)| {
        format!("{} {} {}", index + 1, run.event, direction(&run.direction))
    };
    let names = answer.runs.iter().enumerate().map(name).collect();
    Axis::new("", Of::Count(""), Scale::Names(names))
}

/// How many repeats had which longest burst.
pub(in super::super) fn burst(answer: &Burst) -> Figure {
    let frames: Vec<f64> = answer.bursts.iter().map(|frames| *frames as f64).collect();
    let x = Scale::around(frames.iter().copied().chain([answer.mean.value]));
    let bins = bins(&frames, &x);
    let most = bins.iter().map(|(_, count)| *count as f64).fold(1.0, f64::max);
    let x = Axis::new("frames of the longest burst without loss", Of::Count(""), x);
    let y = Axis::new("repeats", Of::Count(""), Scale::from_zero([most]));
    let says = format!("Longest bursts without loss, {} on average.", shown(answer.mean));
    let mut plot = Plot::new(says, x, y, 200.0);
    for ((from, to), count) in bins {
        let title = format!("{from:.0} to {to:.0} frames: {count} repeats");
        plot.bar((from, to), (0.0, count as f64), "fill c0 bin", title);
    }
    plot.upright(answer.mean.value, format!("mean {}", shown(answer.mean)), "medium");
    Figure::half("Longest bursts without loss", html! {}, vec![plot])
}

/// Equal parts between the ticks of an axis, and how many values lie in each.
fn bins(values: &[f64], scale: &Scale) -> Vec<((f64, f64), usize)> {
    let edges: Vec<f64> = scale.ticks(14).into_iter().map(|tick| tick.value).collect();
    let Some(step) = edges.windows(2).map(|two| two[1] - two[0]).next() else { return Vec::new() };
    let first = edges[0] - step;
    let parts = (0..edges.len() + 1).map(|index| first + step * index as f64);
    parts
        .map(|from| {
            let inside = values.iter().filter(|v| (from..from + step).contains(*v));
            ((from, from + step), inside.count())
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The load that dropped, the last loss after that, and when latency was as usual again.
pub(in super::super) fn recovery(answer: &Recovery) -> Figure {
    let last = ns(answer.to_last_loss).max(answer.to_usual_latency.map_or(0.0, ns)).max(1.0);
    let (low, high) = (-last * 0.3, last * 1.25);
    let x = Axis::new("after the load dropped", Of::Time, Scale::Linear { low, high });
    let loads = [answer.overload.value, answer.relief.value];
    let y = Axis::new("load", Of::Count("pps"), Scale::from_zero(loads));
    let says =
        format!("Recovery: the last loss came {} after the drop.", shown(answer.to_last_loss));
    let mut plot = Plot::new(says, x, y, 170.0);
    plot.steps(&[(low, loads[0]), (0.0, loads[1]), (high, loads[1])], "c0");
    plot.end(loads[1], shown(answer.relief), "t0");
    plot.bar((0.0, ns(answer.to_last_loss)), (0.0, loads[1]), "fill c1 bin", String::new());
    plot.upright(
        ns(answer.to_last_loss),
        format!("last loss {}", shown(answer.to_last_loss)),
        "c1 t1",
    );
    if let Some(time) = answer.to_usual_latency {
        plot.upright(ns(time), format!("usual latency {}", shown(time)), "medium");
    }
    Figure::half("After the overload", html! { "Filled: frames were still lost." }, vec![plot])
}
