//! Where does it lead? Longest prefix match in the packet's routing domain, then what the next
//! hop means for it.
//!
//! - **Reads** `vrf`, `dst`, `hash`, `ttl`, `flags`.
//! - **Writes** `next_hop`: what was found, then the adjacency it came to.
//! - **Ends** `no_route`, `blackhole`, `no_transit`, `no_link`, `ttl_expired`,
//!   `neighbour_unresolved`; holds packets for neighbours.

use super::icmp::{self, Report};
use super::state::{Held, WaitsFor};
use super::{Context, Message, Punt};
use crate::frame::{BATCH, Batch, Bits, DropReason, Flags};
use crate::ids::{AttachmentId, NextHopId};
use crate::tables::{NextHop, Tables};
use crate::wire::checksum::Delta;

/// What the look-up made of a set of packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// For an address of ours.
    pub local: u64,
    /// Through a gateway, whose next-hop id is in the row.
    pub gateway: u64,
    /// To an adjacency, whose next-hop id is in the row.
    pub adjacency: u64,
}

/// Looks each packet of `set` up and sorts by what the next hop is.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> Found {
    find(cx.tables, batch, set);
    let mut found = Found::default();
    for i in Bits(set) {
        let row = batch.row(i);
        let (id, hash) = (row.next_hop, row.hash);
        match cx.tables.next_hop(id) {
            NextHop::Adjacency(..) => found.adjacency |= 1 << i,
            NextHop::Gateway(_) => found.gateway |= 1 << i,
            NextHop::Paths(group) => {
                let chosen = cx.tables.path_group(group).choose(hash, &cx.tables.words);
                match chosen {
                    Some(adjacency) => {
                        batch.row_mut(i).next_hop = adjacency;
                        found.adjacency |= 1 << i;
                    }
                    None => {
                        icmp::report(cx, batch, i, Report::NetUnreachable);
                        batch.drop(i, DropReason::NoLink);
                    }
                }
            }
            NextHop::Connected(attachment) => {
                if let Some(adjacency) = gleaned(cx, batch, i, attachment) {
                    batch.row_mut(i).next_hop = adjacency;
                    found.adjacency |= 1 << i;
                }
            }
            NextHop::Local => found.local |= 1 << i,
            NextHop::Blackhole(reason) => {
                icmp::report(cx, batch, i, Report::NetUnreachable);
                batch.drop(i, reason);
            }
        }
    }
    let forwarded = found.adjacency | found.gateway;
    let alive = decrement_ttl(cx, batch, forwarded);
    found.adjacency &= alive;
    found.gateway &= alive;
    found
}

/// Longest prefix match, domain by domain: look-ups in one table overlap their cache misses.
fn find(tables: &Tables, batch: &mut Batch, set: u64) {
    let mut left = set;
    while left != 0 {
        let vrf = batch.row(left.trailing_zeros() as usize).vrf;
        let (mut addresses, mut found) = ([0; BATCH], [NextHopId(0); BATCH]);
        let (mut len, mut members) = (0, 0);
        for i in Bits(left) {
            let row = batch.row(i);
            let own = row.vrf == vrf;
            // Written past the end when it is not ours: the next one that is overwrites it.
            addresses[len] = row.dst;
            len += usize::from(own);
            members |= u64::from(own) << i;
        }
        left &= !members;
        tables.fib(vrf).lookup_batch(&addresses[..len], &mut found[..len]);
        for (i, next_hop) in Bits(members).zip(found) {
            batch.row_mut(i).next_hop = next_hop;
        }
    }
}

/// The neighbour that has a packet's destination on a connected prefix; asks for it and holds
/// the packet when nobody knows.
fn gleaned(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    i: usize,
    attachment: AttachmentId,
) -> Option<NextHopId> {
    let dst = batch.row(i).dst;
    let known = cx.tables.gleaned.get(&(attachment, dst)).copied();
    if known.is_none() {
        hold(cx, batch, i, WaitsFor::Address(attachment, dst));
    }
    known
}

/// Lets packet `i` wait for a neighbour and asks control to find it.
pub fn hold(cx: &mut Context<'_>, batch: &mut Batch, i: usize, waits_for: WaitsFor) {
    let message = match waits_for {
        WaitsFor::Neighbour(id) => Message::Resolve(id),
        WaitsFor::Address(attachment, address) => Message::Glean(attachment, address),
    };
    let entered = cx.tables.waiting.enter(waits_for);
    // The wish is made again with each frame that waits, since control may have lost the first.
    if !matches!(entered, Err(full) if full.others_wait) {
        cx.out.punts.push(Punt::Message(message));
    }
    if entered.is_err() {
        batch.drop(i, DropReason::NeighbourUnresolved);
        return;
    }
    let (frame, row) = batch.take(i);
    cx.counters.held.add(1);
    cx.out.held.push(Held { waits_for, since: row.arrival, frame, row });
}

/// Takes one from the time to live of each packet that is forwarded; a packet that went through
/// the gateway paid already.
fn decrement_ttl(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    let mut alive = set;
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        if row.flags.has(Flags::VIA_GATEWAY) || row.flags.has(Flags::TTL_PAID) {
            continue;
        }
        if row.ttl <= 1 {
            icmp::report(cx, batch, i, Report::TimeExceeded);
            batch.drop(i, DropReason::TtlExpired);
            alive &= !(1 << i);
            continue;
        }
        row.flags.set(Flags::TTL_PAID);
        row.ttl -= 1;
        take_one(&mut frame[..], usize::from(row.l3));
    }
    alive
}

/// Decrements the time to live of the IPv4 header at `l3` and mends its checksum (RFC 1624).
#[inline(always)]
pub fn take_one(frame: &mut [u8], l3: usize) {
    let old = u16::from_be_bytes([frame[l3 + 8], frame[l3 + 9]]);
    let new = old - 0x0100;
    let sum = u16::from_be_bytes([frame[l3 + 10], frame[l3 + 11]]);
    let sum = Delta::NONE.word(old, new).apply(sum);
    frame[l3 + 8..l3 + 10].copy_from_slice(&new.to_be_bytes());
    frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
}
