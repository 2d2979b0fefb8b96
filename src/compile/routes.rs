//! The routing domains and what is in them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::builder::Builder;
use super::effective::{Effective, covering};
use super::{NeighbourSpec, vnets};
use crate::flow::Census;
use crate::frame::DropReason;
use crate::ids::{GatewayId, Link, NeighbourId, PathGroupId, PeeringKind, VrfId};
use crate::model::{Circuit, Gateway as ModelGateway, GatewayIcmp, MAX_INSTANCES, Model, VNet};
use crate::police::{Policer, Rate};
use crate::tables::counters::INSTANCES;
use crate::tables::gateway::{GATEWAY_IDLE, GatewayLimits};
use crate::tables::{Gateway, NextHop, Role};

const _: () = assert!(MAX_INSTANCES as usize <= INSTANCES, "each instance has its counter");

/// Adds every routing domain and names it in the attachments that use it.
pub(super) fn add(build: &mut Builder<'_>) {
    let learned = learn(build);
    vnets::add(build, &learned);
    let gateways = add_gateways(build);
    for index in 0..build.model.circuits.len() {
        add_private(build, index, &gateways);
    }
    add_fastpath(build, &gateways);
    add_microsoft(build);
}

/// A path to on-premises that a virtual network's gateway learned.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    weight: u16,
    as_path_len: u8,
    router: NeighbourId,
}

/// What each virtual network with a gateway learns from its circuits: prefix to equal paths.
pub(super) type Learned = HashMap<usize, Vec<(Ipv4Net, PathGroupId)>>;

fn learn(build: &mut Builder<'_>) -> Learned {
    let model = build.model;
    let mut learned = Learned::new();
    for (index, vnet) in model.vnets.iter().enumerate() {
        let Some(gateway) = &vnet.gateway else { continue };
        let mut prefixes: BTreeMap<Ipv4Net, Vec<Candidate>> = BTreeMap::new();
        for connection in model.connections_of(&vnet.name) {
            let Some(circuit) = position(model, &connection.circuit) else { continue };
            for (prefix, as_path_len, router) in routes_of(build, circuit, PeeringKind::Private) {
                let weight = connection.weight;
                let candidate = Candidate { weight, as_path_len, router };
                prefixes.entry(prefix).or_default().push(candidate);
            }
        }
        let limit = gateway.sku.limits().routes as usize;
        if model.service.limits && prefixes.len() > limit {
            build.advice.push(format!(
                "the gateway of {} learns {limit} routes at most ({}); {} routes are left out",
                vnet.name,
                gateway.sku,
                prefixes.len() - limit,
            ));
        }
        let most = if model.service.limits { limit } else { usize::MAX };
        prefixes = prefixes.into_iter().take(most).collect();
        let best = prefixes.keys().map(|prefix| (*prefix, build.paths(&tiers(&prefixes, *prefix))));
        learned.insert(index, best.collect());
    }
    learned
}

/// The ways to a prefix, best first: highest weight, then shortest AS path; what is equal shares
/// the flows. When all of them are down it is as if they had been withdrawn, and the next shorter
/// prefix that covers this one shows the way.
fn tiers(prefixes: &BTreeMap<Ipv4Net, Vec<Candidate>>, prefix: Ipv4Net) -> Vec<Vec<NeighbourId>> {
    let rank = |own: &Candidate| (std::cmp::Reverse(own.weight), own.as_path_len);
    let mut tiers: Vec<Vec<NeighbourId>> = Vec::new();
    for candidates in covering(prefix).filter_map(|own| prefixes.get(&own)) {
        let mut sorted = candidates.clone();
        sorted.sort_by_key(rank);
        for tier in sorted.chunk_by(|a, b| rank(a) == rank(b)) {
            let tier = tier.iter().map(|own| own.router).collect();
            // Paths that are down are not tried again.
            if !tiers.contains(&tier) {
                tiers.push(tier);
            }
        }
    }
    tiers
}

/// A circuit's static routes over the links of a peering: prefix, AS path length, the customer's router.
fn routes_of(
    build: &mut Builder<'_>,
    circuit: usize,
    kind: PeeringKind,
) -> Vec<(Ipv4Net, u8, NeighbourId)> {
    let model = build.model;
    let own = &model.circuits[circuit];
    let mut found = Vec::new();
    for route in &model.routes {
        if route.circuit != own.name || route.peering != kind {
            continue;
        }
        for link in Link::BOTH {
            if route.link.is_none_or(|only| only == link)
                && let Some(router) = customer(build, circuit, kind, link)
            {
                let prefixes = route.prefixes.iter();
                found.extend(prefixes.map(|prefix| (*prefix, route.as_path_len, router)));
            }
        }
    }
    found
}

/// The customer's router on a link.
fn customer(
    build: &mut Builder<'_>,
    circuit: usize,
    kind: PeeringKind,
    link: Link,
) -> Option<NeighbourId> {
    let attachment = *build.known.peerings.get(&(circuit, kind, link))?;
    let peering = build.model.circuits[circuit].peering(kind)?;
    let address = peering.customer(link);
    let spec = NeighbourSpec { attachment, address, mac: None, watched: true };
    Some(build.neighbour(spec))
}

fn position(model: &Model, circuit: &crate::model::CircuitName) -> Option<usize> {
    model.circuits.iter().position(|own| own.name == *circuit)
}

/// Gateways with their own routes; by VNet index.
fn add_gateways(build: &mut Builder<'_>) -> HashMap<usize, GatewayId> {
    let model = build.model;
    let mut gateways = HashMap::new();
    for (number, vnet) in model.vnets.iter().enumerate() {
        let Some(own) = &vnet.gateway else { continue };
        let mut effective = Effective::system(model, vnet);
        effective.define(&own.udrs);
        let vrf = build.vrf(format!("{} GatewaySubnet", vnet.name));
        vnets::install(build, vrf, vnet, &effective);
        let gateway = Gateway {
            name: vnet.name.to_string(),
            vrf,
            limits: model.service.limits.then(|| limits(own)),
            answers_icmp: own.icmp == GatewayIcmp::Answer,
            instances: u16::from(own.instances),
            domain: u16::try_from(number).unwrap_or(u16::MAX),
        };
        gateways.insert(number, build.gateway(gateway));
    }
    gateways
}

/// Tokens of a gateway last for this part of a second: the service publishes no burst.
const GATEWAY_BURST_MILLIS: u64 = 50;

fn limits(gateway: &ModelGateway) -> GatewayLimits {
    let sku = gateway.sku.limits();
    let per_second = |count: u64| {
        let rate = Rate::per_second(count).expect("a SKU's rates are in range");
        Arc::new(Policer::new(rate, count * GATEWAY_BURST_MILLIS / 1000))
    };
    let bytes = sku.bits_per_second / 8;
    let bits = Rate::kbps(sku.bits_per_second / 1000).expect("a SKU's rates are in range");
    GatewayLimits {
        bits: Arc::new(Policer::new(bits, bytes * GATEWAY_BURST_MILLIS / 1000)),
        packets: per_second(sku.packets_per_second),
        new_flows: per_second(u64::from(sku.new_flows_per_second)),
        flows: Arc::new(Census::new(GATEWAY_IDLE, u64::from(sku.flows))),
    }
}

/// The networks that a gateway leads to: its own, and those that use it by peering.
fn behind<'a>(model: &'a Model, vnet: &'a VNet) -> impl Iterator<Item = &'a VNet> {
    let spokes = model.peered(&vnet.name);
    let spokes = spokes.filter(|(_, peering)| peering.a == vnet.name && peering.gateway_transit());
    std::iter::once(vnet).chain(spokes.map(|(spoke, _)| spoke))
}

fn add_private(build: &mut Builder<'_>, index: usize, gateways: &HashMap<usize, GatewayId>) {
    let model = build.model;
    let circuit = &model.circuits[index];
    let Some(vrf) = peering_vrf(build, index, circuit, PeeringKind::Private) else { return };
    for connection in model.connections.iter().filter(|own| own.circuit == circuit.name) {
        let Some(number) = model.vnets.iter().position(|own| own.name == connection.vnet) else {
            continue;
        };
        let Some(gateway) = gateways.get(&number) else { continue };
        for vnet in behind(model, &model.vnets[number]) {
            for prefix in &vnet.address_space {
                build.route(vrf, *prefix, NextHop::Gateway(*gateway));
            }
        }
    }
}

/// A peering's domain with its links' subnets and what on-premises advertised.
fn peering_vrf(
    build: &mut Builder<'_>,
    index: usize,
    circuit: &Circuit,
    kind: PeeringKind,
) -> Option<VrfId> {
    let peering = circuit.peering(kind)?;
    let attachments =
        Link::BOTH.map(|link| build.known.peerings.get(&(index, kind, link)).copied());
    if attachments.iter().all(Option::is_none) {
        return None;
    }
    let vrf = build.vrf(format!("{} {kind}", circuit.name));
    for route in &build.model.routes {
        if route.circuit == circuit.name && route.peering == kind {
            for prefix in &route.prefixes {
                build.route(vrf, *prefix, NextHop::Blackhole(DropReason::NoTransit));
            }
        }
    }
    for (link, attachment) in Link::BOTH.into_iter().zip(attachments) {
        let Some(attachment) = attachment else { continue };
        if let Some(router) = customer(build, index, kind, link) {
            build.host_route(vrf, peering.customer(link), build.to(router));
        }
        build.host_route(vrf, peering.edge(link), NextHop::Local);
        match &mut build.attachments[attachment.index()].role {
            Role::Peering(side) => side.vrf = vrf,
            _ => unreachable!("a peering's attachment"),
        }
    }
    Some(vrf)
}

/// FastPath: one address of a VM's interface, straight to it, below the prefix that
/// leads to the gateway. Addresses beyond a limit have no entry and so take the gateway.
fn add_fastpath(build: &mut Builder<'_>, gateways: &HashMap<usize, GatewayId>) {
    let model = build.model;
    for plan in model.fastpath() {
        let connection = &model.connections[plan.connection];
        let Some(circuit) = position(model, &connection.circuit) else { continue };
        let Some(vrf) = vrf_of(build, circuit) else { continue };
        let number = model.vnets.iter().position(|own| own.name == connection.vnet);
        let gateway = number.and_then(|number| gateways.get(&number)).copied();
        for entry in &plan.entries {
            let Some(vnet) = model.vnets.iter().find(|own| own.contains(entry.via)) else {
                continue;
            };
            if let Some(vm) = vnets::vm(build, vnet, entry.via) {
                build.host_route(vrf, entry.address, build.to(vm));
                if let Some(gateway) = gateway {
                    build.bypasses(vm, gateway);
                }
            }
        }
    }
}

/// The domain of a circuit's private peering.
fn vrf_of(build: &Builder<'_>, circuit: usize) -> Option<VrfId> {
    Link::BOTH.into_iter().find_map(|link| {
        let id = build.known.peerings.get(&(circuit, PeeringKind::Private, link))?;
        match &build.attachments[id.index()].role {
            Role::Peering(side) => Some(side.vrf),
            _ => None,
        }
    })
}

fn add_microsoft(build: &mut Builder<'_>) {
    let model = build.model;
    let core = build.vrf("microsoft core".to_owned());
    let mut domains = vec![core];
    let mut prefixes: BTreeMap<Ipv4Net, Vec<Candidate>> = BTreeMap::new();
    for (index, circuit) in model.circuits.iter().enumerate() {
        domains.extend(peering_vrf(build, index, circuit, PeeringKind::Microsoft));
        for (prefix, as_path_len, router) in routes_of(build, index, PeeringKind::Microsoft) {
            let candidate = Candidate { weight: 0, as_path_len, router };
            prefixes.entry(prefix).or_default().push(candidate);
        }
    }
    for prefix in prefixes.keys() {
        let paths = build.paths(&tiers(&prefixes, *prefix));
        build.route(core, *prefix, NextHop::Paths(paths));
    }
    for (index, service) in model.services.iter().enumerate() {
        let Some(attachment) = build.known.services.get(&index).copied() else { continue };
        for vrf in &domains {
            build.route(*vrf, service.prefix, NextHop::Connected(attachment));
            build.host_route(*vrf, service.router, NextHop::Local);
        }
        if let Role::Service(side) = &mut build.attachments[attachment.index()].role {
            side.vrf = core;
        }
    }
}
