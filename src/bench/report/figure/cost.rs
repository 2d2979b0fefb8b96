//! What does a packet cost, and what can the harness do by itself? Both as bars from zero.

use maud::html;

use super::super::svg::{Anchor, Axis, Mark, Of, Plot, Scale, Shape};
use super::super::words::shown;
use super::{Figure, line_label, line_rates};
use crate::bench::record::outcome::{Calibrated, Churn, Cost, LimitAnswer};
use crate::bench::record::{Calibration, Quantity};

/// Ticks a packet, hot and cold, with every run.
pub(in super::super) fn cost(answer: &Cost) -> Figure {
    let mut rows = vec![("hot", &answer.hot)];
    rows.extend(answer.cold.as_ref().map(|cold| ("cold", cold)));
    let runs = rows.iter().flat_map(|(_, spread)| spread.runs.iter().copied());
    let medians = rows.iter().map(|(_, spread)| spread.ticks.value);
    let x = Scale::from_zero(runs.chain(medians).map(|ticks| ticks * 1.16));
    let x = Axis::new("ticks a packet", Of::Count(""), x);
    let names = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let y = Axis::new("", Of::Count(""), Scale::Names(names));
    let said = rows.iter().map(|(name, spread)| format!("{name} {}", shown(spread.ticks)));
    let says = format!("Cost of a packet: {}.", said.collect::<Vec<_>>().join(", "));
    let mut plot = Plot::new(says, x, y, 62.0 * rows.len() as f64);
    for (index, (name, spread)) in rows.iter().enumerate() {
        let row = index as f64;
        let title = format!("{name}: median {}", shown(spread.ticks));
        let class = format!("fill c{index}");
        plot.bar((0.0, spread.ticks.value), (row - 0.22, row + 0.22), &class, title);
        let runs = spread.runs.iter().enumerate().map(|(number, ticks)| {
            let title = format!("run {}: {ticks:.1} ticks", number + 1);
            Mark::new((*ticks, row + 0.36), Shape::Bar, "run", title)
        });
        plot.marks(runs.collect());
        let most = spread.runs.iter().copied().fold(spread.ticks.value, f64::max);
        plot.text((most, row), shown(spread.ticks), Anchor::Start, "end");
    }
    let note = html! { "Bars: the median. Strokes: every run." };
    Figure::half("Cost of a packet", note, vec![plot])
}

/// What generator, sink and a forwarder that does nothing can do, before the line rates.
pub(in super::super) fn calibration(answer: &Calibrated, measured: &Calibration) -> Figure {
    let mut rows = vec![("generator", measured.sent), ("sink", measured.received)];
    rows.extend(measured.null_forwarder.map(|rate| ("null forwarder", rate)));
    let most = rows.iter().map(|(_, rate)| rate.value).fold(0.0, f64::max);
    let x = Axis::new("", Of::Count("pps"), Scale::from_zero([most * 1.25]));
    let names = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let y = Axis::new("", Of::Count(""), Scale::Names(names));
    let said = rows.iter().map(|(name, rate)| format!("{name} {}", shown(*rate)));
    let says = format!("Calibration: {}.", said.collect::<Vec<_>>().join(", "));
    let mut plot = Plot::new(says, x, y, 40.0 * rows.len() as f64);
    for (name, rate) in line_rates(&answer.lines) {
        plot.upright(rate.value, line_label(name, rate), name);
    }
    for (index, (name, rate)) in rows.iter().enumerate() {
        bar(&mut plot, index as f64, name, *rate);
    }
    Figure::half("Without a forwarder", html! {}, vec![plot])
}

/// A limit of the service, the load above it, and what got through.
pub(in super::super) fn limits(answer: &LimitAnswer) -> Figure {
    let rows = [("limit", answer.rate), ("offered", answer.offered), ("admitted", answer.admitted)];
    let most = rows.iter().map(|(_, rate)| rate.value).fold(0.0, f64::max);
    let x = Axis::new("", Of::Count("pps"), Scale::from_zero([most * 1.25]));
    let names = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let y = Axis::new("", Of::Count(""), Scale::Names(names));
    let said = rows.iter().map(|(name, rate)| format!("{name} {}", shown(*rate)));
    let says = format!("{}: {}.", answer.limit, said.collect::<Vec<_>>().join(", "));
    let mut plot = Plot::new(says, x, y, 120.0);
    for (index, (name, rate)) in rows.iter().enumerate() {
        bar(&mut plot, index as f64, name, *rate);
    }
    Figure::half("What is let through", html! {}, vec![plot])
}

/// Route changes a second of each run.
pub(in super::super) fn churn(answer: &Churn) -> Figure {
    let names: Vec<String> = (1..=answer.runs.len()).map(|run| format!("run {run}")).collect();
    let most = answer.runs.iter().map(|run| run.updates.value).fold(0.0, f64::max);
    let x = Axis::new("", Of::Count("updates/s"), Scale::from_zero([most * 1.6]));
    let y = Axis::new("", Of::Count(""), Scale::Names(names.clone()));
    let says = format!("Route changes at {}: {}.", shown(answer.load), shown(answer.updates));
    let mut plot = Plot::new(says, x, y, 40.0 * names.len().max(1) as f64);
    for (index, (name, run)) in names.iter().zip(&answer.runs).enumerate() {
        bar(&mut plot, index as f64, name, run.updates);
    }
    let note = html! { "Made by the tester's thread between bursts." };
    Figure::half("Route changes a second", note, vec![plot])
}

fn bar(plot: &mut Plot, row: f64, name: &str, rate: Quantity) {
    let title = format!("{name}: {}", shown(rate));
    plot.bar((0.0, rate.value), (row - 0.26, row + 0.26), "fill c0", title);
    plot.text((rate.value, row), shown(rate), Anchor::Start, "end");
}
