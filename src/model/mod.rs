//! What the product knows: circuits, peerings, virtual networks and what joins them, as values.
//!
//! A [`Model`] that [`crate::config`] returns keeps every rule that forwarding depends on: names
//! resolve, numbers are in range, what must not overlap does not. Vectors keep the order of the
//! file, so that everything made from a model is the same for the same text. Nothing here reads a
//! file, knows a span or forwards a packet.

mod address;
mod bandwidth;
mod circuit;
mod connection;
mod fastpath;
mod gateway;
pub mod limits;
mod name;
mod nsg;
mod peering;
mod port;
mod provider;
mod role;
mod service;
mod vnet;

pub use address::{covered, documentation, is_public, not_public, overlap};
pub use bandwidth::{BadBandwidth, Bandwidth, DirectSpeed};
pub use circuit::{
    Accounting, BadServiceKey, Billing, Burst, Circuit, CircuitSku, CircuitState, DEFAULT_BURST,
    Direct, Encapsulation, MIN_BURST_BYTES, PerLink, PolicerScope, Policing, ProviderState,
    ServiceKey, VlanId,
};
pub use connection::{Connection, ServiceEndpoint, StaticRoute};
pub use fastpath::{Fallback, FallbackReason, FastPathEntry, FastPathPlan};
pub use gateway::{
    BadGatewaySku, GATEWAY_SUBNET, Gateway, GatewayIcmp, GatewaySku, MAX_GATEWAY_SUBNET_LEN,
    MAX_GATEWAY_SUBNET_LEN_16_CIRCUITS, MAX_INSTANCES, MAX_SCALE_UNITS,
};
pub use limits::GatewayLimits;
pub use name::{
    BadName, CircuitName, DirectName, MAX_NAME, NicName, NsgName, PortName, ProviderName,
    ServiceName, SubnetName, VNetName, check_name,
};
pub use nsg::{
    Access as NsgAccess, MAX_PRIORITY, MIN_PRIORITY, Nsg, NsgAddress, NsgDirection, NsgProtocol,
    NsgRule, PortRange, ServiceTag, default_rules,
};
pub use peering::{
    Asn, LinkSubnet, MAX_SHARED_KEY, MicrosoftPeering, Peering, RoutingRegistry, SharedKey,
    Subnets4, Subnets6, halves4, halves6,
};
pub use port::{
    Cable, CapturePace, MAX_IFNAME, MAX_MTU, MIN_MTU, ONE_TAG_MTU, Port, PortKind, TWO_TAG_MTU,
    XdpMode,
};
pub use provider::{
    Access, DEFAULT_HOST_SESSIONS, DEFAULT_NAT_PORTS, DEFAULT_SESSIONS, ForwardProtocol, MAX_POOL,
    MIN_NAT_PORTS, Nat, NatFiltering, NatPooling, NatTimeouts, PortForward, Provider, SESSIONS,
    StaticBinding,
};
pub use role::{BadRole, Role, SplitCable};
pub use service::{Api, Edition, Icmp, Service, Workers};
pub use vnet::{MAX_SUBNET_LEN, Nic, Subnet, Udr, UdrNextHop, VNet, VNetPeering};

/// All that a configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Rules of the service as a whole.
    pub service: Service,
    /// How workers run.
    pub workers: Workers,
    /// The HTTP interface.
    pub api: Api,
    /// The ICMP errors that thruway originates.
    pub icmp: Icmp,
    /// Ports.
    pub ports: Vec<Port>,
    /// Cables between two ports in memory.
    pub cables: Vec<Cable>,
    /// Port pairs of ExpressRoute Direct.
    pub directs: Vec<Direct>,
    /// Circuits, with Microsoft's side of their links.
    pub circuits: Vec<Circuit>,
    /// Providers' sides of circuits.
    pub providers: Vec<Provider>,
    /// Virtual networks.
    pub vnets: Vec<VNet>,
    /// Peerings between virtual networks.
    pub vnet_peerings: Vec<VNetPeering>,
    /// Network security groups.
    pub nsgs: Vec<Nsg>,
    /// Circuits joined to gateways.
    pub connections: Vec<Connection>,
    /// Public services.
    pub services: Vec<ServiceEndpoint>,
    /// Prefixes of on-premises.
    pub routes: Vec<StaticRoute>,
}

macro_rules! lookups {
    ($($(#[$doc:meta])* $function:ident, $field:ident, $name:ty => $item:ty;)*) => {
        impl Model {$(
            $(#[$doc])*
            pub fn $function(&self, name: &$name) -> Option<&$item> {
                self.$field.iter().find(|item| item.name == *name)
            }
        )*}
    };
}

lookups! {
    /// The port of this name.
    port, ports, PortName => Port;
    /// The port pair of this name.
    direct, directs, DirectName => Direct;
    /// The circuit of this name.
    circuit, circuits, CircuitName => Circuit;
    /// The virtual network of this name.
    vnet, vnets, VNetName => VNet;
    /// The network security group of this name.
    nsg, nsgs, NsgName => Nsg;
}

impl Model {
    /// The connections of a virtual network, in the order of the file.
    pub fn connections_of(&self, vnet: &VNetName) -> impl Iterator<Item = &Connection> {
        self.connections.iter().filter(move |connection| connection.vnet == *vnet)
    }

    /// The virtual networks that `vnet` is peered with, and the peering.
    pub fn peered(&self, vnet: &VNetName) -> impl Iterator<Item = (&VNet, &VNetPeering)> {
        self.vnet_peerings.iter().filter_map(move |peering| {
            let other = self.vnet(peering.other(vnet)?)?;
            Some((other, peering))
        })
    }

    /// The virtual network whose gateway `vnet` uses: its own, or that of the hub that lends it.
    pub fn gateway_vnet(&self, vnet: &VNetName) -> Option<&VNet> {
        let own = self.vnet(vnet)?;
        if own.gateway.is_some() {
            return Some(own);
        }
        self.vnet_peerings
            .iter()
            .find(|peering| peering.b == *vnet && peering.gateway_transit())
            .and_then(|peering| self.vnet(&peering.a))
            .filter(|hub| hub.gateway.is_some())
    }
}
