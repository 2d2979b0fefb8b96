use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::bench::example;

/// A file of the package.
fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The published schema.
fn published() -> Value {
    let path = packaged("docs/bench.schema.json");
    serde_json::from_str(&fs_read(&path)).expect("the schema is JSON")
}

fn fs_read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What a validator says of a record.
fn complaints(record: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&published()).expect("the schema is one");
    validator.iter_errors(record).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// A file with these lines.
fn file(lines: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let path = folder.path().join("run.jsonl");
    std::fs::write(&path, lines.join("\n")).expect("there is room for a file");
    (folder, path)
}

fn line(record: &Record) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes, record).expect("the record is whole");
    String::from_utf8(bytes).expect("JSON is UTF-8").trim_end().to_owned()
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let made = settings.into_generator().into_root_schema_for::<Record>().to_value();
    // What it is comes first, for those who open the file.
    let mut schema = json!({
        "$schema": made["$schema"],
        "title": "A record of `thruway bench`: one line of its JSON Lines",
    });
    for (key, value) in made.as_object().expect("a schema of a struct is an object") {
        if key != "title" {
            schema[key] = value.clone();
        }
    }
    let text = format!("{schema:#}\n");
    let path = packaged("docs/bench.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).expect("the documents can be written");
    }
    assert!(
        fs_read(&path) == text,
        "docs/bench.schema.json is stale: UPDATE_DOCS=1 cargo test --lib bench::record writes it"
    );
}

#[test]
fn the_published_schema_is_a_schema() {
    assert!(jsonschema::draft202012::meta::is_valid(&published()));
}

#[test]
fn the_schema_holds_for_every_record() {
    for record in example::records().iter().chain([&example::hostile()]) {
        let value = serde_json::from_str(&line(record)).expect("a line is JSON");
        let name = &record.scenario.name;
        assert_eq!(complaints(&value), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_record() {
    let whole: Value = serde_json::from_str(&line(&example::records()[0])).expect("JSON");
    let changed = |path: &str, to: Value| {
        let mut value = whole.clone();
        *value.pointer_mut(path).unwrap_or_else(|| panic!("records have {path}")) = to;
        complaints(&value)
    };
    assert!(complaints(&whole).is_empty());
    assert!(!changed("/schema", json!("bench/2")).is_empty());
    assert!(!changed("/schema", json!("bench/11")).is_empty());
    assert!(!changed("/trials/0/intended_rate/unit", json!("kpps")).is_empty());
    assert!(!changed("/trials/0/verdict/kind", json!("fine")).is_empty());
    assert!(!changed("/trials/0/frames", json!({"intended": 1})).is_empty());
    assert!(!changed("/result/kind", json!("guess")).is_empty());
    assert!(!complaints(&json!({"schema": "bench/1"})).is_empty());
}

#[test]
fn a_later_minor_version_may_have_fields_that_nobody_knows_yet() {
    let record = &example::records()[4];
    let mut value: Value = serde_json::from_str(&line(record)).expect("JSON");
    value["schema"] = json!("bench/1.3");
    for path in ["", "/scenario", "/trials/0", "/trials/0/frames", "/result", "/result/goals/0"] {
        let object = value.pointer_mut(path).unwrap_or_else(|| panic!("records have {path}"));
        object["of_tomorrow"] = json!({"value": 1});
    }
    assert_eq!(complaints(&value), Vec::<String>::new());
    let (_folder, path) = file(&[&value.to_string()]);
    let expected = Record { schema: "bench/1.3".to_owned(), ..record.clone() };
    assert_eq!(read(&path).expect("it can be read"), [expected]);
}

#[test]
fn what_is_written_is_read_again() {
    let records = example::records();
    let lines: Vec<String> = records.iter().map(line).collect();
    assert!(lines.iter().all(|line| !line.contains('\n')), "a record is one line");
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.insert(1, "");
    let (_folder, path) = file(&lines);
    assert_eq!(read(&path).expect("it can be read"), records);
}

#[test]
fn another_major_version_is_refused_with_its_line() {
    let good = line(&example::records()[0]);
    let (_folder, path) = file(&[&good, r#"{"schema": "bench/2", "all": "new"}"#]);
    let said = read(&path).expect_err("it is another version").to_string();
    assert_eq!(
        said,
        format!(
            "{}, line 2: the record's schema is `bench/2`, and this program reads `bench/1` and \
             `bench/1.x`: read it with the version of thruway that wrote it",
            path.display()
        )
    );
    for schema in ["bench/10", "bench/", "other/1", ""] {
        let (_folder, path) = file(&[&format!(r#"{{"schema": "{schema}"}}"#)]);
        let said = read(&path).expect_err("it is another version").to_string();
        assert!(said.contains(&format!("`{schema}`")), "{said}");
    }
}

#[test]
fn a_broken_record_is_named_by_its_line() {
    let good = line(&example::records()[0]);
    let cut = &good[..good.len() / 2];
    let wrong = good.replacen(r#""value":"#, r#""value":"much","old":"#, 1);
    for (bad, words) in [
        (cut, "ends too early"),
        ("not JSON", "no record"),
        ("[]", "no record"),
        (r#"{"schema": "bench/1"}"#, "missing field `run_id`"),
        (&wrong, "invalid type: string \"much\""),
    ] {
        let (_folder, path) = file(&[&good, "", bad, &good]);
        let said = read(&path).expect_err("a line is broken").to_string();
        let place = format!("{}, line 3: ", path.display());
        assert!(said.starts_with(&place) && said.contains(words), "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let said = read(Path::new("/no/such/run.jsonl")).expect_err("it is not there").to_string();
    assert!(said.starts_with("/no/such/run.jsonl: the file cannot be read: "), "{said}");
}

#[test]
fn numbers_that_json_does_not_have_are_not_written() {
    let mut record = example::records().remove(0);
    record.hiccup.as_mut().expect("examples have one").long_gaps_per_second = f64::NAN;
    let mut bytes = Vec::new();
    let said = write(&mut bytes, &record).expect_err("it could not be read again").to_string();
    assert!(said.contains(&record.scenario.name) && said.contains("null"), "{said}");
    assert!(bytes.is_empty());
}

#[test]
fn a_file_of_the_first_version_can_still_be_read() {
    let records = read(&packaged("tests/data/bench-1.0.jsonl")).expect("it can be read");
    let kinds: std::collections::BTreeSet<_> =
        records.iter().map(|record| crate::bench::digest::Question::of(&record.result)).collect();
    // It could not ask for limits of the service and for route changes yet.
    assert_eq!(kinds.len(), crate::bench::digest::Question::ALL.len() - 2);
    assert!(records.iter().all(|record| record.notes.iter().any(|note| note == example::MADE_UP)));
}

#[test]
fn quantities_have_units_and_digits_that_count() {
    let of = |value, unit| Quantity { value, unit }.to_string();
    for (said, expected) in [
        (of(14_880_952.0, Unit::FramesPerSecond), "14.88 Mpps"),
        (of(1_004_321.0, Unit::FramesPerSecond), "1.004 Mpps"),
        (of(999_960.0, Unit::FramesPerSecond), "1.000 Mpps"),
        (of(148_809_523.0, Unit::FramesPerSecond), "148.8 Mpps"),
        (of(9_001.0, Unit::FramesPerSecond), "9.001 kpps"),
        (of(350.0, Unit::FramesPerSecond), "350 pps"),
        (of(1e9, Unit::BitsPerSecond), "1.000 Gbit/s"),
        (of(412_000.0, Unit::SessionsPerSecond), "412.0 ksessions/s"),
        (of(650_000.0, Unit::UpdatesPerSecond), "650.0 kupdates/s"),
        (of(2112.0, Unit::Bytes), "2.112 kB"),
        (of(4335.2, Unit::Frames), "4335 frames"),
        (of(46.24, Unit::Ticks), "46.2 ticks"),
        (of(58.0, Unit::Ticks), "58 ticks"),
        (of(0.9, Unit::Seconds), "900 ms"),
        (of(0.9996, Unit::Seconds), "1.00 s"),
        (of(12_345.0, Unit::Nanoseconds), "12.3 us"),
        (of(999.9, Unit::Nanoseconds), "1.00 us"),
        (of(21.0, Unit::Nanoseconds), "21 ns"),
        (of(0.0, Unit::Seconds), "0 s"),
        (of(0.9964, Unit::Ratio), "0.996"),
    ] {
        assert_eq!(said, expected);
    }
}
