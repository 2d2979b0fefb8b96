//! Hostile frames at every port of the golden lab, by a seed: each is accounted for, and neither how
//! many share a batch nor how many workers there are changes what leaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::ops::Range;

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4HeaderSlice, NetSlice, SlicedPacket, TransportSlice};
use thruway::hostile::{Hosts, Kind, Numbers, Sizes, Stream};
use thruway::replay::{Options, Replay, Sent};
use thruway::time::{Now, Span};

#[allow(dead_code, unreachable_pub, reason = "the golden tests use all of it")]
#[path = "support/cases.rs"]
mod cases;
#[allow(unreachable_pub, reason = "each test binary uses its part")]
#[path = "support/lab.rs"]
mod lab;

/// Frames of a run.
const FRAMES: usize = 4000;

/// A frame, its port, and how long after the one before it comes.
struct Entry {
    port: String,
    wait: Span,
    bytes: Vec<u8>,
}

/// The stream of a port, for those who talk there in the golden tests.
fn stream(seed: u64, port: &str, kinds: &[Kind], known: &[(String, Vec<u8>)]) -> Stream {
    let here = known.iter().filter(|(own, _)| own == port);
    let captured: Vec<Vec<u8>> = here.map(|(_, bytes)| bytes.clone()).collect();
    let mut hosts = Hosts::default();
    captured.iter().for_each(|frame| hosts.learn(frame));
    Stream::new(seed, kinds, hosts, captured, Sizes { min: 0, max: 1600 })
}

fn frames(seed: u64, kinds: &[Kind]) -> Vec<Entry> {
    let hello = lab::hello().into_iter().map(|own| (own.port.to_owned(), own.bytes));
    let golden = cases::all().into_iter().flat_map(|case| case.frames);
    let golden = golden.map(|(port, bytes)| (port.to_owned(), bytes));
    let known: Vec<_> = hello.chain(golden).collect();
    let ports = replay(Options::default()).ports();
    let mut numbers = Numbers::new(!seed);
    let mut streams: Vec<Stream> =
        ports.iter().map(|port| stream(numbers.next_bits(), port, kinds, &known)).collect();
    let frame = |_| {
        let at = usize::try_from(numbers.next_bits() % ports.len() as u64).unwrap();
        let wait = Span(numbers.next_bits() % 2_000_000);
        Entry { port: ports[at].clone(), wait, bytes: streams[at].next_frame().1 }
    };
    (0..FRAMES).map(frame).collect()
}

fn replay(options: Options) -> Replay {
    Replay::new(&lab::model(lab::CONFIG), options, lab::START).unwrap()
}

/// What leaves, and what is counted.
fn run(frames: &[Entry], (workers, batch): (usize, usize)) -> (Vec<Sent>, String, Vec<String>) {
    let options = Options { workers, batch, ..Options::default() };
    let mut replay = replay(options);
    for hello in lab::hello() {
        let port = replay.port(hello.port).unwrap();
        replay.offer(port, hello.at, &hello.bytes).unwrap();
    }
    let mut at: Now = lab::after(10_000);
    for entry in frames {
        at = at + entry.wait;
        let port = replay.port(&entry.port).unwrap();
        replay.offer(port, at, &entry.bytes).unwrap();
    }
    replay.finish().unwrap();
    let verdicts = replay.verdicts();
    assert!(verdicts.accounts.balanced, "not all are accounted for: {verdicts:#?}");
    let reasons = verdicts.drops.keys().cloned().collect();
    (replay.take_sent(), format!("{:?} {:?}", verdicts.drops, verdicts.ports), reasons)
}

fn check(seed: u64, kinds: &[Kind]) {
    let frames = frames(seed, kinds);
    let alone = run(&frames, (1, 1));
    for other in [(1, 64), (3, 64)] {
        let found = run(&frames, other);
        assert!(alone.1 == found.1, "seed {seed} {kinds:?} {other:?}: {} {}", alone.1, found.1);
        for (a, b) in alone.0.iter().zip(&found.0) {
            assert_eq!(a, b, "seed {seed} {kinds:?} {other:?}");
        }
        assert_eq!(alone.0.len(), found.0.len(), "seed {seed} {kinds:?} {other:?}");
    }
}

#[test]
fn each_kind_alone_is_accounted_for_in_any_batch() {
    for kind in Kind::ALL {
        check(11, &[kind]);
    }
}

/// More of them for a longer look: `SEEDS=300 cargo test --test hostile`.
fn seeds() -> Range<u64> {
    0..std::env::var("SEEDS").map_or(3, |seeds| seeds.parse().unwrap())
}

#[test]
fn all_kinds_together_are_accounted_for_in_any_batch() {
    seeds().for_each(|seed| check(seed, &Kind::ALL));
}

/// Whether a frame is one that a host behind the edge may get: ARP, or IPv4 with a header that is
/// right, from somebody who can be answered.
fn is_proper(frame: &[u8]) -> Result<(), String> {
    let packet = SlicedPacket::from_ethernet(frame).map_err(|error| error.to_string())?;
    let ip = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => ip.header(),
        Some(NetSlice::Arp(_)) => return Ok(()),
        other => return Err(format!("neither IPv4 nor ARP: {other:?}")),
    };
    // Over the bytes as they are: a header that etherparse writes has no evil bit (RFC 3514).
    let sum = Sum16BitWords::new().add_slice(ip.slice()).ones_complement();
    let src = ip.source_addr();
    let is_martian = src.is_multicast() || src.is_loopback() || src.is_broadcast();
    if ip.ttl() == 0 || sum != 0 {
        return Err(format!("{ip:?}"));
    }
    if is_martian || src.octets()[0] == 0 || frame[0] & 1 != 0 {
        return Err(format!("a martian, or for a group: {ip:?}"));
    }
    Ok(())
}

#[test]
fn what_reaches_hosts_is_proper_whatever_came_in() {
    let lab = replay(Options::default());
    let ends = ["hub", "spoke", "m365"].map(|port| lab.port(port).unwrap());
    let mut looked = 0;
    for seed in seeds() {
        let frames = frames(seed, &Kind::ALL);
        for sent in run(&frames, (1, 64)).0 {
            if ends.contains(&sent.port) {
                looked += 1;
                let line = thruway::wire::show(&sent.bytes);
                is_proper(&sent.bytes).unwrap_or_else(|why| panic!("{line}: {why}"));
            }
        }
    }
    assert!(looked > 300, "{looked} frames left");
}

/// The packet that an ICMP error over IPv4 quotes, if the error's checksum is right and the quote
/// has a whole header.
fn quoted(frame: &[u8]) -> Option<Vec<u8>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(TransportSlice::Icmpv4(icmp)) = packet.transport else { return None };
    let is_error = [3, 4, 5, 11, 12].contains(&icmp.type_u8());
    let sum = Sum16BitWords::new().add_slice(icmp.slice()).ones_complement();
    let quote = icmp.slice().get(8..)?;
    let header = Ipv4HeaderSlice::from_slice(quote).ok()?;
    (is_error && sum == 0).then(|| header.slice().to_vec())
}

#[test]
fn what_an_error_quotes_is_right_behind_nat_when_the_error_is() {
    let mut looked = [0, 0];
    for seed in seeds() {
        // Here errors with a right checksum quote right headers; a captured frame may not.
        let frames = frames(seed, &[Kind::Icmp, Kind::Grammar, Kind::Tcp]);
        for (i, all) in [
            frames.iter().map(|entry| entry.bytes.clone()).collect::<Vec<_>>(),
            run(&frames, (1, 64)).0.into_iter().map(|sent| sent.bytes).collect(),
        ]
        .iter()
        .enumerate()
        {
            for (frame, header) in all.iter().filter_map(|own| Some((own, quoted(own)?))) {
                looked[i] += 1;
                let sum = Sum16BitWords::new().add_slice(&header).ones_complement();
                assert_eq!(sum, 0, "{i} {}", thruway::wire::show(frame));
            }
        }
    }
    assert!(looked[1] > 100, "{looked:?} errors");
}

#[test]
fn hostile_frames_end_by_many_names() {
    let (sent, _, reasons) = run(&frames(1, &Kind::ALL), (1, 64));
    println!("{} sent, {reasons:?}", sent.len());
    assert!(sent.len() > FRAMES / 20, "{} left", sent.len());
    assert!(reasons.len() >= 30, "{reasons:?}");
}
