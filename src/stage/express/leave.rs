//! What does a packet look like on the way out? Less time to live, the adjacency's header in front,
//! and off it goes; links' bandwidth, meters and gateways count it, many packets at once.

use super::place::Routed;
use super::{Leaving, Packet, Purse, Ready, Scratch, through};
use crate::frame::{BATCH, Batch, Frame, Outgoing};
use crate::ids::{Direction, GatewayId, PolicerId};
use crate::neighbour::Word;
use crate::stage::police::sizes_cost;
use crate::stage::{Context, Outbox, meter};
use crate::tables::counters::{GatewayCounters, INSTANCES};
use crate::tables::gateway::{Gateway, GatewayLimits};
use crate::tables::next_hop::{Counted, HEADER_ROOM, spread};
use crate::tables::{Adjacency, Counters, Tables};
use crate::time::Now;
use crate::wire::checksum;

/// Where packets came in, and how they go.
pub(super) struct Way<'a> {
    pub(super) place: &'a Routed<'a>,
    pub(super) purse: &'a Purse,
    /// The gateway that they go through; past it without.
    pub(super) via: Option<GatewayId>,
}

impl Way<'_> {
    /// Sends the packets that are `ready`. Where a limit had room when it was looked at and has none
    /// now, since another worker was faster, they stay.
    #[inline(always)]
    pub(super) fn leave<const L2: usize>(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        ready: Ready,
    ) {
        let Context { tables, counters, .. } = *cx;
        let Outbox { ports, express, .. } = &mut *cx.out;
        let Scratch { packets, leaving, .. } = &mut **express;
        let ready = self.pay(tables, packets, leaving, ready);
        if ready.len == 0 {
            return;
        }
        let leaving = &leaving[..ready.len.min(BATCH)];
        let past = self.place.from_onprem && self.via.is_none();
        let tally = Tally { counters, past, counted: Counted::Nothing, packets: 0, bytes: 0 };
        self.send::<L2>(tables, batch, ports, (packets, leaving), tally);
        let figures = (ready.len as u64, ready.bytes);
        meter(counters, self.place.meter, Direction::ToAzure, figures);
        if let Some(id) = self.via {
            let each = leaving.iter().map(|own| own.packet_of(packets));
            count_through(counters.gateway(id), tables.gateway(id), figures, each);
        }
    }

    #[inline(never)]
    fn send<const L2: usize>(
        &self,
        tables: &Tables,
        batch: &mut Batch,
        ports: &mut [Vec<Outgoing>],
        (packets, leaving): (&[Packet; BATCH], &[Leaving]),
        mut tally: Tally<'_>,
    ) {
        let hops = if self.via.is_some() { through::HOPS } else { 1 };
        let (adjacencies, at) = (&tables.adjacencies[..], self.purse.arrival);
        let mut gone = 0;
        for own in leaving {
            let packet = own.packet_of(packets);
            let adjacency = &adjacencies[own.adjacency.index()];
            let place = usize::from(packet.at) % BATCH;
            gone |= 1 << place;
            let (mut frame, row) = batch.lift(place);
            let l3 = usize::from(row.off) + L2;
            dress(&mut frame, l3, adjacency, own.word, hops);
            let size = u16::from(adjacency.header_size);
            #[expect(clippy::cast_possible_truncation, reason = "a place in a frame")]
            let off = (l3 as u16).wrapping_sub(size);
            let (len, order) = (size.wrapping_add(packet.ip_len), packet.at);
            ports[adjacency.port.index()].push(Outgoing { frame, off, len, order, at });
            tally.note(adjacency.counted, packet.ip_len);
        }
        batch.let_go(gone);
        tally.flush();
    }

    /// Pays for the packets that are ready, those of one policer at once, and returns those that
    /// are left. Where another worker was faster with the second limit the first was paid for
    /// nothing: too little passes then, never too much.
    #[inline(always)]
    fn pay(
        &self,
        tables: &Tables,
        packets: &[Packet; BATCH],
        leaving: &mut [Leaving; BATCH],
        ready: Ready,
    ) -> Ready {
        let gateway = self.via.and_then(|id| tables.gateway(id).limits.as_ref());
        let limits = Limits { tables, gateway, arrival: self.purse.arrival };
        let leaving = &mut leaving[..ready.len.min(BATCH)];
        if self.place.police.is_some() {
            let each = leaving.iter().map(|own| own.packet_of(packets));
            let paid = limits.pay(self.place.police, ready, each);
            return if paid { ready } else { Ready::default() };
        }
        limits.pay_by_link(packets, leaving)
    }
}

/// What packets are paid to.
struct Limits<'a> {
    tables: &'a Tables,
    gateway: Option<&'a GatewayLimits>,
    arrival: Now,
}

impl Limits<'_> {
    /// Pays a link's policer and the gateway's for `packets`, which are `ready` together.
    #[inline(always)]
    fn pay<'a>(
        &self,
        policer: Option<PolicerId>,
        ready: Ready,
        packets: impl Iterator<Item = &'a Packet>,
    ) -> bool {
        let paid = policer.is_none_or(|id| {
            let policer = self.tables.policer(id);
            let sizes = packets.map(|packet| u32::from(packet.ip_len));
            let cost = sizes_cost(policer, (ready.len as u64, ready.bytes), sizes);
            policer.bucket.admit(self.arrival, cost)
        });
        paid && self.gateway.is_none_or(|limits| {
            limits.packets.admit(self.arrival, ready.len as u64)
                && limits.bits.admit(self.arrival, ready.bytes)
        })
    }

    /// Pays for packets that leave by several links; those that are paid for move to the front.
    #[inline(never)]
    fn pay_by_link(&self, packets: &[Packet; BATCH], leaving: &mut [Leaving]) -> Ready {
        let adjacencies = &self.tables.adjacencies[..];
        let policer = |own: &Leaving| adjacencies[own.adjacency.index()].police;
        let (mut kept, mut start) = (Ready::default(), 0);
        while start < leaving.len() {
            let first = policer(&leaving[start]);
            let same = leaving[start..].iter().take_while(|own| policer(own) == first);
            let group = same.fold(Ready::default(), |group, own| Ready {
                len: group.len.wrapping_add(1),
                bytes: group.bytes.wrapping_add(u64::from(own.packet_of(packets).ip_len)),
                grouped: false,
            });
            let end = start.wrapping_add(group.len);
            let each = leaving[start..end].iter().map(|own| own.packet_of(packets));
            if self.pay(first, group, each) {
                leaving.copy_within(start..end, kept.len);
                kept.len = kept.len.wrapping_add(group.len);
                kept.bytes = kept.bytes.wrapping_add(group.bytes);
            }
            start = end;
        }
        kept
    }
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
    let sum = u16::from_be_bytes([ip[10], ip[11]]);
    ip[8] = ip[8].wrapping_sub(hops);
    ip[10..12].copy_from_slice(&checksum::less_time(sum, hops).to_be_bytes());
}

/// Counts packets that leave: those that come one after the other are added up.
struct Tally<'a> {
    counters: &'a Counters,
    /// Whether what does not leave by a link may have gone past a gateway.
    past: bool,
    counted: Counted,
    packets: u64,
    bytes: u64,
}

impl Tally<'_> {
    #[inline(always)]
    fn note(&mut self, counted: Counted, ip_len: u16) {
        if counted != self.counted {
            self.flush();
            self.counted = counted;
        }
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(ip_len));
    }

    #[inline(never)]
    fn flush(&mut self) {
        let (packets, bytes) = (self.packets, self.bytes);
        match self.counted {
            Counted::Out(id) => {
                let meter = self.counters.meter(id);
                meter.out_packets.add(packets);
                meter.out_bytes.add(bytes);
            }
            Counted::Past(id) if self.past => {
                let gateway = self.counters.gateway(id);
                gateway.fastpath_packets.add(packets);
                gateway.fastpath_bytes.add(bytes);
            }
            Counted::Past(_) | Counted::Nothing => {}
        }
        (self.packets, self.bytes) = (0, 0);
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
