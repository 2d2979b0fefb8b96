//! Which session of a provider's NAT does a packet have, and what becomes of it? One that is open:
//! whatever begins or ends a session, leads back inside or has no ports is for the stages.

use super::place::{Translated, head};
use super::{Packet, Purse, plain};
use crate::frame::{Batch, Bits};
use crate::ids::ShardId;
use crate::nat::{Owner, Side};
use crate::stage::{Context, meter, nat44, payload, police, rewrite};
use crate::tables::LinkPolicer;

/// Forwards those of `set` that came in at `place` and have a session; returns all that came in
/// there. A function of its own, as all loops here are: they need every register.
#[inline(never)]
pub(super) fn all<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Translated<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    let tables = cx.tables;
    let policer = place.cross.police.map(|id| tables.policer(id));
    let mut chosen = choose::<L2>(cx, batch, place, set);
    if !policer.is_none_or(|policer| purse.affords(policer)) {
        return chosen.seen;
    }
    chosen.find(cx, batch, place);
    let mut bytes = 0;
    let mut going = chosen.pay(batch, purse, policer);
    let out = tables.attachment(place.cross.out);
    for i in Bits(going) {
        let (frame, row) = batch.both(i);
        let nat = &mut cx.shards.shard(ShardId(row.shard)).nats[place.nat.index()];
        let session = cx.out.express.sessions[i];
        if let Err(reason) = nat.carry(session, chosen.side(i), &mut frame[..], row) {
            batch.drop(i, reason);
            going &= !(1 << i);
            continue;
        }
        let (mut frame, row) = batch.take_frame(i);
        rewrite::retag(out, &mut frame, row, false);
        bytes += u64::from(payload(row));
        cx.out.send(out.port, frame, row);
    }
    let packets = u64::from(going.count_ones());
    meter(cx.counters, place.meter, place.cross.direction, (packets, bytes));
    chosen.seen
}

/// Packets of a batch, as bits.
struct Chosen {
    /// All that came in at the place.
    seen: u64,
    /// Those that are translated here.
    members: u64,
    /// Those of them that come from outside.
    inward: u64,
}

/// Picks the plain packets that NAT translates and this worker owns, and fills their rows.
#[inline(always)]
fn choose<const L2: usize>(
    cx: &Context<'_>,
    batch: &mut Batch,
    place: &Translated<'_>,
    set: u64,
) -> Chosen {
    let tables = cx.tables;
    let entry = tables.nat(place.nat);
    let mut chosen = Chosen { seen: 0, members: 0, inward: 0 };
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        let head = head(frame, row);
        if !place.pattern.has(head) {
            continue;
        }
        chosen.seen |= 1 << i;
        let mut packet = Packet::default();
        if !plain::read::<L2>(head, row, &mut packet) {
            continue;
        }
        packet.describe::<L2>(head, row);
        row.attachment = place.id;
        let Some(side) = nat44::side(entry, place.cross, row) else { continue };
        let Ok(Owner::Session(shard)) = entry.bindings.owner(side, &frame[..], row) else {
            continue;
        };
        row.shard = shard.0;
        chosen.members |= u64::from(tables.owner(shard) == cx.worker) << i;
        chosen.inward |= u64::from(side == Side::Out2In) << i;
    }
    chosen
}

impl Chosen {
    #[inline(always)]
    fn side(&self, i: usize) -> Side {
        if self.inward >> i & 1 == 0 { Side::In2Out } else { Side::Out2In }
    }

    /// Leaves those that have a session. Its memory is asked for first: at many sessions, waiting
    /// for that is most of the work.
    #[inline(always)]
    fn find(&mut self, cx: &mut Context<'_>, batch: &Batch, place: &Translated<'_>) {
        let nat = place.nat.index();
        let lookups = &mut cx.out.express.lookups;
        for i in Bits(self.members) {
            let row = batch.row(i);
            let shard = &cx.shards.shard(ShardId(row.shard)).nats[nat];
            lookups[i] = shard.begin(self.side(i), row).expect("a plain packet has ports");
            shard.prefetch_index(lookups[i]);
        }
        for i in Bits(self.members) {
            let shard = ShardId(batch.row(i).shard);
            cx.shards.shard(shard).nats[nat].prefetch_session(lookups[i]);
        }
        for i in Bits(self.members) {
            let row = batch.row(i);
            let shard = &cx.shards.shard(ShardId(row.shard)).nats[nat];
            match shard.known(self.side(i), row, lookups[i]) {
                Some(session) => cx.out.express.sessions[i] = session,
                None => self.members &= !(1 << i),
            }
        }
    }

    /// Pays for the members at once; returns those that go. Else all stay: another worker was faster
    /// since the bucket was looked at.
    #[inline(always)]
    fn pay(&self, batch: &Batch, purse: &Purse, policer: Option<&LinkPolicer>) -> u64 {
        let Some(policer) = policer else { return self.members };
        let cost = Bits(self.members).map(|i| police::cost(policer, batch.row(i))).sum();
        if policer.bucket.admit(purse.arrival, cost) { self.members } else { 0 }
    }
}
