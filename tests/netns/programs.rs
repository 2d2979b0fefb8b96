//! The programs whose traffic crosses, and what they report.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use thruway::lab::traffic::kernel_counters;
use thruway::lab::{Netns, Process, wait};

use crate::fixture::{Net, SOON};

/// Longest run of a client.
const RUN: Duration = Duration::from_secs(15);

/// Whether all programs are installed; says which is not, and fails in CI.
pub(crate) fn are_there(needed: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let missing: Vec<_> = needed.iter().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return true;
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "not installed: {missing:?}");
    println!("skipped: not installed: {missing:?}");
    false
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Starts a program inside.
pub(crate) fn start(netns: &Netns, words: &[&str]) -> Process {
    Process::spawn(netns, command(words)).unwrap()
}

/// Runs a program to its end; whether it succeeded, and what it printed.
pub(crate) fn run(netns: &Netns, words: &[&str]) -> (bool, Vec<String>) {
    let process = start(netns, words);
    let status =
        process.wait(RUN).unwrap_or_else(|e| panic!("{words:?}: {e}: {:?}", process.lines()));
    (status.success(), process.lines())
}

/// Runs a program that must succeed.
pub(crate) fn output(netns: &Netns, words: &[&str]) -> Vec<String> {
    let (good, lines) = run(netns, words);
    assert!(good, "{words:?}: {lines:#?}");
    lines
}

/// Echo requests sent and answered, as ping counts them at its end.
pub(crate) fn ping_counts(lines: &[String]) -> (u64, u64) {
    let line = lines.iter().find(|line| line.contains("packets transmitted"));
    let line = line.unwrap_or_else(|| panic!("{lines:#?}"));
    let number = |part: &str| part.split_whitespace().next().unwrap().parse().unwrap();
    let mut parts = line.split(", ");
    (number(parts.next().unwrap()), number(parts.next().unwrap()))
}

/// Pings until one answer comes: neighbours are known then.
pub(crate) fn warm_up(net: &Net, address: &str) {
    output(net.onprem(), &["ping", "-n", "-c", "1", "-w", "5", "-i", "0.2", address]);
}

/// Every echo request is answered. The kernel tells, since ping gives up on what is under way: a
/// flood ends 10 ms behind its last request.
pub(crate) fn ping_all(net: &Net, address: &str, more: &[&str]) {
    let replies = || kernel_counters(net.onprem()).unwrap().icmp_echo_replies;
    let before = replies();
    let words = [&["ping", "-n", "-w", "8"], more, &[address]].concat();
    let (sent, _) = ping_counts(&output(net.onprem(), &words));
    let all = || replies() - before >= sent;
    let answered = wait::until(SOON, Duration::from_millis(5), all);
    assert!(answered, "{words:?}: {sent} sent, {} answered", replies() - before);
}

/// An iperf3 server on an address, for one client.
fn server(net: &Net, address: &str) -> Process {
    let server = start(net.at(address), &["iperf3", "-s", "-1", "--forceflush", "-B", address]);
    server.wait_line("iperf3 to listen", SOON, |line| line.contains("listening")).unwrap();
    server
}

/// iperf3 from on-premises to an address; its report.
pub(crate) fn iperf3(net: &Net, address: &str, more: &[&str]) -> Value {
    let server = server(net, address);
    let words = [&["iperf3", "-J", "-c", address], more].concat();
    let report: Value = serde_json::from_str(&output(net.onprem(), &words).join("\n")).unwrap();
    assert!(report["error"].is_null(), "{words:?}: {}", report["error"]);
    server.wait(SOON).unwrap();
    report
}

/// Bytes that arrived.
pub(crate) fn received(report: &Value) -> u64 {
    report["end"]["sum_received"]["bytes"].as_u64().unwrap()
}

/// Fetches `file`, which the end of `address` serves, with curl; it arrives unchanged.
pub(crate) fn fetch(net: &Net, address: &str, folder: &Path, content: &[u8]) {
    std::fs::write(folder.join("blob"), content).unwrap();
    let dir = folder.to_str().unwrap();
    let serve = ["python3", "-u", "-m", "http.server", "8080", "-b", address, "-d", dir];
    let server = start(net.at(address), &serve);
    server.wait_line("the server", SOON, |line| line.contains("Serving HTTP")).unwrap();
    let url = format!("http://{address}:8080/blob");
    let to = folder.join("fetched");
    let to = to.to_str().unwrap();
    output(net.onprem(), &["curl", "-sS", "--fail", "--max-time", "10", "-o", to, &url]);
    assert!(std::fs::read(to).unwrap() == content, "{url} arrived changed");
    server.kill().unwrap();
}
