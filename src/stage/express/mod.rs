//! The way of most packets, in one pass instead of a dozen: TCP or UDP over IPv4, whole, without
//! options, to a neighbour that has answered, and within every limit.
//!
//! A packet goes this way wholly or not at all: all that could refuse it is asked before anything
//! is written or counted, and a packet that is not plain stays in the batch untouched, for the
//! stages. Limits must have room for the whole batch, else the stages decide who gets it. Whatever
//! is sent and counted here is what the stages would have sent and counted; tests run both and
//! compare.
//!
//! | file | question |
//! |---|---|
//! | `place` | where did these frames come in, and what do all of that place have in common |
//! | `plain` | is this packet plain |
//! | `through` | does its gateway let it through |
//! | `groups` | do the security groups know its flow |
//! | `leave` | what does it look like on the way out |
//! | `way_out` | can it leave by what look-up found |
//! | `purse` | does every limit have room for a whole batch |
//! | `pauses` | is it worth trying |
//! | `translate` | which session of a provider's NAT does it have, and what becomes of it |
//! | `cross` | which frames cross the provider's edge as they are, but for their tags |
//! | `retag` | what do they look like then |
//!
//! - **Reads** the frame; `off`, `len`, `port`, `arrival`, `flags`, `gso_size`.
//! - **Writes** the frame, the counters of meters and gateways, tokens, flows and sessions; rows of
//!   packets that stay, which *validate* fills anew.
//! - **Ends** nothing; sends.

mod cross;
mod groups;
mod leave;
mod pauses;
mod place;
mod plain;
mod purse;
mod retag;
mod through;
mod translate;
mod way_out;

use super::Context;
use crate::frame::{BATCH, Batch, Bits};
use crate::ids::{AdjacencyId, NextHopId};
use crate::neighbour::Word;
use crate::tables::{NextHop, Tables};
use crate::wire::{eth, vlan};
use pauses::Pauses;
use place::{Place, Routed};
use purse::Purse;
use translate::Crossing;
use way_out::WayOut;

/// How many places a batch's frames are looked at for; what came in elsewhere takes the stages.
const PLACES: usize = 4;
/// Bytes of a header with one tag, and with two.
const SINGLE: usize = eth::HEADER + vlan::TAG;
const DOUBLE: usize = eth::HEADER + 2 * vlan::TAG;

/// What is known of one packet on this way: its size, its time to live and its place; the rest
/// where its flow matters.
#[derive(Clone, Copy, Debug, Default)]
struct Packet {
    src: u32,
    dst: u32,
    sport: u16,
    dport: u16,
    /// IPv4 total length.
    ip_len: u16,
    proto: u8,
    ttl: u8,
    /// Hash of the 5-tuple, where the place asks for it.
    hash: u32,
    /// Place in the batch.
    at: u8,
}

/// A packet that nothing stands in the way of.
#[derive(Clone, Copy, Debug, Default)]
struct Leaving {
    /// The neighbour's word, with its MAC address.
    word: Word,
    adjacency: AdjacencyId,
    /// Which packet.
    packet: u8,
}

impl Leaving {
    #[inline(always)]
    fn packet_of<'a>(&self, packets: &'a [Packet; BATCH]) -> &'a Packet {
        &packets[usize::from(self.packet) % BATCH]
    }
}

/// Room for the packets of a batch, kept from one batch to the next.
#[derive(Debug)]
pub struct Scratch {
    packets: [Packet; BATCH],
    /// The same packets' destinations, and what they lead to.
    dst: [u32; BATCH],
    hops: [NextHopId; BATCH],
    leaving: [Leaving; BATCH],
    crossing: [Crossing; BATCH],
    pauses: Pauses,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            packets: [Packet::default(); BATCH],
            dst: [0; BATCH],
            hops: [NextHopId(0); BATCH],
            leaving: [Leaving::default(); BATCH],
            crossing: [Crossing::NONE; BATCH],
            pauses: Pauses::default(),
        }
    }
}

#[cfg(test)]
impl Scratch {
    /// Tries every place again.
    pub(crate) fn resume(&mut self) {
        self.pauses = Pauses::default();
    }
}

/// Forwards the plain packets of a batch as it was received; the others stay.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch) {
    let mut left = batch.live();
    let Some(purse) = Purse::of(batch) else { return };
    for _ in 0..PLACES {
        if left == 0 {
            return;
        }
        let first = left.trailing_zeros() as usize;
        let Some((id, place)) = Place::of(cx, batch, first) else {
            left &= !(1 << first);
            continue;
        };
        // No packet of a paused place may be overtaken by those that follow it: the rest is left.
        if cx.out.express.pauses.holds(id) {
            return;
        }
        let seen = match place.size() {
            eth::HEADER => one_place::<{ eth::HEADER }>(cx, batch, &place, &purse, left),
            SINGLE => one_place::<SINGLE>(cx, batch, &place, &purse, left),
            _ => one_place::<DOUBLE>(cx, batch, &place, &purse, left),
        };
        cx.out.express.pauses.judge(id, seen, seen & batch.live());
        left &= !seen;
    }
}

fn one_place<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Place<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    match place {
        Place::Routed(place) => routed::<L2>(cx, batch, place, purse, set),
        Place::Translated(place) => translate::all::<L2>(cx, batch, place, purse, set),
        Place::Crossed(place) => cross::all::<L2>(cx, batch, place, purse, set),
    }
}

/// Forwards the plain packets of `set` that came in at `place`; returns all that came in there.
fn routed<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Routed<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    let tables = cx.tables;
    let scratch = &mut *cx.out.express;
    let (seen, len) = if place.hashed {
        choose::<L2, true>(tables, batch, place, scratch, set)
    } else {
        choose::<L2, false>(tables, batch, place, scratch, set)
    };
    let affords = |policer| purse.affords(tables.policer(policer));
    if len == 0 || !place.police.is_none_or(affords) {
        return seen;
    }
    let Scratch { dst, hops, .. } = &mut *cx.out.express;
    tables.fib(place.vrf).lookup_batch(&dst[..len], &mut hops[..len]);
    let found = lead(tables, place, purse, &mut cx.out.express, len);
    let mut way = leave::Way { place, purse, via: None };
    let ready = in_groups::<L2>(cx, batch, (place, purse), (found.ready, place.hashed));
    way.leave::<L2>(cx, batch, ready);
    let mut gateways = found.gateways;
    while gateways != 0 {
        let first = gateways.trailing_zeros() as usize;
        let NextHop::Gateway(id) = tables.next_hop(cx.out.express.hops[first]) else {
            unreachable!("a gateway was found");
        };
        let (tried, ready) = through::run::<L2>(cx, batch, place, purse, (id, gateways));
        gateways &= !tried;
        way.via = Some(id);
        let ready = in_groups::<L2>(cx, batch, (place, purse), (ready, true));
        way.leave::<L2>(cx, batch, ready);
    }
    seen
}

/// Leaves those that no security group has to be asked about, or that it knows.
#[inline(always)]
fn in_groups<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    (place, purse): (&Routed<'_>, &Purse),
    (ready, hashed): (Ready, bool),
) -> Ready {
    if ready.grouped { groups::ask::<L2>(cx, batch, place, purse, (ready, hashed)) } else { ready }
}

/// Picks the plain packets of `set` that came in at `place`; returns all that came in there, and
/// how many were picked. A function of its own, as all loops here are: they need every register.
#[inline(never)]
fn choose<const L2: usize, const HASHED: bool>(
    tables: &Tables,
    batch: &mut Batch,
    place: &Routed<'_>,
    scratch: &mut Scratch,
    set: u64,
) -> (u64, usize) {
    let (mut seen, mut len) = (0, 0_usize);
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        let head = place::head(frame, row);
        if !place.pattern.has(head) {
            continue;
        }
        seen |= 1 << i;
        let Some(size) = plain::size::<L2>(head, row) else { continue };
        let packet = &mut scratch.packets[len % BATCH];
        (packet.at, packet.ip_len, packet.ttl) = (row.order, size, plain::ttl::<L2>(head));
        scratch.dst[len % BATCH] = plain::dst::<L2>(head);
        if HASHED {
            packet.read::<L2>(head);
            packet.hash = packet.hash5(tables.hash_seed);
            len = len.wrapping_add(usize::from(place.takes(packet)));
        } else {
            len = len.wrapping_add(1);
        }
    }
    (seen, len)
}

/// What look-up made of a place's packets.
struct Found {
    /// Those that are ready to leave.
    ready: Ready,
    /// Those for a gateway, as bits.
    gateways: u64,
}

/// Packets that are ready to leave: how many, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    len: usize,
    bytes: u64,
    /// Whether a security group has to be asked about some of them.
    grouped: bool,
}

impl Ready {
    /// Adds one, which goes to its place among `list`.
    #[inline(always)]
    fn add(&mut self, list: &mut [Leaving; BATCH], k: usize, packet: &Packet, own: Leaving) {
        list[self.len % BATCH] = Leaving { packet: packet_number(k), ..own };
        self.len = self.len.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(packet.ip_len));
    }
}

/// Where the first `len` packets of `scratch` lead by what was looked up.
#[inline(never)]
fn lead(
    tables: &Tables,
    place: &Routed<'_>,
    purse: &Purse,
    scratch: &mut Scratch,
    len: usize,
) -> Found {
    let mut found = Found { ready: Ready::default(), gateways: 0 };
    let Scratch { packets, hops, leaving, .. } = scratch;
    for hop in &hops[..len] {
        tables.prefetch(*hop);
    }
    let mut way_out = WayOut::new(tables, place, purse);
    for (k, (hop, packet)) in hops[..len].iter().zip(&*packets).enumerate() {
        let hop = way_out.next_hop(*hop);
        if matches!(hop, NextHop::Gateway(_)) {
            found.gateways |= 1 << k;
        } else if let Some(own) = way_out.of(hop, packet, place.hashed) {
            found.ready.add(leaving, k, packet, own);
        }
    }
    found.ready.grouped = way_out.grouped;
    found
}

#[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
fn packet_number(k: usize) -> u8 {
    k as u8
}
