//! How many packets of 64 bytes a second does one worker forward, by kind of port?
//!
//! ```text
//! THRUWAY_BIN=target/release/thruway cargo test --test netns -- --ignored --nocapture measure_ports
//! ```
//!
//! How long does a ping take through TAP devices while nothing else happens, and what does thruway
//! cost then? `measure_round_trips` beside it, with `THRUWAY_RUN=--poll` for workers that never
//! sleep; two null forwarders stand beside them, of which one polls and one sleeps as a worker does.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use thruway::bench::medium::device::null::Patch;
use thruway::control::api::Topic;
use thruway::io::{Idle, Netns as Place, PortKind, TapSpec, clock};
use thruway::lab::traffic::{PingOptions, ping};
use thruway::lab::{Netns, wait};
use thruway::time::Span;

use crate::config::{Medium, Processes};
use crate::fixture::{FAST, HOST, Net, SERVICE, Setup, with};
use crate::programs::warm_up;

const SPAN: Span = Span::secs(1);
const MOST: u64 = 3_000_000;
const ROUNDS: usize = 5;
/// A frame of 64 bytes on the wire: 14 Ethernet, 20 IPv4, 8 UDP, 18 payload, 4 check sequence.
const PAYLOAD: [u8; 18] = [0; 18];

/// Sends for a second as fast as the kernel lets one thread; datagrams sent.
fn blast(to: &str) -> u64 {
    let socket = UdpSocket::bind((HOST.parse::<Ipv4Addr>().unwrap(), 9)).unwrap();
    socket.connect((to.parse::<Ipv4Addr>().unwrap(), 9)).unwrap();
    let start = clock::now();
    let mut sent = 0;
    while sent < MOST && clock::now().since(start) < SPAN {
        for _ in 0..64 {
            // Nobody listens; the refusals that come back are of no interest.
            sent += u64::from(socket.send(&PAYLOAD).is_ok());
        }
    }
    sent
}

fn measure(net: &mut Net, medium: Medium, to: &str) {
    warm_up(net, to);
    let sent = |net: &Net| -> u64 {
        let port = if to == SERVICE { "m365" } else { "hub" };
        let all = net.ask(Topic::Ports);
        let mut rows = all.iter().flat_map(|rows| rows.as_array().unwrap());
        let row = rows.find(|row| row["name"] == port).unwrap();
        row["tx_frames"].as_u64().unwrap()
    };
    let mut rates: Vec<u64> = (0..ROUNDS)
        .map(|_| {
            let (before, start) = (sent(net), clock::now());
            let offered = net.onprem().run(|| blast(to)).unwrap();
            let span = clock::now().since(start);
            let crossed = sent(net) - before;
            println!("  {offered} offered, {crossed} crossed");
            crossed * 1_000_000_000 / span.0
        })
        .collect();
    rates.sort_unstable();
    let (least, median, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
    println!("{medium:?} to {to}: {median} packets/s (least {least}, most {most})");
}

#[test]
#[ignore = "a measurement"]
fn measure_ports() {
    for medium in [Medium::Tap, Medium::Veth { offloads: true }] {
        for to in [FAST, SERVICE] {
            let setup = Setup { medium, workers: 1, processes: Processes::One };
            with(setup, &["ping"], |net| measure(net, medium, to));
        }
    }
}

/// Pings, 5 ms apart, and says what they took.
fn round_trips(what: &str, from: &Netns, to: &str) {
    let to = to.parse().unwrap();
    let interval = Duration::from_millis(5);
    let warm = PingOptions { count: 20, interval, ..PingOptions::new(to) };
    ping(from, &warm).unwrap();
    let report = ping(from, &PingOptions { count: 400, ..warm }).unwrap();
    println!("{what}: {} of {} answered, {:?}", report.received, report.sent, report.rtt);
}

#[test]
#[ignore = "a measurement"]
fn measure_round_trips() {
    for (what, idle) in
        [("null forwarder that polls", Idle::Poll), ("that sleeps", Idle::default())]
    {
        let ends = ["near", "far"].map(|label| Netns::new(label).unwrap());
        let kinds = ends.each_ref().map(|end| {
            let netns = Some(Place::Path(end.path()));
            PortKind::Tap(TapSpec { netns, ..TapSpec::new("tap") })
        });
        let _patch = Patch::start(kinds, 1, idle).unwrap();
        for (end, address) in ends.iter().zip(["10.0.0.1/24", "10.0.0.2/24"]) {
            end.interface("tap").add_address(address.parse().unwrap()).unwrap();
        }
        for _ in 0..3 {
            round_trips(what, &ends[0], "10.0.0.2");
        }
    }
    let setup = Setup { medium: Medium::Tap, workers: 1, processes: Processes::One };
    with(setup, &[], |net| {
        warm_up(net, FAST);
        for _ in 0..3 {
            round_trips("thruway", net.onprem(), FAST);
        }
        let id = net.running[0].0.id();
        let ticks = || -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
            let (_, rest) = stat.rsplit_once(')').unwrap();
            let words: Vec<&str> = rest.split_whitespace().collect();
            // utime and stime, in hundredths of a second (proc(5)).
            words[11..13].iter().map(|word| word.parse::<u64>().unwrap()).sum()
        };
        let before = ticks();
        wait::until(Duration::from_secs(20), Duration::from_secs(1), || false);
        println!("idle: {} hundredths of a second of a core in 20 s", ticks() - before);
    });
}
