//! How does the lab wait? For a condition, until a deadline; and where it reads the clock.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "the lab measures; this is where it reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A point in time that a wait ends at.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `span` ahead.
    pub fn after(span: Duration) -> Self {
        Self(now() + span)
    }

    /// The deadline at `instant`.
    pub(crate) fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// How long until then; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.remaining().is_zero()
    }
}

/// Looks at `condition` every `interval` until it holds or `within` has passed; says whether it
/// held. It is looked at once at least.
pub fn until(within: Duration, interval: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Deadline::after(within);
    loop {
        if condition() {
            return true;
        }
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return false;
        }
        std::thread::park_timeout(interval.min(remaining));
    }
}

/// Waits until one of `fds` can be read or `within` has passed; says which can be read.
pub(crate) fn readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    within: Duration,
) -> std::io::Result<[bool; N]> {
    let deadline = Deadline::after(within);
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    loop {
        let timeout = Timespec::try_from(deadline.remaining()).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) => return Ok(std::array::from_fn(|i| !polled[i].revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_its_condition_holds() {
        let mut looks = 0;
        let held = until(Duration::from_secs(5), Duration::from_millis(1), || {
            looks += 1;
            looks == 3
        });
        assert!(held && looks == 3);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_looks_once_at_least() {
        let mut looks = 0;
        let before = now();
        assert!(!until(Duration::ZERO, Duration::from_secs(9), || {
            looks += 1;
            false
        }));
        assert_eq!(looks, 1);
        assert!(before.elapsed() < Duration::from_secs(1));
    }
}
