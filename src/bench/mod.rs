//! How fast is a forwarder, how sure is that number, and what was the limit?
//!
//! ```text
//!  scenario ─> traffic ─┐                                    ┌─> record (JSON Lines) ─> report (HTML)
//!              schedule ─┴─> trial ─> verdict ─> suite ──────┤
//!                medium (tester | device) ─┘     └─ search, stats
//! ```
//!
//! A *trial* is one constant load for one span of time, open loop: what is due is sent, what was
//! not sent counts as loss, counters are read after everything has come to rest, and every frame
//! is accounted for. A *suite* asks for trials until it can answer one question; a *record* keeps
//! all of them. Rates count frames a second.

pub mod digest;
#[cfg(test)]
mod example;
pub mod cost;
pub mod medium;
pub mod record;
<<<<<<< HEAD
pub mod scenario;
=======
pub mod report;
>>>>>>> report
pub mod selftest;
pub mod traffic;
pub mod trial;
//! How fast is it, and is that certain? The parts of `thruway bench` that need neither ports nor
//! clocks: which load to try next, and what a series of figures says.
//!
//! | module | question |
//! |---|---|
//! | [`search`] | which load and duration next, and what do the trials so far say? |
//! | [`stats`] | how sure is a difference between two series? |

pub mod search;
pub mod stats;
