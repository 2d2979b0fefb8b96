//! Does the harness measure what it says? Claims about itself that it puts to the test on the
//! machine that it runs on, with media whose behaviour is known.

pub mod faults;
pub mod plain;
pub mod verdicts;

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
