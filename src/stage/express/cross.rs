//! Which frames cross the provider's edge as they are, but for their tags? IPv4 of any kind: nothing
//! there looks behind the tags.

use super::Purse;
use super::place::{Crossed, around, head};
use crate::frame::{Batch, Bits, Length, Outgoing};
use crate::stage::police::sizes_cost;
use crate::stage::{Context, meter};
use crate::tables::LinkPolicer;

/// Forwards those of `set` that came in at `place`; returns all that came in there.
pub(super) fn all<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Crossed<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    let policer = place.cross.police.map(|id| cx.tables.policer(id));
    let (seen, going, figures) = choose::<L2>(batch, place, set);
    if !policer.is_none_or(|policer| pay::<L2>(batch, purse, policer, going, figures)) {
        return seen;
    }
    send::<L2>(cx, batch, place, purse, going);
    meter(cx.counters, place.meter, place.cross.direction, figures);
    seen
}

/// Packets, and their bytes behind the header.
type Figures = (u64, u64);

/// All that came in at the place, those of them that cross, and how much that is.
#[inline(never)]
fn choose<const L2: usize>(
    batch: &mut Batch,
    place: &Crossed<'_>,
    set: u64,
) -> (u64, u64, Figures) {
    let (mut seen, mut going, mut bytes_behind) = (0, 0_u64, 0_u64);
    for i in Bits(set) {
        let (frame, bytes) = batch.bare(i);
        if !place.pattern.has(head(frame, bytes.off)) {
            continue;
        }
        seen |= 1 << i;
        if bytes.len as usize >= L2 {
            going |= 1 << i;
            let size = u64::from(bytes.len).wrapping_sub(L2 as u64);
            bytes_behind = bytes_behind.wrapping_add(size);
        }
    }
    (seen, going, (u64::from(going.count_ones()), bytes_behind))
}

fn pay<const L2: usize>(
    batch: &Batch,
    purse: &Purse,
    policer: &LinkPolicer,
    going: u64,
    figures: Figures,
) -> bool {
    let size = u32::try_from(L2).expect("22 at most");
    let sizes = Bits(going).map(|i| batch.bare(i).1.len.wrapping_sub(size));
    let cost = sizes_cost(policer, figures, sizes);
    purse.affords(policer) && policer.bucket.admit(purse.arrival, cost)
}

#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "places in a frame and in a batch")]
fn send<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Crossed<'_>,
    purse: &Purse,
    going: u64,
) {
    let out = cx.tables.attachment(place.cross.out);
    let port = &mut cx.out.ports[out.port.index()];
    for i in Bits(going) {
        let (mut frame, bytes) = batch.lift(i);
        let l3 = usize::from(bytes.off).wrapping_add(L2);
        let size = place.retag.write::<L2>(around(&mut frame, l3));
        let behind = (bytes.len as usize).wrapping_sub(L2);
        let (off, len) = (l3.wrapping_sub(size) as u16, behind.wrapping_add(size) as u32);
        let len = Length::of(len);
        port.push(Outgoing::whole(frame, (off, len), i as u8, purse.arrival));
    }
    batch.let_go(going);
}
