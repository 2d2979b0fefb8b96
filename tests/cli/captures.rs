//! Captures as ports of a running process.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thruway::io::pcap::{Reader, Writer};
use thruway::lab::wait;
use thruway::time::Now;
use thruway::wire::build::{Packet, TcpFields};
use thruway::wire::eth::MacAddr;
use thruway::wire::show;
use thruway::wire::vlan::TagStack;

use super::{error, request, thruway};

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
