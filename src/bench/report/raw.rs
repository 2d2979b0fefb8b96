//! Where are the numbers themselves? In the page, as a file to be saved.

use maud::{Markup, html};

use crate::bench::record::{self, Record};

/// Larger records than this, in bytes, are not put into the page.
const MOST: usize = 8 << 20;

/// A link that saves the records as JSON Lines.
pub(super) fn download(records: &[Record]) -> Markup {
    let mut lines = Vec::new();
    let whole = records.iter().all(|record| record::write(&mut lines, record).is_ok());
    let size = format!("{:.0}\u{a0}kB", lines.len() as f64 / 1e3);
    html! {
        footer {
            @if whole && lines.len() <= MOST {
                p {
                    a download="bench.jsonl" href=(data(&lines)) { "Save the records" }
                    " (JSON Lines, " (size) "), with every trial and sensor."
                }
            } @else {
                p { "The records (" (size) ") are too large for this page: keep their files." }
            }
        }
    }
}

/// A `data:` address (RFC 2397) with all bytes that an address cannot have escaped.
fn data(bytes: &[u8]) -> String {
    let mut address = "data:application/jsonl;charset=utf-8,".to_owned();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' | b':' => {
                address.push(char::from(*byte));
            }
            _ => address += &format!("%{byte:02X}"),
        }
    }
    address
}
