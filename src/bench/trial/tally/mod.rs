//! What became of each frame of a stream? Counts that are exact, times since it was due and since
//! it left, and the losses in order.
//!
//! ```text
//!  generator: left ──> departures ──┐
//!  sink:      take ──> check ──> window ──> counts, latency, timeline
//!                                   └──> gaps (when nothing can arrive any more)
//! ```
//!
//! Memory is allotted before a run and bounded whatever its length. A corrupt frame counts as
//! corrupt alone: the frame that was sent is lost. Times are nanoseconds from the run's begin.

pub mod check;
pub mod gaps;
mod pace;
pub mod spread;
pub mod timeline;
pub mod window;

use hdrhistogram::Histogram;

use crate::bench::traffic::Probe;

pub use check::{Check, Sight};
pub use gaps::{Losses, Run};
pub use pace::Pace;
pub use timeline::{Slice, Timeline};
use window::{Place, Window};

/// Frames by what the sink saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Everything that arrived, of the ramp too.
    pub arrived: u64,
    /// Whole frames behind the ramp, each counted once.
    pub unique: u64,
    /// Whole frames of the ramp, each counted once.
    pub ramp: u64,
    /// Behind the ramp, arrived once more.
    pub duplicates: u64,
    /// Behind the ramp, arrived after a later frame of the stream.
    pub reordered: u64,
    /// Broken ones.
    pub corrupt: u64,
    /// Not of this run, or of another lane.
    pub foreign: u64,
    /// So late that it is not known any more whether they had arrived before.
    pub stale: u64,
    /// How far behind the newest frame the latest one was, in frames.
    pub extent: u64,
}

/// The longest time without a new frame, by the numbers that were skipped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Numbers that were skipped; some may have come later.
    pub skipped: u64,
    /// When the last frame before it arrived.
    pub from_ns: u64,
    /// When the first one after it arrived.
    pub to_ns: u64,
}

/// What a tally is kept of.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// The trial's number.
    pub trial: u16,
    /// The stream's.
    pub stream: u16,
    /// How closely to look at frames.
    pub check: Check,
    /// Frames of the ramp, which are not counted.
    pub ramp: u64,
    /// Frames that are expected, of the ramp too.
    pub frames: u64,
    /// Flows whose gaps are kept apart; 1 for none.
    pub flows: u64,
}

/// The tally of one stream.
#[derive(Debug)]
pub struct Tally {
    kept: Kept,
    sent: u64,
    window: Window,
    departures: Departures,
    /// The newest frame's arrival.
    newest_ns: Option<u64>,
    /// See [`Counts`].
    pub counts: Counts,
    /// Losses, complete after [`Tally::finish`].
    pub losses: Losses,
    /// From due time to arrival.
    pub intended: Histogram<u64>,
    /// From departure to arrival.
    pub actual: Histogram<u64>,
    /// From due time to departure.
    pub lateness: Histogram<u64>,
    /// How evenly frames left.
    pub pace: Pace,
    /// By time.
    pub timeline: Timeline,
    /// The longest silence.
    pub silence: Option<Silence>,
}

impl Tally {
    /// An empty one.
    pub fn new(kept: Kept, timeline: Timeline) -> Self {
        Self {
            kept,
            sent: 0,
            window: Window::new(kept.frames),
            departures: Departures::new(kept.frames),
            newest_ns: None,
            counts: Counts::default(),
            losses: Losses::new(kept.ramp, kept.flows),
            intended: spread::times(),
            actual: spread::times(),
            lateness: spread::times(),
            pace: Pace::default(),
            timeline,
            silence: None,
        }
    }

    /// The trial's number, and the stream's.
    pub const fn ids(&self) -> (u16, u16) {
        (self.kept.trial, self.kept.stream)
    }

    /// Frames that left, of the ramp too.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Frames that left behind the ramp.
    pub const fn offered(&self) -> u64 {
        self.sent.saturating_sub(self.kept.ramp)
    }

    /// Whether every frame that left has arrived.
    pub const fn is_complete(&self) -> bool {
        self.counts.unique + self.counts.ramp >= self.sent
    }

    /// The next frame left, due at `due_ns` and gone at `at_ns`.
    #[inline]
    pub fn left(&mut self, due_ns: u64, at_ns: u64) {
        let late = at_ns.saturating_sub(due_ns);
        self.departures.put(self.sent, late);
        if self.sent >= self.kept.ramp {
            self.lateness.saturating_record(late);
            self.timeline.sent(due_ns);
        }
        self.pace.left(at_ns);
        self.sent += 1;
    }

    /// A frame arrived. Returns its probe when it is a whole frame of this run.
    #[inline]
    pub fn take(&mut self, frame: &[u8], rx_ns: u64) -> Option<Probe> {
        self.counts.arrived += 1;
        let (trial, stream) = (self.kept.trial, self.kept.stream);
        let is_ours = |probe: &Probe| (probe.trial, probe.stream) == (trial, stream);
        match check::look(frame, self.kept.check, is_ours) {
            Sight::Whole(probe) if is_ours(&probe) && probe.seq < self.sent => {
                self.place(&probe, rx_ns);
                Some(probe)
            }
            Sight::Corrupt => {
                self.counts.corrupt += 1;
                None
            }
            Sight::Whole(_) | Sight::Foreign => {
                self.counts.foreign += 1;
                None
            }
        }
    }

    /// Nothing can arrive any more: settles the losses.
    pub fn finish(&mut self) {
        self.window.finish(self.sent, &mut self.losses);
        self.pace.finish();
    }

    #[inline]
    fn place(&mut self, probe: &Probe, rx_ns: u64) {
        let counted = probe.seq >= self.kept.ramp;
        match self.window.mark(probe.seq, &mut self.losses) {
            Place::Next { skipped } => {
                if skipped > self.silence.map_or(0, |silence| silence.skipped) && counted {
                    let from_ns = self.newest_ns.unwrap_or(0);
                    self.silence = Some(Silence { skipped, from_ns, to_ns: rx_ns });
                }
                self.newest_ns = Some(rx_ns);
            }
            Place::Late { extent } => {
                self.counts.reordered += u64::from(counted);
                self.counts.extent = self.counts.extent.max(extent);
            }
            Place::Again => {
                self.counts.duplicates += u64::from(counted);
                return;
            }
            Place::Stale => {
                self.counts.stale += 1;
                return;
            }
        }
        if !counted {
            self.counts.ramp += 1;
            return;
        }
        self.counts.unique += 1;
        let latency = rx_ns.saturating_sub(probe.due_ns);
        self.intended.saturating_record(latency);
        if let Some(late) = self.departures.of(probe.seq, self.sent) {
            self.actual.saturating_record(latency.saturating_sub(late));
        }
        self.timeline.received(probe.due_ns, rx_ns);
    }
}

/// How late the newest frames left, by number.
#[derive(Debug)]
struct Departures {
    late_ns: Vec<u32>,
    mask: u64,
}

impl Departures {
    /// The most frames that are remembered: 4 MiB, more than any forwarder queues.
    const MOST: u64 = 1 << 20;

    fn new(frames: u64) -> Self {
        let len = frames.clamp(64, Self::MOST).next_power_of_two();
        let mut late_ns = vec![1; usize::try_from(len).expect("at most 2^20")];
        late_ns.fill(0);
        Self { late_ns, mask: len - 1 }
    }

    #[inline]
    fn put(&mut self, seq: u64, late_ns: u64) {
        let at = self.place(seq);
        self.late_ns[at] = u32::try_from(late_ns).unwrap_or(u32::MAX);
    }

    /// How late frame `seq` left, of `sent` ones; `None` when that is forgotten, or was longer
    /// than four seconds.
    #[inline]
    fn of(&self, seq: u64, sent: u64) -> Option<u64> {
        let late = self.late_ns[self.place(seq)];
        (sent - seq <= self.mask + 1 && late < u32::MAX).then_some(u64::from(late))
    }

    #[inline(always)]
    fn place(&self, seq: u64) -> usize {
        usize::try_from(seq & self.mask).expect("masked to the length of a vector")
    }
}

#[cfg(test)]
mod tests;
