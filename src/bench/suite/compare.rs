//! Which of two is faster, and is that certain? Whole runs in pairs, each with everything fresh, in
//! an order that keeps a machine's drift out (ABBA BAAB); more pairs as long as nobody can tell.

use crate::bench::error::BenchError;
use crate::bench::record::outcome::Compare;
use crate::bench::record::{Trial, Verdict, VerdictKind};
use crate::bench::stats::compare::{
    Better, Comparison, FEWEST_PAIRS, Pair, Rules, Series, Side, compare, order, pairs_wanted,
};

/// One run of one side: its figure, and the trials behind it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What is compared.
    pub figure: f64,
    /// What it was taken from.
    pub trials: Vec<Trial>,
}

/// What is compared, and how often.
#[derive(Clone, Debug)]
pub struct How {
    /// The two names, A's first.
    pub names: [String; 2],
    /// What the figure is.
    pub figure: String,
    /// What is good of it.
    pub better: Better,
    /// Pairs before the first judgement.
    pub pairs: usize,
    /// When differences matter, and when to stop.
    pub rules: Rules,
}

/// Measures pairs until they say something, or there are enough. `run` measures one side with
/// everything fresh; `say` hears how far it is.
///
/// # Errors
/// The first that `run` returns; figures that give no ratio.
pub fn pairs(
    how: &How,
    mut run: impl FnMut(Side) -> Result<Sample, BenchError>,
    mut say: impl FnMut(&str),
) -> Result<(Compare, Vec<Trial>), BenchError> {
    let mut series = Series { metric: how.figure.clone(), better: how.better, pairs: Vec::new() };
    let mut trials = Vec::new();
    let mut wanted = how.pairs.max(1);
    loop {
        while series.pairs.len() < wanted {
            let pair = one_pair(series.pairs.len(), &mut run, &mut trials)?;
            series.pairs.push(pair);
            let ratio = pair.b / pair.a;
            say(&format!("pair {} of {wanted}: {ratio:.3}", series.pairs.len()));
        }
        let judged =
            compare(&series, &how.rules).map_err(|bad| BenchError::Asked(bad.to_string()))?;
        match pairs_wanted(&judged, &how.rules) {
            Some(more) if how.pairs >= FEWEST_PAIRS && more > wanted => wanted = more,
            _ => return Ok((outcome(how, &series, &judged, &trials), trials)),
        }
    }
}

fn one_pair(
    number: usize,
    run: &mut impl FnMut(Side) -> Result<Sample, BenchError>,
    trials: &mut Vec<Trial>,
) -> Result<Pair, BenchError> {
    let mut pair = Pair { a: 0.0, b: 0.0 };
    for side in order(number) {
        let sample = run(side)?;
        trials.extend(sample.trials);
        match side {
            Side::A => pair.a = sample.figure,
            Side::B => pair.b = sample.figure,
        }
    }
    Ok(pair)
}

fn outcome(how: &How, series: &Series, judged: &Comparison, trials: &[Trial]) -> Compare {
    let [a, b] = how.names.clone();
    Compare {
        a,
        b,
        figure: how.figure.clone(),
        pairs: series.pairs.iter().map(|pair| (pair.a, pair.b)).collect(),
        ratio: judged.ratio,
        interval: (judged.interval.low, judged.interval.high),
        p_value: judged.p,
        margin: how.rules.margin,
        decision: judged.verdict.name().to_owned(),
        verdict: trust(trials),
    }
}

/// A comparison is as good as most of its trials: the commonest complaint, when over half have it.
fn trust(trials: &[Trial]) -> Verdict {
    let bad = trials.iter().filter(|trial| trial.verdict.kind != VerdictKind::Ok);
    let Some(first) = bad.clone().next() else { return Verdict::ok() };
    let same = bad.filter(|trial| trial.verdict.kind == first.verdict.kind).count();
    if 2 * same > trials.len() { first.verdict.clone() } else { Verdict::ok() }
}
