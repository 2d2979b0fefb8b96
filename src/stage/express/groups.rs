//! Do the security groups on a packet's way know its flow? That of the subnet that it comes from,
//! and that of the one it goes to. A flow that one of them does not know is for the stages.

use super::lists::{Leaving, Lists, Picked};
use super::place::{self, Routed};
use super::{Purse, Ready};
use crate::flow;
use crate::flow::nsg_flow::{self, NsgKey};
use crate::flow::rules::RuleDirection::{self, Inbound, Outbound};
use crate::frame::{BATCH, Batch};
use crate::ids::NsgId;
use crate::stage::Context;
use crate::tables::Adjacency;

/// Leaves those of the packets that are `ready` whose flows are known; `hashed` says whether they
/// have their hashes.
#[inline(never)]
pub(super) fn ask<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Routed<'_>,
    purse: &Purse,
    (ready, hashed): (Ready, bool),
) -> Ready {
    let Lists { picked, leaving, .. } = &mut cx.out.express.lists;
    if !hashed {
        read::<L2>(cx.tables.hash_seed, batch, picked, (leaving, ready));
    }
    let groups = Groups { arriving: place.group, adjacencies: &cx.tables.adjacencies };
    for n in 0..ready.end() {
        let k = usize::from(leaving.picked[n]) % BATCH;
        let flows = &cx.shards.shard(flow::shard_of(picked.hash[k])).nsg_flows;
        if let Some(nsg) = groups.arriving {
            flows.prefetch(key(picked, k, nsg, Outbound).key());
        }
        if let Some(nsg) = groups.leaving(leaving, n) {
            flows.prefetch(key(picked, k, nsg, Inbound).key());
        }
    }
    let mut known = Ready::default();
    for n in 0..ready.end() {
        let k = usize::from(leaving.picked[n]) % BATCH;
        let flows = &mut cx.shards.shard(flow::shard_of(picked.hash[k])).nsg_flows;
        let mut knows = |nsg, direction| {
            let key = key(picked, k, nsg, direction);
            nsg_flow::is_known(flows, &key, purse.arrival, cx.tables.epoch)
        };
        if groups.arriving.is_none_or(|nsg| knows(nsg, Outbound))
            && groups.leaving(leaving, n).is_none_or(|nsg| knows(nsg, Inbound))
        {
            leaving.shift(n, known.len);
            known.add(picked.ip_len[k]);
        }
    }
    known
}

/// Hashes packets that have no hash yet.
#[inline(never)]
fn read<const L2: usize>(
    seed: u64,
    batch: &mut Batch,
    picked: &mut Picked,
    (leaving, ready): (&Leaving, Ready),
) {
    for n in 0..ready.end() {
        let (frame, row) = batch.both(usize::from(leaving.at[n]) % BATCH);
        picked.read_flow::<L2>(usize::from(leaving.picked[n]), place::head(frame, row), seed);
    }
}

/// The groups on packets' way.
struct Groups<'a> {
    arriving: Option<NsgId>,
    adjacencies: &'a [Adjacency],
}

impl Groups<'_> {
    #[inline(always)]
    fn leaving(&self, leaving: &Leaving, n: usize) -> Option<NsgId> {
        self.adjacencies[leaving.adjacencies[n].index()].nsg
    }
}

#[inline(always)]
fn key(picked: &Picked, k: usize, nsg: NsgId, direction: RuleDirection) -> NsgKey {
    NsgKey::new(nsg, direction, &picked.tuples[k], picked.hash[k])
}
