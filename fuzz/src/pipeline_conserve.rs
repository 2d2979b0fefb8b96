//! Any frames at any ports: every packet is accounted for, neither how many share a batch nor how
//! many workers there are changes what leaves, and what a gateway does to a packet beside FastPath
//! is what is documented.

use std::sync::OnceLock;

use thruway::model::Model;
use thruway::replay::{Options, Replay, Room, Sent, Verdicts};
use thruway::time::Span;

use super::checksum_incremental::naive;
use super::{cases, lab};
use thruway::hostile::{Entropy, Hosts, grammar, mend};

/// Most frames of one run.
const FRAMES: usize = 32;

/// A frame, the number of the port that it comes in by, and how long after the one before.
struct Entry {
    port: usize,
    wait: Span,
    bytes: Vec<u8>,
}

/// The lab, and the same with its gateway in the way.
fn models() -> &'static [Model; 2] {
    static MODELS: OnceLock<[Model; 2]> = OnceLock::new();
    MODELS.get_or_init(|| {
        let gateway = lab::CONFIG.replace("fastpath = true", "fastpath = false");
        [lab::model(lab::CONFIG), lab::model(&gateway)]
    })
}

/// From this size on an entry is made by the grammar, of the bytes that its size says; below, and
/// from this other one on, it is the one before, again.
const BY_GRAMMAR: u16 = 0x8000;
const AGAIN: u16 = 0x6000;

/// Frames with a length before each, so that a fuzzer can change one alone.
fn entries(data: &[u8]) -> Vec<Entry> {
    let mut input = Entropy::new(data);
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < FRAMES {
        let (port, wait) = (usize::from(input.byte()), u64::from(input.byte()));
        let size = input.half();
        if (AGAIN..BY_GRAMMAR).contains(&size) {
            if let Some(Entry { port, wait, bytes }) = entries.last() {
                entries.push(Entry { port: *port, wait: *wait, bytes: bytes.clone() });
            }
            continue;
        }
        let bytes = if size >= BY_GRAMMAR {
            let hosts = hosts();
            let mut choices = Entropy::new(input.piece(usize::from(size % 64)));
            grammar::frame(&mut choices, &hosts[port % hosts.len()])
        } else {
            let mut bytes = input.piece(usize::from(size % 1600)).to_vec();
            if !wait.is_multiple_of(10) {
                mend(&mut bytes);
            }
            bytes
        };
        entries.push(Entry { port, wait: Span(wait * wait * 100_000), bytes });
    }
    entries
}

/// Who talks at each open port.
fn hosts() -> &'static [Hosts] {
    static HOSTS: OnceLock<Vec<Hosts>> = OnceLock::new();
    HOSTS.get_or_init(|| {
        let options = Options { room: Room::SMALL, ..Options::default() };
        let replay = Replay::new(&models()[0], options, lab::START).expect("the lab is right");
        let golden = cases::all().into_iter().flat_map(|case| case.frames);
        let hello = lab::hello().into_iter().map(|own| (own.port, own.bytes));
        let known: Vec<(&str, Vec<u8>)> = golden.chain(hello).collect();
        let learn = |port: &String| {
            let mut hosts = Hosts::default();
            let here = known.iter().filter(|(own, _)| own == port);
            here.for_each(|(_, frame)| hosts.learn(frame));
            hosts
        };
        replay.ports().iter().map(learn).collect()
    })
}

/// What leaves, and what is counted.
fn run(
    model: &Model,
    entries: &[Entry],
    workers: usize,
    batch: usize,
    room: Room,
) -> (Vec<Sent>, Verdicts) {
    let options = Options { workers, batch, room, ..Options::default() };
    let mut replay = Replay::new(model, options, lab::START).expect("the lab is right");
    // Neighbours are known first: what comes in can leave.
    for hello in lab::hello() {
        let port = replay.port(hello.port).expect("a port without a cable");
        replay.offer(port, hello.at, &hello.bytes).expect("no cables make a circle");
    }
    let ports = replay.ports();
    let mut at = lab::after(10_000);
    for entry in entries {
        let name = &ports[entry.port % ports.len()];
        let port = replay.port(name).expect("it is one of them");
        at = at + entry.wait;
        replay.offer(port, at, &entry.bytes).expect("no cables make a circle");
    }
    replay.finish().expect("no cables make a circle");
    let verdicts = replay.verdicts();
    assert!(verdicts.accounts.balanced, "not all are accounted for: {verdicts:#?}");
    (replay.take_sent(), verdicts)
}

/// Lets frames through the pipeline in several ways.
///
/// # Panics
/// When a packet is lost, or what leaves differs.
pub fn check(data: &[u8]) {
    let entries = entries(data);
    let [lab, by_gateway] = models();
    let (sent, verdicts) = run(lab, &entries, 1, 1, Room::SMALL);
    for (workers, batch) in [(1, 64), (3, 64)] {
        let (other, counted) = run(lab, &entries, workers, batch, Room::SMALL);
        assert_eq!(sent, other, "{workers} workers and batches of {batch} send other frames");
        assert_eq!((&verdicts.drops, &verdicts.ports), (&counted.drops, &counted.ports));
    }
    gateway(&entries, by_gateway, &sent, &verdicts);
    // Rings between workers that run over: what is lost there has a name as well.
    run(lab, &entries, 2, 64, Room { rings: 1, ..Room::SMALL });
}

/// A gateway drops by name what FastPath passes; what both pass differs in its time to live alone.
fn gateway(entries: &[Entry], model: &Model, sent: &[Sent], verdicts: &Verdicts) {
    let (by_gateway, counted) = run(model, entries, 1, 64, Room::SMALL);
    let differs = |own: &Verdicts| {
        own.drops
            .iter()
            .any(|(name, n)| *n > 0 && (name.starts_with("gateway_") || name == "ttl_expired"))
    };
    if differs(&counted) || differs(verdicts) {
        return;
    }
    assert_eq!(sent.len(), by_gateway.len(), "a gateway loses or makes packets without a name");
    for (fast, slow) in sent.iter().zip(&by_gateway) {
        assert_eq!(fast.port, slow.port, "a gateway leads elsewhere");
        let (mut fast, mut slow) = (fast.bytes.clone(), slow.bytes.clone());
        let (left, holds) = without_time_to_live(&mut fast);
        let (less, still) = without_time_to_live(&mut slow);
        let hops = left.checked_sub(less).expect("a gateway gives no time to live");
        assert!(fast == slow && hops <= 1, "a gateway changes more than the time to live");
        assert_eq!(holds, still, "the sum of the header");
    }
}

/// Takes the time to live and the header's sum out of a frame; what it was, and whether the sum held.
fn without_time_to_live(frame: &mut [u8]) -> (u8, bool) {
    let mut at = 12;
    while matches!(frame.get(at..at + 2), Some([0x81, 0] | [0x88, 0xa8])) {
        at += 4;
    }
    if frame.get(at..at + 2) != Some(&[8, 0]) {
        return (0, false);
    }
    let Some(packet) = frame.get_mut(at + 2..).filter(|packet| packet.len() >= 20) else {
        return (0, false);
    };
    let size = usize::from(packet[0] & 15) * 4;
    let holds = packet.get(..size).is_some_and(|header| naive(header) == 0);
    packet[10..12].fill(0);
    (std::mem::take(&mut packet[8]), holds)
}
