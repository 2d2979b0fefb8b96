//! How are many times distributed? Histograms with three exact digits from 1 ns to 10 s, and the
//! few numbers of a record that are read from them.

use hdrhistogram::Histogram;

use crate::bench::record::Quantity;
use crate::bench::record::trial::{Latency, Spread};

/// What is longer counts as this long, in nanoseconds.
pub const LONGEST_NS: u64 = 10_000_000_000;
/// So many samples must lie beyond a quantile for it to be shown: one or two would be chance.
pub const LEAST_BEYOND: f64 = 20.0;

/// An empty histogram of times in nanoseconds, its memory in place.
pub fn times() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("these bounds are allowed");
    // Written, so that the first samples do not pay for fresh memory.
    histogram.reset();
    histogram
}

/// The few numbers; `None` without samples.
pub fn spread(times: &Histogram<u64>) -> Option<Spread> {
    if times.is_empty() {
        return None;
    }
    let at = |quantile| nanos(times.value_at_quantile(quantile));
    Some(Spread {
        samples: times.len(),
        min: nanos(times.min()),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: nanos(times.max()),
    })
}

/// The few numbers, all zero without samples.
pub fn spread_or_zero(times: &Histogram<u64>) -> Spread {
    let zero = nanos(0);
    let none =
        Spread { samples: 0, min: zero, p50: zero, p90: zero, p99: zero, p999: zero, max: zero };
    spread(times).unwrap_or(none)
}

/// The few numbers and the curve; `None` without samples.
///
/// The curve has ten points for each tenfold step towards all frames, as far as
/// [`LEAST_BEYOND`] samples lie beyond, and the longest time as its last.
pub fn latency(times: &Histogram<u64>) -> Option<Latency> {
    let spread = spread(times)?;
    let mut curve = vec![(0.0, spread.min.value)];
    for tenth in 1.. {
        let beyond = 10_f64.powf(-f64::from(tenth) / 10.0);
        if float(times.len()) * beyond < LEAST_BEYOND {
            break;
        }
        let share = 1.0 - beyond;
        curve.push((share, float(times.value_at_quantile(share))));
    }
    curve.push((1.0, spread.max.value));
    Some(Latency { spread, curve })
}

fn nanos(value: u64) -> Quantity {
    Quantity::nanos(float(value))
}

pub(in crate::bench) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_a_sorted_list_within_a_thousandth() {
        let mut list: Vec<u64> = (0..50_000_u64).map(|i| 100 + i * i % 7_919_317).collect();
        let mut histogram = times();
        list.iter().for_each(|value| histogram.saturating_record(*value));
        list.sort_unstable();
        // The smallest value that so many per mille of the list do not exceed.
        let rank = |share: f64| (1..=50_000).find(|rank| *rank as f64 >= share * 50_000.0 - 1e-6);
        let exact = |share: f64| list[rank(share).unwrap() - 1] as f64;
        let answer = latency(&histogram).unwrap();
        let spread = answer.spread;
        let max = histogram.highest_equivalent(*list.last().unwrap()) as f64;
        assert_eq!((spread.samples, spread.min.value, spread.max.value), (50_000, 100.0, max));
        for (share, seen) in
            [(0.5, spread.p50), (0.9, spread.p90), (0.99, spread.p99), (0.999, spread.p999)]
        {
            assert!((seen.value / exact(share) - 1.0).abs() < 0.001, "{share}: {seen:?}");
        }
        for (share, value) in &answer.curve[1..] {
            assert!((value / exact(*share) - 1.0).abs() < 0.002, "{share}: {value}");
        }
        // 50,000 * 10^-3.3 = 25 samples beyond; 10^-3.4 would leave 19.9.
        assert_eq!(answer.curve.len(), 1 + 33 + 1);
    }

    #[test]
    fn no_samples_have_no_latency() {
        assert_eq!(latency(&times()), None);
        assert_eq!(spread_or_zero(&times()).samples, 0);
    }
}
