//! How does a tester come to change the routes of workers on memory ports? It takes the writer of
//! the domain that destinations in Azure are looked up in, which else goes when the workers are
//! made.

use std::io;
use std::sync::Arc;

use super::plant::Plant;
use super::{MemoryDevice, MemoryTester, assemble, threaded};
use crate::bench::medium::churn::{Churn, Churning};
use crate::bench::scenario::Scenario;
use crate::fib::FibWriter;
use crate::frame::Pool;
use crate::ids::NextHopId;
use crate::sync::Counter;

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

/// As [`super::with_frames`] for one worker, and changes to its routes, which may be made in another
/// thread; the worker's turns are told by `turns`.
///
/// # Errors
/// As [`super::with_frames`], and when there are no routes to change.
pub(in crate::bench) fn with_frames_and_churn(
    scenario: &Scenario,
    frames: usize,
    turns: Arc<Counter>,
) -> io::Result<(MemoryTester, MemoryDevice, Vec<Pool>, Churn)> {
    let mut plant = Plant::new(scenario, 1, frames)?;
    let routes = plant.routes.take();
    let ((tester, device), spare) = assemble(scenario, plant);
    let churn = changes(scenario, routes, scenario.destinations(), vec![turns])?;
    Ok((tester, device, spare, churn))
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
    let churn = changes(scenario, routes, needed, device.turns.clone())?;
    Ok((Churning::new(tester, churn), device))
}

fn changes(
    scenario: &Scenario,
    routes: Option<(FibWriter, Vec<NextHopId>)>,
    needed: impl Iterator<Item = u32>,
    turns: Vec<Arc<Counter>>,
) -> io::Result<Churn> {
    let none = || io::Error::other("no routes are looked up on this way: take --way fastpath");
    let (writer, hops) = routes.ok_or_else(none)?;
    Churn::new(writer, hops, needed, turns, scenario.spec().seed)
}
