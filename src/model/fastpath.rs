//! FastPath: which addresses of VMs bypass the gateway, and why others do not.
//!
//! One entry is one address of a VM's interface. Nothing is ever unreachable for want of FastPath:
//! what has no entry takes the gateway.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::limits::{FASTPATH_PROVIDER, fastpath_direct};
use super::{
    Circuit, CircuitName, Connection, DirectName, Edition, Gateway, Model, Udr, UdrNextHop, VNet,
    VNetName,
};

/// One address that the edges send to directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastPathEntry {
    /// The VM's address.
    pub address: Ipv4Addr,
    /// The virtual network it is in.
    pub vnet: VNetName,
    /// The address whose interface gets the packet: the VM's, or an appliance's by a route on
    /// `GatewaySubnet`.
    pub via: Ipv4Addr,
}

/// Why addresses of a connection with FastPath take the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FallbackReason {
    /// The gateway's SKU has no FastPath.
    GatewaySku,
    /// The edition has FastPath on ExpressRoute Direct alone.
    NeedsDirect,
    /// The addresses are in a peered network: FastPath reaches those on Direct alone, and not in
    /// the seed edition.
    PeeredVnet,
    /// The peered network is in another region.
    PeeredRegion,
    /// A route on `GatewaySubnet` covers the addresses, which FastPath does not follow here.
    GatewayRoute,
    /// The circuit's, or the port pair's, entries are used up.
    Limit,
}

impl FallbackReason {
    /// One line that says what it means.
    pub const fn doc(self) -> &'static str {
        match self {
            Self::GatewaySku => "the gateway's SKU has no FastPath",
            Self::NeedsDirect => "the seed edition has FastPath on ExpressRoute Direct alone",
            Self::PeeredVnet => "FastPath reaches peered networks on ExpressRoute Direct alone",
            Self::PeeredRegion => "FastPath does not reach peered networks of another region",
            Self::GatewayRoute => "a route on GatewaySubnet covers the address",
            Self::Limit => "the FastPath entries of the circuit are used up",
        }
    }
}

/// Addresses of one virtual network that take the gateway although FastPath is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The virtual network.
    pub vnet: VNetName,
    /// Why.
    pub reason: FallbackReason,
    /// How many.
    pub addresses: usize,
}

/// What FastPath does for one connection that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastPathPlan {
    /// Index of the connection in [`Model::connections`].
    pub connection: usize,
    /// Addresses that bypass the gateway.
    pub entries: Vec<FastPathEntry>,
    /// Addresses that do not.
    pub fallbacks: Vec<Fallback>,
}

#[derive(PartialEq, Eq, Hash)]
enum Budget<'a> {
    Circuit(&'a CircuitName),
    Direct(&'a DirectName),
}

impl Model {
    /// What FastPath does, for each connection that has it on, in the order of the file; entries
    /// are given out in that order until a circuit or a port pair has no more.
    pub fn fastpath(&self) -> Vec<FastPathPlan> {
        let mut left: HashMap<Budget<'_>, usize> = HashMap::new();
        let mut plans = Vec::new();
        for (index, connection) in self.connections.iter().enumerate() {
            if !connection.fastpath {
                continue;
            }
            let (Some(circuit), Some(hub)) =
                (self.circuit(&connection.circuit), self.vnet(&connection.vnet))
            else {
                continue;
            };
            let Some(gateway) = &hub.gateway else { continue };
            let (budget, limit) = match &circuit.direct {
                Some((name, speed)) => (Budget::Direct(name), fastpath_direct(*speed)),
                None => (Budget::Circuit(&circuit.name), FASTPATH_PROVIDER),
            };
            let mut plan =
                FastPathPlan { connection: index, entries: Vec::new(), fallbacks: Vec::new() };
            let left = left.entry(budget).or_insert(limit);
            for (vnet, refused) in self.fastpath_vnets(circuit, connection, hub, gateway) {
                plan.add_vnet(vnet, refused, self.routed_by(circuit, gateway), left);
            }
            plans.push(plan);
        }
        plans
    }

    // The networks behind a connection, and what keeps each off FastPath as a whole.
    fn fastpath_vnets<'a>(
        &'a self,
        circuit: &Circuit,
        connection: &Connection,
        hub: &'a VNet,
        gateway: &Gateway,
    ) -> Vec<(&'a VNet, Option<FallbackReason>)> {
        let direct = circuit.direct.is_some();
        let seed = self.service.edition == Edition::Seed;
        let all = if !gateway.sku.limits().fastpath {
            Some(FallbackReason::GatewaySku)
        } else if seed && !direct {
            Some(FallbackReason::NeedsDirect)
        } else {
            None
        };
        let mut vnets = vec![(hub, all)];
        for (spoke, peering) in self.peered(&connection.vnet) {
            if peering.a != hub.name || !peering.gateway_transit() {
                continue;
            }
            let refused = all.or(if seed || !direct {
                Some(FallbackReason::PeeredVnet)
            } else if peering.global || spoke.region != hub.region {
                Some(FallbackReason::PeeredRegion)
            } else {
                None
            });
            vnets.push((spoke, refused));
        }
        vnets
    }

    // Routes on GatewaySubnet, and whether FastPath follows them.
    fn routed_by<'a>(&self, circuit: &Circuit, gateway: &'a Gateway) -> (&'a [Udr], bool) {
        let follows = self.service.edition == Edition::Today && circuit.direct.is_some();
        (&gateway.udrs, follows)
    }
}

impl FastPathPlan {
    fn add_vnet(
        &mut self,
        vnet: &VNet,
        refused: Option<FallbackReason>,
        (udrs, follows): (&[Udr], bool),
        left: &mut usize,
    ) {
        for nic in &vnet.nics {
            let via = match refused {
                Some(reason) => Err(reason),
                None => via(vnet, nic.ip, udrs, follows).ok_or(FallbackReason::GatewayRoute),
            };
            let via = via.and_then(|via| {
                *left = left.checked_sub(1).ok_or(FallbackReason::Limit)?;
                Ok(via)
            });
            match via {
                Ok(via) => self.entries.push(FastPathEntry {
                    address: nic.ip,
                    vnet: vnet.name.clone(),
                    via,
                }),
                Err(reason) => self.fall_back(&vnet.name, reason),
            }
        }
    }

    fn fall_back(&mut self, vnet: &VNetName, reason: FallbackReason) {
        let known = self.fallbacks.iter_mut().find(|own| own.vnet == *vnet && own.reason == reason);
        match known {
            Some(fallback) => fallback.addresses += 1,
            None => {
                self.fallbacks.push(Fallback { vnet: vnet.clone(), reason, addresses: 1 });
            }
        }
    }
}

// Where FastPath sends what is for `address`; `None` when the gateway must see it.
fn via(vnet: &VNet, address: Ipv4Addr, udrs: &[Udr], follows: bool) -> Option<Ipv4Addr> {
    let system = vnet.address_space.iter().filter(|own| own.contains(&address));
    let system = system.map(|own| own.prefix_len()).max().unwrap_or(0);
    // A route that is less specific than the network's own does not hold for its addresses.
    let covering = udrs
        .iter()
        .filter(|udr| udr.prefix.contains(&address) && udr.prefix.prefix_len() >= system);
    match covering.max_by_key(|udr| udr.prefix.prefix_len()).map(|udr| udr.next_hop) {
        None | Some(UdrNextHop::VnetLocal) => Some(address),
        Some(UdrNextHop::VirtualAppliance(appliance)) if follows => Some(appliance),
        Some(_) => None,
    }
}
