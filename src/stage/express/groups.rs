//! Do the security groups on a packet's way know its flow? That of the subnet that it comes from,
//! and that of the one it goes to. A flow that one of them does not know is for the stages.

use super::lists::{Leaving, Lists, Picked};
use super::place::{self, Routed};
use super::{Purse, Ready};
use crate::flow::nsg_flow::{self, NsgKey};
use crate::flow::rules::RuleDirection::{self, Inbound, Outbound};
use crate::flow::{self, FlowTable};
use crate::frame::{BATCH, Batch};
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
        read::<L2>(cx.tables.hash_seed, batch, &mut lists.picked, (&lists.leaving, ready));
    }
    let mut asking =
        Asking { flows: &mut cx.shards.nsg_flows, lists, at: (purse.arrival, cx.tables.epoch) };
    let ready = match place.group {
        Some(nsg) => asking.known(ready, Outbound, |_, _| Some(nsg)),
        None => ready,
    };
    let adjacencies = &cx.tables.adjacencies[..];
    let of_subnet = |leaving: &Leaving, n: usize| adjacencies[leaving.adjacencies[n].index()].nsg;
    asking.known(ready, Inbound, of_subnet)
}

/// Hashes packets that have no hash yet.
#[inline(never)]
fn read<const L2: usize>(
    seed: u64,
    batch: &Batch,
    picked: &mut Picked,
    (leaving, ready): (&Leaving, Ready),
) {
    for n in 0..ready.end() {
        let (frame, bytes) = batch.bare(usize::from(leaving.at[n]) % BATCH);
        let head = place::head(frame, bytes.off);
        picked.read_flow::<L2>(usize::from(leaving.picked[n]), head, seed);
    }
}

/// Flows, and packets to look for among them.
struct Asking<'a> {
    flows: &'a mut Sharded<FlowTable>,
    lists: &'a mut Lists,
    at: (Now, Epoch),
}

#[expect(clippy::needless_range_loop, reason = "several lists have the same places")]
impl Asking<'_> {
    /// Leaves those whose flow their group knows, and those that have none. Memory of all is asked
    /// for before the first is looked up.
    #[inline(always)]
    fn known(
        &mut self,
        ready: Ready,
        direction: RuleDirection,
        group: impl Fn(&Leaving, usize) -> Option<NsgId>,
    ) -> Ready {
        let Self { flows, lists: Lists { picked, leaving, keys, .. }, at: (now, epoch) } = self;
        let mut asked = 0_u64;
        for n in 0..ready.end() {
            let Some(nsg) = group(leaving, n) else { continue };
            let k = usize::from(leaving.picked[n]) % BATCH;
            asked |= 1 << n;
            keys[n] = *NsgKey::new(nsg, direction, &picked.tuples[k], picked.hash[k]).key();
            flows.of(flow::shard_of(picked.hash[k])).prefetch(&keys[n]);
        }
        let mut known = Ready::default();
        for n in 0..ready.end() {
            let hash = picked.hash[usize::from(leaving.picked[n]) % BATCH];
            let flows = flows.of_mut(flow::shard_of(hash));
            if asked >> n & 1 == 0 || nsg_flow::is_known(flows, &keys[n], *now, *epoch) {
                leaving.shift(n, known.len);
                known.add(leaving.ip_len[known.len % BATCH]);
            }
        }
        known
    }
}
