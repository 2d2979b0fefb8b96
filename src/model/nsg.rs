//! Network security groups: rules by priority, with the service's defaults at the end.

use ipnet::Ipv4Net;

use super::NsgName;

/// The lowest priority number of a rule, evaluated first.
pub const MIN_PRIORITY: u16 = 100;
/// The highest priority number of a rule.
pub const MAX_PRIORITY: u16 = 4096;

/// Which way a rule looks, seen from the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NsgDirection {
    /// To the VM.
    Inbound,
    /// From the VM.
    Outbound,
}

/// What a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The packet, and the answers of its flow, pass.
    Allow,
    /// The packet is dropped.
    Deny,
}

/// The protocol that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NsgProtocol {
    /// Every one.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// IPsec's encapsulating security payload.
    Esp,
    /// IPsec's authentication header.
    Ah,
}

impl NsgProtocol {
    /// The number in the IPv4 header; `None` matches all.
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::Any => None,
            Self::Icmp => Some(1),
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Esp => Some(50),
            Self::Ah => Some(51),
        }
    }

    /// Whether it has ports.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Any | Self::Tcp | Self::Udp)
    }
}

/// A name of the service's for a set of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceTag {
    /// What is neither in the virtual network nor connected to it.
    Internet,
    /// The load balancer's probes, 168.63.129.16.
    AzureLoadBalancer,
    /// The virtual network, those peered with it, and on-premises as connected by the gateway.
    VirtualNetwork,
}

/// One set of addresses that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NsgAddress {
    /// All.
    Any,
    /// Those of a prefix.
    Prefix(Ipv4Net),
    /// Those of a service tag.
    Tag(ServiceTag),
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, not below the first.
    pub last: u16,
}

impl PortRange {
    /// Every port.
    pub const ANY: PortRange = PortRange { first: 0, last: u16::MAX };
}

/// One rule. A packet matches when each of the four sets holds it; no set is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NsgRule {
    /// Its name, unique in the group.
    pub name: String,
    /// Lower is first; unique in the group for each direction.
    pub priority: u16,
    /// Which way it looks.
    pub direction: NsgDirection,
    /// What it decides.
    pub access: Access,
    /// Which protocol.
    pub protocol: NsgProtocol,
    /// Source addresses.
    pub sources: Vec<NsgAddress>,
    /// Source ports.
    pub source_ports: Vec<PortRange>,
    /// Destination addresses.
    pub destinations: Vec<NsgAddress>,
    /// Destination ports.
    pub destination_ports: Vec<PortRange>,
}

/// A network security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nsg {
    /// Its name.
    pub name: NsgName,
    /// Its own rules, in the order of the file.
    pub rules: Vec<NsgRule>,
}

impl Nsg {
    /// All rules of a direction in the order of evaluation, the service's defaults last; the last
    /// one matches everything.
    pub fn evaluation(&self, direction: NsgDirection) -> Vec<NsgRule> {
        let mut rules: Vec<NsgRule> =
            self.rules.iter().filter(|rule| rule.direction == direction).cloned().collect();
        rules.sort_by_key(|rule| rule.priority);
        rules.extend(default_rules(direction));
        rules
    }
}

/// The rules that end every group.
pub fn default_rules(direction: NsgDirection) -> [NsgRule; 3] {
    use NsgAddress::{Any, Tag};
    use ServiceTag::{AzureLoadBalancer, Internet, VirtualNetwork};
    let rule = |name: &str, priority, access, source, destination| NsgRule {
        name: name.to_owned(),
        priority,
        direction,
        access,
        protocol: NsgProtocol::Any,
        sources: vec![source],
        source_ports: vec![PortRange::ANY],
        destinations: vec![destination],
        destination_ports: vec![PortRange::ANY],
    };
    let vnet = Tag(VirtualNetwork);
    match direction {
        NsgDirection::Inbound => [
            rule("AllowVnetInBound", 65_000, Access::Allow, vnet, vnet),
            rule(
                "AllowAzureLoadBalancerInBound",
                65_001,
                Access::Allow,
                Tag(AzureLoadBalancer),
                Any,
            ),
            rule("DenyAllInBound", 65_500, Access::Deny, Any, Any),
        ],
        NsgDirection::Outbound => [
            rule("AllowVnetOutBound", 65_000, Access::Allow, vnet, vnet),
            rule("AllowInternetOutBound", 65_001, Access::Allow, Any, Tag(Internet)),
            rule("DenyAllOutBound", 65_500, Access::Deny, Any, Any),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_evaluated_by_priority_and_end_with_the_defaults() {
        let mut late = default_rules(NsgDirection::Inbound)[2].clone();
        late.priority = 200;
        let mut early = late.clone();
        early.priority = 100;
        let mut outbound = late.clone();
        outbound.direction = NsgDirection::Outbound;
        let nsg = Nsg { name: NsgName::new("n").unwrap(), rules: vec![late, outbound, early] };
        let order: Vec<u16> =
            nsg.evaluation(NsgDirection::Inbound).iter().map(|rule| rule.priority).collect();
        assert_eq!(order, [100, 200, 65_000, 65_001, 65_500]);
    }
}
