//! Where do workers on memory ports run? In the tester's thread, or on threads of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::io::clock;
use crate::sync::Counter;
use crate::worker::Worker;

/// Workers in the tester's thread.
#[derive(Debug)]
pub(super) struct Here {
    pub(super) workers: Mutex<Vec<Worker>>,
    pub(super) turns: Vec<Arc<Counter>>,
}

impl Here {
    /// A turn of each worker.
    pub(super) fn step(&self) {
        // A worker that panicked has said so: its state is not looked at again but to step it.
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        for (worker, turns) in workers.iter_mut().zip(&self.turns) {
            worker.turn(clock::now());
            turns.add(1);
        }
    }
}

/// Workers on threads of their own.
#[derive(Debug)]
pub(super) struct There {
    pub(super) stop: Arc<AtomicBool>,
    pub(super) threads: Vec<(u32, JoinHandle<()>)>,
}

impl Drop for There {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for (_, thread) in self.threads.drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// A worker's life with `--poll`.
pub(super) fn poll(mut worker: Worker, stop: &AtomicBool, turns: &Counter) {
    while !stop.load(Ordering::Acquire) {
        if worker.turn(clock::now()) == 0 {
            std::hint::spin_loop();
        }
        turns.add(1);
    }
}
