//! What does it cost to hand frames to another core and back? Two threads and rings between them:
//! the tester in one, a forwarder in the other.
//!
//! Frames move by ownership, as many in one go as were sent at once, and are allotted once; a
//! frame that the forwarder drops goes back marked. When all frames are under way the tester can
//! send no more. The forwarder spins while there is work and gives its core away when there is
//! none for long, so that the two get along on a single one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crossbeam::queue::ArrayQueue;

use super::{BURST, Device, Tester};
use crate::bench::record::Quantity;
use crate::bench::record::trial::DeviceFrames;
use crate::bench::trial::sense::this_thread;
use crate::io::sys::affinity;

/// A frame under way.
#[derive(Debug)]
pub struct Frame {
    bytes: Box<[u8]>,
    size: usize,
    is_dropped: bool,
}

/// Frames that travel together, in order.
type Burst = Vec<Frame>;

impl Frame {
    /// The bytes, from the Ethernet header on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    /// The bytes, to be rewritten.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.size]
    }
}

/// What rings there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSpec {
    /// Lanes, each with a ring there and one back.
    pub lanes: usize,
    /// Frames of a lane that are under way at most.
    pub depth: usize,
    /// Bytes of the largest frame.
    pub frame_size: usize,
    /// The forwarder's core; any when none.
    pub cpu: Option<usize>,
}

impl Default for RingSpec {
    /// One lane of 1,024 frames of 2,048 bytes.
    fn default() -> Self {
        Self { lanes: 1, depth: 1024, frame_size: 2048, cpu: None }
    }
}

/// One lane's rings, each with room for all bursts that there are.
#[derive(Debug)]
struct Lane {
    there: ArrayQueue<Burst>,
    back: ArrayQueue<Burst>,
}

/// What both threads share.
#[derive(Debug)]
struct Shared {
    lanes: Vec<Lane>,
    stop: AtomicBool,
    received: AtomicU64,
    sent: AtomicU64,
    turns: AtomicU64,
    idle: AtomicU64,
}

/// One lane's frames at the tester's end.
#[derive(Debug)]
struct Spare {
    frames: Vec<Frame>,
    bursts: Vec<Burst>,
    /// A burst that came back and was not shown whole, the next frame last.
    rest: Burst,
}

/// The tester's end.
#[derive(Debug)]
pub struct Ring {
    shared: Arc<Shared>,
    spare: Vec<Spare>,
}

/// The forwarder's thread, which ends with it.
#[derive(Debug)]
pub struct RingDevice {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    id: u32,
    /// Turns, and those without work, at the last reading.
    turns: (u64, u64),
}

/// Rings with a forwarder that does nothing.
///
/// # Errors
/// As [`ring`].
pub fn null(spec: &RingSpec) -> io::Result<(Ring, RingDevice)> {
    ring(spec, |_, _| true)
}

/// Rings with `forward` at their far end: it is shown each frame and its lane, may rewrite it, and
/// says whether it goes on.
///
/// # Errors
/// When the thread cannot be started, or not pinned to the spec's core.
pub fn ring(
    spec: &RingSpec,
    forward: impl FnMut(usize, &mut Frame) -> bool + Send + 'static,
) -> io::Result<(Ring, RingDevice)> {
    let depth = spec.depth.max(1);
    let lane = |_| Lane { there: ArrayQueue::new(depth), back: ArrayQueue::new(depth) };
    let shared = Arc::new(Shared {
        lanes: (0..spec.lanes).map(lane).collect(),
        stop: AtomicBool::new(false),
        received: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        turns: AtomicU64::new(0),
        idle: AtomicU64::new(0),
    });
    let (tell, told) = mpsc::channel();
    let (theirs, cpu) = (Arc::clone(&shared), spec.cpu);
    let thread = std::thread::Builder::new().name("forwarder".to_owned()).spawn(move || {
        let pinned = cpu.map_or(Ok(()), affinity::pin);
        let is_pinned = pinned.is_ok();
        if tell.send(pinned.map(|()| this_thread())).is_ok() && is_pinned {
            theirs.forward(forward);
        }
    })?;
    let id = told.recv().map_err(|_| io::Error::other("the forwarder's thread ended early"))??;
    let frame = |_| Frame { bytes: vec![0; spec.frame_size].into(), size: 0, is_dropped: false };
    let spare = |_| Spare {
        frames: (0..depth).map(frame).collect(),
        bursts: (0..depth).map(|_| Burst::with_capacity(BURST)).collect(),
        rest: Burst::with_capacity(BURST),
    };
    let spare = (0..spec.lanes).map(spare).collect();
    let ring = Ring { shared: Arc::clone(&shared), spare };
    Ok((ring, RingDevice { shared, thread: Some(thread), id, turns: (0, 0) }))
}

/// Turns without work after which the forwarder lets others run.
const PATIENCE: u32 = 10_000;

impl Shared {
    /// The forwarder's loop.
    fn forward(&self, mut forward: impl FnMut(usize, &mut Frame) -> bool) {
        let mut idle = 0_u32;
        while !self.stop.load(Ordering::Relaxed) {
            let lanes = self.lanes.iter().enumerate();
            let work: usize = lanes.map(|(i, lane)| self.burst(i, lane, &mut forward)).sum();
            self.turns.fetch_add(1, Ordering::Relaxed);
            if work > 0 {
                idle = 0;
                continue;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            idle = idle.saturating_add(1);
            if idle < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    /// Forwards one burst of a lane; returns how many frames it had.
    fn burst(
        &self,
        index: usize,
        lane: &Lane,
        forward: &mut impl FnMut(usize, &mut Frame) -> bool,
    ) -> usize {
        let Some(mut burst) = lane.there.pop() else { return 0 };
        let (len, mut sent) = (burst.len(), 0);
        for frame in &mut burst {
            frame.is_dropped = !forward(index, frame);
            sent += u64::from(!frame.is_dropped);
        }
        lane.back.push(burst).expect("it has room for all bursts");
        // After the frames, so that who sees the counts sees no frame under way.
        self.sent.fetch_add(sent, Ordering::Release);
        self.received.fetch_add(len as u64, Ordering::Release);
        len
    }
}

impl Tester for Ring {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        mut write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        let (rings, spare) = (&self.shared.lanes[lane], &mut self.spare[lane]);
        let len = want.min(spare.frames.len()).min(BURST);
        if len == 0 {
            return Ok(0);
        }
        let Some(mut burst) = spare.bursts.pop() else { return Ok(0) };
        for mut frame in spare.frames.drain(spare.frames.len() - len..) {
            frame.size = write(&mut frame.bytes);
            burst.push(frame);
        }
        rings.there.push(burst).expect("it has room for all bursts");
        Ok(len)
    }

    fn receive(&mut self, lane: usize, mut look: impl FnMut(&[u8])) -> io::Result<usize> {
        let (rings, spare) = (&self.shared.lanes[lane], &mut self.spare[lane]);
        let mut len = 0;
        while len < BURST {
            let Some(frame) = spare.rest.pop() else {
                let Some(mut burst) = rings.back.pop() else { break };
                burst.reverse();
                spare.bursts.push(std::mem::replace(&mut spare.rest, burst));
                continue;
            };
            if !frame.is_dropped {
                look(frame.bytes());
                len += 1;
            }
            spare.frames.push(frame);
        }
        Ok(len)
    }

    fn step(&mut self) {}

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        Ok(Vec::new())
    }
}

impl Device for RingDevice {
    fn name(&self) -> &str {
        "null"
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let shared = &self.shared;
        // Counted last and read first: frames that it knows of are in the other counts.
        let received = read(&shared.received);
        let turns = (read(&shared.turns), read(&shared.idle));
        let passed = (turns.0 - self.turns.0, turns.1.saturating_sub(self.turns.1));
        let idle = (passed.0 > 0).then(|| Quantity::ratio(passed.1 as f64 / passed.0 as f64));
        self.turns = turns;
        let sent = read(&shared.sent);
        // Frames of a burst that is counted as sent and not as received yet were not dropped.
        let dropped = BTreeMap::from([("refused".to_owned(), received.saturating_sub(sent))]);
        Ok(Some(DeviceFrames {
            received,
            sent,
            dropped,
            idle_turns: idle,
            ..DeviceFrames::default()
        }))
    }

    fn threads(&self) -> Vec<(String, u32)> {
        vec![("forwarder".to_owned(), self.id)]
    }

    fn reset(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Drop for RingDevice {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A forwarder that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends numbered frames and returns what comes back, until `frames` are accounted for.
    fn cross(
        frames: usize,
        spec: &RingSpec,
        forward: impl FnMut(usize, &mut Frame) -> bool + Send + 'static,
    ) -> (Vec<u8>, DeviceFrames) {
        let (mut ring, mut device) = ring(spec, forward).unwrap();
        let (mut sent, mut seen) = (0, Vec::new());
        loop {
            let mut number = sent;
            sent += ring
                .send(0, (frames - sent).min(BURST), |buf| {
                    buf[0] = u8::try_from(number % 251).unwrap();
                    number += 1;
                    1
                })
                .unwrap();
            ring.receive(0, |frame| seen.push(frame[0])).unwrap();
            let accounts = device.accounts().unwrap().unwrap();
            let dropped: u64 = accounts.dropped.values().sum();
            let back = seen.len() as u64 + dropped;
            if accounts.received == frames as u64 && back == accounts.received {
                return (seen, accounts);
            }
        }
    }

    #[test]
    fn frames_come_back_in_order_and_none_is_lost() {
        let (seen, accounts) = cross(20_000, &RingSpec::default(), |_, _| true);
        let expected: Vec<u8> = (0..20_000).map(|i| u8::try_from(i % 251).unwrap()).collect();
        assert!(seen == expected);
        assert_eq!((accounts.received, accounts.sent), (20_000, 20_000));
    }

    #[test]
    fn a_forwarder_may_rewrite_and_drop_and_its_frames_are_used_again() {
        // Far more frames than there are, half of them dropped.
        let mut number = 0_u32;
        let (seen, accounts) =
            cross(5_000, &RingSpec { depth: 16, ..Default::default() }, move |_, frame| {
                frame.bytes_mut()[0] ^= 0xff;
                number += 1;
                number.is_multiple_of(2)
            });
        assert_eq!((accounts.dropped["refused"], accounts.sent), (2_500, 2_500));
        let expected = (1..5_000_u32).step_by(2).map(|i| !u8::try_from(i % 251).unwrap());
        assert!(seen.iter().copied().eq(expected));
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused() {
        let spec = RingSpec { cpu: Some(100_000), ..RingSpec::default() };
        assert!(null(&spec).is_err());
    }
}
