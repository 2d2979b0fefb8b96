//! What does a packet look like on the way out? Less time to live, the adjacency's header in front,
//! and off it goes; links' bandwidth, meters and gateways count it, many packets at once.

use super::place::Routed;
use super::{Packet, Purse, Ready, Scratch, through};
use crate::frame::{BATCH, Batch, Frame, Outgoing};
use crate::ids::{Direction, GatewayId, MeterId, PolicerId};
use crate::neighbour::Word;
use crate::stage::police::size_cost;
use crate::stage::{Context, Outbox, meter};
use crate::tables::counters::{GatewayCounters, INSTANCES};
use crate::tables::gateway::{Gateway, GatewayLimits};
use crate::tables::next_hop::{HEADER_ROOM, spread};
use crate::tables::{Adjacency, Counters, Tables};
use crate::time::Now;
use crate::wire::checksum::Delta;

/// Where packets came in, and how they go.
pub(super) struct Way<'a> {
    pub(super) place: &'a Routed<'a>,
    pub(super) purse: &'a Purse,
    /// The gateway that they go through; past it without.
    pub(super) via: Option<GatewayId>,
}

impl Way<'_> {
    /// Sends the first `len` packets that are ready. Where a limit had room when it was looked at
    /// and has none now, since another worker was faster, they stay.
    #[inline(always)]
    pub(super) fn leave<const L2: usize>(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        len: usize,
    ) {
        let Context { tables, counters, .. } = *cx;
        let Outbox { ports, express, .. } = &mut *cx.out;
        let Scratch { packets, ready, .. } = &mut **express;
        let len = self.pay(tables, packets, &mut ready[..len]);
        if len == 0 {
            return;
        }
        let ready = &ready[..len];
        let mut tally = Tally::new(counters, self);
        self.send::<L2>(tables, batch, ports, (packets, ready), &mut tally);
        let bytes = tally.end();
        meter(counters, self.place.meter, Direction::ToAzure, (len as u64, bytes));
        if let Some(id) = self.via {
            let each = ready.iter().map(|own| own.packet_of(packets));
            count_through(counters.gateway(id), tables.gateway(id), (len as u64, bytes), each);
        }
    }

    #[inline(never)]
    fn send<const L2: usize>(
        &self,
        tables: &Tables,
        batch: &mut Batch,
        ports: &mut [Vec<Outgoing>],
        (packets, ready): (&[Packet; BATCH], &[Ready]),
        tally: &mut Tally<'_>,
    ) {
        let hops = if self.via.is_some() { through::HOPS } else { 1 };
        for own in ready {
            let packet = own.packet_of(packets);
            let adjacency = tables.adjacency(own.adjacency);
            let (mut frame, row) = batch.take_frame(usize::from(packet.at) % BATCH);
            let l3 = usize::from(row.off) + L2;
            dress(&mut frame, l3, adjacency, own.word, hops);
            let size = u16::from(adjacency.header_size);
            #[expect(clippy::cast_possible_truncation, reason = "a place in a frame")]
            let off = (l3 as u16).wrapping_sub(size);
            let (len, order, at) = (size.wrapping_add(packet.ip_len), packet.at, row.arrival);
            ports[adjacency.port.index()].push(Outgoing { frame, off, len, order, at });
            tally.note(adjacency, packet);
        }
    }

    /// Pays for the packets that are ready, those of one policer at once, and returns how many are
    /// left. Where another worker was faster with the second limit the first was paid for nothing:
    /// too little passes then, never too much.
    #[inline(always)]
    fn pay(&self, tables: &Tables, packets: &[Packet; BATCH], ready: &mut [Ready]) -> usize {
        let gateway = self.via.and_then(|id| tables.gateway(id).limits.as_ref());
        let policer = |own: &Ready| self.place.police.or(tables.adjacency(own.adjacency).police);
        let (mut kept, mut start) = (0, 0);
        while start < ready.len() {
            let first = policer(&ready[start]);
            let same = |own: &&Ready| self.place.police.is_some() || policer(own) == first;
            let count = ready[start..].iter().take_while(same).count();
            let together = ready[start..start + count].iter().map(|own| own.packet_of(packets));
            if pay_together(tables, gateway, (first, self.purse.arrival), together) {
                ready.copy_within(start..start + count, kept);
                kept += count;
            }
            start += count;
        }
        kept
    }
}

/// Pays a link's policer and a gateway's for packets that came at one time.
#[inline(always)]
fn pay_together<'a>(
    tables: &Tables,
    gateway: Option<&GatewayLimits>,
    (policer, arrival): (Option<PolicerId>, Now),
    packets: impl ExactSizeIterator<Item = &'a Packet> + Clone,
) -> bool {
    let ip_len = |packet: &Packet| u32::from(packet.ip_len);
    let paid = policer.is_none_or(|id| {
        let policer = tables.policer(id);
        let cost = packets.clone().map(|packet| size_cost(policer, ip_len(packet))).sum();
        policer.bucket.admit(arrival, cost)
    });
    paid && gateway.is_none_or(|limits| {
        let bytes = packets.clone().map(|packet| u64::from(ip_len(packet))).sum();
        limits.packets.admit(arrival, packets.len() as u64) && limits.bits.admit(arrival, bytes)
    })
}

/// Writes the adjacency's header before the packet at `l3`, and takes from its time to live. The
/// copy has one size for all, and so no loop: what it writes in front of the header is headroom.
#[inline(always)]
fn dress(frame: &mut Frame, l3: usize, adjacency: &Adjacency, word: Word, hops: u8) {
    let around: &mut [u8; HEADER_ROOM + 12] =
        frame[l3 - HEADER_ROOM..].first_chunk_mut().expect("a packet is there");
    let (header, ip) = around.split_at_mut(HEADER_ROOM);
    header.copy_from_slice(&adjacency.header);
    let start = HEADER_ROOM.wrapping_sub(usize::from(adjacency.header_size));
    let macs: &mut [u8; 8] = header[start..].first_chunk_mut().expect("two addresses");
    *macs = (u64::from_be_bytes(*macs) | word.mac_in_front()).to_be_bytes();
    let old = u16::from_be_bytes([ip[8], ip[9]]);
    let sum = u16::from_be_bytes([ip[10], ip[11]]);
    let new = old.wrapping_sub(u16::from(hops) << 8);
    let sum = Delta::NONE.word(old, new).apply(sum).to_be_bytes();
    ip[8..10].copy_from_slice(&new.to_be_bytes());
    ip[10..12].copy_from_slice(&sum);
}

/// What one counter gets: those of packets that come one after the other are added up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Out(MeterId),
    Past(GatewayId),
}

/// Counts packets that leave.
struct Tally<'a> {
    counters: &'a Counters,
    /// Whether what does not leave by a link may have gone past a gateway.
    past: bool,
    key: Option<Counted>,
    packets: u64,
    bytes: u64,
    /// Of all packets.
    sum: u64,
}

impl<'a> Tally<'a> {
    fn new(counters: &'a Counters, way: &Way<'_>) -> Self {
        let past = way.place.from_onprem && way.via.is_none();
        Self { counters, past, key: None, packets: 0, bytes: 0, sum: 0 }
    }

    #[inline(always)]
    fn note(&mut self, adjacency: &Adjacency, packet: &Packet) {
        let key = if adjacency.to_onprem {
            adjacency.meter.map(Counted::Out)
        } else {
            adjacency.fastpath.filter(|_| self.past).map(Counted::Past)
        };
        if key != self.key {
            self.flush();
            self.key = key;
        }
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(packet.ip_len));
    }

    #[inline(never)]
    fn flush(&mut self) {
        let (packets, bytes) = (self.packets, self.bytes);
        match self.key {
            Some(Counted::Out(id)) => {
                let meter = self.counters.meter(id);
                meter.out_packets.add(packets);
                meter.out_bytes.add(bytes);
            }
            Some(Counted::Past(id)) => {
                let gateway = self.counters.gateway(id);
                gateway.fastpath_packets.add(packets);
                gateway.fastpath_bytes.add(bytes);
            }
            None => {}
        }
        self.sum += bytes;
        (self.packets, self.bytes) = (0, 0);
    }

    /// The bytes of all packets.
    fn end(mut self) -> u64 {
        self.flush();
        self.sum
    }
}

/// Counts what went through a gateway.
#[inline(always)]
fn count_through<'a>(
    counters: &GatewayCounters,
    gateway: &Gateway,
    (packets, bytes): (u64, u64),
    each: impl Iterator<Item = &'a Packet>,
) {
    counters.packets.add(packets);
    counters.bytes.add(bytes);
    for packet in each {
        let instance = spread(packet.hash, usize::from(gateway.instances));
        counters.instances[instance % INSTANCES].add(1);
    }
}
