//! What does the pipeline make of a capture? The same input gives the same output, byte by byte,
//! whatever the number of workers and the size of batches.
//!
//! Every port is a memory port whose far end the [`Replay`] holds; cables are joined here. Time
//! comes from the capture. All workers and the control plane take their turns on one thread:
//!
//! - The control plane is stepped, and held frames are let go, at *checkpoints* that depend on the
//!   capture alone: around each ARP frame, when time enters another millisecond, and at the
//!   control plane's own deadlines in between.
//! - What comes in between two checkpoints is a *window*. It goes through the pipeline in rounds:
//!   first what the capture holds, then what crossed a cable, and so on.
//! - A batch holds neighbours in a round that came in by one port, enter and end at the same
//!   workers, and that [`foresee`] allows to share one.
//!
//! Every packet has a time of its own: where two packets of a capture have the same, or time runs
//! backwards, the later one counts as a nanosecond after the one before. What leaves has the time
//! of what caused it.

mod build;
mod entry;
mod files;
mod verdicts;

use std::sync::Arc;

use crate::compile::{CompileError, Compiled};
use crate::control::plane::Plane;
use crate::frame::{DropReason, FRAME_SIZE, Outgoing, Pool, ROOM, Row};
use crate::ids::{PortId, WorkerId};
use crate::io::PortError;
use crate::io::memory::End;
use crate::model::{Model, Role, SplitCable};
use crate::stage::state::Sizes;
use crate::stage::{Message, Punt, foresee};
use crate::sync::Published;
use crate::tables::{Counters, Tables};
use crate::time::{Now, Span};
use crate::worker::{Rings, Worker};

use entry::{Entry, Open, entry_hash, is_arp, load};
pub use files::{FileError, Input, Outcome, files};
pub use verdicts::{PortCount, Verdicts};

/// How far apart checkpoints are at most while packets come.
const GRID: Span = Span::millis(1);
/// Most frames of a window: the capture alone decides, so results stay the same.
const WINDOW: usize = 4096;
/// Most cables that a packet crosses.
const ROUNDS: usize = 64;
/// Most deadlines that are kept one by one in a gap of the capture.
const DEADLINES: usize = 10_000;
/// How long time runs on at the end while frames wait for a neighbour.
const RUN_OUT: Span = Span::secs(10);

/// How to replay.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which sides of the circuits this is.
    pub role: Role,
    /// Workers, 1 to 64, all on one thread.
    pub workers: usize,
    /// Most frames of a batch, 1 to 64.
    pub batch: usize,
    /// How much fits.
    pub room: Room,
}

/// How many frames and flows fit before they are dropped by name.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Frames of each worker's pool.
    pub frames: usize,
    /// Frames that wait in each lane of a port; as many as a batch at least.
    pub lanes: usize,
    /// Entries of the rings between workers, and to and from control.
    pub rings: usize,
    /// What each shard keeps.
    pub flows: Sizes,
}

impl Default for Room {
    fn default() -> Self {
        Self { frames: 512, lanes: 4096, rings: 4096, flows: Sizes::default() }
    }
}

impl Room {
    /// Enough for a few dozen packets, and cheap to make: for many short replays.
    pub const SMALL: Room = Room {
        frames: 128,
        lanes: 64,
        rings: 64,
        flows: Sizes { nsg_flows: 16, gateway_flows: 16, fragments: 8 },
    };
}

impl Default for Options {
    fn default() -> Self {
        Self { role: Role::All, workers: 1, batch: crate::frame::BATCH, room: Room::default() }
    }
}

/// Why it cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A number that is out of range.
    #[error("{what} is {value}, and 1 to 64 are possible")]
    Range {
        /// Which number.
        what: &'static str,
        /// The number.
        value: usize,
    },
    /// The model does not split into roles there.
    #[error(transparent)]
    Role(#[from] SplitCable),
    /// The model cannot be forwarded.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A port cannot be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// No memory or descriptors.
    #[error("the system refuses memory for ports and frames: {0}")]
    System(#[from] std::io::Error),
    /// Frames that never leave.
    #[error("frames go round in circles over the cable at port {port}: take one cable out")]
    Circle {
        /// A port on their way.
        port: String,
    },
    /// All frames are in use.
    #[error("no free frame is left")]
    NoFrame,
}

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// By which port.
    pub port: PortId,
    /// When.
    pub at: Now,
    /// What.
    pub bytes: Vec<u8>,
}

/// The pipeline on memory ports, with workers and control plane on one thread.
#[derive(Debug)]
pub struct Replay {
    model: Model,
    compiled: Compiled,
    published: Arc<Published<Tables>>,
    workers: Vec<Worker>,
    counters: Vec<Arc<Counters>>,
    plane: Plane,
    rings: Vec<Rings>,
    /// Far ends by port and worker.
    lanes: Vec<Vec<End>>,
    /// The port at the other end of a port's cable.
    cables: Vec<Option<PortId>>,
    pool: Pool,
    batch: usize,
    now: Now,
    due: Option<Now>,
    last: Now,
    window: Vec<Entry>,
    crossing: Vec<Entry>,
    punts: Vec<Punt>,
    sent: Vec<Sent>,
    scratch: Box<[u8; FRAME_SIZE]>,
}

impl Replay {
    /// The port of this name, if frames can enter there.
    pub fn port(&self, name: &str) -> Option<PortId> {
        let index = self.model.ports.iter().position(|own| own.name.as_str() == name)?;
        self.cables[index].is_none().then(|| PortId::from_index(index))
    }

    /// The names of the ports where frames can enter.
    pub fn ports(&self) -> Vec<String> {
        let named = self.model.ports.iter().zip(&self.cables);
        let open = named.filter(|(_, cable)| cable.is_none());
        open.map(|(own, _)| own.name.to_string()).collect()
    }

    /// Lets a frame in by a port. It goes through the pipeline when its window ends.
    ///
    /// # Errors
    /// When cables make a circle.
    pub fn offer(&mut self, port: PortId, at: Now, bytes: &[u8]) -> Result<(), ReplayError> {
        let at = at.max(self.last + Span(1)).max(self.now);
        self.last = at;
        let cell = Now(at.0 - at.0 % GRID.0);
        if cell > self.now {
            self.run_until(cell)?;
        }
        let lane = entry_hash(bytes) as usize % self.workers.len();
        let entry = Entry { port, lane, at, bytes: bytes.to_vec() };
        if is_arp(bytes) {
            self.run_until(at)?;
            self.window.push(entry);
            self.settle()?;
            self.checkpoint(at)?;
        } else {
            self.window.push(entry);
            if self.window.len() == WINDOW {
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Lets the last frames through, and time run on while some wait for a neighbour.
    ///
    /// # Errors
    /// When cables make a circle.
    pub fn finish(&mut self) -> Result<(), ReplayError> {
        self.run_until(self.last.max(self.now))?;
        let end = self.now + RUN_OUT;
        while self.now < end && self.workers.iter().any(Worker::holds_frames) {
            let next = self.deadline().unwrap_or(end).clamp(self.now + Span(1), end);
            self.checkpoint(next)?;
        }
        Ok(())
    }

    /// What left since the last call, in order of time.
    pub fn take_sent(&mut self) -> Vec<Sent> {
        self.sent.sort_by_key(|sent| sent.at);
        std::mem::take(&mut self.sent)
    }

    /// When something is due that no packet causes.
    fn deadline(&self) -> Option<Now> {
        self.workers.iter().filter_map(Worker::gives_up_at).chain(self.due).min()
    }

    /// Ends the window, and lets time run to `then`, from deadline to deadline.
    fn run_until(&mut self, then: Now) -> Result<(), ReplayError> {
        self.settle()?;
        for _ in 0..DEADLINES {
            match self.deadline() {
                Some(due) if due < then => self.checkpoint(due.max(self.now + Span(1)))?,
                _ => break,
            }
        }
        self.checkpoint(then)
    }

    /// Steps control and lets held frames go.
    fn checkpoint(&mut self, now: Now) -> Result<(), ReplayError> {
        self.now = self.now.max(now);
        self.turn();
        for _ in 0..ROUNDS {
            self.step();
            self.turn();
            self.settle()?;
            self.release()?;
            if self.punts.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Gives control what workers punted, in an order that does not depend on the workers.
    fn step(&mut self) {
        let mut punts = std::mem::take(&mut self.punts);
        punts.sort_by_key(|punt| match punt {
            Punt::Frame(_, row) => (0, row.arrival.0, u64::from(row.attachment.0)),
            Punt::Message(Message::Glean(attachment, address)) => {
                (1, u64::from(attachment.0), u64::from(*address))
            }
            Punt::Message(Message::Resolve(id)) => (2, u64::from(id.0), 0),
        });
        for punt in punts {
            if let Err(punt) = self.rings[0].punts.push(punt) {
                self.punts.push(punt);
            }
        }
        self.due = self.plane.step(self.now);
    }

    /// Lets held frames go, one by one and the oldest first, whichever worker holds it.
    fn release(&mut self) -> Result<(), ReplayError> {
        // A frame that goes may come to wait for the next thing, so the number is bounded.
        for _ in 0..2 * crate::stage::state::HELD_MOST {
            let now = self.now;
            let ready = self.workers.iter_mut().enumerate();
            let ready = ready.filter_map(|(at, worker)| Some((worker.ready_since(now)?, at)));
            let Some((since, at)) = ready.min() else { break };
            self.workers[at].release_since(since, now);
            self.turn();
            self.settle()?;
        }
        Ok(())
    }

    /// Lets the window through, and whatever crosses cables.
    fn settle(&mut self) -> Result<(), ReplayError> {
        let mut round = std::mem::take(&mut self.window);
        round.append(&mut self.crossing);
        for _ in 0..ROUNDS {
            if round.is_empty() {
                return Ok(());
            }
            self.enter(round)?;
            round = std::mem::take(&mut self.crossing);
            round.sort_by_key(|entry| (entry.at, entry.port));
        }
        let Some(entry) = round.first() else { return Ok(()) };
        let port = self.model.ports[entry.port.index()].name.to_string();
        Err(ReplayError::Circle { port })
    }

    /// Lets frames in, batch by batch.
    fn enter(&mut self, round: Vec<Entry>) -> Result<(), ReplayError> {
        let tables = self.published.latest();
        let mut batch = Open::default();
        for entry in round {
            if entry.bytes.len() > ROOM {
                self.refuse(&entry);
                continue;
            }
            let foreseen = self.foresee(&tables, &entry);
            let key = (entry.port, entry.lane, foreseen.owner);
            if batch.len == self.batch || !batch.takes(key, &foreseen) {
                self.turn();
                batch = Open::default();
            }
            batch.add(key, &foreseen);
            let mut frame = self.pool.take().ok_or(ReplayError::NoFrame)?;
            let out = load(&mut frame, &entry.bytes);
            let out = Outgoing::plain(frame, out.0, usize::from(out.1), entry.at);
            let lane = &mut self.lanes[entry.port.index()][entry.lane];
            lane.push(out, Some(entry.at)).map_err(|_| ReplayError::NoFrame)?;
        }
        self.turn();
        Ok(())
    }

    /// A frame that fits no buffer is counted as every port counts it.
    fn refuse(&self, entry: &Entry) {
        let counters = &self.counters[entry.lane];
        counters.received.add(1);
        counters.note_drop(DropReason::FrameTooLong, 1);
        let port = counters.port(entry.port);
        port.dropped.add(1);
        port.rx_frames.add(1);
        port.rx_bytes.add(entry.bytes.len() as u64);
    }

    fn foresee(&mut self, tables: &Tables, entry: &Entry) -> foresee::Foreseen {
        let (off, len) = load(&mut self.scratch, &entry.bytes);
        let mut row = Row { off, len: u32::from(len), port: entry.port, ..Row::default() };
        foresee::packet(tables, &self.scratch, &mut row, WorkerId::from_index(entry.lane))
    }

    /// Lets the workers turn until nothing moves, and takes what left.
    fn turn(&mut self) {
        loop {
            let work: usize = self.workers.iter_mut().map(|worker| worker.turn(self.now)).sum();
            self.collect();
            if work == 0 {
                return;
            }
        }
    }

    fn collect(&mut self) {
        for (index, lanes) in self.lanes.iter_mut().enumerate() {
            for (lane, end) in lanes.iter_mut().enumerate() {
                while let Some(out) = end.pop() {
                    let (at, bytes) = (out.at, out.bytes().to_vec());
                    self.pool.put(out.frame);
                    match self.cables[index] {
                        Some(port) => self.crossing.push(Entry { port, lane, at, bytes }),
                        None => self.sent.push(Sent { port: PortId::from_index(index), at, bytes }),
                    }
                }
            }
        }
        for rings in &self.rings {
            self.punts.extend(std::iter::from_fn(|| rings.punts.pop()));
        }
    }
}
