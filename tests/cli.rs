//! The commands as a user types them, where they need no network.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use thruway::io::pcap::{Reader, Writer};
use thruway::time::Now;
use thruway::wire::build::arp;
use thruway::wire::eth::MacAddr;
use thruway::wire::vlan::TagStack;
use thruway::wire::{arp as op, show};

#[path = "cli/captures.rs"]
mod captures;
#[path = "cli/dissect.rs"]
mod dissect;
#[path = "cli/hostile.rs"]
mod hostile;

fn thruway(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thruway"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Errors are wrapped to the terminal's width: one line again.
fn error(output: &Output) -> String {
    let text = text(&output.stderr);
    text.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty()).fold(
        String::new(),
        |line, word| if line.is_empty() { word.to_owned() } else { line + " " + word },
    )
}

#[test]
fn the_example_files_are_right_for_every_role() {
    let both = ["all", "provider", "microsoft"];
    for (file, roles) in [("lab.toml", &both[..1]), ("two-processes.toml", &both[1..])] {
        for role in roles {
            let path = format!("docs/examples/{file}");
            let output = thruway(&["check", &path, "--role", role]);
            assert!(output.status.success(), "{file} as {role}: {}", text(&output.stderr));
            assert!(text(&output.stdout).contains("is right"), "{}", text(&output.stdout));
        }
    }
}

#[test]
fn an_xdp_port_in_a_user_namespace_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("lab.toml"), folder.path().join("api.sock"));
    let port = "[[port]]\nname = \"p\"\nxdp = \"lo\"\nallow = \"host-interface\"\n";
    std::fs::write(&file, port).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", env!("CARGO_BIN_EXE_thruway"), "run"]);
    let output = command.arg(&file).arg("--api").arg(&socket).output();
    let Ok(output) = output else { return println!("skipped: no unshare") };
    let error = error(&output);
    if error.contains("unshare failed") {
        return println!("skipped: {error}");
    }
    assert!(error.contains("CAP_BPF"), "{error}");
    assert!(error.contains("use `packet = \"lo\"`"), "{error}");
    assert!(!output.status.success());
}

#[test]
fn a_file_with_mistakes_is_refused_with_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    let good = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/lab.toml"),
    )
    .unwrap();
    let bad = good
        .replace("sku = \"ErGw3AZ\"", "sku = \"ErGw9\"")
        .replace("vlan             = 200", "vlan             = 5000");
    assert_ne!(good, bad);
    std::fs::write(&path, bad).unwrap();
    let output = thruway(&["check", path.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = error(&output);
    for words in ["2 errors", "`vlan` is 5000", "`vlan` is 1 to 4094", "ErGw9", "ErGwScale"] {
        assert!(error.contains(words), "no `{words}` in: {error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = thruway(&["run", "no-such-file.toml"]);
    assert!(!output.status.success());
    assert!(error(&output).contains("cannot read no-such-file.toml"), "{}", error(&output));
}

#[test]
fn show_says_how_to_get_something_to_show() {
    let output = thruway(&["show", "status", "--socket", "/nonexistent/thruway.sock"]);
    assert!(!output.status.success());
    let error = error(&output);
    assert!(error.contains("cannot reach thruway at /nonexistent/thruway.sock"), "{error}");
    assert!(error.contains("thruway run FILE"), "{error}");
}

#[test]
fn run_refuses_an_interface_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ports.toml");
    let config = "[[port]]\nname = \"a\"\npacket = \"tw-none0\"\n\
        [vnet.v]\nregion = \"West Europe\"\naddress_space = [\"10.0.0.0/16\"]\n\
        subnets = { s = { prefix = \"10.0.1.0/24\", port = \"a\" } }\n";
    std::fs::write(&path, config).unwrap();
    let api = folder.path().join("api.sock");
    let output = thruway(&["run", path.to_str().unwrap(), "--api", api.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = error(&output);
    assert!(error.contains("port a"), "{error}");
    assert!(!api.exists(), "a socket was left behind");
}

/// A capture of one ARP request of the customer's router for the edge's address.
fn request(path: &Path) {
    let mut capture = Writer::create(path).expect("a fresh folder");
    let interface = capture.interface("ce-1").expect("a name");
    let (router, edge) = (Ipv4Addr::new(172, 16, 0, 1), Ipv4Addr::new(172, 16, 0, 2));
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let frame = arp(op::REQUEST, mac, router, MacAddr::ZERO, edge);
    let frame = frame.tags(TagStack::single(200)).build();
    capture.write(interface, Now(1_000_000_000), &frame).expect("room on disk");
    capture.finish().expect("room on disk");
}

#[test]
fn replay_gives_the_same_bytes_for_any_workers_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.pcapng");
    request(&input);
    let input = format!("ce-1={}", input.display());
    let replayed = |workers: &str, batch: &str| {
        let out = folder.path().join(format!("out-{workers}-{batch}"));
        let output = thruway(&[
            "replay",
            "docs/examples/lab.toml",
            "--in",
            &input,
            "--out",
            out.to_str().unwrap(),
            "--workers",
            workers,
            "--batch",
            batch,
            "--json",
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        (std::fs::read(out.join("ce-1.pcapng")).unwrap(), out)
    };
    let (first, out) = replayed("1", "1");
    for (workers, batch) in [("1", "64"), ("2", "1"), ("2", "64")] {
        assert_eq!(replayed(workers, batch).0, first, "{workers} workers, batches of {batch}");
    }
    let mut reader = Reader::open(&out.join("ce-1.pcapng")).unwrap();
    let mut lines = Vec::new();
    while let Some(packet) = reader.next().unwrap() {
        lines.push(show::show(packet.bytes));
    }
    let answered = |line: &String| line.contains("c-tag 200 ARP 172.16.0.2 is at");
    assert!(lines.iter().any(answered), "no answer in {lines:#?}");
}

#[test]
fn replay_says_once_what_is_wrong_with_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = ("docs/examples/lab.toml", folder.path().join("out"));
    let input = "ce-1=no-such.pcapng";
    let output = thruway(&["replay", file, "--in", input, "--out", out.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = error(&output);
    assert!(error.contains("cannot read no-such.pcapng"), "{error}");
    assert_eq!(error.matches("No such file").count(), 1, "{error}");
}

#[test]
fn replay_names_the_ports_that_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.pcapng");
    request(&input);
    let (input, out) = (format!("nope={}", input.display()), folder.path().join("out"));
    let file = "docs/examples/lab.toml";
    let output = thruway(&["replay", file, "--in", &input, "--out", out.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = error(&output);
    assert!(error.contains("nope") && error.contains("ce-1"), "{error}");
}

/// Runs a command whose words nobody reads, as behind `| true`.
fn unread(args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new(env!("CARGO_BIN_EXE_thruway"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(writer)
        .output()
        .expect("the program was built for this test")
}

/// Ended as SIGPIPE would have ended it, without a word.
#[track_caller]
fn assert_quiet(output: &Output) {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), String::new()));
}

#[test]
fn a_command_whose_words_nobody_reads_ends_quietly() {
    // Without advice, which goes to stderr.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    let config = "[[port]]\nname = \"a\"\ntap = \"tw-a\"\n\
        [vnet.v]\nregion = \"West Europe\"\naddress_space = [\"10.0.0.0/16\"]\n\
        subnets = { s = { prefix = \"10.0.1.0/24\", port = \"a\" } }\n";
    std::fs::write(&path, config).unwrap();
    let file = path.to_str().unwrap();
    assert_quiet(&unread(&["check", file]));

    let input = folder.path().join("in.pcapng");
    request(&input);
    let (input, out) = (format!("a={}", input.display()), folder.path().join("out"));
    assert_quiet(&unread(&["dissect", input.trim_start_matches("a=")]));
    let replay = ["replay", file, "--in", &input, "--out", out.to_str().unwrap()];
    assert_quiet(&unread(&replay));
    assert_quiet(&unread(&[&replay[..], &["--json"]].concat()));
    for help in [&["--help"][..], &["show", "--help"], &["--version"]] {
        assert_eq!(text(&unread(help).stderr), "");
    }
}

#[test]
fn show_ends_quietly_when_nobody_reads_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = "[{\"name\": \"ce-1\", \"state\": \"up\"}]";
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all((head + answer).as_bytes()).unwrap();
        }
    });
    let words = ["show", "ports", "--socket", socket.to_str().unwrap()];
    assert!(text(&thruway(&words).stdout).contains("ce-1"));
    assert_quiet(&unread(&words));
    assert_quiet(&unread(&[&words[..], &["--json"]].concat()));
}

#[test]
fn a_closed_stderr_stops_nothing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut check = Command::new(env!("CARGO_BIN_EXE_thruway"));
    check.args(["check", "docs/examples/lab.toml"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = check.stderr(writer).output().unwrap();
    assert!(output.status.success(), "the lab has advice, which nobody reads: {}", output.status);
    assert!(text(&output.stdout).contains("is right"), "{}", text(&output.stdout));
}
