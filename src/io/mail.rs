//! How do new descriptors get from control to the worker that uses them? A letter box for one.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

/// Holds what control sent and the worker has not taken yet; a newer letter replaces an older.
#[derive(Debug)]
pub(super) struct Mail<T>(Arc<ArrayQueue<T>>);

impl<T> Clone for Mail<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Mail<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(ArrayQueue::new(1)))
    }

    pub(super) fn send(&self, letter: T) {
        self.0.force_push(letter);
    }

    #[inline]
    pub(super) fn take(&self) -> Option<T> {
        if self.0.is_empty() { None } else { self.0.pop() }
    }
}
