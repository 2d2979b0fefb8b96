//! One stage on its own: a batch is brought to where the stage begins, the stage runs, and what
//! came of it is taken away.

use thruway::compile::Compiled;
use thruway::frame::{BATCH, Batch, Bits, HEADROOM, Pool, Row};
use thruway::ids::{PortId, WorkerId};
use thruway::stage::{Context, Outbox, Shards};
use thruway::tables::Counters;
use thruway::time::{Now, Span};

use super::Work;
use super::bench;
use super::lab::START;

/// From a batch to the set of packets that a stage is about, or that it let pass.
pub type Before = fn(&mut Context<'_>, &mut Batch) -> u64;
/// A stage: from a set to the packets that it let pass or sent.
pub type Stage = fn(&mut Context<'_>, &mut Batch, u64) -> u64;

/// Between two batches.
const PAUSE: Span = Span::micros(100);
/// New flows until a scenario begins with empty tables again: half of what NAT has room for.
pub const MOST_FLOWS: u32 = 128 << 10;

/// All that a stage has at hand.
pub struct Rig {
    compiled: Compiled,
    counters: Counters,
    shards: Shards,
    pool: Pool,
    out: Outbox,
    batch: Batch,
    ports: Vec<String>,
    port: PortId,
    now: Now,
}

impl Rig {
    /// The lab of `text`; frames come in by `port`.
    pub fn new(text: &str, port: &str) -> Self {
        let (model, compiled) = bench::compiled(text);
        let mut rig = Self {
            counters: bench::counters(&model, &compiled),
            shards: bench::shards(&compiled),
            pool: Pool::new(4 * BATCH).expect("memory"),
            out: Outbox::new(model.ports.len(), 1),
            batch: Batch::new(),
            ports: model.ports.iter().map(|own| own.name.to_string()).collect(),
            port: PortId(0),
            now: START,
            compiled,
        };
        rig.enter_by(port);
        rig
    }

    /// Frames come in by another port from now on.
    pub fn enter_by(&mut self, port: &str) {
        let index = self.ports.iter().position(|name| name == port);
        self.port = PortId::from_index(index.expect("the lab has this port"));
    }

    /// Ends all sessions and flows.
    pub fn forget(&mut self) {
        self.shards = bench::shards(&self.compiled);
    }

    /// Fills the batch as a port does.
    pub fn receive<'a>(&mut self, frames: impl Iterator<Item = &'a Vec<u8>>) {
        self.now = self.now + PAUSE;
        for bytes in frames {
            let mut frame = self.pool.take().expect("frames come back each round");
            frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            let row = Row {
                off: u16::try_from(HEADROOM).expect("small"),
                len: u32::try_from(bytes.len()).expect("small"),
                port: self.port,
                arrival: self.now,
                ..Row::default()
            };
            self.batch.push(frame, row).expect("a batch at most");
        }
    }

    /// Runs something over the batch.
    #[inline(always)]
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Context<'_>, &mut Batch) -> R) -> R {
        let mut cx = Context {
            tables: &self.compiled.tables,
            worker: WorkerId(0),
            shards: &mut self.shards,
            pool: &mut self.pool,
            counters: &self.counters,
            out: &mut self.out,
        };
        work(&mut cx, &mut self.batch)
    }

    /// Takes everything away, wherever it went.
    pub fn clear(&mut self) {
        for i in Bits(self.batch.live()) {
            let (frame, _) = self.batch.take(i);
            self.pool.put(frame);
        }
        for port in &mut self.out.ports {
            for out in port.drain(..) {
                self.pool.put(out.frame);
            }
        }
        self.out.punts.clear();
        self.out.reports.clear();
        self.batch.finish(&mut self.pool, |reason, _| panic!("dropped: {reason:?}"));
    }
}

/// Where a scenario's frames come from.
pub enum Frames {
    /// The same again and again.
    Same(Vec<Vec<u8>>),
    /// New flows each time, made from the next numbers.
    New(fn(u32) -> Vec<u8>, u32),
}

/// One stage over one batch.
pub struct Staged {
    pub rig: Rig,
    pub frames: Frames,
    pub before: Before,
    pub stage: Stage,
    set: u64,
    good: u64,
}

impl Staged {
    /// `stage` over frames that `before` brought to it.
    pub fn new(rig: Rig, frames: Frames, before: Before, stage: Stage) -> Self {
        Self { rig, frames, before, stage, set: 0, good: 0 }
    }
}

impl Work for Staged {
    fn prepare(&mut self) {
        match &mut self.frames {
            Frames::Same(frames) => self.rig.receive(frames.iter()),
            Frames::New(make, next) => {
                if *next >= MOST_FLOWS {
                    self.rig.forget();
                    *next = 0;
                }
                let frames: Vec<_> = (*next..).take(BATCH).map(*make).collect();
                *next += 64;
                self.rig.receive(frames.iter());
            }
        }
        self.set = self.rig.with(self.before);
        assert_eq!(self.set, u64::MAX, "the stage sees every packet");
    }

    fn run(&mut self) {
        let (stage, set) = (self.stage, self.set);
        self.good = self.rig.with(|cx, batch| stage(cx, batch, set));
    }

    fn settle(&mut self) {
        assert_eq!(self.good, u64::MAX, "the stage lets every packet pass");
        self.rig.clear();
    }
}
