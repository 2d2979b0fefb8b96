//! Frames go round: written, pushed 64 at a time, taken, looked at.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::gate::Gate;
use super::sense::Sense;
use crate::bench::medium::memory::{MemoryTester, OFF};
use crate::bench::traffic::{Frames, Probe, Stream as _};
use crate::frame::{BATCH, HEADROOM, Length, Outgoing, Pool};
use crate::io::clock;
use crate::io::memory::End;
use crate::sync::Counter;
use crate::time::Now;
use crate::wire::vlan::TagStack;
use crate::wire::{eth, ip4, udp};
use crate::worker::Worker;

/// Turns of a stretch.
pub(super) const STRETCH: usize = 32;
/// Turns after the last push that frames may take to come out.
const LATE_TURNS: usize = 64;
/// The trial that these frames belong to.
const TRIAL: u16 = 0xc057;

/// What became of frames and stretches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    /// Frames that were pushed.
    pub(super) pushed: u64,
    /// Frames that came out with their probe and every byte behind it.
    pub(super) whole: u64,
    /// Stretches, and those that were left out.
    pub(super) stretches: u64,
    pub(super) left_out: u64,
    /// Ticks that a reading of the counter takes.
    pub(super) overhead: f64,
}

/// Turns with frames that go round.
pub(super) struct Turns {
    stream: Frames,
    /// Where the payload of what comes out begins.
    payload: usize,
    next: u64,
    /// The numbers of the frames that are sent, in turn; all of them where this is empty.
    pub(super) own: Vec<u64>,
    /// Frames that are free, the oldest first.
    ring: VecDeque<Outgoing>,
    /// Those of this round: written, and come out.
    written: Vec<Outgoing>,
    came: Vec<Outgoing>,
    sense: Sense,
    fate: Fate,
    /// See [`super::Options::handicap`].
    pub(super) handicap: f64,
    /// Stretches that were passed, for whoever waits until the worker has moved on.
    pub(super) passed: Arc<Counter>,
}

/// Where frames go round.
pub(super) struct Place<'a> {
    /// The workers; there is one.
    pub(super) workers: &'a mut [Worker],
    /// Where frames enter.
    pub(super) enter: &'a mut End,
    /// Where they leave.
    pub(super) leave: &'a mut End,
}

/// Ticks and packets of stretches that count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) ticks: f64,
    pub(super) packets: u64,
}

/// What one round took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Over all of its stretches.
    pub(super) all: Sum,
    /// Whether one of them was left out.
    pub(super) is_disturbed: bool,
}

impl Turns {
    /// Turns with this many of the spare frames.
    pub(super) fn new(
        stream: Frames,
        leaves: TagStack,
        spare: &mut [Pool],
        frames: usize,
    ) -> io::Result<Self> {
        let taken = spare.iter_mut().flat_map(|pool| {
            std::iter::from_fn(|| if pool.is_empty() { None } else { pool.take() })
        });
        let empty = |frame| Outgoing::plain(frame, OFF, 0, Now(0));
        let ring: VecDeque<_> = taken.take(frames).map(empty).collect();
        let fate = Fate { overhead: overhead(), ..Fate::default() };
        Ok(Self {
            stream,
            payload: eth::HEADER + leaves.size() + ip4::HEADER + udp::HEADER,
            next: 0,
            own: Vec::new(),
            ring,
            written: Vec::with_capacity(frames),
            came: Vec::with_capacity(frames),
            sense: Sense::new()?,
            fate,
            handicap: 0.0,
            passed: Arc::default(),
        })
    }

    /// Begins with the first frame again.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    /// Sends `packets` through with `frames` going round; returns ticks a packet, over the
    /// stretches that count, or over all where none does.
    pub(super) fn run(
        &mut self,
        tester: &mut MemoryTester,
        lane: usize,
        frames: usize,
        packets: u64,
    ) -> io::Result<f64> {
        let mut hands = tester.hands(lane).expect("the worker is in this thread");
        let workers = &mut hands.workers[..];
        let mut place = Place { workers, enter: hands.enter, leave: hands.leave };
        let (mut counted, mut all) = (Sum::default(), Sum::default());
        let mut left = packets;
        while left > 0 {
            let round = usize::try_from(left).unwrap_or(usize::MAX).min(frames);
            let round = round.min(self.ring.len());
            if round == 0 {
                return Err(nothing_comes_out());
            }
            self.write(round);
            self.pass(&mut place, None, &mut counted, &mut all)?;
            self.look();
            left -= round as u64;
        }
        let sum = if counted.packets > 0 { counted } else { all };
        Ok(sum.ticks / sum.packets.max(1) as f64)
    }

    /// Sends frames through once with up to `frames` of them; beside others, whose rounds begin and
    /// end with this one and whose time counts as long as all have frames.
    pub(super) fn round(
        &mut self,
        place: &mut Place<'_>,
        frames: usize,
        gate: Option<&Gate>,
    ) -> io::Result<Round> {
        let len = frames.min(self.ring.len());
        if len == 0 {
            return Err(nothing_comes_out());
        }
        self.write(len);
        let (mut counted, mut all) = (Sum::default(), Sum::default());
        gate.map_or(Ok(()), Gate::open)?;
        let passed = self.pass(place, gate, &mut counted, &mut all);
        gate.map_or(Ok(()), Gate::close)?;
        passed?;
        self.look();
        Ok(Round { all, is_disturbed: counted.packets < all.packets })
    }

    /// Writes the oldest frames.
    fn write(&mut self, len: usize) {
        for _ in 0..len {
            let mut out = self.ring.pop_front().expect("no more than there are");
            let seq = match self.own.len() as u64 {
                0 => self.next,
                len => self.own[usize::try_from(self.next % len).expect("below a length")],
            };
            let probe = Probe { trial: TRIAL, stream: 0, seq, due_ns: 0 };
            let size = self.stream.write(&probe, &mut out.frame[HEADROOM..]);
            self.next += 1;
            out.off = OFF;
            out.len = Length::of(u32::try_from(size).expect("a frame is short"));
            self.written.push(out);
        }
        self.fate.pushed += len as u64;
    }

    /// Lets all that was written through, stretch by stretch.
    fn pass(
        &mut self,
        place: &mut Place<'_>,
        gate: Option<&Gate>,
        counted: &mut Sum,
        all: &mut Sum,
    ) -> io::Result<()> {
        let len = self.written.len();
        let mut written = self.written.drain(..);
        let mut late = 0;
        while written.len() > 0 || (self.came.len() < len && late < LATE_TURNS) {
            let (mut ticks, mut packets) = (0, 0);
            let before = self.sense.waited()?;
            let (mut turns, mut timed) = (0, 0);
            while turns < STRETCH
                && (written.len() > 0 || (self.came.len() < len && late < LATE_TURNS))
            {
                let mut pushed = 0;
                while pushed < BATCH
                    && let Some(out) = written.next()
                {
                    place.enter.push(out, None).map_err(|_| refused())?;
                    pushed += 1;
                }
                late = if pushed == 0 { late + 1 } else { 0 };
                let begin = clock::ticks();
                for worker in place.workers.iter_mut() {
                    worker.turn(clock::now());
                }
                if self.handicap > 0.0 {
                    spin(begin, self.handicap);
                }
                let passed = clock::ticks().wrapping_sub(begin);
                // Beside others only the time counts in which all have frames.
                if gate.is_none_or(Gate::all_run) {
                    ticks += passed;
                    packets += pushed as u64;
                    timed += 1;
                }
                turns += 1;
                self.came.extend(std::iter::from_fn(|| place.leave.pop()));
                if written.len() == 0
                    && let Some(gate) = gate
                {
                    gate.end();
                }
            }
            let sum = Sum { ticks: ticks as f64 - f64::from(timed) * self.fate.overhead, packets };
            all.add(sum);
            self.passed.add(1);
            self.fate.stretches += 1;
            if self.sense.waited()? == before {
                counted.add(sum);
            } else {
                self.fate.left_out += 1;
            }
        }
        Ok(())
    }

    /// Looks at every frame that came out, and puts it at the end of the ring.
    fn look(&mut self) {
        for out in self.came.drain(..) {
            let payload = out.bytes().get(self.payload..).unwrap_or_default();
            let whole = Probe::read(payload).is_ok_and(|probe| probe.trial == TRIAL);
            self.fate.whole += u64::from(whole);
            self.ring.push_back(out);
        }
    }

    /// What became of frames and stretches until now.
    pub(super) fn fate(&self) -> Fate {
        self.fate
    }

    /// Gives the frames back, without which their memory would never be freed.
    pub(super) fn end(self, spare: &mut [Pool]) -> Fate {
        if let Some(pool) = spare.first_mut() {
            let all = self.ring.into_iter().chain(self.written).chain(self.came);
            all.for_each(|out| pool.put(out.frame));
        }
        self.fate
    }
}

impl Fate {
    /// Adds what became of another worker's; the overhead is the larger one.
    pub(super) fn add(&mut self, other: &Fate) {
        self.pushed += other.pushed;
        self.whole += other.whole;
        self.stretches += other.stretches;
        self.left_out += other.left_out;
        self.overhead = self.overhead.max(other.overhead);
    }
}

impl Sum {
    pub(super) fn add(&mut self, other: Sum) {
        self.ticks += other.ticks;
        self.packets += other.packets;
    }
}

/// Passes this share of the ticks since `begin`.
fn spin(begin: u64, share: f64) {
    let turn = clock::ticks().wrapping_sub(begin);
    while (clock::ticks().wrapping_sub(begin) as f64) < turn as f64 * (1.0 + share) {
        std::hint::spin_loop();
    }
}

fn nothing_comes_out() -> io::Error {
    io::Error::other("no frame comes out of the forwarder")
}

fn refused() -> io::Error {
    io::Error::other("a memory port does not take 64 frames")
}

/// Ticks between two readings of the counter with nothing between them: the median of many.
fn overhead() -> f64 {
    let mut all: Vec<u64> = (0..1001)
        .map(|_| {
            let begin = clock::ticks();
            clock::ticks().wrapping_sub(begin)
        })
        .collect();
    all.sort_unstable();
    all[500] as f64
}
