//! Do the network security groups allow it? A subnet's outbound rules for what its VMs send, its
//! inbound rules for what they get; an allowed flow's answers pass without a look at the rules.
//!
//! - **Reads** the 5-tuple, `attachment`, `next_hop`, `arrival`, `hash`.
//! - **Writes** flows of the packet's shard.
//! - **Ends** `nsg_denied`, `flow_table_full`.

use super::Context;
use super::rewrite::adjacency_of;
use crate::flow::rules::RuleDirection;
use crate::flow::{self, nsg_flow};
use crate::frame::{Batch, Bits, Row};
use crate::ids::NsgId;
use crate::tables::Role;

/// Checks what VMs send: packets of `set` that came in from a subnet.
pub fn outbound(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    run(cx, batch, set, RuleDirection::Outbound, |cx, row| {
        match &cx.tables.attachment(row.attachment).role {
            Role::Subnet(side) => side.nsg,
            _ => None,
        }
    })
}

/// Checks what VMs get: packets of `set` whose adjacency is on a subnet.
pub fn inbound(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    run(cx, batch, set, RuleDirection::Inbound, |cx, row| {
        let adjacency = cx.tables.adjacency(adjacency_of(row));
        match &cx.tables.attachment(adjacency.attachment).role {
            Role::Subnet(side) => side.nsg,
            _ => None,
        }
    })
}

fn run(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    set: u64,
    direction: RuleDirection,
    of: impl Fn(&Context<'_>, &Row) -> Option<NsgId>,
) -> u64 {
    let mut good = set;
    for i in Bits(set) {
        let Some(nsg) = of(cx, batch.row(i)) else { continue };
        let (frame, row) = batch.both(i);
        let flows = &mut cx.shards.shard(flow::shard_of(row.hash)).nsg_flows;
        let verdict = nsg_flow::evaluate(
            flows,
            cx.tables.nsg(nsg),
            nsg,
            direction,
            &frame[..],
            row,
            cx.tables.epoch,
        );
        if let Err(reason) = verdict {
            batch.drop(i, reason);
            good &= !(1 << i);
        }
    }
    good
}
