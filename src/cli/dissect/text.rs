//! What do people read of a packet? A line, and with `-v` a table of its fields.

use comfy_table::{Table, presets};
use serde_json::Value;

use super::moved;
use crate::dissect::user::Answer;
use crate::dissect::{Difference, Dissection, FIELDS, View};
use crate::io::pcap::Captured;
use crate::time::Now;
use crate::wire::show;

/// A time in seconds with nanoseconds.
pub(super) fn stamp(at: Now) -> String {
    format!("{}.{:09}", at.0 / 1_000_000_000, at.0 % 1_000_000_000)
}

/// A packet on a line, with how it differs below it. Times count from `begin`; one before that is
/// shown as 0.
pub(super) fn line(packet: &Captured<'_>, begin: Now, seen: &Dissection) -> String {
    let (number, size) = (packet.number, packet.original_size);
    let (at, line) = (stamp(Now(packet.at.since(begin).0)), show(packet.bytes));
    let mut text = format!("{number:>5} {at:>14} {size:>5} {line}: {}\n", verdict(&seen.ours));
    if !seen.differences.is_empty() {
        text += &format!("      differs: {}\n", words(&seen.differences));
    }
    text
}

/// How the user's parser differs.
pub(super) fn asked(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return String::new();
    }
    format!("      your parser differs: {}\n", words(differences))
}

fn words(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn verdict(view: &View) -> String {
    match (view.valid, view.reason) {
        (Some(true), _) => "ok".to_owned(),
        (_, Some(reason)) => reason.to_owned(),
        _ => "cut off".to_owned(),
    }
}

/// All fields of a packet, and what the parsers say of it.
pub(super) fn table(packet: &Captured<'_>, seen: &Dissection, answer: Option<&Answer>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let said = match answer {
        Some(Answer::Said(said)) => Some(said),
        _ => None,
    };
    let mut head = vec!["", "field", "at", "thruway", "etherparse"];
    head.extend(said.map(|_| "your parser"));
    table.set_header(head);
    for (field, _) in FIELDS {
        let (ours, theirs) = (seen.ours.field(field), seen.theirs.field(field));
        let own = said.and_then(|said| said.get(*field));
        if ours.is_none() && theirs.is_none() && own.is_none() {
            continue;
        }
        let at = ours.or(theirs).and_then(|field| field.at);
        let differs = seen.differences.iter().any(|own| own.field == *field);
        let value = |value: Option<&Value>| value.map_or_else(|| "-".to_owned(), plain);
        let mut row = vec![
            if differs { "≠" } else { "" }.to_owned(),
            (*field).to_owned(),
            at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            value(ours.map(|field| &field.value)),
            value(theirs.map(|field| &field.value)),
        ];
        row.extend(said.map(|_| value(own)));
        table.add_row(row);
    }
    let mut text = String::new();
    for line in table.lines() {
        text += &format!("      {}\n", line.trim_end());
    }
    for (who, view) in [("thruway", &seen.ours), ("etherparse", &seen.theirs)] {
        if let Some(why) = &view.why {
            text += &format!("      {who}: {why}\n");
        }
    }
    if moved(packet) != 0 || packet.link != crate::io::pcap::Link::ETHERNET {
        let (moved, link) = (moved(packet), packet.link);
        text += &format!(
            "      the Ethernet header is made up, for {link}: positions are {moved:+} to the capture's\n"
        );
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Names with their sentences.
pub(super) fn names(names: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, sentence) in names {
        let lines = textwrap::wrap(sentence, 76);
        for (place, line) in lines.iter().enumerate() {
            let name = if place == 0 { name } else { "" };
            text += &format!("{name:<17} {line}\n");
        }
    }
    text
}
