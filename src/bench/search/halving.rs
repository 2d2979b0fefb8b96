//! Which load would RFC 2544's plain halving try next? (section 26.1)
//!
//! The highest load, then halfway between the lowest that failed and the highest that passed, with
//! 0 as the first that passed; each until it is decided, so that goals of several trials work too.

use super::book::{Book, Bounds};
use super::class::Class;
use super::goal::Target;
use super::ladder::{Ladder, Rung};

/// The load to try next for a goal, given the one tried last; none when the goal is reached or
/// cannot be.
pub(super) fn next(
    book: &Book,
    ladder: &Ladder,
    goal: &Target,
    last: Option<Rung>,
) -> Option<Rung> {
    let undecided = |&rung: &Rung| book.class(rung, &goal.criteria) == Class::Undecided;
    if let Some(rung) = last.filter(undecided) {
        return Some(rung);
    }
    match book.bounds(&goal.criteria) {
        // Also when the top was tried for another goal and is not decided for this one.
        Bounds { upper: None, lower } => (lower < Some(ladder.top())).then(|| ladder.top()),
        Bounds { lower: None, upper: Some(upper) } => {
            let half = ladder.below(ladder.load(upper) / 2.0);
            (upper > Rung(0)).then_some(half)
        }
        Bounds { lower: Some(lower), upper: Some(upper) } => {
            let half = ladder.below(f64::midpoint(ladder.load(lower), ladder.load(upper)));
            (upper.above(lower) > goal.width).then(|| half.max(lower.up(1)))
        }
    }
}
