//! `thruway demo` as a user runs it: everything holds, and nothing is left behind, whether it ends
//! or is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use thruway::lab::{Lab, wait};

/// How long things may take to vanish.
const SOON: Duration = Duration::from_secs(5);

fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thruway"));
    command.arg("demo").args(args).stdin(Stdio::null());
    command
}

/// Whether there can be a lab here; prints why not.
fn possible() -> bool {
    let lab = Lab::new().map(drop).map_err(|error| error.to_string());
    let tun = fs::File::options().read(true).write(true).open("/dev/net/tun");
    let tun = tun.map(drop).map_err(|error| format!("/dev/net/tun: {error}"));
    let possible = lab.and(tun);
    if let Err(reason) = &possible {
        println!("skipped: {reason}");
    }
    possible.is_ok()
}

/// Where the files of a demo with this process id are: in memory, below its descriptors.
fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/fd"))
}

/// Nothing of a demo may be left on disk, not even for a while.
#[track_caller]
fn assert_no_trace(pid: u32) {
    let path = Path::new("/tmp").join(format!("thruway-demo-{pid}"));
    assert!(!path.exists(), "{} is there", path.display());
}

/// Processes that were started by a demo with this folder: their command line names it.
fn processes(folder: &Path) -> BTreeSet<u32> {
    let name = folder.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&name)
    })
    .collect()
}

fn vanish(folder: &Path) {
    let gone = wait::until(SOON, Duration::from_millis(20), || processes(folder).is_empty());
    assert!(gone, "still running: {:?}", processes(folder));
}

/// Ends the demo when a test fails before it did.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_proof_holds_and_nothing_is_left() {
    if !possible() {
        return;
    }
    let child = demo(&["--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, folder) = (child.id(), folder(child.id()));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}; it printed {text:?} and {errors}"));
    let proofs = report["proofs"].as_array().unwrap();
    for proof in proofs {
        println!("{} {} ({})", proof["ok"], proof["name"], proof["figure"]);
        assert_eq!(proof["ok"], true, "{proof:#}");
        assert!(proof["seconds"].as_f64().is_some() && proof["figures"].is_object());
    }
    let names: BTreeSet<&str> = proofs.iter().filter_map(|proof| proof["name"].as_str()).collect();
    assert_eq!(names.len(), proofs.len(), "names are unique");
    for name in ["private_peering", "fastpath", "microsoft_nat", "link_cut", "accounting"] {
        assert!(names.contains(name), "{name} is not proved");
    }
    assert_eq!(report["ok"], true);
    assert!(output.status.success(), "{}", output.status);
    vanish(&folder);
    assert_no_trace(pid);
}

#[test]
fn a_killed_demo_takes_its_lab_with_it() {
    if !possible() {
        return;
    }
    let mut guard = Guard(demo(&[]).stdout(Stdio::piped()).spawn().unwrap());
    let folder = folder(guard.0.id());
    let lines = BufReader::new(guard.0.stdout.take().unwrap()).lines();
    // The first proof is out: it is half-way.
    let reached = lines.map_while(Result::ok).any(|line| line.trim_start().starts_with("ok "));
    assert!(reached, "it ended before the first proof");
    assert_eq!(processes(&folder).len(), 2, "the provider's process and Microsoft's");
    assert_no_trace(guard.0.id());
    guard.0.kill().unwrap();
    guard.0.wait().unwrap();
    vanish(&folder);
    assert_no_trace(guard.0.id());
}

#[test]
fn a_demo_that_nobody_reads_any_more_ends_quietly_and_takes_its_lab_with_it() {
    if !possible() {
        return;
    }
    let child = demo(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut guard = Guard(child);
    let folder = folder(guard.0.id());
    let mut first = String::new();
    let mut reader = BufReader::new(guard.0.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    assert!(first.starts_with("thruway "), "{first}");
    drop(reader);
    let mut errors = String::new();
    guard.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = guard.0.wait().unwrap();
    assert_eq!((status.code(), errors.as_str()), (Some(141), ""), "as SIGPIPE ends a program");
    vanish(&folder);
    assert_no_trace(guard.0.id());
}

/// Nobody, on Linux.
const NOBODY: u32 = 65_534;

#[test]
fn an_unprivileged_user_s_demo_runs_in_a_user_namespace() {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root || !possible() {
        println!("skipped: only root can become somebody else");
        return;
    }
    // Where nobody may read it.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("thruway");
    fs::copy(env!("CARGO_BIN_EXE_thruway"), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["demo", "--json"]).uid(NOBODY).gid(NOBODY).current_dir("/");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("the demo cannot run here") {
        println!("skipped: {errors}");
        return;
    }
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}; it said {errors}"));
    let proofs = report["proofs"].as_array().unwrap();
    let broken: Vec<_> = proofs.iter().filter(|proof| proof["ok"] != true).collect();
    assert!(output.status.success() && broken.is_empty(), "{broken:#?}");
}
