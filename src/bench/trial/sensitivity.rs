//! Is the harness in the result? The same load again with less work for generator and sink: what
//! changes the figure is part of it.

use super::tally::spread::float;
use super::{Check, Clock, Rig, Spec, TrialError};
use crate::bench::medium::{Device, Tester};
use crate::bench::record::Quantity;
use crate::bench::traffic::Stream;

/// How far the figure may change, as a share of it.
pub const MARGIN: f64 = 0.03;

/// What arrived of one load, in frames a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensitivity {
    /// As the spec says.
    pub plain: Quantity,
    /// With a sink that looks at payloads alone.
    pub payload_only: Quantity,
    /// With half as many frames in one go.
    pub half_bursts: Quantity,
}

impl Sensitivity {
    /// Measures all three.
    ///
    /// # Errors
    /// As [`Rig::run`].
    pub fn measure<T: Tester, D: Device + ?Sized, S: Stream, C: Clock>(
        rig: &mut Rig<'_, T, D, S, C>,
        spec: &Spec,
    ) -> Result<Self, TrialError> {
        let mut arrived = |check, burst| -> Result<Quantity, TrialError> {
            let spec = Spec { check, burst, ..spec.clone() };
            let trial = rig.run(&spec)?.trial;
            Ok(Quantity::rate(float(trial.frames.received) / trial.duration.value))
        };
        Ok(Self {
            plain: arrived(spec.check, spec.burst)?,
            payload_only: arrived(Check::Payload, spec.burst)?,
            half_bursts: arrived(spec.check, spec.burst / 2)?,
        })
    }

    /// What was found, in a sentence for each change over [`MARGIN`].
    pub fn findings(&self) -> Vec<String> {
        let changes = [
            ("a sink that looks at payloads alone", self.payload_only),
            ("half as many frames in one go", self.half_bursts),
        ];
        let finding = |(with, rate): (&str, Quantity)| {
            let change = rate.value / self.plain.value - 1.0;
            (change.abs() > MARGIN).then(|| {
                format!(
                    "with {with} {rate} arrive instead of {}, {:+.1} %: the harness is in the result",
                    self.plain,
                    change * 100.0
                )
            })
        };
        changes.into_iter().filter_map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Basis, ManualClock};
    use super::*;
    use crate::bench::medium::wire::{WireSpec, wire};
    use crate::bench::selftest::plain::Plain;
    use crate::time::Span;

    /// Of a load on a wire, with a turn each microsecond.
    fn of(load: f64, rate: Option<f64>) -> Sensitivity {
        let clock = ManualClock::new(1_000);
        let (mut tester, mut device) =
            wire(&WireSpec { rate, ..WireSpec::default() }, clock.clone());
        let mut rig = Rig {
            tester: &mut tester,
            device: &mut device,
            streams: &mut [Plain::new(1)],
            clock: &clock,
            basis: Basis::default(),
        };
        Sensitivity::measure(&mut rig, &Spec::constant("x", &[load], Span::millis(10))).unwrap()
    }

    #[test]
    fn a_forwarders_limit_does_not_move_with_the_generator() {
        assert_eq!(of(2e6, Some(1e6)).findings(), Vec::<String>::new());
    }

    #[test]
    fn the_generators_limit_does() {
        // 64 million a second, and 32 with half the burst; and ten microseconds more than 10 ms.
        let found = of(100e6, None).findings();
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("with half as many frames in one go 32.0"), "{found:?}");
    }
}
