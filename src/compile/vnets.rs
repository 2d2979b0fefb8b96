//! The routing domains of virtual networks: each subnet's effective routes, with each reachable
//! VM's own next hop below them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::builder::Builder;
use super::effective::{Effective, Leads};
use super::routes::Learned;
use super::{NeighbourSpec, nsg};
use crate::frame::DropReason;
use crate::ids::{AttachmentId, NeighbourId, PathGroupId, VrfId};
use crate::model::{Subnet, VNet};
use crate::tables::{NextHop, Role};

/// Routes of subnets: one domain for those that share all routes, one each for the others.
pub(super) fn add(build: &mut Builder<'_>, learned: &Learned) {
    let model = build.model;
    for (number, vnet) in model.vnets.iter().enumerate() {
        let from = model.gateway_vnet(&vnet.name);
        let from = from.and_then(|own| model.vnets.iter().position(|vnet| vnet.name == own.name));
        let learned = from.and_then(|index| learned.get(&index)).map_or(&[][..], |own| &own[..]);
        let mut shared = None;
        for (index, subnet) in vnet.subnets.iter().enumerate() {
            let Some(attachment) = build.known.subnets.get(&(number, index)).copied() else {
                continue;
            };
            let plain = subnet.udrs.is_empty() && subnet.propagate_gateway_routes;
            let vrf = match (plain, shared) {
                (true, Some(vrf)) => vrf,
                _ => {
                    let vrf = add_subnet_routes(build, vnet, subnet, learned);
                    if plain {
                        shared = Some(vrf);
                    }
                    vrf
                }
            };
            let rules = subnet.nsg.as_ref().and_then(|name| model.nsg(name));
            let nsg = rules.map(|rules| nsg::compile(model, vnet, rules, learned));
            let nsg = match nsg {
                Some(Ok(rules)) => Some(build.nsg(rules)),
                Some(Err(error)) => {
                    build.errors.push(format!("NSG of {} {}: {error}", vnet.name, subnet.name));
                    None
                }
                None => None,
            };
            if let Role::Subnet(side) = &mut build.attachments[attachment.index()].role {
                side.vrf = vrf;
                side.nsg = nsg;
            }
        }
    }
}

fn add_subnet_routes(
    build: &mut Builder<'_>,
    vnet: &VNet,
    subnet: &Subnet,
    learned: &[(Ipv4Net, PathGroupId)],
) -> VrfId {
    let mut effective = Effective::system(build.model, vnet);
    if subnet.propagate_gateway_routes {
        for (prefix, paths) in learned {
            effective.learn(*prefix, *paths);
        }
    }
    effective.define(&subnet.udrs);
    let vrf = build.vrf(format!("{} {}", vnet.name, subnet.name));
    install(build, vrf, vnet, &effective);
    vrf
}

/// Puts effective routes into a domain, with each reachable VM's own next hop below them.
pub(super) fn install(build: &mut Builder<'_>, vrf: VrfId, vnet: &VNet, effective: &Effective) {
    let model = build.model;
    for (prefix, leads) in effective.iter() {
        let hop = match leads {
            Leads::ToVm => {
                around(build, vnet, prefix).map_or(NextHop::NO_ROUTE, NextHop::Connected)
            }
            Leads::Internet => NextHop::NO_ROUTE,
            Leads::ToOnprem(paths) => NextHop::Paths(paths),
            Leads::Nowhere => NextHop::Blackhole(DropReason::Blackhole),
            Leads::Appliance(address) => appliance(build, vnet, address),
        };
        build.route(vrf, prefix, hop);
    }
    let peered = model.peered(&vnet.name).map(|(other, _)| other);
    for reachable in std::iter::once(vnet).chain(peered) {
        let Some(number) = model.vnets.iter().position(|own| own.name == reachable.name) else {
            continue;
        };
        for (index, subnet) in reachable.subnets.iter().enumerate() {
            let Some(attachment) = build.known.subnets.get(&(number, index)).copied() else {
                continue;
            };
            if effective.covering(subnet.prefix) == Some(Leads::ToVm) {
                build.route(vrf, subnet.prefix, NextHop::Connected(attachment));
            }
            build.host_route(vrf, subnet.router(), NextHop::Local);
        }
        for nic in &reachable.nics {
            if effective.covering(Ipv4Net::from(nic.ip)) == Some(Leads::ToVm)
                && let Some(vm) = vm(build, reachable, nic.ip)
            {
                build.host_route(vrf, nic.ip, build.to(vm));
            }
        }
    }
}

/// The subnet, in this network or a peered one, that all of `prefix` is in.
fn around(build: &Builder<'_>, vnet: &VNet, prefix: Ipv4Net) -> Option<AttachmentId> {
    let model = build.model;
    let mut all = model.vnets.iter().enumerate();
    let peered = |own: &VNet| model.peered(&vnet.name).any(|(other, _)| other.name == own.name);
    all.find_map(|(number, own)| {
        let index = own.subnets.iter().position(|subnet| subnet.prefix.contains(&prefix))?;
        let reachable = own.name == vnet.name || peered(own);
        build.known.subnets.get(&(number, index)).copied().filter(|_| reachable)
    })
}

/// The interface that has an address of a virtual network.
pub(super) fn vm(build: &mut Builder<'_>, vnet: &VNet, address: Ipv4Addr) -> Option<NeighbourId> {
    let number = build.model.vnets.iter().position(|own| own.name == vnet.name)?;
    let index = vnet.subnets.iter().position(|subnet| subnet.prefix.contains(&address))?;
    let attachment = *build.known.subnets.get(&(number, index))?;
    let mac = vnet.nic_at(address).and_then(|nic| nic.mac);
    let spec = NeighbourSpec { attachment, address, mac, watched: false };
    Some(build.neighbour(spec))
}

/// A VM that forwards, in this network or a peered one.
fn appliance(build: &mut Builder<'_>, vnet: &VNet, address: Ipv4Addr) -> NextHop {
    let model = build.model;
    let peered = model.peered(&vnet.name).map(|(other, _)| other);
    let found = std::iter::once(vnet).chain(peered).find(|own| own.contains(address));
    let vm = found.and_then(|own| vm(build, own, address));
    vm.map_or(NextHop::Blackhole(DropReason::Blackhole), |vm| build.to(vm))
}
