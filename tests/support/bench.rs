//! One worker on memory ports with every neighbour known, for what must be measured or counted.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::sync::Arc;

use thruway::compile::{self, Compiled};
use thruway::frame::{HEADROOM, Outgoing, Pool};
use thruway::ids::{NeighbourId, WorkerId};
use thruway::io::memory::{self, End};
use thruway::io::{Port, PortKind, PortSpec};
use thruway::model::Model;
use thruway::neighbour::{NeighbourState, Word};
use thruway::stage::Shards;
use thruway::stage::state::Sizes;
use thruway::sync::Published;
use thruway::tables::{CounterNames, Counters};
use thruway::time::{Now, Span};
use thruway::worker::{Parts, Rings, Wake, Worker};

use super::lab::*;
use super::traffic::Traffic;

/// The lab without limits.
pub fn without_limits() -> String {
    CONFIG.replace("limits  = \"enforce\"", "limits  = \"off\"")
}

/// The lab with every limit asked and none reached.
pub fn with_room() -> String {
    CONFIG
        .replace("\"50 Mbps\"", "\"10 Gbps\"")
        .replace("policing         = { burst_bytes = 6000, accounting = \"l3\" }", "")
        .replace("sessions = 4096", "sessions = 262144")
}

/// The same without the network security group.
pub fn without_nsg(text: &str) -> String {
    text.replace(", nsg = \"web\"", "")
}

/// Compiles a configuration whose neighbours have all answered.
pub fn compiled(text: &str) -> (Model, Compiled) {
    let mut model = model(text);
    model.cables.clear();
    let compiled = compile::compile(&model, 1).expect("the lab can be forwarded");
    for (index, spec) in compiled.neighbours.iter().enumerate() {
        let word = Word::new(spec.mac.unwrap_or(CE), NeighbourState::Reachable);
        compiled.tables.words.store(NeighbourId::from_index(index), word);
    }
    (model, compiled)
}

/// Counters for all that a model has.
pub fn counters(model: &Model, compiled: &Compiled) -> Counters {
    Counters::new(CounterNames {
        ports: model.ports.len(),
        meters: compiled.meters.len(),
        gateways: compiled.gateways.len(),
    })
}

/// Sessions and flows of all shards, the same in every run; small, so that set-up is quick.
pub fn shards(compiled: &Compiled) -> Shards {
    let state = (&compiled.tables.nats[..], &compiled.tables.gateways[..]);
    let sizes = Sizes { nsg_flows: 1024, gateway_flows: 1024, ..Sizes::default() };
    Shards::new(sizes, state, 0, |_| true)
}

pub struct Bench {
    pub worker: Worker,
    ends: Vec<End>,
    pool: Pool,
    ports: HashMap<String, usize>,
    now: Now,
    _compiled: Compiled,
    _published: Arc<Published<thruway::tables::Tables>>,
}

impl Bench {
    /// Every port stands open, those of cables too.
    pub fn new(text: &str) -> Self {
        let (model, compiled) = compiled(text);
        let (mut queues, mut ends) = (Vec::new(), Vec::new());
        for own in &model.ports {
            let (plug, far) = memory::cable(1, 1024).expect("memory");
            let kind = PortKind::Memory { name: own.name.to_string(), plug };
            let (_, mut own) = Port::open(PortSpec { kind, queues: 1 }).expect("a memory port");
            queues.push(own.remove(0));
            ends.push(far.into_ends().remove(0));
        }
        let published = Arc::new(Published::new(compiled.tables.clone()));
        let mut pools = Pool::family(2, 1024).expect("memory");
        let worker = Worker::new(Parts {
            id: WorkerId(0),
            tables: published.reader(),
            queues,
            pool: pools.remove(0),
            shards: shards(&compiled),
            counters: Arc::new(counters(&model, &compiled)),
            rings: Rings::new(1024),
            to: vec![(Arc::new(crossbeam::queue::ArrayQueue::new(1)), Wake::nobody())],
            wake_control: Wake::nobody(),
            from: Vec::new(),
        });
        let names = model.ports.iter().enumerate();
        let ports = names.map(|(index, own)| (own.name.to_string(), index)).collect();
        let pool = pools.remove(0);
        let now = START;
        Self { worker, ends, pool, ports, now, _compiled: compiled, _published: published }
    }

    pub fn port(&self, name: &str) -> usize {
        self.ports[name]
    }

    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Lines frames up at a port.
    pub fn push(&mut self, port: usize, bytes: &[u8]) {
        let mut frame = self.pool.take().expect("frames come back each round");
        frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let off = u16::try_from(HEADROOM).expect("small");
        let out = Outgoing::plain(frame, off, bytes.len(), self.now);
        self.ends[port].push(out, None).expect("there is room");
    }

    /// One turn, a millisecond after the last.
    pub fn turn(&mut self) {
        self.turn_after(Span::millis(1));
    }

    /// One turn, so long after the last.
    pub fn turn_after(&mut self, span: Span) {
        self.now = self.now + span;
        self.worker.turn(self.now);
    }

    /// Takes what left by any port; returns how many frames that was.
    pub fn drain(&mut self, mut look: impl FnMut(usize, &[u8])) -> usize {
        let mut count = 0;
        for (port, end) in self.ends.iter_mut().enumerate() {
            while let Some(out) = end.pop() {
                look(port, out.bytes());
                self.pool.put(out.frame);
                count += 1;
            }
        }
        count
    }

    /// Lets one batch through; returns how many frames left.
    pub fn round(&mut self, traffic: &Traffic) -> usize {
        for frame in &traffic.frames {
            self.push(traffic.port, frame);
        }
        self.turn();
        self.drain(|_, _| {})
    }
}
