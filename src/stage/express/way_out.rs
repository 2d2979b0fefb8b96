//! Can a packet leave by what look-up found?

use super::Purse;
use super::place::Routed;
use crate::ids::{AdjacencyId, NextHopId, PolicerId};
use crate::mem;
use crate::neighbour::{Word, Words};
use crate::tables::{Adjacency, NextHop, Tables};

/// Where a packet was led.
pub(super) enum Led {
    /// To a neighbour that has answered.
    Out((AdjacencyId, Word)),
    /// To a gateway.
    Gateway,
}

/// Decides whether packets can leave by what look-up found. The tables' parts are taken out once:
/// a loop that writes cannot know that they stay where they are.
pub(super) struct WayOut<'a> {
    tables: &'a Tables,
    next_hops: &'a [NextHop],
    adjacencies: &'a [Adjacency],
    words: &'a Words,
    purse: &'a Purse,
    /// Whether a link's bandwidth was asked on the way in.
    inward: bool,
    /// Whether a security group has to be asked.
    pub(super) grouped: bool,
    /// The last link's bandwidth that was looked at on the way out, and whether it suffices.
    asked: Option<(PolicerId, bool)>,
}

impl<'a> WayOut<'a> {
    pub(super) fn new(tables: &'a Tables, place: &Routed<'_>, purse: &'a Purse) -> Self {
        Self {
            tables,
            next_hops: &tables.next_hops,
            adjacencies: &tables.adjacencies,
            words: &tables.words,
            purse,
            inward: place.police.is_some(),
            grouped: place.group.is_some(),
            asked: None,
        }
    }

    /// Asks for the memory of what a look-up's answer leads to.
    #[inline(always)]
    pub(super) fn prefetch(&self, id: NextHopId) {
        if let Some(NextHop::Adjacency(id)) = self.next_hops.get(id.index()) {
            mem::prefetch(self.adjacencies.as_ptr().wrapping_add(id.index()));
        }
    }

    /// Where a packet of this length goes; only one with a hash can choose among paths.
    #[inline(always)]
    pub(super) fn of(&mut self, id: NextHopId, ip_len: u16, hash: Option<u32>) -> Option<Led> {
        let id = match self.next_hops.get(id.index())? {
            NextHop::Adjacency(id) => *id,
            NextHop::Gateway(_) => return Some(Led::Gateway),
            NextHop::Paths(group) => self.tables.path_group(*group).choose(hash?, self.words)?,
            _ => return None,
        };
        let adjacency = &self.adjacencies[id.index()];
        let word = self.words.load(adjacency.neighbour);
        self.grouped |= adjacency.nsg.is_some();
        let open = ip_len <= adjacency.mtu
            && word.is_reachable()
            && adjacency.police.is_none_or(|policer| self.affords(policer));
        open.then_some(Led::Out((id, word)))
    }

    #[inline(always)]
    fn affords(&mut self, policer: PolicerId) -> bool {
        if let Some((known, affords)) = self.asked
            && known == policer
        {
            return affords;
        }
        let affords = !self.inward && self.purse.affords(self.tables.policer(policer));
        self.asked = Some((policer, affords));
        affords
    }
}
