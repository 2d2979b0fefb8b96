//! The order of the stages, on one screen.
//!
//! ```text
//! frame ─> express ──> out, most of them
//!    └───> classify ─┬─ provider edge ─> [ip4] ─> steer ─> nat44 ─> police ─> rewrite (retag)
//!                    ├─ ARP ─> punt
//!                    └─ IPv4 ─> ip4 ─> steer ─> police ─> source_check ─> nsg out ─> lookup ─┐
//!    ┌───────────────────────────────────────────────────────────────────────────────────────┘
//!    ├─ local ─> answer
//!    ├─ gateway ─> lookup (VNet) ─┐
//!    └─ adjacency ────────────────┴─> nsg in ─> fits ─> police (to_onprem) ─> rewrite, cut
//! ```

use crate::frame::{Batch, Bits, Flags};
use crate::ids::Direction;
use crate::stage::group::{Groups, sum};
use crate::stage::police::Share;
use crate::stage::{
    Context, Sorted, answer, classify, egress, express, gateway, icmp, lookup, meter, nat44, nsg,
    payload, pieces, police, punt, rewrite, select, source_check, steer, validate,
};
use crate::tables::Role;

/// Frames as a port received them.
pub fn received(cx: &mut Context<'_>, batch: &mut Batch) {
    express::run(cx, batch);
    if batch.live() != 0 {
        staged(cx, batch);
    }
    finish(cx, batch);
}

/// Frames as a port received them, by the stages alone: the yardstick of *express*.
#[cfg(test)]
pub(crate) fn received_by_stages(cx: &mut Context<'_>, batch: &mut Batch) {
    staged(cx, batch);
    finish(cx, batch);
}

/// Frames as a port received them, those that *express* left.
fn staged(cx: &mut Context<'_>, batch: &mut Batch) {
    batch.settle();
    validate::frame(cx, batch);
    let sorted = classify::run(cx, batch);
    punt::run(cx, batch, sorted.arp);
    let ip = validate::ip4(batch, sorted.ip);
    let nat = lenient(batch, sorted.nat);
    let groups = Groups::of(batch, ip);
    let ip = steer::routed(cx, batch, &groups, ip);
    let nat = steer::run(cx, batch, nat);
    let cross = batch.live() & (sorted.cross | sorted.nat) & !nat;
    owned(cx, batch, Sorted { cross, nat, ip, arp: 0 });
}

/// Packets that another worker handed over: *validate* and *classify* have seen them.
pub fn handed_over(cx: &mut Context<'_>, batch: &mut Batch) {
    let live = batch.live();
    let tables = cx.tables;
    let crossing = |row: &crate::frame::Row| {
        matches!(tables.attachment(row.attachment).role, Role::CrossConnect(_))
    };
    let nat = select(batch, live, crossing);
    let ip = steer::run(cx, batch, live & !nat);
    let nat = steer::run(cx, batch, nat);
    owned(cx, batch, Sorted { cross: 0, nat, ip, arp: 0 });
    finish(cx, batch);
}

/// Packets that waited for a neighbour: they are looked up again.
pub fn released(cx: &mut Context<'_>, batch: &mut Batch) {
    forward(cx, batch, batch.live());
    finish(cx, batch);
}

/// IPv4 on a translated peering: what is no valid packet passes untouched, as all of layer 2 does.
fn lenient(batch: &mut Batch, set: u64) -> u64 {
    let mut valid = 0;
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        match validate::header(frame, row) {
            Ok(()) => valid |= 1 << i,
            Err(_) => row.flags.clear(Flags::IP4),
        }
    }
    valid
}

/// Packets whose state is ours.
fn owned(cx: &mut Context<'_>, batch: &mut Batch, sorted: Sorted) {
    if sorted.cross | sorted.nat != 0 {
        let nat = nat44::run(cx, batch, sorted.nat);
        provider_edge(cx, batch, nat | sorted.cross);
    }
    if sorted.ip != 0 {
        routed(cx, batch, sorted.ip);
    }
}

fn provider_edge(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    let tables = cx.tables;
    let groups = Groups::of(batch, set);
    // A hairpin does not cross the link.
    let hairpins = select(batch, set, |row| row.flags.has(Flags::HAIRPIN));
    let mut set = set;
    for direction in [Direction::ToAzure, Direction::ToOnprem] {
        let shares = groups.iter().filter_map(|group| {
            let attachment = tables.attachment(group.attachment);
            let Role::CrossConnect(cross) = &attachment.role else { return None };
            let members = group.members & !hairpins;
            let share = Share { policer: cross.police, meter: attachment.meter, members };
            (cross.direction == direction).then_some(share)
        });
        set = police::run(cx, batch, (set, 0), direction, shares);
    }
    rewrite::crossed(cx, batch, &groups, set);
}

fn routed(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    let tables = cx.tables;
    let groups = Groups::of(batch, set);
    let shares = groups.iter().filter_map(|group| {
        let attachment = tables.attachment(group.attachment);
        let Role::Peering(side) = &attachment.role else { return None };
        let (policer, meter) = (side.police_in, attachment.meter);
        Some(Share { policer, meter, members: group.members })
    });
    let mut set = police::run(cx, batch, (set, 0), Direction::ToAzure, shares);
    for group in groups.iter() {
        let members = group.members & set;
        let (more, extra) = pieces::extra(batch, members);
        let bytes = sum(batch, members, payload) + extra;
        let figures = (u64::from(members.count_ones()) + more, bytes);
        meter(cx.counters, tables.attachment(group.attachment).meter, Direction::ToAzure, figures);
    }
    set = source_check::run(cx, batch, &groups, set);
    set = nsg::outbound(cx, batch, &groups, set);
    forward(cx, batch, set);
}

/// Look-up and all that follows it.
fn forward(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    let found = lookup::run(cx, batch, set);
    answer::run(cx, batch, found.local);
    let mut set = found.adjacency;
    if found.gateway != 0 {
        let through = gateway::run(cx, batch, found.gateway);
        let found = lookup::run(cx, batch, through);
        answer::run(cx, batch, found.local);
        set |= found.adjacency;
    }
    let asked = egress::run(cx, batch, set);
    set = set & !asked.nsg | nsg::inbound(cx, batch, asked.nsg);
    let big = asked.big & set;
    let big = rewrite::fits(cx, batch, big);
    set = set & !asked.big | big;
    set = to_onprem(cx, batch, (set, big), asked.police);
    rewrite::routed(cx, batch, set, big);
}

/// The links' bandwidth, for those of `set` that lead over one; those of `cut` go in pieces.
fn to_onprem(cx: &mut Context<'_>, batch: &mut Batch, (set, cut): (u64, u64), asked: u64) -> u64 {
    let tables = cx.tables;
    let asked = select(batch, asked & set, |row| !row.flags.has(Flags::POLICED));
    let groups = Groups::by(batch, asked, |row| rewrite::rewrite_of(tables, row).attachment);
    let shares = groups.iter().map(|group| {
        let attachment = tables.attachment(group.attachment);
        let policer = match &attachment.role {
            Role::Peering(side) => side.police_out,
            _ => None,
        };
        Share { policer, meter: attachment.meter, members: group.members }
    });
    police::run(cx, batch, (set, cut), Direction::ToOnprem, shares)
}

/// Makes the ICMP errors, counts what was dropped and empties the batch.
pub fn finish(cx: &mut Context<'_>, batch: &mut Batch) {
    if batch.open() != 0 {
        pieces::count_dropped(cx, batch);
    }
    icmp::make(cx, batch);
    let counters = cx.counters;
    batch.finish(cx.pool, |reason, row| {
        counters.note_drop(reason, 1);
        counters.port(row.port).dropped.add(1);
    });
}
