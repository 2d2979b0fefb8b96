//! Where a prefix leads.

use crate::frame::DropReason;
use crate::ids::{AttachmentId, GatewayId, NeighbourId, NextHopId, PathGroupId, RewriteId};
use crate::neighbour::{NeighbourState, Words};

/// What a look-up leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// Nowhere, under this name.
    Blackhole(DropReason),
    /// An address of thruway's own.
    Local,
    /// A neighbour on this attachment, found by the destination address.
    Connected(AttachmentId),
    /// A neighbour, with the rewrite that it shares with others.
    Adjacency(RewriteId, NeighbourId),
    /// A virtual network gateway.
    Gateway(GatewayId),
    /// One of several equal paths, by flow.
    Paths(PathGroupId),
}

// Every packet reads one, and many destinations have one each.
const _: () = assert!(size_of::<NextHop>() == 8);

impl NextHop {
    /// The answer of a FIB that has no route.
    pub const NO_ROUTE: NextHop = NextHop::Blackhole(DropReason::NoRoute);
}

/// Ways to one prefix, best first: equal paths share the flows of the first tier that has a usable
/// one, as if routes over dead links had been withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathGroup {
    /// Each tier's paths: the next hop, an adjacency, and its neighbour.
    pub tiers: Vec<Vec<(NextHopId, NeighbourId)>>,
}

impl PathGroup {
    /// The path of a flow with this hash, or none when all are down.
    #[inline]
    pub fn choose(&self, hash: u32, words: &Words) -> Option<NextHopId> {
        self.tiers.iter().find_map(|tier| choose(tier, hash, words))
    }
}

/// The path of a flow among equal ones. A flow keeps its path as long as that lives: only flows
/// whose path died move, and they spread over what is left.
#[inline]
fn choose(paths: &[(NextHopId, NeighbourId)], hash: u32, words: &Words) -> Option<NextHopId> {
    let (next_hop, neighbour) = *paths.get(spread(hash, paths.len()))?;
    if usable(words, neighbour) {
        return Some(next_hop);
    }
    let alive = || paths.iter().filter(|(_, neighbour)| usable(words, *neighbour));
    let left = alive().count();
    let again = spread(hash.wrapping_mul(0x9e37_79b1).rotate_left(16), left);
    alive().nth(again).map(|(next_hop, _)| *next_hop)
}

/// Whether a path's neighbour has answered, or may yet: false once its link is down or it failed.
#[inline(always)]
pub fn usable(words: &Words, neighbour: NeighbourId) -> bool {
    matches!(words.load(neighbour).state(), NeighbourState::Reachable | NeighbourState::Incomplete)
}

/// Maps a hash onto `0..count` without a division.
#[inline(always)]
pub fn spread(hash: u32, count: usize) -> usize {
    ((u64::from(hash) * count as u64) >> 32) as usize
}
