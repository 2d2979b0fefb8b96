//! One worker: a thread with its share of every port, its shards, its counters; and one turn of
//! it: receive, run, transmit, housekeeping.

mod notes;
#[cfg(test)]
mod tests;
mod turns;

use std::fmt;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use crate::frame::{BATCH, Batch, DropReason, Frame, Outgoing, Pool, Row};
use crate::ids::{PortId, WorkerId};
use crate::io::{self, Counts, Queue};
use crate::pipeline;
use crate::planted::{Bug, planted};
use crate::stage::icmp::{self, Report};
use crate::stage::state::{Fate, HELD_SPAN, Held, fate};
use crate::stage::{Context, Outbox, Punt, Sharded, Shards, police};
use crate::sync::Reader;
use crate::tables::{Counters, Tables};
use crate::time::{Now, Span};
use notes::{note_received, note_sent};
pub use turns::Turns;

/// Packets on their way to the worker that owns their state.
pub type Handoff = Arc<ArrayQueue<(Frame, Row)>>;

/// What control sends down to a worker.
#[derive(Debug)]
pub enum Down {
    /// A frame that control made.
    Send(PortId, Outgoing),
    /// A punted frame that control is done with.
    Return(Frame),
    /// A look at the worker's sessions and flows, between two batches.
    Inspect(Inspect),
}

/// A look at a worker's state.
pub struct Inspect(pub Box<dyn FnOnce(&mut Shards) + Send>);

impl fmt::Debug for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspect")
    }
}

/// Wakes a thread that may sleep; called at most once a batch.
#[derive(Clone)]
pub struct Wake(pub Arc<dyn Fn() + Send + Sync>);

impl Wake {
    /// Wakes nobody: for threads that never sleep.
    pub fn nobody() -> Self {
        Self(Arc::new(|| {}))
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wake")
    }
}

/// The ways between one worker and control: both bounded, both lossy by count.
#[derive(Clone, Debug)]
pub struct Rings {
    /// To control.
    pub punts: Arc<ArrayQueue<Punt>>,
    /// From control.
    pub down: Arc<ArrayQueue<Down>>,
}

impl Rings {
    /// Rings with room for this many entries each.
    pub fn new(room: usize) -> Self {
        Self { punts: Arc::new(ArrayQueue::new(room)), down: Arc::new(ArrayQueue::new(room)) }
    }
}

/// Frames on their way from each worker to each other; `rings[from][to]`.
pub fn handoffs(workers: usize, room: usize) -> Vec<Vec<Handoff>> {
    let row = |_| (0..workers).map(|_| Arc::new(ArrayQueue::new(room))).collect();
    (0..workers).map(row).collect()
}

/// What a worker is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which worker.
    pub id: WorkerId,
    /// The snapshots that control publishes.
    pub tables: Reader<Tables>,
    /// Its share of every port, by [`PortId`].
    pub queues: Vec<Queue>,
    /// Its frames.
    pub pool: Pool,
    /// Its sessions and flows.
    pub shards: Shards,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// To and from control.
    pub rings: Rings,
    /// To every worker, by [`WorkerId`], and what wakes it.
    pub to: Vec<(Handoff, Wake)>,
    /// What wakes control.
    pub wake_control: Wake,
    /// From every worker, by [`WorkerId`].
    pub from: Vec<Handoff>,
}

/// One worker.
#[derive(Debug)]
pub struct Worker {
    parts: Parts,
    out: Outbox,
    batch: Batch,
    keep_house_at: Now,
    turns: Turns,
    /// It has so many TAPs that asking for all at once is cheaper than reading each.
    looks: bool,
    /// For a replay: what leaves by a port keeps the order of the packets that caused it, whichever
    /// stage sent it, and held frames go only by [`Worker::release_since`].
    pub in_order: bool,
}

/// How often a worker looks after sessions and policers.
const HOUSEKEEPING: Span = Span::millis(10);
/// Sessions and flows that one housekeeping may expire in each shard.
const EXPIRE_BUDGET: usize = 64;

impl Worker {
    /// A worker that has not had its first turn.
    pub fn new(parts: Parts) -> Self {
        let out = Outbox::new(parts.queues.len(), parts.to.len());
        let (batch, turns) = (Batch::new(), Turns::default());
        let looks = parts.queues.iter().filter(|queue| queue.is_tap()).count() > 1;
        Self { parts, out, batch, turns, looks, keep_house_at: Now(0), in_order: false }
    }

    /// One turn: takes what came from control, from other workers and from every port, and
    /// returns how many frames that was.
    pub fn turn(&mut self, now: Now) -> usize {
        let mut work = self.take_from_control();
        work += self.take_from_workers();
        if self.looks {
            io::look(&mut self.parts.queues);
        }
        for port in 0..self.parts.queues.len() {
            let port = PortId::from_index(port);
            let Self { parts, batch, .. } = self;
            let counts = parts.queues[port.index()].receive(port, now, &mut parts.pool, batch);
            if counts == Counts::default() {
                continue;
            }
            note_received(&parts.counters, port, &counts);
            work += counts.frames as usize;
            if !batch.is_empty() {
                self.run(pipeline::received);
            }
        }
        if !self.in_order {
            self.release(now);
        }
        if now >= self.keep_house_at {
            self.keep_house_at = now + HOUSEKEEPING;
            self.keep_house(now);
        }
        let Counters { busy_turns, idle_turns, .. } = &*self.parts.counters;
        self.turns.note(now, work > 0, busy_turns, idle_turns);
        work
    }

    /// The queues, for whoever waits until one of them has something.
    pub fn queues(&self) -> &[Queue] {
        &self.parts.queues
    }

    /// Whether frames wait for neighbours here.
    pub fn holds_frames(&self) -> bool {
        !self.out.held.is_empty()
    }

    /// Runs the batch through `stages` and passes on what leaves it.
    fn run(&mut self, stages: fn(&mut Context<'_>, &mut Batch)) {
        let Self { parts, out, batch, .. } = self;
        let mut cx = Context {
            tables: parts.tables.load(),
            worker: parts.id,
            shards: &mut parts.shards,
            pool: &mut parts.pool,
            counters: &parts.counters,
            out,
        };
        stages(&mut cx, batch);
        self.flush();
    }

    /// Passes on what the last batch lined up: to ports, other workers and control.
    fn flush(&mut self) {
        let Self { parts, out, in_order, .. } = self;
        for (port, frames) in out.ports.iter_mut().enumerate() {
            if frames.is_empty() {
                continue;
            }
            if *in_order {
                frames.sort_by_key(|out| out.order);
            }
            let counts = parts.queues[port].transmit(frames, &mut parts.pool);
            note_sent(&parts.counters, PortId::from_index(port), &counts);
        }
        for (to, packets) in out.workers.iter_mut().enumerate() {
            if packets.is_empty() {
                continue;
            }
            let (ring, wake) = &parts.to[to];
            for packet in packets.drain(..) {
                if let Err((frame, _)) = ring.push(packet) {
                    let lost = u64::from(!planted(Bug::FullRing));
                    parts.counters.note_drop(DropReason::HandoffFull, lost);
                    parts.pool.put(frame);
                }
            }
            (wake.0)();
        }
        if out.punts.is_empty() {
            return;
        }
        for punt in out.punts.drain(..) {
            let is_frame = matches!(punt, Punt::Frame(..));
            match parts.rings.punts.push(punt) {
                Ok(()) => parts.counters.punted.add(u64::from(is_frame)),
                Err(Punt::Frame(frame, _)) => {
                    parts.counters.note_drop(DropReason::PuntFull, 1);
                    parts.pool.put(frame);
                }
                // A wish is made again with the next frame that needs it.
                Err(Punt::Message(_)) => {}
            }
        }
        (parts.wake_control.0)();
    }

    /// Sends what control made and takes back what it is done with.
    fn take_from_control(&mut self) -> usize {
        let mut work = 0;
        while work < BATCH
            && let Some(down) = self.parts.rings.down.pop()
        {
            work += 1;
            match down {
                Down::Send(port, frame) => {
                    self.parts.counters.originated.add(1);
                    self.out.ports[port.index()].push(frame);
                }
                Down::Return(frame) => self.parts.pool.put(frame),
                Down::Inspect(look) => look.0(&mut self.parts.shards),
            }
        }
        if work > 0 {
            self.flush();
        }
        work
    }

    /// Goes on with packets that other workers handed over.
    fn take_from_workers(&mut self) -> usize {
        let mut work = 0;
        for from in 0..self.parts.from.len() {
            while !self.batch.is_full()
                && let Some((frame, row)) = self.parts.from[from].pop()
            {
                self.batch.push(frame, row).expect("there is room");
            }
            if !self.batch.is_empty() {
                work += self.batch.len();
                self.run(pipeline::handed_over);
            }
        }
        work
    }

    /// Lets frames go whose neighbour answered, and gives up on those that waited too long.
    fn release(&mut self, now: Now) {
        if self.out.held.is_empty() {
            return;
        }
        let mut at = 0;
        let mut late = Batch::new();
        while at < self.out.held.len() && !self.batch.is_full() && !late.is_full() {
            match fate(self.parts.tables.load(), &self.out.held[at], now) {
                Fate::Waits => at += 1,
                Fate::Goes => self.let_go(at, now),
                Fate::Late => {
                    std::mem::swap(&mut self.batch, &mut late);
                    self.let_go(at, now);
                    std::mem::swap(&mut self.batch, &mut late);
                }
            }
        }
        if !self.batch.is_empty() {
            self.run(pipeline::released);
        }
        if !late.is_empty() {
            std::mem::swap(&mut self.batch, &mut late);
            self.run(give_up);
        }
    }

    /// Moves a held frame into the batch. It goes on now: what it spends, it spends now.
    fn let_go(&mut self, at: usize, now: Now) {
        let Held { waits_for, frame, row, .. } = self.out.held.remove(at);
        self.parts.tables.load().waiting.leave(waits_for);
        self.parts.counters.held.sub(1);
        self.batch.push(frame, Row { arrival: now, ..row }).expect("there is room");
    }

    /// Since when the oldest of the held frames waits that need not wait longer than `now`.
    pub fn ready_since(&mut self, now: Now) -> Option<Now> {
        let tables = self.parts.tables.load();
        let goes = |held: &&Held| fate(tables, held, now) != Fate::Waits;
        self.out.held.iter().filter(goes).map(|held| held.since).min()
    }

    /// Lets the frame go, or gives it up, that [`Worker::ready_since`] spoke of.
    pub fn release_since(&mut self, since: Now, now: Now) {
        let tables = self.parts.tables.load();
        let mut held = self.out.held.iter().enumerate().filter(|(_, held)| held.since == since);
        let ready = held.find_map(|(at, held)| match fate(tables, held, now) {
            Fate::Waits => None,
            other => Some((at, other)),
        });
        let Some((at, fate)) = ready else { return };
        self.let_go(at, now);
        self.run(if fate == Fate::Goes { pipeline::released } else { give_up });
    }

    /// When the oldest of the held frames has waited too long.
    pub fn gives_up_at(&self) -> Option<Now> {
        self.out.held.iter().map(|held| held.since + HELD_SPAN).min()
    }

    fn keep_house(&mut self, now: Now) {
        let Self { parts, out, .. } = self;
        let Shards { nats, nsg_flows, gateway_flows, .. } = &mut parts.shards;
        for nat in nats.iter_mut().flat_map(Sharded::all_mut) {
            nat.expire(now, EXPIRE_BUDGET);
        }
        for flows in std::iter::once(nsg_flows).chain(gateway_flows).flat_map(Sharded::all_mut) {
            flows.expire(now, EXPIRE_BUDGET);
        }
        let cx = Context {
            tables: parts.tables.load(),
            worker: parts.id,
            shards: &mut parts.shards,
            pool: &mut parts.pool,
            counters: &parts.counters,
            out,
        };
        police::touch(&cx, now);
    }
}

/// Ends packets whose neighbour never answered.
fn give_up(cx: &mut Context<'_>, batch: &mut Batch) {
    for i in crate::frame::Bits(batch.live()) {
        icmp::report(cx, batch, i, Report::HostUnreachable);
        batch.drop(i, DropReason::NeighbourUnresolved);
    }
    pipeline::finish(cx, batch);
}
