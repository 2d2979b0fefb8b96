//! Beds between two interfaces of the user's: whatever is cabled there is measured.

use std::io;
use std::sync::Arc;

use super::wish::{CableWish, Wish};
use super::{OnRig, Parts, lines};
use crate::bench::error::BenchError;
use crate::bench::medium::cable::{Cable, Side, Unknown};
use crate::bench::medium::{Cores, MediumError, Tester};
use crate::bench::record;
use crate::bench::suite::Bed;
use crate::bench::traffic::flows::Routed;
use crate::bench::traffic::{Flows, Frames, Layer2, size};
use crate::time::Span;
use crate::wire::vlan::TagStack;

/// How long each part of a calibration runs.
const CALIBRATE: Span = Span::millis(500);
/// Destinations that are drawn from a prefix at most.
const MOST_DESTINATIONS: u32 = 1 << 16;
/// Bits of the hosts that send: all of them behind the tester's own address.
const HOST_BITS: u32 = 0;

/// The interfaces' tester.
struct Cabled(Cable);

impl Tester for Cabled {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.0.tester().send(lane, want, write)
    }

    fn receive(&mut self, lane: usize, look: impl FnMut(&[u8])) -> io::Result<usize> {
        self.0.tester().receive(lane, look)
    }

    fn step(&mut self) {
        self.0.tester().step();
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        self.0.tester().drops()
    }
}

pub(super) fn open(wish: &Wish) -> Result<Box<dyn Bed>, BenchError> {
    let Some(own) = &wish.cable else {
        let why = "name the two interfaces: --tx IF --rx IF";
        return Err(BenchError::Asked(why.to_owned()));
    };
    let refused =
        |why: MediumError| BenchError::Device { device: own.name.clone(), why: why.to_string() };
    let cores = Cores::share(1).map_err(refused)?;
    cores.pin_tester().map_err(refused)?;
    let largest = size::buffer(wish.genome.largest(), 0);
    let mut cable = Cable::open(&sides(own), largest, own.allow_host_interface).map_err(refused)?;
    let (calibration, note) = cable.calibrate(own.is_loop, &cores, CALIBRATE).map_err(refused)?;
    let frames = frames(wish, own, &cable);
    let record = described(wish, own, &cores);
    let parts = Parts {
        tester: Cabled(cable),
        device: Unknown::new(own.name.clone()),
        scenario: None,
        genome: wish.genome.clone(),
        direction: wish.direction,
        mix: wish.mix,
        lines: lines(&record, wish.nominal_bps, Some(calibration.received)),
        record,
        calibration,
        notes: vec![
            note,
            "The forwarder keeps no accounts that the tester can read: loss cannot be explained."
                .to_owned(),
        ],
        doer: None,
    };
    Ok(Box::new(OnRig::with_frames(parts, frames)))
}

/// Each side answers for the other side's destinations.
fn sides(own: &CableWish) -> [Side; 2] {
    let side = |at: usize, hosts| Side {
        interface: own.interfaces[at].clone(),
        address: own.addresses[at],
        hosts,
        gateway: own.gateways[at],
        mac: None,
    };
    [side(0, Vec::new()), side(1, vec![own.to])]
}

/// Frames of both lanes: to the destinations, and back from them.
fn frames(wish: &Wish, own: &CableWish, cable: &Cable) -> Vec<Frames> {
    let (macs, next) = (cable.own(), cable.next());
    let first = u32::from(own.to.network());
    let len = u32::try_from(own.to.hosts().take(MOST_DESTINATIONS as usize).count())
        .expect("a bounded number")
        .max(1);
    // The network's own address is nobody's.
    let skip = u32::from(own.to.prefix_len() < 31);
    let to: Arc<[u32]> = (0..len).map(|host| first + skip + host).collect();
    let from = (u32::from(own.addresses[0].addr()), HOST_BITS);
    let routed = || Routed::new(wish.spec.seed, from, Arc::clone(&to), wish.spec.flows);
    let layer2 = |at: usize| Layer2 { dst: next[at], src: macs[at], tags: TagStack::UNTAGGED };
    vec![
        Frames::new(&layer2(0), &wish.genome, Flows::Routed(routed())),
        Frames::new(&layer2(1), &wish.genome, Flows::Answers(routed())),
    ]
}

fn described(wish: &Wish, own: &CableWish, cores: &Cores) -> record::Scenario {
    let [tx, rx] = &own.interfaces;
    record::Scenario {
        name: format!("{}/{tx}-{rx}/{}", own.name, wish.genome),
        device: own.name.clone(),
        way: "forward".to_owned(),
        medium: "cable".to_owned(),
        hand_over: "Untagged".to_owned(),
        frame_sizes: wish.genome.sizes().to_vec(),
        genome: wish.genome.text().map(str::to_owned),
        flows: wish.spec.flows,
        routes: 0,
        sessions: 0,
        workers: 0,
        direction: wish.direction.to_string(),
        limits: "the forwarder's own".to_owned(),
        layout: format!("tester on core {}", cores.tester),
    }
}
