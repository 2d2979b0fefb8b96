//! The commands as a user types them, where they need no network.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use thruway::io::pcap::{Reader, Writer};
use thruway::lab::wait;
use thruway::time::Now;
use thruway::wire::build::{Packet, TcpFields, arp};
use thruway::wire::eth::MacAddr;
use thruway::wire::vlan::TagStack;
use thruway::wire::{arp as op, show};

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

/// Ends a running thruway when a test fails before it did.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guard {
    /// Asks it to end, and gives its exit code and what it logged.
    fn end(mut self) -> (Option<i32>, String) {
        let id = i32::try_from(self.0.id()).expect("ids are small");
        let pid = rustix::process::Pid::from_raw(id).expect("no process has the id 0");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let mut log = String::new();
        let mut stderr = self.0.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut log).expect("logs are text");
        (self.0.wait().expect("it is a child").code(), log)
    }
}

/// The documents' lab with captures in place of its devices, files in `folder`: on the access port
/// `input` is read at this pace.
fn lab_of_captures(folder: &Path, input: &Path, pace: &str) -> std::path::PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/lab.toml");
    let mut text = std::fs::read_to_string(path).expect("the lab is there");
    for port in ["ce-1", "ce-2", "hub", "spoke", "m365"] {
        let out = folder.join(format!("{port}.pcapng")).display().to_string();
        let read = format!("in = \"{}\", pace = \"{pace}\", ", input.display());
        let read = if port == "ce-1" { read } else { String::new() };
        let tap = format!("tap  = \"tw-{port}\"");
        assert_eq!(text.matches(&tap).count(), 1, "{tap}");
        text = text.replace(&tap, &format!("pcap = {{ {read}out = \"{out}\" }}"));
    }
    // Nobody answers ARP behind a capture.
    let nic = "ip = \"10.10.1.4\"";
    text = text.replace(nic, &format!("{nic}\nmac = \"02:00:00:00:00:99\""));
    let file = folder.join(format!("{pace}.toml"));
    std::fs::write(&file, text).expect("the folder can be written");
    file
}

/// The packets of a capture that may be being written: it may not be there, or end in one.
fn packets(path: &Path) -> Vec<(Now, Vec<u8>)> {
    let Ok(mut reader) = Reader::open(path) else { return Vec::new() };
    let mut all = Vec::new();
    while let Ok(Some(packet)) = reader.next() {
        all.push((packet.at, packet.bytes.to_vec()));
    }
    all
}

#[test]
fn captures_cross_a_running_thruway_at_their_pace_or_at_once() {
    let edge = MacAddr([2, 0, 0, 0, 0, 0]);
    for (pace, apart) in [("capture", 20_000_000), ("none", 3_600_000_000_000)] {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.pcapng");
        let file = lab_of_captures(folder.path(), &input, pace);
        // The edge's MAC address on the link is the one that thruway derives: it is asked first.
        let mac = edge_mac(&file, folder.path(), &input, edge);
        let mut capture = Writer::create(&input).unwrap();
        capture.interface("ce-1").unwrap();
        let count = 8;
        for n in 0..count {
            let fields = TcpFields { src: 5000 + n, dst: 80, flags: 2, ..TcpFields::default() };
            let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).tcp(fields, b"");
            let frame = packet.eth(MacAddr([2, 0, 0, 0, 0, 1]), mac).tags(TagStack::single(200));
            capture.write(0, Now(apart * u64::from(n)), &frame.build()).unwrap();
        }
        capture.finish().unwrap();

        let running = run(&file, folder.path());
        let hub = folder.path().join("hub.pcapng");
        let soon = Duration::from_secs(20);
        let syns = || -> Vec<(Now, Vec<u8>)> {
            let syn = |(_, bytes): &(Now, Vec<u8>)| show::show(bytes).contains("TCP [S]");
            packets(&hub).into_iter().filter(syn).collect()
        };
        let there = || syns().len() >= usize::from(count);
        assert!(wait::until(soon, Duration::from_millis(5), there), "{:?}", syns());
        let socket = folder.path().join("api.sock");
        let ports = thruway(&["show", "ports", "--json", "--socket", socket.to_str().unwrap()]);
        let ports: serde_json::Value = serde_json::from_slice(&ports.stdout).unwrap();
        let port = ports.as_array().unwrap().iter().find(|own| own["name"] == "ce-1").unwrap();
        let told = (&port["kind"], &port["state"], &port["rx_frames"]);
        assert_eq!(told, (&"pcap".into(), &"up".into(), &u64::from(count).into()), "{port:#}");
        let (code, log) = running.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("capture is through"), "{log}");

        let left = syns();
        let flows: Vec<String> = left.iter().map(|(_, bytes)| show::show(bytes)).collect();
        for (n, line) in (0..count).zip(&flows) {
            let flow = format!("192.168.1.1.{} > 10.10.1.4.80: TCP [S]", 5000 + n);
            assert!(line.contains(&flow) && line.contains("ttl 63"), "{flows:#?}");
        }
        let took = left.last().unwrap().0.since(left[0].0).0;
        if pace == "capture" {
            assert!(took >= apart * u64::from(count - 1), "{took} ns");
        }
        // What the edge asked the customer's router is in the other direction's file.
        let asked = packets(&folder.path().join("ce-1.pcapng"));
        let asks =
            |(_, bytes): &(Now, Vec<u8>)| show::show(bytes).contains("ARP who has 172.16.0.1");
        assert!(asked.iter().any(asks), "{}", asked.len());
    }
}

fn run(file: &Path, folder: &Path) -> Guard {
    let api = folder.join("api.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_thruway"));
    command.arg("run").arg(file).arg("--api").arg(api);
    Guard(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

/// Learns the edge's MAC address from its answer to the router's ARP request.
fn edge_mac(file: &Path, folder: &Path, input: &Path, unknown: MacAddr) -> MacAddr {
    request(input);
    let running = run(file, folder);
    let answers = folder.join("ce-1.pcapng");
    let mut mac = unknown;
    let found = wait::until(Duration::from_secs(20), Duration::from_millis(5), || {
        let answer = |(_, bytes): &(Now, Vec<u8>)| show::show(bytes).contains("172.16.0.2 is at");
        match packets(&answers).into_iter().find(answer) {
            Some((_, bytes)) => {
                mac = MacAddr(bytes[6..12].try_into().expect("six bytes"));
                true
            }
            None => false,
        }
    });
    let (code, log) = running.end();
    assert!(found && code == Some(0), "{log}");
    mac
}

#[test]
fn run_names_captures_that_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("none.pcapng");
    let file = lab_of_captures(folder.path(), &input, "capture");
    let api = folder.path().join("api.sock");
    let refused = |why: &str| {
        let words = ["run", file.to_str().unwrap(), "--api", api.to_str().unwrap()];
        let output = thruway(&words);
        let error = error(&output);
        assert!(!output.status.success() && error.contains(why), "{error}");
        assert!(error.contains("port ce-1") && error.contains("none.pcapng"), "{error}");
    };
    refused("No such file");
    std::fs::write(&input, "not a capture").unwrap();
    refused("this is no capture");
}
