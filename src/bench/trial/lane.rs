//! One lane of a running trial: what is due next, and what became of what was sent.

use std::io;

use super::schedule::Schedule;
use super::tally::{Kept, Tally, Timeline};
use super::{Clock, Watch};
use crate::bench::medium::{BURST, Tester};
use crate::bench::traffic::{Probe, Stream};

/// How long after the planned end frames may still leave, in nanoseconds: what was due just
/// before the end needs a moment.
pub(super) const GRACE_NS: u64 = 10_000;

/// Most bursts that the sink takes in one turn, so that a full medium does not keep the generator
/// waiting.
const MOST_BURSTS: usize = 4;

/// The next due times of a schedule.
#[derive(Debug)]
struct Dues {
    schedule: Schedule,
    ring: [u64; BURST],
    head: usize,
    len: usize,
}

impl Dues {
    const fn new(schedule: Schedule) -> Self {
        Self { schedule, ring: [0; BURST], head: 0, len: 0 }
    }

    /// How many frames are due at `now_ns`, as far as one burst goes.
    #[inline]
    fn ready(&mut self, now_ns: u64) -> usize {
        while self.len < BURST {
            let Some(due) = self.schedule.next() else { break };
            self.ring[(self.head + self.len) % BURST] = due;
            self.len += 1;
        }
        let due = |i: &usize| self.ring[(self.head + i) % BURST] <= now_ns;
        (0..self.len).take_while(due).count()
    }

    #[inline]
    fn pop(&mut self) -> u64 {
        debug_assert!(self.len > 0, "no more frames are taken than are ready");
        let due = self.ring[self.head];
        self.head = (self.head + 1) % BURST;
        self.len -= 1;
        due
    }

    /// Frames that were not taken.
    fn remaining(&self) -> u64 {
        self.schedule.remaining() + self.len as u64
    }
}

/// One lane.
#[derive(Debug)]
pub(super) struct Lane<'a, S> {
    pub(super) index: usize,
    stream: &'a mut S,
    dues: Dues,
    end_ns: u64,
    /// Most frames of one go.
    burst: usize,
    /// Nothing more is sent.
    pub(super) is_done: bool,
    pub(super) tally: Tally,
    ramp_frames: u64,
}

impl<'a, S: Stream> Lane<'a, S> {
    pub(super) fn new(
        index: usize,
        stream: &'a mut S,
        schedule: Schedule,
        burst: usize,
        kept: Kept,
        timeline: Timeline,
    ) -> Self {
        let end_ns = schedule.end_ns();
        Self {
            index,
            stream,
            dues: Dues::new(schedule),
            end_ns,
            burst: burst.clamp(1, BURST),
            is_done: false,
            tally: Tally::new(kept, timeline),
            ramp_frames: kept.ramp,
        }
    }

    /// Sends what is due, a burst at most.
    #[inline]
    pub(super) fn send<T: Tester>(
        &mut self,
        tester: &mut T,
        clock: &impl Clock,
        begin: u64,
    ) -> io::Result<()> {
        let now_ns = clock.now() - begin;
        let ready = self.dues.ready(now_ns);
        if now_ns > self.end_ns + GRACE_NS || self.dues.len == 0 {
            self.is_done = true;
            return Ok(());
        }
        if ready == 0 {
            return Ok(());
        }
        let (trial, stream_id) = self.tally.ids();
        let Self { index, stream, dues, tally, burst, .. } = self;
        tester.send(*index, ready.min(*burst), |buf| {
            let due_ns = dues.pop();
            let probe = Probe { trial, stream: stream_id, seq: tally.sent(), due_ns };
            tally.left(due_ns, now_ns);
            stream.write(&probe, buf)
        })?;
        Ok(())
    }

    /// Takes what has arrived, some bursts at most; returns how many frames.
    #[inline]
    pub(super) fn receive<T: Tester, W: Watch>(
        &mut self,
        tester: &mut T,
        clock: &impl Clock,
        begin: u64,
        watch: &mut W,
    ) -> io::Result<usize> {
        let mut all = 0;
        for _ in 0..MOST_BURSTS {
            // One reading for a burst, when its first frame is there.
            let mut rx_ns = None;
            let Self { index, tally, .. } = self;
            let len = tester.receive(*index, |frame| {
                let rx_ns = *rx_ns.get_or_insert_with(|| clock.now() - begin);
                if let Some(probe) = tally.take(frame, rx_ns) {
                    watch.frame(*index, frame, &probe);
                }
            })?;
            all += len;
            if len < BURST {
                break;
            }
        }
        Ok(all)
    }

    /// Frames that were due and not sent.
    pub(super) fn unsent(&self) -> u64 {
        // Ramp frames that were not sent belong to no figure.
        let of_ramp = self.ramp_frames.saturating_sub(self.tally.sent());
        self.dues.remaining().saturating_sub(of_ramp)
    }

    /// The lane's schedule from its begin.
    pub(super) fn schedule(&self) -> Schedule {
        self.dues.schedule.rewound()
    }

    /// Flows that the stream cycles through.
    pub(super) fn flows(&self) -> u64 {
        self.stream.flows()
    }
}
