//! Does its gateway let a packet through? A flow that it knows, of a size that it takes, with time
//! left to live on both sides of it, while its rates have room.

use super::lists::Picked;
use super::place::Routed;
use super::{Purse, Ready, way_out};
use crate::fib::Fib;
use crate::flow::{self, FlowTable};
use crate::frame::{BATCH, Batch, Bits, first};
use crate::ids::{GatewayId, NextHopId};
use crate::stage::{Context, Sharded};
use crate::tables::gateway::{GATEWAY_MTU, Gateway, GatewayLimits};
use crate::tables::{NextHop, Tables};

/// Times to live that are taken: by the edge and by the gateway.
pub(super) const HOPS: u8 = 2;

/// Looks the packets of `set` that are for gateway `id` up in its VNet's routes; returns all of
/// them, and those that are ready to leave.
pub(super) fn run<const L2: usize>(
    cx: &mut Context<'_>,
    batch: &Batch,
    place: &Routed<'_>,
    purse: &Purse,
    (id, set): (GatewayId, u64),
) -> (u64, Ready) {
    let tables = cx.tables;
    let gateway = tables.gateway(id);
    let picked = &mut cx.out.express.lists.picked;
    let (tried, mut known) = fits(tables, picked, (id, set));
    if !gateway.limits.as_ref().is_none_or(|limits| has_room(limits, purse)) {
        return (tried, Ready::default());
    }
    let flows = &mut cx.shards.gateway_flows[id.index()];
    let ahead = Ahead {
        flows: gateway.limits.is_some().then_some(&*flows),
        domain: gateway.domain,
        fib: tables.fib(gateway.vrf),
    };
    if place.hashed {
        ahead.ask(picked, known);
    } else {
        ahead.read_and_ask::<L2>(batch, picked, (known, tables.hash_seed));
    }
    if gateway.limits.is_some() {
        known = of_known_flows(flows, gateway, (purse, picked), known);
    }
    look_up(tables, gateway, picked, known);
    (tried, way_out::lead(tables, picked, known, true).0)
}

/// What packets through a gateway will read, to be asked for as soon as they are known.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    flows: Option<&'a Sharded<FlowTable>>,
    domain: u16,
    fib: &'a Fib,
}

impl Ahead<'_> {
    /// Asks for what the packets of `set` will read.
    #[inline(never)]
    fn ask(&self, picked: &Picked, set: u64) {
        Bits(set).for_each(|k| self.ask_for(picked, k));
    }

    /// As [`Ahead::ask`], for each packet as soon as its flow was read: memory answers meanwhile.
    #[inline(never)]
    fn read_and_ask<const L2: usize>(
        &self,
        batch: &Batch,
        picked: &mut Picked,
        (set, seed): (u64, u64),
    ) {
        for k in Bits(set) {
            picked.read_flow_of::<L2>(k, batch, seed);
            self.ask_for(picked, k);
        }
    }

    #[inline(always)]
    fn ask_for(&self, picked: &Picked, k: usize) {
        if let Some(flows) = self.flows {
            let key = picked.flows[k].in_domain(self.domain);
            flows.of(flow::shard_of(picked.hash(k))).prefetch(&key);
        }
        self.fib.ask_ahead(picked.dst[k]);
    }
}

/// Those of `set` that are for the gateway, and those of them that it takes by size and time to
/// live.
#[inline(never)]
fn fits(tables: &Tables, picked: &Picked, (id, set): (GatewayId, u64)) -> (u64, u64) {
    let next_hops = &tables.next_hops[..];
    let (mut tried, mut takes) = (0, 0);
    for k in Bits(set) {
        if next_hops.get(picked.hops[k].index()) == Some(&NextHop::Gateway(id)) {
            tried |= 1 << k;
            takes |= u64::from(picked.ip_len[k] <= GATEWAY_MTU && picked.ttl[k] > HOPS) << k;
        }
    }
    (tried, takes)
}

/// Looks the packets of `set` up in the VNet's routes.
#[inline(never)]
fn look_up(tables: &Tables, gateway: &Gateway, picked: &mut Picked, set: u64) {
    let fib = tables.fib(gateway.vrf);
    if set == first(set.count_ones() as usize) {
        return fib.lookup_block(&picked.dst, &mut picked.hops, set.count_ones() as usize);
    }
    let (mut dst, mut found, mut len) = ([0; BATCH], [NextHopId(0); BATCH], 0_usize);
    for k in Bits(set) {
        dst[len % BATCH] = picked.dst[k];
        len = len.wrapping_add(1);
    }
    fib.lookup_block(&dst, &mut found, len);
    for (k, hop) in Bits(set).zip(found) {
        picked.hops[k] = hop;
    }
}

/// Whether the rates of a gateway have room for a whole batch.
fn has_room(limits: &GatewayLimits, purse: &Purse) -> bool {
    limits.packets.holds(purse.arrival, purse.packets)
        && limits.bits.holds(purse.arrival, purse.bytes)
}

/// Those of `set` whose flows the gateway knows.
#[inline(never)]
fn of_known_flows(
    flows: &mut Sharded<FlowTable>,
    gateway: &Gateway,
    (purse, picked): (&Purse, &Picked),
    set: u64,
) -> u64 {
    let mut known = 0;
    for k in Bits(set) {
        let key = picked.flows[k].in_domain(gateway.domain);
        let flows = flows.of_mut(flow::shard_of(picked.hash(k)));
        known |= u64::from(flows.use_flow(&key, purse.arrival).is_some()) << k;
    }
    known
}
