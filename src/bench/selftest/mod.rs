//! Does the harness measure what it says? Claims about itself that it puts to the test on the
//! machine that it runs on, with media whose behaviour is known.

pub mod faults;
pub mod plain;
pub mod verdicts;

use plain::Plain;

use crate::bench::medium::wire::{WireSpec, wire};
use crate::bench::trial::{Basis, RealClock, Rig, TrialError};
use crate::time::Span;

/// One claim and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed, in a sentence.
    pub claim: String,
    /// What was measured.
    pub measured: String,
    /// Whether the claim holds.
    pub passed: bool,
}

impl Claim {
    /// A claim and what came of it.
    pub fn new(claim: impl Into<String>, measured: impl Into<String>, passed: bool) -> Self {
        Self { claim: claim.into(), measured: measured.into(), passed }
    }
}

/// Puts the trial runner to the test on the calling thread, which is pinned to `cpu`: pacing,
/// faults, a blackout and verdicts, in about 20 seconds.
///
/// # Errors
/// As [`Rig::run`].
pub fn trials(clock: RealClock, cpu: usize) -> Result<Vec<Claim>, TrialError> {
    let (mut tester, mut device) = wire(&WireSpec::default(), clock);
    let mut rig = Rig {
        tester: &mut tester,
        device: &mut device,
        streams: &mut [Plain::new(1)],
        clock: &clock,
        basis: Basis::default(),
    };
    let most = rig.calibrate(Span::millis(300), 3)?.received.value;
    let claims = [
        faults::paced(&clock, most)?,
        faults::all(&clock, most / 2.0)?,
        verdicts::all(clock, most, cpu)?,
    ];
    Ok(claims.concat())
}
