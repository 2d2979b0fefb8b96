//! Which public address does it have? NAT at the provider edge, as a bump in the wire of a
//! Microsoft peering: it touches IPv4 from the inside prefixes and to the pool, and nothing else.
//!
//! - **Reads** `attachment`, addresses, ports, `flags`.
//! - **Writes** addresses, ports and checksums of the frame, and the row's copies of them.
//! - **Ends** `nat_no_session`, `nat_pool_exhausted`, `nat_table_full`, `nat_host_limit`,
//!   `nat_unsupported_protocol`, `nat_fragment_unknown`, `nat_bad_icmp`, `nat_filtered`.

use std::sync::Arc;

use super::icmp::{self, Report};
use super::{Context, Shards};
use crate::frame::{Batch, Bits, DropReason, Flags, Row};
use crate::ids::{Direction, NatId, ShardId};
use crate::nat::{Nat44, Side, Translated};
use crate::tables::{CrossConnect, Role};

/// Which way NAT takes a packet that came in at `cross`; `Bypass` leaves it alone.
#[inline(always)]
fn side(nat: &Nat44, cross: &CrossConnect, row: &Row) -> Side {
    let own = |address: u32| cross.own_subnets.iter().any(|(net, mask)| address & mask == *net);
    if own(row.src) || own(row.dst) {
        return Side::Bypass;
    }
    match (cross.direction, nat.side(row)) {
        (Direction::ToAzure, Side::In2Out) => Side::In2Out,
        (Direction::ToOnprem, Side::Out2In) => Side::Out2In,
        _ => Side::Bypass,
    }
}

/// The shard that keeps a packet's translation; none when NAT leaves it alone.
pub fn owner(
    nat: &Nat44,
    cross: &CrossConnect,
    frame: &[u8],
    row: &Row,
) -> Option<ShardId> {
    if row.flags.has(Flags::HAIRPIN) {
        return Some(nat.owner_out2in(frame, row));
    }
    match side(nat, cross, row) {
        Side::In2Out => Some(nat.owner_in2out(frame, row)),
        Side::Out2In => Some(nat.owner_out2in(frame, row)),
        Side::Bypass => None,
    }
}

/// Translates the packets of `set`; what is left goes on to its link, or back as a hairpin.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    let mut good = set;
    for i in Bits(set) {
        let tables = cx.tables;
        let attachment = batch.row(i).attachment;
        let Role::CrossConnect(cross) = &tables.attachment(attachment).role else {
            unreachable!("classify sorted this frame as cross-connected");
        };
        let Some(id) = cross.nat else { continue };
        match one(cx, batch, i, cross, id) {
            Ok(Next::On) => {}
            Ok(Next::Elsewhere) => good &= !(1 << i),
            Err(reason) => {
                if matches!(reason, DropReason::NatPoolExhausted | DropReason::NatHostLimit) {
                    let from = tables.nat(id).icmp_source();
                    icmp::report_from(cx, batch, i, Report::AdminProhibited, from);
                }
                batch.drop(i, reason);
                good &= !(1 << i);
            }
        }
    }
    good
}

enum Next {
    /// The packet goes on from here.
    On,
    /// Another worker owns the second half of a hairpin.
    Elsewhere,
}

fn one(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    i: usize,
    cross: &CrossConnect,
    id: NatId,
) -> Result<Next, DropReason> {
    let nat: &Arc<Nat44> = cx.tables.nat(id);
    let (frame, row) = batch.both(i);
    if row.flags.has(Flags::HAIRPIN) {
        return inbound(cx.shards, nat, id, &mut frame[..], row);
    }
    match side(nat, cross, row) {
        Side::Bypass => Ok(Next::On),
        Side::Out2In => inbound(cx.shards, nat, id, &mut frame[..], row),
        Side::In2Out => {
            let shard = nat.owner_in2out(&frame[..], row);
            let shard = &mut cx.shards.shard(shard).nats[id.index()];
            match shard.in2out(&mut frame[..], row)? {
                Translated::Done => Ok(Next::On),
                Translated::Hairpin => {
                    row.flags.set(Flags::HAIRPIN);
                    let worker = cx.tables.owner(nat.owner_out2in(&frame[..], row));
                    if worker == cx.worker {
                        return inbound(cx.shards, nat, id, &mut frame[..], row);
                    }
                    cx.out.workers[worker.index()].push(batch.take(i));
                    cx.counters.handed_over.add(1);
                    Ok(Next::Elsewhere)
                }
            }
        }
    }
}

fn inbound(
    shards: &mut Shards,
    nat: &Nat44,
    id: NatId,
    frame: &mut [u8],
    row: &mut Row,
) -> Result<Next, DropReason> {
    let shard = nat.owner_out2in(frame, row);
    shards.shard(shard).nats[id.index()].out2in(frame, row)?;
    Ok(Next::On)
}
