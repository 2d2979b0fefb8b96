//! Time as a value: nothing below `io` reads a clock, it is handed a [`Now`].

use std::ops::{Add, Sub};

/// A point in time: nanoseconds since a start that is the same for the whole process
/// (the monotonic clock when live, the capture's own time stamps in a replay).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// A span of whole milliseconds.
    pub const fn millis(milliseconds: u64) -> Self {
        Self(milliseconds * 1_000_000)
    }

    /// A span of whole microseconds.
    pub const fn micros(microseconds: u64) -> Self {
        Self(microseconds * 1_000)
    }

    /// The span in seconds, for people.
    pub fn as_secs_f64(self) -> f64 {
        std::time::Duration::from(self).as_secs_f64()
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        std::time::Duration::from_nanos(span.0)
    }
}

impl Now {
    /// How long ago `earlier` was; zero when it lies in the future.
    pub const fn since(self, earlier: Now) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Now {
    type Output = Now;
    fn add(self, span: Span) -> Now {
        Now(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Now {
    type Output = Now;
    fn sub(self, span: Span) -> Now {
        Now(self.0.saturating_sub(span.0))
    }
}
