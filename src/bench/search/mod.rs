//! What is the highest load that a forwarder carries? Says which trial comes next, and what the
//! trials so far prove.
//!
//! This is MLRsearch (RFC 9971, once draft-ietf-bmwg-mlrsearch-15): a [`Goal`] says how much loss is allowed, in
//! what share of the time, and how long to look; RFC 2544's throughput is one such goal
//! ([`Preset::Rfc2544`]). Several goals share their trials. [`Method::Bisection`] keeps the goals
//! and replaces the choice of loads by RFC 2544's plain halving.
//!
//! A search is a value: [`Search::ask`] names a trial, [`Search::record`] takes its counts, and
//! [`Search::found`] can be read at any time, also after a trial that could not be made. It sends
//! nothing and reads no clock: the time that it knows of is what trials say that they took.
//!
//! - Every trial is kept, in order, the warm-up too (which proves nothing).
//! - Loads lie on a ladder with even steps in their logarithm, so that a load can be tried again.
//! - A load that fails outweighs all above it, whatever they did (loss inversion).
//! - Whether a figure is about the forwarder at all (generator, medium, contamination) is not
//!   decided here.
//!
//! ```
//! use thruway::bench::search::simulated::{Forwarder, Noise};
//! use thruway::bench::search::{End, Plan, Preset, Search};
//!
//! let mut forwarder = Forwarder::new(1_500_000.0, 4096, Noise::Quiet, 7);
//! let mut search = Search::new(Plan::new(Preset::Csit.goals(), 9_001.0, 14_880_952.0))?;
//! while let Some(ask) = search.ask() {
//!     search.record(forwarder.measure(&ask));
//! }
//! let ndr = &search.found().goals[0];
//! assert_eq!(ndr.end, End::Done);
//! assert!((ndr.conditional_throughput.unwrap() / 1_500_000.0 - 1.0).abs() < 0.005);
//! # Ok::<(), thruway::bench::search::BadPlan>(())
//! ```

mod book;
pub mod class;
mod estimate;
mod found;
mod goal;
mod halving;
mod ladder;
mod opening;
mod plan;
mod pursuit;
mod run;
pub mod simulated;
#[cfg(test)]
mod tests;
mod trial;

pub use found::{Bound, End, Found, GoalFound};
pub use goal::{BadPreset, Goal, Preset};
pub use plan::{BadPlan, Method, Plan};
pub use run::{Progress, Search, Standing};
pub use trial::{Ask, Measured, Trial};
