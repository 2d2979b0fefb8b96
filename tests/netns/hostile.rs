//! Hostile frames by `thruway fuzz-traffic` at a customer's port: all of them are accounted for, and
//! the circuit works afterwards.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use thruway::control::api::Topic;
use thruway::io::pcap::Reader;
use thruway::lab::wait;

use crate::config::{Medium, Processes};
use crate::fixture::{FAST, GATEWAY, Net, SERVICE, SOON, Setup, program, with};
use crate::programs::{output, ping_all, run, start, warm_up};

const LOOK: Duration = Duration::from_millis(10);

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Frames that came in at a port, and those that the kernel dropped before.
fn received(net: &Net, port: &str) -> u64 {
    let all = net.ask(Topic::Ports);
    let mut rows = all.iter().flat_map(|rows| rows.as_array().unwrap());
    let row = rows.find(|row| row["name"] == port).unwrap();
    number(&row["rx_frames"]) + number(&row["medium_drops"])
}

/// `--to` the edge and `--as` the customer's router on a port.
fn ends(net: &Net, port: &str, [own, edge]: [&str; 2]) -> [String; 2] {
    let lines = output(net.onprem(), &["ip", "neigh", "show", "dev", port, edge]);
    let words: Vec<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
    let at = words.iter().position(|word| *word == "lladdr").unwrap();
    let mac = net.outer(port).mac().unwrap();
    [format!("{}/{edge}", words[at + 1]), format!("{mac}/{own}")]
}

#[test]
fn hostile_frames_on_a_tap_are_all_accounted_for() {
    accounted(Setup { medium: Medium::Tap, workers: 1, processes: Processes::One });
}

#[test]
fn hostile_frames_on_a_packet_port_are_all_accounted_for() {
    let medium = Medium::Veth { offloads: true };
    accounted(Setup { medium, workers: 2, processes: Processes::Two });
}

#[test]
fn hostile_frames_on_an_xdp_port_are_all_accounted_for() {
    let medium = Medium::Xdp { mode: "native" };
    accounted(Setup { medium, workers: 1, processes: Processes::One });
}

fn accounted(setup: Setup) {
    with(setup, &["ping", "ip"], |net| {
        [FAST, GATEWAY, SERVICE].iter().for_each(|address| warm_up(net, address));
        let program = program().display().to_string();
        let capture = net.folder.path().join("hostile.pcapng").display().to_string();
        // Both peerings' ports in turn; frames to change are those of the first.
        for (port, addresses, from) in [
            ("cp1", ["172.16.0.1", "172.16.0.2"], None),
            ("cm1", ["203.0.113.1", "203.0.113.2"], Some(&capture)),
        ] {
            output(net.onprem(), &["ping", "-n", "-c1", "-W2", addresses[1]]);
            let [to, sender] = ends(net, port, addresses);
            let mut words = vec![&program, "fuzz-traffic", port, "--to", &to, "--as", &sender];
            words.extend(["--rate", "4000", "--for", "3s", "--seed", "7", "--json", "--write"]);
            let file = format!("{capture}.{port}");
            words.push(if from.is_none() { &capture } else { &file });
            words.extend(from.iter().flat_map(|from| ["--from", from]));

            // The interface has an address: it could be somebody's way in.
            let (good, lines) = run(net.onprem(), &words);
            let text = lines.join(" ");
            assert!(!good && text.contains("has the address"), "{lines:#?}");
            words.push("--allow-host-interface");

            let wire = || net.outer(port).counters().unwrap().tx_packets;
            let (before, before_wire) = (received(net, port), wire());
            let lines = output(net.onprem(), &words);
            let summary: Value = serde_json::from_str(&lines.join("\n"))
                .unwrap_or_else(|e| panic!("{e}: {lines:#?}"));
            let sent = number(&summary["sent"]["frames"]);
            assert!((8_000..=12_064).contains(&sent), "{summary:#}");
            let made: u64 = summary["made"]
                .as_array()
                .unwrap()
                .iter()
                .map(|kind| number(&kind["frames"]))
                .sum();
            let refused: u64 = summary["refused"].as_object().unwrap().values().map(number).sum();
            assert_eq!((made, refused), (sent, 0), "{summary:#}");
            let kinds = if from.is_some() { 7 } else { 6 };
            assert_eq!(summary["made"].as_array().unwrap().len(), kinds, "{summary:#}");
            let frames = frames(&summary);
            assert_eq!(frames.len() as u64, sent);

            // What the kernel answers to what comes back crosses the same wire.
            let lost = match setup.medium {
                Medium::Veth { .. } => frames.iter().filter(|frame| ends_in_its_tag(frame)).count(),
                _ => 0,
            };
            let came = || received(net, port) - before + lost as u64;
            let crossed = || wire() - before_wire;
            wait::until(SOON, LOOK, || came() == crossed());
            assert_eq!(came(), crossed(), "{sent} sent, {lost} lost as expected: {summary:#}");
            assert!((sent..sent + sent / 10).contains(&crossed()), "{sent} sent, {}", crossed());
        }
        // The router speaks for itself, which is how a liar's word is corrected.
        output(net.onprem(), &["ip", "neigh", "flush", "all"]);
        for edge in ["172.16.0.2", "172.16.0.6", "203.0.113.2", "203.0.113.6"] {
            output(net.onprem(), &["ping", "-n", "-c1", "-W2", edge]);
        }
        [FAST, GATEWAY, SERVICE].iter().for_each(|address| warm_up(net, address));
        ping_all(net, FAST, &["-c", "20", "-i", "0.02"]);
        // The ends' kernels have seen broken packets, as they were meant to.
        net.forget();
    });
}

/// Whether the kernel drops a frame before a packet socket sees it: it takes the outer tag out
/// first (`skb_vlan_untag`), which needs all four bytes of it and an ether type.
fn ends_in_its_tag(frame: &[u8]) -> bool {
    frame.len() < 14 + 6 && matches!(frame[12..14], [0x81, 0x00] | [0x88, 0xa8])
}

/// The capture that a summary names.
fn frames(summary: &Value) -> Vec<Vec<u8>> {
    let file = summary["capture"]["file"].as_str().unwrap();
    let mut reader = Reader::open(file.as_ref()).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next().unwrap() {
        frames.push(packet.bytes.to_vec());
    }
    frames
}

#[test]
fn a_signal_ends_it_with_its_summary_and_a_whole_capture() {
    let setup = Setup { medium: Medium::Tap, workers: 1, processes: Processes::One };
    with(setup, &[], |net| {
        let program = program().display().to_string();
        let capture = net.folder.path().join("hostile.pcapng").display().to_string();
        let words = [
            &program,
            "fuzz-traffic",
            "cp1",
            "--allow-host-interface",
            "--rate",
            "2000",
            "--kinds",
            "grammar",
            "--write",
            &capture,
            "--json",
        ];
        let before = received(net, "cp1");
        let process = start(net.onprem(), &words);
        assert!(wait::until(SOON, LOOK, || received(net, "cp1") >= before + 1000));
        process.signal(Signal::INT).unwrap();
        assert!(process.wait(SOON).unwrap().success(), "{:?}", process.lines());
        let summary: Value = serde_json::from_str(&process.lines().join("\n")).unwrap();
        let sent = number(&summary["sent"]["frames"]);
        assert!(sent >= 1000 && frames(&summary).len() as u64 == sent, "{summary:#}");
        net.forget();
    });
}
