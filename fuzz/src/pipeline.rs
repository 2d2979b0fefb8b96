//! Any frames at any ports: every packet is accounted for, and neither how many share a batch nor how
//! many workers there are changes what leaves.

use std::sync::OnceLock;

use thruway::model::Model;
use thruway::replay::{Options, Replay, Sent};
use thruway::time::Span;

use super::input::{Input, mend};
use super::lab;

/// Most frames of one run.
const FRAMES: usize = 32;

/// A frame, the number of the port that it comes in by, and how long after the one before.
struct Entry {
    port: usize,
    wait: Span,
    bytes: Vec<u8>,
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| lab::model(lab::CONFIG))
}

/// Frames with a length before each, so that a fuzzer can change one alone.
fn entries(data: &[u8]) -> Vec<Entry> {
    let mut input = Input::new(data);
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < FRAMES {
        let (port, wait) = (usize::from(input.byte()), u64::from(input.byte()));
        let size = usize::from(input.half() % 1600);
        let mut bytes = input.piece(size).to_vec();
        if !wait.is_multiple_of(10) {
            mend(&mut bytes);
        }
        entries.push(Entry { port, wait: Span(wait * wait * 100_000), bytes });
    }
    entries
}

/// What leaves, and what is counted, when frames share batches of this size.
fn run(entries: &[Entry], workers: usize, batch: usize) -> (Vec<Sent>, String) {
    let options = Options { workers, batch, ..Options::default() };
    let mut replay = Replay::new(model(), options, lab::START).expect("the lab is right");
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
    (replay.take_sent(), format!("{:?} {:?}", verdicts.drops, verdicts.ports))
}

/// Lets frames through the pipeline three times.
///
/// # Panics
/// When a packet is lost, or what leaves differs.
pub fn check(data: &[u8]) {
    let entries = entries(data);
    let alone = run(&entries, 1, 1);
    assert_eq!(alone, run(&entries, 1, 64), "batches of 64 differ from batches of one");
    assert_eq!(alone, run(&entries, 3, 64), "three workers differ from one");
}
