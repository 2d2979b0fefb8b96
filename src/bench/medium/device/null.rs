//! A forwarder that forwards and nothing else: a thread that moves frames from port to port, each
//! lane's to where they are expected, through the same ports as thruway's.
//!
//! It is the control: what it gets through is what the medium gets through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::cores;
use super::super::drops::DropMeter;
use super::super::error::{Doing, MediumError};
use super::super::site::Site;
use super::super::{Device, Lane};
use super::{INPUT_FULL, idle_share, note};
use crate::bench::record::trial::DeviceFrames;
use crate::frame::batch::Bits;
use crate::frame::{Batch, Outgoing, Pool};
use crate::ids::PortId;
use crate::io::port::{Port, PortKind, PortSpec, Queue};
use crate::io::{Idle, Netns, PacketSpec, Sleeper, TapSpec, clock};
use crate::lab::{Stop, Task, wait};
use crate::sync::Counter;
use crate::time::Span;
use crate::worker::Turns;

/// Frames that it has: those of a full ring and a batch for each port.
const FRAMES: usize = 8192;
/// How long its thread may take to start.
const START: Duration = Duration::from_secs(5);

/// A running null forwarder.
#[derive(Debug)]
pub struct Null {
    // The thread goes before the ports that it uses.
    _task: Task<()>,
    ports: Vec<Port>,
    counted: Arc<Counted>,
    intake: DropMeter,
    threads: Vec<(String, u32)>,
    turns: (u64, u64),
}

#[derive(Debug, Default)]
struct Counted {
    received: Counter,
    sent: Counter,
    split: Counter,
    dropped: Counter,
    dark: Counter,
    busy_turns: Counter,
    idle_turns: Counter,
    /// The thread's id, once it runs.
    thread: Counter,
    /// Until when nothing crosses, on the monotonic clock in nanoseconds.
    dark_until: AtomicU64,
}

impl Null {
    /// Starts it on a site, on the device's first core.
    ///
    /// # Errors
    /// When a port cannot be opened.
    pub fn start(site: &Site) -> Result<Self, MediumError> {
        let (mut ports, mut queues) = (Vec::new(), Vec::new());
        for wire in 0..site.plan().wires.len() {
            let (port, mut own) = Port::open(PortSpec { kind: kind(site, wire), queues: 1 })?;
            ports.push(port);
            queues.append(&mut own);
        }
        let pool = Pool::new(FRAMES).doing(|| "memory for frames".into())?;
        let counted = Arc::new(Counted::default());
        let (theirs, core) = (Arc::clone(&counted), site.cores().device[0]);
        let ways = ways(&site.plan().lanes, queues.len());
        let task = Task::start("null", move |stop| {
            theirs
                .thread
                .add(u64::from(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()));
            // Without the core of its own it is slower, which the sensors show.
            let _ = cores::pin(core);
            forward(queues, pool, &ways, &theirs, stop);
        })?;
        let started = || counted.thread.value() > 0;
        if !wait::until(START, Duration::from_millis(1), started) {
            return Err(MediumError::refused("the null forwarder's thread does not start"));
        }
        let id = u32::try_from(counted.thread.value()).expect("thread ids are 31 bits");
        let mut threads = vec![("null".to_owned(), id)];
        threads.extend(site.threads.iter().cloned());
        let intake = site.intake_drops()?;
        Ok(Self { _task: task, ports, counted, intake, threads, turns: (0, 0) })
    }

    /// What can be done to it while somebody else measures.
    pub fn switch(&self) -> Switch {
        Switch(Arc::clone(&self.counted))
    }
}

/// Does to a null forwarder what failures do.
#[derive(Clone, Debug)]
pub struct Switch(Arc<Counted>);

impl Switch {
    /// Lets nothing cross from now on for some time: what comes in is dropped, and counted.
    pub fn black_out(&self, time: Span) {
        self.0.dark_until.store((clock::now() + time).0, Ordering::Release);
    }
}

/// A null forwarder between two ports, for programs that talk through it: super-frames cross it
/// whole.
#[derive(Debug)]
pub struct Patch {
    // The thread goes before the ports that it uses.
    _task: Task<()>,
    _ports: [Port; 2],
}

impl Patch {
    /// Opens both ports and joins them, on this core; `idle` says what its thread does when there is
    /// nothing to do.
    ///
    /// # Errors
    /// When a port cannot be opened.
    pub fn start(kinds: [PortKind; 2], core: usize, idle: Idle) -> Result<Self, MediumError> {
        let [a, b] = kinds.map(|kind| Port::open(PortSpec { kind, queues: 1 }));
        let ((a, mut queues), (b, mut others)) = (a?, b?);
        queues.append(&mut others);
        let pool = Pool::new(FRAMES).doing(|| "memory for frames".into())?;
        let sleeper = Sleeper::new(idle).doing(|| "a bell".into())?;
        let task = Task::start("null", move |stop| {
            // Without the core of its own it is slower.
            let _ = cores::pin(core);
            patch(queues, pool, sleeper, stop);
        })?;
        Ok(Self { _task: task, _ports: [a, b] })
    }
}

fn patch(mut queues: Vec<Queue>, mut pool: Pool, mut sleeper: Sleeper, stop: &Stop) {
    let mut batch = Batch::new();
    let mut out = Vec::with_capacity(crate::frame::BATCH);
    while !stop.asked() {
        let mut work = 0;
        for from in 0..queues.len() {
            let port = PortId::from_index(from);
            let counts = queues[from].receive(port, clock::now(), &mut pool, &mut batch);
            work += counts.frames as usize;
            for i in Bits(batch.live()) {
                let (frame, row) = batch.take(i);
                out.push(Outgoing::new(frame, &row));
            }
            batch.finish(&mut pool, |_, _| {});
            queues[1 - from].transmit(&mut out, &mut pool);
        }
        if sleeper.rest(work, queues.iter(), Span::millis(100)).is_err() {
            // It polls on, which the figures show.
            std::hint::spin_loop();
        }
    }
}

/// Where what comes in at each port goes out; nowhere without a lane.
fn ways(lanes: &[Lane], ports: usize) -> Vec<Option<usize>> {
    let to = |from| lanes.iter().find(|lane| lane.from == from).map(|lane| lane.to);
    (0..ports).map(to).collect()
}

fn kind(site: &Site, wire: usize) -> PortKind {
    let name = site.tester_ends()[wire].name();
    match site.device_ends().get(wire) {
        Some(_) => PortKind::Packet(PacketSpec {
            netns: Some(Netns::Path(site.device_netns().path())),
            allow_host_interface: true,
            ..PacketSpec::new(name)
        }),
        None => PortKind::Tap(TapSpec {
            netns: Some(Netns::Path(site.tester_netns().path())),
            mtu: site.plan().mtu(),
            ..TapSpec::new(name)
        }),
    }
}

fn forward(
    mut queues: Vec<Queue>,
    mut pool: Pool,
    ways: &[Option<usize>],
    counted: &Counted,
    stop: &Stop,
) {
    let mut batch = Batch::new();
    let mut out = Vec::with_capacity(crate::frame::BATCH);
    let mut turns = Turns::default();
    while !stop.asked() {
        let mut work = 0;
        for (from, way) in ways.iter().enumerate() {
            let port = PortId::from_index(from);
            let now = clock::now();
            let counts = queues[from].receive(port, now, &mut pool, &mut batch);
            work += u64::from(counts.frames);
            counted.received.add(u64::from(counts.frames));
            counted.split.add(u64::from(counts.split));
            counted.dropped.add(u64::from(counts.no_frame + counts.too_long + counts.super_frame));
            batch.settle();
            for i in Bits(batch.live()) {
                let (frame, row) = batch.take(i);
                out.push(Outgoing::new(frame, &row));
            }
            batch.finish(&mut pool, |_, _| {});
            if now.0 < counted.dark_until.load(Ordering::Acquire) {
                counted.dark.add(out.len() as u64);
                out.drain(..).for_each(|out| pool.put(out.frame));
            }
            match way {
                Some(to) => {
                    let counts = queues[*to].transmit(&mut out, &mut pool);
                    counted.sent.add(u64::from(counts.frames));
                    counted.dropped.add(u64::from(counts.too_long + counts.down + counts.full));
                }
                None => {
                    counted.dropped.add(out.len() as u64);
                    out.drain(..).for_each(|out| pool.put(out.frame));
                }
            }
        }
        turns.note(clock::now(), work > 0, &counted.busy_turns, &counted.idle_turns);
    }
}

impl Device for Null {
    fn name(&self) -> &str {
        "null"
    }

    fn accounts(&mut self) -> std::io::Result<Option<DeviceFrames>> {
        let own = &self.counted;
        let mut frames = DeviceFrames {
            received: own.received.value(),
            split: own.split.value(),
            sent: own.sent.value(),
            ..DeviceFrames::default()
        };
        note(&mut frames.dropped, "not_sent", own.dropped.value());
        note(&mut frames.dropped, "black_out", own.dark.value());
        let turns = (own.busy_turns.value(), own.idle_turns.value());
        frames.idle_turns = idle_share(self.turns, turns);
        self.turns = turns;
        let full = self.ports.iter_mut().map(Port::medium_drops).sum::<u64>()
            + self.intake.total().map_err(std::io::Error::other)?;
        frames.received += full;
        note(&mut frames.dropped, INPUT_FULL, full);
        Ok(Some(frames))
    }

    fn threads(&self) -> Vec<(String, u32)> {
        self.threads.clone()
    }

    fn reset(&mut self) -> std::io::Result<bool> {
        Ok(true)
    }
}
