//! Texts as such: many errors at once, broken TOML, anything at all, and the document of the keys.

use proptest::prelude::*;

use super::{LAB, TWO, lab_with, refused, shown};
use crate::config::schema;
use crate::config::{load, parse};

#[test]
fn every_error_is_found_in_one_run() {
    let text = lab_with("\"1 Gbps\"", "\"3 Gbps\"")
        .replace("s_tag            = 1001", "stag             = 1001")
        .replace("vlan             = 300", "vlan             = 5000")
        .replace("port = \"ce-2\", c_tag = 200", "port = \"ce-3\", c_tag = 200")
        .replace("\"10.10.255.0/27\"", "\"10.10.255.0/29\"")
        .replace("priority          = 100", "priority          = true");
    let report = refused(&text);
    assert_eq!(report.problems().len(), 6, "{}", shown(&report));
    insta::assert_snapshot!(shown(&report));
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    let report = refused(&lab_with("vlan             = 200", "vlan = = 200"));
    assert_eq!(report.problems()[0].line(), super::line_of(LAB, "vlan             = 200"));
}

#[test]
fn depth_is_refused_and_not_followed() {
    for open in ["a = ", "[a]\nb = "] {
        assert!(parse("deep", &format!("{open}{}", "[".repeat(50_000))).is_err());
        assert!(parse("deep", &format!("{open}{}", "{a=".repeat(50_000))).is_err());
    }
    assert!(parse("deep", &format!("[{}a]", "a.".repeat(50_000))).is_err());
    assert!(parse("deep", &format!("{}a = 1", "a.".repeat(50_000))).is_err());
}

#[test]
fn an_empty_text_is_a_configuration_of_nothing() {
    assert_eq!(super::accepted("").model, crate::model::Model::default());
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let report = load(std::path::Path::new("/nowhere/lab.toml")).unwrap_err();
    assert_eq!(report.to_string(), "cannot read /nowhere/lab.toml");
}

#[test]
fn every_key_is_documented_under_its_table() {
    let document = include_str!("../../../docs/configuration.md");
    for schema in schema::ALL {
        let heading = format!("\n## {}\n", schema.path);
        let (_, section) = document
            .split_once(&heading)
            .unwrap_or_else(|| panic!("docs/configuration.md has no heading {heading:?}"));
        let section = section.split("\n## ").next().unwrap_or_default();
        for key in schema.keys {
            assert!(section.contains(&format!("| `{key}` |")), "{}: {key}", schema.path);
        }
        let rows = section.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, schema.keys.len(), "{} documents keys that are not there", schema.path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = parse("any", &text);
    }

    // Near misses reach deeper than noise: the examples, with pieces cut out and put elsewhere.
    #[test]
    fn no_mangled_example_makes_it_panic(
        two in any::<bool>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..24_usize, any::<prop::sample::Index>()), 1..6),
    ) {
        let mut chars: Vec<char> = if two { TWO } else { LAB }.chars().collect();
        for (from, len, to) in cuts {
            let from = from.index(chars.len());
            let piece: Vec<char> = chars.drain(from..(from + len).min(chars.len())).collect();
            let to = to.index(chars.len());
            chars.splice(to..to, piece);
        }
        let text: String = chars.into_iter().collect();
        if let Err(report) = parse("any", &text) {
            prop_assert!(!report.problems().is_empty());
            prop_assert!(!shown(&report).is_empty());
        }
    }

    // Values of every kind under every key.
    #[test]
    fn no_value_makes_it_panic(
        line in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            "0", "-1", "9223372036854775807", "99999999999999999999", "0x10", "1.5", "true",
            "\"\"", "\"*\"", "\"0.0.0.0/0\"", "\"255.255.255.255/32\"", "\"::/0\"", "\"a\"",
            "[]", "[[]]", "{}", "[{}]", "{ primary = 1 }", "1979-05-27", "nan",
        ]),
    ) {
        let lines: Vec<&str> = LAB.lines().collect();
        let keyed: Vec<usize> = (0..lines.len())
            .filter(|&at| lines[at].contains('=') && !lines[at].starts_with('#'))
            .collect();
        let at = keyed[line.index(keyed.len())];
        let key = lines[at].split('=').next().unwrap_or_default();
        let changed = format!("{key}= {value}");
        let text: Vec<&str> =
            lines.iter().enumerate().map(|(n, line)| if n == at { &*changed } else { *line }).collect();
        if let Err(report) = parse("any", &text.join("\n")) {
            prop_assert!(!shown(&report).is_empty());
        }
    }
}
