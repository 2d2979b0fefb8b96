//! How long does a forwarder suffer from an overload that is over? RFC 2544 26.5: a load above its
//! throughput, then half of that, and the time from there to the last lost frame. VSPERF's clause
//! beside it: until latency is what it usually is.

use super::{Plan, Runner, Step};
use crate::bench::error::BenchError;
use crate::bench::record::Quantity;
use crate::bench::record::outcome::Recovery;
use crate::bench::trial::recovery::{mean_latency_ns, to_last_loss, to_usual_latency};
use crate::time::Span;

/// The overload, over the throughput.
const OVERLOAD: f64 = 1.1;
/// The load that follows, over the overload.
const RELIEF: f64 = 0.5;

/// Measures with an overload of `overload` time and a relief that is as long.
///
/// # Errors
/// When the trial cannot be run.
pub fn from_overload(
    runner: &mut Runner<'_>,
    throughput: f64,
    overload: Span,
) -> Result<Recovery, BenchError> {
    let most = runner.bed().max_rate();
    let high = (throughput * OVERLOAD).min(most);
    let low = high * RELIEF;
    runner.say("overload, then relief", Some(Span(2 * overload.0)));
    let steps =
        vec![Step { rate: high, duration: overload }, Step { rate: low, duration: overload }];
    let plan = Plan { purpose: "recovery".to_owned(), steps, event: None };
    let run = runner.run(&plan)?;
    // The last quarter of the relief is at rest.
    let rest = mean_latency_ns(&run, Span(overload.0 * 7 / 4), Span(2 * overload.0));
    let usual = rest.and_then(|usual| to_usual_latency(&run, overload, usual));
    Ok(Recovery {
        overload: Quantity::rate(high),
        relief: Quantity::rate(low),
        to_last_loss: Quantity::seconds(to_last_loss(&run, overload).as_secs_f64()),
        to_usual_latency: usual.map(|span| Quantity::seconds(span.as_secs_f64())),
        verdict: run.trial.verdict,
    })
}
