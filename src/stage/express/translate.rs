//! Which session of a provider's NAT does a packet have, and what becomes of it? One that is open:
//! whatever begins or ends a session, leads back inside or has no ports is for the stages.

use super::lists::Lists;
use super::place::{Translated, around};
use super::{Purse, pick, plain};
use crate::flow::Tuple;
use crate::frame::{BATCH, Batch, Bits, Length, Outgoing, first};
use crate::ids::{Direction, ShardId};
use crate::nat::{Endpoint, FlowKey, Lookup, Proto, SessionId, Side, WHOLE};
use crate::stage::police::sizes_cost;
use crate::stage::{Context, meter, nat44};
use crate::tables::LinkPolicer;
use crate::tables::rewrite::MAX_L2;
use crate::wire::proto;

/// What is found of a packet's session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    lookup: Lookup,
    session: SessionId,
    shard: ShardId,
}

impl Crossing {
    pub(super) const NONE: Self =
        Self { lookup: Lookup::NONE, session: SessionId::NONE, shard: ShardId(0) };
}

/// What a session is found by. All packets of a place go one way, so that the side is known where
/// this is called.
#[inline(always)]
fn key<const IN2OUT: bool>(tuple: &Tuple) -> FlowKey {
    let side = if IN2OUT { Side::In2Out } else { Side::Out2In };
    let proto = if tuple.proto == proto::TCP { Proto::Tcp } else { Proto::Udp };
    let (src, dst) = (Endpoint::new(tuple.src, tuple.sport), Endpoint::new(tuple.dst, tuple.dport));
    FlowKey::between(side, proto, src, dst)
}

/// Forwards those of `set` that came in at `place` and have a session; returns all that came in
/// there.
pub(super) fn all<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Translated<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    match place.crossed.cross.direction {
        Direction::ToAzure => one_way::<L2, true>(cx, batch, place, purse, set),
        Direction::ToOnprem => one_way::<L2, false>(cx, batch, place, purse, set),
    }
}

fn one_way<const L2: usize, const IN2OUT: bool>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Translated<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    let policer = place.crossed.cross.police.map(|id| cx.tables.policer(id));
    let picked = &mut cx.out.express.lists.picked;
    let (seen, len) = pick::with_ends::<L2>(batch, &place.crossed.pattern, picked, set);
    if len == 0 || !policer.is_none_or(|policer| purse.affords(policer)) {
        return seen;
    }
    let ours = begin::<IN2OUT>(cx, place, len);
    let known = find::<IN2OUT>(cx, place, purse, ours);
    let lists = &cx.out.express.lists;
    let figures = (u64::from(known.count_ones()), lists.picked.sizes(known).bytes);
    // Another worker may have been faster since the bucket was looked at: then all stay.
    let pays = |policer: &LinkPolicer| {
        let sizes = Bits(known).map(|k| u32::from(lists.picked.ip_len[k]));
        policer.bucket.admit(purse.arrival, sizes_cost(policer, figures, sizes))
    };
    if known == 0 || !policer.is_none_or(pays) {
        return seen;
    }
    send::<L2, IN2OUT>(cx, batch, place, purse, known);
    meter(cx.counters, place.crossed.meter, place.crossed.cross.direction, figures);
    seen
}

/// Those of the first `len` that were picked that NAT translates and this worker owns, as bits. The
/// memory of their sessions is asked for first: at many sessions, waiting for that is most of the
/// work.
#[inline(never)]
fn begin<const IN2OUT: bool>(cx: &mut Context<'_>, place: &Translated<'_>, len: usize) -> u64 {
    let Context { tables, worker, .. } = *cx;
    let entry = tables.nat(place.nat);
    let Lists { picked, crossing, .. } = &mut cx.out.express.lists;
    let shards = &cx.shards.nats[place.nat.index()];
    let mut ours = 0;
    for k in Bits(first(len)) {
        let tuple = &picked.tuples[k];
        if !nat44::is_translated::<IN2OUT>(entry, place.crossed.cross, tuple.src, tuple.dst) {
            continue;
        }
        let key = key::<IN2OUT>(tuple);
        let id = entry.bindings.owner_of(&key);
        if tables.owner(id) != worker {
            continue;
        }
        let shard = shards.of(id);
        let lookup = shard.begin(&key);
        shard.prefetch_index(&lookup);
        crossing[k] = Crossing { lookup, shard: id, session: SessionId::NONE };
        ours |= 1 << k;
    }
    ours
}

/// Those of `ours` that have a session, as bits.
#[inline(never)]
fn find<const IN2OUT: bool>(
    cx: &mut Context<'_>,
    place: &Translated<'_>,
    purse: &Purse,
    ours: u64,
) -> u64 {
    let Lists { picked, crossing, .. } = &mut cx.out.express.lists;
    let shards = &cx.shards.nats[place.nat.index()];
    for k in Bits(ours) {
        let own = &mut crossing[k];
        shards.of(own.shard).prefetch_session(&mut own.lookup);
    }
    let mut known = 0;
    for k in Bits(ours) {
        let own = &mut crossing[k];
        let key = key::<IN2OUT>(&picked.tuples[k]);
        if let Some(session) = shards.of(own.shard).known(&key, own.lookup, purse.arrival) {
            own.session = session;
            known |= 1 << k;
        }
    }
    known
}

/// Translates the packets of `known` and sends them.
#[inline(never)]
fn send<const L2: usize, const IN2OUT: bool>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Translated<'_>,
    purse: &Purse,
    known: u64,
) {
    let out = cx.tables.attachment(place.crossed.cross.out);
    let Lists { picked, crossing, .. } = &cx.out.express.lists;
    let port = &mut cx.out.ports[out.port.index()];
    let shards = &mut cx.shards.nats[place.nat.index()];
    let mut gone = 0;
    for k in Bits(known) {
        let own = &crossing[k];
        let order = picked.at[k];
        let at = usize::from(order) % BATCH;
        gone |= 1 << at;
        let (mut frame, bytes) = batch.lift(at);
        let l3 = usize::from(bytes.off).wrapping_add(L2);
        let around = around::<{ MAX_L2 + WHOLE }>(&mut frame, l3);
        let (room, packet) = around.split_first_chunk_mut().expect("longer");
        let packet = packet.first_chunk_mut().expect("as long");
        let size = place.crossed.retag.write::<L2>(room);
        let key = key::<IN2OUT>(&picked.tuples[k]);
        let flags = plain::tcp_flags(packet);
        let shard = shards.of_mut(own.shard);
        shard.carry(own.session, &key, (flags, purse.arrival), packet);
        let behind = (bytes.len as usize).wrapping_sub(L2);
        #[expect(clippy::cast_possible_truncation, reason = "places in a frame")]
        let (off, len) = (l3.wrapping_sub(size) as u16, behind.wrapping_add(size) as u32);
        port.push(Outgoing::whole(frame, (off, Length::of(len)), order, purse.arrival));
    }
    batch.let_go(gone);
}
