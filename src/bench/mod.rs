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

pub mod bed;
pub mod cost;
pub mod digest;
pub mod error;
#[cfg(test)]
mod example;
pub mod machine;
pub mod medium;
pub mod progress;
pub mod record;
pub mod report;
pub mod scenario;
pub mod search;
pub mod selftest;
pub mod stats;
pub mod suite;
pub mod table;
pub mod tcp;
mod terminal;
pub mod traffic;
pub mod trial;
