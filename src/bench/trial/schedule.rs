//! When is each frame due? At a time that follows from its number alone, however late the frames
//! before it were.
//!
//! Due times are whole nanoseconds from the run's begin, computed with 64 fractional bits, so
//! that they do not drift: frame k of a constant step is due at `begin + k / rate`. A schedule is
//! a row of steps, each with its rate; its shape says how frames are spread within a step.

use crate::time::Span;

/// How frames are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Evenly.
    Constant,
    /// As a Poisson process: independent exponential gaps, from a seed.
    Poisson(u64),
    /// In groups of so many at once, the groups evenly.
    Bursts(u32),
}

/// One rate for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    rate: f64,
    length_ns: u64,
    /// Frames to send, where not the length decides.
    frames: Option<u64>,
}

/// Nanoseconds between frames, with 64 fractional bits.
type Interval = u128;

/// The lowest rate, in frames a second; the highest is [`HIGHEST_RATE`].
pub const LOWEST_RATE: f64 = 1e-3;
/// The highest rate, in frames a second: more than any schedule can be kept up with.
pub const HIGHEST_RATE: f64 = 1e9;

impl Step {
    /// `rate` frames a second for some time.
    ///
    /// # Panics
    /// When the rate is not between [`LOWEST_RATE`] and [`HIGHEST_RATE`].
    pub fn lasting(rate: f64, time: Span) -> Self {
        assert!((LOWEST_RATE..=HIGHEST_RATE).contains(&rate), "a rate of {rate} frames/s");
        Self { rate, length_ns: time.0, frames: None }
    }

    /// So many frames at `rate` frames a second, and not one more; the last burst may be cut. A
    /// Poisson process takes the length alone from this.
    ///
    /// # Panics
    /// When the rate is not between [`LOWEST_RATE`] and [`HIGHEST_RATE`].
    pub fn counting(frames: u64, rate: f64) -> Self {
        let step = Self::lasting(rate, Span::ZERO);
        let length = u128::from(frames).saturating_mul(step.interval());
        Self { length_ns: whole(length), frames: Some(frames), ..step }
    }

    /// Frames a second.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// How long it lasts.
    pub const fn length(&self) -> Span {
        Span(self.length_ns)
    }

    fn interval(&self) -> Interval {
        // 10^9 nanoseconds with 96 fractional bits, over a rate with 32, leave 64.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let rate = (self.rate * 2_f64.powi(32)).round() as u64;
        (1_000_000_000_u128 << 96) / u128::from(rate)
    }

    /// How many frames are due within the step; in the mean, for Poisson.
    fn len(&self, shape: Shape) -> u64 {
        let length = u128::from(self.length_ns) << 64;
        let within = |interval: Interval| length.saturating_sub(ROUNDING).div_ceil(interval);
        let interval = self.interval();
        match (shape, self.frames) {
            (Shape::Poisson(_), _) => narrow(length / interval),
            (_, Some(frames)) => frames,
            (Shape::Constant, None) => narrow(within(interval)),
            (Shape::Bursts(size), None) => {
                let size = u128::from(size.max(1));
                narrow(within(interval.saturating_mul(size)).saturating_mul(size))
            }
        }
    }
}

/// Due times, one after the other.
#[derive(Clone, Debug)]
pub struct Schedule {
    shape: Shape,
    steps: Vec<Step>,
    /// Where in the steps: which, when it began, frames of it so far, and time passed in it.
    step: usize,
    begin_ns: u64,
    index: u64,
    passed: u128,
    /// Of the present step.
    interval: Interval,
    len: u64,
    random: SplitMix64,
    /// Frames of all steps so far.
    seq: u64,
}

impl Schedule {
    /// A schedule from its begin.
    pub fn new(shape: Shape, steps: &[Step]) -> Self {
        let seed = if let Shape::Poisson(seed) = shape { seed } else { 0 };
        let mut schedule = Self {
            shape,
            steps: steps.to_vec(),
            step: 0,
            begin_ns: 0,
            index: 0,
            passed: 0,
            interval: 0,
            len: 0,
            random: SplitMix64(seed),
            seq: 0,
        };
        schedule.enter();
        schedule
    }

    /// The same schedule from its begin.
    pub fn rewound(&self) -> Self {
        Self::new(self.shape, &self.steps)
    }

    /// The number of the frame that [`Iterator::next`] would give.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// When the last step ends, in nanoseconds from the begin.
    pub fn end_ns(&self) -> u64 {
        self.steps.iter().map(|step| step.length_ns).sum()
    }

    /// How many frames are due from here to the end; of a Poisson process, how many are expected.
    pub fn remaining(&self) -> u64 {
        if self.step >= self.steps.len() {
            return 0;
        }
        let later = self.steps[self.step + 1..].iter().map(|step| step.len(self.shape));
        self.here() + later.sum::<u64>()
    }

    /// Frames that are left of this step.
    fn here(&self) -> u64 {
        if let Shape::Poisson(_) = self.shape {
            let length = u128::from(self.steps[self.step].length_ns) << 64;
            return narrow(length.saturating_sub(self.passed) / self.interval);
        }
        self.len - self.index
    }

    /// When frame `seq` is due; the end for one behind the last. Never goes back: `seq` must not
    /// be less than [`Schedule::seq`].
    pub fn due(&mut self, seq: u64) -> u64 {
        if !matches!(self.shape, Shape::Poisson(_)) {
            while self.step < self.steps.len() && seq - self.seq >= self.len - self.index {
                self.seq += self.len - self.index;
                self.leave();
            }
            if self.step < self.steps.len() {
                self.index += seq - self.seq;
                self.passed = u128::from(self.index).saturating_mul(self.interval);
                self.seq = seq;
            }
        }
        while self.seq < seq && self.next().is_some() {}
        self.clone().next().unwrap_or_else(|| self.end_ns())
    }

    fn enter(&mut self) {
        (self.index, self.passed) = (0, 0);
        if let Some(step) = self.steps.get(self.step) {
            self.interval = step.interval();
            self.len = step.len(self.shape);
        }
    }

    fn leave(&mut self) {
        self.begin_ns += self.steps[self.step].length_ns;
        self.step += 1;
        self.enter();
    }

    /// The next frame's time since its step's begin; `None` when the step has no more.
    fn next_in_step(&mut self, step: Step) -> Option<u64> {
        let passed = match self.shape {
            Shape::Constant | Shape::Bursts(_) if self.index == self.len => return None,
            Shape::Constant => {
                let due = self.passed;
                self.passed += self.interval;
                due
            }
            Shape::Bursts(size) => {
                let group = self.index - self.index % u64::from(size.max(1));
                u128::from(group).saturating_mul(self.interval)
            }
            Shape::Poisson(_) => {
                let gap = self.random.exponential();
                // 32 of the interval's fractional bits are enough beside a random factor.
                self.passed += (self.interval >> 32) * gap;
                self.passed
            }
        };
        let due = whole(passed);
        if matches!(self.shape, Shape::Poisson(_)) && due >= step.length_ns {
            return None;
        }
        self.index += 1;
        Some(due)
    }
}

impl Iterator for Schedule {
    type Item = u64;

    /// When the next frame is due, in nanoseconds from the begin.
    #[inline]
    fn next(&mut self) -> Option<u64> {
        while let Some(step) = self.steps.get(self.step).copied() {
            if let Some(due) = self.next_in_step(step) {
                self.seq += 1;
                return Some(self.begin_ns + due);
            }
            self.leave();
        }
        None
    }
}

/// What is added before a fraction is cut off: an interval is too short by up to 2^-64 ns, and
/// 2^36 of them must not miss the whole number that they make.
const ROUNDING: u128 = 1 << 36;

/// The whole part of a number with 64 fractional bits.
#[inline(always)]
fn whole(fixed: u128) -> u64 {
    narrow(fixed.saturating_add(ROUNDING) >> 64)
}

#[inline(always)]
fn narrow(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// Steele, Lea and Flood's generator (OOPSLA 2014): any seed will do, and the same one gives the
/// same numbers everywhere.
#[derive(Clone, Copy, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// An exponential variate of mean 1, with 32 fractional bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 37 * 2^32"
    )]
    fn exponential(&mut self) -> u128 {
        let uniform = ((self.next() >> 11) + 1) as f64 * 2_f64.powi(-53);
        (-uniform.ln() * 2_f64.powi(32)) as u128
    }
}

#[cfg(test)]
mod tests;
