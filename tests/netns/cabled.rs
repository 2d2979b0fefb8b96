//! Does `thruway bench --tx --rx` measure a forwarder that it knows nothing of? The kernel of
//! another namespace forwards between two wires, as the router of a user's lab would.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use thruway::lab::{Interface, LabError, Netns, Process, veth};

use crate::fixture::{SOON, program};
use crate::questions::read;

/// Longest run of a question.
const RUN: std::time::Duration = std::time::Duration::from_secs(120);

/// A namespace with a tester's two interfaces, and the router's that they are cabled to.
fn lab() -> Option<(Netns, Netns)> {
    let netns = |label: &str| match Netns::new(label) {
        Ok(netns) => {
            netns.silence_ip6().unwrap();
            Some(netns)
        }
        Err(error @ LabError::NotPermitted { .. }) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    };
    let (tester, router) = (netns("tester")?, netns("router")?);
    router.make_router().unwrap();
    for (name, address) in [("east", "198.18.0.1/24"), ("west", "198.19.0.1/24")] {
        let (own, other) = veth((&tester, name), (&router, name)).unwrap();
        other.add_address(address.parse().unwrap()).unwrap();
        up(&own, &other);
    }
    Some((tester, router))
}

fn up(own: &Interface, other: &Interface) {
    for end in [own, other] {
        end.offloads_off().unwrap();
        end.up().unwrap();
    }
    own.wait_carrier(true, SOON).unwrap();
}

/// Asks a question in a namespace; whether it was answered, what it said, and its records.
fn ask(netns: &Netns, words: &[&str]) -> (bool, String, Vec<Value>) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("results.jsonl");
    let mut command = Command::new(program());
    command.arg("bench").args(words).arg("--out").arg(&file);
    let process = Process::spawn(netns, command).unwrap();
    let status = process.wait(RUN).unwrap();
    let records = if file.exists() { read(&file) } else { Vec::new() };
    (status.success(), process.lines().join("\n"), records)
}

const ROUTED: [&str; 8] =
    ["--tx", "east", "--rx", "west", "--tx-gateway", "198.18.0.1", "--rx-gateway", "198.19.0.1"];

#[test]
fn whatever_is_cabled_between_two_interfaces_is_searched_and_judged() {
    let Some((tester, router)) = lab() else { return };
    let search = ["throughput", "--preset", "smoke", "--name", "kernel router"];
    let (good, said, records) = ask(&tester, &[&search[..], &ROUTED].concat());
    assert!(good, "{said}");
    let record = &records[0];
    assert_eq!(record["scenario"]["device"], "kernel router");
    assert_eq!(record["result"]["kind"], "throughput");
    let forwarded = router.interface("west").counters().unwrap().tx_packets;
    let received = |trial: &Value| trial["frames"]["received"].as_u64().unwrap();
    let received: u64 = record["trials"].as_array().unwrap().iter().map(received).sum();
    assert!(received > 0 && received <= forwarded, "{received} of {forwarded}: {said}");
    assert!(record["result"]["verdict"]["kind"].is_string());
}

#[test]
fn a_cabled_forwarder_that_is_not_there_is_told_apart_from_a_slow_one() {
    let Some((tester, router)) = lab() else { return };
    // The router has another address on that side.
    let wrong = ["--tx", "east", "--rx", "west", "--tx-gateway", "198.18.0.77"];
    let (good, said, _) = ask(&tester, &[&["throughput"][..], &wrong].concat());
    assert!(!good && said.contains("198.18.0.77"), "{said}");
    // It answers ARP and forwards nothing.
    router.sysctl("net/ipv4/ip_forward", "0").unwrap();
    let (good, said, _) = ask(&tester, &[&["loss", "--seconds", "0.2"][..], &ROUTED].concat());
    assert!(!good && said.contains("forwards nothing"), "{said}");
}

#[test]
fn two_interfaces_that_are_cabled_to_each_other_calibrate_the_tester() {
    let Some((tester, _router)) = lab() else { return };
    let (a, b) = veth((&tester, "loop-a"), (&tester, "loop-b")).unwrap();
    up(&a, &b);
    let words = ["calibrate", "--tx", "loop-a", "--rx", "loop-b", "--loop"];
    let (good, said, records) = ask(&tester, &words);
    assert!(good, "{said}");
    let calibration = &records[0]["calibration"];
    let rate = |which: &str| calibration[which]["value"].as_f64().unwrap();
    assert!(rate("sent") > 1_000.0 && rate("received") > 1_000.0, "{calibration:#}");
}
