//! How long a burst at the largest rate gets through without loss? RFC 2544 26.4, with the
//! correction of RFC 9004: while a burst arrives the forwarder drains, so the buffer is smaller than
//! the burst.

use super::{Plan, Runner, count, loss_ratio, whole};
use crate::bench::error::BenchError;
use crate::bench::record::outcome::Burst;
use crate::bench::record::{Quantity, Trial, Unit, Verdict, VerdictKind};
use crate::time::Span;

/// How the search is done.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Repeats; RFC 2544 asks for 50.
    pub repeats: usize,
    /// Longest burst to try, as a time at the largest rate; RFC 2544 asks for two seconds.
    pub longest: Span,
    /// Bursts closer to each other than this share are the same.
    pub step: f64,
}

/// Searches the longest burst at `rate` for a forwarder of this `throughput` (both frames a
/// second).
///
/// # Errors
/// When a trial cannot be run.
pub fn longest(
    runner: &mut Runner<'_>,
    rate: f64,
    throughput: f64,
    search: Search,
) -> Result<Burst, BenchError> {
    let most = frames(rate, search.longest);
    let mut bursts = Vec::new();
    let (mut limit_reached, mut verdict) = (false, Verdict::ok());
    for repeat in 0..search.repeats {
        let known = bursts.last().copied();
        let found = one(runner, rate, most, known, search.step)?;
        limit_reached |= found.lossy;
        if found.verdict.kind != VerdictKind::Ok {
            verdict = found.verdict;
        }
        bursts.push(found.frames);
        runner.say(
            &format!("burst {} of {}: {} frames", repeat + 1, search.repeats, found.frames),
            None,
        );
        if !found.lossy {
            // Every burst passes: more repeats would say the same.
            verdict = Verdict::new(
                VerdictKind::AtMaxLoad,
                "no burst of the generator's largest rate loses a frame: the limit cannot be \
                 reached with this generator",
            );
            break;
        }
    }
    let mean = bursts.iter().map(|frames| count(*frames)).sum::<f64>() / count(len(&bursts));
    let implied = mean / rate;
    Ok(Burst {
        burst_rate: Quantity::rate(rate),
        throughput: Quantity::rate(throughput),
        mean: Quantity { value: mean, unit: Unit::Frames },
        implied_buffer: Quantity::seconds(implied),
        corrected_buffer: Quantity::seconds(corrected(implied, rate, throughput)),
        bursts,
        limit_reached,
        verdict,
    })
}

/// RFC 9004: the implied buffer time less what was forwarded while the burst came in.
pub fn corrected(implied_s: f64, rate: f64, throughput: f64) -> f64 {
    implied_s * (rate - throughput).max(0.0) / rate
}

/// The longest burst of one repeat.
struct Found {
    frames: u64,
    lossy: bool,
    verdict: Verdict,
}

/// Bisects between a burst that passes and one that does not; beginning around `known`, where the
/// last repeat ended.
fn one(
    runner: &mut Runner<'_>,
    rate: f64,
    most: u64,
    known: Option<u64>,
    step: f64,
) -> Result<Found, BenchError> {
    let (mut passes, mut fails) = (0_u64, None);
    let mut verdict = Verdict::ok();
    let mut next = known.map_or(most, |known| (known + known / 8).clamp(1, most));
    while fails.is_none_or(|fails: u64| fails - passes > granularity(fails, step)) {
        let trial = burst(runner, rate, next)?;
        if lost(&trial) {
            fails = Some(next);
        } else {
            passes = next;
        }
        verdict = trial.verdict;
        match fails {
            None if passes >= most => break,
            None => next = (passes * 2).min(most),
            Some(fails) => next = passes + (fails - passes) / 2,
        }
        if next == 0 {
            break;
        }
    }
    Ok(Found { frames: passes, lossy: fails.is_some(), verdict })
}

/// Sends one burst; a lossy one is sent again before it is believed.
fn burst(runner: &mut Runner<'_>, rate: f64, frames: u64) -> Result<Trial, BenchError> {
    let plan = Plan::constant(format!("burst {frames}"), rate, time(frames, rate));
    let trial = runner.run(&plan)?.trial;
    if lost(&trial) { Ok(runner.run(&plan)?.trial) } else { Ok(trial) }
}

/// Unsent frames are no loss of the forwarder's here: the burst was a little slower.
fn lost(trial: &Trial) -> bool {
    trial.frames.lost > 0 && loss_ratio(trial) > 0.0
}

fn granularity(frames: u64, step: f64) -> u64 {
    whole(count(frames) * step).max(1)
}

fn frames(rate: f64, span: Span) -> u64 {
    whole(rate * span.as_secs_f64()).max(1)
}

fn time(frames: u64, rate: f64) -> Span {
    Span(whole(count(frames) / rate * 1e9))
}

fn len<T>(items: &[T]) -> u64 {
    items.len() as u64
}
