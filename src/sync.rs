//! What is shared between control and workers: a snapshot that one side stores and the other
//! loads once a turn, counters that one thread writes and any thread reads, and what a sleeper and
//! those who wake it agree on.
//!
//! Words that threads share come from [`atomic`]: under `--cfg thruway_loom` they are loom's, which
//! runs every order in which threads may meet (tests/loom.rs).

use std::sync::Arc;

use atomic::{AtomicBool, AtomicU64, Ordering, fence};

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

/// Atomic words: the standard library's, or those of loom.
pub mod atomic {
    #[cfg(thruway_loom)]
    pub use loom::sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    #[cfg(not(thruway_loom))]
    pub use std::sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// A value that control replaces whole and workers look at once a turn.
#[derive(Debug)]
pub struct Published<T> {
    current: Arc<ArcSwap<T>>,
}

impl<T> Published<T> {
    /// Publishes the first value.
    pub fn new(value: T) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(value)) }
    }

    /// Replaces the value; readers see it at their next [`Reader::load`].
    pub fn store(&self, value: Arc<T>) {
        self.current.store(value);
    }

    /// The value now.
    pub fn latest(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// A handle for one worker.
    pub fn reader(&self) -> Reader<T> {
        Reader { cache: Cache::new(Arc::clone(&self.current)) }
    }
}

/// One worker's view of a [`Published`] value.
#[derive(Debug)]
pub struct Reader<T> {
    cache: Cache<Arc<ArcSwap<T>>, Arc<T>>,
}

impl<T> Reader<T> {
    /// The newest value, for the price of one atomic load when it has not changed.
    pub fn load(&mut self) -> &Arc<T> {
        self.cache.load()
    }
}

/// A counter with one writer: a plain load and store, never a locked instruction.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; only the thread that owns the counter may call this.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes `n` away (gauges); only the thread that owns the counter may call this.
    #[inline(always)]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// The value as any thread sees it.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a sleeper and those who wake it agree on: a ring between "nothing to do" and "asleep" is
/// never lost.
///
/// Each side writes its own word and then reads the other's. The fences between keep one order of
/// both, so not both can read what was there before.
#[derive(Debug)]
pub struct Signal {
    rung: AtomicBool,
    asleep: AtomicBool,
}

impl Default for Signal {
    fn default() -> Self {
        Self { rung: AtomicBool::new(false), asleep: AtomicBool::new(false) }
    }
}

impl Signal {
    /// Notes a ring; whether the sleeper has to be woken.
    #[inline]
    pub fn ring(&self) -> bool {
        self.rung.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Acquire)
    }

    /// Declares the sleeper asleep; false when somebody rang since the last [`Signal::disarm`].
    /// The sleeper looks for work once more before it sleeps.
    pub fn arm(&self) -> bool {
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        !self.rung.load(Ordering::Acquire)
    }

    /// Declares the sleeper awake. What rang meanwhile is seen by its next look for work.
    pub fn disarm(&self) {
        self.asleep.store(false, Ordering::Release);
        self.rung.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Whether the sleeper sleeps, or is about to.
    pub fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
    }
}
