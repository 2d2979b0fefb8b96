//! How many sessions are there room for, and what do they cost in throughput?

use maud::html;

use super::super::svg::{Anchor, Axis, Mark, Of, Plot, Scale, Shape};
use super::super::words::{count, shown};
use super::Figure;
use crate::bench::record::Quantity;
use crate::bench::record::outcome::Sessions;

/// Sessions found again over those opened, by table size.
pub(in super::super) fn capacity(answer: &Sessions) -> Option<Figure> {
    if answer.capacity.is_empty() {
        return None;
    }
    let share = |(opened, found): (u64, u64)| found as f64 / opened.max(1) as f64;
    let opened = answer.capacity.iter().map(|(opened, _)| *opened as f64);
    let x = Axis::new("sessions opened", Of::Count(""), Scale::log(opened));
    let least = answer.capacity.iter().map(|row| share(*row)).fold(1.0, f64::min);
    let y = Scale::Linear { low: (least - 0.02).clamp(0.0, 0.9), high: 1.01 };
    let y = Axis::new("found again from outside", Of::Share, y);
    let said = answer.capacity.iter().map(|(o, f)| format!("{} of {}", count(*f), count(*o)));
    let says = format!("Sessions found again: {}.", said.collect::<Vec<_>>().join(", "));
    let mut plot = Plot::new(says, x, y, 170.0);
    plot.line(answer.capacity.iter().map(|row| (row.0 as f64, share(*row))).collect(), "c0");
    let marks = answer.capacity.iter().map(|(opened, found)| {
        let (shape, class) =
            if opened == found { (Shape::Circle, "c0") } else { (Shape::Cross, "bad") };
        let title = format!("{} opened, {} found", count(*opened), count(*found));
        Mark::new((*opened as f64, share((*opened, *found))), shape, class, title)
    });
    plot.marks(marks.collect());
    let note = html! { span.key.bad-text { "✕" } " some were lost without a word." };
    Some(Figure::half("Table capacity", note, vec![plot]))
}

/// Sessions a second, and throughput with new and with open ones.
pub(in super::super) fn sessions(answer: &Sessions) -> Option<Figure> {
    let rates = [("opened", answer.establishment), ("ended", answer.tear_down)];
    let loads = [("all sessions new", answer.all_new), ("all sessions open", answer.all_open)];
    let plots: Vec<Plot> =
        [bars("sessions/s", &rates), bars("pps", &loads)].into_iter().flatten().collect();
    let note = html! { "Sessions a second, and throughput with new and with open ones." };
    (!plots.is_empty()).then(|| Figure::half("Rates", note, plots))
}

fn bars(unit: &'static str, rows: &[(&str, Option<Quantity>)]) -> Option<Plot> {
    let rows: Vec<(&str, Quantity)> =
        rows.iter().filter_map(|(name, rate)| Some((*name, (*rate)?))).collect();
    let most = rows.iter().map(|(_, rate)| rate.value).reduce(f64::max)?;
    let x = Axis::new("", Of::Count(unit), Scale::from_zero([most * 1.4]));
    let names = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let y = Axis::new("", Of::Count(""), Scale::Names(names));
    let said = rows.iter().map(|(name, rate)| format!("{name} {}", shown(*rate)));
    let says = format!("{}.", said.collect::<Vec<_>>().join(", "));
    let mut plot = Plot::new(says, x, y, 34.0 * rows.len() as f64);
    for (index, (name, rate)) in rows.iter().enumerate() {
        let row = index as f64;
        let title = format!("{name}: {}", shown(*rate));
        plot.bar((0.0, rate.value), (row - 0.26, row + 0.26), "fill c0", title);
        plot.text((rate.value, row), shown(*rate), Anchor::Start, "end");
    }
    Some(plot)
}
