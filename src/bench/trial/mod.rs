//! What happens under one load? A trial sends what is due when it is due, waits until everything
//! has come to rest, and accounts for every frame.
//!
//! ```text
//!  Spec ─> Rig::run ──┬─ lane: schedule ─> stream ─> tester.send ─┐
//!                     │                                        device
//!                     ├─ lane: tally <── check <── tester.receive ┘
//!                     ├─ events, sense, drain, conserve
//!                     └─> Run: record::Trial, histograms, lanes ─> verdict
//! ```
//!
//! Open loop, in one thread: generator and sink take turns, and what is late is sent at once with
//! its own due time, never skipped and never moved. Sending stops at the planned time; what was
//! not sent by then is unsent. Counters are read after the drain alone. The caller pins the
//! thread. Nothing is allotted per frame.

pub mod clock;
pub mod conserve;
mod course;
pub mod hiccup;
mod lane;
pub mod outage;
pub mod recovery;
mod result;
mod run;
pub mod schedule;
pub mod sense;
pub mod sensitivity;
pub mod spec;
pub mod tally;
pub mod verdict;

pub use clock::{Clock, ManualClock, RealClock};
pub use result::{EventTime, FlowGap, LaneRun, Run};
pub use run::{Rig, TrialError, Watch};
pub use schedule::{Shape, Step};
pub use spec::{Drain, Load, Spec};
pub use tally::Check;
pub use verdict::Basis;

#[cfg(test)]
mod tests;
