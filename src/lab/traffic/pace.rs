//! When is the next packet due? An open-loop pacer: a late packet does not delay the next.

use std::time::{Duration, Instant};

use crate::lab::wait;

/// What the kernel's timer may oversleep; the rest of a wait is spent awake.
const SLACK: Duration = Duration::from_micros(150);

/// Due times at a fixed rate from a start.
#[derive(Debug)]
pub(crate) struct Pacer {
    start: Instant,
    rate_bps: u64,
    bits: u64,
    /// The most that anything was late.
    pub(crate) max_lag: Duration,
}

impl Pacer {
    /// Due times from now on; the rate must not be zero.
    pub(crate) fn new(rate_bps: u64) -> Self {
        Self { start: wait::now(), rate_bps: rate_bps.max(1), bits: 0, max_lag: Duration::ZERO }
    }

    /// When the first bit was due.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// When the next bit is due: after all bits so far at the rate.
    fn due(&self) -> Instant {
        let ns = u128::from(self.bits) * 1_000_000_000 / u128::from(self.rate_bps);
        self.start + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX / 2))
    }

    /// Waits until the next `size` bytes are due.
    pub(crate) fn wait_for(&mut self, size: usize) {
        let due = self.due();
        self.bits += size as u64 * 8;
        loop {
            let now = wait::now();
            let Some(ahead) = due.checked_duration_since(now).filter(|d| !d.is_zero()) else {
                self.max_lag = self.max_lag.max(now - due);
                return;
            };
            match ahead.checked_sub(SLACK) {
                Some(rest) if !rest.is_zero() => std::thread::park_timeout(rest),
                _ => std::thread::yield_now(),
            }
        }
    }
}
