//! What a port and a tag stack lead to.

use std::sync::Arc;

use crate::ids::{
    AttachmentId, Direction, MeterId, NatId, NsgId, PeeringKind, PolicerId, PortId, VrfId,
};
use crate::wire::eth::MacAddr;
use crate::wire::vlan::TagStack;

/// One place where packets of one kind come in and go out.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// For people: `contoso private primary`, `hub workload`, and so on.
    pub name: String,
    /// The port.
    pub port: PortId,
    /// The tags that its frames have.
    pub tags: TagStack,
    /// Largest IP packet that it carries, in bytes.
    pub mtu: u16,
    /// The bytes counters of its circuit, peering and link.
    pub meter: Option<MeterId>,
    /// What happens to packets here.
    pub role: Role,
}

/// What happens to packets of an attachment.
#[derive(Clone, Debug)]
pub enum Role {
    /// Provider edge, the customer's side or the link's side.
    CrossConnect(CrossConnect),
    /// An edge router's side of a peering on a link.
    Peering(PeeringSide),
    /// A subnet of a virtual network.
    Subnet(SubnetSide),
    /// A public service behind Microsoft peering.
    Service(ServiceSide),
    /// A peering that is disabled, or whose circuit is not provisioned: takes nothing.
    Closed,
}

/// One end of a provider's layer-2 cross-connect.
#[derive(Clone, Debug)]
pub struct CrossConnect {
    /// Where its frames go out.
    pub out: AttachmentId,
    /// Direction of the frames that come in here.
    pub direction: Direction,
    /// Bandwidth of the link in that direction.
    pub police: Option<PolicerId>,
    /// NAT of a Microsoft peering.
    pub nat: Option<NatId>,
    /// The peering's own subnets as (address, mask): BGP, BFD and ping pass NAT untouched.
    pub own_subnets: [(u32, u32); 2],
}

/// An edge router's side of a peering on a link.
#[derive(Clone, Debug)]
pub struct PeeringSide {
    /// Which routing domain.
    pub kind: PeeringKind,
    /// Where packets from on-premises are looked up.
    pub vrf: VrfId,
    /// The edge's MAC address on this link.
    pub mac: MacAddr,
    /// The edge's address: second usable of the link's subnet.
    pub address: u32,
    /// Bandwidth towards Azure.
    pub police_in: Option<PolicerId>,
    /// Bandwidth towards on-premises.
    pub police_out: Option<PolicerId>,
    /// Microsoft peering: the advertised public prefixes, sources from which are taken.
    pub sources: Option<Arc<Vec<(u32, u32)>>>,
    /// Whether any gateway or NSG keeps flows of packets that come in here.
    pub stateful: bool,
}

/// A subnet of a virtual network.
#[derive(Clone, Debug)]
pub struct SubnetSide {
    /// Where packets of its VMs are looked up.
    pub vrf: VrfId,
    /// MAC address of the VNet's router.
    pub mac: MacAddr,
    /// Its address: first usable of the subnet.
    pub address: u32,
    /// Rules for what its VMs send and get.
    pub nsg: Option<NsgId>,
    /// Number of the VNet, the domain of its flows.
    pub vnet: u16,
}

/// A public service behind Microsoft peering.
#[derive(Clone, Debug)]
pub struct ServiceSide {
    /// Where its answers are looked up: prefixes that on-premises advertised.
    pub vrf: VrfId,
    /// MAC address of its router.
    pub mac: MacAddr,
    /// Its router's address.
    pub address: u32,
}

impl Attachment {
    /// The MAC address and address that thruway has here; none at layer 2.
    pub fn own(&self) -> Option<(MacAddr, u32)> {
        match &self.role {
            Role::CrossConnect(_) | Role::Closed => None,
            Role::Peering(side) => Some((side.mac, side.address)),
            Role::Subnet(side) => Some((side.mac, side.address)),
            Role::Service(side) => Some((side.mac, side.address)),
        }
    }
}
