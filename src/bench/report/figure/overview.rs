//! How do the throughputs of all scenarios compare?

use maud::html;

use super::super::svg::{Anchor, Axis, Mark, Of, Plot, Scale, Shape};
use super::super::words::{shown, typeset};
use super::{Figure, judged, key};
use crate::bench::digest::digest;
use crate::bench::record::outcome::Throughput;
use crate::bench::record::{Outcome, Record};

/// A row for each search that found something; none when there are less than two.
pub(in super::super) fn overview(records: &[&Record]) -> Option<Figure> {
    let rows: Vec<(&Record, &Throughput)> = records
        .iter()
        .filter_map(|record| match &record.result {
            Outcome::Throughput(answer) => Some((*record, answer)),
            _ => None,
        })
        .filter(|(_, answer)| answer.goals.iter().any(|goal| goal.lower.is_some()))
        .collect();
    if rows.len() < 2 {
        return None;
    }
    let mut values = Vec::new();
    for (_, answer) in &rows {
        values.extend(answer.goals.iter().filter_map(|goal| goal.lower).map(|load| load.value));
        values.extend(answer.lines.medium.map(|rate| rate.value));
    }
    // Room for the label of the least.
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    values.push(least * 0.6);
    let scale = Scale::fitting(&values, 8.0);
    let x = Axis::new("load without more loss than the goal allows", Of::Count("pps"), scale);
    let names = rows
        .iter()
        .map(|(record, _)| format!("{}, {}", record.scenario.name, record.scenario.device));
    let y = Axis::new("", Of::Count(""), Scale::Names(names.collect()));
    let mut plot = Plot::new("Throughput of every scenario.", x, y, 30.0 * rows.len() as f64);
    for (index, (record, answer)) in rows.iter().enumerate() {
        row(&mut plot, index as f64, answer);
        label(&mut plot, index as f64, record);
    }
    let goals = rows.first().map(|(_, answer)| &answer.goals[..]).unwrap_or_default();
    let note = html! {
        @for (series, goal) in goals.iter().enumerate() { (key(series, &goal.name)) ", " }
        span.key { "┃" } " medium. Hollow: at least this. Grey: contaminated."
    };
    Some(Figure::full("All throughputs", note, vec![plot]))
}

fn row(plot: &mut Plot, row: f64, answer: &Throughput) {
    if let Some(medium) = answer.lines.medium {
        let title = format!("medium {}", shown(medium));
        plot.marks(vec![Mark::new((medium.value, row), Shape::Bar, "medium-mark", title)]);
    }
    let found = answer.goals.iter().enumerate().rev();
    let marks = found.filter_map(|(series, goal)| {
        let title = format!("{} {}", goal.name, shown(goal.lower?));
        Some(judged((goal.lower?.value, row), series, &answer.verdict, title))
    });
    plot.marks(marks.collect());
}

/// The figure beside the mark that stands furthest to the left.
fn label(plot: &mut Plot, row: f64, record: &Record) {
    let Outcome::Throughput(answer) = &record.result else { return };
    let found = answer.goals.iter().filter_map(|goal| goal.lower).map(|load| load.value);
    let text = typeset(&digest(record).figure);
    // To the left, where the medium's mark cannot be: it lies above what it carries.
    plot.text((found.fold(f64::MAX, f64::min), row), text, Anchor::End, "end");
}
