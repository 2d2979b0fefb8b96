//! How long does a frame take at light and at heavy load? At shares of the throughput, open loop,
//! from the time at which each frame was due: a forwarder that stalls is charged for the frames
//! that could not be sent meanwhile.

use super::{Plan, Runner};
use crate::bench::error::BenchError;
use crate::bench::record::Quantity;
use crate::bench::record::outcome::{LatencyAnswer, LatencyPoint};
use crate::time::Span;

/// Shares of the throughput, in percent.
pub const SHARES: [u32; 4] = [10, 50, 90, 100];

/// Measures at each share of `throughput` frames a second for `duration`.
///
/// # Errors
/// When a trial cannot be run.
pub fn at_shares(
    runner: &mut Runner<'_>,
    throughput: f64,
    shares: &[u32],
    duration: Span,
) -> Result<LatencyAnswer, BenchError> {
    let mut points = Vec::new();
    for (done, percent) in shares.iter().enumerate() {
        let left = duration.0 * (shares.len() - done) as u64;
        runner.say(&format!("latency at {percent} % of the throughput"), Some(Span(left)));
        let share = f64::from(*percent) / 100.0;
        let plan = Plan::constant(format!("latency {percent} %"), throughput * share, duration);
        let trial = runner.run(&plan)?.trial;
        // Without a frame that arrived there is no latency; the trial itself tells of the loss.
        let (Some(intended), Some(actual)) = (trial.latency, trial.latency_actual) else {
            continue;
        };
        points.push(LatencyPoint {
            share,
            rate: Quantity::rate(throughput * share),
            intended,
            actual,
            verdict: trial.verdict,
        });
    }
    Ok(LatencyAnswer { points })
}
