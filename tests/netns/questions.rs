//! Does `thruway bench` answer as it is asked? Its rates are not judged here, since tests share
//! their machine; that every frame is accounted for, and that results can be read again, is.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::program;

/// Asks a question; returns the records that it wrote.
pub(crate) fn ask(words: &[&str]) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("results.jsonl");
    let done =
        Command::new(program()).arg("bench").args(words).arg("--out").arg(&file).output().unwrap();
    let said = [done.stderr, done.stdout].concat();
    assert!(done.status.success(), "bench {words:?}: {}", String::from_utf8_lossy(&said));
    let records = read(&file);
    for record in &records {
        for trial in record["trials"].as_array().unwrap() {
            let missing = &trial["unaccounted"];
            assert!(missing.is_null() || missing == 0, "{words:?}: {trial:#}");
            let frames = &trial["frames"];
            for kind in ["corrupt", "duplicates", "foreign"] {
                assert_eq!(frames[kind], 0, "{words:?}, {kind}: {trial:#}");
            }
        }
    }
    report(&file, folder.path());
    records
}

pub(crate) fn read(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Results make a report that needs nothing else.
fn report(file: &Path, folder: &Path) {
    let page = folder.join("report.html");
    let done = Command::new(program())
        .args(["bench", "report"])
        .arg(file)
        .arg("--output")
        .arg(&page)
        .status()
        .unwrap();
    assert!(done.success());
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.contains("<svg") && !text.contains("src=\"http"));
}

#[test]
fn a_throughput_on_each_medium_accounts_for_every_frame() {
    for medium in ["ring", "veth", "tap"] {
        let words = ["throughput", "--preset", "smoke", "--medium", medium, "--way", "fastpath"];
        let records = ask(&words);
        let result = &records[0]["result"];
        assert_eq!(result["kind"], "throughput", "{medium}");
        assert!(!records[0]["trials"].as_array().unwrap().is_empty());
        // The lines that the rate is held against.
        assert!(result["lines"]["nominal"]["value"].as_f64().unwrap() > 1e6, "{medium}");
        assert!(result["lines"]["medium"]["value"].as_f64().unwrap() > 0.0, "{medium}");
    }
}

#[test]
fn latency_through_nat_is_told_from_due_time_and_from_departure() {
    let words = ["latency", "--medium", "veth", "--way", "nat", "--throughput", "20000"];
    let records = ask(&[&words[..], &["--seconds", "0.3", "--flows", "1000"]].concat());
    let points = records[0]["result"]["points"].as_array().unwrap();
    assert_eq!(points.len(), 4);
    for point in points {
        let p50 = |which: &str| point[which]["spread"]["p50"]["value"].as_f64().unwrap();
        assert!(p50("intended") >= p50("actual"), "{point:#}");
    }
}

#[test]
fn a_cut_link_stops_some_flows_for_a_while_and_the_others_not_at_all() {
    let words = ["failover", "--medium", "veth", "--repeats", "5", "--seconds", "2"];
    let records = ask(&words);
    let runs = records[0]["result"]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 5);
    let flow = |run: &Value, at: usize| run["by_flow"][at]["value"].as_f64().unwrap();
    for run in runs {
        assert_eq!(flow(run, 0), 0.0, "a flow on the other link: {run:#}");
        assert!(flow(run, 3) < 0.5, "the flow that suffered most: {run:#}");
    }
    // Links are looked at each 20 ms. A cut just before the look costs no frame, as does one
    // while a busy machine lets the forwarder sleep: it looks first when it wakes.
    assert!(runs.iter().any(|run| flow(run, 3) > 0.0), "a cut that no flow felt: {runs:#?}");
}

#[test]
fn the_kernel_is_compared_on_the_same_frames() {
    let words = ["compare", "--medium", "veth", "--hand-over", "Untagged", "--peer", "kernel"];
    let records = ask(&[&words[..], &["--pairs", "2", "--seconds", "0.2"]].concat());
    let result = &records[0]["result"];
    assert_eq!(result["pairs"].as_array().unwrap().len(), 2);
    assert!(result["ratio"].as_f64().unwrap() > 0.0);
    assert_eq!((&result["a"], &result["b"]), (&Value::from("kernel"), &Value::from("thruway")));
}

#[test]
fn a_scale_leaves_out_what_this_machine_cannot_show_and_says_so() {
    let words = ["scale", "--axis", "workers", "--at", "1,999", "--preset", "smoke"];
    let records = ask(&[&words[..], &["--medium", "ring"]].concat());
    let points = records[0]["result"]["points"].as_array().unwrap();
    assert_eq!(points.len(), 1, "{points:#?}");
    let notes = records[0]["notes"].as_array().unwrap();
    let said = |note: &Value| note.as_str().unwrap().starts_with("workers 999: not shown here");
    assert!(notes.iter().any(said), "{notes:#?}");
}

#[test]
fn sessions_are_an_axis() {
    let words = ["scale", "--medium", "memory", "--axis", "sessions", "--way", "nat"];
    let records = ask(&[&words[..], &["--limits", "ample", "--at", "2000"]].concat());
    assert_eq!(records[0]["result"]["axis"], "sessions");
    assert_eq!(records[0]["result"]["points"][0]["at"], 2000.0);
}

#[test]
fn sessions_are_opened_and_found_again() {
    let words = ["sessions", "--medium", "ring", "--way", "nat", "--flows", "2000"];
    let records = ask(&words);
    let result = &records[0]["result"];
    if result["establishment"].is_null() {
        // A machine too busy for a thousand sessions a second; the accounts were checked.
        return;
    }
    let [opened, found] = [0, 1].map(|at| result["capacity"][0][at].as_u64().unwrap());
    assert_eq!(opened, 2000);
    assert!(found <= opened);
}

#[test]
fn routes_change_under_load_and_the_table_is_right_afterwards() {
    let words = ["churn", "--routes", "30000", "--load", "20000", "--pairs", "2"];
    let records = ask(&[&words[..], &["--seconds", "0.2"]].concat());
    let result = &records[0]["result"];
    assert_eq!(result["kind"], "churn");
    let runs = result["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert!(run["updates"]["value"].as_f64().unwrap() > 0.0, "{result:#}");
        assert!(run["compared"].as_u64().unwrap() > 10_000 && run["differing"] == 0, "{result:#}");
    }
}

#[test]
fn two_workers_are_measured_beside_each_other() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return;
    }
    let records = ask(&["cost", "--workers", "2", "--flows", "2000", "--way", "nat"]);
    let abreast = &records[0]["result"]["abreast"];
    assert_eq!((&records[0]["scenario"]["workers"], &abreast["workers"]), (&2.into(), &2.into()));
    assert!(abreast["ratio"].as_f64().unwrap() > 0.0, "{abreast:#}");
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_way_out() {
    let refused = |words: &[&str], says: &str| {
        let done = Command::new(program()).arg("bench").args(words).output().unwrap();
        // A sentence may be broken into lines.
        let said = String::from_utf8_lossy(&done.stderr).replace('│', " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!done.status.success() && said.contains(says), "{words:?}: {said}");
    };
    refused(&["throughput", "--medium", "memory"], "bench cost");
    refused(&["throughput", "--medium", "ring", "--device", "kernel"], "on veth");
    refused(&["compare", "--medium", "veth", "--peer", "kernel", "--pairs", "1"], "Untagged");
    refused(&["limits", "--medium", "veth", "--way", "nat"], "no limit of the service holds");
    refused(&["limits", "--gateway", "ErGw1AZ"], "ErGw1AZ has no FastPath");
    refused(&["limits", "--gateway", "ErGwScale:41"], "1 to 40 units");
    refused(&["compare", "--medium", "memory", "--figure", "latency"], "ring, veth or tap");
    refused(&["scale", "--axis", "sessions"], "has no sessions");
    refused(&["throughput", "--way", "sideways"], "fastpath, gateway, nat");
    refused(
        &["throughput", "--medium", "veth", "--way", "gateway", "--size", "1518"],
        "bytes at most",
    );
    refused(&["failover", "--medium", "ring"], "--medium veth");
    refused(&["churn", "--medium", "veth"], "on the media ring and memory");
    refused(&["churn", "--medium", "memory", "--load", "1000"], "whatever the load");
    refused(&["churn", "--way", "nat"], "on the way fastpath");
    refused(&["cost", "--workers", "1000"], "1000 workers need a core each");
}

#[test]
fn tcp_of_programs_crosses_on_every_medium_and_is_compared() {
    if !crate::programs::are_there(&["iperf3", "nft", "ping"]) {
        return;
    }
    for (words, names) in [
        (&["--peer", "null"][..], ["null on tap", "thruway on tap"]),
        (&["--medium", "veth", "--reverse"], ["kernel on veth", "thruway on veth"]),
        (&["--medium", "veth", "--peer", "null"], ["null on veth", "thruway on veth"]),
    ] {
        let how = ["tcp", "--pairs", "1", "--most-pairs", "1", "--seconds", "1"];
        let result = ask(&[&how[..], words].concat())[0]["result"].take();
        assert_eq!([&result["a"], &result["b"]], names, "{result:#}");
        let pair = &result["pairs"][0];
        // A thousandth of what a machine of today does: something crossed.
        assert!((0..2).all(|side| pair[side].as_f64().unwrap() > 1e7), "{result:#}");
    }
}
