//! What is measured, once for every way to measure it: `icount` counts the instructions of these
//! scenarios, criterion takes their time.
//!
//! A scenario's name is `area/action/packet-family/size`; the size is that of an untagged frame or
//! of a table, and `x1` or `x8` behind it are batches of that many packets instead of 64. Seeds
//! and times are fixed, so a scenario does the same in every process.

#![allow(dead_code, reason = "each program measures its part")]

#[path = "../../tests/support/bench.rs"]
pub mod bench;
#[path = "../../tests/support/lab.rs"]
pub mod lab;
#[path = "../../tests/support/traffic.rs"]
pub mod traffic;

mod fib;
mod nat;
mod police;
mod rig;
mod stages;
mod ways;

/// Work that comes batch by batch. Only `run` is measured.
pub trait Work {
    /// Lays the next batch out.
    fn prepare(&mut self);
    /// Handles it.
    fn run(&mut self);
    /// Clears up.
    ///
    /// # Panics
    /// When the batch did not meet the fate that the scenario is about.
    fn settle(&mut self);
}

/// One thing to measure.
pub struct Scenario {
    pub name: String,
    /// Packets of one batch: what a run's cost is shared by.
    pub packets: usize,
    pub make: Box<dyn Fn() -> Box<dyn Work>>,
}

impl Scenario {
    fn new<W: Work + 'static>(
        name: impl Into<String>,
        packets: usize,
        make: impl Fn() -> W + 'static,
    ) -> Self {
        Self { name: name.into(), packets, make: Box::new(move || Box::new(make())) }
    }

    /// What the name begins with.
    pub fn area(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }
}

/// Every scenario, in the order of reports.
pub fn all() -> Vec<Scenario> {
    let areas = [stages::wire(), fib::all(), nat::all(), police::all(), stages::all(), ways::all()];
    areas.into_iter().flatten().collect()
}
