//! What does a packet look like on the way out? Less time to live, the adjacency's header in front,
//! and off it goes; links' bandwidth, meters and gateways count it, many packets at once.

use super::place::Routed;
use super::{Packet, Ready, Scratch, through};
use crate::frame::{Batch, Outgoing};
use crate::ids::{Direction, GatewayId};
use crate::neighbour::Word;
use crate::stage::police::size_cost;
use crate::stage::{Context, Outbox, meter};
use crate::tables::counters::{GatewayCounters, INSTANCES};
use crate::tables::gateway::Gateway;
use crate::tables::next_hop::{HEADER_ROOM, spread};
use crate::tables::{Adjacency, Counters, Tables};
use crate::wire::checksum::Delta;

/// Sends the first `len` packets that are ready, `via` a gateway or past it. Where a link's
/// bandwidth turns out to be used up, by another worker, they stay.
#[inline(always)]
pub(super) fn all<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Routed<'_>,
    len: usize,
    via: Option<GatewayId>,
) {
    let Context { tables, counters, .. } = *cx;
    let Outbox { ports, express, .. } = &mut *cx.out;
    let Scratch { packets, ready, .. } = &mut **express;
    let len = pay(tables, place, packets, ready, (len, via));
    if len == 0 {
        return;
    }
    let ready = &ready[..len];
    let hops = if via.is_some() { through::HOPS } else { 1 };
    let mut bytes = 0;
    for own in ready {
        let packet = &packets[usize::from(own.packet)];
        let adjacency = tables.adjacency(own.adjacency);
        let (mut frame, row) = batch.take_frame(usize::from(packet.at));
        let l3 = usize::from(row.off) + L2;
        let around = frame[l3 - HEADER_ROOM..].first_chunk_mut().expect("a packet is there");
        dress(around, adjacency, own.word, hops);
        let size = u16::from(adjacency.header_size);
        #[expect(clippy::cast_possible_truncation, reason = "a place in a frame")]
        let off = l3 as u16 - size;
        let (len, order) = (size + packet.ip_len, packet.at);
        bytes += u64::from(packet.ip_len);
        ports[adjacency.port.index()].push(Outgoing { frame, off, len, order, at: packet.arrival });
    }
    meter(counters, place.meter, Direction::ToAzure, (len as u64, bytes));
    let own = |ready: &Ready| &packets[usize::from(ready.packet)];
    match via {
        Some(id) => {
            let through = (len as u64, bytes);
            count_through(counters.gateway(id), tables.gateway(id), through, ready.iter().map(own));
        }
        None => count_out(tables, counters, place, ready.iter().map(|ready| (ready, own(ready)))),
    }
}

/// Pays for the first `len` packets that are ready, and returns how many are left: those for which
/// a limit had room when it was looked at, and has none now since another worker was faster, stay.
#[inline(always)]
fn pay(
    tables: &Tables,
    place: &Routed<'_>,
    packets: &[Packet],
    ready: &mut [Ready],
    (len, via): (usize, Option<GatewayId>),
) -> usize {
    let gateway = via.and_then(|id| tables.gateway(id).limits.as_ref());
    let toll = |own: &Ready| {
        let policer = place.police.or(tables.adjacency(own.adjacency).police);
        (policer, packets[usize::from(own.packet)].arrival)
    };
    let (mut kept, mut start) = (0, 0);
    while start < len {
        let (policer, arrival) = toll(&ready[start]);
        let policer = policer.map(|id| tables.policer(id));
        let (mut end, mut cost, mut bytes) = (start, 0, 0);
        while end < len && toll(&ready[end]) == toll(&ready[start]) {
            let ip_len = u32::from(packets[usize::from(ready[end].packet)].ip_len);
            cost += policer.map_or(0, |policer| size_cost(policer, ip_len));
            bytes += u64::from(ip_len);
            end += 1;
        }
        let count = (end - start) as u64;
        let paid = policer.is_none_or(|policer| policer.bucket.admit(arrival, cost))
            && gateway.is_none_or(|limits| {
                limits.packets.admit(arrival, count) && limits.bits.admit(arrival, bytes)
            });
        if paid {
            ready.copy_within(start..end, kept);
            kept += end - start;
        }
        start = end;
    }
    kept
}

/// Writes the adjacency's header before the packet, and takes from its time to live. The copy has
/// one size for all, and so no loop: what it writes in front of the header is headroom.
#[inline(always)]
fn dress(around: &mut [u8; HEADER_ROOM + 12], adjacency: &Adjacency, word: Word, hops: u8) {
    let (header, ip) = around.split_at_mut(HEADER_ROOM);
    header.copy_from_slice(&adjacency.header);
    let start = HEADER_ROOM - usize::from(adjacency.header_size);
    header[start..start + 6].copy_from_slice(&word.mac().0);
    let old = u16::from_be_bytes([ip[8], ip[9]]);
    let sum = u16::from_be_bytes([ip[10], ip[11]]);
    let new = old - (u16::from(hops) << 8);
    let sum = Delta::NONE.word(old, new).apply(sum).to_be_bytes();
    ip[8..10].copy_from_slice(&new.to_be_bytes());
    ip[10..12].copy_from_slice(&sum);
}

/// Packets and bytes that belong to one counter, added up while they come one after the other.
struct Runs<K, F: FnMut(K, u64, u64)> {
    key: Option<K>,
    packets: u64,
    bytes: u64,
    add: F,
}

impl<K: PartialEq + Copy, F: FnMut(K, u64, u64)> Runs<K, F> {
    fn new(add: F) -> Self {
        Self { key: None, packets: 0, bytes: 0, add }
    }

    #[inline(always)]
    fn note(&mut self, key: Option<K>, packet: &Packet) {
        if key != self.key {
            self.end();
            self.key = key;
        }
        self.packets += 1;
        self.bytes += u64::from(packet.ip_len);
    }

    #[inline(always)]
    fn end(&mut self) {
        if let Some(key) = self.key {
            (self.add)(key, self.packets, self.bytes);
        }
        (self.packets, self.bytes) = (0, 0);
    }
}

/// Counts what leaves towards on-premises, and what went past a gateway.
#[inline(always)]
fn count_out<'a>(
    tables: &Tables,
    counters: &Counters,
    place: &Routed<'_>,
    packets: impl Iterator<Item = (&'a Ready, &'a Packet)>,
) {
    let mut out = Runs::new(|id, packets, bytes| {
        let meter = counters.meter(id);
        meter.out_packets.add(packets);
        meter.out_bytes.add(bytes);
    });
    let mut past = Runs::new(|id, packets, bytes| {
        let gateway = counters.gateway(id);
        gateway.fastpath_packets.add(packets);
        gateway.fastpath_bytes.add(bytes);
    });
    for (ready, packet) in packets {
        let adjacency = tables.adjacency(ready.adjacency);
        out.note(adjacency.meter.filter(|_| adjacency.to_onprem), packet);
        past.note(adjacency.fastpath.filter(|_| place.from_onprem), packet);
    }
    out.end();
    past.end();
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
