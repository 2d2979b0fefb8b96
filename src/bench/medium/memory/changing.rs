//! How does a tester come to change the routes of workers on memory ports? It takes the writer of
//! the domain that destinations in Azure are looked up in, which else goes when the workers are
//! made.

use std::io;

#[cfg(test)]
use super::assemble;
use super::plant::Plant;
use super::{MemoryDevice, MemoryTester, threaded};
use crate::bench::medium::churn::{Churn, Churning};
use crate::bench::scenario::Scenario;
use crate::fib::FibWriter;
use crate::ids::NextHopId;

/// As [`super::ring`], with a tester that can change routes.
///
/// # Errors
/// As [`super::ring`], and when there are no routes to change.
pub fn ring_with_churn(
    scenario: &Scenario,
    cores: &[Option<usize>],
) -> io::Result<(Churning<MemoryTester>, MemoryDevice)> {
    let mut plant = Plant::new(scenario, cores.len(), 0)?;
    let routes = plant.routes.take();
    let (tester, device) = threaded(scenario, plant, cores)?;
    with_churn(scenario, routes, scenario.destinations(), (tester, device))
}

/// The same in one thread, for traffic that needs these destinations.
#[cfg(test)]
pub(in crate::bench) fn memory_with_churn(
    scenario: &Scenario,
    needed: impl Iterator<Item = u32>,
) -> io::Result<(Churning<MemoryTester>, MemoryDevice)> {
    let mut plant = Plant::new(scenario, 1, 0)?;
    let routes = plant.routes.take();
    let (parts, _) = assemble(scenario, plant);
    with_churn(scenario, routes, needed, parts)
}

/// Puts changes to a plant's routes into its tester.
fn with_churn(
    scenario: &Scenario,
    routes: Option<(FibWriter, Vec<NextHopId>)>,
    needed: impl Iterator<Item = u32>,
    (tester, device): (MemoryTester, MemoryDevice),
) -> io::Result<(Churning<MemoryTester>, MemoryDevice)> {
    let none = || io::Error::other("no routes are looked up on this way: take --way fastpath");
    let (writer, hops) = routes.ok_or_else(none)?;
    let (turns, seed) = (device.turns.clone(), scenario.spec().seed);
    let churn = Churn::new(writer, hops, needed, turns, seed)?;
    Ok((Churning::new(tester, churn), device))
}
