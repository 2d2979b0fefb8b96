//! Overload: full rings and ports drop by name, and nothing is lost without one.

use super::*;
use crate::compile::compile;
use crate::config;
use crate::control::view::Accounts;
use crate::frame::HEADROOM;
use crate::ids::NeighbourId;
use crate::io::memory::{self, End, Plug};
use crate::io::{Port, PortKind, PortSpec};
use crate::model::Model;
use crate::neighbour::{NeighbourState, Word};
use crate::stage::state::Sizes;
use crate::sync::Published;
use crate::tables::CounterNames;
use crate::wire::arp::ArpPacket;
use crate::wire::build::{Framed, Packet};
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::vlan::TagStack;

const LAB: &str = include_str!("../../docs/examples/lab.toml");
const SENDER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
const NOW: Now = Now(1 << 40);

/// The lab's workers on memory ports of which each has a far end.
struct Lab {
    model: Model,
    workers: Vec<Worker>,
    counters: Vec<Arc<Counters>>,
    /// By port, then by worker.
    ends: Vec<Vec<End>>,
    plugs: Vec<Plug>,
    pool: Pool,
    punts: Vec<Rings>,
}

impl Lab {
    /// So many workers, entries in each ring between threads, and frames in each port's ring.
    fn new(workers: usize, ring: usize, depth: usize) -> Self {
        let text = LAB.replacen("fastpath = true", "fastpath = false", 1);
        let model = config::parse("lab.toml", &text).unwrap().model;
        let compiled = compile(&model, workers).unwrap();
        let tables = &compiled.tables;
        for n in 0..compiled.neighbours.len() {
            let word = Word::new(SENDER, NeighbourState::Reachable);
            tables.words.store(NeighbourId::from_index(n), word);
        }
        let mut queues: Vec<Vec<Queue>> = (0..workers).map(|_| Vec::new()).collect();
        let (mut ends, mut plugs) = (Vec::new(), Vec::new());
        for port in &model.ports {
            let (plug, far) = memory::cable(workers, depth).unwrap();
            let kind = PortKind::Memory { name: port.name.to_string(), plug };
            let (_, own) = Port::open(PortSpec { kind, queues: workers }).unwrap();
            queues.iter_mut().zip(own).for_each(|(all, queue)| all.push(queue));
            ends.push(far.clone().into_ends());
            plugs.push(far);
        }
        let names = CounterNames {
            ports: model.ports.len(),
            meters: compiled.meters.len(),
            gateways: compiled.gateways.len(),
        };
        let published = Arc::new(Published::new(tables.clone()));
        let mut pools = Pool::family(workers + 1, 512).unwrap();
        let pool = pools.pop().unwrap();
        let counters: Vec<_> = (0..workers).map(|_| Arc::new(Counters::new(names))).collect();
        let punts: Vec<_> = (0..workers).map(|_| Rings::new(ring)).collect();
        let rings = handoffs(workers, ring);
        let sizes = Sizes { nsg_flows: 64, gateway_flows: 64, fragments: 16 };
        let make = |(id, (queues, pool)): (usize, (Vec<Queue>, Pool))| {
            let own = WorkerId::from_index(id);
            Worker::new(Parts {
                id: own,
                tables: published.reader(),
                queues,
                pool,
                shards: Shards::new(sizes, (&tables.nats, &tables.gateways), 7, |shard| {
                    tables.owner(shard) == own
                }),
                counters: Arc::clone(&counters[id]),
                rings: punts[id].clone(),
                to: rings[id].iter().map(|ring| (Arc::clone(ring), Wake::nobody())).collect(),
                wake_control: Wake::nobody(),
                from: rings.iter().map(|row| Arc::clone(&row[id])).collect(),
            })
        };
        let workers = queues.into_iter().zip(pools).enumerate().map(make).collect();
        Self { model, workers, counters, ends, plugs, pool, punts }
    }

    fn port(&self, name: &str) -> usize {
        self.model.ports.iter().position(|port| port.name.as_str() == name).unwrap()
    }

    /// thruway's MAC address on a port.
    fn router(&self, port: &str) -> MacAddr {
        crate::compile::port_mac(&self.model.ports[self.port(port)])
    }

    /// Frames into the first worker's queue of a port, and a turn of it.
    fn send(&mut self, port: &str, frames: &[Vec<u8>]) {
        let port = self.port(port);
        for bytes in frames {
            let mut frame = self.pool.take().unwrap();
            frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            let out = Outgoing::plain(frame, HEADROOM.try_into().unwrap(), bytes.len(), NOW);
            self.ends[port][0].push(out, None).unwrap();
        }
        self.workers[0].turn(NOW);
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.counters.iter().map(|own| own.dropped[reason as usize].value()).sum()
    }

    fn accounts(&self) -> Accounts {
        Accounts::of(self.counters.iter().map(Arc::as_ref))
    }
}

/// Packets of different flows through the gateway, which keeps flows.
fn flows(lab: &Lab, len: u16) -> Vec<Vec<u8>> {
    let router = lab.router("msee-pri");
    let flow = |port: u16| {
        let packet = Packet::ip4([192, 168, 1, 1], [10, 20, 1, 4]).udp(port, 2, b"");
        packet.eth(SENDER, router).tags(TagStack::double(1001, 200)).build()
    };
    (1..=len).map(flow).collect()
}

#[test]
fn a_full_ring_to_control_drops_arp_by_name() {
    let mut lab = Lab::new(1, 2, 64);
    let [ours, theirs] = [[10, 10, 1, 1], [10, 10, 1, 4]].map(std::net::Ipv4Addr::from);
    let asks = ArpPacket::new(1, SENDER, theirs.into(), MacAddr::ZERO, ours.into());
    let bytes = zerocopy::IntoBytes::as_bytes(&asks);
    let frame = Framed::new(SENDER, MacAddr::BROADCAST, ether_type::ARP, bytes).build();
    lab.send("hub", &vec![frame; 5]);
    assert_eq!(lab.dropped(DropReason::PuntFull), 3);
    assert_eq!(lab.punts[0].punts.len(), 2);
    let accounts = lab.accounts();
    assert!(accounts.balanced && accounts.punted == 2, "{accounts:?}");
}

#[test]
fn a_full_ring_between_workers_drops_by_name() {
    let mut lab = Lab::new(2, 4, 64);
    let frames = flows(&lab, 64);
    lab.send("msee-pri", &frames);
    let foreign = lab.counters[0].handed_over.value();
    assert!((16..=48).contains(&foreign), "about half of the flows: {foreign}");
    assert_eq!(lab.dropped(DropReason::HandoffFull), foreign - 4);
    lab.workers[1].turn(NOW);
    let accounts = lab.accounts();
    assert_eq!((accounts.received, accounts.sent), (64, 64 - (foreign - 4)));
    assert!(accounts.balanced, "{accounts:?}");
}

#[test]
fn a_full_port_and_one_without_a_link_drop_by_their_own_names() {
    let mut lab = Lab::new(1, 64, 16);
    let frames = flows(&lab, 10);
    lab.send("msee-pri", &frames);
    lab.send("msee-pri", &frames);
    assert_eq!(lab.dropped(DropReason::PortFull), 4);
    let spoke = lab.port("spoke");
    lab.plugs[spoke].set_carrier(false);
    lab.send("msee-pri", &frames);
    assert_eq!(lab.dropped(DropReason::PortDown), 10);
    let accounts = lab.accounts();
    assert!(accounts.balanced && accounts.sent == 16, "{accounts:?}");
}

#[test]
fn what_a_port_loses_has_its_name_and_is_in_the_sum() {
    let counters = Counters::new(CounterNames { ports: 1, meters: 0, gateways: 0 });
    let received = Counts { frames: 9, split: 1, ..Counts::default() };
    let received = Counts { no_frame: 2, too_long: 3, super_frame: 4, ..received };
    note_received(&counters, PortId(0), &received);
    let sent = Counts { frames: 1, down: 5, full: 6, too_long: 7, ..Counts::default() };
    note_sent(&counters, PortId(0), &sent);
    let dropped = |reason: DropReason| counters.dropped[reason as usize].value();
    for (reason, packets) in [
        (DropReason::NoFrame, 2),
        (DropReason::SuperFrame, 4),
        (DropReason::PortDown, 5),
        (DropReason::PortFull, 6),
        (DropReason::FrameTooLong, 3 + 7),
    ] {
        assert_eq!(dropped(reason), packets, "{reason}");
    }
    assert_eq!(counters.port(PortId(0)).dropped.value(), 27);
    assert_eq!((counters.received.value(), counters.split.value()), (9, 1));
    assert_eq!(counters.sent.value(), 1);
}
