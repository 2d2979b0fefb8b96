//! What does a record say in full? Its figure, its scenario, pictures, tables, notes and trials.

use maud::{Markup, html};

use super::figure::{self, Figure};
use super::summary::{chip, sentences};
use super::words::{count, direction, shown, typeset};
use super::{Entry, environment, tables, trials};
use crate::bench::record::{Outcome, Record, Scenario};

/// `common` are notes that stand in the summary, being every record's.
pub(super) fn section(entry: &Entry, common: &[&str]) -> Markup {
    let Entry { record, digest, id } = entry;
    let scenario = &record.scenario;
    let own: Vec<&String> =
        record.notes.iter().filter(|note| !common.contains(&note.as_str())).collect();
    let whys = digest.judged.as_ref().filter(|judged| !judged.whys.is_empty());
    html! {
        article.record id=(id) {
            div.title {
                h3 { (scenario.name) " " span.device { (scenario.device) } }
                (chip(digest))
                a.up href="#top" { "summary" }
            }
            p.headline {
                b { (typeset(&digest.figure)) } " " (typeset(&digest.of))
                @if !digest.beside.is_empty() { span.beside { (typeset(&digest.beside)) } }
            }
            @if let Some(judged) = whys { p.why { (sentences(judged)) } }
            p.facts { (facts(scenario)) }
            div.grid {
                @for figure in figures(record) { (figure.render()) }
                (tables::tables(record))
                @if let Some(strip) = strip(record) { (strip.render()) }
            }
            @if !own.is_empty() {
                ul.notes { @for note in own { li { (typeset(note)) } } }
            }
            (trials::trials(&record.trials))
            details {
                summary { "How this was measured" }
                (how(record))
            }
        }
    }
}

/// The scenario in a line.
fn facts(scenario: &Scenario) -> String {
    let sizes = match (&scenario.genome, &scenario.frame_sizes[..]) {
        (Some(genome), _) => format!("IMIX {genome}"),
        (None, [only]) => format!("{only} B frames"),
        (None, sizes) => {
            let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
            format!("frames of {} B", sizes.join(", "))
        }
    };
    let plural = |number: u64, one: &str| {
        format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
    };
    let mut facts = vec![
        scenario.medium.clone(),
        sizes,
        scenario.hand_over.clone(),
        plural(scenario.flows, "flow"),
        plural(scenario.routes, "route"),
    ];
    if scenario.sessions > 0 {
        facts.push(format!("{} open", plural(scenario.sessions, "session")));
    }
    facts.push(plural(u64::from(scenario.workers), "worker"));
    facts.push(direction(&scenario.direction).to_owned());
    facts.push(format!("limits {}", scenario.limits));
    facts.push(scenario.layout.clone());
    facts.retain(|fact| !fact.is_empty());
    typeset(&facts.join(" · "))
}

fn figures(record: &Record) -> Vec<Figure> {
    match &record.result {
        Outcome::Throughput(_) if record.trials.is_empty() => Vec::new(),
        Outcome::Throughput(answer) => vec![figure::ladder(&record.trials, answer)],
        Outcome::Calibration(answer) => {
            let measured = record.calibration.iter();
            measured.map(|measured| figure::calibration(answer, measured)).collect()
        }
        Outcome::Cost(answer) => vec![figure::cost(answer)],
        Outcome::Latency(answer) => {
            vec![figure::percentiles(answer, record.hiccup.as_ref()), figure::over_load(answer)]
        }
        Outcome::Loss(answer) => vec![figure::loss(answer), figure::forwarded(answer)],
        Outcome::Limits(answer) => vec![figure::limits(answer)],
        Outcome::Burst(answer) => vec![figure::burst(answer)],
        Outcome::Recovery(answer) => vec![figure::recovery(answer)],
        Outcome::Failover(answer) => {
            let mut figures = vec![figure::three_methods(answer)];
            figures.extend(figure::timeline(answer));
            figures
        }
        Outcome::Sessions(answer) => {
            figure::sessions(answer).into_iter().chain(figure::capacity(answer)).collect()
        }
        Outcome::Churn(answer) => vec![figure::churn(answer)],
        Outcome::Scale(answer) => vec![figure::scale(answer)],
        Outcome::Compare(answer) => vec![figure::ratios(answer), figure::pairs(answer)],
    }
}

/// The strip of trials, where it shows what neither a ladder nor the table of trials does.
fn strip(record: &Record) -> Option<Figure> {
    let ladder = matches!(record.result, Outcome::Throughput(_));
    if ladder || record.trials.len() < 3 { None } else { figure::strip(&record.trials) }
}

/// Command, seed, hiccups and calibration.
fn how(record: &Record) -> Markup {
    html! {
        dl.how {
            dt { "Command" }
            dd { code { (environment::command(&record.command)) } }
            dt { "Begun" }
            dd { (record.started) ", run " code { (record.run_id) } ", seed " (record.seed) }
            @if let Some(hiccup) = &record.hiccup {
                dt { "Hiccups before" }
                dd {
                    "p50 " (shown(hiccup.p50)) ", p99.9 " (shown(hiccup.p999)) ", longest "
                    (shown(hiccup.max)) ", " (format!("{:.1}", hiccup.long_gaps_per_second))
                    " over 100 µs a second, in " (shown(hiccup.duration))
                }
            }
            @if let Some(calibration) = &record.calibration {
                dt { "Calibration" }
                dd {
                    "generator " (shown(calibration.sent)) ", sink " (shown(calibration.received))
                    @if let Some(null) = calibration.null_forwarder {
                        ", null forwarder " (shown(null))
                    }
                    ": " (calibration.verdict.kind)
                    @if !calibration.verdict.why.is_empty() {
                        " (" (typeset(&calibration.verdict.why)) ")"
                    }
                }
            }
        }
    }
}
