//! The whole reader: examples that are accepted, and rules that are not.

mod accepted;
mod rules;
mod text;

use super::{Loaded, Report, parse};

const LAB: &str = include_str!("../../docs/examples/lab.toml");
const TWO: &str = include_str!("../../docs/examples/two-processes.toml");

fn accepted(text: &str) -> Loaded {
    parse("lab.toml", text).unwrap_or_else(|report| panic!("{}", shown(&report)))
}

fn refused(text: &str) -> Report {
    match parse("lab.toml", text) {
        Err(report) => report,
        Ok(_) => panic!("accepted"),
    }
}

/// The lab with one passage replaced, and the line on which `at` stands then.
fn lab_with(from: &str, to: &str) -> String {
    assert_eq!(LAB.matches(from).count(), 1, "{from:?} is once in the lab");
    LAB.replacen(from, to, 1)
}

fn line_of(text: &str, at: &str) -> usize {
    let offset = text.find(at).unwrap_or_else(|| panic!("{at:?} is in the text"));
    text[..offset].matches('\n').count() + 1
}

/// The report as a terminal without colours shows it.
fn shown(report: &dyn miette::Diagnostic) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_links(false)
        .with_width(100)
        .without_syntax_highlighting()
        .render_report(&mut text, report)
        .expect("a string takes everything");
    text
}
