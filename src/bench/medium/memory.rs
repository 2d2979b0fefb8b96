//! thruway's own workers on memory ports, in this process: our code, and no kernel.
//!
//! | medium | worker | shows |
//! |---|---|---|
//! | `memory` | in the tester's thread, a turn at each [`Tester::step`] | the pipeline alone |
//! | `ring` | on threads of their own, polling | the same, and frames that change cores |
//!
//! Workers run as in production: all ports of the configuration, time read once a turn, counters,
//! housekeeping. Control is left out: neighbours have answered, and nobody asks again.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::{BURST, Device, Tester};
use crate::bench::record::Quantity;
use crate::bench::record::trial::DeviceFrames;
use crate::bench::scenario::{Scenario, TO_AZURE, TO_ONPREM};
use crate::frame::{DropReason, HEADROOM, Outgoing, Pool};
use crate::io::memory::End;
use crate::io::sys::affinity;
use crate::io::{clock, steer};
use crate::stage::{Sharded, Shards};
use crate::sync::Counter;
use crate::tables::Counters;
use crate::time::Now;
use crate::wire::eth;
use crate::worker::{Down, Inspect, Rings};

mod apart;
mod changing;
pub mod plant;
mod threads;

pub(in crate::bench) use apart::{Apart, Lone};
#[cfg(test)]
pub(in crate::bench) use changing::memory_with_churn;
pub use changing::ring_with_churn;
pub(in crate::bench) use changing::with_frames_and_churn;
use plant::{Blueprint, Plant};
use threads::{Here, There, poll};

/// [`HEADROOM`] as frames have it.
#[expect(clippy::cast_possible_truncation, reason = "a frame is shorter than 65,536 bytes")]
pub(in crate::bench) const OFF: u16 = HEADROOM as u16;
/// How long a worker thread may take over a request between two turns: emptying ten million
/// sessions takes a part of a second.
const ANSWER: Duration = Duration::from_secs(30);

/// The tester's end of memory ports.
#[derive(Debug)]
pub struct MemoryTester {
    /// By the lane that enters there.
    sides: [Side; 2],
    pool: Pool,
    here: Option<Arc<Here>>,
}

/// One port.
#[derive(Debug)]
struct Side {
    /// One for each worker's queue.
    ends: Vec<End>,
    /// Where the IPv4 header of frames that enter begins.
    l3: usize,
}

/// thruway's workers.
#[derive(Debug)]
pub struct MemoryDevice {
    blueprint: Blueprint,
    rings: Vec<Rings>,
    counters: Vec<Arc<Counters>>,
    turns: Vec<Arc<Counter>>,
    /// Turns, and busy ones, at the last look.
    seen: (u64, u64),
    here: Option<Arc<Here>>,
    there: Option<There>,
}

/// The medium `memory`: the tester's steps are the workers' turns.
///
/// # Errors
/// When the scenario does not compile or memory is short.
pub fn memory(scenario: &Scenario, workers: usize) -> io::Result<(MemoryTester, MemoryDevice)> {
    Ok(assemble(scenario, Plant::new(scenario, workers, 0)?).0)
}

/// As [`memory`], and with so many frames more.
pub(in crate::bench) fn with_frames(
    scenario: &Scenario,
    workers: usize,
    frames: usize,
) -> io::Result<(MemoryTester, MemoryDevice, Vec<Pool>)> {
    let ((tester, device), spare) = assemble(scenario, Plant::new(scenario, workers, frames)?);
    Ok((tester, device, spare))
}

type Assembled = ((MemoryTester, MemoryDevice), Vec<Pool>);

fn assemble(scenario: &Scenario, plant: Plant) -> Assembled {
    let Plant { blueprint, workers, counters, rings, ends, pool, spare, .. } = plant;
    let turns: Vec<_> = workers.iter().map(|_| Arc::new(Counter::default())).collect();
    let here = Arc::new(Here { workers: Mutex::new(workers), turns: turns.clone() });
    let tester = tester(scenario, ends, pool, Some(Arc::clone(&here)));
    let device = MemoryDevice {
        blueprint,
        rings,
        counters,
        turns,
        seen: (0, 0),
        here: Some(here),
        there: None,
    };
    ((tester, device), spare)
}

/// The medium `ring`: as many workers as `cores`, each on a thread that polls and is pinned to its
/// core where one is named.
///
/// # Errors
/// As [`memory`], and when there are no threads or no such cores.
pub fn ring(
    scenario: &Scenario,
    cores: &[Option<usize>],
) -> io::Result<(MemoryTester, MemoryDevice)> {
    threaded(scenario, Plant::new(scenario, cores.len(), 0)?, cores)
}

fn threaded(
    scenario: &Scenario,
    plant: Plant,
    cores: &[Option<usize>],
) -> io::Result<(MemoryTester, MemoryDevice)> {
    let Plant { blueprint, workers, counters, rings, ends, pool, .. } = plant;
    let turns: Vec<_> = workers.iter().map(|_| Arc::new(Counter::default())).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut there = There { stop: Arc::clone(&stop), threads: Vec::new() };
    for (index, (worker, core)) in workers.into_iter().zip(cores).enumerate() {
        let (tell, told) = mpsc::channel();
        let (stop, turns, core) = (Arc::clone(&stop), Arc::clone(&turns[index]), *core);
        let thread =
            std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                let pinned = core.map_or(Ok(()), affinity::pin);
                let id = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
                let go = pinned.is_ok();
                if tell.send(pinned.map(|()| id)).is_ok() && go {
                    poll(worker, &stop, &turns);
                }
            })?;
        let id = told.recv().map_err(|_| io::Error::other("a worker thread ended at once"))??;
        there.threads.push((id, thread));
    }
    let tester = tester(scenario, ends, pool, None);
    let device = MemoryDevice {
        blueprint,
        rings,
        counters,
        turns,
        seen: (0, 0),
        here: None,
        there: Some(there),
    };
    Ok((tester, device))
}

fn tester(
    scenario: &Scenario,
    [onprem, azure]: [Vec<End>; 2],
    pool: Pool,
    here: Option<Arc<Here>>,
) -> MemoryTester {
    let side = |lane, ends| {
        let tags = scenario.lane(lane).enters.tags;
        Side { ends, l3: eth::HEADER + tags.size() }
    };
    MemoryTester { sides: [side(TO_AZURE, onprem), side(TO_ONPREM, azure)], pool, here }
}

impl Side {
    /// How many frames surely find room, whichever queue they take.
    fn room(&self) -> usize {
        let rooms = self.ends.iter().map(|end| plant::DEPTH.saturating_sub(end.backlog()));
        rooms.min().unwrap_or(0)
    }

    /// The queue of a frame, as the kernel's fanout spreads frames over packet ports.
    fn queue(&self, frame: &[u8]) -> usize {
        queue(frame, self.l3, self.ends.len())
    }
}

/// The queue, of so many, of a frame whose IPv4 header begins at `l3`.
fn queue(frame: &[u8], l3: usize, queues: usize) -> usize {
    if queues == 1 {
        return 0;
    }
    let word = |at: usize| frame.get(at..at + 4).and_then(|b| b.try_into().ok());
    let address = |at| word(l3 + at).map_or(0, u32::from_be_bytes);
    steer::hash(address(12), address(16)) as usize % queues
}

impl Tester for MemoryTester {
    #[inline]
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        mut write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        let side = &mut self.sides[lane];
        let want = want.min(side.room());
        for taken in 0..want {
            let Some(mut frame) = self.pool.take() else { return Ok(taken) };
            let size = write(&mut frame[HEADROOM..]);
            let queue = side.queue(&frame[HEADROOM..HEADROOM + size]);
            let out = Outgoing::plain(frame, OFF, size, Now(0));
            if let Err(out) = side.ends[queue].push(out, None) {
                self.pool.put(out.frame);
                return Err(io::Error::other("a memory port has lost its plug"));
            }
        }
        Ok(want)
    }

    #[inline]
    fn receive(&mut self, lane: usize, mut look: impl FnMut(&[u8])) -> io::Result<usize> {
        // What enters on one side comes out on the other.
        let mut came = 0;
        for end in &mut self.sides[1 - lane].ends {
            while came < BURST
                && let Some(out) = end.pop()
            {
                look(out.bytes());
                self.pool.put(out.frame);
                came += 1;
            }
        }
        Ok(came)
    }

    #[inline]
    fn step(&mut self) {
        if let Some(here) = &self.here {
            here.step();
        }
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        // Rings refuse before a frame is made, so nothing is lost here.
        Ok(Vec::new())
    }
}

impl MemoryDevice {
    /// Lets each worker do something with its state between two turns, and collects the answers.
    fn ask<T: Send + 'static>(
        &self,
        make: impl Fn(usize) -> Box<dyn FnOnce(&mut Shards) -> T + Send>,
    ) -> io::Result<Vec<T>> {
        let mut answers = Vec::new();
        for (index, rings) in self.rings.iter().enumerate() {
            let (tell, told) = mpsc::channel();
            let job = make(index);
            let look = move |shards: &mut Shards| {
                // Whoever asked may have given up.
                let _ = tell.send(job(shards));
            };
            if rings.down.push(Down::Inspect(Inspect(Box::new(look)))).is_err() {
                return Err(io::Error::other("a worker does not take requests"));
            }
            if let Some(here) = &self.here {
                here.step();
            }
            let late = |_| io::Error::other(format!("worker {index} does not answer"));
            answers.push(told.recv_timeout(ANSWER).map_err(late)?);
        }
        Ok(answers)
    }

    /// NAT sessions that are open.
    ///
    /// # Errors
    /// When a worker does not answer.
    pub fn sessions(&self) -> io::Result<u64> {
        let count = |_| -> Box<dyn FnOnce(&mut Shards) -> u64 + Send> {
            Box::new(|shards| {
                let nats = shards.nats.iter().flat_map(Sharded::all);
                nats.map(|nat| nat.counters().sessions as u64).sum()
            })
        };
        Ok(self.ask(count)?.into_iter().sum())
    }

    /// Flows that gateways and security groups know.
    ///
    /// # Errors
    /// When a worker does not answer.
    pub fn flows(&self) -> io::Result<u64> {
        let count = |_| -> Box<dyn FnOnce(&mut Shards) -> u64 + Send> {
            Box::new(|shards| {
                let now = clock::now();
                let tables = std::iter::once(&shards.nsg_flows).chain(&shards.gateway_flows);
                tables.flat_map(Sharded::all).map(|table| table.len(now) as u64).sum()
            })
        };
        Ok(self.ask(count)?.into_iter().sum())
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(|own| of(own)).sum()
    }

    /// Share of the turns since the last look that found no work.
    fn idle(&mut self) -> Option<Quantity> {
        let turns: u64 = self.turns.iter().map(|own| own.value()).sum();
        let busy = self.sum(|own| own.busy_turns.value());
        let (turns_before, busy_before) = std::mem::replace(&mut self.seen, (turns, busy));
        let all = turns - turns_before;
        // Counters are read one after the other: a turn may be busy and not counted yet.
        let idle = all.saturating_sub(busy - busy_before);
        (all > 0).then(|| Quantity::ratio(idle as f64 / all as f64))
    }
}

impl Device for MemoryDevice {
    fn name(&self) -> &str {
        "thruway"
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        let dropped = DropReason::ALL.iter().filter_map(|reason| {
            let count = self.sum(|own| own.dropped[*reason as usize].value());
            (count > 0).then(|| (reason.name().to_owned(), count))
        });
        let dropped = dropped.collect();
        Ok(Some(DeviceFrames {
            received: self.sum(|own| own.received.value()),
            originated: self.sum(|own| own.originated.value()),
            split: self.sum(|own| own.split.value()),
            sent: self.sum(|own| own.sent.value()),
            punted: self.sum(|own| own.punted.value()),
            answered: self.sum(|own| own.answered.value()),
            held: self.sum(|own| own.held.value()).cast_signed(),
            dropped,
            idle_turns: self.idle(),
        }))
    }

    fn threads(&self) -> Vec<(String, u32)> {
        let threads = self.there.iter().flat_map(|there| &there.threads).enumerate();
        threads.map(|(index, (id, _))| (format!("worker {index}"), *id)).collect()
    }

    fn reset(&mut self) -> io::Result<bool> {
        self.blueprint.renew();
        let blueprint = &self.blueprint;
        let make = |index| -> Box<dyn FnOnce(&mut Shards) + Send> {
            let shards = blueprint.shards(index);
            Box::new(move |own| *own = shards)
        };
        self.ask(make)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
