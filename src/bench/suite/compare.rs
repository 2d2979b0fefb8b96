//! Which of two is faster, and is that certain? Whole runs in pairs, each with everything fresh, in
//! an order that keeps a machine's drift out (ABBA BAAB); more pairs as long as nobody can tell.

use crate::bench::error::BenchError;
use crate::bench::record::outcome::Compare;
use crate::bench::record::{Quantity, Trial, Unit, Verdict, VerdictKind};
use crate::bench::stats::bootstrap::median_interval;
use crate::bench::stats::compare::{
    Better, Comparison, FEWEST_PAIRS, Pair, Rules, Series, Side, compare_all, order, pairs_wanted,
};
use crate::bench::stats::summary::median;

/// One run of one side: its figures, and the trials behind them.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What is compared, in the order of [`How::figures`].
    pub figures: Vec<f64>,
    /// What it was taken from.
    pub trials: Vec<Trial>,
}

/// What is compared, and how often.
#[derive(Clone, Debug)]
pub struct How {
    /// The two names, A's first.
    pub names: [String; 2],
    /// What the figures are.
    pub figures: Vec<Compared>,
    /// Pairs before the first judgement.
    pub pairs: usize,
    /// When differences matter, and when to stop.
    pub rules: Rules,
}

/// A figure that is compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What it is.
    pub name: String,
    /// What is good of it.
    pub better: Better,
    /// Its unit, where the difference is told beside the ratio.
    pub unit: Option<Unit>,
}

/// Measures pairs until every figure says something, or there are enough. `run` measures one side with
/// everything fresh; `say` hears how far it is.
///
/// # Errors
/// The first that `run` returns; figures that give no ratio.
pub fn pairs(
    how: &How,
    mut run: impl FnMut(Side) -> Result<Sample, BenchError>,
    mut say: impl FnMut(&str),
) -> Result<(Vec<Compare>, Vec<Trial>), BenchError> {
    let empty =
        |own: &Compared| Series { metric: own.name.clone(), better: own.better, pairs: Vec::new() };
    let mut series: Vec<Series> = how.figures.iter().map(empty).collect();
    let mut trials = Vec::new();
    let mut wanted = how.pairs.max(1);
    loop {
        for done in series.first().map_or(wanted, |own| own.pairs.len())..wanted {
            let pairs = one_pair(done, &mut run, &mut trials)?;
            let ratios: Vec<String> =
                pairs.iter().map(|pair| format!("{:.3}", pair.b / pair.a)).collect();
            series.iter_mut().zip(pairs).for_each(|(own, pair)| own.pairs.push(pair));
            say(&format!("pair {} of {wanted}: {}", done + 1, ratios.join(", ")));
        }
        let judged =
            compare_all(&series, &how.rules).map_err(|bad| BenchError::Asked(bad.to_string()))?;
        match judged.iter().filter_map(|own| pairs_wanted(own, &how.rules)).max() {
            Some(more) if how.pairs >= FEWEST_PAIRS && more > wanted => wanted = more,
            _ => {
                let all = how.figures.iter().zip(&series).zip(&judged);
                let all =
                    all.map(|((own, series), judged)| outcome(how, own, series, judged, &trials));
                return Ok((all.collect(), trials));
            }
        }
    }
}

fn one_pair(
    number: usize,
    run: &mut impl FnMut(Side) -> Result<Sample, BenchError>,
    trials: &mut Vec<Trial>,
) -> Result<Vec<Pair>, BenchError> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for side in order(number) {
        let sample = run(side)?;
        trials.extend(sample.trials);
        match side {
            Side::A => a = sample.figures,
            Side::B => b = sample.figures,
        }
    }
    Ok(a.into_iter().zip(b).map(|(a, b)| Pair { a, b }).collect())
}

fn outcome(
    how: &How,
    own: &Compared,
    series: &Series,
    judged: &Comparison,
    trials: &[Trial],
) -> Compare {
    let [a, b] = how.names.clone();
    Compare {
        a,
        b,
        figure: own.name.clone(),
        pairs: series.pairs.iter().map(|pair| (pair.a, pair.b)).collect(),
        ratio: judged.ratio,
        interval: (judged.interval.low, judged.interval.high),
        p_value: judged.adjusted_p,
        difference: own.unit.and_then(|unit| difference(series, unit, &how.rules)),
        margin: how.rules.margin,
        decision: judged.verdict.name().to_owned(),
        verdict: trust(trials),
    }
}

/// B less A, the median of pairs, and its interval.
fn difference(series: &Series, unit: Unit, rules: &Rules) -> Option<(Quantity, (f64, f64))> {
    let each: Vec<f64> = series.pairs.iter().map(|pair| pair.b - pair.a).collect();
    let interval = median_interval(&each, rules.confidence, rules.draws)?;
    let median = Quantity { value: median(&each)?, unit };
    Some((median, (interval.low, interval.high)))
}

/// A comparison is as good as most of its trials: the commonest complaint, when over half have it.
fn trust(trials: &[Trial]) -> Verdict {
    let bad = trials.iter().filter(|trial| trial.verdict.kind != VerdictKind::Ok);
    let Some(first) = bad.clone().next() else { return Verdict::ok() };
    let same = bad.filter(|trial| trial.verdict.kind == first.verdict.kind).count();
    if 2 * same > trials.len() { first.verdict.clone() } else { Verdict::ok() }
}
