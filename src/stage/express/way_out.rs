//! Where do packets leave by what look-up found?

use super::Ready;
use super::lists::Picked;
use crate::frame::Bits;
use crate::mem;
use crate::tables::{NextHop, Tables};

/// Where the packets of `set` lead: those that nothing stands in the way of, and, as bits, those for
/// a gateway. Only packets with a hash can choose among paths.
pub(super) fn lead(tables: &Tables, picked: &mut Picked, set: u64, hashed: bool) -> (Ready, u64) {
    let others = to_neighbours(tables, picked, set);
    let (mut chosen, mut gateways) = (0, 0);
    if others != 0 {
        (chosen, gateways) = to_others(tables, picked, others, hashed);
    }
    (open(tables, picked, set & !others | chosen), gateways)
}

/// Notes the adjacencies of packets that lead to one, and asks for their memory; returns the others.
#[inline(never)]
fn to_neighbours(tables: &Tables, picked: &mut Picked, set: u64) -> u64 {
    let (next_hops, adjacencies) = (&tables.next_hops[..], &tables.adjacencies[..]);
    let mut others = 0;
    for k in Bits(set) {
        match next_hops.get(picked.hops[k].index()) {
            Some(NextHop::Adjacency(id)) => {
                picked.adjacencies[k] = *id;
                mem::prefetch(adjacencies.as_ptr().wrapping_add(id.index()));
            }
            _ => others |= 1 << k,
        }
    }
    others
}

/// Those that have a path to choose, with its adjacency, and those for a gateway.
#[inline(never)]
fn to_others(tables: &Tables, picked: &mut Picked, set: u64, hashed: bool) -> (u64, u64) {
    let (mut chosen, mut gateways) = (0, 0);
    for k in Bits(set) {
        match tables.next_hops.get(picked.hops[k].index()) {
            Some(NextHop::Gateway(_)) => gateways |= 1 << k,
            Some(NextHop::Paths(group)) if hashed => {
                let path = tables.path_group(*group).choose(picked.hash[k], &tables.words);
                let Some(id) = path else { continue };
                picked.adjacencies[k] = id;
                chosen |= 1 << k;
            }
            _ => {}
        }
    }
    (chosen, gateways)
}

/// Those of `set` that fit the way out, to a neighbour that has answered.
#[inline(never)]
fn open(tables: &Tables, picked: &mut Picked, set: u64) -> Ready {
    let (adjacencies, words) = (&tables.adjacencies[..], &tables.words);
    let mut ready = Ready::default();
    for k in Bits(set) {
        let adjacency = &adjacencies[picked.adjacencies[k].index()];
        let word = words.load(adjacency.neighbour);
        let ip_len = picked.ip_len[k];
        if ip_len <= adjacency.mtu && word.is_reachable() {
            picked.words[k] = word;
            ready.exits.add(adjacency.exit);
            ready.add(k, ip_len);
        }
    }
    ready
}
