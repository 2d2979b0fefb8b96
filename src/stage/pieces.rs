//! What does a super-frame count as? As the segments that a wire would carry, each with all
//! headers: so do policers, a gateway's limits, MTUs and meters see it.
//!
//! Where a limit has room for some of the segments, those go on and the rest is dropped: the
//! super-frame becomes shorter.

use super::Context;
use crate::frame::{Batch, Bits, DropReason, Flags};
use crate::ids::PortId;
use crate::police::Size;
use crate::tables::LinkPolicer;
use crate::wire::offload::Place;
use crate::wire::segment;

/// The segments of a super-frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// How many; at least one.
    pub len: u64,
    /// IP and transport header of each, in bytes.
    headers: u32,
    /// Payload of all together.
    payload: u32,
    gso_size: u16,
}

impl Pieces {
    /// The segments of packet `i`; none of an ordinary one.
    #[cold]
    pub fn of(batch: &Batch, i: usize) -> Option<Self> {
        let gso_size = batch.row(i).gso_size;
        if gso_size == 0 {
            return None;
        }
        let place = Place::of(batch.bytes(i)).ok()?;
        let size = |from: usize, to: usize| u32::try_from(to - from).ok();
        let payload = size(place.payload, place.end)?;
        let len = u64::from(payload.div_ceil(u32::from(gso_size)).max(1));
        Some(Self { len, headers: size(place.l3, place.payload)?, payload, gso_size })
    }

    /// Bytes of the longest segment's IP packet.
    pub fn longest(&self) -> u32 {
        self.headers + self.payload.min(u32::from(self.gso_size))
    }

    /// Bytes of the IP packets of the first `len` segments together.
    pub fn size(&self, len: u64) -> u64 {
        let payload = (len * u64::from(self.gso_size)).min(u64::from(self.payload));
        len * u64::from(self.headers) + payload
    }

    /// What the first `len` segments cost a policer.
    pub fn cost(&self, policer: &LinkPolicer, len: u64) -> u64 {
        let payload = (len * u64::from(self.gso_size)).min(u64::from(self.payload));
        let l3 = self.headers + u32::try_from(payload).expect("no more than the whole");
        let header_size = u32::from(policer.header_size);
        let (frame, headers) = (header_size + l3, header_size + self.headers);
        Size { frame, l3, headers, gso_size: self.gso_size }.cost(policer.accounting)
    }
}

/// What `members` count as beyond one packet each with its own bytes: packets, and bytes of IP.
#[inline]
pub fn extra(batch: &Batch, members: u64) -> (u64, u64) {
    let open = members & batch.open();
    if open == 0 { (0, 0) } else { extra_of(batch, open) }
}

#[cold]
fn extra_of(batch: &Batch, open: u64) -> (u64, u64) {
    let pieces = Bits(open).filter_map(|i| Pieces::of(batch, i));
    pieces.fold((0, 0), |(packets, bytes), own| {
        let repeated = own.len - 1;
        (packets + repeated, bytes + repeated * u64::from(own.headers))
    })
}

/// The most of `len` segments that all pass when asked one after the other.
pub fn admitted(len: u64, mut admit_one: impl FnMut(u64) -> bool) -> u64 {
    (0..len).find(|&at| !admit_one(at)).unwrap_or(len)
}

/// Counts the segments beyond the first of super-frames that were dropped: they were cut to be
/// dropped.
#[cold]
pub fn count_dropped(cx: &Context<'_>, batch: &Batch) {
    for (i, reason) in batch.dropped() {
        if let Some(pieces) = Pieces::of(batch, i) {
            note_lost(cx, batch.row(i).port, pieces.len - 1, reason);
        }
    }
}

fn note_lost(cx: &Context<'_>, port: PortId, lost: u64, reason: DropReason) {
    cx.counters.split.add(lost);
    cx.counters.note_drop(reason, lost);
    cx.counters.port(port).dropped.add(lost);
}

/// Drops all segments of super-frame `i` but the first `kept`, of which there is one at least.
#[cold]
pub fn trim(cx: &Context<'_>, batch: &mut Batch, i: usize, kept: u64, reason: DropReason) {
    let Some(pieces) = Pieces::of(batch, i) else { return };
    let (frame, row) = batch.both(i);
    let (start, end) = (usize::from(row.off), usize::from(row.off) + row.len as usize);
    let kept_len = usize::try_from(kept).expect("a super-frame has few segments");
    let bytes = &mut frame.all_mut()[start..end];
    let Ok(size) = segment::keep(bytes, pieces.gso_size, kept_len) else { return };
    let l3 = usize::from(row.l3 - row.off);
    row.len = u32::try_from(size).expect("no more than before");
    if row.flags.has(Flags::IP4) {
        row.ip_len = u16::try_from(size - l3).expect("no more than before");
    }
    note_lost(cx, row.port, pieces.len - kept, reason);
}
