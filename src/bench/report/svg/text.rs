//! How much room does a text take? An estimate: the reader's fonts are not known.

/// Width of a text in pixels, for a sans-serif face of `size` pixels; rather too much than too
/// little.
pub(in super::super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size * 1.06
}

/// Widths of the faces that the style sheet asks for, rounded up, in shares of their size.
fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' => 0.28,
        'f' | 't' | 'r' | ' ' | '/' | '(' | ')' | '-' => 0.34,
        'm' | 'M' | 'W' | '%' | '@' => 0.88,
        'w' | 'A'..='Z' => 0.70,
        _ => 0.56,
    }
}
