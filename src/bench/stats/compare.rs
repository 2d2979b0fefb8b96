//! Is B better than A? From pairs of runs that stand next to each other in time, so that what
//! drifts on the host is in both.
//!
//! Each pair gives the logarithm of B over A. A verdict needs two things at once: chance is
//! unlikely (Wilcoxon), and the difference matters (the whole confidence interval of the median
//! lies beyond a margin). All else is *inconclusive*, which is an answer: make more pairs.

use super::bootstrap::{Draws, Interval, median_interval};
use super::signed_rank::signed_rank;
use super::summary::median;

/// Which of two things a run is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is compared with.
    A,
    /// What is judged.
    B,
}

/// The order within a pair, counted from 0: AB BA BA AB, so that a steady drift evens out over
/// every two pairs and its bend over every four.
pub const fn order(pair: usize) -> [Side; 2] {
    if matches!(pair % 4, 0 | 3) { [Side::A, Side::B] } else { [Side::B, Side::A] }
}

/// The same figure of both, from runs that stood next to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Of what is compared with.
    pub a: f64,
    /// Of what is judged.
    pub b: f64,
}

/// What is good of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// A rate.
    Higher,
    /// A latency, a cost.
    Lower,
}

/// One figure in all its pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// How reports call it.
    pub metric: String,
    /// What is good of it.
    pub better: Better,
    /// In the order that they were made.
    pub pairs: Vec<Pair>,
}

/// What a verdict needs.
///
/// What these can tell apart depends on how much single runs scatter. Of 100 simulated hosts that
/// also drift, with B 3 % slower, these were called regressions:
///
/// | scatter | margin | after 20 pairs | after up to 60 |
/// |---|---|---|---|
/// | 2 % | 2 % | 32 (92 differ) | 70 |
/// | 2 % | 1 % | 82 (92 differ) | 99 |
/// | 1 % | 2 % | 71 (all differ) | 99 |
/// | 1 % | 1 % | 100 | 100 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Differences up to this share do not matter.
    pub margin: f64,
    /// Chance is unlikely below this probability.
    pub alpha: f64,
    /// Of the interval.
    pub confidence: f64,
    /// How the interval is made.
    pub draws: Draws,
    /// After how many pairs to leave it at inconclusive.
    pub most_pairs: usize,
}

impl Default for Rules {
    /// A margin of 2 % (1 % is for quiet hosts), p below 0.01, 95 % from 10,000 draws, 60 pairs.
    fn default() -> Self {
        let draws = Draws { len: 10_000, seed: 0 };
        Self { margin: 0.02, alpha: 0.01, confidence: 0.95, draws, most_pairs: 60 }
    }
}

/// Fewer pairs cannot be judged: of seven, all with one sign have p = 0.016.
pub const FEWEST_PAIRS: usize = 8;
/// How many pairs to add to an inconclusive series.
const STEP: usize = 10;

/// What pairs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// B is better by more than the margin.
    Improvement,
    /// B is worse by more than the margin.
    Regression,
    /// Any difference is within the margin.
    Equal,
    /// Not known.
    Inconclusive,
}

impl Verdict {
    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Improvement => "improvement",
            Self::Regression => "regression",
            Self::Equal => "equal",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A series judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How many pairs.
    pub len: usize,
    /// The median of B over A.
    pub ratio: f64,
    /// The interval that holds it.
    pub interval: Interval,
    /// The probability of pairs like these by chance.
    pub p: f64,
    /// The same, given that several figures were compared (Holm).
    pub adjusted_p: f64,
    /// Whether B differs from A at all, be it within the margin.
    pub differs: bool,
    /// What they say.
    pub verdict: Verdict,
}

/// Pairs that cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadSeries {
    /// There are none.
    #[error("{metric}: there are no pairs to compare")]
    Empty {
        /// The figure's name.
        metric: String,
    },
    /// Figures without a ratio.
    #[error(
        "{metric}: pair {pair} has {a} and {b}, which give no ratio; both have to be finite and above 0"
    )]
    NoRatio {
        /// The figure's name.
        metric: String,
        /// The pair, counted from 1.
        pair: usize,
        /// What was measured of A.
        a: f64,
        /// What was measured of B.
        b: f64,
    },
}

/// Judges one figure.
///
/// # Errors
/// A pair whose ratio has no logarithm, or no pair.
pub fn compare(series: &Series, rules: &Rules) -> Result<Comparison, BadSeries> {
    Ok(judged(series, rules)?.settle(None, rules))
}

/// Judges several figures of the same runs, so that one in many does not stand out by chance.
///
/// # Errors
/// As [`compare`].
pub fn compare_all(series: &[Series], rules: &Rules) -> Result<Vec<Comparison>, BadSeries> {
    let judged: Vec<Judged> =
        series.iter().map(|series| judged(series, rules)).collect::<Result<_, _>>()?;
    let adjusted = holm(&judged.iter().map(|judged| judged.p).collect::<Vec<_>>());
    let both = judged.iter().zip(adjusted);
    Ok(both.map(|(judged, p)| judged.settle(Some(p), rules)).collect())
}

/// How many pairs to have in all before judging again; none if the verdict stands.
pub fn pairs_wanted(comparison: &Comparison, rules: &Rules) -> Option<usize> {
    let open = comparison.verdict == Verdict::Inconclusive && comparison.len < rules.most_pairs;
    open.then(|| (comparison.len + STEP).min(rules.most_pairs))
}

/// Probabilities of several tests, raised so that the chance of any false alarm among them stays
/// what it is for one (Holm 1979).
pub fn holm(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|&a, &b| ps[a].total_cmp(&ps[b]));
    let mut adjusted = vec![0.0; ps.len()];
    let mut least = 0.0_f64;
    for (place, &test) in order.iter().enumerate() {
        least = least.max((ps[test] * (ps.len() - place) as f64).min(1.0));
        adjusted[test] = least;
    }
    adjusted
}

/// A series before other series are taken into account; in logarithms.
struct Judged {
    len: usize,
    better: Better,
    median: f64,
    interval: Interval,
    p: f64,
}

fn judged(series: &Series, rules: &Rules) -> Result<Judged, BadSeries> {
    let metric = || series.metric.clone();
    let positive = |figure: f64| figure > 0.0 && figure.is_finite();
    let logarithm = |(index, &Pair { a, b }): (usize, &Pair)| {
        let known = positive(a) && positive(b);
        let bad = || BadSeries::NoRatio { metric: metric(), pair: index + 1, a, b };
        known.then(|| b.ln() - a.ln()).ok_or_else(bad)
    };
    let logs: Vec<f64> =
        series.pairs.iter().enumerate().map(logarithm).collect::<Result<_, _>>()?;
    let middle = median(&logs).zip(median_interval(&logs, rules.confidence, rules.draws));
    let (median, interval) = middle.ok_or_else(|| BadSeries::Empty { metric: metric() })?;
    let (len, p) = (logs.len(), signed_rank(&logs).p);
    Ok(Judged { len, better: series.better, median, interval, p })
}

impl Judged {
    fn settle(&self, adjusted_p: Option<f64>, rules: &Rules) -> Comparison {
        let adjusted_p = adjusted_p.unwrap_or(self.p);
        let Interval { low, high } = self.interval;
        Comparison {
            len: self.len,
            ratio: self.median.exp(),
            interval: Interval { low: low.exp(), high: high.exp() },
            p: self.p,
            adjusted_p,
            differs: adjusted_p < rules.alpha && (low > 0.0 || high < 0.0),
            verdict: self.verdict(adjusted_p, rules),
        }
    }

    fn verdict(&self, p: f64, rules: &Rules) -> Verdict {
        let margin = rules.margin.ln_1p();
        let Interval { low, high } = self.interval;
        let (worst, best) = match self.better {
            Better::Higher => (low, high),
            Better::Lower => (-high, -low),
        };
        if self.len < FEWEST_PAIRS {
            Verdict::Inconclusive
        } else if p < rules.alpha && worst > margin {
            Verdict::Improvement
        } else if p < rules.alpha && best < -margin {
            Verdict::Regression
        } else if -margin <= worst && best <= margin {
            Verdict::Equal
        } else {
            Verdict::Inconclusive
        }
    }
}
