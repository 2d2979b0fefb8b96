//! Virtual networks: address space, subnets, interfaces of VMs, user-defined routes, peerings.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Gateway, NicName, NsgName, PortName, SubnetName, VNetName};
use crate::wire::eth::MacAddr;

/// The longest prefix of a subnet: the service takes five addresses of each.
pub const MAX_SUBNET_LEN: u8 = 29;

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VNet {
    /// Its name.
    pub name: VNetName,
    /// The region it is in.
    pub region: String,
    /// Its prefixes; no two overlap.
    pub address_space: Vec<Ipv4Net>,
    /// Its subnets, without the gateway's.
    pub subnets: Vec<Subnet>,
    /// Interfaces of VMs.
    pub nics: Vec<Nic>,
    /// The ExpressRoute gateway.
    pub gateway: Option<Gateway>,
}

impl VNet {
    /// The subnet of this name.
    pub fn subnet(&self, name: &SubnetName) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.name == *name)
    }

    /// The interface that has this address.
    pub fn nic_at(&self, address: Ipv4Addr) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.ip == address)
    }

    /// Whether the address space holds `address`.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.address_space.iter().any(|prefix| prefix.contains(&address))
    }
}

/// A subnet of a virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its name.
    pub name: SubnetName,
    /// Its addresses.
    pub prefix: Ipv4Net,
    /// The port its VMs are behind; a subnet without one is known to routes alone.
    pub port: Option<PortName>,
    /// Filters its traffic.
    pub nsg: Option<NsgName>,
    /// User-defined routes.
    pub udrs: Vec<Udr>,
    /// Whether it learns the routes that the gateway has from on-premises.
    pub propagate_gateway_routes: bool,
}

impl Subnet {
    /// The virtual network's router: the first usable address.
    pub fn router(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.prefix.network()) + 1)
    }

    /// Whether the service keeps `address` for itself: the first four and the last.
    pub fn reserved(&self, address: Ipv4Addr) -> bool {
        let first = u32::from(self.prefix.network());
        let number = u32::from(address).wrapping_sub(first);
        number < 4 || address == self.prefix.broadcast()
    }
}

/// A VM's network interface; also one entry of FastPath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: NicName,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The subnet that holds the address.
    pub subnet: SubnetName,
    /// Its MAC address, where it is not to be asked for.
    pub mac: Option<MacAddr>,
}

/// A user-defined route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udr {
    /// What it covers.
    pub prefix: Ipv4Net,
    /// Where it leads.
    pub next_hop: UdrNextHop,
}

/// Where a user-defined route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdrNextHop {
    /// A VM that forwards.
    VirtualAppliance(Ipv4Addr),
    /// The virtual network itself.
    VnetLocal,
    /// The Internet, which the lab does not have: dropped by name.
    Internet,
    /// Nowhere: dropped.
    None,
}

/// A peering between two virtual networks. It is not transitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VNetPeering {
    /// One side: the hub, when a gateway is shared.
    pub a: VNetName,
    /// The other side: the spoke, when a gateway is shared.
    pub b: VNetName,
    /// Whether `a` lends its gateway.
    pub allow_gateway_transit: bool,
    /// Whether `b` uses the gateway of `a`.
    pub use_remote_gateways: bool,
    /// Whether the two are in different regions.
    pub global: bool,
}

impl VNetPeering {
    /// Whether `b` reaches on-premises by the gateway of `a`; it takes both sides.
    pub const fn gateway_transit(&self) -> bool {
        self.allow_gateway_transit && self.use_remote_gateways
    }

    /// The other end of the peering, seen from `vnet`.
    pub fn other(&self, vnet: &VNetName) -> Option<&VNetName> {
        if self.a == *vnet {
            Some(&self.b)
        } else if self.b == *vnet {
            Some(&self.a)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_four_addresses_and_the_last_are_the_services() {
        let subnet = Subnet {
            name: SubnetName::new("workload").unwrap(),
            prefix: "10.10.1.0/24".parse().unwrap(),
            port: None,
            nsg: None,
            udrs: Vec::new(),
            propagate_gateway_routes: true,
        };
        assert_eq!(subnet.router(), Ipv4Addr::new(10, 10, 1, 1));
        for last in [0, 1, 2, 3, 255] {
            assert!(subnet.reserved(Ipv4Addr::new(10, 10, 1, last)), "{last}");
        }
        assert!(!subnet.reserved(Ipv4Addr::new(10, 10, 1, 4)));
        assert!(!subnet.reserved(Ipv4Addr::new(10, 10, 1, 254)));
    }
}
