//! The order of the stages, on one screen.
//!
//! ```text
//! frame ─> classify ─┬─ provider edge ─> [ip4] ─> steer ─> nat44 ─> police ─> rewrite (retag)
//!                    ├─ ARP ─> punt
//!                    └─ IPv4 ─> ip4 ─> steer ─> police ─> source_check ─> nsg out ─> lookup ─┐
//!    ┌───────────────────────────────────────────────────────────────────────────────────────┘
//!    ├─ local ─> answer
//!    ├─ gateway ─> lookup (VNet) ─┐
//!    └─ adjacency ────────────────┴─> nsg in ─> fits ─> police (to_onprem) ─> rewrite, cut
//! ```

use crate::frame::{Batch, Bits, Flags};
use crate::ids::{Direction, MeterId, PolicerId};
use crate::stage::{
    Context, Sorted, answer, classify, gateway, icmp, lookup, meter_in, nat44, nsg, police, punt,
    rewrite, select, source_check, steer, validate,
};
use crate::tables::{Role, Tables};

/// Frames as a port received them.
pub fn received(cx: &mut Context<'_>, batch: &mut Batch) {
    validate::frame(cx, batch);
    let sorted = classify::run(cx, batch);
    punt::run(cx, batch, sorted.arp);
    let ip = validate::ip4(batch, sorted.ip);
    let nat = lenient(batch, sorted.nat);
    let ip = steer::run(cx, batch, ip);
    let nat = steer::run(cx, batch, nat);
    let cross = batch.live() & (sorted.cross | sorted.nat) & !nat;
    owned(cx, batch, Sorted { cross, nat, ip, arp: 0 });
    finish(cx, batch);
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
        let ip = police::run(cx, batch, (sorted.ip, 0), Direction::ToAzure, to_azure);
        for i in Bits(ip) {
            meter_in(cx, batch.row(i).attachment, batch.row(i));
        }
        let ip = source_check::run(cx, batch, ip);
        let ip = nsg::outbound(cx, batch, ip);
        forward(cx, batch, ip);
    }
}

fn provider_edge(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    let tables = cx.tables;
    for direction in [Direction::ToAzure, Direction::ToOnprem] {
        let set = select(batch, set, |row| crossing(tables, row) == Some(direction));
        let set = police::run(cx, batch, (set, 0), direction, |tables, row| {
            let attachment = tables.attachment(row.attachment);
            let Role::CrossConnect(cross) = &attachment.role else { return (None, None) };
            let police = if row.flags.has(Flags::HAIRPIN) { None } else { cross.police };
            (police, attachment.meter)
        });
        rewrite::crossed(cx, batch, set);
    }
}

/// Look-up and all that follows it.
fn forward(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    let found = lookup::run(cx, batch, set);
    answer::run(cx, batch, found.local);
    let mut adjacency = found.adjacency;
    fastpath(cx, batch, adjacency);
    if found.gateway != 0 {
        let through = gateway::run(cx, batch, found.gateway);
        let found = lookup::run(cx, batch, through);
        answer::run(cx, batch, found.local);
        adjacency |= found.adjacency;
    }
    let set = nsg::inbound(cx, batch, adjacency);
    let (set, cut) = rewrite::fits(cx, batch, set);
    let set = police::run(cx, batch, (set, cut), Direction::ToOnprem, to_onprem);
    rewrite::routed(cx, batch, set);
}

/// Counts packets from a private peering that went past the gateway.
fn fastpath(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    for i in Bits(set) {
        let row = batch.row(i);
        if row.flags.has(Flags::VIA_GATEWAY) {
            continue;
        }
        let Role::Peering(_) = cx.tables.attachment(row.attachment).role else { continue };
        let adjacency = cx.tables.adjacency(rewrite::adjacency_of(row));
        if let Some(gateway) = adjacency.fastpath {
            let counters = cx.counters.gateway(gateway);
            counters.fastpath_packets.add(1);
            counters.fastpath_bytes.add(u64::from(row.ip_len));
        }
    }
}

fn crossing(tables: &Tables, row: &crate::frame::Row) -> Option<Direction> {
    match &tables.attachment(row.attachment).role {
        Role::CrossConnect(cross) => Some(cross.direction),
        _ => None,
    }
}

fn to_azure(tables: &Tables, row: &crate::frame::Row) -> (Option<PolicerId>, Option<MeterId>) {
    let attachment = tables.attachment(row.attachment);
    match &attachment.role {
        Role::Peering(side) => (side.police_in, attachment.meter),
        _ => (None, None),
    }
}

fn to_onprem(tables: &Tables, row: &crate::frame::Row) -> (Option<PolicerId>, Option<MeterId>) {
    if row.flags.has(Flags::POLICED) {
        return (None, None);
    }
    let adjacency = tables.adjacency(rewrite::adjacency_of(row));
    let attachment = tables.attachment(adjacency.attachment);
    match &attachment.role {
        Role::Peering(side) => (side.police_out, attachment.meter),
        _ => (None, None),
    }
}

/// Makes the ICMP errors, counts what was dropped and empties the batch.
pub fn finish(cx: &mut Context<'_>, batch: &mut Batch) {
    icmp::make(cx, batch);
    let counters = cx.counters;
    batch.finish(cx.pool, |reason, row| {
        counters.note_drop(reason, 1);
        counters.port(row.port).dropped.add(1);
    });
}
