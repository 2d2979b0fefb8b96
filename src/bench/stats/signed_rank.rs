//! Could pairs differ like this by chance? Wilcoxon's signed-rank test (1945), two-sided: if neither
//! side were better, every difference would be as likely with the other sign.
//!
//! It asks nothing of how differences are distributed but symmetry, so that a stall in one run
//! counts as one rank and no more. Pairs without a difference say nothing and are left out; equal
//! differences share their ranks.

use super::summary::sorted;

/// Up to this many differences the probability is exact, by counting all signs; beyond, the normal
/// approximation is good to three digits.
const EXACT: usize = 60;

/// Sums of ranks, and how likely they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// Differences that are not zero.
    pub len: usize,
    /// The sum of the ranks of those above zero.
    pub positive: f64,
    /// The sum of the ranks of those below zero.
    pub negative: f64,
    /// The probability of sums that lie as far apart, if signs are by chance.
    pub p: f64,
}

/// Tests differences, of which those that are no numbers are left out.
pub fn signed_rank(differences: &[f64]) -> SignedRank {
    let used: Vec<f64> = differences.iter().copied().filter(|d| !d.is_nan() && *d != 0.0).collect();
    let sizes = sorted(&used.iter().map(|difference| difference.abs()).collect::<Vec<_>>());
    let twice_rank = |difference: f64| {
        let below = sizes.partition_point(|&size| size < difference.abs());
        let until = sizes.partition_point(|&size| size <= difference.abs());
        // Ranks below + 1 to until, of which this is twice the mean.
        below + 1 + until
    };
    let twice: Vec<usize> = used.iter().map(|&difference| twice_rank(difference)).collect();
    let signed = used.iter().zip(&twice);
    let positive: usize = signed.filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let all: usize = twice.iter().sum();
    let p = if used.len() <= EXACT { exact(&twice, positive) } else { normal(&twice, positive) };
    SignedRank {
        len: used.len(),
        positive: positive as f64 / 2.0,
        negative: (all - positive) as f64 / 2.0,
        p,
    }
}

/// The share of all signs that give a sum as far out, from the distribution of the sum.
fn exact(twice_ranks: &[usize], sum: usize) -> f64 {
    let mut shares = vec![0.0; twice_ranks.iter().sum::<usize>() + 1];
    shares[0] = 1.0;
    let mut reached = 0;
    for &rank in twice_ranks {
        reached += rank;
        // Half keep the sum, half add the rank; from above, so that each is read before it changes.
        for at in (0..=reached).rev() {
            let added = at.checked_sub(rank).map_or(0.0, |before| shares[before]);
            shares[at] = f64::midpoint(shares[at], added);
        }
    }
    let (below, above): (f64, f64) = (shares[..=sum].iter().sum(), shares[sum..].iter().sum());
    (2.0 * below.min(above)).min(1.0)
}

/// As a normal distribution has it, with the variance that equal ranks leave.
fn normal(twice_ranks: &[usize], sum: usize) -> f64 {
    let ranks = twice_ranks.iter().map(|&twice| twice as f64 / 2.0);
    let mean = ranks.clone().sum::<f64>() / 2.0;
    // The sum of independent parts that are the rank or nothing. With shared ranks this is the
    // textbook's n(n+1)(2n+1)/24 less the sum of (t^3-t)/48.
    let variance = ranks.map(|rank| rank * rank).sum::<f64>() / 4.0;
    let distance = (sum as f64 / 2.0 - mean).abs() / variance.sqrt();
    libm::erfc(distance / std::f64::consts::SQRT_2)
}
