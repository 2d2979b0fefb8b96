//! Do the security groups on a packet's way know its flow? That of the subnet that it comes from,
//! and that of the one it goes to. A flow that one of them does not know is for the stages.

use super::lists::{Lists, Picked};
use super::place::Routed;
use super::{Purse, Ready};
use crate::flow::nsg_flow::{self, NsgKey};
use crate::flow::rules::RuleDirection::{self, Inbound, Outbound};
use crate::flow::{self, FlowTable};
use crate::frame::{Batch, Bits};
use crate::ids::{Epoch, NsgId};
use crate::stage::{Context, Sharded};
use crate::time::Now;

/// Leaves those of the packets that are `ready` whose flows are known; `hashed` says whether they
/// have their hashes.
#[inline(never)]
pub(super) fn ask<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &Batch,
    place: &Routed<'_>,
    purse: &Purse,
    (ready, hashed): (Ready, bool),
) -> Ready {
    let lists = &mut cx.out.express.lists;
    if !hashed {
        for k in Bits(ready.set) {
            lists.picked.read_flow_of::<L2>(k, batch, cx.tables.hash_seed);
        }
    }
    let mut asking =
        Asking { flows: &mut cx.shards.nsg_flows, lists, at: (purse.arrival, cx.tables.epoch) };
    let mut known = ready.set;
    if let Some(nsg) = place.group {
        known = asking.known(known, Outbound, |_, _| Some(nsg));
    }
    if ready.exits.asked().group {
        let rewrites = &cx.tables.rewrites[..];
        let of_subnet = |own: &Picked, k: usize| rewrites[own.rewrites[k].index()].nsg;
        known = asking.known(known, Inbound, of_subnet);
    }
    ready.within(known, &cx.out.express.lists.picked)
}

/// Flows, and packets to look for among them.
struct Asking<'a> {
    flows: &'a mut Sharded<FlowTable>,
    lists: &'a mut Lists,
    at: (Now, Epoch),
}

impl Asking<'_> {
    /// Those of `set` whose flow their group knows, and those that have none. Memory of all is asked
    /// for before the first is looked up.
    #[inline(always)]
    fn known(
        &mut self,
        set: u64,
        direction: RuleDirection,
        group: impl Fn(&Picked, usize) -> Option<NsgId>,
    ) -> u64 {
        let Self { flows, lists: Lists { picked, .. }, at: (now, epoch) } = self;
        let mut asked = 0_u64;
        for k in Bits(set) {
            let Some(nsg) = group(picked, k) else { continue };
            asked |= 1 << k;
            let packet = NsgKey::of(nsg, direction, picked.flows[k]);
            flows.of(flow::shard_of(picked.hash(k))).prefetch(packet.key());
        }
        let mut known = set & !asked;
        for k in Bits(asked) {
            let Some(nsg) = group(picked, k) else { continue };
            let packet = NsgKey::of(nsg, direction, picked.flows[k]);
            let flows = flows.of_mut(flow::shard_of(picked.hash(k)));
            known |= u64::from(nsg_flow::is_known(flows, packet.key(), *now, *epoch)) << k;
        }
        known
    }
}
