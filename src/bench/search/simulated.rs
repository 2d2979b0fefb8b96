//! A forwarder that exists only as arithmetic: of known capacity, on a host that is more or less
//! quiet. Tests of the search need one, and so does a self-test of the bench.
//!
//! Frames flow evenly into a buffer that a server empties at the capacity. Now and then the server
//! stalls: stalls come at random (exponential gaps), how long they are is log-normal. What does not
//! fit into the buffer is lost; what is in it at the end still comes through. The same seed gives
//! the same trials.

use super::trial::{Ask, Measured};
use crate::fib::synth::Numbers;

/// How much else happens on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Many short stalls; one in minutes fills 4,096 frames at 1.5 M frames/s.
    Quiet,
    /// A small virtual machine: a stall each second, 0.3 a second fill as many.
    Virtual,
    /// The same with ten times as many.
    Noisy,
}

impl Noise {
    /// Stalls a second, and the median of their lengths in seconds.
    const fn stalls(self) -> (f64, f64) {
        match self {
            Self::Quiet => (10.0, 100e-6),
            Self::Virtual => (1.0, 1_660e-6),
            Self::Noisy => (10.0, 1_660e-6),
        }
    }
}

/// The standard deviation of the logarithm of a stall's length. At 1 a stall of 2.7 ms (the buffer
/// at capacity) is 20 times as frequent as one of 14 ms, which is what small machines show.
const SPREAD: f64 = 1.0;

/// A simulated forwarder and its host.
#[derive(Clone, Debug)]
pub struct Forwarder {
    /// Frames a second.
    capacity: f64,
    /// Frames.
    buffer: f64,
    noise: Noise,
    numbers: Numbers,
}

impl Forwarder {
    /// Of a capacity in frames a second and a buffer of so many frames.
    pub fn new(capacity: f64, buffer: u32, noise: Noise, seed: u64) -> Self {
        Self { capacity, buffer: f64::from(buffer), noise, numbers: Numbers::new(seed) }
    }

    /// Runs a trial. It takes exactly as long as was asked.
    pub fn measure(&mut self, ask: &Ask) -> Measured {
        let seconds = ask.duration.as_secs_f64();
        let offered = whole(ask.load * seconds);
        let lost = whole(self.lost(ask.load, seconds)).min(offered);
        Measured { intended: offered, offered, received: offered - lost, duration: ask.duration }
    }

    /// Frames that do not fit into the buffer.
    fn lost(&mut self, load: f64, seconds: f64) -> f64 {
        let (per_second, median) = self.noise.stalls();
        let (mut now, mut queued, mut lost) = (0.0, 0.0, 0.0);
        let mut flow = |now: &mut f64, length: f64, growth: f64| {
            let length = length.min(seconds - *now);
            *now += length;
            let level: f64 = queued + growth * length;
            lost += (level - self.buffer).max(0.0);
            queued = level.clamp(0.0, self.buffer);
        };
        while now < seconds {
            let until_stall = -uniform(&mut self.numbers).ln() / per_second;
            flow(&mut now, until_stall, load - self.capacity);
            let stall = median * (SPREAD * normal(&mut self.numbers)).exp();
            flow(&mut now, stall, load);
        }
        lost
    }
}

/// Evenly between 0 and 1, never 0.
fn uniform(numbers: &mut Numbers) -> f64 {
    /// One part of the 53 bits that a float holds exactly.
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    ((numbers.next_u64() >> 11) + 1) as f64 * STEP
}

/// Of the standard normal distribution (Box and Muller 1958).
fn normal(numbers: &mut Numbers) -> f64 {
    let radius = (-2.0 * uniform(numbers).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(numbers)).cos()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "frames of a trial: not negative, far below 2^53, and a cast saturates"
)]
pub(super) fn whole(frames: f64) -> u64 {
    frames as u64
}
