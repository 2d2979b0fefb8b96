//! Which picture shows which answer? One file a kind of picture; each turns a part of a record
//! into a [`Figure`].

mod compare;
mod cost;
mod events;
mod latency;
mod loss;
mod overview;
mod scale;
mod sessions;
mod trials;

use maud::{Markup, html};

use super::svg::{Mark, Plot, Shape, draw};
use super::words::shown;
use crate::bench::record::{LineRates, Quantity, Verdict, VerdictKind};

pub(super) use compare::{pairs, ratios};
pub(super) use cost::{calibration, churn, cost, limits};
pub(super) use events::{burst, recovery, three_methods, timeline};
pub(super) use latency::{over_load, percentiles};
pub(super) use loss::{forwarded, loss};
pub(super) use overview::overview;
pub(super) use scale::scale;
pub(super) use sessions::{capacity, sessions};
pub(super) use trials::{ladder, strip};

/// Widths that pictures are drawn for: across the page, half of it, a sheet of paper, a phone.
const FULL: f64 = 1132.0;
const HALF: f64 = 554.0;
const PAPER: f64 = 704.0;
const PHONE: f64 = 380.0;

/// A picture with what has to be said about it.
pub(super) struct Figure {
    title: String,
    /// How to read it.
    note: Markup,
    full: bool,
    plots: Vec<Plot>,
}

impl Figure {
    fn half(title: impl Into<String>, note: Markup, plots: Vec<Plot>) -> Self {
        Self { title: title.into(), note, full: false, plots }
    }

    fn full(title: impl Into<String>, note: Markup, plots: Vec<Plot>) -> Self {
        Self { full: true, ..Self::half(title, note, plots) }
    }

    /// The picture once for each width that it may be shown at: text keeps its size. The style
    /// sheet shows one of them. On phones and paper nothing can be pointed at, and what marks would
    /// tell is half of a picture's size.
    pub(super) fn render(&self) -> Markup {
        let drawn = |class: &'static str, width| html! { div class=(class) { (draw(&self.plots, width, class == "wide")) } };
        html! {
            figure class=(if self.full { "full" } else { "half" }) {
                figcaption { strong { (self.title) } " " span.note { (self.note) } }
                @if self.full {
                    (drawn("wide", FULL))
                    (drawn("middle", PAPER))
                } @else {
                    (drawn("wide", HALF))
                }
                (drawn("narrow", PHONE))
            }
        }
    }
}

/// How a mark looks whose figure has this verdict: what disturbed is grey, what is only a lower
/// bound is hollow.
fn trusted(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Ok => "",
        VerdictKind::Contaminated => " grey",
        VerdictKind::Unaccounted => " bad",
        _ => " hollow",
    }
}

/// A mark of a series at a value that has a verdict.
fn judged(at: (f64, f64), series: usize, verdict: &Verdict, title: String) -> Mark {
    let shape =
        if verdict.kind == VerdictKind::Unaccounted { Shape::Cross } else { Shape::of(series) };
    let title = match verdict.kind {
        VerdictKind::Ok => title,
        kind => format!("{title}; {kind}: {}", verdict.why),
    };
    Mark::new(at, shape, &format!("c{series}{}", trusted(verdict.kind)), title)
}

/// The line rates that are known, with their names and classes.
fn line_rates(lines: &LineRates) -> Vec<(&'static str, Quantity)> {
    let all = [("nominal", lines.nominal), ("circuit", lines.circuit), ("medium", lines.medium)];
    all.into_iter().filter_map(|(name, rate)| Some((name, rate?))).collect()
}

/// `medium 1.62 Mpps`.
fn line_label(name: &str, rate: Quantity) -> String {
    format!("{name} {}", shown(rate))
}

/// The largest of `values`, and of those line rates that do not dwarf them.
fn reach(values: impl Iterator<Item = f64>, lines: &LineRates) -> f64 {
    let most = values.fold(0.0, f64::max);
    let near = line_rates(lines).into_iter().map(|(_, rate)| rate.value);
    near.filter(|rate| *rate <= most * 1.7).fold(most, f64::max)
}

/// A key: the mark of a series and what it stands for.
fn key(series: usize, text: &str) -> Markup {
    let glyph = ["●", "■", "▲", "◆"][series % 4];
    html! { span class=(format!("key t{series}")) { (glyph) } " " (text) }
}
