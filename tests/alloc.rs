//! Does the packet path allocate? Counts every allocation of turns with all kinds of traffic.
#![allow(unreachable_pub, reason = "modules of a test binary")]
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/traffic.rs"]
mod traffic;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use bench::{Bench, without_limits};
use thruway::bench::medium::fault::{Fault, FaultSpec};
use thruway::bench::medium::wire::{WireSpec, wire};
use thruway::bench::selftest::plain::Plain;
use thruway::bench::trial::{Basis, ManualClock, Rig, Spec};
use thruway::time::Span;
use traffic::{SMALL, mix};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every call on to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` was the system's.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as in `dealloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn no_turn_allocates_once_the_flows_are_known() {
    for text in [lab::CONFIG.to_owned(), without_limits()] {
        let mut bench = Bench::new(&text);
        let traffic = mix(&mut bench, SMALL);
        for _ in 0..20 {
            for own in &traffic {
                bench.round(own);
            }
        }
        for own in &traffic {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let mut left = 0;
            for _ in 0..200 {
                left += bench.round(own);
            }
            let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
            assert_eq!(count, 0, "{}", own.name);
            assert!(left > 0, "{}: nothing left", own.name);
        }
    }
    // The counter counts.
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    drop(std::hint::black_box(Box::new(1)));
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > before);
    // In the same test, because the counter counts for all threads.
    a_trial_of_twice_the_length_allocates_no_more();
}

fn a_trial_of_twice_the_length_allocates_no_more() {
    let counts = [50, 100].map(|millis| {
        let clock = ManualClock::new(1_000);
        let (inner, mut device) = wire(&WireSpec::default(), clock.clone());
        let faults = FaultSpec {
            drop_every: 1000,
            duplicate_every: 77,
            swap_every: 55,
            flip_every: 33,
            ..FaultSpec::default()
        };
        let mut tester = Fault::new(inner, 1, faults, clock.clone());
        let mut rig = Rig {
            tester: &mut tester,
            device: &mut device,
            streams: &mut [Plain::new(64)],
            clock: &clock,
            basis: Basis::default(),
        };
        let mut spec = Spec::constant("x", &[1e6], Span::millis(millis));
        (spec.slices, spec.by_flow) = (Span::millis(1), true);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let run = rig.run(&spec).expect("the wire works");
        let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(run.trial.frames.offered, millis * 1000);
        count
    });
    // Lists in the result may be cut differently; frames are thousands.
    assert!(counts[1] < counts[0] + 20, "{counts:?}");
}
