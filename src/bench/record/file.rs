//! How do records get into a file and out of it again? As JSON Lines, one record a line.
//!
//! A file of a later minor version can be read: fields that this program does not know are left
//! out. One of another major version cannot.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::{Record, SCHEMA};

/// Why a file of records cannot be read.
#[derive(Debug, Error)]
pub enum Unread {
    /// The system refused.
    #[error("{}: the file cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no record.
    #[error("{}, line {line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: Broken,
    },
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum Broken {
    /// It ends in the middle.
    #[error(
        "the record ends too early: the run that wrote it was cut short; delete the line to read \
         the others"
    )]
    CutShort,
    /// Another major version.
    #[error(
        "the record's schema is `{found}`, and this program reads `{SCHEMA}` and `{SCHEMA}.x`: \
         read it with the version of thruway that wrote it"
    )]
    Schema {
        /// As it is written there.
        found: String,
    },
    /// No JSON, or not the fields that a record has.
    #[error("this is no record of `thruway bench`: {what}")]
    NoRecord {
        /// What JSON or the fields lack.
        what: String,
    },
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

/// Reads the records of a file, in order; empty lines count as none.
///
/// # Errors
/// When the file cannot be read, or with the first line that is no record.
pub fn read(path: &Path) -> Result<Vec<Record>, Unread> {
    let path_of = || path.to_owned();
    let text =
        fs::read_to_string(path).map_err(|source| Unread::File { path: path_of(), source })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            parse(line).map_err(|what| Unread::Line { path: path_of(), line: index + 1, what })
        })
        .collect()
}

/// Writes a record as a line.
///
/// # Errors
/// When the writer fails, or for a record with a number that JSON has no word for.
pub fn write(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let mut line = serde_json::to_string(record)?;
    // Numbers that are not finite become null without a word, and nobody could read them again.
    parse(&line).map_err(|broken| {
        let name = &record.scenario.name;
        io::Error::other(format!("the record of `{name}` cannot be written: {broken}"))
    })?;
    line.push('\n');
    out.write_all(line.as_bytes())
}

fn parse(line: &str) -> Result<Record, Broken> {
    let head: Head = serde_json::from_str(line).map_err(|error| broken(&error))?;
    let version = head.schema.strip_prefix(SCHEMA);
    if !version.is_some_and(|minor| minor.is_empty() || minor.starts_with('.')) {
        return Err(Broken::Schema { found: head.schema });
    }
    serde_json::from_str(line).map_err(|error| broken(&error))
}

fn broken(error: &serde_json::Error) -> Broken {
    if error.is_eof() {
        return Broken::CutShort;
    }
    // The line that the error names is the first of one; ours is the file's.
    let said = error.to_string();
    let what = match said.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("{what} (column {})", error.column()),
        _ => said,
    };
    Broken::NoRecord { what }
}
