//! How many route changes a second does a table take while a worker forwards by it, if the writer has
//! a core of its own? The worker's turns go on in the thread that calls, as for [`super::measure`];
//! another thread changes routes without a pause.
//!
//! No change takes away what a frame needs, so that none may be lost, and afterwards addresses lead
//! where they lead in a table that is built anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::turns::Turns;
use super::{CostError, Options, accounts, difference};
use crate::bench::medium::memory::{self, MemoryTester};
use crate::bench::medium::{Changed, Churn, cores};
use crate::bench::record::outcome::{self, ChurnRun};
use crate::bench::record::trial::DeviceFrames;
use crate::bench::record::{Quantity, Unit, Verdict, VerdictKind};
use crate::bench::scenario::{Mix, Scenario};
use crate::bench::stats::summary::median;
use crate::bench::traffic::Genome;
use crate::fib::FibError;
use crate::io::clock;
use crate::sync::Counter;
use crate::time::Span;

/// How much is measured, and where.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Pairs of a run with changes and one without.
    pub pairs: usize,
    /// How long each of them takes.
    pub time: Span,
    /// The worker's core and the writer's.
    pub cores: [usize; 2],
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The answer.
    pub churn: outcome::Churn,
    /// The worker's accounts over all runs.
    pub device: DeviceFrames,
    /// What a reader must know, in sentences.
    pub notes: Vec<String>,
}

/// One run: frames a second that went through, ticks that one took, and frames that were lost.
#[derive(Clone, Copy, Debug)]
struct Run {
    rate: f64,
    ticks: f64,
    lost: u64,
}

/// A worker and frames that go round through it.
struct Wheel {
    turns: Turns,
    tester: MemoryTester,
    lane: usize,
    frames: usize,
}

impl Wheel {
    /// Frames go round for some time.
    fn run(&mut self, time: Span) -> io::Result<Run> {
        let before = self.turns.fate();
        let (begin, mut ticks) = (clock::now(), Vec::new());
        while clock::now().since(begin) < time {
            let round = (self.frames * 16) as u64;
            ticks.push(self.turns.run(&mut self.tester, self.lane, self.frames, round)?);
        }
        let seconds = clock::now().since(begin).0 as f64 / 1e9;
        let after = self.turns.fate();
        let (pushed, whole) = (after.pushed - before.pushed, after.whole - before.whole);
        let ticks = median(&ticks).unwrap_or(f64::NAN);
        // A frame that comes late is lost here, and one too many in the next run.
        Ok(Run { rate: whole as f64 / seconds, ticks, lost: pushed.saturating_sub(whole) })
    }
}

/// Measures on the thread that calls, which stays on the worker's core.
///
/// # Errors
/// When the scenario has no routes to change, or memory is short.
pub fn measure(
    scenario: &Scenario,
    lane: usize,
    genome: &Genome,
    options: &Options,
    asked: Asked,
) -> Result<Found, CostError> {
    cores::pin(asked.cores[0])?;
    let passed = Arc::new(Counter::default());
    let (tester, mut device, mut spare, mut churn) =
        memory::with_frames_and_churn(scenario, options.hot, Arc::clone(&passed))?;
    let stream = scenario.frames(lane, genome, Mix::Known, None)?;
    let mut turns = Turns::new(stream, scenario.lane(lane).leaves, &mut spare, options.hot)?;
    turns.passed = passed;
    let before = accounts(&mut device)?;
    let mut wheel = Wheel { turns, tester, lane, frames: options.hot };
    // The first run meets cold caches and is not counted.
    wheel.run(asked.time)?;
    let mut pairs = Vec::new();
    for _ in 0..asked.pairs.max(1) {
        let without = wheel.run(asked.time)?;
        pairs.push((with_changes(&mut wheel, &mut churn, asked)?, without));
    }
    let device = difference(&before, accounts(&mut device)?);
    let verdict = judge(&pairs, super::judge(&wheel.turns.end(&mut spare), &device));
    Ok(Found { churn: answer(&pairs, verdict), device, notes: notes(&pairs, asked) })
}

/// Tells the writer to stop, whatever happens.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A run while another thread changes routes.
fn with_changes(
    wheel: &mut Wheel,
    churn: &mut Churn,
    asked: Asked,
) -> Result<(Run, Changed, f64), CostError> {
    let full = |error: FibError| io::Error::other(error);
    churn.start().map_err(full)?;
    let stop = AtomicBool::new(false);
    let (run, made) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            cores::pin(asked.cores[1])?;
            let begin = clock::now();
            let made = churn.until(&stop).map_err(full)?;
            Ok::<_, io::Error>((made, clock::now().since(begin).0 as f64 / 1e9))
        });
        let run = {
            let _stopped = Stops(&stop);
            wheel.run(asked.time)
        };
        (run, writer.join())
    });
    let (changes, seconds) = match made {
        Ok(made) => made?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let changed = Changed { changes, ..churn.finish().map_err(full)? };
    Ok((run?, changed, changes as f64 / seconds))
}

type Pair = ((Run, Changed, f64), Run);

/// The median of a figure of each pair.
fn middle(pairs: &[Pair], figure: impl Fn(&Pair) -> f64) -> f64 {
    median(&pairs.iter().map(figure).collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

fn answer(pairs: &[Pair], verdict: Verdict) -> outcome::Churn {
    let per_second = |value| Quantity { value, unit: Unit::UpdatesPerSecond };
    let run = |((with, changed, updates), without): &Pair| ChurnRun {
        updates: per_second(*updates),
        lost: (with.lost, without.lost),
        unsent: (0, 0),
        compared: changed.compared,
        differing: changed.differing,
    };
    outcome::Churn {
        load: Quantity::rate(middle(pairs, |((with, ..), _)| with.rate)),
        throughput: Some(Quantity::rate(middle(pairs, |(_, without)| without.rate))),
        updates: per_second(middle(pairs, |((.., updates), _)| *updates)),
        runs: pairs.iter().map(run).collect(),
        verdict,
    }
}

/// `forwarded` is what is to be said of frames and turns.
fn judge(pairs: &[Pair], forwarded: Verdict) -> Verdict {
    let differing: u64 = pairs.iter().map(|((_, changed, _), _)| changed.differing).sum();
    if differing > 0 {
        let why = format!(
            "{differing} addresses lead elsewhere than in a table that was built anew from the same \
             routes: what workers read is not what was written"
        );
        return Verdict::new(VerdictKind::Unaccounted, why);
    }
    if pairs.iter().any(|((_, changed, _), _)| changed.changes == 0) {
        let why = "no route was changed in one of the runs: the writer's core had no time for it; \
                   measure on an idle machine, or for more --seconds";
        return Verdict::new(VerdictKind::Contaminated, why.to_owned());
    }
    forwarded
}

fn notes(pairs: &[Pair], asked: Asked) -> Vec<String> {
    let with = middle(pairs, |((run, ..), _)| run.ticks);
    let without = middle(pairs, |(_, run)| run.ticks);
    vec![format!(
        "Routes were changed without a pause by a thread on core {}: a third each next hops replaced, \
         routes withdrawn and announced again. Worker, generator and sink took turns on another core, \
         as fast as they could; a packet took the worker {with:.0} ticks with changes, {without:.0} \
         without.",
        asked.cores[1],
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::{Routes, Spec, TO_AZURE, Way};

    #[test]
    fn routes_change_beside_a_worker_and_nothing_is_lost() {
        let routes = Routes::internet(1, 2_000);
        let scenario =
            Scenario::new(Spec { routes, flows: 500, ..Spec::new(Way::FastPath) }).unwrap();
        let options = Options { hot: 512, ..Options::default() };
        let asked = Asked { pairs: 1, time: Span::millis(50), cores: [0, 1] };
        let found =
            measure(&scenario, TO_AZURE, &Genome::one(64).unwrap(), &options, asked).unwrap();
        // Other tests may take turns on these cores.
        let verdict = &found.churn.verdict;
        assert!(matches!(verdict.kind, VerdictKind::Ok | VerdictKind::Contaminated), "{verdict:?}");
        let run = &found.churn.runs[0];
        assert!(run.lost == (0, 0) && run.differing == 0, "{run:?}");
        assert!(run.updates.value > 1_000.0 && run.compared > 1_000, "{run:?}");
        assert!(found.device.received > 10_000 && found.device.received == found.device.sent);
        assert!(found.device.dropped.is_empty(), "{:?}", found.device.dropped);
    }
}
