//! What does one packet cost? Ticks of the worker's turns alone, with generator and sink left out.
//!
//! ```text
//!  all frames written ─> [ 64 pushed ─> turn, timed ─> 64 taken ] ... ─> all frames looked at
//! ```
//!
//! The loop is closed and frames go round in a fixed ring, the oldest first: few frames stay in the
//! cache (*hot*), many do not (*cold*). All of a round's frames are written before the first turn,
//! and looked at after the last one, so that neither happens inside what is timed. A turn is what it
//! is in production, reading the clock included; ports are memory ports.
//!
//! A *stretch* of turns in which the scheduler took the thread off its core is left out and counted:
//! it measured other programs. What the hypervisor and interrupts take stays in, and the median over
//! runs bears some of it. Every frame must come out again, whole.

pub mod abreast;
pub mod budget;
pub mod changing;
mod gate;
mod sense;
mod turns;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use super::medium::Device as _;
use super::medium::memory::{self, MemoryDevice};
use super::record::Quantity;
use super::record::outcome::{Cost, CostSpread};
use super::record::trial::{DeviceFrames, Verdict, VerdictKind};
use super::scenario::{Mix, OpenError, Scenario, ScenarioError};
use super::stats::summary::median;
use super::traffic::{Genome, Stream as _};
use crate::io::clock;
use crate::time::Now;

use turns::{Fate, Turns};

/// Share of the stretches that may be left out before a figure counts as contaminated.
const MOST_LEFT_OUT: f64 = 0.2;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Runs of each kind; the median of them is the answer.
    pub runs: usize,
    /// Packets of a run.
    pub packets: u64,
    /// Frames that go round when hot.
    pub hot: usize,
    /// Frames that go round when cold; 0 leaves that out.
    pub cold: usize,
    /// A busy loop behind each turn, as a share of the turn's ticks: does a comparison see it?
    pub handicap: f64,
}

impl Default for Options {
    /// Eleven runs of a million packets; 2,048 and 65,536 frames.
    fn default() -> Self {
        Self { runs: 11, packets: 1 << 20, hot: 2048, cold: 65_536, handicap: 0.0 }
    }
}

/// A cost and how it came about.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The answer.
    pub cost: Cost,
    /// The worker's accounts over all runs.
    pub device: DeviceFrames,
    /// Ticks a second, as they passed beside the monotonic clock.
    pub tick_rate: f64,
    /// What a reader must know, in sentences.
    pub notes: Vec<String>,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// There are no such frames.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Sessions and flows could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No memory, or no schedstat.
    #[error("cannot measure what a packet costs: {0}")]
    System(#[from] io::Error),
}

/// Measures what a packet of a lane costs, on the thread that calls: pin that first. Frames of new
/// flows alone find empty tables at the begin of each run.
///
/// # Errors
/// When the scenario has no such frames, its flows do not come through, or memory is short.
pub fn measure(
    scenario: &Scenario,
    lane: usize,
    genome: &Genome,
    mix: Mix,
    options: &Options,
) -> Result<Measured, CostError> {
    let frames = options.hot.max(options.cold);
    let (mut tester, mut device, mut spare) = memory::with_frames(scenario, 1, frames)?;
    let is_new = mix == Mix::New;
    let learned = match scenario.has_state() && !is_new {
        true => scenario.open(&mut tester)?.learned,
        false => None,
    };
    let stream = scenario.frames(lane, genome, mix, learned.as_ref())?;
    let packets = if is_new { options.packets.min(stream.flows()) } else { options.packets };
    let mut turns = Turns::new(stream, scenario.lane(lane).leaves, &mut spare, frames)?;
    turns.handicap = options.handicap;
    let before = accounts(&mut device)?;
    let begin = (clock::now(), clock::ticks());
    let mut kinds = [Vec::new(), Vec::new()];
    for (runs, frames) in kinds.iter_mut().zip([options.hot, options.cold]) {
        if frames == 0 {
            continue;
        }
        // The first run meets cold caches and is not counted.
        for run in 0..=options.runs {
            if is_new {
                device.reset()?;
                turns.rewind();
            }
            let ticks = turns.run(&mut tester, lane, frames, packets)?;
            if run > 0 {
                runs.push(ticks);
            }
        }
    }
    let tick_rate = rate(begin, (clock::now(), clock::ticks()));
    let device = difference(&before, accounts(&mut device)?);
    let fate = turns.end(&mut spare);
    let [hot, cold] = kinds.map(|runs| (!runs.is_empty()).then(|| spread(runs, tick_rate)));
    let hot = hot.ok_or_else(|| io::Error::other("there are no hot frames"))?;
    let (verdict, notes) = (judge(&fate, &device), notes(&fate, options));
    Ok(Measured { cost: Cost { hot, cold, abreast: None, verdict }, device, tick_rate, notes })
}

fn accounts(device: &mut MemoryDevice) -> io::Result<DeviceFrames> {
    Ok(device.accounts()?.unwrap_or_default())
}

/// Ticks a second between two looks at both clocks.
fn rate((now_0, ticks_0): (Now, u64), (now_1, ticks_1): (Now, u64)) -> f64 {
    let nanos = now_1.since(now_0).0.max(1);
    ticks_1.wrapping_sub(ticks_0) as f64 * 1e9 / nanos as f64
}

fn spread(runs: Vec<f64>, tick_rate: f64) -> CostSpread {
    let ticks = median(&runs).unwrap_or(f64::NAN);
    CostSpread { ticks: Quantity::ticks(ticks), runs, rate: Quantity::rate(tick_rate / ticks) }
}

/// What a device counted between two looks.
fn difference(before: &DeviceFrames, after: DeviceFrames) -> DeviceFrames {
    let dropped = after.dropped.into_iter().filter_map(|(reason, count)| {
        let count = count - before.dropped.get(&reason).copied().unwrap_or(0);
        (count > 0).then_some((reason, count))
    });
    DeviceFrames {
        received: after.received - before.received,
        originated: after.originated - before.originated,
        split: after.split - before.split,
        sent: after.sent - before.sent,
        punted: after.punted - before.punted,
        answered: after.answered - before.answered,
        held: after.held - before.held,
        dropped: dropped.collect::<BTreeMap<_, _>>(),
        idle_turns: after.idle_turns,
    }
}

fn judge(fate: &Fate, device: &DeviceFrames) -> Verdict {
    let Fate { pushed, whole, .. } = *fate;
    if pushed != whole {
        let why = format!(
            "{} of {pushed} frames did not come out whole; the forwarder dropped {:?}: what was \
             measured is not forwarding",
            pushed - whole,
            device.dropped,
        );
        return Verdict::new(VerdictKind::Unaccounted, why);
    }
    let share = fate.left_out as f64 / fate.stretches.max(1) as f64;
    if share > MOST_LEFT_OUT {
        let why = format!(
            "{:.0} % of the time other threads had this core: run on an idle machine",
            share * 100.0
        );
        return Verdict::new(VerdictKind::Contaminated, why);
    }
    Verdict::ok()
}

fn notes(fate: &Fate, options: &Options) -> Vec<String> {
    let cold = match options.cold {
        0 => String::new(),
        cold => format!(", cold {cold}"),
    };
    let mut notes = vec![format!(
        "Cost of the worker's turns, clock included, generator and sink left out; hot is {} \
         frames going round{cold}; the time to read the counter, {:.0} ticks a turn, is taken off.",
        options.hot, fate.overhead,
    )];
    if fate.left_out > 0 {
        notes.push(format!(
            "{} of {} stretches of {} turns were left out: other threads had the core meanwhile.",
            fate.left_out,
            fate.stretches,
            turns::STRETCH,
        ));
    }
    notes
}
