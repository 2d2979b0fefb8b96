//! Where do packets leave by what look-up found?

use super::lists::{Picked, Ready};
use crate::frame::Bits;
use crate::ids::RewriteId;
use crate::neighbour::Words;
use crate::tables::exit::Exits;
use crate::tables::{NextHop, Tables};

/// Where the packets of `set` lead: those that nothing stands in the way of, and, as bits, those for
/// a gateway. Only packets with a hash can choose among paths.
pub(super) fn lead(tables: &Tables, picked: &mut Picked, set: u64, hashed: bool) -> (Ready, u64) {
    let (mut reached, others) = to_neighbours(&tables.next_hops, &tables.words, picked, set);
    let mut gateways = 0;
    if others != 0 {
        let chosen;
        (chosen, gateways) = to_others(tables, picked, others, hashed);
        let (more, _) = to_neighbours(&tables.next_hops, &tables.words, picked, chosen);
        reached = reached.and(more);
    }
    (fitting(tables, picked, reached), gateways)
}

/// Packets that lead to neighbours that have answered.
#[derive(Clone, Copy)]
struct Reached {
    set: u64,
    /// What the numbers of their rewrites have in common: any of them, all of them.
    any: u16,
    all: u16,
}

impl Reached {
    fn and(self, other: Self) -> Self {
        Self { set: self.set | other.set, any: self.any | other.any, all: self.all & other.all }
    }
}

/// Those of `set` that lead to a neighbour that has answered, and those that lead elsewhere than to
/// a neighbour.
#[inline(never)]
fn to_neighbours(
    next_hops: &[NextHop],
    words: &Words,
    picked: &mut Picked,
    set: u64,
) -> (Reached, u64) {
    let mut reached = Reached { set: 0, any: 0, all: u16::MAX };
    let mut others = 0;
    for k in Bits(set) {
        let Some(&NextHop::Adjacency(rewrite, neighbour)) = next_hops.get(picked.hops[k].index())
        else {
            others |= 1 << k;
            continue;
        };
        let word = words.load(neighbour);
        if !word.is_reachable() {
            continue;
        }
        picked.rewrites[k] = rewrite;
        picked.words[k] = word;
        reached.any |= rewrite.0;
        reached.all &= rewrite.0;
        reached.set |= 1 << k;
    }
    (reached, others)
}

/// Those that have a path to choose, with it as their next hop, and those for a gateway.
#[inline(never)]
fn to_others(tables: &Tables, picked: &mut Picked, set: u64, hashed: bool) -> (u64, u64) {
    let (mut chosen, mut gateways) = (0, 0);
    for k in Bits(set) {
        match tables.next_hops.get(picked.hops[k].index()) {
            Some(NextHop::Gateway(_)) => gateways |= 1 << k,
            Some(NextHop::Paths(group)) if hashed => {
                let path = tables.path_group(*group).choose(picked.hash(k), &tables.words);
                let Some(id) = path else { continue };
                picked.hops[k] = id;
                chosen |= 1 << k;
            }
            _ => {}
        }
    }
    (chosen, gateways)
}

/// Those that fit their way out: all at once where they share it.
fn fitting(tables: &Tables, picked: &Picked, reached: Reached) -> Ready {
    let Reached { set, any, all } = reached;
    if set == 0 {
        return Ready::default();
    }
    if any == all {
        let rewrite = tables.rewrite(RewriteId(any));
        let sizes = picked.sizes(set);
        if sizes.longest <= rewrite.mtu {
            let exits = Exits::of(rewrite.exit);
            return Ready { set, bytes: sizes.bytes, exits, alike: true };
        }
    }
    Ready { alike: any == all, ..each_fitting(tables, picked, set) }
}

#[inline(never)]
fn each_fitting(tables: &Tables, picked: &Picked, set: u64) -> Ready {
    let rewrites = &tables.rewrites[..];
    let mut ready = Ready::default();
    for k in Bits(set) {
        let rewrite = &rewrites[picked.rewrites[k].index()];
        let ip_len = picked.ip_len[k];
        if ip_len <= rewrite.mtu {
            ready.exits.add(rewrite.exit);
            ready.add(k, ip_len);
        }
    }
    ready
}
