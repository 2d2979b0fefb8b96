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
//! | `leave` | what does it look like on the way out |
//! | `translate` | which session of a provider's NAT does it have, and what becomes of it |
//!
//! - **Reads** the frame; `off`, `len`, `port`, `arrival`, `flags`, `gso_size`.
//! - **Writes** the frame, the counters of meters and gateways, tokens, flows and sessions; rows of
//!   packets that stay, which *validate* fills anew.
//! - **Ends** nothing; sends.

mod leave;
mod place;
mod plain;
mod through;
mod translate;

use super::Context;
use crate::frame::{BATCH, Batch, Bits};
use crate::ids::{AdjacencyId, AttachmentId, NextHopId, PolicerId};
use crate::nat::{Lookup, SessionId};
use crate::neighbour::Word;
use crate::tables::{LinkPolicer, NextHop, Tables};
use crate::time::Now;
use crate::wire::{eth, vlan};
use place::{Place, Routed};

/// How many places a batch's frames are looked at for; what came in elsewhere takes the stages.
const PLACES: usize = 4;
/// Bytes of a header with one tag, and with two.
const SINGLE: usize = eth::HEADER + vlan::TAG;
const DOUBLE: usize = eth::HEADER + 2 * vlan::TAG;

/// What is known of one packet on this way.
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
struct Ready {
    /// The neighbour's word, with its MAC address.
    word: Word,
    adjacency: AdjacencyId,
    /// Which packet.
    packet: u8,
}

impl Ready {
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
    ready: [Ready; BATCH],
    /// By place in the batch, what *translate* found.
    lookups: [Lookup; BATCH],
    sessions: [SessionId; BATCH],
    pauses: Pauses,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            packets: [Packet::default(); BATCH],
            dst: [0; BATCH],
            hops: [NextHopId(0); BATCH],
            ready: [Ready::default(); BATCH],
            lookups: [Lookup::default(); BATCH],
            sessions: [SessionId::default(); BATCH],
            pauses: Pauses([0; PAUSES]),
        }
    }
}

#[cfg(test)]
impl Scratch {
    /// Tries every place again.
    pub(crate) fn resume(&mut self) {
        self.pauses.0.fill(0);
    }
}

/// Forwards the plain packets of a batch as it was received; the others stay.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch) {
    let mut left = batch.live();
    let mut purse = None;
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
        let purse = purse.get_or_insert_with(|| Purse::of(batch));
        if !purse.at_once {
            return;
        }
        let seen = match place.size() {
            eth::HEADER => one_place::<{ eth::HEADER }>(cx, batch, &place, purse, left),
            SINGLE => one_place::<SINGLE>(cx, batch, &place, purse, left),
            _ => one_place::<DOUBLE>(cx, batch, &place, purse, left),
        };
        cx.out.express.pauses.judge(id, seen, seen & batch.live());
        left &= !seen;
    }
}

/// Where most packets were left to the stages of late, trying is in vain for a while: a security
/// group decides there, sessions begin, or a limit is reached.
#[derive(Debug)]
struct Pauses([u8; PAUSES]);

/// Attachments far apart share a pause.
const PAUSES: usize = 256;
/// Batches that are not tried.
const PAUSE: u8 = 64;
/// Packets of a batch that tell something about those that follow.
const WORTH_JUDGING: u32 = 4;

impl Pauses {
    /// Whether a batch that begins at `id` is not tried.
    fn holds(&mut self, id: AttachmentId) -> bool {
        let left = &mut self.0[id.index() % PAUSES];
        let holds = *left > 0;
        *left = left.saturating_sub(1);
        holds
    }

    /// Of the packets that were `seen`, some were `left`.
    fn judge(&mut self, id: AttachmentId, seen: u64, left: u64) {
        if seen.count_ones() >= WORTH_JUDGING && left.count_ones() * 2 > seen.count_ones() {
            self.0[id.index() % PAUSES] = PAUSE;
        }
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
    let (seen, len) = choose::<L2>(tables, batch, place, &mut cx.out.express, set);
    let affords = |policer| purse.affords(tables.policer(policer));
    if len == 0 || !place.police.is_none_or(affords) {
        return seen;
    }
    let Scratch { dst, hops, .. } = &mut *cx.out.express;
    tables.fib(place.vrf).lookup_batch(&dst[..len], &mut hops[..len]);
    let found = lead(tables, place, purse, &mut cx.out.express, len);
    let mut way = leave::Way { place, purse, via: None };
    way.leave::<L2>(cx, batch, found.ready);
    let mut gateways = found.gateways;
    while gateways != 0 {
        let first = gateways.trailing_zeros() as usize;
        let NextHop::Gateway(id) = tables.next_hop(cx.out.express.hops[first]) else {
            unreachable!("a gateway was found");
        };
        let (tried, ready) = through::run(cx, batch, place, purse, (id, gateways));
        gateways &= !tried;
        way.via = Some(id);
        way.leave::<L2>(cx, batch, ready);
    }
    seen
}

/// Picks the plain packets of `set` that came in at `place`; returns all that came in there, and
/// how many were picked. A function of its own, as all loops here are: they need every register.
#[inline(never)]
fn choose<const L2: usize>(
    tables: &Tables,
    batch: &mut Batch,
    place: &Routed<'_>,
    scratch: &mut Scratch,
    set: u64,
) -> (u64, usize) {
    let (mut seen, mut len) = (0, 0);
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        let head = place::head(frame, row);
        if !place.pattern.has(head) {
            continue;
        }
        seen |= 1 << i;
        // Written past the end when it is not taken: the next one overwrites it.
        let packet = &mut scratch.packets[len % BATCH];
        let mut taken = plain::read::<L2>(head, row, packet);
        scratch.dst[len % BATCH] = packet.dst;
        if place.hashed {
            packet.hash = packet.hash5(tables.hash_seed);
            taken &= place.takes(packet);
        }
        len = len.wrapping_add(usize::from(taken));
    }
    (seen, len)
}

/// What look-up made of a place's packets.
struct Found {
    /// How many are ready to leave.
    ready: usize,
    /// Those for a gateway, as bits.
    gateways: u64,
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
    let mut found = Found { ready: 0, gateways: 0 };
    let Scratch { packets, hops, ready, .. } = scratch;
    for hop in &hops[..len] {
        tables.prefetch(*hop);
    }
    let mut way_out = WayOut { tables, purse, inward: place.police.is_some(), asked: None };
    for k in 0..len.min(BATCH) {
        let hop = tables.next_hop(hops[k]);
        if matches!(hop, NextHop::Gateway(_)) {
            found.gateways |= 1 << k;
        } else if let Some(own) = way_out.of(hop, &packets[k], place.hashed) {
            ready[found.ready % BATCH] = Ready { packet: packet_number(k), ..own };
            found.ready = found.ready.wrapping_add(1);
        }
    }
    found
}

#[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
fn packet_number(k: usize) -> u8 {
    k as u8
}

/// Decides whether packets can leave by what look-up found.
struct WayOut<'a> {
    tables: &'a Tables,
    purse: &'a Purse,
    /// Whether a link's bandwidth was asked on the way in.
    inward: bool,
    /// The last link's bandwidth that was looked at on the way out, and whether it suffices.
    asked: Option<(PolicerId, bool)>,
}

impl WayOut<'_> {
    #[inline(always)]
    fn of(&mut self, hop: NextHop, packet: &Packet, hashed: bool) -> Option<Ready> {
        let id = match hop {
            NextHop::Adjacency(id) => id,
            NextHop::Paths(group) if hashed => {
                self.tables.path_group(group).choose(packet.hash, &self.tables.words)?
            }
            _ => return None,
        };
        let adjacency = self.tables.adjacency(id);
        let word = self.tables.words.load(adjacency.neighbour);
        let open = adjacency.nsg.is_none()
            && packet.ip_len <= adjacency.mtu
            && word.is_reachable()
            && adjacency.police.is_none_or(|policer| self.affords(policer));
        open.then_some(Ready { word, adjacency: id, packet: 0 })
    }

    #[inline(always)]
    fn affords(&mut self, policer: PolicerId) -> bool {
        if let Some((known, affords)) = self.asked
            && known == policer
        {
            return affords;
        }
        let affords = !self.inward && self.purse.affords(self.tables.policer(policer));
        self.asked = Some((policer, affords));
        affords
    }
}

/// What a batch could cost at most. A limit that has room for that refuses none of its packets,
/// and so it does not matter in which order they ask: the stages see some of them later. That holds
/// for packets of one time, as a port's batches are; a replay's others take the stages.
#[derive(Debug)]
struct Purse {
    packets: u64,
    bytes: u64,
    /// When the first of the batch came.
    arrival: Now,
    /// Whether all came then.
    at_once: bool,
}

/// More than headers, tags and pieces can add to a packet's bytes.
const AROUND: u64 = 512;

impl Purse {
    fn of(batch: &Batch) -> Self {
        let live = batch.live();
        let packets = u64::from(live.count_ones());
        let arrival = batch.row(live.trailing_zeros() as usize % BATCH).arrival;
        let (mut bytes, mut others) = (packets * AROUND, 0);
        for i in Bits(live) {
            let row = batch.row(i);
            bytes = bytes.wrapping_add(u64::from(row.len));
            others |= row.arrival.0 ^ arrival.0;
        }
        Self { packets, bytes, arrival, at_once: others == 0 }
    }

    fn affords(&self, policer: &LinkPolicer) -> bool {
        policer.bucket.holds(self.arrival, self.bytes)
    }
}
