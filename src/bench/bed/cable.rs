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
use crate::bench::traffic::{Flows, Frames, Layer2, Learner, Probe, Stream as _, size};
use crate::io::clock;
use crate::time::Span;
use crate::wire::vlan::TagStack;

/// How long each part of a calibration runs.
const CALIBRATE: Span = Span::millis(500);
/// Destinations that are drawn from a prefix at most.
const MOST_DESTINATIONS: u32 = 1 << 16;
/// How long the first frame may take, neighbours and learning switches included.
const COMES_THROUGH: Span = Span::secs(5);
/// Between frames until then.
const PACE: Span = Span::millis(2);
/// More than are sent in that time.
const MOST_PROBES: usize = 1 << 12;
/// The trial that these frames belong to.
const TRIAL: u16 = u16::MAX;
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
    let mut frames = frames(wish, own, &cable);
    for lane in wish.direction.lanes() {
        reaches(own, &mut cable, *lane, &mut frames[*lane])?;
    }
    let record = described(wish, own, &cores);
    let parts = Parts {
        tester: Cabled(cable),
        device: Unknown::new(own.name.clone()),
        scenario: None,
        genome: wish.genome.clone(),
        direction: wish.direction,
        mix: wish.mix,
        lines: lines(&record, wish.nominal_bps, None, Some(calibration.received)),
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

/// Makes sure that frames of a lane come through at all, and lets the forwarder find its
/// neighbours meanwhile: else every trial would tell of loss, and none of the reason.
fn reaches(
    own: &CableWish,
    cable: &mut Cable,
    lane: usize,
    frames: &mut Frames,
) -> Result<(), BenchError> {
    let tester = cable.tester();
    let begin = clock::now();
    let mut seen = Learner::new(TRIAL, MOST_PROBES);
    let (mut sent, mut came) = (0_u64, 0_u64);
    let failed = || BenchError::medium("looking whether frames come through");
    while came == 0 && clock::now().since(begin) < COMES_THROUGH {
        // A few at a time: a router holds back a handful while it asks for a neighbour.
        if clock::now().since(begin).0 >= sent * PACE.0 {
            let write = |room: &mut [u8]| {
                let probe = Probe { trial: TRIAL, seq: sent, ..Probe::default() };
                sent += 1;
                frames.write(&probe, room)
            };
            tester.send(lane, 1, write).map_err(failed())?;
        }
        tester.receive(lane, |frame| came += u64::from(seen.see(frame))).map_err(failed())?;
    }
    if came > 0 {
        return Ok(());
    }
    let [from, to] = [lane, 1 - lane].map(|side| &own.interfaces[side]);
    let why = format!(
        "it forwards nothing from {from} to {to}: {sent} frames were sent in {} s and none came \
         out. Has it a route to {}, does it forward at all, and does it filter?",
        COMES_THROUGH.as_secs_f64(),
        if lane == 0 { own.to.to_string() } else { own.addresses[0].addr().to_string() },
    );
    let why = match own.gateways[lane] {
        Some(_) => why,
        None => format!(
            "{why} Frames were for the tester's own other side, as through a bridge: name a \
             router's address with --{}-gateway.",
            ["tx", "rx"][lane]
        ),
    };
    Err(BenchError::Device { device: own.name.clone(), why })
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
