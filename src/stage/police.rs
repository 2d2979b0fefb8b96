//! Is the link's bandwidth used up?
//!
//! Directly after *classify* towards Azure, last before the tags towards on-premises. One atomic
//! word a policer, reserved once for the packets of a batch, exact over all workers.
//!
//! - **Reads** `arrival`, `len`, `ip_len`, `proto`, ports (BGP and BFD are counted, not dropped).
//! - **Writes** nothing.
//! - **Ends** `policed`.

use super::Context;
use crate::frame::{Batch, Bits, DropReason, Flags, Row};
use crate::ids::{Direction, MeterId, PolicerId};
use crate::police::Size;
use crate::tables::LinkPolicer;
use crate::time::Now;
use crate::wire::proto;

/// BGP (RFC 4271), BFD control for single hop (RFC 5881) and multihop (RFC 5883).
const BGP: u16 = 179;
const BFD: u16 = 3784;
const BFD_MULTIHOP: u16 = 4784;

/// Whether a packet is control traffic, which is counted and not dropped.
#[inline(always)]
pub fn is_control(row: &Row) -> bool {
    if !row.flags.has(Flags::IP4) {
        return row.ether_type == crate::wire::eth::ether_type::ARP;
    }
    row.flags.has(Flags::L4)
        && match row.proto {
            proto::TCP => row.sport == BGP || row.dport == BGP,
            proto::UDP => row.dport == BFD || row.dport == BFD_MULTIHOP,
            _ => false,
        }
}

/// What a packet costs a policer, in bytes.
#[inline(always)]
pub fn cost(policer: &LinkPolicer, row: &Row) -> u64 {
    let l3 = row.len.saturating_sub(u32::from(row.l3 - row.off));
    Size::plain(row.len, l3).cost(policer.accounting)
}

/// Packets of one batch that share a policer.
#[derive(Debug)]
struct Group {
    policer: PolicerId,
    members: u64,
}

/// Polices `set`: `of` names each packet's policer, direction and meter.
pub fn run(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    set: u64,
    direction: Direction,
    mut of: impl FnMut(&Context<'_>, &Row) -> (Option<PolicerId>, Option<MeterId>),
) -> u64 {
    let mut left = set;
    let mut good = set;
    while left != 0 {
        let first = left.trailing_zeros() as usize;
        let (policer, _) = of(cx, batch.row(first));
        let mut group = Group { policer: policer.unwrap_or_default(), members: 0 };
        for i in Bits(left) {
            if of(cx, batch.row(i)).0 == policer {
                group.members |= 1 << i;
            }
        }
        left &= !group.members;
        if policer.is_none() {
            continue;
        }
        let denied = admit(cx, batch, &group);
        for i in Bits(denied) {
            batch.drop(i, DropReason::Policed);
            // Its own meter: peerings of a link share the policer and have one each.
            if let Some(meter) = of(cx, batch.row(i)).1 {
                let meter = cx.counters.meter(meter);
                match direction {
                    Direction::ToAzure => meter.in_policed.add(1),
                    Direction::ToOnprem => meter.out_policed.add(1),
                }
            }
        }
        good &= !denied;
    }
    good
}

/// The members of a group that the bucket does not admit.
fn admit(cx: &Context<'_>, batch: &Batch, group: &Group) -> u64 {
    let policer = cx.tables.policer(group.policer);
    let mut reservation = policer.bucket.reserve();
    loop {
        let mut denied = 0;
        for i in Bits(group.members) {
            let row = batch.row(i);
            let admitted = reservation.admit(row.arrival, cost(policer, row));
            if !admitted && (policer.police_control || !is_control(row)) {
                denied |= 1 << i;
            }
        }
        // Another worker was faster: decide again on what it left.
        match reservation.commit() {
            Ok(()) => return denied,
            Err(again) => reservation = again,
        }
    }
}

/// Keeps idle policers' words from ageing beyond their horizon.
pub fn touch(cx: &Context<'_>, now: Now) {
    for policer in cx.tables.policers.iter() {
        policer.bucket.touch(now);
    }
}
