//! When do workers run beside each other? Rounds that begin together, and count until the first of
//! them has no frames left.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Looks after which a thread that waits lets others have its core.
const LOOKS: u32 = 10_000;

/// The kind of the error that another thread has given up.
pub(super) const GIVEN_UP: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// What threads of one measurement share. They spin, since a round takes less time than the
/// scheduler takes to wake a thread.
#[derive(Debug)]
pub(super) struct Gate {
    threads: usize,
    /// Threads that have come to a gate, since the begin.
    came: AtomicUsize,
    /// Whether one of them has no frames left in this round.
    is_over: AtomicBool,
    /// Whether one of them has given up.
    has_failed: AtomicBool,
}

impl Gate {
    /// A gate for so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            threads,
            came: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Waits until all are here, and begins a round.
    ///
    /// # Errors
    /// When another thread has given up.
    pub(super) fn open(&self) -> io::Result<()> {
        self.wait()
    }

    /// Waits until all have ended the round.
    ///
    /// # Errors
    /// When another thread has given up.
    pub(super) fn close(&self) -> io::Result<()> {
        self.wait()?;
        // All write the same, and the next round begins when all are at its gate.
        self.is_over.store(false, Ordering::Release);
        Ok(())
    }

    /// Says that this thread has no frames left.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Says that this thread comes to no gate any more.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    /// Whether all have frames left.
    pub(super) fn all_run(&self) -> bool {
        !self.is_over.load(Ordering::Acquire)
    }

    fn wait(&self) -> io::Result<()> {
        let number = self.came.fetch_add(1, Ordering::AcqRel);
        let all = (number / self.threads + 1) * self.threads;
        let mut looks = 0;
        while self.came.load(Ordering::Acquire) < all {
            if self.has_failed.load(Ordering::Acquire) {
                let why = "a worker beside this one could not be measured";
                return Err(io::Error::new(GIVEN_UP, why));
            }
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_begin_when_all_are_there_and_count_until_the_first_ends() {
        let gate = Gate::new(2);
        let inside = AtomicUsize::new(0);
        let thread = || {
            for round in 1..=200 {
                gate.open().unwrap();
                inside.fetch_add(1, Ordering::AcqRel);
                gate.end();
                assert!(!gate.all_run());
                gate.close().unwrap();
                assert!(inside.load(Ordering::Acquire) >= 2 * round, "one had not begun");
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(thread);
            scope.spawn(thread);
        });
        assert!(gate.all_run());
        assert_eq!(inside.into_inner(), 400);
    }

    #[test]
    fn nobody_waits_for_a_thread_that_has_given_up() {
        let gate = Gate::new(2);
        gate.fail();
        assert!(gate.open().is_err());
    }
}
