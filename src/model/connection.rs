//! Connections, services and static routes: what leads from a circuit to where.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{CircuitName, PortName, ServiceName, VNetName};
use crate::ids::{Link, PeeringKind};

/// A circuit joined to the gateway of a virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The circuit; it has a private peering.
    pub circuit: CircuitName,
    /// The virtual network; it has a gateway.
    pub vnet: VNetName,
    /// Preference towards on-premises, 0 to 32,000; the highest wins.
    pub weight: u16,
    /// Whether traffic towards the virtual network bypasses the gateway where it may.
    pub fastpath: bool,
}

/// Public services behind the Microsoft peerings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// Its name.
    pub name: ServiceName,
    /// Its public addresses.
    pub prefix: Ipv4Net,
    /// The address that thruway has on the port, in the prefix.
    pub router: Ipv4Addr,
    /// The port that the services are behind.
    pub port: PortName,
}

/// Prefixes of on-premises, where BGP does not speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// The circuit it is reached over.
    pub circuit: CircuitName,
    /// The peering it is reached over.
    pub peering: PeeringKind,
    /// What it covers: one prefix or more.
    pub prefixes: Vec<Ipv4Net>,
    /// The links that carry it: one, or `None` for both.
    pub link: Option<Link>,
    /// Length of the AS path it stands for, 1 to 255; the shortest wins at equal weight.
    pub as_path_len: u8,
}
