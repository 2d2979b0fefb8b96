//! Which of two is faster, and how sure is that?

use maud::html;

use super::super::svg::{Axis, Mark, Of, Plot, Scale, Shape};
use super::Figure;
use crate::bench::record::outcome::Compare;

/// B over A for each pair, with the ratio, its interval and the difference that matters.
pub(in super::super) fn ratios(answer: &Compare) -> Figure {
    let ratios: Vec<f64> = answer.pairs.iter().map(|(a, b)| b / a).collect();
    let (low, high) = answer.interval;
    let fixed = [1.0 - answer.margin, 1.0 + answer.margin, low, high];
    let y = Scale::around(ratios.iter().copied().chain(fixed));
    let y = Axis::new(&format!("{} over {}", answer.b, answer.a), Of::Times, y);
    let end = answer.pairs.len() as f64 + 0.6;
    let says = format!(
        "{} over {}: ratio {:.3}, 95 % confidence interval {low:.3} to {high:.3}, {}.",
        answer.b, answer.a, answer.ratio, answer.decision
    );
    let mut plot = Plot::new(says, pair_axis(answer), y, 230.0);
    let (least, most) = (1.0 - answer.margin, 1.0 + answer.margin);
    plot.band(&[(0.4, least, most), (end, least, most)], "margin");
    plot.band(&[(0.4, low, high), (end, low, high)], "c0");
    plot.across(1.0, "same", "medium");
    plot.across(answer.ratio, format!("×{:.3}", answer.ratio), "c0 t0");
    let marks = ratios.iter().enumerate().map(|(index, ratio)| {
        let title = format!("pair {}: ×{ratio:.4}", index + 1);
        Mark::new((index as f64 + 1.0, *ratio), Shape::Circle, "c0", title)
    });
    plot.marks(marks.collect());
    let margin = answer.margin * 100.0;
    let note = html! {
        "Blue band: 95 % confidence interval of the median. Grey: differences under " (margin)
        " % do not matter."
    };
    Figure::half("Ratio of each pair", note, vec![plot])
}

/// Both figures of each pair, in the order measured: what drifts, drifts for both.
pub(in super::super) fn pairs(answer: &Compare) -> Figure {
    let all = answer.pairs.iter().flat_map(|(a, b)| [*a, *b]);
    let y = Axis::new(&answer.figure, Of::Count(""), Scale::around(all));
    let says = format!("{} of {} and of {} for each pair.", answer.figure, answer.a, answer.b);
    let mut plot = Plot::new(says, pair_axis(answer), y, 230.0);
    for (index, (a, b)) in answer.pairs.iter().enumerate() {
        let at = index as f64 + 1.0;
        plot.line(vec![(at, *a), (at, *b)], "faint");
    }
    let numbered =
        || answer.pairs.iter().enumerate().map(|(index, pair)| (index as f64 + 1.0, pair));
    let mark = |at, series: usize, value: f64, name: &str| {
        let title = format!("pair {at}: {name} {value:.4}");
        Mark::new((at, value), Shape::of(series), &format!("c{series}"), title)
    };
    plot.marks(numbered().map(|(at, (a, _))| mark(at, 1, *a, &answer.a)).collect());
    plot.marks(numbered().map(|(at, (_, b))| mark(at, 0, *b, &answer.b)).collect());
    if let Some((a, b)) = answer.pairs.last() {
        plot.end(*a, answer.a.clone(), "t1");
        plot.end(*b, answer.b.clone(), "t0");
    }
    let note = html! { "Each pair is measured within seconds, in the order ABBA." };
    Figure::half("Pairs in the order measured", note, vec![plot])
}

fn pair_axis(answer: &Compare) -> Axis {
    Axis::new("pair", Of::Count(""), Scale::Order(answer.pairs.len()))
}
