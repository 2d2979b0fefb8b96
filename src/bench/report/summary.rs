//! What does one want to know in the first ten seconds? What was measured, on what, every figure
//! with its verdict, and why where it is not ok.

use maud::{Markup, html};

use super::words::{percent, shown, typeset, verdict_class, verdict_sign};
use super::{Entry, day, environment};
use crate::bench::digest::{Digest, Judged, Question, limit};
use crate::bench::record::{Outcome, Record, VerdictKind};

/// Columns of the table.
const COLUMNS: usize = 8;

/// Title, machine, and how it went in a sentence.
pub(super) fn header(records: &[Record], entries: &[Entry]) -> Markup {
    let hiccup = records.iter().filter_map(|record| record.hiccup.as_ref());
    let worst = hiccup.max_by(|a, b| a.max.value.total_cmp(&b.max.value));
    html! {
        header id="top" {
            h1 { "thruway bench" }
            p.lead { (sentence(records, entries)) }
            @for machine in environment::distinct(records) {
                p.machine { (environment::line(machine)) }
            }
            @if let Some(hiccup) = worst {
                p.machine {
                    "Before the runs the machine let a busy thread wait " (shown(hiccup.p999))
                    " in the 99.9th percentile and " (shown(hiccup.max))
                    " at most: no tail of a latency is better than that."
                }
            }
        }
    }
}

/// How many scenarios, when, and how many of the figures hold.
fn sentence(records: &[Record], entries: &[Entry]) -> Markup {
    let Some(first) = records.iter().map(|record| &*record.started).min() else {
        return html! { "There are no records." };
    };
    let kinds = |wanted: &[VerdictKind]| {
        let judged = entries.iter().filter_map(|entry| entry.digest.judged.as_ref());
        judged.filter(|judged| wanted.contains(&judged.kind)).count()
    };
    let bound = [
        VerdictKind::GeneratorBound,
        VerdictKind::SinkBound,
        VerdictKind::MediumBound,
        VerdictKind::AtMaxLoad,
    ];
    let parts = [
        (kinds(&[VerdictKind::Ok]), "ok", VerdictKind::Ok),
        (kinds(&bound), "limited by something else than the forwarder", bound[0]),
        (
            kinds(&[VerdictKind::Contaminated]),
            "contaminated by other work",
            VerdictKind::Contaminated,
        ),
        (kinds(&[VerdictKind::Unaccounted]), "invalid", VerdictKind::Unaccounted),
    ];
    let said: Vec<_> = parts.into_iter().filter(|(count, ..)| *count > 0).collect();
    let scenarios = if records.len() == 1 { "scenario" } else { "scenarios" };
    html! {
        (records.len()) " " (scenarios) " measured on " (day(first)) ":"
        @for (index, (count, what, kind)) in said.iter().enumerate() {
            @if index > 0 { "," }
            " " span class=(format!("count {}", verdict_class(*kind))) { (count) " " (what) }
        }
        "."
    }
}

/// The table of all scenarios, by question.
pub(super) fn table(entries: &[Entry], common: &[&str]) -> Markup {
    html! {
        section.summary {
            h2.hidden { "Summary" }
            table {
                thead {
                    tr {
                        th scope="col" { "Scenario" }
                        th.number scope="col" { "Figure" }
                        th scope="col" { "Range" }
                        th scope="col" { "Of medium" }
                        th.number scope="col" { "Of circuit" }
                        th.number scope="col" { "Of nominal" }
                        th scope="col" { "Verdict" }
                        th scope="col" { "Limited by" }
                    }
                }
                @for question in Question::ALL {
                    @let own: Vec<_> =
                        entries.iter().filter(|entry| entry.digest.question == question).collect();
                    @if !own.is_empty() {
                        tbody {
                            tr.question {
                                th colspan=(COLUMNS) scope="colgroup" { (question.title()) }
                            }
                            @for entry in own { (rows(entry)) }
                        }
                    }
                }
            }
            @if !common.is_empty() {
                ul.notes { @for note in common { li { (typeset(note)) } } }
            }
            p.fine {
                "≥: something else than the forwarder was the limit, so it does at least this. A "
                "share of the nominal line rate is told only where the verdict is ok."
            }
        }
    }
}

fn rows(entry: &Entry) -> Markup {
    let Entry { record, digest, id } = entry;
    let kind = digest.judged.as_ref().map(|judged| judged.kind);
    let invalid = if kind == Some(VerdictKind::Unaccounted) { "number invalid" } else { "number" };
    html! {
        tr.entry {
            th.name scope="row" {
                a href=(format!("#{id}")) { (record.scenario.name) }
                span.under { (record.scenario.device) }
            }
            td class=(invalid) {
                b { (typeset(&digest.figure)) } " " span.of { (typeset(&digest.of)) }
                @if !digest.beside.is_empty() { span.under { (typeset(&digest.beside)) } }
            }
            td.range data-label="range" { (typeset(&digest.range)) }
            td.bar data-label="of medium" { (bar(record, digest)) }
            td.number data-label="of circuit" { (share(digest.shares.circuit)) }
            td.number data-label="of nominal" { (share(digest.shares.nominal)) }
            td { (chip(digest)) }
            td.limit data-label="limited by" { (limited_by(record, digest)) }
        }
        @if let Some(judged) = digest.judged.as_ref().filter(|judged| !judged.whys.is_empty()) {
            tr.why {
                td colspan=(COLUMNS) { (sentences(judged)) }
            }
        }
    }
}

fn share(share: Option<f64>) -> String {
    share.map(percent).unwrap_or_default()
}

/// The sentences of a verdict; the first few where there are many.
pub(super) fn sentences(judged: &Judged) -> Markup {
    let more = judged.whys.len().saturating_sub(3);
    html! {
        @for (index, why) in judged.whys.iter().take(3).enumerate() {
            @if index > 0 { " " }
            (typeset(why))
        }
        @if more > 0 { " (and " (more) " more)" }
    }
}

/// The verdict in a word, with a sign and a colour.
pub(super) fn chip(digest: &Digest) -> Markup {
    let Some(judged) = &digest.judged else {
        return html! { span.none { "not judged" } };
    };
    let (flawed, all) = judged.flawed;
    html! {
        span class=(format!("chip {}", verdict_class(judged.kind))) {
            span.sign aria-hidden="true" { (verdict_sign(judged.kind)) } " " (judged.kind)
        }
        @if all > 1 && flawed > 0 { span.under { (flawed) " of " (all) } }
    }
}

/// What was the limit; only questions about rates have one.
fn limited_by(record: &Record, digest: &Digest) -> &'static str {
    let rate = matches!(
        record.result,
        Outcome::Throughput(_) | Outcome::Loss(_) | Outcome::Scale(_) | Outcome::Sessions(_)
    );
    match &digest.judged {
        Some(judged) if rate || judged.kind != VerdictKind::Ok => limit(judged.kind),
        _ => "",
    }
}

/// How much of what the medium carries; from nine tenths on the medium is the limit.
fn bar(record: &Record, digest: &Digest) -> Markup {
    let Some(share) = digest.shares.medium else { return html! {} };
    let kind = digest.judged.as_ref().map_or(VerdictKind::Ok, |judged| judged.kind);
    let width = share.clamp(0.0, 1.0) * 100.0;
    let says = format!("{}: {} of the medium's rate", record.scenario.name, percent(share));
    html! {
        svg.meter viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(says) {
            title { (says) }
            rect.track width="100" height="10" {}
            rect class=(format!("part {}", verdict_class(kind))) width=(format!("{width:.1}")) height="10" {}
        }
        span.share { (percent(share)) }
    }
}
