//! When may a worker sleep, and what wakes it?
//!
//! While frames come a worker polls; after some empty turns it sleeps in poll(2) until a queue
//! has a frame, somebody rings its [`Bell`], or its time is up. A ring between "nothing to do"
//! and "asleep" is never lost. Queues name the descriptors; this module does not receive.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::port::Queue;
use crate::sync::Signal;
use crate::time::Span;

/// Wakes a sleeper; costs a system call only when it sleeps.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
    signal: Signal,
}

impl Bell {
    /// A bell that nobody rang.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { fd, signal: Signal::default() })
    }

    /// Wakes the sleeper, or keeps it from falling asleep.
    #[inline]
    pub fn ring(&self) {
        if self.signal.ring() {
            self.write();
        }
    }

    #[cold]
    fn write(&self) {
        // A full counter (EAGAIN) wakes as well, and nothing else can fail.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    fn arm(&self) -> bool {
        self.signal.arm()
    }

    fn disarm(&self) {
        self.signal.disarm();
    }

    /// Empties the descriptor after it woke the sleeper. A ring's write may come late, after
    /// [`Bell::disarm`]: it then shortens the next sleep and is emptied there.
    fn drain(&self) {
        let _ = rustix::io::read(&self.fd, &mut [0u8; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Wakes one worker from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Bell>);

impl Waker {
    /// Wakes the worker, or keeps it from falling asleep once.
    pub fn wake(&self) {
        self.0.ring();
    }
}

/// TAPs that [`look`] asks of at a time.
const LOOKED_AT: usize = 16;

/// Asks the kernel which TAPs have a frame, with one call where reading each would be one a TAP; the
/// next [`Queue::receive`] of the others takes nothing and asks nothing. For several TAPs.
///
/// A frame that comes meanwhile is seen by the next look.
pub fn look(queues: &mut [Queue]) {
    let mut rest = queues;
    while !rest.is_empty() {
        let (mut taps, mut end) = (0, 0);
        while end < rest.len() && taps < LOOKED_AT {
            taps += usize::from(rest[end].is_tap());
            end += 1;
        }
        let (some, others) = rest.split_at_mut(end);
        look_at(some);
        rest = others;
    }
}

/// As [`look`], for no more than [`LOOKED_AT`] TAPs.
fn look_at(queues: &mut [Queue]) {
    let taps = || queues.iter().filter(|queue| queue.is_tap());
    let Some(any) = taps().find_map(Queue::fd) else { return };
    let mut fds: [PollFd<'_>; LOOKED_AT] =
        std::array::from_fn(|_| PollFd::from_borrowed_fd(any, PollFlags::IN));
    let mut len = 0;
    for fd in taps().filter_map(Queue::fd) {
        fds[len] = PollFd::from_borrowed_fd(fd, PollFlags::IN);
        len += 1;
    }
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Without an answer all are read.
    if poll(&mut fds[..len], Some(&at_once)).is_err() {
        return;
    }
    let has_none: [bool; LOOKED_AT] = std::array::from_fn(|at| fds[at].revents().is_empty());
    let watched = queues.iter_mut().filter(|queue| queue.is_tap() && queue.fd().is_some());
    for (queue, has_none) in watched.zip(has_none) {
        queue.skip(has_none);
    }
}

/// What a worker does in turns without frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Polls on; a whole processor for the lowest latency.
    Poll,
    /// Sleeps after so many empty turns in a row.
    SleepAfter(u32),
}

impl Default for Idle {
    fn default() -> Self {
        Idle::SleepAfter(64)
    }
}

/// One worker's rest between turns.
#[derive(Debug)]
pub struct Sleeper {
    bell: Arc<Bell>,
    idle: Idle,
    empty_turns: u32,
}

impl Sleeper {
    /// A sleeper with its own bell.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn new(idle: Idle) -> io::Result<Self> {
        Ok(Self { bell: Arc::new(Bell::new()?), idle, empty_turns: 0 })
    }

    /// A handle that wakes this sleeper.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.bell))
    }

    /// Ends a turn in which `work` frames (or other items) were handled, and sleeps `at_most` so
    /// long when it is time to; whether it slept.
    ///
    /// # Errors
    /// When poll(2) fails for want of memory.
    pub fn rest<'a>(
        &mut self,
        work: usize,
        queues: impl Iterator<Item = &'a Queue> + Clone,
        at_most: Span,
    ) -> io::Result<bool> {
        if work > 0 {
            self.empty_turns = 0;
            return Ok(false);
        }
        self.empty_turns = self.empty_turns.saturating_add(1);
        match self.idle {
            Idle::SleepAfter(turns) if self.empty_turns > turns => self.sleep(queues, at_most),
            _ => {
                std::hint::spin_loop();
                Ok(false)
            }
        }
    }

    #[cold]
    fn sleep<'a>(
        &mut self,
        queues: impl Iterator<Item = &'a Queue> + Clone,
        at_most: Span,
    ) -> io::Result<bool> {
        let quiet = self.bell.arm()
            && queues.clone().all(|queue| queue.bell().is_none_or(Bell::arm) && !queue.is_ready());
        let slept = if quiet { self.wait(queues.clone(), at_most) } else { Ok(false) };
        self.bell.disarm();
        queues.filter_map(Queue::bell).for_each(Bell::disarm);
        slept
    }

    fn wait<'a>(
        &self,
        queues: impl Iterator<Item = &'a Queue> + Clone,
        at_most: Span,
    ) -> io::Result<bool> {
        let watched = queues.filter_map(|queue| queue.fd().map(|fd| (queue, fd)));
        let own = PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = std::iter::once(own)
            .chain(watched.clone().map(|(_, fd)| PollFd::from_borrowed_fd(fd, PollFlags::IN)))
            .collect();
        let timeout = Timespec::try_from(std::time::Duration::from(at_most))
            .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if fds[0].revents().contains(PollFlags::IN) {
            self.bell.drain();
        }
        for (fd, (queue, _)) in fds[1..].iter().zip(watched) {
            if fd.revents().contains(PollFlags::IN) {
                queue.bell().into_iter().for_each(Bell::drain);
            }
            if fd.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                queue.clear_error();
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    #[test]
    fn a_ring_before_sleep_keeps_awake_once() {
        let mut sleeper = Sleeper::new(Idle::SleepAfter(0)).unwrap();
        sleeper.waker().wake();
        let nothing = std::iter::empty::<&Queue>();
        assert!(!sleeper.rest(0, nothing.clone(), Span::secs(5)).unwrap());
        let before = clock::now();
        assert!(sleeper.rest(0, nothing, Span::millis(20)).unwrap());
        assert!(clock::now().since(before) >= Span::millis(20));
    }

    #[test]
    fn a_ring_ends_sleep() {
        let mut sleeper = Sleeper::new(Idle::SleepAfter(0)).unwrap();
        let waker = sleeper.waker();
        let before = clock::now();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while !waker.0.signal.is_asleep() {
                    std::thread::yield_now();
                }
                waker.wake();
            });
            sleeper.rest(0, std::iter::empty(), Span::secs(10)).unwrap();
        });
        assert!(clock::now().since(before) < Span::secs(5));
    }

    #[test]
    fn frames_and_polling_keep_awake() {
        let mut sleeper = Sleeper::new(Idle::SleepAfter(2)).unwrap();
        let turn =
            |s: &mut Sleeper, work| s.rest(work, std::iter::empty(), Span::millis(1)).unwrap();
        let slept: Vec<bool> = [0, 0, 1, 0, 0, 0].map(|work| turn(&mut sleeper, work)).into();
        assert_eq!(slept, [false, false, false, false, false, true]);
        let mut poller = Sleeper::new(Idle::Poll).unwrap();
        assert!((0..1000).all(|_| !turn(&mut poller, 0)));
    }
}
