//! The lab of `tests/golden/config.toml` as its tests see it: who is where, and what they send.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::Ipv4Addr;

use thruway::config;
use thruway::ids::PortId;
use thruway::model::Model;
use thruway::replay::{Options, Replay, Sent, Verdicts};
use thruway::time::{Now, Span};
use thruway::wire::arp;
use thruway::wire::build::{self, Framed, Packet};
use thruway::wire::eth::MacAddr;

pub const CONFIG: &str = include_str!("../golden/config.toml");

/// Stations, by the last two bytes of their addresses.
pub const CE: MacAddr = MacAddr([2, 0, 0, 0, 0xce, 1]);
pub const WEB: MacAddr = MacAddr([2, 0, 0, 0, 0x0a, 4]);
pub const APP: MacAddr = MacAddr([2, 0, 0, 0, 0x14, 4]);
pub const SERVER: MacAddr = MacAddr([2, 0, 0, 0, 0x36, 5]);
/// thruway's, as the configuration gives them.
pub const EDGE1: MacAddr = MacAddr([2, 0, 0, 0, 1, 1]);
pub const EDGE2: MacAddr = MacAddr([2, 0, 0, 0, 1, 2]);
pub const HUB: MacAddr = MacAddr([2, 0, 0, 0, 2, 1]);
pub const SPOKE: MacAddr = MacAddr([2, 0, 0, 0, 2, 2]);
pub const M365: MacAddr = MacAddr([2, 0, 0, 0, 3, 1]);
pub const FAB1: MacAddr = MacAddr([2, 0, 0, 0, 4, 1]);
pub const LIT1: MacAddr = MacAddr([2, 0, 0, 0, 5, 1]);
pub const LIT2: MacAddr = MacAddr([2, 0, 0, 0, 5, 2]);

/// When captures begin.
pub const START: Now = Now(1_700_000_000_000_000_000);

pub fn model(text: &str) -> Model {
    match config::parse("config.toml", text) {
        Ok(loaded) => loaded.model,
        Err(report) => panic!("{report:?}"),
    }
}

/// A frame of a capture.
#[derive(Clone, Debug)]
pub struct In {
    pub port: &'static str,
    pub at: Now,
    pub bytes: Vec<u8>,
}

pub fn after(micros: u64) -> Now {
    START + Span::micros(micros)
}

/// An ARP request with the sender's tags.
pub fn asks(mac: MacAddr, sender: [u8; 4], target: [u8; 4], tags: &[u16]) -> Vec<u8> {
    let frame = build::arp(arp::REQUEST, mac, sender, MacAddr::ZERO, target);
    tagged(frame, tags).build()
}

pub fn tagged(frame: Framed, tags: &[u16]) -> Framed {
    tags.iter().fold(frame, |frame, tag| frame.tag(0x8100, *tag))
}

pub fn udp(src: [u8; 4], dst: [u8; 4], size: usize) -> Packet {
    let payload: Vec<u8> = (0..size).map(|i| i.to_le_bytes()[0]).collect();
    Packet::ip4(Ipv4Addr::from(src), Ipv4Addr::from(dst)).id(1).udp(4000, 80, &payload)
}

/// All customers' routers and the server say who they are.
pub fn hello() -> Vec<In> {
    type Line = (&'static str, MacAddr, [u8; 4], [u8; 4], &'static [u16]);
    let lines: [Line; 8] = [
        ("ce-1", CE, [172, 16, 0, 1], [172, 16, 0, 2], &[200]),
        ("ce-2", CE, [172, 16, 0, 5], [172, 16, 0, 6], &[200]),
        ("ce-1", CE, [203, 0, 113, 1], [203, 0, 113, 2], &[300]),
        ("ce-2", CE, [203, 0, 113, 5], [203, 0, 113, 6], &[300]),
        ("m365", SERVER, [198, 51, 100, 10], [198, 51, 100, 1], &[]),
        ("fab-pri", CE, [172, 17, 0, 1], [172, 17, 0, 2], &[100]),
        ("ce-3", CE, [172, 18, 0, 1], [172, 18, 0, 2], &[501, 200]),
        ("ce-3", CE, [172, 18, 0, 5], [172, 18, 0, 6], &[502, 200]),
    ];
    let frame = |(i, (port, mac, sender, target, tags)): (u64, Line)| In {
        port,
        at: after(i),
        bytes: asks(mac, sender, target, tags),
    };
    (0..).zip(lines).map(frame).collect()
}

/// Replays frames in the order of time; returns what left, by port, and what became of the rest.
pub fn replay(text: &str, options: Options, frames: &[In]) -> (Vec<Sent>, Verdicts, Replay) {
    let model = model(text);
    let mut replay = Replay::new(&model, options, START).expect("the lab can be forwarded");
    let mut sent = Vec::new();
    for frame in frames {
        let port: PortId = replay.port(frame.port).expect("a port without a cable");
        replay.offer(port, frame.at, &frame.bytes).expect("no circle");
        sent.extend(replay.take_sent());
    }
    replay.finish().expect("no circle");
    sent.extend(replay.take_sent());
    sent.sort_by_key(|own| own.port);
    let verdicts = replay.verdicts();
    (sent, verdicts, replay)
}
