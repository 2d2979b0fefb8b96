//! The way of most packets, in one pass instead of a dozen: TCP or UDP over IPv4, whole, without
//! options, to a neighbour that has answered, and within every limit.
//!
//! A packet goes this way wholly or not at all: all that could refuse it is asked before anything
//! is written or counted, and a packet that is not plain stays in the batch untouched, for the
//! stages. Limits must have room for the whole batch, else the stages decide who gets it. Whatever
//! is sent and counted here is what the stages would have sent and counted; tests run both and
//! compare.
//!
//! | file | question |
//! |---|---|
//! | `place` | where did these frames come in, and what do all of that place have in common |
//! | `pick` | which packets are plain |
//! | `plain` | is this one |
//! | `through` | does its gateway let it through |
//! | `groups` | do the security groups know its flow |
//! | `leave` | what does it look like on the way out |
//! | `way_out` | where does it leave by what look-up found |
//! | `purse` | does every limit have room for a whole batch |
//! | `lists` | what is kept of packets from one question to the next |
//! | `pauses` | is it worth trying |
//! | `translate` | which session of a provider's NAT does it have, and what becomes of it |
//! | `cross` | which frames cross the provider's edge as they are, but for their tags |
//! | `retag` | what do they look like then |
//!
//! - **Reads** the frame; `off`, `len`, `port`, `arrival`, `flags`, `gso_size`.
//! - **Writes** the frame, the counters of meters and gateways, tokens, flows and sessions; rows of
//!   packets that stay, which *validate* fills anew.
//! - **Ends** nothing; sends.

mod cross;
mod groups;
mod leave;
mod lists;
mod pauses;
mod pick;
mod place;
mod plain;
mod purse;
mod retag;
mod through;
mod translate;
mod way_out;

use super::Context;
use crate::frame::{Batch, first};
use crate::tables::NextHop;
use crate::wire::{eth, vlan};
use lists::{Lists, Ready};
use pauses::Pauses;
use place::{Place, Routed};
use purse::Purse;

/// How many places a batch's frames are looked at for; what came in elsewhere takes the stages.
const PLACES: usize = 4;
/// Bytes of a header with one tag, and with two.
const SINGLE: usize = eth::HEADER + vlan::TAG;
const DOUBLE: usize = eth::HEADER + 2 * vlan::TAG;

/// What is kept from one batch to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    lists: Lists,
    pauses: Pauses,
}

#[cfg(test)]
impl Scratch {
    /// Tries every place again.
    pub(crate) fn resume(&mut self) {
        self.pauses = Pauses::default();
    }
}

/// Forwards the plain packets of a batch as it was received; the others stay.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch) {
    let mut left = batch.live();
    let Some(purse) = Purse::of(batch).filter(|_| !batch.is_odd()) else { return };
    for _ in 0..PLACES {
        if left == 0 {
            return;
        }
        let first = left.trailing_zeros() as usize;
        let Some((id, place)) = Place::of(cx, batch, first) else {
            left &= !(1 << first);
            continue;
        };
        // No packet of a paused place may be overtaken by those that follow it: the rest is left.
        if cx.out.express.pauses.holds(id) {
            return;
        }
        let seen = match place.size() {
            eth::HEADER => one_place::<{ eth::HEADER }>(cx, batch, &place, &purse, left),
            SINGLE => one_place::<SINGLE>(cx, batch, &place, &purse, left),
            _ => one_place::<DOUBLE>(cx, batch, &place, &purse, left),
        };
        cx.out.express.pauses.judge(id, seen, seen & batch.live());
        left &= !seen;
    }
}

fn one_place<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Place<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    match place {
        Place::Routed(place) => routed::<L2>(cx, batch, place, purse, set),
        Place::Translated(place) => translate::all::<L2>(cx, batch, place, purse, set),
        Place::Crossed(place) => cross::all::<L2>(cx, batch, place, purse, set),
    }
}

/// Forwards the plain packets of `set` that came in at `place`; returns all that came in there.
fn routed<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Routed<'_>,
    purse: &Purse,
    set: u64,
) -> u64 {
    let tables = cx.tables;
    let picked = &mut cx.out.express.lists.picked;
    let (seen, len) = pick::routed::<L2>(tables, batch, place, picked, set);
    let affords = |policer| purse.affords(tables.policer(policer));
    if len == 0 || !place.police.is_none_or(affords) {
        return seen;
    }
    tables.fib(place.vrf).lookup_block(&picked.dst, &mut picked.hops, len);
    let (ready, mut gateways) = way_out::lead(tables, picked, first(len), place.hashed);
    let mut way = leave::Way { place, purse, via: None };
    let ready = in_groups::<L2>(cx, batch, (place, purse), (ready, place.hashed));
    way.leave::<L2>(cx, batch, ready);
    while gateways != 0 {
        let first = gateways.trailing_zeros() as usize;
        let NextHop::Gateway(id) = tables.next_hop(cx.out.express.lists.picked.hops[first]) else {
            unreachable!("a gateway was found");
        };
        let (tried, ready) = through::run::<L2>(cx, batch, place, purse, (id, gateways));
        gateways &= !tried;
        way.via = Some(id);
        let ready = in_groups::<L2>(cx, batch, (place, purse), (ready, true));
        way.leave::<L2>(cx, batch, ready);
    }
    seen
}

/// Leaves those that no security group has to be asked about, or that it knows.
#[inline(always)]
fn in_groups<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    (place, purse): (&Routed<'_>, &Purse),
    (ready, hashed): (Ready, bool),
) -> Ready {
    let grouped = place.group.is_some() || ready.exits.asked().group;
    if grouped { groups::ask::<L2>(cx, batch, place, purse, (ready, hashed)) } else { ready }
}
