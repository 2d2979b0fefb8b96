//! Is the link's bandwidth used up?
//!
//! Directly after *classify* towards Azure, last before the tags towards on-premises. One atomic
//! word a policer, reserved once for the packets of a batch, exact over all workers. A packet that
//! *rewrite* will cut costs what its pieces cost, and they pass together or not at all.
//!
//! - **Reads** `arrival`, `len`, `ip_len`, `attachment`, and of refused packets whether they are
//!   the link's control traffic, which is counted and not dropped.
//! - **Writes** nothing.
//! - **Ends** `policed`.

use super::control_traffic::is_control;
use super::{Context, fragment, payload, rewrite};
use crate::frame::{Batch, Bits, DropReason, Row};
use crate::ids::{Direction, MeterId, PolicerId};
use crate::police::{Accounting, Size};
use crate::tables::{LinkPolicer, Tables};
use crate::time::Now;

/// What a packet costs a policer, in bytes: of the frame that it is on the link, with the link's
/// tags, whichever it has here.
#[inline(always)]
pub fn cost(policer: &LinkPolicer, row: &Row) -> u64 {
    size_cost(policer, payload(row))
}

/// What a packet of `l3` bytes costs a policer.
#[inline(always)]
pub fn size_cost(policer: &LinkPolicer, l3: u32) -> u64 {
    Size::plain(u32::from(policer.header_size) + l3, l3).cost(policer.accounting)
}

/// What packets that are known together cost a policer: how many, their bytes, the size of each.
#[inline(always)]
pub fn sizes_cost(
    policer: &LinkPolicer,
    (packets, bytes): (u64, u64),
    each: impl Iterator<Item = u32>,
) -> u64 {
    match policer.accounting {
        // A short frame costs as much as a longer one.
        Accounting::L1 => each.map(|size| size_cost(policer, size)).sum(),
        Accounting::L2 => bytes + packets * u64::from(policer.header_size),
        Accounting::L3 => bytes,
    }
}

/// Packets that ask the same policer, and the meter that counts those it refuses.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// The policer; without one all pass.
    pub policer: Option<PolicerId>,
    /// The meter.
    pub meter: Option<MeterId>,
    /// The packets.
    pub members: u64,
}

/// Polices the packets of `shares`, those of one policer in the batch's order; returns those of
/// `set` that passed. Those of `cut` will leave in pieces.
pub fn run(
    cx: &Context<'_>,
    batch: &mut Batch,
    (set, cut): (u64, u64),
    direction: Direction,
    shares: impl Iterator<Item = Share> + Clone,
) -> u64 {
    let (mut good, mut asked) = (set, 0);
    for first in shares.clone() {
        let Some(policer) = first.policer else { continue };
        if first.members & asked != 0 {
            continue;
        }
        let same = || shares.clone().filter(|share| share.policer == Some(policer));
        let members = same().fold(0, |all, share| all | share.members);
        asked |= members;
        let denied = admit(cx.tables, batch, cx.tables.policer(policer), (members, cut));
        if denied != 0 {
            same().for_each(|share| note_refused(cx, share, denied, direction));
            Bits(denied).for_each(|i| batch.drop(i, DropReason::Policed));
            good &= !denied;
        }
    }
    good
}

#[cold]
fn note_refused(cx: &Context<'_>, share: Share, denied: u64, direction: Direction) {
    let Some(meter) = share.meter else { return };
    let meter = cx.counters.meter(meter);
    let counter = match direction {
        Direction::ToAzure => &meter.in_policed,
        Direction::ToOnprem => &meter.out_policed,
    };
    counter.add(u64::from((denied & share.members).count_ones()));
}

/// The packets of `members` that the bucket does not admit.
fn admit(tables: &Tables, batch: &Batch, policer: &LinkPolicer, (members, cut): (u64, u64)) -> u64 {
    let mut reservation = policer.bucket.reserve();
    loop {
        let mut denied = 0;
        for i in Bits(members) {
            let row = batch.row(i);
            let cost = match cut >> i & 1 {
                0 => cost(policer, row),
                _ => cost_in_pieces(tables, batch, policer, i),
            };
            if !reservation.admit(row.arrival, cost) {
                denied |= 1 << i;
            }
        }
        match reservation.commit() {
            Ok(()) if policer.police_control => return denied,
            Ok(()) => return denied & !control(tables, batch, denied),
            // Another worker was faster: decide again on what it left.
            Err(again) => reservation = again,
        }
    }
}

/// What the pieces of packet `i` cost together.
#[cold]
fn cost_in_pieces(tables: &Tables, batch: &Batch, policer: &LinkPolicer, i: usize) -> u64 {
    let row = batch.row(i);
    let mtu = tables.adjacency(rewrite::adjacency_of(row)).mtu;
    let packet = &batch.bytes(i)[usize::from(row.l3 - row.off)..];
    fragment::sizes(packet, mtu).map(|size| size_cost(policer, u32::from(size))).sum()
}

/// The control traffic in `set`.
fn control(tables: &Tables, batch: &Batch, set: u64) -> u64 {
    let mut found = 0;
    for i in Bits(set) {
        let row = batch.row(i);
        let packet = &batch.bytes(i)[usize::from(row.l3 - row.off)..];
        found |= u64::from(is_control(tables, row, packet)) << i;
    }
    found
}

/// Keeps idle policers' words from ageing beyond their horizon.
pub fn touch(cx: &Context<'_>, now: Now) {
    for policer in cx.tables.policers.iter() {
        policer.bucket.touch(now);
    }
    cx.tables.icmp_limits.iter().for_each(|limit| limit.touch(now));
    for limits in cx.tables.gateways.iter().filter_map(|gateway| gateway.limits.as_ref()) {
        for bucket in [&limits.bits, &limits.packets, &limits.new_flows] {
            bucket.touch(now);
        }
    }
}
