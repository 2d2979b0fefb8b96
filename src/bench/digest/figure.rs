//! Which of a record's many numbers is the one to show first?

use super::between;
use crate::bench::record::outcome::{
    Burst, Churn, Compare, Cost, CostSpread, Failover, FailoverRun, GoalAnswer, LatencyAnswer,
    LimitAnswer, LossCurve, Outcome, Recovery, Scale, Sessions, Throughput,
};
use crate::bench::record::{LineRates, Quantity, Record, Unit, VerdictKind};

/// What to show, and the rate that line rates are held against.
#[derive(Default)]
pub(super) struct Figure {
    pub(super) text: String,
    pub(super) of: String,
    pub(super) beside: String,
    pub(super) range: String,
    pub(super) rate: Option<Quantity>,
    pub(super) lines: Option<LineRates>,
}

pub(super) fn figure(record: &Record, kind: VerdictKind) -> Figure {
    let figure = match &record.result {
        Outcome::Calibration(answer) => calibration(record, answer.lines),
        Outcome::Cost(answer) => cost(answer),
        Outcome::Throughput(answer) => throughput(answer, kind),
        Outcome::Latency(answer) => latency(answer),
        Outcome::Loss(answer) => loss(answer, kind),
        Outcome::Limits(answer) => limits(answer),
        Outcome::Burst(answer) => burst(answer),
        Outcome::Recovery(answer) => recovery(answer),
        Outcome::Failover(answer) => failover(answer),
        Outcome::Sessions(answer) => sessions(answer),
        Outcome::Churn(answer) => churn(answer),
        Outcome::Scale(answer) => scale(answer),
        Outcome::Compare(answer) => compare(answer),
    };
    if kind == VerdictKind::Unaccounted {
        return Figure { text: "invalid".to_owned(), ..Figure::default() };
    }
    figure
}

fn none() -> String {
    "none".to_owned()
}

/// A rate that something else than the forwarder limited is a lower bound.
fn bounded(rate: Quantity, kind: VerdictKind) -> String {
    let at_least = matches!(
        kind,
        VerdictKind::GeneratorBound
            | VerdictKind::SinkBound
            | VerdictKind::MediumBound
            | VerdictKind::AtMaxLoad
    );
    if at_least { format!("≥ {rate}") } else { rate.to_string() }
}

fn calibration(record: &Record, lines: LineRates) -> Figure {
    let Some(calibration) = &record.calibration else {
        return Figure { text: none(), lines: Some(lines), ..Figure::default() };
    };
    let null = calibration.null_forwarder.map(|rate| format!("null forwarder {rate}"));
    Figure {
        text: calibration.sent.to_string(),
        of: "sent".to_owned(),
        beside: null.unwrap_or_default(),
        range: format!("{} received", calibration.received),
        ..Figure::default()
    }
}

fn cost(answer: &Cost) -> Figure {
    if let Some(abreast) = &answer.abreast {
        let least = abreast.ratios.iter().copied().reduce(f64::min);
        let most = abreast.ratios.iter().copied().reduce(f64::max);
        let range = least.zip(most);
        return Figure {
            text: format!("×{:.3}", abreast.ratio),
            of: format!("of {} workers", abreast.workers),
            beside: format!("{}, one {}", abreast.rate, answer.hot.rate),
            range: range.map_or_else(String::new, |(low, high)| format!("{low:.3} to {high:.3}")),
            ..Figure::default()
        };
    }
    let beside = match &answer.cold {
        Some(cold) => format!("cold {}, {}", cold.ticks, cold.rate),
        None => answer.hot.rate.to_string(),
    };
    Figure {
        text: answer.hot.ticks.to_string(),
        of: "hot".to_owned(),
        beside,
        range: spread(&answer.hot),
        ..Figure::default()
    }
}

fn spread(cost: &CostSpread) -> String {
    let least = cost.runs.iter().copied().reduce(f64::min);
    let most = cost.runs.iter().copied().reduce(f64::max);
    let ticks = |value| Quantity { value, unit: cost.ticks.unit };
    least.zip(most).map_or_else(String::new, |(l, m)| between(ticks(l), ticks(m)))
}

fn throughput(answer: &Throughput, kind: VerdictKind) -> Figure {
    let Some(goal) = answer.goals.first() else {
        return Figure { text: none(), ..Figure::default() };
    };
    let others = answer.goals.iter().skip(1);
    let beside = others.map(|goal| format!("{} {}", goal.name, load(goal, kind)));
    Figure {
        text: load(goal, kind),
        of: goal.name.clone(),
        beside: beside.collect::<Vec<_>>().join(", "),
        range: bounds(goal),
        rate: goal.lower,
        lines: Some(answer.lines),
    }
}

fn load(goal: &GoalAnswer, kind: VerdictKind) -> String {
    match (goal.lower, goal.upper) {
        (Some(lower), _) => bounded(lower, kind),
        (None, Some(upper)) => format!("< {upper}"),
        (None, None) => none(),
    }
}

fn bounds(goal: &GoalAnswer) -> String {
    match (goal.lower, goal.upper) {
        (Some(lower), Some(upper)) => between(lower, upper),
        (Some(_), None) => "no upper bound".to_owned(),
        (None, Some(_)) => "no lower bound".to_owned(),
        (None, None) => String::new(),
    }
}

/// Half load is where a forwarder in use is: the point that lies nearest to it.
fn latency(answer: &LatencyAnswer) -> Figure {
    let distance = |share: f64| (share - 0.5).abs();
    let nearest =
        answer.points.iter().min_by(|a, b| distance(a.share).total_cmp(&distance(b.share)));
    let Some(point) = nearest else {
        return Figure { text: none(), ..Figure::default() };
    };
    let spread = &point.intended.spread;
    let last = answer.points.last().filter(|last| last.share > point.share);
    let beside =
        last.map(|last| format!("at {:.0} %: {}", last.share * 100.0, last.intended.spread.p99));
    Figure {
        text: spread.p99.to_string(),
        of: format!("p99 at {:.0} %", point.share * 100.0),
        beside: beside.unwrap_or_default(),
        range: format!("p50 {}, p99.9 {}", spread.p50, spread.p999),
        ..Figure::default()
    }
}

/// The largest load below which nothing was lost.
fn loss(answer: &LossCurve, kind: VerdictKind) -> Figure {
    let mut points: Vec<_> = answer.points.iter().collect();
    points.sort_by(|a, b| a.rate.value.total_cmp(&b.rate.value));
    let clean = points.iter().take_while(|point| point.loss_ratio <= 0.0).last();
    let lossy = points.iter().find(|point| point.loss_ratio > 0.0);
    let most = points.last();
    Figure {
        text: clean.map_or_else(none, |point| bounded(point.rate, kind)),
        of: "without loss".to_owned(),
        beside: most.map_or_else(String::new, |most| {
            format!("{:.1} % lost at {}", most.loss_ratio * 100.0, most.rate)
        }),
        range: lossy.map_or_else(String::new, |point| format!("loss from {}", point.rate)),
        rate: clean.map(|point| point.rate),
        lines: Some(answer.lines),
    }
}

fn limits(answer: &LimitAnswer) -> Figure {
    Figure {
        text: answer.admitted.to_string(),
        of: "admitted".to_owned(),
        beside: format!("{}: {}, {:+.2} %", answer.limit, answer.rate, answer.error * 100.0),
        range: format!("of {}, bucket {}", answer.offered, answer.bucket),
        ..Figure::default()
    }
}

fn burst(answer: &Burst) -> Figure {
    let frames = |count: Option<&u64>| {
        count.map(|count| Quantity { value: *count as f64, unit: Unit::Frames })
    };
    let range = frames(answer.bursts.iter().min()).zip(frames(answer.bursts.iter().max()));
    let beside = if answer.limit_reached {
        format!("buffer of {} (corrected)", answer.corrected_buffer)
    } else {
        "no loss could be caused".to_owned()
    };
    Figure {
        text: if answer.limit_reached {
            answer.mean.to_string()
        } else {
            format!("≥ {}", answer.mean)
        },
        of: "mean burst".to_owned(),
        beside,
        range: range.map_or_else(String::new, |(low, high)| between(low, high)),
        ..Figure::default()
    }
}

fn recovery(answer: &Recovery) -> Figure {
    let usual = match answer.to_usual_latency {
        Some(time) => format!("usual latency after {time}"),
        None => "usual latency was not reached".to_owned(),
    };
    Figure {
        text: answer.to_last_loss.to_string(),
        of: "to the last loss".to_owned(),
        beside: usual,
        range: format!("from {} to {}", answer.overload, answer.relief),
        ..Figure::default()
    }
}

/// The longest outage that any method saw: the worst run, and the median of each kind of event.
fn failover(answer: &Failover) -> Figure {
    let mut outages: Vec<Quantity> = answer.runs.iter().map(outage).collect();
    outages.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (Some(least), Some(most)) = (outages.first(), outages.last()) else {
        return Figure { text: none(), ..Figure::default() };
    };
    let mut events: Vec<&str> = answer.runs.iter().map(|run| &*run.event).collect();
    events.sort_unstable();
    events.dedup();
    let medians = events.iter().map(|event| {
        let runs = answer.runs.iter().filter(|run| run.event == *event);
        let mut outages: Vec<Quantity> = runs.map(outage).collect();
        outages.sort_by(|a, b| a.value.total_cmp(&b.value));
        format!("{event} {}", outages[outages.len() / 2])
    });
    Figure {
        text: most.to_string(),
        of: format!("longest of {}", outages.len()),
        beside: format!("median: {}", medians.collect::<Vec<_>>().join(", ")),
        range: between(*least, *most),
        ..Figure::default()
    }
}

/// How long traffic stopped by the method that says the most: that of the flow that suffered most,
/// where only some did.
fn outage(run: &FailoverRun) -> Quantity {
    let longer = |a: Quantity, b: Quantity| if b.value > a.value { b } else { a };
    let [.., worst_flow] = run.by_flow;
    longer(longer(run.by_loss, run.by_time), longer(run.by_gap, worst_flow))
}

fn sessions(answer: &Sessions) -> Figure {
    let held = answer.capacity.iter().filter(|(opened, found)| opened == found);
    let most = held.map(|(opened, _)| *opened).max();
    Figure {
        text: answer.establishment.map_or_else(none, |rate| rate.to_string()),
        of: "opened".to_owned(),
        beside: most.map_or_else(String::new, |most| format!("{} held", grouped(most))),
        range: match (answer.all_new, answer.all_open) {
            (Some(new), Some(open)) => format!("{new} all new, {open} all open"),
            _ => String::new(),
        },
        ..Figure::default()
    }
}

fn churn(answer: &Churn) -> Figure {
    let mut updates: Vec<Quantity> = answer.runs.iter().map(|run| run.updates).collect();
    updates.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (with, without) = answer
        .runs
        .iter()
        .fold((0, 0), |(with, without), run| (with + run.lost.0, without + run.lost.1));
    let range = updates.first().zip(updates.last());
    Figure {
        text: answer.updates.to_string(),
        of: format!("at {}", answer.load),
        beside: format!("{} frames lost, {} without", grouped(with), grouped(without)),
        range: range.map_or_else(String::new, |(low, high)| between(*low, *high)),
        ..Figure::default()
    }
}

/// `16 515 072`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn scale(answer: &Scale) -> Figure {
    let (Some(first), Some(last)) = (answer.points.first(), answer.points.last()) else {
        return Figure { text: none(), ..Figure::default() };
    };
    Figure {
        text: last.value.to_string(),
        of: place(&answer.axis, &last.label),
        beside: format!("{} at {}", first.value, first.label),
        range: format!("×{:.2} along {}", last.value.value / first.value.value, answer.axis),
        ..Figure::default()
    }
}

/// `at 1 M routes`, `at frame size 1518`.
fn place(axis: &str, label: &str) -> String {
    if axis.ends_with('s') { format!("at {label} {axis}") } else { format!("at {axis} {label}") }
}

fn compare(answer: &Compare) -> Figure {
    let (low, high) = answer.interval;
    Figure {
        text: format!("×{:.3}", answer.ratio),
        of: if answer.difference.is_some() {
            format!("{}, {} over {}", answer.figure, answer.b, answer.a)
        } else {
            format!("{} over {}", answer.b, answer.a)
        },
        beside: match &answer.difference {
            Some((difference, (low, high))) => {
                let of = |value| Quantity { value, unit: difference.unit };
                format!(
                    "{}, {} more ({})",
                    answer.decision,
                    difference,
                    between(of(*low), of(*high))
                )
            }
            None => answer.decision.clone(),
        },
        range: format!("{low:.3} to {high:.3}"),
        ..Figure::default()
    }
}
