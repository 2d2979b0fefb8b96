//! What came out, for somebody at a terminal? A table with a row a record, and under it the
//! sentences of all verdicts that are not ok.

use std::io::stdout;

use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, TableComponent, Width,
    presets,
};

use super::digest::{Digest, Shares, digest, limit};
use super::record::{Record, Scenario, VerdictKind};
use super::terminal::{self, plain};

/// The widest table, in columns.
pub const WIDEST: usize = 100;

/// Columns that a scenario's name may take without being broken, with its indent and margin.
const LONGEST_NAME: usize = 34;

/// Columns under which there is only room for figure and verdict.
const NARROW: usize = 96;

/// How the table may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns that it may take.
    pub width: usize,
    /// Whether it may have colours.
    pub color: bool,
}

impl Look {
    /// As standard output can show it: [`WIDEST`] columns at most, colours on a terminal where
    /// `NO_COLOR` does not forbid them.
    pub fn of_stdout() -> Self {
        let width = terminal::width(&stdout()).unwrap_or(WIDEST).clamp(40, WIDEST);
        Self { width, color: terminal::colored(&stdout()) }
    }
}

/// The table and its sentences, with a line break at the end; nothing for no records.
pub fn render(records: &[Record], look: Look) -> String {
    if records.is_empty() {
        return String::new();
    }
    let mut rows: Vec<(&Record, Digest)> =
        records.iter().map(|record| (record, digest(record))).collect();
    rows.sort_by_key(|(_, digest)| digest.question);
    let mut table = Table::new();
    // One line under the head; a hundred columns have no room for lines between columns.
    table.load_preset(presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(look.width).unwrap_or(u16::MAX));
    if look.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(["scenario", "figure", "range", "of line rates", "verdict"]);
    let mut question = None;
    for (record, digest) in &rows {
        if question.replace(digest.question) != Some(digest.question) {
            table.add_row([Cell::new(digest.question.title()).add_attribute(Attribute::Bold)]);
        }
        table.add_row(cells(record, digest));
    }
    for (column, constraint) in table.column_iter_mut().zip(constraints(&rows, look.width)) {
        if let Some(constraint) = constraint {
            column.set_constraint(constraint);
        }
    }
    format!("{}\n{}", table.trim_fmt(), sentences(&rows, look.width))
}

/// Which columns are shown, and how wide those are at least that lose by being broken.
fn constraints(rows: &[(&Record, Digest)], width: usize) -> [Option<ColumnConstraint>; 5] {
    let least = |columns: usize| {
        let columns = u16::try_from(columns).unwrap_or(u16::MAX);
        Some(ColumnConstraint::LowerBoundary(Width::Fixed(columns)))
    };
    let names = rows.iter().map(|(record, _)| record.scenario.name.chars().count() + 4);
    let longest = names.filter(|name| *name <= LONGEST_NAME).max().unwrap_or(LONGEST_NAME);
    if width < NARROW {
        let hidden = Some(ColumnConstraint::Hidden);
        return [least(longest.min(width / 3)), None, hidden, hidden, least(width / 4)];
    }
    // `≥ 1.004 Mpps NDR`, `0.995 to 1.005 Mpps`, `6.8 % nominal`, `generator_bound`: each with a
    // margin at both sides.
    [least(longest.min(28)), least(19), least(21), least(15), least(17)]
}

fn cells(record: &Record, digest: &Digest) -> [Cell; 5] {
    let Scenario { name, device, .. } = &record.scenario;
    let own = device == env!("CARGO_PKG_NAME");
    let name = if own { format!("  {name}") } else { format!("  {name}\n  {device}") };
    let figure = format!("{} {}\n{}", digest.figure, digest.of, digest.beside);
    let verdict = Cell::new(word(digest));
    [
        Cell::new(lines(&name)),
        Cell::new(lines(figure.trim_end())),
        Cell::new(lines(&digest.range)),
        Cell::new(shares(&digest.shares)),
        match &digest.judged {
            Some(judged) => verdict.fg(color(judged.kind)).add_attribute(Attribute::Bold),
            None => verdict,
        },
    ]
}

/// A text of several lines, each without what a terminal would obey.
fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

fn word(digest: &Digest) -> String {
    let Some(judged) = &digest.judged else { return "-".to_owned() };
    let (flawed, all) = judged.flawed;
    if flawed > 0 && all > 1 {
        format!("{}\n{flawed} of {all}", judged.kind)
    } else {
        judged.kind.to_string()
    }
}

fn shares(shares: &Shares) -> String {
    let all = [("medium", shares.medium), ("circuit", shares.circuit), ("nominal", shares.nominal)];
    let known = all.into_iter().filter_map(|(name, share)| {
        let percent = share? * 100.0;
        let digits = if percent < 9.95 { 1 } else { 0 };
        Some(format!("{percent:.digits$} % {name}"))
    });
    known.collect::<Vec<_>>().join("\n")
}

const fn color(kind: VerdictKind) -> Color {
    match kind {
        VerdictKind::Ok => Color::Green,
        VerdictKind::GeneratorBound | VerdictKind::SinkBound | VerdictKind::MediumBound => {
            Color::Yellow
        }
        VerdictKind::AtMaxLoad => Color::Cyan,
        VerdictKind::Contaminated => Color::Magenta,
        VerdictKind::Unaccounted => Color::Red,
    }
}

/// What every verdict that is not ok says, under the scenario's name.
fn sentences(rows: &[(&Record, Digest)], width: usize) -> String {
    let mut text = String::new();
    for (record, digest) in rows {
        let Some(judged) = digest.judged.as_ref().filter(|judged| judged.kind != VerdictKind::Ok)
        else {
            continue;
        };
        let scenario = &record.scenario;
        let head = format!(
            "{} ({}), {}: the limit was {}.",
            scenario.name,
            scenario.device,
            judged.kind,
            limit(judged.kind)
        );
        text.push('\n');
        text += &format!("{}\n", textwrap::fill(&plain(&head), width));
        let under = textwrap::Options::new(width).initial_indent("  ").subsequent_indent("  ");
        for why in &judged.whys {
            text += &format!("{}\n", textwrap::fill(&plain(why), &under));
        }
    }
    text
}

#[cfg(test)]
mod tests;
