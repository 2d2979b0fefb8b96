//! What does a packet look like on the way out? Less time to live, the adjacency's header in front,
//! and off it goes; links' bandwidth, meters and gateways count it, many packets at once.

use super::lists::{Leaving, Lists};
use super::place::Routed;
use super::{Purse, Ready, through};
use crate::frame::{BATCH, Batch, FRAME_SIZE, Frame, Length, Outgoing};
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
        let Lists { picked, leaving, .. } = &mut express.lists;
        let ready = self.pay(tables, leaving, ready);
        if ready.len == 0 {
            return;
        }
        self.send::<L2>((tables, counters), batch, ports, (leaving, ready));
        let figures = (ready.len as u64, ready.bytes);
        meter(counters, self.place.meter, Direction::ToAzure, figures);
        if let Some(id) = self.via {
            let picked_of = |k: &u8| picked.hash[usize::from(*k) % BATCH];
            let hashes = leaving.picked[..ready.end()].iter().map(picked_of);
            count_through(counters.gateway(id), tables.gateway(id), figures, hashes);
        }
    }

    #[inline(never)]
    fn send<const L2: usize>(
        &self,
        (tables, counters): (&Tables, &Counters),
        batch: &mut Batch,
        ports: &mut [Vec<Outgoing>],
        (leaving, ready): (&Leaving, Ready),
    ) {
        let hops = if self.via.is_some() { through::HOPS } else { 1 };
        let past = self.place.from_onprem && self.via.is_none();
        let (adjacencies, at) = (&tables.adjacencies[..], self.purse.arrival);
        let (mut gone, mut run) = (0, Run::default());
        for n in 0..ready.end() {
            let adjacency = &adjacencies[leaving.adjacencies[n].index()];
            let place = usize::from(leaving.at[n]) % BATCH;
            let ip_len = leaving.ip_len[n];
            gone |= 1 << place;
            let (mut frame, bytes) = batch.lift(place);
            let l3 = usize::from(bytes.off).wrapping_add(L2);
            dress(&mut frame, l3, adjacency, leaving.words[n], hops);
            let size = u16::from(adjacency.header_size);
            #[expect(clippy::cast_possible_truncation, reason = "a place in a frame")]
            let off = (l3 as u16).wrapping_sub(size);
            let (len, order) = (Length::of_two(size, ip_len), leaving.at[n]);
            ports[adjacency.port.index()].push(Outgoing { frame, off, len, order, at });
            if adjacency.counted != run.counted {
                run.end(counters, past);
                run = Run { counted: adjacency.counted, packets: 0, bytes: 0 };
            }
            run.packets = run.packets.wrapping_add(1);
            run.bytes = run.bytes.wrapping_add(u64::from(ip_len));
        }
        batch.let_go(gone);
        run.end(counters, past);
    }

    /// Pays for the packets that are ready, those of one policer at once, and returns those that
    /// are left. Where another worker was faster with the second limit the first was paid for
    /// nothing: too little passes then, never too much.
    #[inline(always)]
    fn pay(&self, tables: &Tables, leaving: &mut Leaving, ready: Ready) -> Ready {
        let gateway = self.via.and_then(|id| tables.gateway(id).limits.as_ref());
        let limits = Limits { tables, gateway, arrival: self.purse.arrival };
        if self.place.police.is_some() {
            let paid = limits.pay(self.place.police, ready, &leaving.ip_len[..ready.end()]);
            return if paid { ready } else { Ready::default() };
        }
        limits.pay_by_link(leaving, ready)
    }
}

/// What packets are paid to.
struct Limits<'a> {
    tables: &'a Tables,
    gateway: Option<&'a GatewayLimits>,
    arrival: Now,
}

impl Limits<'_> {
    /// Pays a link's policer and the gateway's for packets of these lengths, which are `ready`
    /// together.
    #[inline(always)]
    fn pay(&self, policer: Option<PolicerId>, ready: Ready, lengths: &[u16]) -> bool {
        let paid = policer.is_none_or(|id| {
            let policer = self.tables.policer(id);
            let sizes = lengths.iter().map(|ip_len| u32::from(*ip_len));
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
    fn pay_by_link(&self, leaving: &mut Leaving, ready: Ready) -> Ready {
        let adjacencies = &self.tables.adjacencies[..];
        let policer = |leaving: &Leaving, n: usize| {
            adjacencies[leaving.adjacencies[n % BATCH].index()].police
        };
        let (mut kept, mut start) = (Ready::default(), 0);
        while start < ready.end() {
            let first = policer(leaving, start);
            let (mut group, mut end) = (Ready::default(), start);
            while end < ready.end() && policer(leaving, end) == first {
                group.add(leaving.ip_len[end]);
                end += 1;
            }
            if self.pay(first, group, &leaving.ip_len[start..end]) {
                if kept.len != start {
                    (0..group.len).for_each(|i| leaving.shift(start + i, kept.len + i));
                }
                kept.len += group.len;
                kept.bytes += group.bytes;
            }
            start = end;
        }
        kept
    }
}

/// Bytes that a packet on its way out changes: its header, and the first of its IPv4 header.
const AROUND: usize = HEADER_ROOM + 12;

/// Writes the adjacency's header before the packet at `l3`, and takes from its time to live. The
/// copy has one size for all, and so no loop: what it writes in front of the header is headroom.
#[inline(always)]
fn dress(frame: &mut Frame, l3: usize, adjacency: &Adjacency, word: Word, hops: u8) {
    // No packet stands beyond this, which saves the check of the end.
    let from = l3.wrapping_sub(HEADER_ROOM).min(FRAME_SIZE - AROUND);
    let around: &mut [u8; AROUND] = frame[from..].first_chunk_mut().expect("as many bytes follow");
    let (header, ip) = around.split_at_mut(HEADER_ROOM);
    header.copy_from_slice(&adjacency.header);
    let start = HEADER_ROOM.wrapping_sub(usize::from(adjacency.header_size));
    let macs: &mut [u8; 8] = header[start..].first_chunk_mut().expect("two addresses");
    *macs = (u64::from_be_bytes(*macs) | word.mac_in_front()).to_be_bytes();
    let sum = u16::from_be_bytes([ip[10], ip[11]]);
    ip[8] = ip[8].wrapping_sub(hops);
    ip[10..12].copy_from_slice(&checksum::less_time(sum, hops).to_be_bytes());
}

/// Packets that leave one after the other and are counted by the same.
#[derive(Default)]
struct Run {
    counted: Counted,
    packets: u64,
    bytes: u64,
}

impl Run {
    /// Counts them. What does not leave by a link has only gone past a gateway where it came from
    /// on-premises and through none.
    #[inline(never)]
    fn end(&self, counters: &Counters, past: bool) {
        if let Some(id) = self.counted.meter() {
            let meter = counters.meter(id);
            meter.out_packets.add(self.packets);
            meter.out_bytes.add(self.bytes);
        }
        if let Some(id) = self.counted.gateway().filter(|_| past) {
            let gateway = counters.gateway(id);
            gateway.fastpath_packets.add(self.packets);
            gateway.fastpath_bytes.add(self.bytes);
        }
    }
}

/// Counts what went through a gateway.
#[inline(always)]
fn count_through(
    counters: &GatewayCounters,
    gateway: &Gateway,
    (packets, bytes): (u64, u64),
    hashes: impl Iterator<Item = u32>,
) {
    counters.packets.add(packets);
    counters.bytes.add(bytes);
    for hash in hashes {
        let instance = spread(hash, usize::from(gateway.instances));
        counters.instances[instance % INSTANCES].add(1);
    }
}
