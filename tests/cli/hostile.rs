//! `thruway fuzz-traffic` where it needs no interface, and where it must take none.

use std::path::Path;

use serde_json::Value;
use thruway::io::pcap::Reader;

use super::{error, text, thruway};

/// Runs it without an interface; its summary.
fn dry(file: &Path, more: &[&str]) -> Value {
    let path = file.display().to_string();
    let words = [&["fuzz-traffic", "--dry-run", "--json", "--write", &path], more].concat();
    let output = thruway(&words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("its output is JSON")
}

fn frames(file: &Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(file).expect("it is a capture");
    let mut frames = Vec::new();
    while let Some(packet) = reader.next().expect("it is whole") {
        frames.push(packet.bytes.to_vec());
    }
    frames
}

#[test]
fn a_seed_makes_the_same_capture_each_time_and_the_command_it_tells_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let from = path("first.pcapng").display().to_string();
    dry(&path("first.pcapng"), &["--seed", "1", "--count", "200"]);
    let more = ["--to", "02:00:00:00:01:01/172.16.0.2", "--vlan", "501.200", "--count", "3000"];
    let more = [&["--seed", "7", "--from", &from, "--max-size", "900"][..], &more].concat();
    let summary = dry(&path("a.pcapng"), &more);
    dry(&path("b.pcapng"), &more);
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    assert!(read("a.pcapng") == read("b.pcapng"), "two runs differ");

    let again = summary["again"].as_str().unwrap();
    let words: Vec<&str> = again.split(' ').skip(2).filter(|word| *word != "--dry-run").collect();
    dry(&path("c.pcapng"), &words);
    assert!(read("a.pcapng") == read("c.pcapng"), "`{again}` makes others");

    dry(&path("d.pcapng"), &[&more[..], &["--seed", "8"]].concat()[2..]);
    assert!(read("a.pcapng") != read("d.pcapng"), "another seed makes the same");

    let made: Vec<&Value> = summary["made"].as_array().unwrap().iter().collect();
    let sum: u64 = made.iter().map(|kind| kind["frames"].as_u64().unwrap()).sum();
    let all = frames(&path("a.pcapng"));
    assert!(made.len() == 7 && sum == 3000 && all.len() == 3000, "{summary:#}");
    assert!(all.iter().all(|frame| (14..=900).contains(&frame.len())));
}

#[test]
fn a_run_has_no_more_frames_than_rate_and_time_allow() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    let more = ["--seed", "1", "--rate", "1000", "--for", "2s", "--count", "1000000"];
    dry(&file, &more);
    assert_eq!(frames(&file).len(), 2000);
}

#[test]
fn an_interface_of_the_host_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    let path = file.display().to_string();
    let output = thruway(&["fuzz-traffic", "lo", "--count", "1", "--write", &path]);
    let error = error(&output);
    if error.contains("CAP_NET_ADMIN") {
        return println!("skipped: {error}");
    }
    assert!(!output.status.success());
    assert!(error.contains("`lo` has the address 127.0.0.1"), "{error}");
    assert!(error.contains("--allow-host-interface"), "{error}");
    assert!(!file.exists());
}

#[test]
fn what_cannot_be_is_said_with_the_way_out() {
    for (words, expected) in [
        (&["--kinds", "mutated", "--dry-run"][..], "name a capture with --from"),
        (&["--kinds", "magic", "--dry-run"], "the kinds are mutated, grammar"),
        (&["--max-size", "59", "--dry-run"], "from 60 to"),
        (&["--rate", "0", "--dry-run"], "1..="),
        (&["--to", "nobody", "--dry-run"], "a MAC address is six bytes in hex"),
        (&["--vlan", "4096", "--dry-run"], "OUTER.INNER"),
        (&[], "INTERFACE"),
    ] {
        let output = thruway(&[&["fuzz-traffic", "--count", "1"][..], words].concat());
        let error = error(&output);
        assert!(!output.status.success() && error.contains(expected), "{words:?}: {error}");
    }
}
