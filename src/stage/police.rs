//! Is the link's bandwidth used up?
//!
//! Directly after *classify* towards Azure, last before the tags towards on-premises. One atomic
//! word a policer, reserved once for the packets of a batch, exact over all workers. A packet that
//! *rewrite* will cut costs what its pieces cost, and they pass together or not at all. Of a
//! super-frame as many segments pass as there is bandwidth for.
//!
//! - **Reads** `arrival`, `len`, `ip_len`, `attachment`, and of refused packets whether they are
//!   the link's control traffic, which is counted and not dropped.
//! - **Writes** nothing.
//! - **Ends** `policed`.

use arrayvec::ArrayVec;

use super::control_traffic::is_control;
use super::pieces::{self, Pieces};
use super::{Context, fragment, payload, rewrite};
use crate::frame::{BATCH, Batch, Bits, DropReason, Row};
use crate::ids::{Direction, MeterId, PolicerId};
use crate::police::{Accounting, Reservation, Size};
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
        let mut refused = Refused::default();
        admit(cx.tables, batch, cx.tables.policer(policer), (members, cut), &mut refused);
        let denied = refused.whole;
        if denied != 0 {
            same().for_each(|share| note_refused(cx, batch, share, denied, direction));
            Bits(denied).for_each(|i| batch.drop(i, DropReason::Policed));
            good &= !denied;
        }
        for (i, kept) in refused.trimmed {
            let lost = Pieces::of(batch, i).map_or(0, |pieces| pieces.len - kept);
            let share = same().find(|share| share.members >> i & 1 != 0);
            note(cx, share.and_then(|share| share.meter), lost, direction);
            pieces::trim(cx, batch, i, kept, DropReason::Policed);
        }
    }
    good
}

/// What a bucket does not admit.
#[derive(Default)]
struct Refused {
    /// Packets.
    whole: u64,
    /// Super-frames, and how many of their segments it does admit.
    trimmed: ArrayVec<(usize, u64), BATCH>,
}

#[cold]
fn note_refused(cx: &Context<'_>, batch: &Batch, share: Share, denied: u64, direction: Direction) {
    let members = denied & share.members;
    let (extra, _) = pieces::extra(batch, members);
    note(cx, share.meter, u64::from(members.count_ones()) + extra, direction);
}

#[cold]
fn note(cx: &Context<'_>, meter: Option<MeterId>, refused: u64, direction: Direction) {
    let Some(meter) = meter else { return };
    let meter = cx.counters.meter(meter);
    let counter = match direction {
        Direction::ToAzure => &meter.in_policed,
        Direction::ToOnprem => &meter.out_policed,
    };
    counter.add(refused);
}

/// Asks the bucket for the packets of `members`; `refused` is what it does not admit.
fn admit(
    tables: &Tables,
    batch: &Batch,
    policer: &LinkPolicer,
    (members, cut): (u64, u64),
    refused: &mut Refused,
) {
    let special = cut | batch.open();
    let mut reservation = policer.bucket.reserve();
    loop {
        refused.whole = 0;
        refused.trimmed.clear();
        for i in Bits(members) {
            let row = batch.row(i);
            if special >> i & 1 != 0 {
                let cut = cut >> i & 1 != 0;
                admit_special(tables, batch, policer, (i, cut), &mut reservation, refused);
            } else if !reservation.admit(row.arrival, cost(policer, row)) {
                refused.whole |= 1 << i;
            }
        }
        match reservation.commit() {
            Ok(()) => {
                if !policer.police_control {
                    refused.whole &= !control(tables, batch, refused.whole);
                    refused.trimmed.retain(|(i, _)| control(tables, batch, 1 << *i) == 0);
                }
                return;
            }
            // Another worker was faster: decide again on what it left.
            Err(again) => reservation = again,
        }
    }
}

/// Asks for a packet that will be `cut`, or for a super-frame.
#[cold]
fn admit_special(
    tables: &Tables,
    batch: &Batch,
    policer: &LinkPolicer,
    (i, cut): (usize, bool),
    reservation: &mut Reservation<'_>,
    refused: &mut Refused,
) {
    let row = batch.row(i);
    let pieces = Pieces::of(batch, i);
    let whole = match &pieces {
        _ if cut => cost_in_pieces(tables, batch, policer, i),
        Some(pieces) => pieces.cost(policer, pieces.len),
        None => cost(policer, row),
    };
    if reservation.admit(row.arrival, whole) {
        return;
    }
    let kept = pieces.filter(|_| !cut).map_or(0, |pieces| {
        let cost_of = |at| pieces.cost(policer, at + 1) - pieces.cost(policer, at);
        let first = pieces.cost(policer, 1);
        pieces::admitted(pieces.len, |at| {
            reservation.admit(row.arrival, if at == 0 { first } else { cost_of(at) })
        })
    });
    if kept == 0 {
        refused.whole |= 1 << i;
    } else {
        refused.trimmed.push((i, kept));
    }
}

/// What the pieces of packet `i` cost together.
#[cold]
fn cost_in_pieces(tables: &Tables, batch: &Batch, policer: &LinkPolicer, i: usize) -> u64 {
    let mtu = rewrite::rewrite_of(tables, batch.row(i)).mtu;
    fragment::sizes(batch, i, mtu).map(|size| size_cost(policer, u32::from(size))).sum()
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
