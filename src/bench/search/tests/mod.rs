//! Tests of the search as a whole.

mod course;
mod oracle;
mod rfc9971;
mod throughput;

use super::trial::{Ask, Measured, Trial};
use crate::time::Span;

/// A trial that took as long as was asked.
fn trial(load: f64, duration: Span, offered: u64, lost: u64) -> Trial {
    let ask = Ask { number: 1, load, duration, warm_up: false, goal: None };
    Trial { ask, measured: counts(duration, offered, lost) }
}

fn counts(duration: Span, offered: u64, lost: u64) -> Measured {
    Measured { intended: offered, offered, received: offered - lost, duration }
}
