//! Do the network security groups allow it? A subnet's outbound rules for what its VMs send, its
//! inbound rules for what they get; an allowed flow's answers pass without a look at the rules.
//!
//! - **Reads** the 5-tuple, `attachment`, `next_hop`, `arrival`, `hash`.
//! - **Writes** flows of the packet's shard.
//! - **Ends** `nsg_denied`, `flow_table_full`.

use super::rewrite::adjacency_of;
use super::{Context, quoted};
use crate::flow::nsg_flow::{self, NsgKey};
use crate::flow::rules::RuleDirection;
use crate::flow::{self, Tuple};
use crate::frame::{Batch, Bits, DropReason, FRAME_SIZE, Flags, Row};
use crate::ids::NsgId;
use crate::tables::{Role, Tables};

/// Checks what VMs send: packets of `set` that came in from a subnet.
pub fn outbound(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    run(cx, batch, set, RuleDirection::Outbound, |tables, row| {
        match &tables.attachment(row.attachment).role {
            Role::Subnet(side) => side.nsg,
            _ => None,
        }
    })
}

/// Checks what VMs get: packets of `set` whose adjacency is on a subnet.
pub fn inbound(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    run(cx, batch, set, RuleDirection::Inbound, |tables, row| {
        let adjacency = tables.adjacency(adjacency_of(row));
        match &tables.attachment(adjacency.attachment).role {
            Role::Subnet(side) => side.nsg,
            _ => None,
        }
    })
}

#[inline(always)]
fn run(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    set: u64,
    direction: RuleDirection,
    of: impl Fn(&Tables, &Row) -> Option<NsgId>,
) -> u64 {
    let mut good = set;
    for i in Bits(set) {
        let Some(nsg) = of(cx.tables, batch.row(i)) else { continue };
        let (frame, row) = batch.both(i);
        if let Err(reason) = decide(cx, frame, row, nsg, direction) {
            batch.drop(i, reason);
            good &= !(1 << i);
        }
    }
    good
}

/// The packet's 5-tuple.
#[inline(always)]
pub fn tuple(row: &Row) -> Tuple {
    Tuple { src: row.src, dst: row.dst, sport: row.sport, dport: row.dport, proto: row.proto }
}

#[inline(always)]
fn decide(
    cx: &mut Context<'_>,
    frame: &[u8; FRAME_SIZE],
    row: &Row,
    nsg: NsgId,
    direction: RuleDirection,
) -> Result<(), DropReason> {
    let flows = &mut cx.shards.shard(flow::shard_of(row.hash)).nsg_flows;
    let (rules, epoch) = (cx.tables.nsg(nsg), cx.tables.epoch);
    if row.flags.has(Flags::ICMP_ERROR)
        && let Some(quoted) = quoted::tuple(frame, row)
    {
        let key = NsgKey::new(nsg, direction.opposite(), &quoted, row.hash);
        let error = tuple(row);
        return nsg_flow::evaluate_icmp_error(flows, rules, &error, &key, row.arrival, epoch)
            .verdict();
    }
    let key = NsgKey::new(nsg, direction, &tuple(row), row.hash);
    nsg_flow::evaluate_stateful(flows, rules, &key, row.arrival, epoch).verdict()
}
