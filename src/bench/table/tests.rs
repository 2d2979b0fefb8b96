use textwrap::core::display_width;

use super::*;
use crate::bench::example;

const PLAIN: Look = Look { width: 100, color: false };

#[test]
fn no_line_is_wider_than_it_may_be() {
    for width in [60, 80, 100] {
        let mut records = example::records();
        records.push(example::hostile());
        let text = render(&records, Look { width, color: false });
        for line in text.lines() {
            assert!(display_width(line) <= width, "{} > {width}: {line}", display_width(line));
        }
    }
}

#[test]
fn every_record_has_a_row_with_figure_and_verdict() {
    let records = example::records();
    let text = render(&records, PLAIN);
    for record in &records {
        let digest = digest(record);
        assert!(text.contains(&record.scenario.name), "{text}");
        let row = text
            .lines()
            .any(|line| line.contains(&record.scenario.name) && line.contains(&digest.figure));
        assert!(row, "{}\n{text}", digest.figure);
    }
    assert!(text.contains("62 % medium"), "{text}");
    assert!(text.contains("1 of 4"), "{text}");
}

#[test]
fn only_verdicts_that_are_not_ok_have_sentences() {
    let records = example::records();
    let text = render(&records, PLAIN);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut said = 0;
    for record in &records {
        let judged = digest(record).judged;
        let head = format!("{} ({}), ", record.scenario.name, record.scenario.device);
        for why in judged.iter().flat_map(|judged| &judged.whys) {
            assert!(words.contains(&head) && words.contains(why.as_str()), "{why}");
            said += 1;
        }
    }
    assert!(said > 5);
    let fine: Vec<Record> = records
        .into_iter()
        .filter(|r| digest(r).judged.is_none_or(|j| j.whys.is_empty()))
        .collect();
    let text = render(&fine, PLAIN);
    assert!(!text.contains("the limit was") && text.contains("Failover"), "{text}");
}

#[test]
fn colours_come_only_where_they_may() {
    let records = example::records();
    assert!(!render(&records, PLAIN).contains('\u{1b}'));
    assert!(render(&records, Look { color: true, ..PLAIN }).contains("\u{1b}["));
}

#[test]
fn names_cannot_command_the_terminal() {
    let text = render(&[example::hostile()], PLAIN);
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn no_records_make_no_table() {
    assert_eq!(render(&[], PLAIN), "");
}
