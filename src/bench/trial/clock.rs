//! What time is it in a trial? Nanoseconds of a [`Clock`]: the real one on the time stamp counter
//! or the monotonic clock, or one that a test moves by hand.
//!
//! The counter is used only where the processor says that it runs at a constant rate in all sleep
//! states, and only after two halves of a calibration agreed; [`Clock::verify`] holds it against
//! the hardware's monotonic clock again. Times of different clocks must not be mixed.

use std::cell::Cell;
use std::rc::Rc;

use thiserror::Error;

use crate::io::clock;

/// How far the counter may be from the monotonic clock, in parts per million.
pub const TOLERANCE_PPM: f64 = 50.0;

/// A clock for a trial's loop.
pub trait Clock {
    /// Nanoseconds since the clock's start; never runs backwards.
    fn now(&self) -> u64;

    /// A turn of the loop is over: time may pass, on clocks where it does not by itself.
    fn turn(&self);

    /// Whether it shows real time, so that what the scheduler did has to do with it.
    fn is_real(&self) -> bool;

    /// Whether the clock may be trusted still.
    ///
    /// # Errors
    /// When it ran away from the clock that it was calibrated against.
    fn verify(&self) -> Result<(), ClockDrift>;
}

/// The clock is not what it was calibrated to be.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error(
    "the time stamp counter runs {ppm:.0} ppm away from the monotonic clock, more than \
     {TOLERANCE_PPM} ppm: the machine was moved or suspended; measure again"
)]
pub struct ClockDrift {
    /// Parts per million, without sign.
    pub ppm: f64,
}

/// Real time.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    counter: Option<Counter>,
}

impl RealClock {
    /// A clock on the time stamp counter, calibrated for 100 ms, where the counter is fit for it;
    /// else on the monotonic clock.
    pub fn calibrate() -> Self {
        let fit = std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| runs_constantly(&text));
        Self { counter: fit.then(Counter::calibrate).flatten() }
    }

    /// Ticks of the time stamp counter in a second; `None` on the monotonic clock.
    pub fn hertz(&self) -> Option<f64> {
        self.counter.map(|counter| counter.hertz)
    }

    /// The clock's name: `tsc` or `monotonic`.
    pub const fn source(&self) -> &'static str {
        if self.counter.is_some() { "tsc" } else { "monotonic" }
    }
}

impl Clock for RealClock {
    #[inline(always)]
    fn now(&self) -> u64 {
        match &self.counter {
            Some(counter) => counter.now(),
            None => clock::now().0,
        }
    }

    #[inline(always)]
    fn turn(&self) {}

    fn is_real(&self) -> bool {
        true
    }

    fn verify(&self) -> Result<(), ClockDrift> {
        let Some(counter) = &self.counter else { return Ok(()) };
        let ppm = counter.begin.drift_ppm(&Pair::take(), counter.hertz);
        if ppm > TOLERANCE_PPM { Err(ClockDrift { ppm }) } else { Ok(()) }
    }
}

/// Whether the processor's flags promise a counter that never changes its pace.
fn runs_constantly(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag| flags.split_whitespace().any(|word| word == flag);
    has("constant_tsc") && has("nonstop_tsc")
}

/// A calibrated time stamp counter.
#[derive(Clone, Copy, Debug)]
struct Counter {
    begin: Pair,
    hertz: f64,
    /// Nanoseconds a tick, with 32 fractional bits.
    scale: u64,
}

impl Counter {
    /// Half of the calibration, in nanoseconds.
    const HALF: u64 = 50_000_000;

    /// Measures the counter's rate; `None` when two measurements in a row differ too much.
    fn calibrate() -> Option<Self> {
        let begin = Pair::take();
        let middle = begin.wait(Self::HALF);
        let end = middle.wait(Self::HALF);
        let hertz = begin.hertz(&end);
        if begin.drift_ppm(&middle, hertz) > TOLERANCE_PPM {
            return None;
        }
        let scale = 1e9 / hertz * 2_f64.powi(32);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let scale = (scale >= 1.0 && scale < 2_f64.powi(62)).then_some(scale.round() as u64)?;
        Some(Self { begin, hertz, scale })
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "64 bits of nanoseconds are 584 years")]
    fn now(&self) -> u64 {
        let ticks = clock::ticks().saturating_sub(self.begin.ticks);
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Pair {
    ticks: u64,
    raw_ns: u64,
}

impl Pair {
    /// The reading out of some that was disturbed least: the one with the least time between two
    /// readings of the monotonic clock around it.
    fn take() -> Self {
        let read = || {
            let before = clock::raw().0;
            let ticks = clock::ticks();
            let width = clock::raw().0 - before;
            (width, Self { ticks, raw_ns: before + width / 2 })
        };
        (0..32).map(|_| read()).min_by_key(|(width, _)| *width).expect("32 readings").1
    }

    /// A reading at least so many nanoseconds later.
    fn wait(&self, nanos: u64) -> Self {
        while clock::raw().0 - self.raw_ns < nanos {
            std::hint::spin_loop();
        }
        Self::take()
    }

    fn hertz(&self, later: &Self) -> f64 {
        let nanos = later.raw_ns.saturating_sub(self.raw_ns).max(1);
        later.ticks.saturating_sub(self.ticks) as f64 * 1e9 / nanos as f64
    }

    /// How far the counter's pace since this reading is from `hertz`.
    fn drift_ppm(&self, later: &Self, hertz: f64) -> f64 {
        (self.hertz(later) / hertz - 1.0).abs() * 1e6
    }
}

/// A clock that moves only by its own step at each turn, and when it is told to; clones show the
/// same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Rc<Cell<u64>>,
    step_ns: u64,
}

impl ManualClock {
    /// A clock at 0 that moves by `step_ns` each turn.
    pub fn new(step_ns: u64) -> Self {
        Self { now: Rc::default(), step_ns }
    }

    /// Moves it forward.
    pub fn advance(&self, nanos: u64) {
        self.now.set(self.now.get() + nanos);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn turn(&self) {
        self.advance(self.step_ns);
    }

    fn is_real(&self) -> bool {
        false
    }

    fn verify(&self) -> Result<(), ClockDrift> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_keeps_the_monotonic_clocks_pace() {
        let real = RealClock::calibrate();
        let (ours, raw) = (real.now(), clock::raw().0);
        let later = Pair { ticks: 0, raw_ns: raw }.wait(20_000_000).raw_ns;
        let passed = real.now() - ours;
        // Other work may delay the last reading, never bring it forward.
        assert!(passed as f64 >= (later - raw) as f64 * 0.999, "{passed} of {}", later - raw);
        assert_eq!(real.verify(), Ok(()));
        let times: Vec<u64> = (0..1000).map(|_| real.now()).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn a_counter_that_ran_away_is_refused() {
        let counter = Counter::calibrate().expect("two halves of 50 ms agree");
        let wrong = Counter { hertz: counter.hertz * 1.0001, ..counter };
        let drift = RealClock { counter: Some(wrong) }.verify().unwrap_err();
        assert!((drift.ppm - 100.0).abs() < 5.0, "{drift}");
    }

    #[test]
    fn only_a_counter_that_never_changes_its_pace_is_used() {
        assert!(runs_constantly(
            "processor: 0\nflags\t\t: fpu constant_tsc rep_good nonstop_tsc\n"
        ));
        assert!(!runs_constantly("flags\t\t: fpu tsc constant_tsc\n"));
        assert!(!runs_constantly(""));
    }

    #[test]
    fn a_manual_clock_moves_by_its_step_and_its_clones_follow() {
        let manual = ManualClock::new(250);
        let other = manual.clone();
        manual.turn();
        other.advance(1000);
        assert_eq!((manual.now(), other.now()), (1250, 1250));
    }
}
