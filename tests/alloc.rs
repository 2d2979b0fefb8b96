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
}
