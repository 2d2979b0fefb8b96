//! How long does the machine keep a thread from running that only wants to run? The floor of
//! every latency, and of how late a generator is.
//!
//! A thread reads the clock as fast as it can; gaps between two readings are time that something
//! else took. Percentiles are of the wait that a moment chosen at random has until the next
//! reading, because that is what befalls a frame that is due then: one gap of 10 ms in a second
//! makes the 99th percentile zero and the 99.9th 9 ms, however many readings there were.

use super::clock::Clock;
use super::tally::spread::{float, times};
use crate::bench::record::{Hiccup, Quantity};
use crate::time::Span;

/// Gaps over this are long, in nanoseconds.
const LONG_NS: u64 = 100_000;

/// Spins for some time and says what was taken.
pub fn probe(clock: &impl Clock, time: Span) -> Hiccup {
    let mut gaps = times();
    let begin = clock.now();
    let mut last = begin;
    let mut long = 0;
    while last - begin < time.0 {
        clock.turn();
        let now = clock.now();
        let gap = now - last;
        gaps.saturating_record(gap);
        long += u64::from(gap > LONG_NS);
        last = now;
    }
    let seconds = float(last - begin).max(1.0) / 1e9;
    let list: Vec<(f64, f64)> = gaps
        .iter_recorded()
        .map(|gap| (float(gap.value_iterated_to()), float(gap.count_at_value())))
        .collect();
    Hiccup {
        duration: Quantity::seconds(seconds),
        p50: Quantity::nanos(wait(&list, 0.5)),
        p999: Quantity::nanos(wait(&list, 0.001)),
        max: Quantity::nanos(float(gaps.max())),
        long_gaps_per_second: float(long) / seconds,
    }
}

/// The wait in nanoseconds that a share of all moments exceeds, given gaps and how often each
/// was.
fn wait(gaps: &[(f64, f64)], share: f64) -> f64 {
    let total: f64 = gaps.iter().map(|(gap, count)| gap * count).sum();
    // Of a gap's moments, those in its last x nanoseconds wait for less than x.
    let beyond = |wait: f64| {
        gaps.iter().map(|(gap, count)| (gap - wait).max(0.0) * count).sum::<f64>() / total
    };
    let (mut low, mut high) = (0.0, gaps.last().map_or(0.0, |last| last.0));
    while high - low > 0.5 {
        let middle = f64::midpoint(low, high);
        if beyond(middle) > share { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::trial::clock::{ClockDrift, ManualClock, RealClock};

    #[test]
    fn a_moment_waits_for_the_rest_of_its_gap() {
        // 990 ms of gaps of 100 ns, one of 10 ms: a share of 0.001 is 1 ms, so that 9 ms are not
        // exceeded but by the first tenth of the long gap.
        let gaps = [(100.0, 9.9e6), (1e7, 1.0)];
        assert!((wait(&gaps, 0.001) - 9e6).abs() < 1.0);
        // Half of all moments wait half of a short gap, or a little more for the long gap.
        assert!((wait(&gaps, 0.5) - 50.0).abs() < 1.5);
    }

    /// A clock that stands still for 5 ms once.
    struct Stalling(ManualClock);

    impl Clock for Stalling {
        fn now(&self) -> u64 {
            self.0.now()
        }

        fn turn(&self) {
            self.0.turn();
            if self.now() == 1_000_000 {
                self.0.advance(5_000_000);
            }
        }

        fn is_real(&self) -> bool {
            false
        }

        fn verify(&self) -> Result<(), ClockDrift> {
            Ok(())
        }
    }

    #[test]
    fn a_stall_is_found_and_counted() {
        let hiccup = probe(&Stalling(ManualClock::new(50)), Span::millis(100));
        assert!((hiccup.max.value / 5_000_050.0 - 1.0).abs() < 0.001, "{hiccup:?}");
        assert!((hiccup.long_gaps_per_second - 10.0).abs() < 0.01, "{hiccup:?}");
        assert!((hiccup.p999.value / 4_900_000.0 - 1.0).abs() < 0.002, "{hiccup:?}");
    }

    #[test]
    fn the_real_machine_has_a_floor() {
        let hiccup = probe(&RealClock::calibrate(), Span::millis(20));
        assert!(hiccup.duration.value >= 0.02 && hiccup.max.value >= 1.0, "{hiccup:?}");
    }
}
