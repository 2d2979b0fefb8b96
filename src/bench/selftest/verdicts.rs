//! Are verdicts raised when they should be, and not else? On the real clock alone: the limits are
//! those of this machine.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Claim;
use super::plain::Plain;
use crate::bench::medium::wire::{WireSpec, wire};
use crate::bench::record::trial::{Verdict, VerdictKind};
use crate::bench::trial::{Basis, RealClock, Rig, Spec, TrialError, hiccup};
use crate::io::sys::affinity;
use crate::time::Span;

/// How often a trial is tried again on a machine that does something else too.
const TRIES: usize = 5;

/// All checks of this module, on a wire that carries up to `most` frames a second. The generator is
/// asked for more than it can do, then shares its core `cpu` with a thread that spins, and then has
/// little to do.
///
/// # Errors
/// As [`Rig::run`].
pub fn all(clock: RealClock, most: f64, cpu: usize) -> Result<Vec<Claim>, TrialError> {
    let time = Span::millis(200);
    let hiccup = Some(hiccup::probe(&clock, Span::millis(500)));
    let basis = Basis { hiccup, ..Basis::default() };
    // Calibration receives everything that it sends; a generator that fails may send more than that.
    let bound = Spec::constant("asked for too much", &[most * 30.0], time);
    let light = Spec::constant("asked for little", &[most / 10.0], time);
    Ok(vec![
        claim("a load beyond the generator's", VerdictKind::GeneratorBound, || {
            wired(&clock, &bound, None, &basis)
        })?,
        claim("a core shared with a spinning thread", VerdictKind::Contaminated, || {
            beside_a_spinner(clock, &light, cpu)
        })?,
        claim(
            "a forwarder that drops a fifth of a load that the generator can send",
            VerdictKind::Ok,
            || {
                let spec = Spec::constant("a quarter", &[most / 4.0], time);
                wired(&clock, &spec, Some(most / 5.0), &basis)
            },
        )?,
        claim("a tenth of what the generator can send", VerdictKind::Ok, || {
            wired(&clock, &light, None, &basis)
        })?,
    ])
}

/// Tries until the verdict is the expected one.
fn claim(
    what: &str,
    expected: VerdictKind,
    mut trial: impl FnMut() -> Result<Verdict, TrialError>,
) -> Result<Claim, TrialError> {
    let mut seen = trial()?;
    for _ in 1..TRIES {
        if seen.kind == expected {
            break;
        }
        seen = trial()?;
    }
    let measured = if seen.why.is_empty() {
        seen.kind.word().to_owned()
    } else {
        format!("{}: {}", seen.kind.word(), seen.why)
    };
    let passed = seen.kind == expected;
    Ok(Claim::new(format!("{what} is `{expected}`"), measured, passed))
}

/// The verdict of a trial over a wire, or over one that serves so many frames a second.
fn wired(
    clock: &RealClock,
    spec: &Spec,
    rate: Option<f64>,
    basis: &Basis,
) -> Result<Verdict, TrialError> {
    let (mut tester, mut device) = wire(&WireSpec { rate, ..WireSpec::default() }, *clock);
    let mut rig = Rig {
        tester: &mut tester,
        device: &mut device,
        streams: &mut [Plain::new(1)],
        clock,
        basis: basis.clone(),
    };
    Ok(rig.run(spec)?.trial.verdict)
}

/// The verdict of a trial in a thread of its own that shares its core with another.
fn beside_a_spinner(clock: RealClock, spec: &Spec, cpu: usize) -> Result<Verdict, TrialError> {
    let failed = |error| TrialError::Io { what: "pinning a thread", error };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let spinner = scope.spawn(|| {
            affinity::pin(cpu)?;
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            Ok(())
        });
        let trial = scope.spawn(|| {
            let pinned = affinity::pin(cpu).map_err(failed);
            let verdict = pinned.and_then(|()| wired(&clock, spec, None, &Basis::default()));
            stop.store(true, Ordering::Relaxed);
            verdict
        });
        let verdict = trial.join().expect("a trial does not panic");
        spinner.join().expect("a spinning thread does not panic").map_err(failed)?;
        verdict
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "judges the machine that it runs on: run it with nothing else"]
    fn verdicts_are_raised_when_they_should_be() {
        let clock = RealClock::calibrate();
        let cpu = affinity::allowed().unwrap()[0];
        let claims = all(clock, 2e6, cpu).unwrap();
        assert!(claims.iter().all(|claim| claim.passed), "{claims:#?}");
    }

    #[test]
    fn a_spinning_thread_on_the_same_core_is_noticed_on_any_machine() {
        let clock = RealClock::calibrate();
        let cpu = affinity::allowed().unwrap()[0];
        let spec = Spec::constant("x", &[1_000.0], Span::millis(200));
        let verdict = beside_a_spinner(clock, &spec, cpu).unwrap();
        assert_eq!(verdict.kind, VerdictKind::Contaminated, "{verdict:?}");
    }
}
