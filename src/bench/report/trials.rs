//! What happened in each trial, in numbers? Folded away until one wants to know.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::words::{count, percent, shown, typeset, verdict_class};
use crate::bench::record::{Trial, VerdictKind};

/// A table of all trials; nothing without any.
pub(super) fn trials(trials: &[Trial]) -> Markup {
    if trials.is_empty() {
        return html! {};
    }
    let plural = if trials.len() == 1 { "trial" } else { "trials" };
    html! {
            details.trials {
                summary { (trials.len()) " " (plural) " in numbers" }
                div.scroll {
                    table.data {
                        thead {
                            tr {
    th scope="col" { "" }
                                th.text scope="col" { "for" }
                                @for name in [
                                    "load", "lasted", "offered", "unsent", "received", "lost", "twice",
                                    "late", "corrupt", "wait", "steal", "verdict",
                                ] { th scope="col" { (name) } }
                            }
                        }
                        tbody { @for (index, trial) in trials.iter().enumerate() { (row(index, trial)) } }
                    }
                }
            }
        }
}

fn row(index: usize, trial: &Trial) -> Markup {
    let frames = &trial.frames;
    let wait = trial.threads.iter().map(|thread| thread.wait.value).fold(0.0, f64::max);
    let kind = trial.verdict.kind;
    let class = if kind == VerdictKind::Contaminated { "grey-row" } else { "" };
    let causes = causes(trial);
    html! {
        tr class=(class) {
            th scope="row" { (index + 1) }
            td.text { (trial.purpose) }
            td { (shown(trial.intended_rate)) }
            td { (shown(trial.elapsed)) }
            td { (count(frames.offered)) }
            td { (count(frames.unsent)) }
            td { (count(frames.received)) }
            td title=(causes) {
                @if frames.lost < 0 { "−" }
                (count(frames.lost.unsigned_abs()))
            }
            td { (count(frames.duplicates)) }
            td { (count(frames.reordered)) }
            td { (count(frames.corrupt)) }
            td { (percent(wait)) }
            td { (percent(trial.steal.value)) }
            td class=(format!("word {}", verdict_class(kind))) title=(typeset(&trial.verdict.why)) {
                (kind)
            }
        }
        @if !causes.is_empty() {
            tr.causes { td {} td.text colspan="13" { (causes) } }
        }
    }
}

/// Which counters explain the loss, and what arrived besides.
fn causes(trial: &Trial) -> String {
    let mut parts = Vec::new();
    let mut say = |who: &str, drops: &BTreeMap<String, u64>| {
        for (reason, frames) in drops.iter().filter(|(_, frames)| **frames > 0) {
            parts.push(format!("{who} {reason} {}", count(*frames)));
        }
    };
    if let Some(device) = &trial.device {
        say("forwarder", &device.dropped);
    }
    say("medium", &trial.medium_drops);
    if let Some(unknown) = trial.unaccounted.filter(|frames| *frames != 0) {
        parts.push(format!("unaccounted for {unknown}"));
    }
    let lost = if parts.is_empty() { None } else { Some(format!("lost: {}", parts.join(", "))) };
    let foreign = trial.frames.foreign;
    let strange =
        (foreign > 0).then(|| format!("{} arrived that this trial did not send", count(foreign)));
    lost.into_iter().chain(strange).collect::<Vec<_>>().join("; ")
}
