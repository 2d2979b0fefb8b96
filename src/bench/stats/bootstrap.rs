//! How sure is a median? Its confidence interval by the percentile bootstrap (Efron 1979): medians
//! of many series drawn from the one at hand, with replacement.

use super::summary::{percentile, sorted};
use crate::fib::synth::Numbers;

/// A range of figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

/// How medians are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draws {
    /// How many.
    pub len: u32,
    /// What the draws follow from.
    pub seed: u64,
}

/// The interval that holds the median with this confidence (0.95, say); none of an empty series.
///
/// Fewer than about six figures give an interval that is too narrow, of whatever confidence.
pub fn median_interval(figures: &[f64], confidence: f64, draws: Draws) -> Option<Interval> {
    let sample = sorted(figures);
    let len = u32::try_from(sample.len()).ok().filter(|&len| len > 0)?;
    let mut numbers = Numbers::new(draws.seed);
    let mut counts = vec![0_usize; sample.len()];
    let mut medians = Vec::with_capacity(draws.len as usize);
    for _ in 0..draws.len.max(1) {
        counts.fill(0);
        for _ in 0..len {
            counts[numbers.below(len) as usize] += 1;
        }
        medians.push(counted_median(&sample, &counts));
    }
    let medians = sorted(&medians);
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval { low: percentile(&medians, tail)?, high: percentile(&medians, 1.0 - tail)? })
}

/// The median of a series in which each figure of a sorted sample occurs so many times, and which
/// is as long as the sample.
fn counted_median(sample: &[f64], counts: &[usize]) -> f64 {
    let at = |place: usize| {
        let mut seen = 0;
        let index = counts.iter().position(|count| {
            seen += count;
            seen > place
        });
        sample[index.expect("counts add up to the sample's length")]
    };
    f64::midpoint(at((sample.len() - 1) / 2), at(sample.len() / 2))
}
