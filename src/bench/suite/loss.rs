//! How much is lost at each load? RFC 2544 26.3: from the largest load downwards in steps of a
//! tenth, until two loads in a row lose nothing.

use super::{Plan, Runner, forwarding_rate, loss_ratio};
use crate::bench::error::BenchError;
use crate::bench::record::Quantity;
use crate::bench::record::outcome::{LossCurve, LossPoint};
use crate::time::Span;

/// Shares of the largest load, in percent; RFC 2544 asks for steps of a tenth or finer.
const SHARES: [u32; 10] = [100, 90, 80, 70, 60, 50, 40, 30, 20, 10];

/// Measures the curve with trials of `duration`, down from `from` frames a second.
///
/// # Errors
/// When a trial cannot be run.
pub fn curve(runner: &mut Runner<'_>, from: f64, duration: Span) -> Result<LossCurve, BenchError> {
    let mut points: Vec<LossPoint> = Vec::new();
    for (done, percent) in SHARES.into_iter().enumerate() {
        let left = duration.0 * (SHARES.len() - done) as u64;
        runner.say(&format!("loss at {percent} % of the largest load"), Some(Span(left)));
        let share = f64::from(percent) / 100.0;
        let plan = Plan::constant(format!("loss {percent} %"), from * share, duration);
        let trial = runner.run(&plan)?.trial;
        points.push(LossPoint {
            share,
            rate: trial.intended_rate,
            forwarded: Quantity::rate(forwarding_rate(&trial)),
            loss_ratio: loss_ratio(&trial),
            verdict: trial.verdict,
        });
        if points.len() >= 2 && points[points.len() - 2..].iter().all(|p| p.loss_ratio == 0.0) {
            break;
        }
    }
    Ok(LossCurve { points, lines: runner.bed().lines() })
}
