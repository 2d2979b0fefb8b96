//! Which worker owns this packet's state?
//!
//! NAT belongs by inside address and outside port, flows of gateways and security groups by the
//! symmetric 5-tuple. A packet at the wrong worker leaves for its owner, which begins here again.
//!
//! Only a datagram's first fragment has ports, so fragments meet at a shard that their addresses
//! and identification name; there the later ones learn the ports of the first, and then go where
//! those lead.
//!
//! - **Reads** `attachment`, `src`, `dst`, `sport`, `dport`, `proto`, `flags`.
//! - **Writes** `hash`; `sport` and `dport` of later fragments.
//! - **Ends** `nat_fragment_unknown`; moves packets to another worker.

use super::Context;
use crate::flow;
use crate::frame::{Batch, Bits, DropReason, FRAME_SIZE, Flags, Row};
use crate::ids::{ShardId, WorkerId};
use crate::nat::FragmentKey;
use crate::tables::{Role, Tables};
use crate::wire::icmp4;

/// Hashes each packet of `set` and moves those that another worker owns.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    let mut mine = set;
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        row.hash = hash(frame, row);
        let worker = match owner(cx.tables, frame, row) {
            Owner::Nobody => continue,
            Owner::Shard(shard) => cx.tables.owner(shard),
            Owner::Fragments(shard) => {
                let here = cx.tables.owner(shard);
                if here == cx.worker {
                    match learn(cx, shard, frame, row) {
                        Ok(worker) => worker,
                        Err(reason) => {
                            batch.drop(i, reason);
                            mine &= !(1 << i);
                            continue;
                        }
                    }
                } else {
                    here
                }
            }
        };
        if worker != cx.worker {
            mine &= !(1 << i);
            cx.out.workers[worker.index()].push(batch.take(i));
            cx.counters.handed_over.add(1);
        }
    }
    mine
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
#[inline(always)]
pub fn owner(tables: &Tables, frame: &[u8; FRAME_SIZE], row: &Row) -> Owner {
    let by_flow = |stateful: bool| {
        if stateful { Owner::Shard(flow::shard_of(row.hash)) } else { Owner::Nobody }
    };
    let owner = match &tables.attachment(row.attachment).role {
        Role::CrossConnect(cross) => {
            let Some(nat) = cross.nat else { return Owner::Nobody };
            match super::nat44::owner(tables.nat(nat), cross, frame, row) {
                Some(shard) => Owner::Shard(shard),
                None => Owner::Nobody,
            }
        }
        Role::Peering(side) => by_flow(side.stateful),
        Role::Subnet(side) => by_flow(side.nsg.is_some()),
        Role::Service(_) => Owner::Nobody,
    };
    let fragment = row.flags.has(Flags::FRAGMENT) && !row.flags.has(Flags::FRAGMENT_KNOWN);
    match owner {
        Owner::Shard(_) if fragment => Owner::Fragments(flow::shard_of(
            flow::hash5(row.src, row.dst, identification(frame, row), 0, row.proto),
        )),
        other => other,
    }
}

/// At the fragments' shard: the first tells its ports, the later ones learn them. Returns the
/// worker that the datagram's flow belongs to.
fn learn(
    cx: &mut Context<'_>,
    shard: ShardId,
    frame: &[u8; FRAME_SIZE],
    row: &mut Row,
) -> Result<WorkerId, DropReason> {
    let key = FragmentKey {
        src: row.src,
        dst: row.dst,
        id: identification(frame, row),
        proto: row.proto,
    };
    let fragments = &mut cx.shards.shard(shard).fragments;
    if row.flags.has(Flags::LATER_FRAGMENT) {
        let ports = fragments.lookup(&key, row.arrival).ok_or(DropReason::NatFragmentUnknown)?;
        (row.sport, row.dport) = *ports;
    } else {
        fragments.insert(key, row.arrival, (row.sport, row.dport));
    }
    row.flags.set(Flags::FRAGMENT_KNOWN);
    row.hash = hash(frame, row);
    Ok(match owner(cx.tables, frame, row) {
        Owner::Shard(shard) => cx.tables.owner(shard),
        Owner::Nobody | Owner::Fragments(_) => cx.worker,
    })
}

/// The identification of a packet's datagram.
#[inline(always)]
fn identification(frame: &[u8; FRAME_SIZE], row: &Row) -> u16 {
    let at = usize::from(row.l3) + 4;
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

/// The flow's hash: of the 5-tuple, or of what an ICMP error quotes, which runs the other way and
/// so hashes alike.
#[inline(always)]
pub fn hash(frame: &[u8; FRAME_SIZE], row: &Row) -> u32 {
    if row.flags.has(Flags::ICMP_ERROR) {
        let quote = usize::from(row.l4) + icmp4::HEADER;
        let end = usize::from(row.l3) + usize::from(row.ip_len);
        if let Some(quoted) = frame.get(quote..end).and_then(flow::Quoted::read) {
            return quoted.hash();
        }
    }
    flow::hash5(row.src, row.dst, row.sport, row.dport, row.proto)
}
