//! Which loads can be tried? A fixed ladder from the lowest load to the highest, with even steps
//! in the logarithm of the load.
//!
//! Widths are whole numbers of steps, so that widening and halving undo each other exactly, and a
//! load that comes up again is the same load. The step is chosen so that every goal's width is
//! nearly a whole number of steps and never less than that, whatever the unit of the load.

/// A place on a [`Ladder`]; 0 is the lowest load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rung(pub(super) i64);

impl Rung {
    /// So many steps higher; may lie beyond the ladder's end.
    pub(super) fn up(self, steps: i64) -> Self {
        Self(self.0.saturating_add(steps))
    }

    /// So many steps lower; may lie below the ladder.
    pub(super) fn down(self, steps: i64) -> Self {
        Self(self.0.saturating_sub(steps))
    }

    /// The steps from `lower` up to here.
    pub(super) fn above(self, lower: Self) -> i64 {
        self.0.saturating_sub(lower.0)
    }
}

/// An end of an interval in which a load is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edge {
    /// A limit of the ladder: may be tried itself.
    Open(Rung),
    /// A bound: its class is known.
    Known(Rung),
}

impl Edge {
    fn rung(self) -> Rung {
        let (Self::Open(rung) | Self::Known(rung)) = self;
        rung
    }
}

/// The loads from the lowest to the highest.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    lowest: f64,
    highest: f64,
    top: i64,
}

/// A goal's width in steps is at least this share of what it would be without rounding.
const NEAR: f64 = 0.99;
/// ... and at most this one, so that errors of computing never make an interval too wide.
const SAFE: f64 = 0.999_999;

impl Ladder {
    /// From `lowest` to `highest`, fine enough for these relative widths.
    ///
    /// The loads are finite and positive, the widths between 0.0001 and 0.5:
    /// [`super::Plan::check`] sees to it.
    pub(super) fn new(lowest: f64, highest: f64, widths: &[f64]) -> Self {
        let whole = highest.ln() - lowest.ln();
        let shares = widths.iter().map(|width| -(-width).ln_1p() / whole);
        // A width as great as the whole ladder is kept to by any interval on it.
        let shares: Vec<f64> = shares.filter(|&share| share < 1.0).collect();
        let mut top = 1.0_f64;
        // Each round jumps to where the width that fits worst has a whole step more.
        loop {
            let misfits = shares.iter().filter_map(|share| {
                let exact = share * top;
                let steps = exact.floor();
                let fits = (NEAR..=SAFE).contains(&(steps / exact));
                (!fits).then(|| (steps + 1.0) / SAFE / exact * top)
            });
            match misfits.reduce(f64::max) {
                Some(next) => top = next.max(top + 1.0).ceil(),
                None => return Self { lowest, highest, top: floor(top) },
            }
        }
    }

    /// The highest load's rung.
    pub(super) fn top(&self) -> Rung {
        Rung(self.top)
    }

    /// The load of a rung, in the unit of the ladder's ends; beyond them, the load of the end.
    pub(super) fn load(&self, rung: Rung) -> f64 {
        if rung.0 <= 0 {
            self.lowest
        } else if rung.0 >= self.top {
            self.highest
        } else {
            let share = rung.0 as f64 / self.top as f64;
            self.lowest * (share * (self.highest.ln() - self.lowest.ln())).exp()
        }
    }

    /// The highest rung whose load is at most `load`; the lowest one if there is none.
    pub(super) fn below(&self, load: f64) -> Rung {
        if load.is_nan() || load <= self.lowest {
            return Rung(0);
        }
        if load >= self.highest {
            return self.top();
        }
        let share = (load.ln() - self.lowest.ln()) / (self.highest.ln() - self.lowest.ln());
        let mut rung = Rung(floor(share * self.top as f64));
        // The logarithm may be off by a little; a rung's own load has to lead back to it.
        while self.load(rung.up(1)) <= load {
            rung = rung.up(1);
        }
        while self.load(rung) > load {
            rung = rung.down(1);
        }
        rung
    }

    /// The most steps that are no wider than this relative width, which is one of the ladder's.
    pub(super) fn steps(&self, width: f64) -> i64 {
        let step = (self.highest.ln() - self.lowest.ln()) / self.top as f64;
        floor(-(-width).ln_1p() / step).max(1)
    }

    /// The rung itself, or the end beyond which it lies.
    pub(super) fn clamp(&self, rung: Rung) -> Rung {
        rung.clamp(Rung(0), self.top())
    }

    /// A rung near `wish` that is worth a trial, given what is known; at least `gap` away from
    /// bounds. A limit of the ladder is tried itself when `wish` comes close to it. `None` when
    /// the bounds leave no room.
    pub(super) fn between(
        &self,
        lower: Option<Rung>,
        upper: Option<Rung>,
        wish: Rung,
        gap: i64,
    ) -> Option<Rung> {
        let wish = self.clamp(wish);
        if lower.is_some_and(|lower| wish <= lower) || upper.is_some_and(|upper| wish >= upper) {
            return None;
        }
        let low = lower.map_or(Edge::Open(Rung(0)), Edge::Known);
        let high = upper.map_or(Edge::Open(self.top()), Edge::Known);
        settle(low, high, wish, gap)
    }
}

/// Keeps `wish`, which lies between the edges, `gap` away from those that are known.
fn settle(low: Edge, high: Edge, wish: Rung, gap: i64) -> Option<Rung> {
    let (bottom, top) = (low.rung(), high.rung());
    if gap >= top.above(bottom) {
        return match (low, high) {
            (Edge::Open(rung), _) | (_, Edge::Open(rung)) => Some(rung),
            _ => None,
        };
    }
    let (mut soft_low, mut soft_high) = (bottom.up(gap), top.down(gap));
    if soft_low > soft_high {
        soft_low = middle(bottom, top, gap);
        soft_high = soft_low;
    }
    Some(match (low, high) {
        (Edge::Open(limit), _) if wish < soft_low => limit,
        (_, Edge::Open(limit)) if wish > soft_high => limit,
        _ => wish.clamp(soft_low, soft_high),
    })
}

/// Where to split the interval from `low` to `high`, which is wider than `width`.
///
/// One of the two parts is `width` times a power of two, so that halving it goes on without
/// remainders; the smaller part is the lower one, since loads that pass need fewer trials.
pub(super) fn middle(low: Rung, high: Rung, width: i64) -> Rung {
    let whole = high.above(low);
    debug_assert!(whole > width, "an interval that is narrow enough is not split");
    if whole < width.saturating_mul(2) && width % 2 == 1 {
        return low.up(whole / 2);
    }
    let mut part = width;
    while part.saturating_mul(2) < whole {
        part *= 2;
    }
    low.up((part / 2).max(whole - part))
}

#[expect(clippy::cast_possible_truncation, reason = "counts of steps are far below 2^53")]
fn floor(steps: f64) -> i64 {
    steps.floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last two are as wide as the greatest width below, but for how it is computed.
    const RANGES: [(f64, f64); 5] =
        [(9_001.0, 14_880_952.0), (1.0, 1e9), (1e3, 1.001e3), (0.1, 0.2), (1.0, 2.0)];
    const WIDTHS: [&[f64]; 5] =
        [&[0.005], &[0.01, 0.005], &[0.03, 0.002, 0.007], &[0.0001, 0.5], &[0.5]];

    fn ladders() -> impl Iterator<Item = (Ladder, &'static [f64])> {
        RANGES.into_iter().flat_map(|(low, high)| {
            WIDTHS.into_iter().map(move |widths| (Ladder::new(low, high, widths), widths))
        })
    }

    #[test]
    fn a_width_is_nearly_whole_in_steps_and_never_wider() {
        for (ladder, widths) in ladders() {
            for &width in widths {
                let steps = ladder.steps(width);
                // A width as great as the ladder is not rounded.
                if steps < ladder.top {
                    let base = (ladder.top - steps) / 2;
                    let [low, high] = [base, base + steps].map(|rung| ladder.load(Rung(rung)));
                    let share = (high / low).ln() / -(-width).ln_1p();
                    assert!((0.99..1.0).contains(&share), "{ladder:?}, {width}: {share}");
                    assert!((high - low) / high <= width);
                }
            }
        }
    }

    #[test]
    fn a_load_leads_back_to_its_rung_and_in_between_to_the_lower_one() {
        for (ladder, _) in ladders() {
            let stride = usize::try_from(ladder.top / 200 + 1).unwrap();
            for rung in (0..=ladder.top).step_by(stride).map(Rung) {
                assert_eq!(ladder.below(ladder.load(rung)), rung, "{ladder:?}");
                if rung < ladder.top() {
                    let (here, next) = (ladder.load(rung), ladder.load(rung.up(1)));
                    assert_eq!(ladder.below(f64::midpoint(here, next)), rung, "{ladder:?}");
                }
            }
            let ends = [f64::NAN, -1.0, 0.0, f64::INFINITY].map(|load| ladder.below(load));
            assert_eq!(ends, [Rung(0), Rung(0), Rung(0), ladder.top()]);
            assert_eq!(ladder.load(Rung(0)), ladder.lowest);
            assert_eq!(ladder.load(ladder.top()), ladder.highest);
        }
    }

    #[test]
    fn an_interval_is_split_so_that_halving_goes_on_evenly() {
        let split = |whole: i64, width| middle(Rung(100), Rung(100 + whole), width).0 - 100;
        // The part that is a width times a power of two, or else what is left of it, is below.
        for (whole, width, lower) in [
            (20, 10, 10),
            (40, 10, 20),
            (50, 10, 20),
            (70, 10, 30),
            (30, 10, 10),
            (15, 10, 5),
            (19, 10, 9),
            (15, 11, 7),
        ] {
            assert_eq!(split(whole, width), lower, "{whole} of {width}");
        }
    }

    #[test]
    fn a_trial_stays_a_gap_away_from_bounds_and_may_be_at_a_limit() {
        let ladder = Ladder { lowest: 1.0, highest: 2.0, top: 1000 };
        let near = |lower: Option<i64>, upper: Option<i64>, wish| {
            ladder.between(lower.map(Rung), upper.map(Rung), Rung(wish), 10).map(|rung| rung.0)
        };
        assert_eq!(near(None, Some(500), 300), Some(300));
        assert_eq!(near(None, Some(500), 495), Some(490));
        assert_eq!(near(None, Some(500), 5), Some(0));
        assert_eq!(near(None, Some(500), -7), Some(0));
        assert_eq!(near(None, Some(500), 10), Some(10));
        assert_eq!(near(None, Some(500), 490), Some(490));
        assert_eq!(near(Some(500), None, 505), Some(510));
        assert_eq!(near(Some(500), None, 990), Some(990));
        assert_eq!(near(Some(500), None, 995), Some(1000));
        assert_eq!(near(Some(500), None, 5000), Some(1000));
        assert_eq!(near(Some(500), Some(516), 503), Some(506));
        assert_eq!(near(None, Some(8), 5), Some(0));
        assert_eq!(near(Some(995), None, 997), Some(1000));
        assert_eq!(near(Some(500), Some(510), 505), None);
        assert_eq!(near(Some(500), Some(600), 600), None);
        assert_eq!(near(Some(1000), None, 1001), None);
        assert_eq!(near(None, Some(0), 0), None);
    }
}
