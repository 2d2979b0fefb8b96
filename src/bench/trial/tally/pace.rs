//! How evenly did frames leave? The most in any one millisecond.

/// A millisecond in nanoseconds.
const MILLISECOND: u64 = 1_000_000;

/// Frames a millisecond, by the time that they left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    present: u64,
    frames: u64,
    most: u64,
    last_ns: u64,
}

impl Pace {
    /// The most frames that left within one millisecond, counted from the run's begin.
    pub const fn most_per_millisecond(&self) -> u64 {
        self.most
    }

    /// When the last frame left.
    pub const fn last_ns(&self) -> u64 {
        self.last_ns
    }

    #[inline]
    pub(super) fn left(&mut self, at_ns: u64) {
        let present = at_ns / MILLISECOND;
        if present != self.present {
            self.finish();
            self.present = present;
            self.frames = 0;
        }
        self.frames += 1;
        self.last_ns = at_ns;
    }

    pub(super) fn finish(&mut self) {
        self.most = self.most.max(self.frames);
    }
}
