//! Do the network security groups allow it? A subnet's outbound rules for what its VMs send, its
//! inbound rules for what they get; an allowed flow's answers pass without a look at the rules.
//!
//! - **Reads** the 5-tuple, `attachment`, `next_hop`, `arrival`, `hash`.
//! - **Writes** flows of the packet's shard.
//! - **Ends** `nsg_denied`, `flow_table_full`.

use super::group::Groups;
use super::rewrite::rewrite_of;
use super::{Context, quoted};
use crate::flow::nsg_flow::{self, NsgKey};
use crate::flow::rules::RuleDirection;
use crate::flow::{self, Tuple};
use crate::frame::{Batch, Bits, DropReason, FRAME_SIZE, Flags, Row};
use crate::ids::{AttachmentId, NsgId};
use crate::tables::{Role, Tables};

/// Checks what VMs send: packets of `groups` that came in from a subnet; returns what is left of
/// `set`.
pub fn outbound(cx: &mut Context<'_>, batch: &mut Batch, groups: &Groups, set: u64) -> u64 {
    let tables = cx.tables;
    let asked = groups.iter().filter(|group| of_subnet(tables, group.attachment).is_some());
    // One loop over all, since groups of one shard share its flows, in the batch's order.
    let asked = asked.fold(0, |all, group| all | group.members) & set;
    let allowed = run(cx, batch, asked, RuleDirection::Outbound, |tables, row| {
        of_subnet(tables, row.attachment)
    });
    set & !asked | allowed
}

/// The security group of a subnet.
#[inline(always)]
fn of_subnet(tables: &Tables, attachment: AttachmentId) -> Option<NsgId> {
    match &tables.attachment(attachment).role {
        Role::Subnet(side) => side.nsg,
        _ => None,
    }
}

/// Checks what VMs get: packets of `set`, whose adjacencies are on subnets with a group.
pub fn inbound(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    run(cx, batch, set, RuleDirection::Inbound, |tables, row| rewrite_of(tables, row).nsg)
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
    prefetch(cx, batch, set, direction, &of);
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

/// Asks for the flows of all packets before the first is decided on.
#[inline(always)]
fn prefetch(
    cx: &mut Context<'_>,
    batch: &Batch,
    set: u64,
    direction: RuleDirection,
    of: impl Fn(&Tables, &Row) -> Option<NsgId>,
) {
    for i in Bits(set) {
        let row = batch.row(i);
        let Some(nsg) = of(cx.tables, row) else { continue };
        let key = NsgKey::new(nsg, direction, &tuple(row), row.hash);
        cx.shards.nsg_flows.of(flow::shard_of(row.hash)).prefetch(key.key());
    }
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
    let flows = cx.shards.nsg_flows.of_mut(flow::shard_of(row.hash));
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
