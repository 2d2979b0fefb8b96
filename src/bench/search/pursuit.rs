//! Which load would help one goal most? Its own wish for the next trial, over easier targets first.
//!
//! Each target begins from the loads where the one before it ended, and wishes for the first of
//! these that can still tell something:
//!
//! 1. *halve*: the middle of where it began, if that is one halving away from narrow enough;
//! 2. *refine*: where it began, the lower load first;
//! 3. *extend*: outward from the only bound, further with each miss;
//! 4. *bisect*: between both bounds; or outward from one of them as in 3, while that stays closer
//!    to where the target began: a bound far out was another goal's work.
//!
//! The rules are those of the package MLRsearch 1.2.1, whose choices the tests compare with ours.

use super::book::{Book, Bounds};
use super::goal::Target;
use super::ladder::{Ladder, Rung, middle};
use crate::time::Span;

/// How a goal is pursued.
#[derive(Clone, Debug)]
pub(super) struct Pursuit {
    chain: Vec<Target>,
    at: usize,
    /// The loads that the target began from, bounds of the one before.
    from: Bounds,
    /// How far the next step outward goes at least.
    reach: i64,
}

/// A trial that a goal wishes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) rung: Rung,
    pub(super) duration: Span,
    /// How far steps outward go from now on, for all goals, if the wish is granted.
    pub(super) width: i64,
    /// Which bound the load would become if the step fell short of its aim.
    short_as: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Lower,
    Upper,
}

impl Wish {
    /// Whether it comes before `other`: the lower load, the longer trial, the wider step. Low
    /// loads first, because one that fails makes all trials above it needless.
    pub(super) fn precedes(&self, other: &Self) -> bool {
        let key = |wish: &Self| (wish.rung, std::cmp::Reverse((wish.duration, wish.width)));
        key(self) < key(other)
    }
}

impl Pursuit {
    /// Of these targets, from between two loads.
    pub(super) fn new(chain: Vec<Target>, low: Rung, high: Rung) -> Self {
        let from = Bounds { lower: Some(low), upper: Some(high) };
        let mut pursuit = Self { chain, at: 0, from, reach: 0 };
        pursuit.begin(from);
        pursuit
    }

    /// The targets from the present one to the goal.
    pub(super) fn ahead(&self) -> &[Target] {
        &self.chain[self.at..]
    }

    /// The trial that would help most; none when the goal is reached or cannot be.
    ///
    /// `shared` is how far the step outward went that any goal took last.
    pub(super) fn wish(&mut self, book: &Book, ladder: &Ladder, shared: i64) -> Option<Wish> {
        loop {
            let bounds = book.bounds(&self.target().criteria);
            let wish = self
                .halve(bounds)
                .or_else(|| self.refine(bounds, self.from.lower))
                .or_else(|| self.refine(bounds, self.from.upper))
                .or_else(|| self.extend(bounds, ladder, shared))
                .or_else(|| self.bisect(bounds, ladder, shared));
            if wish.is_some() || self.at + 1 == self.chain.len() {
                return wish;
            }
            self.at += 1;
            self.begin(bounds);
        }
    }

    /// Takes note of its wish's trial. Returns the shared width if that changes once more.
    pub(super) fn granted(&mut self, wish: &Wish, book: &Book) -> Option<i64> {
        let bounds = book.bounds(&self.target().criteria);
        let became = match wish.short_as? {
            Side::Lower => bounds.lower,
            Side::Upper => bounds.upper,
        };
        (became == Some(wish.rung)).then(|| {
            self.reach = self.reach.saturating_mul(self.target().expansion);
            self.reach
        })
    }

    fn target(&self) -> &Target {
        &self.chain[self.at]
    }

    fn begin(&mut self, from: Bounds) {
        self.from = from;
        self.reach_beyond(from.width().unwrap_or(0));
    }

    /// Steps outward go one expansion beyond this width, or the target's if that is more.
    fn reach_beyond(&mut self, width: i64) {
        let target = self.target();
        self.reach = width.max(target.width).saturating_mul(target.expansion);
    }

    fn wish_at(&self, rung: Rung, width: i64, short_as: Option<Side>) -> Wish {
        Wish { rung, duration: self.target().criteria.duration, width, short_as }
    }

    /// Whether a trial at `rung` is worth it: it can give a better bound, and that is needed.
    fn worth(&self, bounds: Bounds, rung: Rung) -> bool {
        bounds.leave_open(rung) && bounds.width().is_none_or(|width| width > self.target().width)
    }

    fn halve(&mut self, bounds: Bounds) -> Option<Wish> {
        let Bounds { lower: Some(low), upper: Some(high) } = self.from else { return None };
        let (whole, width) = (high.above(low), self.target().width);
        if whole <= width || whole > width.saturating_mul(2) {
            return None;
        }
        self.refine(bounds, Some(middle(low, high, width)))
    }

    fn refine(&mut self, bounds: Bounds, rung: Option<Rung>) -> Option<Wish> {
        let rung = rung.filter(|&rung| self.worth(bounds, rung))?;
        let width = self.target().width;
        self.reach_beyond(width);
        Some(self.wish_at(rung, width, None))
    }

    fn extend(&self, bounds: Bounds, ladder: &Ladder, shared: i64) -> Option<Wish> {
        let width = self.reach.max(shared);
        let (aim, side) = match (bounds.lower, bounds.upper) {
            (Some(lower), None) => (lower.up(width), Side::Lower),
            (None, Some(upper)) => (upper.down(width), Side::Upper),
            _ => return None,
        };
        let rung = ladder.between(bounds.lower, bounds.upper, aim, self.target().width)?;
        self.worth(bounds, rung).then(|| self.wish_at(rung, width, Some(side)))
    }

    fn bisect(&mut self, bounds: Bounds, ladder: &Ladder, shared: i64) -> Option<Wish> {
        let (low, high) = (bounds.lower?, bounds.upper?);
        let gap = self.target().width;
        if high.above(low) <= gap {
            return None;
        }
        let middle = middle(low, high, gap);
        let width = self.reach.max(shared);
        let toward = |aim| ladder.between(bounds.lower, bounds.upper, aim, gap);
        let down = self
            .from
            .upper
            .and_then(|from| toward(high.down(width)).filter(|&rung| middle < rung && rung < from));
        if let Some(rung) = down {
            return Some(self.wish_at(rung, width, Some(Side::Upper)));
        }
        let up = self
            .from
            .lower
            .and_then(|from| toward(low.up(width)).filter(|&rung| from < rung && rung < middle));
        if let Some(rung) = up {
            return Some(self.wish_at(rung, width, Some(Side::Lower)));
        }
        let part = middle.above(low).min(high.above(middle));
        self.reach_beyond(part);
        Some(self.wish_at(middle, part, None))
    }
}
