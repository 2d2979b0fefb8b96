//! How many packets of 64 bytes a second does one worker forward, by kind of port?
//!
//! ```text
//! THRUWAY_BIN=target/release/thruway cargo test --test netns -- --ignored --nocapture measure_ports
//! ```

use std::net::{Ipv4Addr, UdpSocket};

use thruway::control::api::Topic;
use thruway::io::clock;
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
