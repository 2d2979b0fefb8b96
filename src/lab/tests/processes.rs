//! Child processes: this test program itself, told to run one of the ignored tests below.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use super::{SOON, lab};
use crate::lab::process::{die_with_parent, own_program};
use crate::lab::{LabError, Process, wait};

fn child(test: &str) -> Command {
    let test = format!("lab::tests::processes::{test}");
    own_program(["--ignored", "--exact", "--nocapture", "--test-threads=1", &test]).unwrap()
}

/// The process of that id runs; a zombie does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn linger() {
    wait::until(Duration::from_secs(30), Duration::from_secs(30), || false);
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_lingers() {
    die_with_parent().unwrap();
    let netns = fs::read_link("/proc/thread-self/ns/net").unwrap();
    println!("ready in {}", netns.display());
    linger();
}

#[test]
#[ignore = "a child of the tests below"]
fn child_with_a_child() {
    let Some(mut lab) = lab() else { return };
    let netns = lab.netns("inner").unwrap();
    let process = lab.spawn("child", &netns, child("child_that_lingers")).unwrap();
    process.wait_line("the child", SOON, |line| line.contains("ready in")).unwrap();
    println!("grandchild {}", process.id());
    linger();
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_fails() {
    eprintln!("the reason is on stderr");
    std::process::exit(7);
}

#[test]
fn a_process_runs_inside_speaks_and_ends_when_asked() {
    let Some(mut lab) = lab() else { return };
    let netns = lab.netns("a").unwrap();
    let process = Process::spawn(&netns, child("child_that_lingers")).unwrap();
    let line = process.wait_line("ready", SOON, |line| line.contains("ready in")).unwrap();
    let inside = netns.run(|| fs::read_link("/proc/thread-self/ns/net")).unwrap().unwrap();
    assert!(line.ends_with(&*inside.to_string_lossy()), "{line}");
    assert!(runs(&process.id().to_string()));
    let error = process.wait_line("more", Duration::from_millis(20), |_| false).unwrap_err();
    assert!(matches!(error, LabError::Timeout { .. }));
    let status = process.terminate(SOON).unwrap();
    assert_eq!(status.signal(), Some(15));
    assert_eq!(process.terminate(SOON).unwrap(), status, "once is enough");
}

#[test]
fn a_process_that_fails_is_quoted() {
    let Some(mut lab) = lab() else { return };
    let netns = lab.netns("a").unwrap();
    let process = Process::spawn(&netns, child("child_that_fails")).unwrap();
    let error = process.wait_line("ready", SOON, |line| line == "ready").unwrap_err().to_string();
    assert!(error.contains("exit status: 7") && error.contains("on stderr"), "{error}");
    let missing = Process::spawn(&netns, Command::new("/no/such/program")).unwrap_err();
    assert!(missing.to_string().contains("/no/such/program"), "{missing}");
}

#[test]
fn a_dropped_process_and_a_dropped_lab_leave_nobody() {
    let Some(mut lab) = lab() else { return };
    let netns = lab.netns("a").unwrap();
    let dropped = Process::spawn(&netns, child("child_that_lingers")).unwrap();
    let kept = lab.spawn("kept", &netns, child("child_that_lingers")).unwrap();
    let pids = [dropped.id().to_string(), kept.id().to_string()];
    assert!(pids.iter().all(|pid| runs(pid)));
    drop(dropped);
    assert!(!runs(&pids[0]));
    let ends = lab.close();
    assert_eq!(ends[0].1.as_ref().unwrap().signal(), Some(15));
    assert!(!runs(&pids[1]));
}

#[test]
fn a_killed_lab_takes_its_processes_along() {
    let Some(mut lab) = lab() else { return };
    let netns = lab.netns("outer").unwrap();
    let middle = Process::spawn(&netns, child("child_with_a_child")).unwrap();
    let line = middle.wait_line("grandchild", SOON, |line| line.contains("grandchild ")).unwrap();
    let grandchild = line.rsplit(' ').next().unwrap().to_owned();
    assert!(runs(&grandchild));
    middle.kill().unwrap();
    assert!(wait::until(SOON, Duration::from_millis(5), || !runs(&grandchild)));
}
