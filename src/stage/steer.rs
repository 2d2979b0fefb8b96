//! Which worker owns this packet's state?
//!
//! NAT belongs by inside address and outside port, flows of gateways and security groups by the
//! symmetric 5-tuple. A packet at the wrong worker leaves for its owner, which begins here again.
//!
//! Only a datagram's first fragment has ports, so fragments meet at a shard that their routing
//! domain, addresses and identification name; there the later ones learn the ports of the first, and then go where
//! those lead.
//!
//! - **Reads** `attachment`, `vrf`, `src`, `dst`, `sport`, `dport`, `proto`, `flags`.
//! - **Writes** `hash`, `shard`; `sport` and `dport` of later fragments, zero where the first has
//!   not come.
//! - **Ends** `nat_fragment_unknown`, `nat_bad_icmp`, `nat_no_session`,
//!   `nat_unsupported_protocol`, `ip4_too_short`; moves packets to another worker.

use super::group::Groups;
use super::{Context, nat44, nsg, quoted};
use crate::flow;
use crate::frame::{Batch, Bits, DropReason, FRAME_SIZE, Flags, Row};
use crate::ids::{ShardId, WorkerId};
use crate::nat::{self, FragmentKey};
use crate::tables::{Role, Tables};

/// Hashes each packet of `groups`, all routed, and moves those that another worker owns; returns
/// what stays of `set`.
pub fn routed(cx: &mut Context<'_>, batch: &mut Batch, groups: &Groups, set: u64) -> u64 {
    let tables = cx.tables;
    let mut away = 0;
    for group in groups.iter() {
        let stateful = keeps_flows(tables, &tables.attachment(group.attachment).role);
        for i in Bits(group.members & set) {
            let row = batch.row_mut(i);
            if row.flags.any(Flags::FRAGMENT.with(Flags::ICMP_ERROR)) {
                away |= 1 << i;
                continue;
            }
            let hash =
                flow::hash5(tables.hash_seed, row.src, row.dst, row.sport, row.dport, row.proto);
            row.hash = hash;
            if stateful {
                let shard = flow::shard_of(hash);
                row.shard = shard.0;
                away |= u64::from(tables.owner(shard) != cx.worker) << i;
            }
        }
    }
    set & !away | run(cx, batch, away)
}

/// Hashes each packet of `set` and moves those that another worker owns.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    let mut mine = set;
    for i in Bits(set) {
        match worker(cx, batch, i) {
            Ok(worker) if worker == cx.worker => continue,
            Ok(worker) => {
                cx.out.workers[worker.index()].push(batch.take(i));
                cx.counters.handed_over.add(1);
            }
            Err(reason) => batch.drop(i, reason),
        }
        mine &= !(1 << i);
    }
    mine
}

/// The worker that has to see packet `i` next.
///
/// # Errors
/// When no worker can do anything with it.
pub fn worker(cx: &mut Context<'_>, batch: &mut Batch, i: usize) -> Result<WorkerId, DropReason> {
    let (frame, row) = batch.both(i);
    row.hash = hash(cx.tables.hash_seed, frame, row);
    match owner(cx.tables, frame, row)? {
        Owner::Nobody => Ok(cx.worker),
        Owner::Shard(shard) => {
            row.shard = shard.0;
            Ok(cx.tables.owner(shard))
        }
        Owner::Fragments(shard) => {
            let here = cx.tables.owner(shard);
            if here == cx.worker { learn(cx, shard, batch, i) } else { Ok(here) }
        }
    }
}

/// Who has to see a packet next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No state is kept of it.
    Nobody,
    /// The shard that keeps its flow or session.
    Shard(ShardId),
    /// The shard where its datagram's fragments meet.
    Fragments(ShardId),
}

/// Who has to see this packet next, given that `hash` is set.
///
/// # Errors
/// When NAT cannot tell, and so could not translate it either.
#[inline(always)]
pub fn owner(tables: &Tables, frame: &[u8; FRAME_SIZE], row: &Row) -> Result<Owner, DropReason> {
    let stateful = match &tables.attachment(row.attachment).role {
        Role::CrossConnect(cross) => {
            let Some(id) = cross.nat else { return Ok(Owner::Nobody) };
            let entry = tables.nat(id);
            let Some(side) = nat44::side(entry, cross, row) else { return Ok(Owner::Nobody) };
            return Ok(match entry.bindings.owner(side, frame, row)? {
                nat::Owner::Session(shard) => Owner::Shard(shard),
                nat::Owner::Fragment if row.flags.has(Flags::FRAGMENT_KNOWN) => {
                    Owner::Shard(ShardId(row.shard))
                }
                nat::Owner::Fragment => Owner::Fragments(fragment_key(tables, frame, row)?.shard()),
            });
        }
        role => keeps_flows(tables, role),
    };
    if !stateful {
        return Ok(Owner::Nobody);
    }
    if row.flags.has(Flags::FRAGMENT) && !row.flags.has(Flags::FRAGMENT_KNOWN) {
        return Ok(Owner::Fragments(fragment_key(tables, frame, row)?.shard()));
    }
    Ok(Owner::Shard(flow::shard_of(row.hash)))
}

/// What a fragment's datagram is called: two links of a peering are one domain, two circuits or
/// VNets are not, nor are a provider's side and Microsoft's.
#[cold]
fn fragment_key(
    tables: &Tables,
    frame: &[u8; FRAME_SIZE],
    row: &Row,
) -> Result<FragmentKey, DropReason> {
    let domain = match &tables.attachment(row.attachment).role {
        Role::CrossConnect(cross) => cross.nat.map_or(u32::MAX, |id| !u32::from(id.0)),
        _ => u32::from(row.vrf.0),
    };
    FragmentKey::of(domain, frame, row).ok_or(DropReason::Ip4TooShort)
}

/// Whether any gateway or group keeps flows of what comes in at a routed attachment.
#[inline(always)]
pub(super) fn keeps_flows(tables: &Tables, role: &Role) -> bool {
    match role {
        Role::Peering(side) => side.stateful,
        // The packet may be for a subnet that has a group where its own has none.
        Role::Subnet(_) => !tables.nsgs.is_empty(),
        Role::CrossConnect(_) | Role::Service(_) | Role::Closed => false,
    }
}

/// What the first fragment of a datagram tells the later ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    sport: u16,
    dport: u16,
    shard: u8,
}

/// At the fragments' shard: the first tells its ports, the later ones learn them. Returns the
/// worker that the datagram's flow belongs to.
fn learn(
    cx: &mut Context<'_>,
    meeting: ShardId,
    batch: &mut Batch,
    i: usize,
) -> Result<WorkerId, DropReason> {
    let (frame, row) = batch.both(i);
    let key = fragment_key(cx.tables, frame, row)?;
    let nat = match &cx.tables.attachment(row.attachment).role {
        Role::CrossConnect(cross) => Some(cross.nat.ok_or(DropReason::NatNoSession)?),
        _ => None,
    };
    row.flags.set(Flags::FRAGMENT_KNOWN);
    let fragments = cx.shards.fragments.of_mut(meeting);
    if row.flags.has(Flags::LATER_FRAGMENT) {
        match fragments.find(key, row.arrival) {
            Some(told) => (row.sport, row.dport, row.shard) = (told.sport, told.dport, told.shard),
            None if nat.is_some() => return Err(DropReason::NatFragmentUnknown),
            // Routed without ports: only rules that name none can allow it.
            None => {}
        }
    } else {
        if let Some(id) = nat {
            row.shard = cx.tables.nat(id).bindings.outside_owner(row)?.0;
        }
        let told = Told { sport: row.sport, dport: row.dport, shard: row.shard };
        fragments.record(key, told, row.arrival);
    }
    row.hash = hash(cx.tables.hash_seed, frame, row);
    if nat.is_none() {
        row.shard = flow::shard_of(row.hash).0;
    }
    Ok(cx.tables.owner(ShardId(row.shard)))
}

/// The flow's hash: of the 5-tuple, or of what an ICMP error quotes, which runs the other way and
/// so hashes alike. While the later fragments of a datagram know no ports the first one's do not
/// count either, so that all take one link and none overtakes the first.
#[inline(always)]
pub fn hash(seed: u64, frame: &[u8; FRAME_SIZE], row: &Row) -> u32 {
    let quoted = row.flags.has(Flags::ICMP_ERROR).then(|| quoted::tuple(frame, row)).flatten();
    let mut tuple = quoted.unwrap_or_else(|| nsg::tuple(row));
    if row.flags.has(Flags::FRAGMENT) && !row.flags.has(Flags::FRAGMENT_KNOWN) {
        (tuple.sport, tuple.dport) = (0, 0);
    }
    flow::hash5(seed, tuple.src, tuple.dst, tuple.sport, tuple.dport, tuple.proto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragments_of_a_datagram_hash_alike_with_and_without_known_ports() {
        let frame = [0; FRAME_SIZE];
        let mut first =
            Row { src: 1, dst: 2, proto: 17, sport: 1000, dport: 2000, ..Row::default() };
        let whole = hash(7, &frame, &first);
        first.flags.set(Flags::FRAGMENT);
        let mut later = Row { sport: 0, dport: 0, ..first };
        later.flags.set(Flags::LATER_FRAGMENT);
        assert_eq!(hash(7, &frame, &first), hash(7, &frame, &later));
        // Where ports were learned, fragments belong to their flow.
        later = Row { sport: 1000, dport: 2000, ..later };
        for row in [&mut first, &mut later] {
            row.flags.set(Flags::FRAGMENT_KNOWN);
            assert_eq!(hash(7, &frame, row), whole);
        }
    }
}
