//! What is a proof? A claim, what was measured, and what of it does not hold.

use miette::Result;
use serde::Serialize;
use serde_json::Value;

use super::site::Site;

/// A claim about the running lab, and how it is tested.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    /// Its name for programs.
    pub(super) name: &'static str,
    /// What is claimed, as a sentence.
    pub(super) says: &'static str,
    /// How it is tested.
    pub(super) test: fn(&Site) -> Result<Outcome>,
}

/// What came of a test.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The measured figure in words.
    pub(super) figure: String,
    /// The figures for programs.
    pub(super) figures: Value,
    /// What does not hold.
    pub(super) broken: Vec<String>,
}

impl Outcome {
    /// An outcome in which everything holds so far.
    pub(super) fn new(figure: String, figures: Value) -> Self {
        Self { figure, figures, broken: Vec::new() }
    }

    /// Notes `otherwise` unless it holds.
    #[must_use]
    pub(super) fn check(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if !holds {
            self.broken.push(otherwise());
        }
        self
    }
}

/// A tested claim.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Proof {
    /// The claim's name.
    pub(super) name: &'static str,
    /// Whether it holds.
    pub(super) ok: bool,
    /// What is claimed.
    pub(super) claim: &'static str,
    /// The measured figure in words.
    pub(super) figure: String,
    /// The figures for programs.
    pub(super) figures: Value,
    /// What does not hold, or nothing.
    pub(super) detail: Option<String>,
    /// How long the test took.
    pub(super) seconds: f64,
}

impl Proof {
    /// Tests a claim; an error is a claim that does not hold.
    pub(super) fn of(claim: &Claim, site: &Site) -> Self {
        let begin = crate::lab::wait::now();
        let outcome = (claim.test)(site).unwrap_or_else(|report| Outcome {
            figure: "not measured".to_owned(),
            figures: Value::Null,
            broken: vec![sentence(&report)],
        });
        let detail = outcome.broken.join("; ");
        Self {
            name: claim.name,
            ok: detail.is_empty(),
            claim: claim.says,
            figure: outcome.figure,
            figures: outcome.figures,
            detail: (!detail.is_empty()).then_some(detail),
            seconds: begin.elapsed().as_secs_f64(),
        }
    }
}

/// An error and its causes on one line.
fn sentence(report: &miette::Report) -> String {
    report.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_outcome_keeps_what_does_not_hold() {
        let outcome = Outcome::new("3 of 4".into(), json!({"answered": 3}))
            .check(true, || "never said".into())
            .check(false, || "one is missing".into());
        assert_eq!(outcome.broken, ["one is missing"]);
    }

    #[test]
    fn an_error_s_causes_follow_it() {
        let report = miette::miette!("the cause").wrap_err("the effect");
        assert_eq!(sentence(&report), "the effect: the cause");
    }
}
