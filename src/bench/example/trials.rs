//! Trials of a forwarder that carries so many frames a second, on a machine that is disturbed.

use std::collections::BTreeMap;

use super::Quantity;
use super::noise::Noise;
use super::trial::{
    DeviceFrames, Frames, Gap, Latency, Spread, ThreadSense, Trial, Verdict, VerdictKind,
};

/// What a trial is made from.
#[derive(Clone)]
pub(super) struct Made {
    rate: f64,
    capacity: f64,
    generator: f64,
    purpose: String,
    duration_s: f64,
    /// Share of the time that a thread waited for a core.
    pub(super) wait: f64,
    latency: bool,
}

impl Made {
    pub(super) fn at(rate: f64) -> Self {
        Self {
            rate,
            capacity: f64::INFINITY,
            generator: f64::INFINITY,
            purpose: "search".to_owned(),
            duration_s: 1.0,
            wait: 0.001,
            latency: false,
        }
    }

    pub(super) fn capacity(self, capacity: f64) -> Self {
        Self { capacity, ..self }
    }

    pub(super) fn generator(self, generator: f64) -> Self {
        Self { generator, ..self }
    }

    pub(super) fn purpose(self, purpose: &str) -> Self {
        Self { purpose: purpose.to_owned(), ..self }
    }

    pub(super) fn lasting(self, duration_s: f64) -> Self {
        Self { duration_s, ..self }
    }

    pub(super) fn disturbed(self, wait: f64) -> Self {
        Self { wait, ..self }
    }

    pub(super) fn with_latency(self) -> Self {
        Self { latency: true, ..self }
    }

    /// Frames that a disturbance or an overload cost are lost; the buffer takes 2,048.
    pub(super) fn trial(&self, seed: u64) -> Trial {
        let mut noise = Noise::new(seed);
        let intended = count(self.rate * self.duration_s);
        let offered = intended.min(count(self.generator * self.duration_s));
        let carried =
            count(self.capacity * self.duration_s * (1.0 - self.wait)).saturating_add(2_048);
        let stall = if noise.share() < 0.15 { count(self.rate * 0.0004) } else { 0 };
        let received =
            offered.min(carried).saturating_sub(if offered > carried { 0 } else { stall });
        let lost = offered - received;
        let verdict = self.verdict(intended - offered);
        let dropped = BTreeMap::from([("queue_full".to_owned(), lost)]);
        Trial {
            purpose: self.purpose.clone(),
            intended_rate: Quantity::rate(self.rate),
            duration: Quantity::seconds(self.duration_s),
            elapsed: Quantity::seconds(self.duration_s * 1.000_004),
            frames: Frames {
                intended,
                offered,
                unsent: intended - offered,
                received,
                lost: i64::try_from(lost).expect("made up and small"),
                ..Frames::default()
            },
            lateness: spread(offered, 120.0, 0.35, &mut noise),
            latency: self.latency.then(|| latency(offered, 6_200.0, 0.9, &mut noise)),
            latency_actual: self.latency.then(|| latency(offered, 5_900.0, 0.5, &mut noise)),
            gaps: (lost > 3).then(|| gap(lost, self.rate)).into_iter().collect(),
            threads: vec![sense("tester", self.wait / 2.0), sense("worker 0", self.wait)],
            steal: Quantity::ratio(self.wait / 4.0),
            device: Some(DeviceFrames {
                received: received + lost,
                sent: received,
                dropped: if lost > 0 { dropped } else { BTreeMap::new() },
                idle_turns: Some(Quantity::ratio((1.0 - self.rate / self.capacity).max(0.0))),
                ..DeviceFrames::default()
            }),
            medium_drops: BTreeMap::new(),
            unaccounted: Some(0),
            verdict,
        }
    }

    fn verdict(&self, unsent: u64) -> Verdict {
        if self.wait > 0.01 {
            let wait = self.wait * 100.0;
            let why = format!(
                "worker 0 waited {wait:.1} % of the trial for its core (limit 1 %): end what else \
                 runs on core 1"
            );
            return Verdict::new(VerdictKind::Contaminated, why);
        }
        if unsent > 0 {
            let why =
                format!("{unsent} frames were due and not sent: the generator is at its limit");
            return Verdict::new(VerdictKind::GeneratorBound, why);
        }
        Verdict::ok()
    }
}

fn sense(name: &str, wait: f64) -> ThreadSense {
    ThreadSense {
        name: name.to_owned(),
        run: Quantity::ratio(1.0 - wait),
        wait: Quantity::ratio(wait),
        involuntary_per_second: (wait * 1_000.0).round(),
    }
}

fn gap(frames: u64, rate: f64) -> Gap {
    Gap {
        stream: 0,
        begin: Quantity::seconds(0.31),
        length: Quantity::seconds(frames as f64 / rate),
        frames,
    }
}

/// A distribution whose logarithm is about normal, and which has a tail beyond.
pub(super) fn latency(samples: u64, median_ns: f64, width: f64, noise: &mut Noise) -> Latency {
    let tail = 1.0 + noise.share() * 0.2;
    let value = |share: f64| {
        let nines = -(1.0 - share).log10();
        let far = 0.16 * tail * (nines - 2.0).max(0.0).powf(1.5);
        median_ns * (width * (nines - 0.301) + width * far).exp()
    };
    let last = 1.0 - 1.0 / samples.max(2) as f64;
    let mut curve: Vec<(f64, f64)> = Vec::new();
    for step in 0..200 {
        let share = 1.0 - 10_f64.powf(-f64::from(step) / 28.0);
        if share < last {
            curve.push((share, value(share).round()));
        }
    }
    let max = value(last).round();
    curve.push((1.0, max));
    let spread = Spread {
        samples,
        min: Quantity::nanos(curve[0].1),
        p50: Quantity::nanos(value(0.5).round()),
        p90: Quantity::nanos(value(0.9).round()),
        p99: Quantity::nanos(value(0.99).round()),
        p999: Quantity::nanos(value(0.999).round()),
        max: Quantity::nanos(max),
    };
    Latency { spread, curve }
}

fn spread(samples: u64, median_ns: f64, width: f64, noise: &mut Noise) -> Spread {
    latency(samples, median_ns, width, noise).spread
}

/// A whole number of frames.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn count(frames: f64) -> u64 {
    frames.round() as u64
}
