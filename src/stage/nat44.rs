//! Which public address does it have? NAT at the provider edge, as a bump in the wire of a
//! Microsoft peering: it touches IPv4 from the inside prefixes and to the pool, and nothing else.
//!
//! - **Reads** `attachment`, addresses, ports, `flags`.
//! - **Writes** addresses, ports and checksums of the frame, and the row's copies of them.
//! - **Ends** `nat_no_session`, `nat_pool_exhausted`, `nat_table_full`, `nat_host_limit`,
//!   `nat_unsupported_protocol`, `nat_fragment_unknown`, `nat_bad_icmp`, `nat_filtered`.

use super::icmp::{self, Report};
use super::{Context, steer};
use crate::frame::{BATCH, Batch, Bits, DropReason, Flags, Row};
use crate::ids::{Direction, NatId, ShardId};
use crate::nat::{FlowKey, Lookup, Side, Translated};
use crate::tables::{CrossConnect, NatEntry, Role, Tables};

/// Which way NAT takes a packet that came in at `cross`; none when it leaves it alone.
#[inline(always)]
pub fn side(nat: &NatEntry, cross: &CrossConnect, row: &Row) -> Option<Side> {
    if row.flags.has(Flags::HAIRPIN) {
        return Some(Side::Out2In);
    }
    row.flags.has(Flags::IP4).then(|| side_between(nat, cross, row.src, row.dst))?
}

/// Which translation a valid IPv4 packet between these addresses is for; none when NAT leaves it
/// alone.
#[inline(always)]
fn side_between(nat: &NatEntry, cross: &CrossConnect, src: u32, dst: u32) -> Option<Side> {
    match cross.direction {
        Direction::ToAzure => is_translated::<true>(nat, cross, src, dst).then_some(Side::In2Out),
        Direction::ToOnprem => is_translated::<false>(nat, cross, src, dst).then_some(Side::Out2In),
    }
}

/// Whether NAT has business with a valid IPv4 packet between these addresses that comes from inside
/// towards Azure (`IN2OUT`), or from there towards on-premises.
#[inline(always)]
pub fn is_translated<const IN2OUT: bool>(
    nat: &NatEntry,
    cross: &CrossConnect,
    src: u32,
    dst: u32,
) -> bool {
    let own = |address: u32| cross.own_subnets.iter().any(|(net, mask)| address & mask == *net);
    if own(dst) {
        return false;
    }
    let side = nat.bindings.side(src, dst);
    if IN2OUT {
        // From the edge to the pool: its ICMP errors about translated packets.
        !own(src) && side == Some(Side::In2Out)
    } else {
        side == Some(Side::Out2In)
    }
}

/// Translates the packets of `set`; what is left goes on to its link, or back as a hairpin.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    let todo = translated(cx.tables, batch, set);
    prefetch(cx, batch, todo);
    let mut good = set;
    for (i, id, side) in todo.members() {
        match one(cx, batch, i, id, side) {
            Ok(Next::On) => {}
            Ok(Next::Elsewhere) => good &= !(1 << i),
            Err(reason) => {
                if matches!(reason, DropReason::NatPoolExhausted | DropReason::NatHostLimit) {
                    let from = cx.tables.nat(id).icmp_source;
                    icmp::report_from(cx, batch, i, Report::AdminProhibited, from);
                }
                batch.drop(i, reason);
                good &= !(1 << i);
            }
        }
    }
    good
}

/// The packets of a batch that NAT does not leave alone.
#[derive(Clone, Copy)]
struct Todo {
    members: u64,
    ways: [(NatId, Side); BATCH],
}

impl Todo {
    fn members(self) -> impl Iterator<Item = (usize, NatId, Side)> {
        Bits(self.members).map(move |i| (i, self.ways[i].0, self.ways[i].1))
    }
}

fn translated(tables: &Tables, batch: &Batch, set: u64) -> Todo {
    let mut todo = Todo { members: 0, ways: [(NatId(0), Side::In2Out); BATCH] };
    for i in Bits(set) {
        let row = batch.row(i);
        let Role::CrossConnect(cross) = &tables.attachment(row.attachment).role else {
            unreachable!("classify sorted this frame as cross-connected");
        };
        let Some(id) = cross.nat else { continue };
        if let Some(side) = side(tables.nat(id), cross, row) {
            todo.members |= 1 << i;
            todo.ways[i] = (id, side);
        }
    }
    todo
}

/// Asks for the sessions of all packets before the first is translated, and for what those need that
/// have none yet: at many sessions, waiting for memory is most of the work.
fn prefetch(cx: &Context<'_>, batch: &Batch, todo: Todo) {
    let shard = |i: usize, id: NatId| cx.shards.nats[id.index()].of(ShardId(batch.row(i).shard));
    let mut lookups = [Lookup::NONE; BATCH];
    for (i, id, side) in todo.members() {
        if let Some(key) = FlowKey::of(side, batch.row(i)) {
            let nat = shard(i, id);
            lookups[i] = nat.begin(&key);
            nat.prefetch_index(&lookups[i]);
        }
    }
    let mut new = Todo { members: 0, ..todo };
    for (i, id, side) in todo.members() {
        shard(i, id).prefetch_session(&mut lookups[i]);
        let opens = side == Side::In2Out && !lookups[i].found_any();
        new.members |= u64::from(opens) << i;
    }
    for (i, id, side) in new.members() {
        if let Some(key) = FlowKey::of(side, batch.row(i)) {
            shard(i, id).prefetch_mapping(&key);
        }
    }
    for (i, id, _) in new.members() {
        shard(i, id).prefetch_host(batch.row(i).src);
    }
}

enum Next {
    /// The packet goes on from here.
    On,
    /// Another worker owns the second half of a hairpin.
    Elsewhere,
}

fn one(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    i: usize,
    id: NatId,
    side: Side,
) -> Result<Next, DropReason> {
    let (frame, row) = batch.both(i);
    let shard = cx.shards.nats[id.index()].of_mut(ShardId(row.shard));
    if side == Side::Out2In {
        shard.out2in(&mut frame[..], row)?;
        return Ok(Next::On);
    }
    if shard.in2out(&mut frame[..], row)? == Translated::Done {
        return Ok(Next::On);
    }
    // From inside to inside: now the other end's translation, by whoever owns that.
    row.flags.set(Flags::HAIRPIN);
    row.flags.clear(Flags::FRAGMENT_KNOWN);
    let worker = steer::worker(cx, batch, i)?;
    if worker == cx.worker {
        return one(cx, batch, i, id, Side::Out2In);
    }
    cx.out.workers[worker.index()].push(batch.take(i));
    cx.counters.handed_over.add(1);
    Ok(Next::Elsewhere)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::ids::AttachmentId;
    use crate::nat::NatConfig;

    fn ip(text: &str) -> u32 {
        text.parse::<Ipv4Addr>().unwrap().into()
    }

    fn way(direction: Direction, src: &str, dst: &str) -> Option<Side> {
        let config = NatConfig {
            inside: vec!["192.168.0.0/16".parse().unwrap()],
            pool: vec!["203.0.113.64/28".parse().unwrap()],
            ..NatConfig::default()
        };
        let nat = NatEntry { bindings: config.compile().unwrap(), icmp_source: 0 };
        let cross = CrossConnect {
            out: AttachmentId::from_index(0),
            direction,
            police: None,
            nat: Some(NatId::from_index(0)),
            own_subnets: ["203.0.113.0", "203.0.113.4"].map(|net| (ip(net), ip("255.255.255.252"))),
        };
        let mut row = Row { src: ip(src), dst: ip(dst), ..Row::default() };
        row.flags.set(Flags::IP4);
        side(&nat, &cross, &row)
    }

    #[test]
    fn the_peering_s_own_subnets_talk_to_each_other_untouched() {
        use Direction::{ToAzure, ToOnprem};
        assert_eq!(way(ToAzure, "203.0.113.1", "203.0.113.2"), None);
        assert_eq!(way(ToOnprem, "203.0.113.2", "203.0.113.1"), None);
        assert_eq!(way(ToAzure, "192.168.10.1", "203.0.113.2"), None);
    }

    #[test]
    fn an_error_from_the_edge_s_own_address_to_the_pool_is_translated() {
        let edge = way(Direction::ToOnprem, "203.0.113.2", "203.0.113.68");
        assert_eq!(edge, Some(Side::Out2In));
        let service = way(Direction::ToOnprem, "198.51.100.10", "203.0.113.68");
        assert_eq!(service, Some(Side::Out2In));
    }
}
