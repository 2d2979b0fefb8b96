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

/// Collects times, to 0.1 %.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are within the histogram's range"))
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
