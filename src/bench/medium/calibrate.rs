//! What can the tester do when nothing is in its way? Figures of one medium, frame size and layout
//! that every result is held against.
//!
//! Sending and receiving together is measured with a wire in the device's place: one veth pair from
//! the tester to the tester, whose frames are taken in by the same core as with a device. Receiving
//! alone is measured with the device's core as the sender. All at full load: what is not sent is
//! not due later.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cores::Cores;
use super::device::Null;
use super::drops::DropMeter;
use super::error::{Doing, MediumError};
use super::site::{Intake, Site, take_in};
use super::socket::Sockets;
use super::wiring::{Lane, Plan};
use super::{BURST, Tester};
use crate::bench::record::{Calibration, Quantity, Verdict};
use crate::io::clock;
use crate::lab::{Netns, veth};
use crate::time::{Now, Span};
use crate::wire::build::Packet;
use crate::wire::eth::{self, MacAddr};
use crate::wire::{ip4, udp};

/// Nothing came for so long: everything has.
const QUIET: Span = Span::millis(20);
/// How long a drain may take.
const DRAIN: Span = Span::secs(1);
/// How long a veth pair may take until it carries frames.
const LINK_UP: Duration = Duration::from_secs(5);

/// What crossed at full load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crossed {
    /// Frames sent.
    pub sent: u64,
    /// Frames received while sending went on.
    pub received: u64,
    /// Frames received afterwards.
    pub late: u64,
    /// How long sending went on.
    pub time: Span,
    /// What was lost in the tester and the medium, by counter.
    pub drops: Vec<(String, u64)>,
}

impl Crossed {
    /// Frames sent in a second.
    pub fn sent_rate(&self) -> f64 {
        rate(self.sent, self.time)
    }

    /// Frames received in a second.
    pub fn received_rate(&self) -> f64 {
        rate(self.received, self.time)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds")]
fn rate(frames: u64, time: Span) -> f64 {
    if time.0 == 0 { 0.0 } else { frames as f64 / time.as_secs_f64() }
}

/// Sends on a lane as fast as it goes and receives what comes, for some time.
///
/// # Errors
/// When the tester fails.
pub fn at_full_load(
    tester: &mut impl Tester,
    lane: usize,
    time: Span,
    mut write: impl FnMut(&mut [u8]) -> usize,
) -> io::Result<Crossed> {
    // What is left of an earlier trial is not ours.
    drain(tester, lane)?;
    tester.drops()?;
    let mut crossed = Crossed::default();
    let start = clock::now();
    loop {
        crossed.sent += tester.send(lane, BURST, &mut write)? as u64;
        while receive(tester, lane, &mut crossed.received)? == BURST {}
        tester.step();
        crossed.time = clock::now().since(start);
        if crossed.time >= time {
            break;
        }
    }
    crossed.late = drain(tester, lane)?;
    crossed.drops = tester.drops()?;
    Ok(crossed)
}

fn receive(tester: &mut impl Tester, lane: usize, count: &mut u64) -> io::Result<usize> {
    let came = tester.receive(lane, |_| {})?;
    *count += came as u64;
    Ok(came)
}

/// Receives until nothing comes; how many came.
fn drain(tester: &mut impl Tester, lane: usize) -> io::Result<u64> {
    let mut count = 0;
    let start = clock::now();
    let mut last: Now = start;
    while clock::now().since(last) < QUIET && clock::now().since(start) < DRAIN {
        tester.step();
        if receive(tester, lane, &mut count)? > 0 {
            last = clock::now();
        }
    }
    Ok(count)
}

/// A frame of this size, from the addresses of RFC 2544's test network.
///
/// # Panics
/// When it is smaller than its headers.
pub fn frame(size: usize, src: MacAddr, dst: MacAddr) -> Vec<u8> {
    const HEADERS: usize = eth::HEADER + ip4::HEADER + udp::HEADER;
    let payload = vec![0; size - HEADERS];
    Packet::ip4([198, 18, 0, 2], [198, 19, 0, 2]).udp(49_184, 9, &payload).eth(src, dst).build()
}

/// Frames a second that the tester sends into a veth whose far end takes them in and has no use for
/// them: a sink that counts.
///
/// # Errors
/// When the lab cannot be built.
pub fn sending(
    plan: &Plan,
    cores: &Cores,
    intake: Intake,
    frame: &[u8],
    time: Span,
) -> Result<Crossed, MediumError> {
    let site = Site::veth(plan, cores, intake)?;
    let end = &site.device_ends()[plan.lanes[0].from];
    let before = end.counters()?.rx_packets;
    let mut tester = site.tester()?;
    let mut crossed = at_full_load(&mut tester, 0, time, copy(frame)).doing(sending_fails)?;
    crossed.received = end.counters()?.rx_packets - before;
    Ok(crossed)
}

fn sending_fails() -> String {
    "sending at full load".to_owned()
}

/// Writes the same frame again and again.
pub(super) fn copy(frame: &[u8]) -> impl FnMut(&mut [u8]) -> usize {
    |room| {
        room[..frame.len()].copy_from_slice(frame);
        frame.len()
    }
}

/// Frames a second that the tester sends and receives with a wire in the device's place.
///
/// # Errors
/// When the lab cannot be built.
pub fn wire(
    plan: &Plan,
    cores: &Cores,
    intake: Intake,
    frame: &[u8],
    time: Span,
) -> Result<Crossed, MediumError> {
    let netns = Netns::new("wire")?;
    netns.silence_ip6()?;
    let (near, far) = veth((&netns, "wire-a"), (&netns, "wire-b"))?;
    for end in [&near, &far] {
        end.set_mtu(plan.mtu())?;
        end.offloads_off()?;
        end.up()?;
    }
    far.wait_carrier(true, LINK_UP)?;
    take_in(&far, intake, cores.device[0])?;
    let lane = [Lane { from: 0, to: 1, also: None }];
    let mut tester = Sockets::open(&[near, far], &lane, plan.largest, DropMeter::default())?;
    at_full_load(&mut tester, 0, time, copy(frame)).doing(sending_fails)
}

/// Frames a second that the tester receives while the device's core does nothing but send.
///
/// # Errors
/// When the lab cannot be built.
pub fn receiving(
    plan: &Plan,
    cores: &Cores,
    frame: &[u8],
    time: Span,
) -> Result<Crossed, MediumError> {
    let site = Site::veth(plan, cores, Intake::Sender)?;
    let to = plan.lanes[0].to;
    let ends = &site.device_ends()[to..=to];
    let loopback = [Lane { from: 0, to: 0, also: None }];
    let mut source = Sockets::open(ends, &loopback, plan.largest, DropMeter::default())?;
    let mut tester = site.tester()?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            super::cores::pin(cores.device[0])?;
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                sent += source.send(0, BURST, copy(frame))? as u64;
            }
            Ok::<_, io::Error>(sent)
        });
        let received = receive_for(&mut tester, time);
        done.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut crossed = received.doing(|| "receiving at full load".into())?;
        crossed.sent = sent.doing(sending_fails)?;
        Ok(crossed)
    })
}

fn receive_for(tester: &mut impl Tester, time: Span) -> io::Result<Crossed> {
    let mut crossed = Crossed::default();
    // The sender may take a while to begin.
    let begin = clock::now();
    while tester.receive(0, |_| {})? == 0 && clock::now().since(begin) < DRAIN {}
    tester.drops()?;
    let start = clock::now();
    while crossed.time < time {
        receive(tester, 0, &mut crossed.received)?;
        crossed.time = clock::now().since(start);
    }
    crossed.drops = tester.drops()?;
    Ok(crossed)
}

/// Frames a second through the null forwarder at full load.
///
/// # Errors
/// When the lab cannot be built.
pub fn null(site: &Site, frame: &[u8], time: Span) -> Result<Crossed, MediumError> {
    let _device = Null::start(site)?;
    let mut tester = site.tester()?;
    at_full_load(&mut tester, 0, time, copy(frame)).doing(sending_fails)
}

/// All figures of veth pairs for frames like `frame`. The calling thread should be pinned to the
/// tester's core.
///
/// # Errors
/// When the lab cannot be built.
pub fn veth_pairs(
    plan: &Plan,
    cores: &Cores,
    intake: Intake,
    frame: &[u8],
    time: Span,
) -> Result<Calibration, MediumError> {
    let wire = wire(plan, cores, intake, frame, time)?;
    let receiving = receiving(plan, cores, frame, time)?;
    let null = null(&Site::veth(plan, cores, intake)?, frame, time)?;
    Ok(figures(wire.sent_rate(), &receiving, &null))
}

/// All figures of a medium like the site's, for frames of `size` bytes without check sequence. There
/// is no wire between two TAP devices that the tester could hold: the null forwarder stands for it.
///
/// # Errors
/// When the lab cannot be built.
pub fn site(site: &Site, size: usize, time: Span) -> Result<Calibration, MediumError> {
    let (plan, cores) = (site.plan(), site.cores());
    let frame = frame(size, MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    // Nobody asks for the stations here.
    let mut plan = plan.clone();
    plan.wires.iter_mut().for_each(|wire| wire.stations.clear());
    match site.intake() {
        Some(intake) => veth_pairs(&plan, cores, intake, &frame, time),
        None => {
            let receiving = receiving(&plan, cores, &frame, time)?;
            let null = null(&Site::tap(&plan, cores)?, &frame, time)?;
            Ok(figures(null.sent_rate(), &receiving, &null))
        }
    }
}

fn figures(sent: f64, receiving: &Crossed, null: &Crossed) -> Calibration {
    Calibration {
        sent: Quantity::rate(sent),
        received: Quantity::rate(receiving.received_rate()),
        null_forwarder: Some(Quantity::rate(null.received_rate())),
        verdict: Verdict::ok(),
    }
}
