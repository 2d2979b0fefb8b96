//! Network security groups, with service tags resolved for the virtual network they are used in.

use ipnet::Ipv4Net;

use crate::flow::AddressSet;
use crate::flow::rules::{Action, PortSet, Protocol, Rule, RuleError, RuleSet, ServiceTag};
use crate::ids::PathGroupId;
use crate::model::{
    Model, Nsg, NsgAccess, NsgAddress, NsgDirection, NsgProtocol, NsgRule, PortRange,
    ServiceTag as ModelTag, VNet,
};

/// Compiles a group for a virtual network whose gateway learned `learned`.
///
/// # Errors
/// When the rules do not make a group.
pub(super) fn compile(
    model: &Model,
    vnet: &VNet,
    nsg: &Nsg,
    learned: &[(Ipv4Net, PathGroupId)],
) -> Result<RuleSet, RuleError> {
    let virtual_network = virtual_network(model, vnet, learned);
    let rules = |direction| {
        let own = nsg.rules.iter().filter(move |rule| rule.direction == direction);
        own.map(|own| rule(own, &virtual_network)).collect()
    };
    RuleSet::new(rules(NsgDirection::Inbound), rules(NsgDirection::Outbound), &virtual_network)
}

/// What the tag VirtualNetwork means here: the network, those peered with it, and every prefix
/// learned from on-premises.
fn virtual_network(model: &Model, vnet: &VNet, learned: &[(Ipv4Net, PathGroupId)]) -> AddressSet {
    let peered = model.peered(&vnet.name).flat_map(|(other, _)| &other.address_space);
    let own = vnet.address_space.iter().chain(peered).copied();
    own.chain(learned.iter().map(|(prefix, _)| *prefix)).collect()
}

fn rule(rule: &NsgRule, virtual_network: &AddressSet) -> Rule {
    Rule {
        name: rule.name.clone(),
        priority: rule.priority,
        action: match rule.access {
            NsgAccess::Allow => Action::Allow,
            NsgAccess::Deny => Action::Deny,
        },
        protocol: match rule.protocol {
            NsgProtocol::Any => Protocol::Any,
            NsgProtocol::Tcp => Protocol::Tcp,
            NsgProtocol::Udp => Protocol::Udp,
            NsgProtocol::Icmp => Protocol::Icmp,
            NsgProtocol::Esp => Protocol::Esp,
            NsgProtocol::Ah => Protocol::Ah,
        },
        source: addresses(&rule.sources, virtual_network),
        source_ports: ports(&rule.source_ports),
        destination: addresses(&rule.destinations, virtual_network),
        destination_ports: ports(&rule.destination_ports),
    }
}

fn addresses(addresses: &[NsgAddress], virtual_network: &AddressSet) -> AddressSet {
    let one = |address: &NsgAddress| match address {
        NsgAddress::Any => AddressSet::any(),
        NsgAddress::Prefix(prefix) => std::iter::once(*prefix).collect(),
        NsgAddress::Tag(tag) => match tag {
            ModelTag::Internet => ServiceTag::Internet,
            ModelTag::AzureLoadBalancer => ServiceTag::AzureLoadBalancer,
            ModelTag::VirtualNetwork => ServiceTag::VirtualNetwork,
        }
        .resolve(virtual_network),
    };
    addresses.iter().fold(AddressSet::none(), |all, address| all.union(&one(address)))
}

fn ports(ranges: &[PortRange]) -> PortSet {
    ranges.iter().map(|range| range.first..=range.last).collect()
}
