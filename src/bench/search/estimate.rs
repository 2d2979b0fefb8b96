//! How long will a search still take? A rough answer, from what its goals have ahead of them.
//!
//! Each target ahead needs a few loads decided, each of which takes about as long as the longer of
//! "enough good" and "too much bad". It is within a factor of three on hosts that are fairly quiet;
//! how many trials noise makes for is not foreseen.

use super::book::{Book, Bounds};
use super::goal::Target;
use crate::time::Span;

/// Loads that a target needs once the one before it is reached: both of its bounds again, and one
/// between them.
const LOADS_PER_TARGET: u32 = 3;

/// Seconds of trials, as asked for, that a goal has ahead of it.
pub(super) fn ahead(targets: &[Target], book: &Book) -> f64 {
    let Some((present, later)) = targets.split_first() else { return 0.0 };
    let present = f64::from(loads(present, book)) * per_load(present);
    present + later.iter().map(|t| f64::from(LOADS_PER_TARGET) * per_load(t)).sum::<f64>()
}

/// The time for all goals, of which each alone would take so many seconds of trials. The longest
/// counts in full, the others by half: goals share trials as long as their loads are close.
/// `overhead` is how much longer than asked for trials take.
pub(super) fn together(seconds: &[f64], overhead: f64) -> Span {
    let longest = seconds.iter().copied().fold(0.0, f64::max);
    let shared = f64::midpoint(seconds.iter().sum(), longest) * overhead;
    let span = std::time::Duration::try_from_secs_f64(shared).ok();
    span.and_then(|span| u64::try_from(span.as_nanos()).ok()).map_or(Span(u64::MAX), Span)
}

/// How many more loads have to be decided for the target at hand.
fn loads(target: &Target, book: &Book) -> u32 {
    match book.bounds(&target.criteria) {
        Bounds { lower: None, upper: None } => LOADS_PER_TARGET,
        bounds => {
            // Halvings that make the interval, or else the first step outward, narrow enough.
            let width = bounds.width().unwrap_or(target.width.saturating_mul(4));
            let parts = (width - 1).div_euclid(target.width.max(1)).max(0);
            i64::BITS - parts.leading_zeros()
        }
    }
}

fn per_load(target: &Target) -> f64 {
    let share = target.criteria.exceed_ratio.max(1.0 - target.criteria.exceed_ratio);
    let sum = target.criteria.duration_sum.as_secs_f64() * share;
    sum.max(target.criteria.duration.as_secs_f64())
}
