//! What threads share, in every order in which they may meet: run by `scripts/sanitize loom`.
//!
//! These are the words of thruway's own. The rings are of crossbeam and rtrb and the snapshots of
//! arc-swap, which loom cannot look into: tests/threads.rs runs those under ThreadSanitizer.
#![cfg(thruway_loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use thruway::flow::{Census, FlowTable, Key, Tuple};
use thruway::ids::NeighbourId;
use thruway::mem::Arena;
use thruway::neighbour::{NeighbourState, Word, Words};
use thruway::police::{Policer, Rate};
use thruway::sync::{Counter, Signal};
use thruway::tables::waiting::{HELD_EACH, Waiting, WaitsFor};
use thruway::time::{Now, Span};
use thruway::wire::eth::MacAddr;

/// A batch of `len` packets of one unit; how many passed.
fn batch(policer: &Policer, now: Now, len: usize) -> usize {
    let mut reservation = policer.reserve();
    loop {
        let passed = (0..len).filter(|_| reservation.admit(now, 1)).count();
        match reservation.commit() {
            Ok(()) => return passed,
            Err(again) => reservation = again,
        }
    }
}

#[test]
fn two_workers_admit_what_one_bucket_holds() {
    loom::model(|| {
        let rate = Rate::per_second(1_000).unwrap();
        let policer = Arc::new(Policer::new(rate, 3));
        let other = Arc::clone(&policer);
        let thread = thread::spawn(move || batch(&other, Now(50), 2));
        let here = batch(&policer, Now(50), 2);
        assert_eq!(here + thread.join().unwrap(), 3, "the burst, once");
        assert_eq!(policer.available(Now(50)), 0);
    });
}

#[test]
fn a_touch_takes_nothing_from_a_worker() {
    loom::model(|| {
        let policer = Arc::new(Policer::new(Rate::per_second(999_999_999).unwrap(), 2));
        assert_eq!(batch(&policer, Now(0), 2), 2);
        let late = Now(0) + policer.horizon();
        let other = Arc::clone(&policer);
        let thread = thread::spawn(move || other.touch(late));
        let here = batch(&policer, late, 3);
        thread.join().unwrap();
        assert_eq!(here, 2, "it is full again, and no fuller");
    });
}

#[test]
fn a_census_never_knows_more_than_its_limit_and_forgets_each_flow_once() {
    const TICK: u64 = 1 << 28;
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let census = std::sync::Arc::new(Census::new(Span(TICK), 1));
        let other = std::sync::Arc::clone(&census);
        let enter = |census: std::sync::Arc<Census>, host: u32| {
            let tuple = Tuple { src: host, dst: 9, sport: 1, dport: 2, proto: 17 };
            let mut table = FlowTable::counted(&mut Arena::default(), 2, census);
            usize::from(table.insert(&Key::hashed(7, &tuple), 0, Now(TICK)).is_ok())
        };
        let thread = thread::spawn(move || enter(other, 1));
        let here = enter(std::sync::Arc::clone(&census), 2);
        assert_eq!(here + thread.join().unwrap(), 1, "one place, one flow");
        let other = std::sync::Arc::clone(&census);
        let thread = thread::spawn(move || other.known(Now(9 * TICK)));
        let here = census.known(Now(9 * TICK));
        assert!(here + thread.join().unwrap() <= 1, "it left, once");
        assert_eq!(census.known(Now(9 * TICK)), 0);
    });
}

#[test]
fn three_frames_wait_for_a_neighbour_over_all_workers() {
    loom::model(|| {
        let waiting = Arc::new(Waiting::new(1));
        let place = WaitsFor::Neighbour(NeighbourId(0));
        let enter =
            move |waiting: &Waiting| (0..2).filter(|_| waiting.enter(place).is_ok()).count();
        let other = Arc::clone(&waiting);
        let thread = thread::spawn(move || enter(&other));
        let all = enter(&waiting) + thread.join().unwrap();
        assert_eq!(all, usize::from(HELD_EACH));
        (0..all).for_each(|_| waiting.leave(place));
        assert_eq!(waiting.enter(place), Ok(()), "places come back");
    });
}

#[test]
fn a_neighbours_address_and_state_belong_together() {
    loom::model(|| {
        let words = Arc::new(Words::new(1));
        let id = NeighbourId(0);
        let [first, second] =
            [1, 2].map(|n| Word::new(MacAddr([2, 0, 0, 0, 0, n]), NeighbourState::Reachable));
        let failed = Word::new(MacAddr::ZERO, NeighbourState::Failed);
        let control = Arc::clone(&words);
        let thread = thread::spawn(move || {
            [first, failed, second].into_iter().for_each(|word| control.store(id, word))
        });
        let seen = words.load(id);
        let down = Word::new(MacAddr::ZERO, NeighbourState::Down);
        assert!([down, first, failed, second].contains(&seen), "{seen:?}");
        thread.join().unwrap();
        assert_eq!(words.load(id), second);
    });
}

#[test]
fn a_counter_is_whole_to_whoever_reads_it() {
    loom::model(|| {
        let counter = Arc::new(Counter::default());
        let owner = Arc::clone(&counter);
        let thread = thread::spawn(move || [1 << 40, 5].into_iter().for_each(|n| owner.add(n)));
        let seen = counter.value();
        assert!([0, 1 << 40, (1 << 40) + 5].contains(&seen), "{seen}");
        thread.join().unwrap();
        assert_eq!(counter.value(), (1 << 40) + 5);
    });
}

/// The ring that a worker looks into before it sleeps, and the descriptor that it sleeps on, as
/// flags of their own.
#[test]
fn a_frame_that_comes_while_a_worker_falls_asleep_wakes_it() {
    loom::model(|| {
        let (signal, work, woken) = (
            Arc::new(Signal::default()),
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let theirs = (Arc::clone(&signal), Arc::clone(&work), Arc::clone(&woken));
        let sender = thread::spawn(move || {
            let (signal, work, woken) = theirs;
            work.store(true, Ordering::Release);
            if signal.ring() {
                woken.store(true, Ordering::Release);
            }
        });
        let sleeps = signal.arm() && !work.load(Ordering::Acquire);
        if !sleeps {
            signal.disarm();
        }
        sender.join().unwrap();
        if sleeps {
            assert!(woken.load(Ordering::Acquire), "it sleeps, there is work, and nobody woke it");
        } else {
            assert!(work.load(Ordering::Acquire), "it stays awake for a reason");
        }
    });
}

/// After it woke, what rang meanwhile is seen by its next look.
#[test]
fn a_ring_while_a_worker_wakes_is_seen_by_its_next_look() {
    loom::model(|| {
        let (signal, work) = (Arc::new(Signal::default()), Arc::new(AtomicBool::new(false)));
        assert!(signal.arm());
        let theirs = (Arc::clone(&signal), Arc::clone(&work));
        let sender = thread::spawn(move || {
            theirs.1.store(true, Ordering::Release);
            theirs.0.ring()
        });
        signal.disarm();
        let seen = work.load(Ordering::Acquire);
        let sleeps = !seen && signal.arm() && !work.load(Ordering::Acquire);
        let woken = sender.join().unwrap();
        assert!(!sleeps || woken, "it sleeps again, there is work, and nobody woke it");
    });
}
