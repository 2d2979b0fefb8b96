//! Who is where? Addresses, MAC addresses and tags of both sides, the same on every medium.
//!
//! Addresses are RFC 2544's 198.18.0.0/15 wherever the scenario leaves them free; hosts behind the
//! NAT are private, since there may be more of them than that has room for.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{HandOver, Scenario, Way};
use crate::bench::traffic::Layer2;
use crate::ids::PeeringKind;
use crate::wire::eth::MacAddr;
use crate::wire::vlan::TagStack;

/// The lane that enters on-premises' side.
pub const TO_AZURE: usize = 0;
/// The lane that enters Azure's side.
pub const TO_ONPREM: usize = 1;

/// The tester's station on on-premises' side: the customer's router.
pub const ONPREM_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xce, 1]);
/// The tester's station on Azure's side: all VMs, all services, or the edge behind the link.
pub const AZURE_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xfa, 1]);
/// thruway's on the port towards on-premises, where it routes.
pub const ONPREM_PORT_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xb0, 1]);
/// thruway's on the port towards Azure, where it routes.
pub const AZURE_PORT_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xb0, 2]);
/// thruway's on the secondary link, where that carries traffic.
pub const SECONDARY_PORT_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xb0, 4]);
/// thruway's on the edge's end of a link inside the process.
pub const EDGE_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xb0, 3]);

/// The circuit's outer tag.
pub const S_TAG: u16 = 1001;
/// The private peering's tag.
pub const PRIVATE_TAG: u16 = 200;
/// The Microsoft peering's tag.
pub const MICROSOFT_TAG: u16 = 300;

/// Sources on on-premises' side of a private peering: 65,536 of them.
pub const ONPREM_HOSTS: Ipv4Net = net([198, 18, 0, 0], 16);
/// The VNet.
pub const VNET: Ipv4Net = net([198, 19, 0, 0], 16);
/// The VNet's subnet with all VMs.
pub const VMS: Ipv4Net = net([198, 19, 0, 0], 17);
/// The gateway's subnet.
pub const GATEWAY_SUBNET: Ipv4Net = net([198, 19, 255, 0], 27);
/// The first VM: four addresses of a subnet are the service's.
pub const FIRST_VM: u32 = u32::from_be_bytes([198, 19, 0, 4]);
/// Services behind a Microsoft peering.
pub const SERVICES: Ipv4Net = net([198, 19, 0, 0], 16);
/// thruway's address among them.
pub const SERVICE_ROUTER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
/// The first service that is talked to, and how many are.
pub const TALKED_TO: (u32, u32) = (u32::from_be_bytes([198, 19, 1, 0]), 256);
/// Hosts behind the NAT.
pub const INSIDE: Ipv4Net = net([10, 0, 0, 0], 8);
/// The first of them.
pub const FIRST_INSIDE: u32 = u32::from_be_bytes([10, 0, 0, 1]);
/// Where the NAT's pool begins.
const POOL: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// Both links of the private peering; the customer has the first address of each /30.
pub const PRIVATE_SUBNETS: [Ipv4Net; 2] = [net([172, 16, 0, 0], 30), net([172, 16, 0, 4], 30)];
/// Both links of the Microsoft peering.
pub const MICROSOFT_SUBNETS: [Ipv4Net; 2] = [net([203, 0, 113, 0], 30), net([203, 0, 113, 4], 30)];

/// Inside hosts for each address of the pool. An address has ports for 1,024 hosts of 63; but a
/// host keeps its address, and each of 64 shards has its own part of the ports: with so few hosts
/// an address, none is left without a port.
const HOSTS_PER_ADDRESS: u64 = 128;

const fn net([a, b, c, d]: [u8; 4], len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len)
}

/// What a lane's frames look like on both ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// In front of what the tester sends.
    pub enters: Layer2,
    /// The tags of what comes out on the other side.
    pub leaves: TagStack,
}

impl Scenario {
    /// A lane's frames: [`TO_AZURE`] or [`TO_ONPREM`].
    pub fn lane(&self, lane: usize) -> Lane {
        let [onprem, azure] = self.tags();
        // Where thruway routes, frames are for its ports; elsewhere for the station at the far end.
        let (to_azure, to_onprem) = match self.spec.way {
            Way::FastPath | Way::Gateway => (ONPREM_PORT_MAC, AZURE_PORT_MAC),
            Way::Nat | Way::Provider => (AZURE_MAC, ONPREM_MAC),
            Way::Microsoft => (EDGE_MAC, AZURE_PORT_MAC),
        };
        if lane == TO_AZURE {
            let enters = Layer2 { dst: to_azure, src: ONPREM_MAC, tags: onprem };
            Lane { enters, leaves: azure }
        } else {
            Lane { enters: Layer2 { dst: to_onprem, src: AZURE_MAC, tags: azure }, leaves: onprem }
        }
    }

    /// Tags on on-premises' port and on Azure's.
    fn tags(&self) -> [TagStack; 2] {
        match self.spec.way {
            Way::FastPath | Way::Gateway => [self.link_tags(), TagStack::UNTAGGED],
            Way::Nat | Way::Provider => [self.access_tags(), self.link_tags()],
            Way::Microsoft => [self.access_tags(), TagStack::UNTAGGED],
        }
    }

    /// The peering that the way is on.
    pub fn peering(&self) -> PeeringKind {
        if self.spec.way.translates() { PeeringKind::Microsoft } else { PeeringKind::Private }
    }

    pub(super) fn c_tag(&self) -> u16 {
        match self.peering() {
            PeeringKind::Private => PRIVATE_TAG,
            PeeringKind::Microsoft => MICROSOFT_TAG,
        }
    }

    fn link_tags(&self) -> TagStack {
        match self.spec.hand_over {
            HandOver::Untagged => TagStack::UNTAGGED,
            HandOver::Dot1Q => TagStack::single(self.c_tag()),
            HandOver::QinQ => TagStack::double(S_TAG, self.c_tag()),
        }
    }

    pub(super) fn access_tags(&self) -> TagStack {
        match self.spec.hand_over {
            HandOver::Untagged | HandOver::Dot1Q => TagStack::UNTAGGED,
            HandOver::QinQ => TagStack::single(self.c_tag()),
        }
    }

    /// The customer's address on the primary link, which thruway asks for by ARP where it routes
    /// to on-premises.
    pub fn customer(&self) -> Ipv4Addr {
        let [primary, _] = match self.peering() {
            PeeringKind::Private => PRIVATE_SUBNETS,
            PeeringKind::Microsoft => MICROSOFT_SUBNETS,
        };
        Ipv4Addr::from(u32::from(primary.network()) + 1)
    }

    /// The customer's address on the secondary link of the private peering.
    pub fn second_customer() -> Ipv4Addr {
        Ipv4Addr::from(u32::from(PRIVATE_SUBNETS[1].network()) + 1)
    }

    /// The addresses that the NAT gives out.
    pub fn pool(&self) -> Ipv4Net {
        let addresses =
            self.inside_hosts().div_ceil(HOSTS_PER_ADDRESS).next_power_of_two().clamp(8, 65_536);
        let bits = u8::try_from(addresses.trailing_zeros()).expect("16 at most");
        Ipv4Net::new_assert(POOL, 32 - bits)
    }
}
