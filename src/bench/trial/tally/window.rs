//! Which frames of a stream have arrived? One bit a frame, in a window over the newest numbers.
//!
//! A number that leaves the window is settled: it arrived or it is lost, and the [`Losses`] are
//! told, in order. Until then a frame may come as late as it likes and only ever counts as
//! reordered. The window is as wide as the run where memory allows it (see [`WIDEST`]), so that it
//! moves in the longest and fastest runs alone.

use super::gaps::Losses;

/// The widest window, in frames: 32 MiB of bits, 13 seconds at 20 million frames a second.
pub const WIDEST: u64 = 1 << 28;
/// The narrowest, in frames.
const NARROWEST: u64 = 1 << 12;

/// How a frame's number compares with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Beyond all others; `skipped` numbers between were not seen yet.
    Next {
        /// Numbers between this one and the newest before it.
        skipped: u64,
    },
    /// Not seen before, and older than the newest by so many.
    Late {
        /// How far behind the newest.
        extent: u64,
    },
    /// Seen before.
    Again,
    /// So old that the window has passed it: whether it was seen is not known any more.
    Stale,
}

/// The window.
#[derive(Debug)]
pub struct Window {
    /// A ring of words; the one of number n is `n / 64 & mask`.
    bits: Vec<u64>,
    mask: u64,
    /// Numbers under this are settled; a multiple of 64.
    settled: u64,
    /// One more than the newest number seen.
    next: u64,
}

impl Window {
    /// A window for a run of about `frames` frames.
    pub fn new(frames: u64) -> Self {
        let width = frames.clamp(NARROWEST, WIDEST).next_power_of_two();
        let words = width / 64;
        // Written, so that the kernel hands out the memory now and not in the middle of a trial.
        let len = usize::try_from(words).expect("at most 2^22 words");
        let mut bits = vec![u64::MAX; len];
        bits.fill(0);
        Self { bits, mask: words - 1, settled: 0, next: 0 }
    }

    /// Marks frame `seq` as arrived and says how it compares with the others.
    #[inline]
    pub fn mark(&mut self, seq: u64, losses: &mut Losses) -> Place {
        if seq >= self.next {
            let skipped = seq - self.next;
            self.next = seq + 1;
            self.reach(seq, losses);
            self.set(seq);
            return Place::Next { skipped };
        }
        if seq < self.settled {
            return Place::Stale;
        }
        if self.is_set(seq) {
            return Place::Again;
        }
        self.set(seq);
        Place::Late { extent: self.next - 1 - seq }
    }

    /// Settles all numbers under `sent`.
    pub fn finish(&mut self, sent: u64, losses: &mut Losses) {
        while self.settled + 64 <= sent {
            self.settle(losses);
        }
        let rest = sent - self.settled.min(sent);
        if rest > 0 {
            // What was never sent counts as arrived here: it is not lost.
            let unsent = u64::MAX << rest;
            let at = self.place(self.settled);
            self.bits[at] |= unsent;
            self.settle(losses);
        }
        losses.close(sent);
    }

    /// Moves the window until `seq` is inside.
    #[inline]
    fn reach(&mut self, seq: u64, losses: &mut Losses) {
        while seq - self.settled >= (self.mask + 1) * 64 {
            self.settle(losses);
        }
    }

    /// Settles the oldest word.
    fn settle(&mut self, losses: &mut Losses) {
        let at = self.place(self.settled);
        losses.word(self.settled, self.bits[at]);
        self.bits[at] = 0;
        self.settled += 64;
    }

    #[inline(always)]
    fn place(&self, seq: u64) -> usize {
        usize::try_from((seq / 64) & self.mask).expect("masked to the length of a vector")
    }

    #[inline(always)]
    fn is_set(&self, seq: u64) -> bool {
        self.bits[self.place(seq)] >> (seq % 64) & 1 == 1
    }

    #[inline(always)]
    fn set(&mut self, seq: u64) {
        let at = self.place(seq);
        self.bits[at] |= 1 << (seq % 64);
    }
}
