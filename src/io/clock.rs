//! What time is it? The only place that reads a clock.

use rustix::time::{ClockId, clock_gettime};

use crate::time::{Now, Span};

pub use super::sys::tsc::ticks;

/// The time on the monotonic clock, which is the same for all threads and processes of a host.
#[inline]
pub fn now() -> Now {
    let time = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at boot and never shows negative values.
    Now(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
}

/// The monotonic clock as the hardware has it, which time synchronisation does not slew: for
/// holding another counter against.
pub fn raw() -> Now {
    let time = clock_gettime(ClockId::MonotonicRaw);
    Now(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
}

/// The time of day in UTC, to the second, in the form of RFC 3339.
#[expect(clippy::disallowed_methods, reason = "the one place that reads clocks")]
pub fn stamp() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// What the wall's clock, since 1970, shows beyond [`now`]; it changes when somebody sets that.
pub fn wall_ahead() -> Span {
    let wall = clock_gettime(ClockId::Realtime);
    let since_1970 = wall.tv_sec.cast_unsigned() * 1_000_000_000 + wall.tv_nsec.cast_unsigned();
    Span(since_1970.saturating_sub(now().0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let times: Vec<Now> = (0..1000).map(|_| now()).collect();
        assert!(times.is_sorted());
        assert!(times[0] > Now(0));
    }
}
