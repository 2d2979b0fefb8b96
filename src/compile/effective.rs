//! Which route holds for a prefix of a virtual network, as Azure decides it.
//!
//! Longest prefix first; on the same prefix a user-defined route beats what BGP taught, and that
//! beats the system's. Routes of the virtual network itself and of peered ones beat BGP even where
//! BGP is more specific.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::ids::PathGroupId;
use crate::model::{Model, Udr, UdrNextHop, VNet};

/// Where an effective route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// To the interface that has the address, in this network or a peered one.
    ToVm,
    /// To on-premises.
    ToOnprem(PathGroupId),
    /// To a VM that forwards.
    Appliance(Ipv4Addr),
    /// To the Internet, which is not here.
    Internet,
    /// Nowhere.
    Nowhere,
}

/// The effective routes of a subnet, or of the gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Effective {
    routes: BTreeMap<Ipv4Net, Leads>,
}

impl Effective {
    /// The system's routes of a virtual network: its own prefixes and those of peered ones.
    pub(super) fn system(model: &Model, vnet: &VNet) -> Self {
        let peered = model.peered(&vnet.name).flat_map(|(other, _)| &other.address_space);
        let prefixes = vnet.address_space.iter().chain(peered);
        Self { routes: prefixes.map(|prefix| (*prefix, Leads::ToVm)).collect() }
    }

    /// Adds what BGP taught, except inside the system's own prefixes.
    pub(super) fn learn(&mut self, prefix: Ipv4Net, paths: PathGroupId) {
        let leads = |own| self.routes.get(&own) == Some(&Leads::ToVm);
        if !covering(prefix).any(leads) {
            self.routes.insert(prefix, Leads::ToOnprem(paths));
        }
    }

    /// Adds user-defined routes, which replace what has the same prefix.
    pub(super) fn define(&mut self, udrs: &[Udr]) {
        for udr in udrs {
            let leads = match udr.next_hop {
                UdrNextHop::VirtualAppliance(address) => Leads::Appliance(address),
                UdrNextHop::VnetLocal => Leads::ToVm,
                UdrNextHop::Internet => Leads::Internet,
                UdrNextHop::None => Leads::Nowhere,
            };
            self.routes.insert(udr.prefix, leads);
        }
    }

    /// Every route, in order of prefix.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ipv4Net, Leads)> {
        self.routes.iter().map(|(prefix, leads)| (*prefix, *leads))
    }

    /// Where all of `prefix` leads that no longer route covers.
    pub(super) fn covering(&self, prefix: Ipv4Net) -> Option<Leads> {
        covering(prefix).find_map(|own| self.routes.get(&own)).copied()
    }
}

/// Every prefix that covers this one, itself first, the default route last.
pub(super) fn covering(prefix: Ipv4Net) -> impl Iterator<Item = Ipv4Net> {
    std::iter::successors(Some(prefix.trunc()), Ipv4Net::supernet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn vnet_of(prefix: &str) -> Effective {
        Effective { routes: [(net(prefix), Leads::ToVm)].into() }
    }

    #[test]
    fn the_network_beats_bgp_even_where_bgp_is_more_specific() {
        let mut routes = vnet_of("10.10.0.0/16");
        routes.learn(net("10.10.1.0/24"), PathGroupId(1));
        routes.learn(net("10.0.0.0/8"), PathGroupId(1));
        assert_eq!(routes.covering(net("10.10.1.4/32")), Some(Leads::ToVm));
        assert_eq!(routes.covering(net("10.11.0.1/32")), Some(Leads::ToOnprem(PathGroupId(1))));
    }

    #[test]
    fn a_user_defined_route_beats_bgp_and_system_on_the_same_prefix() {
        let mut routes = vnet_of("10.10.0.0/16");
        routes.learn(net("192.168.0.0/16"), PathGroupId(1));
        let to = |prefix, next_hop| Udr { prefix: net(prefix), next_hop };
        let appliance = Ipv4Addr::new(10, 10, 9, 9);
        routes.define(&[
            to("10.10.0.0/16", UdrNextHop::VirtualAppliance(appliance)),
            to("192.168.0.0/16", UdrNextHop::None),
        ]);
        assert_eq!(routes.covering(net("10.10.1.4/32")), Some(Leads::Appliance(appliance)));
        assert_eq!(routes.covering(net("192.168.3.0/24")), Some(Leads::Nowhere));
        assert_eq!(routes.covering(net("8.8.8.8/32")), None);
    }
}
