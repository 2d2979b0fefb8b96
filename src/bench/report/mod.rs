//! How does one read what was measured? Turns records into one HTML file: a summary first, then a
//! section a record with its pictures, then how to read it all, and the machine.
//!
//! The file needs nothing else: style and pictures are inside, there is no script, and nothing is
//! loaded. All text of records is escaped by the templates. The same records always give the same
//! bytes. What a figure means is decided in `digest`; here it is only shown.

mod environment;
mod figure;
mod notes;
mod raw;
mod section;
mod summary;
mod svg;
mod tables;
#[cfg(test)]
mod tests;
mod trials;
mod words;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use thiserror::Error;

use super::digest::{Digest, Question, digest};
use super::record::{self, Record};

/// The style of the page: light, dark and paper.
const STYLE: &str = include_str!("style.css");

/// Why a report cannot be made.
#[derive(Debug, Error)]
pub enum Unreported {
    /// A file of records cannot be read.
    #[error(transparent)]
    Unread(#[from] record::Unread),
    /// There is nothing to report.
    #[error("{}: there is no record in it: name a file that `thruway bench --json` wrote", .0.display())]
    Empty(PathBuf),
    /// The report cannot be written.
    #[error("{}: the report cannot be written: {source}", path.display())]
    Unwritten {
        /// The report.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A record with what the report says about it.
struct Entry<'a> {
    record: &'a Record,
    digest: Digest,
    /// The anchor of its section.
    id: String,
}

/// Makes a report of all records of these files and writes it; returns how many there are.
///
/// # Errors
/// When a file cannot be read or has no record, or when the report cannot be written.
pub fn files(files: &[PathBuf], to: &Path) -> Result<usize, Unreported> {
    let mut records = Vec::new();
    for file in files {
        let found = record::read(file)?;
        if found.is_empty() {
            return Err(Unreported::Empty(file.clone()));
        }
        records.extend(found);
    }
    fs::write(to, html(&records))
        .map_err(|source| Unreported::Unwritten { path: to.to_owned(), source })?;
    Ok(records.len())
}

/// The report as one HTML document.
pub fn html(records: &[Record]) -> String {
    let mut entries: Vec<Entry> = records
        .iter()
        .map(|record| Entry { record, digest: digest(record), id: String::new() })
        .collect();
    entries.sort_by_key(|entry| entry.digest.question);
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.id = format!("r{}", index + 1);
    }
    printable(&document(records, &entries).into_string())
}

/// The page without characters that HTML does not have: a name may hold anything.
fn printable(page: &str) -> String {
    let keep = |c: char| !c.is_control() || c == '\n';
    page.chars().map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn document(records: &[Record], entries: &[Entry]) -> Markup {
    let title = match records.first() {
        Some(first) => format!("thruway bench, {}", day(&first.started)),
        None => "thruway bench".to_owned(),
    };
    let common = common_notes(records);
    markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (summary::header(records, entries))
                main {
                    (summary::table(entries, &common))
                    @for question in Question::ALL {
                        (group(question, entries, &common))
                    }
                    (notes::notes(entries))
                    (environment::environment(records))
                    (raw::download(records))
                }
            }
        }
    }
}

/// The sections that answer one question.
fn group(question: Question, entries: &[Entry], common: &[&str]) -> Markup {
    let own: Vec<&Entry> =
        entries.iter().filter(|entry| entry.digest.question == question).collect();
    if own.is_empty() {
        return markup! {};
    }
    let records: Vec<&Record> = own.iter().map(|entry| entry.record).collect();
    markup! {
        section.group {
            h2 { (question.title()) }
            p.asks { (notes::asks(question)) }
            @if question == Question::Throughput {
                @if let Some(figure) = figure::overview(&records) { (figure.render()) }
            }
            @for entry in own { (section::section(entry, common)) }
        }
    }
}

/// The day of a time stamp, or all of one that has another form.
fn day(stamp: &str) -> &str {
    stamp.split_once('T').map_or(stamp, |(day, _)| day)
}

/// Notes that every record has, where there is more than one: said once, in the summary.
fn common_notes(records: &[Record]) -> Vec<&str> {
    let [first, others @ ..] = records else { return Vec::new() };
    if others.is_empty() {
        return Vec::new();
    }
    let everywhere = |note: &&String| others.iter().all(|record| record.notes.contains(note));
    first.notes.iter().filter(everywhere).map(String::as_str).collect()
}
