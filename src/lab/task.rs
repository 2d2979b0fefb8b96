//! Work that runs in the background and can be asked to stop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::error::{Doing, LabError};
use super::wait;

/// A wish that background work ends, which a wait for input hears at once.
#[derive(Clone, Debug)]
pub struct Stop(Arc<StopState>);

#[derive(Debug)]
struct StopState {
    asked: AtomicBool,
    event: OwnedFd,
}

impl Stop {
    /// A wish that nobody has uttered yet.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> Result<Self, LabError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .doing(|| "making an event descriptor".into())?;
        Ok(Self(Arc::new(StopState { asked: AtomicBool::new(false), event })))
    }

    /// Asks the work to end.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        // A full counter is readable already, which is all that is wanted.
        let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
    }

    /// Whether someone asked.
    pub fn asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Waits until `fd` can be read, someone asks to stop, or `within` has passed; says whether
    /// `fd` can be read.
    pub(crate) fn or_readable(&self, fd: BorrowedFd<'_>, within: Duration) -> io::Result<bool> {
        let [ready, _] = wait::readable([fd, self.0.event.as_fd()], within)?;
        Ok(ready)
    }
}

/// A thread that works in the background; dropping it asks it to stop and waits for it.
#[derive(Debug)]
pub struct Task<T> {
    stop: Stop,
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Task<T> {
    /// Starts `work` on a thread of its own.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn start(
        name: &str,
        work: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Result<Self, LabError> {
        let stop = Stop::new()?;
        let heard = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&heard))
            .doing(|| format!("starting a thread for {name}"))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl<T> Task<T> {
    /// Waits for the work's result.
    ///
    /// # Panics
    /// When the work panicked, with its panic.
    pub fn join(mut self) -> T {
        let thread = self.thread.take().expect("only join and drop take the thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Asks the work to end and waits for its result.
    ///
    /// # Panics
    /// When the work panicked, with its panic.
    pub fn finish(self) -> T {
        self.stop.ask();
        self.join()
    }

    /// Asks the work to end.
    pub fn stop(&self) {
        self.stop.ask();
    }

    /// Whether the work has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread; a destructor does not raise it again.
            let _ = thread.join();
        }
    }
}
