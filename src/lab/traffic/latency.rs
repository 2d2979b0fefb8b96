//! How long did things take? A summary of many times.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Times in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// The least.
    pub min_us: f64,
    /// The mean.
    pub avg_us: f64,
    /// Half took no longer.
    pub p50_us: f64,
    /// 99 of 100 took no longer.
    pub p99_us: f64,
    /// The most.
    pub max_us: f64,
}

/// The longest time that is told apart from longer ones.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Collects times, to 0.1 %.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        // Fixed bounds: saturating_record clamps to what a growing histogram happens to hold.
        Self(Histogram::new_with_bounds(1, HOUR_NS, 3).expect("the bounds are the crate's own"))
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The summary, when there is anything to summarise.
    pub(crate) fn summary(&self) -> Option<Latency> {
        let us = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1e6;
        (!self.0.is_empty()).then(|| Latency {
            min_us: us(self.0.min()),
            avg_us: self.0.mean() / 1e3,
            p50_us: us(self.0.value_at_quantile(0.5)),
            p99_us: us(self.0.value_at_quantile(0.99)),
            max_us: us(self.0.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summarised_to_a_thousandth() {
        let mut times = Times::new();
        assert_eq!(times.summary(), None);
        (1..=1000).for_each(|ms| times.add(Duration::from_millis(ms)));
        let found = times.summary().unwrap();
        let expected = [1e3, 500.5e3, 500e3, 990e3, 1000e3];
        let found = [found.min_us, found.avg_us, found.p50_us, found.p99_us, found.max_us];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 2e-3, "{found} {expected}");
        }
        times.add(Duration::MAX);
        assert!(times.summary().unwrap().max_us >= 3.6e9);
    }
}
