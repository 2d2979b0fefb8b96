//! What is shared between control and workers: a snapshot that one side stores and the other
//! loads once a turn, and counters that one thread writes and any thread reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

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
