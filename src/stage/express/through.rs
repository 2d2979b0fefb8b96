//! Does its gateway let a packet through? A flow that it knows, of a size that it takes, with time
//! left to live on both sides of it, while its rates have room.

use super::place::Routed;
use super::{Packet, Purse, Ready, Scratch, WayOut, place};
use crate::flow::{self, Key, Tuple};
use crate::frame::{BATCH, Batch, Bits};
use crate::ids::{GatewayId, NextHopId};
use crate::stage::{Context, Shards};
use crate::tables::NextHop;
use crate::tables::gateway::{GATEWAY_MTU, Gateway, GatewayLimits};

/// Times to live that are taken: by the edge and by the gateway.
pub(super) const HOPS: u8 = 2;

/// Looks the packets of `set` that are for gateway `id` up in its VNet's routes; returns all of
/// them, and those that are ready to leave.
#[inline]
pub(super) fn run<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &mut Batch,
    place: &Routed<'_>,
    purse: &Purse,
    (id, set): (GatewayId, u64),
) -> (u64, Ready) {
    let tables = cx.tables;
    let gateway = tables.gateway(id);
    let affords = gateway.limits.as_ref().is_none_or(|limits| has_room(limits, purse));
    let Scratch { packets, dst, hops, leaving, .. } = &mut *cx.out.express;
    let (mut tried, mut known) = (0, 0);
    for k in Bits(set) {
        if tables.next_hop(hops[k]) != NextHop::Gateway(id) {
            continue;
        }
        tried |= 1 << k;
        let packet = &mut packets[k];
        if !place.hashed {
            let (frame, row) = batch.both(usize::from(packet.at) % BATCH);
            packet.read::<L2>(place::head(frame, row));
            packet.hash = packet.hash5(tables.hash_seed);
        }
        let takes = affords && packet.ip_len <= GATEWAY_MTU && packet.ttl > HOPS;
        known |= u64::from(takes) << k;
    }
    if gateway.limits.is_some() {
        known = of_known_flows(cx.shards, (id, gateway), (purse, packets), known);
    }
    // Destinations of the first look-up are not asked for again.
    let mut len = 0;
    for k in Bits(known) {
        dst[len] = packets[k].dst;
        len += 1;
    }
    let mut found = [NextHopId(0); BATCH];
    tables.fib(gateway.vrf).lookup_batch(&dst[..len], &mut found[..len]);
    for hop in &found[..len] {
        tables.prefetch(*hop);
    }
    let mut way_out = WayOut::new(tables, place, purse);
    let mut found_ready = Ready::default();
    for (k, hop) in Bits(known).zip(found) {
        if let Some(own) = way_out.of(way_out.next_hop(hop), &packets[k], true) {
            found_ready.add(leaving, k, &packets[k], own);
        }
    }
    found_ready.grouped = way_out.grouped;
    (tried, found_ready)
}

/// Whether the rates of a gateway have room for a whole batch.
fn has_room(limits: &GatewayLimits, purse: &Purse) -> bool {
    limits.packets.holds(purse.arrival, purse.packets)
        && limits.bits.holds(purse.arrival, purse.bytes)
}

/// Those of `set` whose flows the gateway knows.
#[inline(always)]
fn of_known_flows(
    shards: &mut Shards,
    (id, gateway): (GatewayId, &Gateway),
    (purse, packets): (&Purse, &[Packet]),
    set: u64,
) -> u64 {
    for k in Bits(set) {
        let key = key(gateway, &packets[k]);
        let shard = shards.shard(flow::shard_of(packets[k].hash));
        shard.gateway_flows[id.index()].prefetch(&key);
    }
    let mut known = 0;
    for k in Bits(set) {
        let key = key(gateway, &packets[k]);
        let shard = shards.shard(flow::shard_of(packets[k].hash));
        let flow = shard.gateway_flows[id.index()].lookup(&key, purse.arrival);
        known |= u64::from(flow.is_some()) << k;
    }
    known
}

#[inline(always)]
fn key(gateway: &Gateway, packet: &Packet) -> Key {
    let Packet { src, dst, sport, dport, proto, .. } = *packet;
    Key::new(gateway.domain, &Tuple { src, dst, sport, dport, proto }, packet.hash)
}
