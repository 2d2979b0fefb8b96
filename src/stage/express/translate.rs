//! Which session of a provider's NAT does a packet have, and what becomes of it? One that is open:
//! whatever begins or ends a session, leads back inside or has no ports is for the stages.

use super::place::{Translated, head};
use super::{Purse, plain};
use crate::frame::{BATCH, Batch, Bits, Length, Outgoing};
use crate::ids::{Direction, ShardId};
use crate::nat::{Endpoint, FlowKey, Lookup, Proto, SessionId, Side};
use crate::stage::police::sizes_cost;
use crate::stage::{Context, meter, nat44};
use crate::tables::LinkPolicer;
use crate::wire::proto;

/// A packet that NAT translates, and what was found of its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    proto: Proto,
    src: Endpoint,
    dst: Endpoint,
    lookup: Lookup,
    session: SessionId,
    shard: ShardId,
    /// Place in the batch.
    at: u8,
    ip_len: u16,
}

impl Crossing {
    pub(super) const NONE: Self = Self {
        proto: Proto::Tcp,
        src: Endpoint::new(0, 0),
        dst: Endpoint::new(0, 0),
        lookup: Lookup::NONE,
        session: SessionId::NONE,
        shard: ShardId(0),
        at: 0,
        ip_len: 0,
    };

    /// All packets of a place go one way, so that the side is known where this is called.
    #[inline(always)]
    fn key<const IN2OUT: bool>(&self) -> FlowKey {
        let side = if IN2OUT { Side::In2Out } else { Side::Out2In };
        FlowKey::between(side, self.proto, self.src, self.dst)
    }
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
    let (seen, len) = choose::<L2, IN2OUT>(cx, batch, place, set);
    if len == 0 || !policer.is_none_or(|policer| purse.affords(policer)) {
        return seen;
    }
    let known = find::<IN2OUT>(cx, place, purse, len);
    let (len, bytes) = (u64::from(known.count_ones()), bytes(cx, known));
    // Another worker may have been faster since the bucket was looked at: then all stay.
    if known == 0 || !policer.is_none_or(|policer| pay(cx, purse, policer, (known, bytes))) {
        return seen;
    }
    send::<L2, IN2OUT>(cx, batch, place, purse, known);
    meter(cx.counters, place.crossed.meter, place.crossed.cross.direction, (len, bytes));
    seen
}

/// Picks the plain packets that NAT translates and this worker owns; returns all that came in at
/// the place, and how many were picked. A function of its own, as all loops here are: they need
/// every register.
#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
fn choose<const L2: usize, const IN2OUT: bool>(
    cx: &mut Context<'_>,
    batch: &Batch,
    place: &Translated<'_>,
    set: u64,
) -> (u64, usize) {
    let Context { tables, worker, .. } = *cx;
    let entry = tables.nat(place.nat);
    let list = &mut cx.out.express.lists.crossing;
    let (mut seen, mut len) = (0, 0_usize);
    for i in Bits(set) {
        let (frame, bytes) = batch.bare(i);
        let head = head(frame, bytes.off);
        if !place.crossed.pattern.has(head) {
            continue;
        }
        seen |= 1 << i;
        let Some(ip_len) = plain::size::<L2>(head, bytes.len) else { continue };
        let [src, dst] = plain::ends::<L2>(head);
        if !nat44::is_translated::<IN2OUT>(entry, place.crossed.cross, src.ip, dst.ip) {
            continue;
        }
        let is_tcp = plain::protocol::<L2>(head) == proto::TCP;
        let proto = if is_tcp { Proto::Tcp } else { Proto::Udp };
        let own = Crossing { proto, src, dst, at: i as u8, ip_len, ..Crossing::NONE };
        let shard = entry.bindings.owner_of(&own.key::<IN2OUT>());
        list[len % BATCH] = Crossing { shard, ..own };
        len = len.wrapping_add(usize::from(tables.owner(shard) == worker));
    }
    (seen, len)
}

/// Those of the first `len` that have a session, as bits. Its memory is asked for first: at many
/// sessions, waiting for that is most of the work.
#[inline(never)]
fn find<const IN2OUT: bool>(
    cx: &mut Context<'_>,
    place: &Translated<'_>,
    purse: &Purse,
    len: usize,
) -> u64 {
    let list = &mut cx.out.express.lists.crossing;
    let shards = &cx.shards.nats[place.nat.index()];
    for own in &mut list[..len.min(BATCH)] {
        let shard = shards.of(own.shard);
        own.lookup = shard.begin(&own.key::<IN2OUT>());
        shard.prefetch_index(&own.lookup);
    }
    for own in &mut list[..len.min(BATCH)] {
        shards.of(own.shard).prefetch_session(&mut own.lookup);
    }
    let mut known = 0;
    for (k, own) in list[..len.min(BATCH)].iter_mut().enumerate() {
        let shard = shards.of(own.shard);
        let found = shard.known(&own.key::<IN2OUT>(), own.lookup, purse.arrival);
        known |= u64::from(found.is_some()) << k;
        own.session = found.unwrap_or(SessionId::NONE);
    }
    known
}

/// The bytes of the packets of `known`.
fn bytes(cx: &Context<'_>, known: u64) -> u64 {
    let list = &cx.out.express.lists.crossing;
    Bits(known).fold(0, |sum: u64, k| sum.wrapping_add(u64::from(list[k].ip_len)))
}

fn pay(cx: &Context<'_>, purse: &Purse, policer: &LinkPolicer, (known, bytes): (u64, u64)) -> bool {
    let list = &cx.out.express.lists.crossing;
    let sizes = Bits(known).map(|k| u32::from(list[k].ip_len));
    let cost = sizes_cost(policer, (u64::from(known.count_ones()), bytes), sizes);
    policer.bucket.admit(purse.arrival, cost)
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
    let crossing = &cx.out.express.lists.crossing;
    let port = &mut cx.out.ports[out.port.index()];
    let shards = &mut cx.shards.nats[place.nat.index()];
    let mut gone = 0;
    for k in Bits(known) {
        let own = &crossing[k];
        let at = usize::from(own.at) % BATCH;
        gone |= 1 << at;
        let (mut frame, bytes) = batch.lift(at);
        let l3 = usize::from(bytes.off).wrapping_add(L2);
        let packet = frame[l3..].first_chunk_mut().expect("a packet is there");
        let shard = shards.of_mut(own.shard);
        let flags = plain::tcp_flags(packet);
        shard.carry(own.session, &own.key::<IN2OUT>(), (flags, purse.arrival), packet);
        let size = place.crossed.retag.write::<L2>(&mut frame, l3);
        let behind = (bytes.len as usize).wrapping_sub(L2);
        #[expect(clippy::cast_possible_truncation, reason = "places in a frame")]
        let (off, len) = (l3.wrapping_sub(size) as u16, behind.wrapping_add(size) as u32);
        let len = Length::of(len);
        port.push(Outgoing::whole(frame, (off, len), own.at, purse.arrival));
    }
    batch.let_go(gone);
}
