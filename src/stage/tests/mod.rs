//! The stages on tables that a small lab compiles to: frames in, frames out, accounts balanced.

mod crossed;
mod express;
mod headers;
mod limits;
mod routed;
mod super_frames;
mod workers;

use std::net::Ipv4Addr;

use crate::compile::{Compiled, compile, port_mac};
use crate::config;
use crate::fib::{FibWriter, Form};
use crate::frame::{Batch, DropReason, HEADROOM, Pool, Row};
use crate::ids::{NeighbourId, PortId, WorkerId};
use crate::model::Model;
use crate::neighbour::{NeighbourState, Word};
use crate::pipeline;
use crate::stage::{Context, Message, Outbox, Punt, Shards};
use crate::tables::{CounterNames, Counters};
use crate::time::{Now, Span};
use crate::wire::eth::MacAddr;

const LAB: &str = include_str!("../../../docs/examples/lab.toml");

/// The MAC address of everybody who sends in these tests.
const SENDER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
/// Frames that each worker begins with.
const FRAMES: usize = 512;

/// What belongs to one worker.
struct Own {
    shards: Shards,
    pool: Pool,
    counters: Counters,
    out: Outbox,
}

/// A lab without ports: frames go in by name and come out by name.
struct Lab {
    model: Model,
    compiled: Compiled,
    workers: Vec<Own>,
    punts: Vec<Punt>,
    now: Now,
    /// Time between two frames of a batch.
    apart: Span,
    /// What received frames go through.
    enter: fn(&mut Context<'_>, &mut Batch),
    /// Super-frames that left whole.
    whole: usize,
}

impl Lab {
    /// The lab of the documents.
    fn new() -> Self {
        Self::of(LAB, 1)
    }

    /// The lab with passages replaced, each of which stands in it once.
    fn with(changes: &[(&str, &str)]) -> Self {
        Self::of(&lab_with(changes), 1)
    }

    fn of(text: &str, workers: usize) -> Self {
        let sizes = super::state::Sizes { nsg_flows: 64, gateway_flows: 64, fragments: 16 };
        Self::sized(text, workers, sizes)
    }

    /// A lab whose workers keep so much state.
    fn sized(text: &str, workers: usize, sizes: super::state::Sizes) -> Self {
        let loaded = config::parse("lab.toml", text).unwrap_or_else(|report| panic!("{report:?}"));
        let compiled = compile(&loaded.model, workers).unwrap();
        let tables = &compiled.tables;
        let names = CounterNames {
            ports: tables.ports.len(),
            meters: compiled.meters.len(),
            gateways: tables.gateways.len(),
        };
        let pools = Pool::family(workers, FRAMES).unwrap();
        let own = |(id, pool)| Own {
            shards: Shards::new(sizes, (&tables.nats, &tables.gateways), 7, |shard| {
                tables.owner(shard) == WorkerId::from_index(id)
            }),
            pool,
            counters: Counters::new(names),
            out: Outbox::new(tables.ports.len(), workers),
        };
        let workers = pools.into_iter().enumerate().map(own).collect();
        let lab = Self {
            model: loaded.model,
            compiled,
            workers,
            punts: Vec::new(),
            now: Now(1 << 40),
            apart: Span::ZERO,
            enter: pipeline::received,
            whole: 0,
        };
        for n in 0..lab.compiled.neighbours.len() {
            lab.set(NeighbourId::from_index(n), NeighbourState::Reachable);
        }
        lab
    }

    /// Gives every routing domain the wide form of its table.
    fn widen(&mut self) {
        for (fib, writer) in self.compiled.tables.fibs.iter_mut().zip(&self.compiled.fibs) {
            let routes = writer.routes().iter().map(|(prefix, hop)| (prefix, *hop));
            let wide = FibWriter::build_as(Form::Wide, routes).unwrap().fib();
            assert!(wide.is_wide());
            *fib = wide;
        }
    }

    fn set(&self, id: NeighbourId, state: NeighbourState) {
        self.compiled.tables.words.store(id, Word::new(neighbour_mac(id), state));
    }

    /// The neighbour with this address; by attachment where several have it.
    fn neighbour(&self, address: &str) -> NeighbourId {
        let address: Ipv4Addr = address.parse().unwrap();
        let found = self.compiled.neighbours.iter().position(|own| own.address == address);
        NeighbourId::from_index(found.expect("the tables name this neighbour"))
    }

    fn mac_of(&self, address: &str) -> MacAddr {
        neighbour_mac(self.neighbour(address))
    }

    fn port(&self, name: &str) -> PortId {
        let found = self.model.ports.iter().position(|port| port.name.as_str() == name);
        PortId::from_index(found.expect("the lab has this port"))
    }

    /// thruway's MAC address on a port.
    fn router(&self, port: &str) -> MacAddr {
        port_mac(&self.model.ports[self.port(port).index()])
    }

    /// Sends frames into a port as one batch and returns what leaves, each with its port's name.
    fn send(&mut self, port: &str, frames: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
        self.send_at(0, port, frames)
    }

    /// As [`Lab::send`], into the queue of one worker.
    fn send_at(&mut self, worker: usize, port: &str, frames: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
        let port = self.port(port);
        let mut batch = Batch::new();
        let own = &mut self.workers[worker];
        own.out.express.resume();
        for bytes in frames {
            let mut frame = own.pool.take().unwrap();
            frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            let row = Row {
                off: u16::try_from(HEADROOM).unwrap(),
                len: u32::try_from(bytes.len()).unwrap(),
                port,
                arrival: self.now,
                ..Row::default()
            };
            self.now = self.now + self.apart;
            batch.push(frame, row).unwrap();
            own.counters.received.add(1);
        }
        self.run(worker, &mut batch, self.enter);
        self.settle()
    }

    /// Looks held frames up again, as a worker does once their neighbour has answered.
    fn release(&mut self) -> Vec<(String, Vec<u8>)> {
        for worker in 0..self.workers.len() {
            let mut batch = Batch::new();
            let own = &mut self.workers[worker];
            for held in own.out.held.drain(..) {
                own.counters.held.sub(1);
                batch.push(held.frame, held.row).unwrap();
            }
            self.run(worker, &mut batch, pipeline::released);
        }
        self.settle()
    }

    fn run(&mut self, worker: usize, batch: &mut Batch, stages: fn(&mut Context<'_>, &mut Batch)) {
        let own = &mut self.workers[worker];
        let mut cx = Context {
            tables: &self.compiled.tables,
            worker: WorkerId::from_index(worker),
            shards: &mut own.shards,
            pool: &mut own.pool,
            counters: &own.counters,
            out: &mut own.out,
        };
        stages(&mut cx, batch);
    }

    /// Takes handed-over packets to their workers until nothing moves, collects what leaves, and
    /// checks the accounts.
    fn settle(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut hops = 0;
        while let Some((to, packets)) = self.handed_over() {
            let mut batch = Batch::new();
            for (frame, row) in packets {
                batch.push(frame, row).unwrap();
            }
            self.run(to, &mut batch, pipeline::handed_over);
            hops += 1;
            assert!(hops < 100, "packets go round between workers");
        }
        let mut left = Vec::new();
        for own in &mut self.workers {
            for (port, frames) in own.out.ports.iter_mut().enumerate() {
                for out in frames.drain(..) {
                    let name = self.model.ports[port].name.to_string();
                    let wire = super_frames::on_the_wire(&out);
                    self.whole += usize::from(out.header().is_super_frame());
                    own.counters.split.add(wire.len() as u64 - 1);
                    own.counters.sent.add(wire.len() as u64);
                    left.extend(wire.into_iter().map(|bytes| (name.clone(), bytes)));
                    own.pool.put(out.frame);
                }
            }
            for punt in own.out.punts.drain(..) {
                own.counters.punted.add(u64::from(matches!(punt, Punt::Frame(..))));
                self.punts.push(punt);
            }
        }
        self.check_accounts();
        left
    }

    fn handed_over(&mut self) -> Option<(usize, Vec<(crate::frame::Frame, Row)>)> {
        self.workers.iter_mut().find_map(|own| {
            let (to, packets) =
                own.out.workers.iter_mut().enumerate().find(|(_, p)| !p.is_empty())?;
            Some((to, std::mem::take(packets)))
        })
    }

    /// received + originated + split = sent + dropped + punted + answered + held, and no frame is
    /// lost.
    fn check_accounts(&self) {
        let sum = |of: fn(&Counters) -> u64| -> u64 {
            self.workers.iter().map(|own| of(&own.counters)).sum()
        };
        let came = sum(|c| c.received.value() + c.originated.value() + c.split.value());
        let went = sum(|c| {
            c.sent.value()
                + c.dropped_total()
                + c.punted.value()
                + c.answered.value()
                + c.held.value()
        });
        assert_eq!(came, went, "{:?}", self.drops());
        let home: usize = self.workers.iter().map(|own| own.pool.len()).sum();
        let depot = self.workers[0].pool.available() - self.workers[0].pool.len();
        let held: usize = self.workers.iter().map(|own| own.out.held.len()).sum();
        let punted = self.punts.iter().filter(|punt| matches!(punt, Punt::Frame(..))).count();
        assert_eq!(home + depot + held + punted, FRAMES * self.workers.len(), "a frame is lost");
    }

    /// What was dropped so far, by name.
    fn drops(&self) -> Vec<(&'static str, u64)> {
        let count = |reason: &DropReason| -> u64 {
            self.workers.iter().map(|own| own.counters.dropped[*reason as usize].value()).sum()
        };
        let all = DropReason::ALL.iter().map(|reason| (reason.name(), count(reason)));
        all.filter(|(_, n)| *n > 0).collect()
    }

    /// The counters of one meter: `contoso private primary`, on Microsoft's side.
    fn meter(&self, name: &str) -> [u64; 6] {
        let found = self.compiled.meters.iter().position(|own| {
            own.side == crate::compile::Side::Microsoft
                && format!("{} {} {}", own.circuit, own.peering, own.link) == name
        });
        let id = crate::ids::MeterId::from_index(found.expect("the lab has this meter"));
        let meter = self.workers[0].counters.meter(id);
        [
            meter.in_packets.value(),
            meter.in_bytes.value(),
            meter.in_policed.value(),
            meter.out_packets.value(),
            meter.out_bytes.value(),
            meter.out_policed.value(),
        ]
    }

    /// What stages wished for from control.
    fn messages(&mut self) -> Vec<Message> {
        let punts = self.punts.drain(..);
        punts
            .map(|punt| match punt {
                Punt::Message(message) => message,
                Punt::Frame(..) => panic!("a frame was punted"),
            })
            .collect()
    }

    /// Gives back the frames that were punted; returns how many.
    fn take_punted(&mut self) -> usize {
        let mut taken = 0;
        for punt in self.punts.drain(..) {
            if let Punt::Frame(frame, _) = punt {
                self.workers[0].pool.put(frame);
                taken += 1;
            }
        }
        taken
    }
}

fn neighbour_mac(id: NeighbourId) -> MacAddr {
    let [_, _, hi, lo] = id.0.to_be_bytes();
    MacAddr([2, 0, 0, 1, hi, lo])
}

/// The documents' lab with passages replaced.
fn lab_with(changes: &[(&str, &str)]) -> String {
    let mut text = LAB.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from:?} stands in the lab once");
        text = text.replacen(from, to, 1);
    }
    text
}

/// Frames as one line each, with the port they left by.
fn shown(frames: &[(String, Vec<u8>)]) -> Vec<String> {
    frames.iter().map(|(port, bytes)| format!("{port}: {}", crate::wire::show(bytes))).collect()
}
