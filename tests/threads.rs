//! What crosses threads, with real threads: `scripts/sanitize thread` builds this program with
//! ThreadSanitizer, which sees two threads touch one place without an order between them.
//!
//! No test harness and no locks of the standard library, whose code is not instrumented: shared
//! things are leaked, threads joined, and nothing is printed while they run. `threads NAME` runs one
//! part; without a name all run but `race`, which is a race on purpose that the sanitizer must
//! catch.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crossbeam::queue::ArrayQueue;
use thruway::fib::{FibWriter, Prefix4};
use thruway::frame::{Frame, Outgoing, Pool, Row};
use thruway::ids::NextHopId;
use thruway::io::memory;
use thruway::police::{Policer, Rate};
use thruway::sync::{Counter, Published};
use thruway::time::{Now, Span};
use thruway::worker::handoffs;

/// Items that cross in each part.
const ITEMS: u64 = 20_000;
/// Room of rings: small, so that they run over and run dry.
const ROOM: usize = 8;

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Writes a number into a frame's bytes.
fn write(frame: &mut Frame, number: u64) {
    frame[100..108].copy_from_slice(&number.to_be_bytes());
}

fn read(frame: &Frame) -> u64 {
    u64::from_be_bytes(frame[100..108].try_into().expect("eight bytes"))
}

/// Frames from worker to worker: each comes once, in order, with the bytes it was given.
fn handoff() {
    let mut pools = Pool::family(2, 64).expect("there is memory");
    let (mut there, mut here) = (pools.pop().expect("two"), pools.pop().expect("two"));
    let rings = leak(handoffs(2, ROOM));
    let sender = thread::spawn(move || {
        let mut lost = 0;
        for number in 1..=ITEMS {
            let Some(mut frame) = there.take() else {
                lost += 1;
                continue;
            };
            write(&mut frame, number);
            let row = Row { hash: u32::try_from(number).expect("few"), ..Row::default() };
            if let Err((frame, _)) = rings[0][1].push((frame, row)) {
                lost += 1;
                there.put(frame);
            }
        }
        std::mem::forget(there);
        lost
    });
    let (mut last, mut came) = (0, 0_u64);
    loop {
        let ended = sender.is_finished();
        while let Some((frame, row)) = rings[0][1].pop() {
            let number = read(&frame);
            assert!(number > last && u64::from(row.hash) == number, "in order, and whole");
            (last, came) = (number, came + 1);
            here.put(frame);
        }
        if ended {
            break;
        }
    }
    let lost: u64 = sender.join().expect("it does not panic");
    assert_eq!(came + lost, ITEMS, "each came, or found the ring full");
    std::mem::forget(here);
}

/// Frames over a memory port's cable, both ways.
fn cable() {
    let mut pools = Pool::family(2, 64).expect("there is memory");
    let (mut there, mut here) = (pools.pop().expect("two"), pools.pop().expect("two"));
    let (near, far) = memory::cable(1, ROOM).expect("there are descriptors");
    leak((near.clone(), far.clone()));
    let (mut near, mut far) = (near.into_ends().remove(0), far.into_ends().remove(0));
    let ended: &AtomicBool = leak(AtomicBool::new(false));
    let echo = thread::spawn(move || {
        let mut echoed = 0_u64;
        while !ended.load(Ordering::Acquire) {
            let Some(mut out) = far.pop() else { continue };
            let number = read(&out.frame);
            write(&mut out.frame, number + 1);
            if let Err(out) = far.push(out, None) {
                there.put(out.frame);
            }
            echoed += 1;
        }
        std::mem::forget((far, there));
        echoed
    });
    let (mut sent, mut back) = (0_u64, 0_u64);
    while sent < ITEMS {
        if let Some(mut frame) = here.take() {
            write(&mut frame, 2 * sent);
            let out = Outgoing::new(frame, &Row { off: 100, len: 64, ..Row::default() });
            match near.push(out, None) {
                Ok(()) => sent += 1,
                Err(out) => here.put(out.frame),
            }
        }
        while let Some(out) = near.pop() {
            assert_eq!(read(&out.frame) % 2, 1, "it was there and came back");
            back += 1;
            here.put(out.frame);
        }
    }
    ended.store(true, Ordering::Release);
    let echoed = echo.join().expect("it does not panic");
    assert!(back <= echoed && echoed <= sent);
    std::mem::forget((near, here));
}

/// Snapshots that control replaces: a reader sees one that is whole, and never an older one later.
fn published() {
    let published = leak(Published::new([0_u64; 16]));
    let control = thread::spawn(move || {
        for number in 1..=ITEMS / 4 {
            // Kept alive: an Arc that ends is freed behind a fence, which the sanitizer does not see.
            published.store(Arc::clone(leak(Arc::new([number; 16]))));
        }
    });
    let mut reader = published.reader();
    let mut last = 0;
    while last < ITEMS / 4 {
        let seen = reader.load();
        assert!(seen.iter().all(|&own| own == seen[0]) && seen[0] >= last, "whole, and no older");
        last = seen[0];
    }
    control.join().expect("it does not panic");
    std::mem::forget(reader);
}

/// A table that is written in place: an address has its route at any time, one or the other.
fn table() {
    let prefix = |addr, len| Prefix4::new(addr, len).expect("a prefix");
    let wide = prefix(0x0a00_0000, 8);
    let mut writer = FibWriter::build([(wide, NextHopId(1))]).expect("there is memory");
    let fib = leak(writer.fib());
    // How many turns the reader has done, so that old blocks are freed behind it alone.
    let turns: &AtomicU64 = leak(AtomicU64::new(0));
    let ended: &AtomicBool = leak(AtomicBool::new(false));
    let reader = thread::spawn(move || {
        while !ended.load(Ordering::Acquire) {
            for host in 0..64_u32 {
                let hop = fib.lookup(0x0a00_0000 | host << 10 | 7);
                assert!((1..=3).contains(&hop.0), "{hop:?} is no route that ever was");
            }
            turns.fetch_add(1, Ordering::AcqRel);
        }
    });
    for round in 0..ITEMS / 20 {
        let place = 0x0a00_0000 | u32::try_from(round % 64).expect("small") << 10;
        let len = [18, 24, 32][usize::try_from(round).expect("small") % 3];
        let narrow = prefix(place | 7, len);
        writer.insert(narrow, NextHopId(2)).expect("there is room");
        writer.insert(narrow, NextHopId(3)).expect("there is room");
        writer.remove(narrow).expect("there is room");
        let mark = writer.mark();
        let seen = turns.load(Ordering::Acquire);
        while turns.load(Ordering::Acquire) < seen + 2 {
            std::hint::spin_loop();
        }
        writer.reclaim(mark);
    }
    ended.store(true, Ordering::Release);
    reader.join().expect("it does not panic");
    std::mem::forget(writer);
}

/// A bucket that workers share: together they take what one could.
fn tokens() {
    let policer: &'static Policer =
        leak(Policer::new(Rate::kbps(1_000_000).expect("a rate"), 10_000));
    let counter = leak(Counter::default());
    let worker = move |len: u64| {
        (0..ITEMS / 4).map(move |turn| {
            let mut reservation = policer.reserve();
            loop {
                let now = Now(turn * 1_000);
                let took = (0..len).filter(|_| reservation.admit(now, 100)).count() as u64 * 100;
                match reservation.commit() {
                    Ok(()) => break took,
                    Err(again) => reservation = again,
                }
            }
        })
    };
    let other = thread::spawn(move || worker(7).inspect(|took| counter.add(*took)).sum::<u64>());
    let mut seen = 0;
    let here: u64 = worker(1)
        .inspect(|_| {
            let now = counter.value();
            assert!(now >= seen, "a counter never goes back");
            seen = now;
        })
        .sum();
    let all = here + other.join().expect("it does not panic");
    let most = policer.rate().units_in(Span((ITEMS / 4 - 1) * 1_000)) + 10_000;
    assert!(all <= most, "{all} > {most}");
}

struct Shared(UnsafeCell<u64>);

// SAFETY: it is not safe: this is the race that the sanitizer has to see.
#[expect(unsafe_code, reason = "a race on purpose")]
unsafe impl Sync for Shared {}

/// A frame whose sender goes on writing after it handed it over: a race on purpose.
#[expect(unsafe_code, reason = "a race on purpose")]
fn race() {
    let shared: &Shared = leak(Shared(UnsafeCell::new(0)));
    let ring: &ArrayQueue<u64> = leak(ArrayQueue::new(ROOM));
    let sender = thread::spawn(move || {
        for number in 0..1_000 {
            let _ = ring.push(number);
            // SAFETY: it is not: the receiver reads this place after the push.
            unsafe { *shared.0.get() = number };
        }
    });
    let mut sum = 0_u64;
    for _ in 0..1_000 {
        let _ = ring.pop();
        // SAFETY: it is not: the sender may write this place now.
        sum = sum.wrapping_add(unsafe { *shared.0.get() });
    }
    sender.join().expect("it does not panic");
    std::hint::black_box(sum);
}

fn main() {
    let parts: [(&str, fn()); 5] = [
        ("handoff", handoff),
        ("cable", cable),
        ("published", published),
        ("table", table),
        ("tokens", tokens),
    ];
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if asked.iter().any(|name| name == "race") {
        return race();
    }
    for (name, part) in parts {
        if asked.is_empty() || asked.iter().any(|own| own == name) {
            part();
            println!("{name} ... ok");
        }
    }
}
