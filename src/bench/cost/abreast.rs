//! How much more do several workers carry than one? Each on a thread and a core of its own, in the
//! closed loop of [`super::measure`], with frames of its own: those of the flows that its queue
//! gets and its shards own. Tables are shared, counters are each worker's, as in production.
//!
//! Rounds begin together, and only the turns count in which all workers have frames: the figure is
//! the sum of their rates over that time. One worker alone and all of them alternate, so that a
//! drift of the machine meets both; who is alone takes turns too.
//!
//! Flows that a worker hands to another one are left out, and with them what that costs.

use std::io;
use std::sync::Barrier;

use super::gate::{self, Gate};
use super::turns::{Fate, Place, Round, Sum, Turns};
use super::{CostError, Options, accounts, difference, judge, notes, rate, spread};
use crate::bench::medium::memory::{self, Apart, Lone, MemoryTester, OFF};
use crate::bench::record::Quantity;
use crate::bench::record::outcome::{Abreast, Cost};
use crate::bench::record::trial::{Verdict, VerdictKind};
use crate::bench::scenario::{Mix, Scenario};
use crate::bench::stats::summary::median;
use crate::bench::traffic::{Frames, Genome, Probe, Stream as _};
use crate::frame::{BATCH, HEADROOM, Outgoing, Pool};
use crate::io::clock;
use crate::io::sys::affinity;
use crate::time::Now;
use crate::wire::vlan::TagStack;
use crate::wire::{eth, ip4, udp};

/// Turns that frames may take to come out.
const TURNS: usize = 8;
/// The trial of frames that tell whose a flow is.
const TRIAL: u16 = 0xab4e;

/// What one worker needs.
struct Seat {
    lone: Lone,
    core: Option<usize>,
    /// The numbers of its frames.
    own: Vec<u64>,
    stream: Frames,
    spare: Vec<Pool>,
}

/// What all workers do.
struct Shared {
    leaves: TagStack,
    options: Options,
    barrier: Barrier,
    gate: Gate,
}

/// What came of a worker: its rounds of each phase, or why there are none.
type Found = (io::Result<Vec<Vec<Round>>>, Fate);

/// Measures what `cores.len()` workers carry beside one, hot, in a lane of known flows. A core that
/// is not named is any.
///
/// # Errors
/// As [`super::measure`], and when a worker has no flow of its own.
pub fn measure(
    scenario: &Scenario,
    lane: usize,
    genome: &Genome,
    cores: &[Option<usize>],
    options: &Options,
) -> Result<super::Measured, CostError> {
    let workers = cores.len();
    let pools = options.hot.div_ceil(memory::plant::FRAMES);
    let (mut tester, mut device, mut spare) =
        memory::with_frames(scenario, workers, workers * pools * memory::plant::FRAMES)?;
    let learned = match scenario.has_state() {
        true => scenario.open(&mut tester)?.learned,
        false => None,
    };
    let mut stream = scenario.frames(lane, genome, Mix::Known, learned.as_ref())?;
    let leaves = scenario.lane(lane).leaves;
    let (apart, owned) = own_flows(tester, lane, &mut stream, leaves)?;
    let flows = owned.iter().map(Vec::len).sum::<usize>();
    let before = accounts(&mut device)?;
    let begin = (clock::now(), clock::ticks());
    let shared = Shared {
        leaves,
        options: *options,
        barrier: Barrier::new(workers),
        gate: Gate::new(workers),
    };
    let seats = apart.lone.into_iter().zip(owned).zip(cores).map(|((lone, own), core)| Seat {
        lone,
        core: *core,
        own,
        stream: stream.clone(),
        spare: spare.drain(..pools.min(spare.len())).collect(),
    });
    let seats: Vec<Seat> = seats.collect();
    let found: Vec<Found> = std::thread::scope(|scope| {
        let shared = &shared;
        let threads: Vec<_> =
            (0..).zip(seats).map(|(me, seat)| scope.spawn(move || sit(me, seat, shared))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Found>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let tick_rate = rate(begin, (clock::now(), clock::ticks()));
    let device = difference(&before, accounts(&mut device)?);
    let mut fate = Fate::default();
    let mut rounds = Vec::new();
    let mut failed = None;
    for (own, one) in found {
        fate.add(&one);
        match own {
            Ok(own) => rounds.push(own),
            // Who gave up says why, the others that somebody did.
            Err(why) if failed.is_none() || why.kind() != gate::GIVEN_UP => failed = Some(why),
            Err(_) => {}
        }
    }
    if let Some(why) = failed {
        return Err(why.into());
    }
    let (alone, abreast) = sums(&rounds, tick_rate);
    let verdict = few(&rounds).unwrap_or_else(|| judge(&fate, &device));
    let mut notes = notes(&fate, &Options { cold: 0, ..*options });
    notes.push(format!(
        "{flows} of {} flows go through one worker alone, and those are measured: what it costs to \
         hand a packet to another worker is left out.",
        stream.flows(),
    ));
    let cost = Cost { hot: spread(alone, tick_rate), cold: None, abreast: Some(abreast), verdict };
    Ok(super::Measured { cost, device, tick_rate, notes })
}

/// A worker's part, on a thread of its own: alone when it is its turn, then beside the others.
fn sit(me: usize, mut seat: Seat, shared: &Shared) -> Found {
    let Shared { leaves, options, barrier, gate } = shared;
    let ready = seat
        .core
        .map_or(Ok(()), affinity::pin)
        .and_then(|()| Turns::new(seat.stream.clone(), *leaves, &mut seat.spare, options.hot));
    let (mut turns, mut failed) = match ready {
        Ok(mut turns) => {
            turns.own = std::mem::take(&mut seat.own);
            (Some(turns), None)
        }
        Err(why) => {
            gate.fail();
            (None, Some(why))
        }
    };
    let mut phases = Vec::new();
    // The first run meets cold caches and is not counted.
    for run in 0..=options.runs {
        for gate in [None, Some(gate)] {
            // Sleeping, so that who is alone has the machine.
            barrier.wait();
            let is_mine = gate.is_some() || run % shared.workers() == me;
            let mut rounds = Vec::new();
            if let (Some(turns), true, None) = (&mut turns, is_mine, &failed) {
                match phase(turns, &mut seat.lone, options, gate) {
                    Ok(all) => rounds = all,
                    Err(why) => {
                        shared.gate.fail();
                        failed = Some(why);
                    }
                }
            }
            if run > 0 {
                phases.push(rounds);
            }
        }
    }
    let fate = turns.map_or(Fate::default(), |turns| turns.end(&mut seat.spare));
    (failed.map_or(Ok(phases), Err), fate)
}

impl Shared {
    /// How many there are.
    fn workers(&self) -> usize {
        self.gate.threads()
    }
}

/// The rounds of one phase.
fn phase(
    turns: &mut Turns,
    lone: &mut Lone,
    options: &Options,
    gate: Option<&Gate>,
) -> io::Result<Vec<Round>> {
    let rounds = options.packets.div_ceil(options.hot.max(1) as u64).max(1);
    let workers = std::slice::from_mut(&mut lone.worker);
    let mut place = Place { workers, enter: &mut lone.enter, leave: &mut lone.leave };
    (0..rounds).map(|_| turns.round(&mut place, options.hot, gate)).collect()
}

/// Ticks a packet of one worker alone in each run, and all of them beside that. `rounds` are by
/// worker and phase; phases alternate.
fn sums(rounds: &[Vec<Vec<Round>>], tick_rate: f64) -> (Vec<f64>, Abreast) {
    let phases = rounds.first().map_or(0, Vec::len);
    let (mut alone, mut ratios, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..phases / 2 {
        let one = rounds.iter().map(|own| &own[2 * pair]).find(|own| !own.is_empty());
        let one = one.map_or(0.0, |own| per_tick(&[own]));
        let all: Vec<&Vec<Round>> = rounds.iter().map(|own| &own[2 * pair + 1]).collect();
        let all = per_tick(&all);
        alone.push(1.0 / one.max(f64::MIN_POSITIVE));
        ratios.push(all / one.max(f64::MIN_POSITIVE));
        rates.push(all * tick_rate);
    }
    let abreast = Abreast {
        workers: u32::try_from(rounds.len()).unwrap_or(u32::MAX),
        rate: Quantity::rate(median(&rates).unwrap_or_default()),
        ratio: median(&ratios).unwrap_or_default(),
        ratios,
    };
    (alone, abreast)
}

/// Packets a tick of workers that run beside each other, summed: over the rounds in which none was
/// disturbed, or over all where there is no such round.
fn per_tick(workers: &[&Vec<Round>]) -> f64 {
    let len = workers.iter().map(|rounds| rounds.len()).min().unwrap_or(0);
    let calm = |at: &usize| workers.iter().all(|rounds| !rounds[*at].is_disturbed);
    let mut which: Vec<usize> = (0..len).filter(calm).collect();
    if which.is_empty() {
        which = (0..len).collect();
    }
    let rate = |rounds: &&Vec<Round>| {
        let mut sum = Sum::default();
        which.iter().for_each(|at| sum.add(rounds[*at].all));
        if sum.ticks > 0.0 { sum.packets as f64 / sum.ticks } else { 0.0 }
    };
    workers.iter().map(rate).sum()
}

/// The verdict where a phase has hardly a round in which nobody was disturbed.
fn few(rounds: &[Vec<Vec<Round>>]) -> Option<Verdict> {
    let phases = rounds.first().map_or(0, Vec::len);
    let share = |phase: usize| {
        let own: Vec<&Vec<Round>> =
            rounds.iter().map(|own| &own[phase]).filter(|own| !own.is_empty()).collect();
        let len = own.iter().map(|rounds| rounds.len()).min().unwrap_or(0);
        let calm = (0..len).filter(|at| own.iter().all(|rounds| !rounds[*at].is_disturbed));
        calm.count() as f64 / len.max(1) as f64
    };
    let disturbed = (0..phases).filter(|phase| share(*phase) < 1.0 - super::MOST_LEFT_OUT).count();
    (2 * disturbed > phases).then(|| {
        let why = format!(
            "in {disturbed} of {phases} measurements other threads had a worker's core for more \
             than a fifth of the time: run on an idle machine"
        );
        Verdict::new(VerdictKind::Contaminated, why)
    })
}

/// Finds the flows that go through one worker alone, by sending a frame of each: to the worker
/// whose queue gets it, which has them out in some turns unless it hands them to another.
fn own_flows(
    tester: MemoryTester,
    lane: usize,
    stream: &mut Frames,
    leaves: TagStack,
) -> Result<(Apart, Vec<Vec<u64>>), CostError> {
    let mut apart = tester.apart(lane).expect("the workers are in this thread");
    let payload = eth::HEADER + leaves.size() + ip4::HEADER + udp::HEADER;
    let mut waiting: Vec<Vec<Outgoing>> = apart.lone.iter().map(|_| Vec::new()).collect();
    let mut own: Vec<Vec<u64>> = vec![Vec::new(); apart.lone.len()];
    for seq in 0..stream.flows() {
        let Some(mut frame) = apart.pool.take() else {
            return Err(io::Error::other("frames do not come back from a worker").into());
        };
        let probe = Probe { trial: TRIAL, stream: 0, seq, due_ns: 0 };
        let size = stream.write(&probe, &mut frame[HEADROOM..]);
        let queue = apart.queue(&frame[HEADROOM..HEADROOM + size]);
        waiting[queue].push(Outgoing::plain(frame, OFF, size, Now(0)));
        if waiting[queue].len() == BATCH {
            let batch = std::mem::take(&mut waiting[queue]);
            own[queue].extend(through(&mut apart, queue, batch, payload)?);
        }
    }
    for (queue, batch) in waiting.into_iter().enumerate() {
        own[queue].extend(through(&mut apart, queue, batch, payload)?);
    }
    if let Some(none) = own.iter().position(Vec::is_empty) {
        let why = format!("no flow goes through worker {none} alone: take more --flows");
        return Err(io::Error::other(why).into());
    }
    Ok((apart, own))
}

/// Sends a batch to one worker; returns the numbers of the frames that it has out by itself. The
/// others then let out what they were handed.
fn through(
    apart: &mut Apart,
    worker: usize,
    batch: Vec<Outgoing>,
    payload: usize,
) -> io::Result<Vec<u64>> {
    for out in batch {
        let pushed = apart.lone[worker].enter.push(out, None);
        pushed.map_err(|_| io::Error::other("a memory port does not take 64 frames"))?;
    }
    let pool = &mut apart.pool;
    let mut came = Vec::new();
    let mut let_out = |lone: &mut Lone, came: &mut Vec<u64>| {
        for _ in 0..TURNS {
            lone.worker.turn(clock::now());
            while let Some(out) = lone.leave.pop() {
                let probe = Probe::read(out.bytes().get(payload..).unwrap_or_default());
                came.extend(probe.ok().filter(|probe| probe.trial == TRIAL).map(|own| own.seq));
                pool.put(out.frame);
            }
        }
    };
    let_out(&mut apart.lone[worker], &mut came);
    apart.lone.iter_mut().for_each(|lone| let_out(lone, &mut Vec::new()));
    Ok(came)
}

#[cfg(test)]
mod tests;
