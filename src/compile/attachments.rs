//! What each port's tag stacks lead to: access ports and links of providers, peerings of edges,
//! subnets, services.

use std::sync::Arc;

use ipnet::Ipv4Net;

use super::builder::Builder;
use super::{LossPath, MeterName, PolicerKey, Side};
use crate::ids::{AttachmentId, Direction, Link, NatId, PeeringKind, PolicerId, PortId, VrfId};
use crate::model::{Accounting as ModelAccounting, Circuit, Peering, PolicerScope, Provider};
use crate::police::{Accounting, Policer, Rate};
use crate::tables::{
    Attachment, CrossConnect, LinkPolicer, NatEntry, PeeringSide, Role, ServiceSide, SubnetSide,
};
use crate::wire::eth;
use crate::wire::vlan::TagStack;

/// Adds every attachment; routing domains are named later and stand at 0 until then.
pub(super) fn add(build: &mut Builder<'_>) {
    let model = build.model;
    for provider in &model.providers {
        let position = model.circuits.iter().position(|own| own.name == provider.circuit);
        if let Some(index) = position {
            add_provider(build, provider, index, &model.circuits[index]);
        }
    }
    for (index, circuit) in model.circuits.iter().enumerate() {
        add_edges(build, index, circuit);
    }
    add_subnets(build);
    add_services(build);
}

/// As (address, mask).
fn mask(net: Ipv4Net) -> (u32, u32) {
    (u32::from(net.network()), u32::from(net.netmask()))
}

fn add_provider(build: &mut Builder<'_>, provider: &Provider, index: usize, circuit: &Circuit) {
    if let Some(nat) = &provider.nat {
        match super::nat::config(nat).compile() {
            Ok(bindings) => {
                build.known.nats.insert(index, NatId::from_index(build.known.nat_tables.len()));
                let icmp_source = u32::from(nat.icmp_source);
                build.known.nat_tables.push(NatEntry { bindings, icmp_source });
                build.nats.push(circuit.name.to_string());
            }
            Err(error) => build.errors.push(format!("NAT of {}: {error}", provider.name)),
        }
    }
    for peering in circuit.peerings() {
        let Some(access) = provider.access(peering.kind) else { continue };
        for (link, access) in access.iter() {
            let Some(access) = access else { continue };
            let (Some(access_port), Some(link_port)) =
                (build.port(&access.port), build.port(provider.links.get(link)))
            else {
                continue;
            };
            cross_connect(
                build,
                (index, circuit),
                peering,
                link,
                (access_port, access.tags),
                link_port,
            );
            pass_on_loss(build, access_port, link_port);
        }
    }
}

fn cross_connect(
    build: &mut Builder<'_>,
    (index, circuit): (usize, &Circuit),
    peering: &Peering,
    link: Link,
    (access_port, access_tags): (PortId, TagStack),
    link_port: PortId,
) {
    let meter = build.meter(MeterName {
        circuit: circuit.name.to_string(),
        peering: peering.kind,
        link,
        side: Side::Provider,
    });
    let nat = match peering.kind {
        PeeringKind::Microsoft => build.known.nats.get(&index).copied(),
        PeeringKind::Private => None,
    };
    let own_subnets = Link::BOTH.map(|link| mask(peering.subnets.get(link).net()));
    let mut side = |direction| CrossConnect {
        out: AttachmentId(0),
        direction,
        police: policer(build, Side::Provider, (index, circuit), peering.kind, link, direction),
        nat,
        own_subnets,
    };
    let (to_azure, to_onprem) = (side(Direction::ToAzure), side(Direction::ToOnprem));
    let name = |what| format!("{} {} {link} {what}", circuit.name, peering.kind);
    let mut attach = |name, port, tags, cross| {
        let mtu = build.mtu(port, tags);
        let role = Role::CrossConnect(cross);
        build.attach(Attachment { name, port, tags, mtu, meter: Some(meter), role })
    };
    let access = attach(name("access"), access_port, access_tags, to_azure);
    let outer = attach(name("link"), link_port, circuit.link_tags(peering), to_onprem);
    for (from, to) in [(access, outer), (outer, access)] {
        if let Role::CrossConnect(cross) = &mut build.attachments[from.index()].role {
            cross.out = to;
        }
    }
}

fn pass_on_loss(build: &mut Builder<'_>, access: PortId, link: PortId) {
    match build.loss.iter_mut().find(|path| path.access == access) {
        Some(path) if path.links.contains(&link) => {}
        Some(path) => path.links.push(link),
        None => build.loss.push(LossPath { access, links: vec![link] }),
    }
}

fn add_edges(build: &mut Builder<'_>, index: usize, circuit: &Circuit) {
    let Some(links) = &circuit.links else { return };
    for peering in circuit.peerings() {
        let open = peering.enabled && circuit.usable();
        for (link, port) in links.iter() {
            let Some(port) = build.port(port) else { continue };
            let kind = peering.kind;
            let name = format!("{} {kind} {link}", circuit.name);
            let tags = circuit.link_tags(peering);
            let mtu = build.mtu(port, tags);
            if !open {
                let role = Role::Closed;
                build.attach(Attachment { name, port, tags, mtu, meter: None, role });
                continue;
            }
            let meter = build.meter(MeterName {
                circuit: circuit.name.to_string(),
                peering: kind,
                link,
                side: Side::Microsoft,
            });
            let mut police = |direction| {
                policer(build, Side::Microsoft, (index, circuit), kind, link, direction)
            };
            let police_in = police(Direction::ToAzure);
            let police_out = police(Direction::ToOnprem);
            let sources = peering.microsoft.as_ref().map(|own| {
                let mut sources: Vec<_> =
                    own.advertised_public_prefixes.iter().copied().map(mask).collect();
                // The peering's own subnets: BGP, BFD and ping of the edge's address.
                sources.extend(Link::BOTH.map(|link| mask(peering.subnets.get(link).net())));
                Arc::new(sources)
            });
            let id = build.attach(Attachment {
                name,
                port,
                tags,
                mtu,
                meter: Some(meter),
                role: Role::Peering(PeeringSide {
                    kind,
                    vrf: VrfId(0),
                    mac: build.mac(port),
                    address: u32::from(peering.edge(link)),
                    police_in,
                    police_out,
                    sources,
                    stateful: kind == PeeringKind::Private,
                }),
            });
            build.known.peerings.insert((index, kind, link), id);
            build.on_link.push((id, peering.subnets.get(link).net()));
        }
    }
}

fn add_subnets(build: &mut Builder<'_>) {
    for (number, vnet) in build.model.vnets.iter().enumerate() {
        for (index, subnet) in vnet.subnets.iter().enumerate() {
            let Some(port) = subnet.port.as_ref().and_then(|name| build.port(name)) else {
                continue;
            };
            let id = build.attach(Attachment {
                name: format!("{} {}", vnet.name, subnet.name),
                port,
                tags: TagStack::UNTAGGED,
                mtu: build.mtu(port, TagStack::UNTAGGED),
                meter: None,
                role: Role::Subnet(SubnetSide {
                    vrf: VrfId(0),
                    mac: build.mac(port),
                    address: u32::from(subnet.router()),
                    nsg: None,
                    vnet: u16::try_from(number).unwrap_or(u16::MAX),
                }),
            });
            build.known.subnets.insert((number, index), id);
            build.on_link.push((id, subnet.prefix));
        }
    }
}

fn add_services(build: &mut Builder<'_>) {
    for (index, service) in build.model.services.iter().enumerate() {
        let Some(port) = build.port(&service.port) else { continue };
        let id = build.attach(Attachment {
            name: service.name.to_string(),
            port,
            tags: TagStack::UNTAGGED,
            mtu: build.mtu(port, TagStack::UNTAGGED),
            meter: None,
            role: Role::Service(ServiceSide {
                vrf: VrfId(0),
                mac: build.mac(port),
                address: u32::from(service.router),
            }),
        });
        build.known.services.insert(index, id);
        build.on_link.push((id, service.prefix));
    }
}

/// The policer of a link and direction: one for all peerings, or one each on ExpressRoute Direct.
fn policer(
    build: &mut Builder<'_>,
    side: Side,
    (index, circuit): (usize, &Circuit),
    peering: PeeringKind,
    link: Link,
    direction: Direction,
) -> Option<PolicerId> {
    if !build.model.service.limits || !circuit.policing.enabled {
        return None;
    }
    let scope = match circuit.policer_scope() {
        PolicerScope::Link => None,
        PolicerScope::Peering => Some(peering),
    };
    let key: PolicerKey = (side, index, link, direction, scope);
    if let Some(known) = build.known.policers.get(&key) {
        return Some(*known);
    }
    let policing = &circuit.policing;
    let rate = Rate::kbps(circuit.bandwidth.bits_per_second() / 1000);
    let rate = rate.expect("a circuit has at most 400 Gbit/s");
    let burst = policing.burst_bytes(circuit.bandwidth);
    let tags = circuit.peering(peering).map_or(TagStack::UNTAGGED, |own| circuit.link_tags(own));
    let header_size = u16::try_from(eth::HEADER + tags.size()).expect("22 at most");
    let id = PolicerId::from_index(build.policers.len());
    build.policers.push(LinkPolicer {
        bucket: Arc::new(Policer::new(rate, burst)),
        header_size,
        accounting: match policing.accounting {
            ModelAccounting::L1 => Accounting::L1,
            ModelAccounting::L2 => Accounting::L2,
            ModelAccounting::L3 => Accounting::L3,
        },
        police_control: policing.police_control,
    });
    build.known.policers.insert(key, id);
    Some(id)
}
