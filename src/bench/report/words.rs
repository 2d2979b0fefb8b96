//! How are things called in the report? Quantities as a reader of print expects them, counts in
//! groups of three, classes of verdicts.

use crate::bench::record::{Quantity, Unit, VerdictKind};

/// A quantity with the sign for micro, and a space that does not break.
pub(super) fn shown(quantity: Quantity) -> String {
    typeset(&quantity.to_string())
}

/// The same for a text that has quantities in it.
pub(super) fn typeset(text: &str) -> String {
    const UNITS: [&str; 17] = [
        "pps",
        "kpps",
        "Mpps",
        "Gpps",
        "ns",
        "us",
        "ms",
        "s",
        "%",
        "B",
        "ticks",
        "frames",
        "sessions/s",
        "ksessions/s",
        "updates/s",
        "kupdates/s",
        "Mupdates/s",
    ];
    let mut out = String::new();
    for (index, word) in text.split(' ').enumerate() {
        let bare = word.trim_end_matches([',', '.', ';', ':', ')']);
        let after_number = out.ends_with(|c: char| c.is_ascii_digit());
        let unit = after_number && (UNITS.contains(&bare) || bare == "Msessions/s");
        if index > 0 {
            out.push(if unit { '\u{a0}' } else { ' ' });
        }
        if unit && bare == "us" {
            out += &word.replacen("us", "µs", 1);
        } else {
            out += word;
        }
    }
    out
}

/// A length of time in nanoseconds.
pub(super) fn ns(quantity: Quantity) -> f64 {
    match quantity.unit {
        Unit::Seconds => quantity.value * 1e9,
        _ => quantity.value,
    }
}

/// `16 515 072`, with spaces that do not break.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// A share in percent, with one digit where it is small.
pub(super) fn percent(share: f64) -> String {
    let digits = if share < 0.0995 { 1 } else { 0 };
    format!("{:.digits$}\u{a0}%", share * 100.0)
}

/// A direction as an arrow.
pub(super) fn direction(name: &str) -> &str {
    match name {
        "to_azure" => "→ Azure",
        "to_onprem" => "→ on-prem",
        "both" => "both ways",
        other => other,
    }
}

/// The class whose colour says the verdict.
pub(super) const fn verdict_class(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Ok => "v-ok",
        VerdictKind::GeneratorBound | VerdictKind::SinkBound | VerdictKind::MediumBound => {
            "v-bound"
        }
        VerdictKind::Contaminated => "v-contaminated",
        VerdictKind::AtMaxLoad => "v-max",
        VerdictKind::Unaccounted => "v-bad",
    }
}

/// A sign that says the verdict where colours do not.
pub(super) const fn verdict_sign(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Ok => "✓",
        VerdictKind::GeneratorBound | VerdictKind::SinkBound | VerdictKind::MediumBound => "≥",
        VerdictKind::Contaminated => "~",
        VerdictKind::AtMaxLoad => "▲",
        VerdictKind::Unaccounted => "✕",
    }
}
