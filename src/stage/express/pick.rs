//! Which packets of a place are plain?

use super::lists::Picked;
use super::place::{self, Head, Pattern, Routed};
use super::plain;
use crate::fib::Fib;
use crate::frame::{BATCH, Batch, Bits};
use crate::tables::Tables;

/// Picks the plain packets of `set` that look up their destination; returns all that came in at the
/// place, and how many were picked.
pub(super) fn routed<const L2: usize>(
    tables: &Tables,
    batch: &Batch,
    place: &Routed<'_>,
    picked: &mut Picked,
    set: u64,
) -> (u64, usize) {
    let fib = tables.fib(place.vrf);
    if place.hashed {
        hashed::<L2>(tables, batch, place, picked, set)
    } else if fib.is_wide() {
        ahead::<L2>(fib, batch, &place.pattern, picked, set)
    } else {
        bare::<L2>(batch, &place.pattern, picked, set)
    }
}

/// Packets of which no more is needed. A function of its own, as all loops here are: they need
/// every register.
#[inline(never)]
fn bare<const L2: usize>(
    batch: &Batch,
    pattern: &Pattern,
    picked: &mut Picked,
    set: u64,
) -> (u64, usize) {
    each::<L2>(batch, pattern, picked, set, |_, _, _| true)
}

/// Packets whose way is in a wide table: its words are asked for while the next packets are read.
#[inline(never)]
fn ahead<const L2: usize>(
    fib: &Fib,
    batch: &Batch,
    pattern: &Pattern,
    picked: &mut Picked,
    set: u64,
) -> (u64, usize) {
    each::<L2>(batch, pattern, picked, set, |picked, k, _| {
        fib.ask_ahead(picked.dst[k]);
        true
    })
}

/// Packets whose flow is needed; those of other workers stay.
#[inline(never)]
fn hashed<const L2: usize>(
    tables: &Tables,
    batch: &Batch,
    place: &Routed<'_>,
    picked: &mut Picked,
    set: u64,
) -> (u64, usize) {
    let fib = tables.fib(place.vrf);
    each::<L2>(batch, &place.pattern, picked, set, |picked, k, head| {
        fib.ask_ahead(picked.dst[k]);
        picked.read_flow::<L2>(k, head, tables.hash_seed);
        place.takes(picked.hash(k))
    })
}

/// Packets whose ends are needed, and no hash.
#[inline(never)]
pub(super) fn with_ends<const L2: usize>(
    batch: &Batch,
    pattern: &Pattern,
    picked: &mut Picked,
    set: u64,
) -> (u64, usize) {
    each::<L2>(batch, pattern, picked, set, |picked, k, head| {
        picked.tuples[k] = plain::tuple::<L2>(head);
        true
    })
}

/// Picks the plain packets that `takes` takes, which may note more of them at the same place.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
fn each<const L2: usize>(
    batch: &Batch,
    pattern: &Pattern,
    picked: &mut Picked,
    set: u64,
    takes: impl Fn(&mut Picked, usize, &Head) -> bool,
) -> (u64, usize) {
    let (mut seen, mut len) = (0, 0_usize);
    for i in Bits(set) {
        let (frame, bytes) = batch.bare(i);
        let head = place::head(frame, bytes.off);
        if !pattern.has(head) {
            continue;
        }
        seen |= 1 << i;
        let Some(size) = plain::size::<L2>(head, bytes.len) else { continue };
        let k = len % BATCH;
        picked.dst[k] = plain::dst::<L2>(head);
        picked.ip_len[k] = size;
        picked.ttl[k] = plain::ttl::<L2>(head);
        picked.at[k] = i as u8;
        len = len.wrapping_add(usize::from(takes(picked, k, head)));
    }
    (seen, len)
}
