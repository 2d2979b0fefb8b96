//! How much room does a text take? An estimate: the reader's fonts are not known.

/// Width of a text in pixels, for a sans-serif face of `size` pixels; rather too much than too
/// little.
pub(in super::super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size * 1.06
}

/// As much of a text as `room` pixels hold, with an ellipsis where something is left out.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if width(&short, size) + width("…", size) + em(c) * size * 1.06 > room {
            break;
        }
        short.push(c);
    }
    short.trim_end().to_owned() + "…"
}

/// Widths of the faces that the style sheet asks for, rounded up, in shares of their size.
fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' => 0.28,
        'f' | 't' | 'r' | ' ' | '/' | '(' | ')' | '-' => 0.34,
        'm' | 'M' | 'W' | '%' | '@' | '…' => 1.0,
        'w' | 'A'..='Z' => 0.70,
        _ => 0.56,
    }
}
