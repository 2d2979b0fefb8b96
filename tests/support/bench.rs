//! One worker on memory ports with every neighbour known, for what must be measured or counted.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::sync::Arc;

use thruway::compile::{self, Compiled};
use thruway::frame::{HEADROOM, Outgoing, Pool};
use thruway::ids::{NeighbourId, WorkerId};
use thruway::io::memory::{self, End};
use thruway::io::{Port, PortKind, PortSpec};
use thruway::neighbour::{NeighbourState, Word};
use thruway::stage::Shards;
use thruway::stage::state::Sizes;
use thruway::sync::Published;
use thruway::tables::{CounterNames, Counters};
use thruway::time::{Now, Span};
use thruway::wire::build::{Packet, TcpFields};
use thruway::worker::{Parts, Rings, Wake, Worker};

use crate::lab::*;

pub struct Bench {
    pub worker: Worker,
    ends: Vec<End>,
    pool: Pool,
    ports: HashMap<String, usize>,
    now: Now,
    _compiled: Compiled,
    _published: Arc<Published<thruway::tables::Tables>>,
}

/// The lab with limits off and a service whose server is a router of its own.
pub fn config() -> String {
    CONFIG.replace("limits  = \"enforce\"", "limits  = \"off\"")
}

impl Bench {
    /// Every port stands open, those of cables too.
    pub fn new(text: &str) -> Self {
        let mut model = model(text);
        model.cables.clear();
        let compiled = compile::compile(&model, 1).expect("the lab can be forwarded");
        for (index, spec) in compiled.neighbours.iter().enumerate() {
            let word = Word::new(spec.mac.unwrap_or(CE), NeighbourState::Reachable);
            compiled.tables.words.store(NeighbourId::from_index(index), word);
        }
        let (mut queues, mut ends) = (Vec::new(), Vec::new());
        for own in &model.ports {
            let (plug, far) = memory::cable(1, 1024).expect("memory");
            let kind = PortKind::Memory { name: own.name.to_string(), plug };
            let (_, mut own) = Port::open(PortSpec { kind, queues: 1 }).expect("a memory port");
            queues.push(own.remove(0));
            ends.push(far.into_ends().remove(0));
        }
        let names = CounterNames {
            ports: model.ports.len(),
            meters: compiled.meters.len(),
            gateways: compiled.gateways.len(),
        };
        let counters = Arc::new(Counters::new(names));
        let published = Arc::new(Published::new(compiled.tables.clone()));
        let tables = &compiled.tables;
        let state = (&tables.nats[..], &tables.gateways[..]);
        let mut pools = Pool::family(2, 1024).expect("memory");
        let worker = Worker::new(Parts {
            id: WorkerId(0),
            tables: published.reader(),
            queues,
            pool: pools.remove(0),
            shards: Shards::new(Sizes::default(), state, 0, |_| true),
            counters: Arc::clone(&counters),
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

    /// Lines frames up at a port.
    pub fn push(&mut self, port: usize, bytes: &[u8]) {
        let mut frame = self.pool.take().expect("frames come back each round");
        frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let off = u16::try_from(HEADROOM).expect("small");
        let len = u16::try_from(bytes.len()).expect("small");
        let out = Outgoing { frame, off, len, order: 0, at: self.now };
        self.ends[port].push(out, None).expect("there is room");
    }

    /// One turn, a millisecond after the last.
    pub fn turn(&mut self) {
        self.now = self.now + Span::millis(1);
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
}

/// Traffic of one kind: the port it enters by and 64 frames of 64 bytes, check sequence included,
/// of 64 flows.
pub struct Traffic {
    pub name: &'static str,
    pub port: usize,
    pub frames: Vec<Vec<u8>>,
}

fn tcp(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16) -> Packet {
    let fields = TcpFields { src: sport, dst: dport, ..TcpFields::default() };
    Packet::ip4(src, dst).tcp(fields, b"")
}

fn flows(make: impl Fn(u16) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..64).map(make).collect()
}

/// What is measured; NAT's sessions are open afterwards.
pub fn mix(bench: &mut Bench) -> Vec<Traffic> {
    let ce = bench.port("ce-1");
    let (pe, edge, hub, spoke) =
        (bench.port("pe-pri"), bench.port("msee-pri"), bench.port("hub"), bench.port("spoke"));
    let onprem = [192, 168, 1, 1];
    let cross =
        |n| tagged(tcp(onprem, [10, 20, 1, 4], 5000 + n, 443).eth(CE, EDGE1), &[200]).build();
    let fastpath =
        |n| tagged(tcp(onprem, [10, 10, 1, 4], 5000 + n, 443).eth(CE, EDGE1), &[1001, 200]).build();
    let gateway =
        |n| tagged(tcp(onprem, [10, 20, 1, 4], 5000 + n, 443).eth(CE, EDGE1), &[1001, 200]).build();
    let in2out = |n: u16| {
        let host = n.to_le_bytes()[0];
        let packet =
            Packet::ip4([192, 168, 3, host], [198, 51, 100, 10]).udp(5000 + n, 443, &[0; 18]);
        tagged(packet.eth(CE, EDGE1), &[300]).build()
    };
    let answers = |n| tcp([10, 10, 1, 4], onprem, 443, 5000 + n).eth(WEB, HUB).build();
    let plain = |n| tcp([10, 20, 1, 4], onprem, 443, 5000 + n).eth(APP, SPOKE).build();
    let mut all = vec![
        Traffic { name: "provider QinQ push", port: ce, frames: flows(cross) },
        Traffic { name: "FastPath + NSG", port: edge, frames: flows(fastpath) },
        Traffic { name: "gateway", port: edge, frames: flows(gateway) },
        Traffic { name: "VM to on-premises, NSG", port: hub, frames: flows(answers) },
        Traffic { name: "VM to on-premises", port: spoke, frames: flows(plain) },
        Traffic { name: "NAT in2out", port: ce, frames: flows(in2out) },
    ];
    for frame in &all[5].frames {
        bench.push(ce, frame);
    }
    bench.turn();
    let mut back = Vec::new();
    bench.drain(|port, bytes| {
        if port == pe {
            // Two tags: IPv4 at 22, UDP at 42.
            let src: [u8; 4] = bytes[34..38].try_into().expect("four bytes");
            let sport = u16::from_be_bytes([bytes[42], bytes[43]]);
            let packet = Packet::ip4([198, 51, 100, 10], src).udp(443, sport, &[0; 18]);
            back.push(tagged(packet.eth(EDGE1, CE), &[1001, 300]).build());
        }
    });
    assert_eq!(back.len(), 64, "every flow has a session");
    all.push(Traffic { name: "NAT out2in", port: pe, frames: back });
    all
}

/// Lets one batch of it through; returns how many frames left.
pub fn round(bench: &mut Bench, traffic: &Traffic) -> usize {
    for frame in &traffic.frames {
        bench.push(traffic.port, frame);
    }
    bench.turn();
    bench.drain(|_, _| {})
}
