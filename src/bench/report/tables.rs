//! Which numbers stand beside the pictures?

use maud::{Markup, html};

use super::words::{count, percent, shown, typeset, verdict_class};
use crate::bench::digest::between;
use crate::bench::record::outcome::{
    Burst, Churn, Compare, Cost, Failover, GoalAnswer, LatencyAnswer, LimitAnswer, LossCurve,
    Recovery, Scale, ScalePoint, Sessions, Throughput,
};
use crate::bench::record::trial::Spread;
use crate::bench::record::{LineRates, Outcome, Quantity, Record, Unit, Verdict, VerdictKind};

pub(super) fn tables(record: &Record) -> Markup {
    match &record.result {
        Outcome::Throughput(answer) => throughput(answer),
        Outcome::Calibration(answer) => half("Line rates", &lines(&answer.lines, None)),
        Outcome::Cost(answer) => cost(answer, record.environment.tsc_hz),
        Outcome::Latency(answer) => latency(answer),
        Outcome::Loss(answer) => loss(answer),
        Outcome::Limits(answer) => limits(answer),
        Outcome::Burst(answer) => burst(answer),
        Outcome::Failover(answer) => failover(answer),
        Outcome::Sessions(answer) => sessions(answer),
        Outcome::Churn(answer) => churn(answer),
        Outcome::Scale(answer) => scale(answer),
        Outcome::Compare(answer) => compare(answer),
        Outcome::Recovery(answer) => recovery(answer),
    }
}

/// A table beside a picture.
fn half(title: &str, table: &Markup) -> Markup {
    html! { div.half.table { p.caption { strong { (title) } } (table) } }
}

fn full(title: &str, table: &Markup) -> Markup {
    html! { div.full.table { p.caption { strong { (title) } } (table) } }
}

/// Rows of cells under a head; every column but the first stands at the right.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> Markup {
    html! {
        table.data {
            @if head.iter().any(|cell| !cell.is_empty()) {
                thead { tr { @for cell in head { th scope="col" { (cell) } } } }
            }
            tbody {
                @for row in rows {
                    tr {
                        @for (index, cell) in row.iter().enumerate() {
                            @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn maybe(quantity: Option<Quantity>) -> String {
    quantity.map_or_else(|| "–".to_owned(), shown)
}

fn word(verdict: &Verdict) -> String {
    verdict.kind.to_string()
}

fn throughput(answer: &Throughput) -> Markup {
    let rows = answer.goals.iter().map(|goal| {
        vec![
            goal.name.clone(),
            maybe(goal.lower),
            maybe(goal.upper),
            maybe(goal.conditional),
            goal.stopped.clone(),
        ]
    });
    let head = ["goal", "meets it", "does not", "forwards", "search"];
    let bounds = table(&head, rows.collect());
    let allows = answer.goals.iter().map(|goal: &GoalAnswer| {
        let loss = percent_exactly(goal.loss_ratio);
        let time = percent_exactly(goal.exceed_ratio);
        format!("{} allows {loss} of loss, exceeded in {time} of the time.", goal.name)
    });
    let mut said: Vec<String> = allows.collect();
    if let Some(ratio) = answer.ndr_to_pdr {
        let noisy = if ratio.value < 0.9 { ": the machine is noisy" } else { "" };
        said.push(format!("NDR over PDR is {ratio}{noisy}."));
    }
    if let Some(rate) = answer.at_max_load {
        said.push(format!("At the largest load {rate} get through."));
    }
    said.push(format!("Search: {}.", answer.preset));
    let figure = answer.goals.first().and_then(|goal| goal.lower);
    let figure = figure.filter(|_| answer.verdict.kind != VerdictKind::Unaccounted);
    html! {
        div.half.table {
            p.caption { strong { "Bounds" } }
            (bounds)
            p.fine { (typeset(&said.join(" "))) }
        }
        (half("Line rates", &lines(&answer.lines, figure.map(|f| (f, answer.verdict.kind)))))
    }
}

fn percent_exactly(share: f64) -> String {
    super::svg::percent(share)
}

/// The three line rates, and the figure's share of each where it may be told.
fn lines(lines: &LineRates, figure: Option<(Quantity, VerdictKind)>) -> Markup {
    let all = [
        ("nominal", lines.nominal, "by arithmetic from the link's speed"),
        ("circuit", lines.circuit, "what the policer lets through"),
        ("medium", lines.medium, "measured without a forwarder"),
    ];
    html! {
        table.data {
            thead {
                tr {
                    th { "line rate" }
                    th { "rate" }
                    @if figure.is_some() { th { "figure" } }
                    th.text { "from" }
                }
            }
            tbody {
                @for (name, rate, from) in all {
                    @if let Some(rate) = rate {
                        @let told = figure
                            .filter(|(_, kind)| name != "nominal" || *kind == VerdictKind::Ok)
                            .filter(|(figure, _)| figure.unit == rate.unit && rate.value > 0.0);
                        tr {
                            th scope="row" { (name) }
                            td { (shown(rate)) }
                            @if figure.is_some() {
                                td { (told.map(|(f, _)| percent(f.value / rate.value)).unwrap_or_default()) }
                            }
                            td.text { (from) }
                        }
                    }
                }
            }
        }
    }
}

fn cost(answer: &Cost, tsc_hz: u64) -> Markup {
    let mut rows = vec![("hot", &answer.hot)];
    rows.extend(answer.cold.as_ref().map(|cold| ("cold", cold)));
    let rows = rows.into_iter().map(|(name, spread)| {
        let least = spread.runs.iter().copied().fold(f64::MAX, f64::min);
        let most = spread.runs.iter().copied().fold(0.0, f64::max);
        let time = spread.ticks.value / tsc_hz.max(1) as f64 * 1e9;
        vec![
            name.to_owned(),
            shown(spread.ticks),
            if spread.runs.is_empty() { String::new() } else { format!("{least:.1} to {most:.1}") },
            format!("{time:.1}\u{a0}ns"),
            shown(spread.rate),
        ]
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    rows.extend(answer.abreast.as_ref().map(|abreast| {
        let least = abreast.ratios.iter().copied().fold(f64::MAX, f64::min);
        let most = abreast.ratios.iter().copied().fold(0.0, f64::max);
        vec![
            format!("{} workers", abreast.workers),
            format!("×{:.3}", abreast.ratio),
            format!("×{least:.3} to ×{most:.3}"),
            String::new(),
            shown(abreast.rate),
        ]
    }));
    let head = ["frames", "median", "range", "time", "rate"];
    half("A packet", &table(&head, rows))
}

/// A percentile is a number only where enough frames lie beyond it.
fn percentile(spread: &Spread, share: f64, time: Quantity) -> String {
    if spread.samples as f64 * (1.0 - share) < 20.0 { "–".to_owned() } else { shown(time) }
}

fn latency(answer: &LatencyAnswer) -> Markup {
    let cells = |spread: &Spread| {
        let all = [(0.5, spread.p50), (0.9, spread.p90), (0.99, spread.p99), (0.999, spread.p999)];
        let mut cells: Vec<String> =
            all.iter().map(|(share, time)| percentile(spread, *share, *time)).collect();
        cells.push(shown(spread.max));
        cells
    };
    let content = html! {
        table.data {
            thead {
                tr {
                    @for cell in ["load", "", "p50", "p90", "p99", "p99.9", "max"] {
                        th scope="col" { (cell) }
                    }
                }
            }
            @for point in &answer.points {
                tbody {
                    tr {
                        th rowspan="2" scope="rowgroup" {
                            (format!("{:.0}\u{a0}%", point.share * 100.0))
                            span.under { (shown(point.rate)) }
                            @if point.verdict.kind != VerdictKind::Ok {
                                span class=(format!("under word {}", verdict_class(point.verdict.kind))) {
                                    (point.verdict.kind)
                                }
                            }
                        }
                        td.text { "due" }
                        @for cell in cells(&point.intended.spread) { td { (cell) } }
                    }
                    tr.second {
                        td.text { "left" }
                        @for cell in cells(&point.actual.spread) { td { (cell) } }
                    }
                }
            }
        }
    };
    half("From due time, and from the time the frame left", &content)
}

fn loss(curve: &LossCurve) -> Markup {
    let rows = curve.points.iter().map(|point| {
        vec![
            percent(point.share),
            shown(point.rate),
            shown(point.forwarded),
            lost(point.loss_ratio),
            word(&point.verdict),
        ]
    });
    let head = ["of the most", "load", "forwarded", "lost", "verdict"];
    let figures = table(&head, rows.collect());
    html! { (half("Loads", &figures)) (half("Line rates", &lines(&curve.lines, None))) }
}

/// A loss ratio with as many digits as it is small.
fn lost(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent {
        0.0 => "0\u{a0}%".to_owned(),
        p if p >= 10.0 => format!("{p:.1}\u{a0}%"),
        p if p >= 0.1 => format!("{p:.2}\u{a0}%"),
        p => format!("{p:.5}\u{a0}%"),
    }
}

fn recovery(answer: &Recovery) -> Markup {
    let rows = [
        ("overload", shown(answer.overload)),
        ("load afterwards", shown(answer.relief)),
        ("to the last loss", shown(answer.to_last_loss)),
        ("to within 10 % of the usual latency", maybe(answer.to_usual_latency)),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    half("In figures", &table(&["", ""], rows.to_vec()))
}

fn limits(answer: &LimitAnswer) -> Markup {
    let mut rows = vec![
        vec![typeset(&answer.limit), shown(answer.rate)],
        vec!["offered".to_owned(), shown(answer.offered)],
        vec!["admitted".to_owned(), shown(answer.admitted)],
        vec!["beside the limit".to_owned(), format!("{:+.3}\u{a0}%", answer.error * 100.0)],
        vec!["bucket".to_owned(), shown(answer.bucket)],
    ];
    let drops = answer.drops.iter().filter(|(_, frames)| **frames > 0);
    rows.extend(drops.map(|(reason, frames)| vec![format!("dropped, {reason}"), count(*frames)]));
    half("In figures", &table(&["", ""], rows))
}

fn churn(answer: &Churn) -> Markup {
    let rows = answer.runs.iter().enumerate().map(|(index, run)| {
        let pair = |(with, without)| format!("{}, {}", count(with), count(without));
        vec![
            format!("{}", index + 1),
            shown(run.updates),
            pair(run.lost),
            pair(run.unsent),
            format!("{} of {}", count(run.differing), count(run.compared)),
        ]
    });
    let head = ["run", "changes", "lost with, without", "unsent with, without", "look-ups wrong"];
    half(&format!("At {}", shown(answer.load)), &table(&head, rows.collect()))
}

fn burst(answer: &Burst) -> Markup {
    let rows = [
        ("repeats", count(answer.bursts.len() as u64)),
        ("mean burst", shown(answer.mean)),
        ("rate within a burst", shown(answer.burst_rate)),
        ("throughput", shown(answer.throughput)),
        ("buffer, mean over rate", shown(answer.implied_buffer)),
        ("buffer, corrected (RFC 9004)", shown(answer.corrected_buffer)),
        ("loss could be caused", if answer.limit_reached { "yes" } else { "no" }.to_owned()),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    half("Buffer", &table(&["", ""], rows.to_vec()))
}

fn failover(answer: &Failover) -> Markup {
    let rows = answer.runs.iter().enumerate().map(|(index, run)| {
        let sessions = run.sessions;
        vec![
            format!("{} {}", index + 1, run.event),
            shown(run.by_loss),
            shown(run.by_time),
            shown(run.by_gap),
            count(run.duplicates),
            count(run.reordered),
            sessions.map_or_else(String::new, |(all, left)| {
                format!("{} of {}", count(left), count(all))
            }),
            typeset(&run.agreement),
        ]
    });
    let head =
        ["run", "by loss", "by arrival", "by gap", "twice", "late", "sessions left", "the methods"];
    let content = html! {
        div.last-text { (table(&head, rows.collect())) }
        @if !answer.expected.is_empty() {
            p.fine { "Expected: " (typeset(&answer.expected.join(" "))) }
        }
    };
    full("Runs", &content)
}

fn sessions(answer: &Sessions) -> Markup {
    let rows = answer.capacity.iter().map(|(opened, found)| {
        let share = *found as f64 / (*opened).max(1) as f64;
        vec![count(*opened), count(*found), percent_exactly((share * 1e4).round() / 1e4)]
    });
    half("Table sizes", &table(&["opened", "found again", "share"], rows.collect()))
}

fn scale(answer: &Scale) -> Markup {
    let medium = |point: &ScalePoint| point.lines.and_then(|lines| lines.medium);
    let known = answer.points.iter().any(|point| medium(point).is_some());
    let rows = answer.points.iter().map(|point| {
        let of = |value| Quantity { value, unit: point.value.unit };
        let (low, high) = point.range;
        let mut row =
            vec![point.label.clone(), shown(point.value), typeset(&between(of(low), of(high)))];
        row.extend(known.then(|| maybe(medium(point))));
        row.push(word(&point.verdict));
        row
    });
    let mut head = vec![&*answer.axis, &*answer.figure, "range"];
    head.extend(known.then_some("medium"));
    head.push("verdict");
    half("Points", &table(&head, rows.collect()))
}

fn compare(answer: &Compare) -> Markup {
    let (low, high) = answer.interval;
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let unit = match &answer.difference {
        Some((difference, _)) => difference.unit,
        None if answer.figure.contains("ticks") => Unit::Ticks,
        None => Unit::FramesPerSecond,
    };
    let quantity = |value| Quantity { value, unit };
    let a = median(&mut answer.pairs.iter().map(|(a, _)| *a).collect());
    let b = median(&mut answer.pairs.iter().map(|(_, b)| *b).collect());
    let chance = if answer.p_value < 0.001 {
        "under 0.001".to_owned()
    } else {
        format!("{:.3}", answer.p_value)
    };
    let difference = answer.difference.as_ref().map(|(median, (low, high))| {
        let of = |value| Quantity { value, unit: median.unit };
        let interval = typeset(&between(of(*low), of(*high)));
        ("difference, median of pairs".to_owned(), format!("{}, {interval}", shown(*median)))
    });
    let rows = [
        (answer.a.clone(), format!("median {}", shown(quantity(a)))),
        (answer.b.clone(), format!("median {}", shown(quantity(b)))),
        ("ratio, median of pairs".to_owned(), format!("×{:.3}", answer.ratio)),
        ("95 % confidence interval".to_owned(), format!("{low:.3} to {high:.3}")),
        ("Wilcoxon signed-rank p".to_owned(), chance),
        ("difference that matters".to_owned(), percent_exactly(answer.margin)),
        ("pairs".to_owned(), answer.pairs.len().to_string()),
        ("decision".to_owned(), answer.decision.clone()),
    ];
    let rows = rows.into_iter().chain(difference).map(|(name, value)| vec![name, value]);
    half("In figures", &table(&["", ""], rows.collect()))
}
