//! When may the next frames go? Tokens by the clock, of which few can be saved up.

use crate::time::{Now, Span};

/// Most frames that go at once.
pub(super) const BURST: u64 = 64;

/// When frame `i` of a schedule without delays is due, which begins at 0.
pub(super) fn due(i: u64, rate: u32) -> Now {
    let ns = u128::from(i) * 1_000_000_000 / u128::from(rate.max(1));
    Now(u64::try_from(ns).unwrap_or(u64::MAX))
}

/// Lets no more than `rate` frames a second pass, and [`BURST`] at once.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u32,
    start: Now,
    /// Frames since `start`.
    passed: u64,
}

impl Pace {
    /// The first frame may go at once.
    pub(super) const fn new(rate: u32, now: Now) -> Self {
        Self { rate, start: now, passed: 0 }
    }

    /// When the next frame may go.
    pub(super) fn next(&self) -> Now {
        self.start + Span(due(self.passed, self.rate).0)
    }

    /// How many frames may go now, which then count as gone. What a stall of the machine kept from
    /// going is not made up for beyond one burst.
    pub(super) fn take(&mut self, now: Now, most: u64) -> u64 {
        let Some(late) = now.0.checked_sub(self.next().0) else { return 0 };
        let ready = u128::from(late) * u128::from(self.rate) / 1_000_000_000 + 1;
        let ready = u64::try_from(ready).unwrap_or(u64::MAX);
        if ready > BURST {
            let saved = due(BURST - 1, self.rate).0;
            (self.start, self.passed) = (Now(now.0.saturating_sub(saved)), 0);
        }
        let taken = ready.min(BURST).min(most);
        self.passed += taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The model: in any window of a run, frames are at most a burst and the rate times the time.
        #[test]
        fn no_window_has_more_than_its_share(
            rate in 1_u32..2_000_000,
            steps in prop::collection::vec((0_u64..20_000_000, 1_u64..100), 1..200),
        ) {
            let mut pace = Pace::new(rate, Now(5));
            let mut now = 5_u64;
            let mut gone = Vec::new();
            for (wait, most) in steps {
                now += wait;
                gone.push((now, pace.take(Now(now), most)));
            }
            for from in 0..gone.len() {
                let mut sum = 0;
                for (at, frames) in &gone[from..] {
                    sum += frames;
                    let span = u128::from(at - gone[from].0);
                    let share = span * u128::from(rate) / 1_000_000_000 + u128::from(BURST) + 1;
                    prop_assert!(u128::from(sum) <= share, "{sum} frames in {span} ns");
                }
            }
        }
    }

    #[test]
    fn the_rate_is_reached_when_nobody_is_late() {
        let mut pace = Pace::new(10_000, Now(0));
        let gone: u64 = (0..1000).map(|ms| pace.take(Now(ms * 1_000_000), u64::MAX)).sum();
        assert!((9_980..=10_000).contains(&gone), "{gone} frames in a second");
    }

    #[test]
    fn after_a_stall_of_a_minute_one_burst_goes_and_then_the_rate() {
        let mut pace = Pace::new(1000, Now(0));
        let minute = Now(60_000_000_000);
        assert_eq!(pace.take(minute, u64::MAX), BURST);
        assert_eq!(pace.take(minute, u64::MAX), 0);
        assert_eq!(pace.take(minute + Span::millis(10), u64::MAX), 10);
    }
}
