//! What does the frame look like on the way out? A new layer-2 header: that of its rewrite for routed
//! packets, other tags and the same MAC addresses for cross-connected ones.
//!
//! - **Reads** `attachment`, `next_hop`, `l3`, `ip_len`, `outer` (priority bits).
//! - **Writes** `off`, `len`, the frame.
//! - **Ends** `fragmentation_needed`, `neighbour_unresolved`; holds packets for neighbours.

use super::group::Groups;
use super::icmp::{self, Report};
use super::lookup::hold;
use super::state::WaitsFor;
use super::{Context, Message, Punt, fragment, meter, payload, pieces};
use crate::frame::{BATCH, Batch, Bits, DropReason, Flags, Frame, HEADROOM, Row};
use crate::ids::{Direction, NeighbourId};
use crate::neighbour::{NeighbourState, Word};
use crate::tables::rewrite::HEADER_ROOM;
use crate::tables::{Attachment, Rewrite, Role, Tables};
use crate::wire::eth::{self, MacAddr};
use crate::wire::vlan::VID;

/// The rewrite of a packet that look-up found an adjacency for.
#[inline(always)]
pub fn rewrite_of<'a>(tables: &'a Tables, row: &Row) -> &'a Rewrite {
    tables.adjacency(row.next_hop).0
}

/// Drops and reports the packets of `big`, all over the way out's MTU, that must not be cut; returns
/// the others.
pub fn fits(cx: &mut Context<'_>, batch: &mut Batch, big: u64) -> u64 {
    let mut good = big;
    for i in Bits(big) {
        let row = batch.row(i);
        if !row.flags.has(Flags::DF) {
            continue;
        }
        let mtu = rewrite_of(cx.tables, row).mtu;
        icmp::report(cx, batch, i, Report::FragmentationNeeded(mtu));
        batch.drop(i, DropReason::FragmentationNeeded);
        good &= !(1 << i);
    }
    good
}

/// Writes its rewrite's header in front of each packet of `set` and sends it; one of `big` leaves
/// in pieces.
pub fn routed(cx: &mut Context<'_>, batch: &mut Batch, set: u64, big: u64) {
    match batch.open() & set {
        0 => routed_as::<false>(cx, batch, set, big),
        _ => routed_as::<true>(cx, batch, set, big),
    }
}

/// As [`routed`]; `OPEN` says whether something may be left open in a frame.
#[inline(never)]
fn routed_as<const OPEN: bool>(cx: &mut Context<'_>, batch: &mut Batch, set: u64, big: u64) {
    let tables = cx.tables;
    for i in Bits(set) {
        let (rewrite, neighbour) = tables.adjacency(batch.row(i).next_hop);
        let word = tables.words.load(neighbour);
        if !word.is_reachable() {
            batch.row_mut(i).flags.set(Flags::POLICED);
            unresolved(cx, batch, i, word, neighbour);
            continue;
        }
        let mac = word.mac();
        if big >> i & 1 != 0 {
            fragment::run(cx, batch, i, rewrite, mac);
            continue;
        }
        let (more, extra) = if OPEN { pieces::extra(batch, 1 << i) } else { (0, 0) };
        let (mut frame, row) = batch.take_frame(i);
        dress(&mut frame, row, rewrite, mac);
        let figures = (1 + more, u64::from(row.ip_len) + extra);
        meter(cx.counters, rewrite.exit.counted().meter(), Direction::ToOnprem, figures);
        cx.out.send::<OPEN>(rewrite.exit.port(), frame, row);
    }
}

/// A packet for a neighbour that has not answered yet, or not any more.
#[cold]
pub fn unresolved(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    i: usize,
    word: Word,
    neighbour: NeighbourId,
) {
    match word.state() {
        NeighbourState::Incomplete => return hold(cx, batch, i, WaitsFor::Neighbour(neighbour)),
        // Whoever did not answer may do so now that somebody asks again.
        NeighbourState::Failed if cx.out.punts.len() < BATCH => {
            cx.out.punts.push(Punt::Message(Message::Resolve(neighbour)));
        }
        _ => {}
    }
    icmp::report(cx, batch, i, Report::HostUnreachable);
    batch.drop(i, DropReason::NeighbourUnresolved);
}

/// Puts a rewrite's header before the IP packet and trims what followed it. The copy has one
/// size for all, and so no loop: what it writes in front of the header is headroom.
#[inline(always)]
pub fn dress(frame: &mut Frame, row: &mut Row, rewrite: &Rewrite, mac: MacAddr) {
    let l3 = usize::from(row.l3);
    frame[l3 - HEADER_ROOM..l3].copy_from_slice(&rewrite.header);
    let size = u16::from(rewrite.exit.header_size());
    let start = usize::from(row.l3 - size);
    frame[start..start + 6].copy_from_slice(&mac.0);
    row.off = row.l3 - size;
    row.len = u32::from(size) + u32::from(row.ip_len);
}

const _: () = assert!(HEADROOM >= 64, "room for every header that is put in front");

/// Swaps the tags of each cross-connected frame of `set` and sends it; a hairpin goes back where
/// it came from.
pub fn crossed(cx: &mut Context<'_>, batch: &mut Batch, groups: &Groups, set: u64) {
    match batch.open() & set {
        0 => crossed_as::<false>(cx, batch, groups, set),
        _ => crossed_as::<true>(cx, batch, groups, set),
    }
}

#[inline(always)]
fn crossed_as<const OPEN: bool>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    groups: &Groups,
    set: u64,
) {
    let tables = cx.tables;
    for group in groups.iter() {
        let arrived = tables.attachment(group.attachment);
        let Role::CrossConnect(cross) = &arrived.role else {
            unreachable!("classify sorted this frame as cross-connected");
        };
        let out = tables.attachment(cross.out);
        let (mut packets, mut bytes) = (0, 0);
        for i in Bits(group.members & set) {
            let (more, extra) = if OPEN { pieces::extra(batch, 1 << i) } else { (0, 0) };
            let (mut frame, row) = batch.take_frame(i);
            if row.flags.has(Flags::HAIRPIN) {
                retag(arrived, &mut frame, row, true);
                cx.out.send::<OPEN>(arrived.port, frame, row);
                continue;
            }
            retag(out, &mut frame, row, false);
            packets += 1 + more;
            bytes += u64::from(payload(row)) + extra;
            cx.out.send::<OPEN>(out.port, frame, row);
        }
        meter(cx.counters, arrived.meter, cross.direction, (packets, bytes));
    }
}

/// Writes a layer-2 header with the tags of `out`. Each tag keeps its priority bits; a
/// tag that is pushed takes those of the one inside.
#[inline(always)]
pub(super) fn retag(out: &Attachment, frame: &mut Frame, row: &mut Row, swap: bool) {
    let tags = out.tags;
    let (mut src, mut dst) = icmp::macs(frame, usize::from(row.off));
    if swap {
        (src, dst) = (dst, src);
    }
    let pcp = [0, row.outer, row.inner][usize::from(row.tags)];
    let l3 = usize::from(row.l3);
    let size_behind = row.len - u32::from(row.l3 - row.off);
    let start = tags
        .write_l2(&mut frame[..], l3, dst, src, pcp, row.ether_type)
        .expect("the headroom holds two tags");
    if let ([outer, _], 2) = (tags.vids(), row.tags) {
        let tci = outer | (row.outer & !VID);
        let at = start + eth::HEADER;
        frame[at..at + 2].copy_from_slice(&tci.to_be_bytes());
    }
    let size = l3 - start;
    row.off = row.l3 - u16::try_from(size).expect("22 at most");
    row.len = size_behind + u32::try_from(size).expect("22 at most");
}
