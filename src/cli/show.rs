//! `thruway show`: the state of a running thruway as a table, or as JSON for programs.

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use miette::Result;
use serde_json::Value;

use super::{client, output};
use crate::control::api::Topic;

/// Show the state of a running thruway.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to show
    pub topic: Topic,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The socket of the thruway to ask
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When no thruway answers, or nobody reads the answer.
pub fn main(args: &Args) -> Result<ExitCode> {
    let socket = client::socket(args.socket.as_deref())?;
    let answer = client::ask(&socket, args.topic)?;
    if args.json {
        output::line(format_args!("{answer:#}"))?;
    } else {
        output::print(render(&answer))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An answer for people: lists of objects become tables, an object becomes lines.
pub fn render(answer: &Value) -> String {
    match answer {
        Value::Array(rows) if rows.is_empty() => "nothing\n".to_owned(),
        Value::Array(rows) => format!("{}\n", table(rows)),
        Value::Object(fields) => {
            let mut text = String::new();
            for (name, value) in fields {
                match value {
                    Value::Array(rows) if rows.iter().all(Value::is_object) => {
                        text += &format!("{name}:\n{}", render(value));
                    }
                    Value::Object(_) => text += &format!("{name}:\n{}", indent(&render(value))),
                    other => text += &format!("{name:<16}{}\n", plain(other)),
                }
            }
            text
        }
        other => format!("{}\n", plain(other)),
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// One row an object; what is nested below it gets a table of its own after it.
fn table(rows: &[Value]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let mut nested = String::new();
    for (index, row) in rows.iter().enumerate() {
        let Value::Object(fields) = row else { continue };
        let flat = fields.iter().filter(|(_, value)| !is_nested(value));
        if index == 0 {
            table.set_header(flat.clone().map(|(name, _)| name.replace('_', " ")));
        }
        table.add_row(flat.map(|(_, value)| cell(value)));
        for (name, value) in fields.iter().filter(|(_, value)| is_nested(value)) {
            let title = fields.get("name").map(plain).unwrap_or_default();
            nested += &format!("\n{title} {name}:\n{}", render(value));
        }
    }
    format!("{table}{nested}")
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Array(rows) if rows.iter().any(Value::is_object))
}

fn cell(value: &Value) -> Cell {
    let cell = Cell::new(plain(value));
    if value.is_number() { cell.set_alignment(CellAlignment::Right) } else { cell }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_tables_and_numbers_stand_right() {
        let text = render(&json!([
            {"name": "ce-1", "rx_frames": 5, "state": "up"},
            {"name": "a-long-name", "rx_frames": 12345, "state": "down"},
        ]));
        assert!(text.contains("rx frames"));
        let lines: Vec<&str> =
            text.lines().filter(|line| line.contains("up") || line.contains("down")).collect();
        assert!(lines[0].contains("      5"), "{text}");
        assert!(lines[1].contains("  12345"), "{text}");
    }

    #[test]
    fn objects_are_lines_and_their_lists_follow_as_tables() {
        let text = render(&json!({"uptime_s": 3, "drops": [{"reason": "no_route", "packets": 1}]}));
        assert!(text.contains("uptime_s        3"), "{text}");
        assert!(text.contains("drops:\n"), "{text}");
        assert!(text.contains("no_route"), "{text}");
    }
}
