//! Beds in this process: thruway's workers on memory ports, in the tester's thread or beside it.

use super::wish::{DeviceKind, Medium, Wish};
use super::{OnRig, Parts, lines};
use crate::bench::error::BenchError;
use crate::bench::medium::memory::{self, MemoryDevice, MemoryTester};
use crate::bench::medium::ring::{self, RingSpec};
use crate::bench::medium::{Cores, Tester};
use crate::bench::record::Calibration;
use crate::bench::scenario::{Mix, Run, Scenario};
use crate::bench::suite::Bed;
use crate::bench::trial::{Basis, RealClock, Rig};
use crate::time::Span;

/// How long calibration runs.
const CALIBRATE: Span = Span::millis(300);

pub(super) fn open(wish: &Wish) -> Result<Box<dyn Bed>, BenchError> {
    if wish.device != DeviceKind::Thruway {
        return Err(BenchError::Asked(format!(
            "on the medium {} there is thruway alone, on ports in memory: measure {} on veth",
            wish.medium, wish.device
        )));
    }
    bed(wish, parts)
}

/// A bed whose tester changes routes, on rings.
pub(super) fn open_with_churn(wish: &Wish) -> Result<Box<dyn Bed>, BenchError> {
    bed(wish, |wish, scenario| {
        let made = BenchError::medium("making memory ports");
        let cores = cores(wish)?;
        let (tester, device) = memory::ring_with_churn(scenario, &each(&cores)).map_err(made)?;
        Ok((tester, device, cores.words()))
    })
}

fn bed<T: Tester + 'static>(
    wish: &Wish,
    parts: impl FnOnce(&Wish, &Scenario) -> Result<(T, MemoryDevice, String), BenchError>,
) -> Result<Box<dyn Bed>, BenchError> {
    let scenario = scenario(wish)?;
    // Before the workers are there: they poll, and calibration needs their core.
    let calibration = calibration(wish, &scenario)?;
    let (tester, device, layout) = parts(wish, &scenario)?;
    let record = scenario.record(&Run {
        device: "thruway",
        medium: wish.medium.word(),
        genome: &wish.genome,
        workers: u32::try_from(wish.workers).unwrap_or(u32::MAX),
        direction: wish.direction,
        layout: &layout,
    });
    let circuit = scenario.circuit_limit(&wish.genome);
    let lines = lines(&record, wish.nominal_bps, circuit, Some(calibration.received));
    let parts = Parts {
        tester,
        device,
        scenario: Some(scenario),
        genome: wish.genome.clone(),
        direction: wish.direction,
        mix: wish.mix,
        record,
        calibration,
        lines,
        notes: Vec::new(),
        doer: None,
    };
    Ok(Box::new(OnRig::new(parts)?))
}

/// The scenario that is wished for.
pub(super) fn scenario(wish: &Wish) -> Result<Scenario, BenchError> {
    Scenario::new(wish.spec.clone()).map_err(|why| BenchError::Asked(why.to_string()))
}

fn parts(
    wish: &Wish,
    scenario: &Scenario,
) -> Result<(MemoryTester, MemoryDevice, String), BenchError> {
    let made = BenchError::medium("making memory ports");
    if wish.medium == Medium::Memory {
        let (tester, device) = memory::memory(scenario, wish.workers).map_err(made)?;
        return Ok((tester, device, "tester and workers share one thread".to_owned()));
    }
    let cores = cores(wish)?;
    let (tester, device) = memory::ring(scenario, &each(&cores)).map_err(made)?;
    Ok((tester, device, cores.words()))
}

fn cores(wish: &Wish) -> Result<Cores, BenchError> {
    Cores::share(wish.workers).map_err(|why| BenchError::Asked(why.to_string()))
}

/// A core for each worker.
fn each(cores: &Cores) -> Vec<Option<usize>> {
    cores.device.iter().copied().map(Some).collect()
}

/// What the tester can do over rings with nothing but a thread between that moves frames from ring
/// to ring: its own frames, the sink's whole work.
fn calibration(wish: &Wish, scenario: &Scenario) -> Result<Calibration, BenchError> {
    let asked = |why: &dyn std::fmt::Display| BenchError::Asked(why.to_string());
    let cores = Cores::share(1).map_err(|why| asked(&why))?;
    cores.pin_tester().map_err(|why| asked(&why))?;
    let spec = RingSpec { cpu: cores.device.first().copied(), ..RingSpec::default() };
    let (mut tester, mut device) = ring::null(&spec).map_err(BenchError::medium("making rings"))?;
    let mix = if scenario.spec().way.translates() { wish.mix } else { Mix::Known };
    let frames = scenario.frames(0, &wish.genome, mix, None).map_err(|why| asked(&why))?;
    let clock = RealClock::calibrate();
    let mut rig = Rig {
        tester: &mut tester,
        device: &mut device,
        streams: &mut [frames],
        clock: &clock,
        basis: Basis::default(),
    };
    let mut found = rig.calibrate(CALIBRATE, 3).map_err(|why| asked(&why))?;
    found.null_forwarder = Some(found.received);
    Ok(found)
}
