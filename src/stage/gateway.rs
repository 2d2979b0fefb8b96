//! Does the virtual network gateway take it? The SKU's bits, packets, flows and new flows; 1,400
//! bytes; no fragments; then the gateway's own look-up in the VNet's routes. Only towards the
//! VNet: the way back never sees a gateway. A super-frame is as many packets as it has segments.
//!
//! - **Reads** `next_hop`, 5-tuple, `ip_len`, `flags`, `ttl`, `arrival`, `hash`.
//! - **Writes** `vrf` (the VNet's), `flags`, the time to live.
//! - **Ends** `gateway_fragment`, `gateway_too_big`, `gateway_ttl_expired`, `gateway_packets`,
//!   `gateway_bits`, `gateway_flows`, `gateway_new_flows`.

use super::icmp::{self, Report};
use super::pieces::{self, Pieces};
use super::{Context, lookup, nsg};
use crate::flow::{self, Key};
use crate::frame::{Batch, Bits, DropReason, Flags, Row};
use crate::ids::GatewayId;
use crate::tables::counters::INSTANCES;
use crate::tables::gateway::{GATEWAY_MTU, Gateway, GatewayLimits};
use crate::tables::next_hop::spread;
use crate::tables::{Counters, NextHop};

/// Takes the packets of `set` through their gateways; what is left is looked up again, in the
/// VNet's routes.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    match batch.open() & set {
        0 => through::<false>(cx, batch, set),
        _ => through::<true>(cx, batch, set),
    }
}

/// As [`run`]; `OPEN` says whether there may be super-frames.
#[inline(never)]
fn through<const OPEN: bool>(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    let mut good = set;
    for i in Bits(set) {
        let NextHop::Gateway(id) = cx.tables.next_hop(batch.row(i).next_hop) else {
            unreachable!("look-up sorted this packet as one for a gateway");
        };
        let gateway = cx.tables.gateway(id);
        let pieces = if OPEN { Pieces::of(batch, i) } else { None };
        let admitted = match &pieces {
            None => admit(cx, id, gateway, batch.row(i)),
            Some(pieces) => admit_some(cx, id, gateway, batch, (i, pieces)),
        };
        if let Err(reason) = admitted {
            if reason == DropReason::GatewayTooBig
                && gateway.answers_icmp
                && batch.row(i).flags.has(Flags::DF)
            {
                icmp::report(cx, batch, i, Report::FragmentationNeeded(GATEWAY_MTU));
            }
            batch.drop(i, reason);
            good &= !(1 << i);
            continue;
        }
        let (frame, row) = batch.both(i);
        lookup::take_one(&mut frame[..], usize::from(row.l3));
        row.ttl -= 1;
        row.vrf = gateway.vrf;
        row.flags.set(Flags::VIA_GATEWAY);
        let (hash, bytes) = (row.hash, u64::from(row.ip_len));
        let (packets, extra) = if OPEN { pieces::extra(batch, 1 << i) } else { (0, 0) };
        count(cx.counters, id, gateway, hash, (1 + packets, bytes + extra));
    }
    good
}

/// Checks the segments of a super-frame; where the rates have room for some of them alone, the
/// others are dropped.
#[cold]
fn admit_some(
    cx: &mut Context<'_>,
    id: GatewayId,
    gateway: &Gateway,
    batch: &mut Batch,
    (i, pieces): (usize, &Pieces),
) -> Result<(), DropReason> {
    let row = *batch.row(i);
    if pieces.longest() > u32::from(GATEWAY_MTU) {
        return Err(DropReason::GatewayTooBig);
    }
    if row.ttl <= 1 {
        return Err(DropReason::GatewayTtlExpired);
    }
    let Some(limits) = &gateway.limits else { return Ok(()) };
    known_flow(cx, id, gateway, limits, &row)?;
    let all = pieces.len;
    let packets = match limits.packets.admit(row.arrival, all) {
        true => all,
        false => pieces::admitted(all, |_| limits.packets.admit(row.arrival, 1)),
    };
    let size = |at: u64| pieces.size(at + 1) - pieces.size(at);
    let passed = match limits.bits.admit(row.arrival, pieces.size(packets)) {
        true => packets,
        false => pieces::admitted(packets, |at| limits.bits.admit(row.arrival, size(at))),
    };
    match (packets, passed) {
        (0, _) => return Err(DropReason::GatewayPackets),
        (_, 0) => return Err(DropReason::GatewayBits),
        _ => {}
    }
    if packets < all {
        pieces::trim(cx, batch, i, packets, DropReason::GatewayPackets);
    }
    if passed < packets {
        pieces::trim(cx, batch, i, passed, DropReason::GatewayBits);
    }
    Ok(())
}

/// Checks a packet against what a gateway takes, cheapest first; nothing is spent on a packet
/// that fails an earlier check.
#[inline(always)]
fn admit(
    cx: &mut Context<'_>,
    id: GatewayId,
    gateway: &Gateway,
    row: &Row,
) -> Result<(), DropReason> {
    if row.flags.has(Flags::FRAGMENT) {
        return Err(DropReason::GatewayFragment);
    }
    if row.ip_len > GATEWAY_MTU {
        return Err(DropReason::GatewayTooBig);
    }
    if row.ttl <= 1 {
        return Err(DropReason::GatewayTtlExpired);
    }
    let Some(limits) = &gateway.limits else { return Ok(()) };
    known_flow(cx, id, gateway, limits, row)?;
    if !limits.packets.admit(row.arrival, 1) {
        return Err(DropReason::GatewayPackets);
    }
    if !limits.bits.admit(row.arrival, u64::from(row.ip_len)) {
        return Err(DropReason::GatewayBits);
    }
    Ok(())
}

/// Finds the packet's flow among those that the gateway knows, or makes it known.
#[inline(always)]
fn known_flow(
    cx: &mut Context<'_>,
    id: GatewayId,
    gateway: &Gateway,
    limits: &GatewayLimits,
    row: &Row,
) -> Result<(), DropReason> {
    let key = Key::new(gateway.domain, &nsg::tuple(row), row.hash);
    let flows = cx.shards.gateway_flows[id.index()].of_mut(flow::shard_of(row.hash));
    if flows.lookup(&key, row.arrival).is_some() {
        return Ok(());
    }
    if !limits.new_flows.admit(row.arrival, 1) {
        return Err(DropReason::GatewayNewFlows);
    }
    flows.insert(&key, 0, row.arrival).map_err(DropReason::from)
}

#[inline(always)]
fn count(
    counters: &Counters,
    id: GatewayId,
    gateway: &Gateway,
    hash: u32,
    (packets, bytes): (u64, u64),
) {
    let counters = counters.gateway(id);
    counters.packets.add(packets);
    counters.bytes.add(bytes);
    let instance = spread(hash, usize::from(gateway.instances));
    counters.instances[instance % INSTANCES].add(packets);
}
