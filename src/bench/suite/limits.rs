//! Does a limit of the service hold, and exactly? A constant load above it, first until the limit's
//! bucket is empty, then for as long as it takes to see the rate.
//!
//! Frames count where they were due. What the bucket lets pass beyond the rate at the begin is
//! told apart: it is the bucket's depth (RFC 9004 measures a buffer likewise).

use super::{Plan, Runner, Step, count};
use crate::bench::error::BenchError;
use crate::bench::record::outcome::LimitAnswer;
use crate::bench::record::{Quantity, Unit, Verdict, VerdictKind};
use crate::bench::scenario::ServiceLimit;
use crate::bench::trial::Run;
use crate::time::Span;

/// The load over the limit, where none is asked for.
const OVER: f64 = 1.2;
/// A load that is not above the limit by this share says nothing of it.
const LEAST_OVER: f64 = 1.01;
/// The shortest and the longest time until a bucket is taken for empty.
const SETTLE: (f64, f64) = (0.2, 5.0);

/// Measures what a limit admits, at `rate` frames a second or a fifth above the limit, for
/// `duration` once the bucket is empty.
///
/// # Errors
/// When nothing limits the traffic, or the trial cannot be run.
pub fn admitted(
    runner: &mut Runner<'_>,
    rate: Option<f64>,
    duration: Span,
) -> Result<LimitAnswer, BenchError> {
    let Some(limit) = runner.bed().limit() else {
        let why = "no limit of the service holds here: say --limits enforced, on the way fastpath, \
                   gateway or microsoft, in one direction";
        return Err(BenchError::Asked(why.to_owned()));
    };
    let rate = rate.unwrap_or_else(|| (limit.rate * OVER).min(runner.bed().max_rate()));
    let settle = settle(&limit, rate);
    runner
        .say(&format!("{rate:.0} frames/s over {}", limit.what), Some(Span(settle.0 + duration.0)));
    let steps = [settle, duration].map(|duration| Step { rate, duration }).to_vec();
    let plan = Plan { purpose: "limit".to_owned(), steps, event: None };
    let run = runner.run(&plan)?;
    Ok(answer(&limit, &run, settle))
}

/// Twice the time that the load takes to empty the bucket while it fills.
fn settle(limit: &ServiceLimit, rate: f64) -> Span {
    let over = (rate / limit.rate - 1.0).max(1e-9);
    let seconds = 2.0 * limit.burst.as_secs_f64() / over;
    Span(super::whole(seconds.clamp(SETTLE.0, SETTLE.1) * 1e9))
}

fn answer(limit: &ServiceLimit, run: &Run, settle: Span) -> LimitAnswer {
    let trial = &run.trial;
    let (mut offered, mut received, mut early) = (0, 0, 0);
    let (mut before, mut after) = (0.0, 0.0);
    for lane in &run.lanes {
        let width = lane.timeline.width_ns();
        (before, after) = (0.0, 0.0);
        for (index, slice) in (0..).zip(lane.timeline.slices()) {
            let seconds = Span(width).as_secs_f64();
            if width * index < settle.0 {
                early += slice.received;
                before += seconds;
            } else {
                offered += slice.offered;
                received += slice.received;
                after += seconds;
            }
        }
    }
    let per_second = |frames: u64| if after > 0.0 { count(frames) / after } else { 0.0 };
    let admitted = per_second(received);
    let drops = trial.device.as_ref().map(|device| device.dropped.clone()).unwrap_or_default();
    LimitAnswer {
        limit: limit.what.clone(),
        rate: Quantity::rate(limit.rate),
        offered: Quantity::rate(per_second(offered)),
        admitted: Quantity::rate(admitted),
        error: admitted / limit.rate - 1.0,
        bucket: Quantity { value: (count(early) - admitted * before).max(0.0), unit: Unit::Frames },
        verdict: judge(limit, per_second(offered), run, drops.get(limit.drop).copied()),
        drops,
    }
}

/// Whether the limit was what kept frames back. That frames left in bursts does not matter here:
/// the bucket evens them out.
fn judge(limit: &ServiceLimit, offered: f64, run: &Run, by_limit: Option<u64>) -> Verdict {
    let own = &run.trial.verdict;
    if matches!(own.kind, VerdictKind::Unaccounted | VerdictKind::Contaminated) {
        return own.clone();
    }
    let lost = run.trial.frames.lost.unsigned_abs();
    if offered < limit.rate * LEAST_OVER {
        let offered = Quantity::rate(offered);
        let why = format!(
            "{offered} is less than what the {} lets through: ask for a higher --rate, a smaller \
             circuit, or a faster medium",
            limit.what
        );
        let kind = if lost == 0 { VerdictKind::AtMaxLoad } else { VerdictKind::GeneratorBound };
        return Verdict::new(kind, why);
    }
    let elsewhere = lost.saturating_sub(by_limit.unwrap_or(0));
    if elsewhere > lost / 100 {
        let why = format!(
            "{elsewhere} of {lost} lost frames were not dropped as {}: the forwarder or the medium \
             did not keep up with the load",
            limit.drop
        );
        return Verdict::new(VerdictKind::MediumBound, why);
    }
    Verdict::ok()
}
