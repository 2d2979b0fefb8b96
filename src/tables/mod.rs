//! The snapshot that workers read: everything they need to forward, compiled and immutable.
//!
//! Control builds a new one when something changes and publishes it; a worker loads it once a
//! turn. What changes too often for that has a word of its own that is written in place: the
//! state of neighbours ([`Words`]), the tokens of policers, the FIB's cells.

pub mod attachment;
pub mod classifier;
pub mod counters;
pub mod exit;
pub mod gateway;
pub mod next_hop;
pub mod rewrite;
pub mod waiting;

use std::collections::HashMap;
use std::sync::Arc;

pub use attachment::{Attachment, CrossConnect, PeeringSide, Role, ServiceSide, SubnetSide};
pub use classifier::Classifier;
pub use counters::{CounterNames, Counters};
pub use gateway::Gateway;
pub use next_hop::{NextHop, PathGroup};
pub use rewrite::Rewrite;
pub use waiting::{Waiting, WaitsFor};

use crate::fib::Fib;
use crate::flow::rules::RuleSet;
use crate::ids::{
    AttachmentId, Epoch, GatewayId, NatId, NeighbourId, NextHopId, NsgId, PathGroupId, PolicerId,
    RewriteId, SHARDS, ShardId, VrfId, WorkerId,
};
use crate::nat::Bindings;
use crate::neighbour::Words;
use crate::police::{Accounting, Policer};

/// What is known of a port.
#[derive(Clone, Debug)]
pub struct PortEntry {
    /// Its name in the configuration.
    pub name: String,
    /// Whether an outer tag of 0x88A8 counts as a tag here.
    pub accept_88a8: bool,
    /// What its tag stacks lead to.
    pub classifier: Arc<Classifier>,
}

/// A bandwidth policer of one link and direction.
#[derive(Clone, Debug)]
pub struct LinkPolicer {
    /// The token bucket, shared by all workers.
    pub bucket: Arc<Policer>,
    /// Which bytes of a frame count.
    pub accounting: Accounting,
    /// Ethernet header and tags of a frame on the link, in bytes.
    pub header_size: u16,
    /// Whether ARP, BGP and BFD can be dropped too; else they are only counted.
    pub police_control: bool,
}

/// NAT of one provider circuit.
#[derive(Clone, Debug)]
pub struct NatEntry {
    /// Pool, bindings and timeouts.
    pub bindings: Arc<Bindings>,
    /// The source of ICMP errors that the NAT makes.
    pub icmp_source: u32,
}

/// Everything that workers read.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Moves when decisions kept in flows must be made again.
    pub epoch: Epoch,
    /// By [`crate::ids::PortId`].
    pub ports: Vec<PortEntry>,
    /// By [`AttachmentId`].
    pub attachments: Arc<Vec<Attachment>>,
    /// By [`VrfId`].
    pub fibs: Vec<Arc<Fib>>,
    /// By [`NextHopId`]; entry 0 is "no route".
    pub next_hops: Arc<Vec<NextHop>>,
    /// By [`RewriteId`]: one for each attachment, in their order, then those of neighbours whose
    /// packets go past a gateway.
    pub rewrites: Arc<Vec<Rewrite>>,
    /// By [`PathGroupId`].
    pub path_groups: Arc<Vec<PathGroup>>,
    /// Neighbours found by ARP on connected prefixes.
    pub gleaned: Arc<HashMap<(AttachmentId, u32), NextHopId>>,
    /// By [`GatewayId`].
    pub gateways: Arc<Vec<Gateway>>,
    /// By [`NsgId`].
    pub nsgs: Arc<Vec<RuleSet>>,
    /// By [`NatId`].
    pub nats: Vec<NatEntry>,
    /// By [`PolicerId`].
    pub policers: Arc<Vec<LinkPolicer>>,
    /// State and MAC address of every neighbour, by [`crate::ids::NeighbourId`].
    pub words: Arc<Words>,
    /// How many frames wait for each neighbour.
    pub waiting: Arc<Waiting>,
    /// The rate limits of ICMP errors that thruway makes, by the [`AttachmentId`] where the packet
    /// came in: one for each address that sends them.
    pub icmp_limits: Arc<Vec<Arc<Policer>>>,
    /// Seed of the flows' hash: secret when live, fixed in a replay.
    pub hash_seed: u64,
    /// The worker that each shard belongs to.
    pub owners: [WorkerId; SHARDS],
}

impl Tables {
    /// The attachment with this id.
    #[inline(always)]
    pub fn attachment(&self, id: AttachmentId) -> &Attachment {
        &self.attachments[id.index()]
    }

    /// The FIB of a routing domain.
    #[inline(always)]
    pub fn fib(&self, id: VrfId) -> &Fib {
        &self.fibs[id.index()]
    }

    /// What a look-up's answer leads to; an answer that is newer than this snapshot counts as
    /// no route.
    #[inline(always)]
    pub fn next_hop(&self, id: NextHopId) -> NextHop {
        self.next_hops.get(id.index()).copied().unwrap_or(NextHop::NO_ROUTE)
    }

    /// The rewrite and the neighbour of a next hop that is an adjacency.
    ///
    /// # Panics
    /// When it is none.
    #[inline(always)]
    pub fn adjacency(&self, id: NextHopId) -> (&Rewrite, NeighbourId) {
        match self.next_hops[id.index()] {
            NextHop::Adjacency(rewrite, neighbour) => (self.rewrite(rewrite), neighbour),
            _ => unreachable!("a next hop that is an adjacency"),
        }
    }

    /// The rewrite with this id.
    #[inline(always)]
    pub fn rewrite(&self, id: RewriteId) -> &Rewrite {
        &self.rewrites[id.index()]
    }

    /// Gives neighbours that were found on connected prefixes a next hop each.
    pub fn glean(&mut self, found: impl IntoIterator<Item = ((AttachmentId, u32), NeighbourId)>) {
        let mut next_hops = Vec::clone(&self.next_hops);
        let mut gleaned = HashMap::clone(&self.gleaned);
        for (place, neighbour) in found {
            debug_assert!(self.attachment(place.0).own().is_some(), "ARP was sent from there");
            gleaned.insert(place, NextHopId::from_index(next_hops.len()));
            next_hops.push(NextHop::Adjacency(RewriteId::of(place.0), neighbour));
        }
        self.next_hops = Arc::new(next_hops);
        self.gleaned = Arc::new(gleaned);
    }

    /// The equal-cost paths with this id.
    #[inline(always)]
    pub fn path_group(&self, id: PathGroupId) -> &PathGroup {
        &self.path_groups[id.index()]
    }

    /// The gateway with this id.
    #[inline(always)]
    pub fn gateway(&self, id: GatewayId) -> &Gateway {
        &self.gateways[id.index()]
    }

    /// The rules of a network security group.
    #[inline(always)]
    pub fn nsg(&self, id: NsgId) -> &RuleSet {
        &self.nsgs[id.index()]
    }

    /// The NAT bindings of a provider circuit.
    #[inline(always)]
    pub fn nat(&self, id: NatId) -> &NatEntry {
        &self.nats[id.index()]
    }

    /// The policer with this id.
    #[inline(always)]
    pub fn policer(&self, id: PolicerId) -> &LinkPolicer {
        &self.policers[id.index()]
    }

    /// The worker that owns a shard.
    #[inline(always)]
    pub fn owner(&self, shard: ShardId) -> WorkerId {
        self.owners[shard.index() % SHARDS]
    }
}

/// Shards dealt out to workers, round robin.
pub fn deal_shards(workers: usize) -> [WorkerId; SHARDS] {
    std::array::from_fn(|shard| WorkerId::from_index(shard % workers.max(1)))
}
