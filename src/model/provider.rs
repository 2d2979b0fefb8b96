//! The provider's side of a circuit: access ports, their hand-over, and NAT for the Microsoft
//! peering.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

use super::{CircuitName, PerLink, PortName, ProviderName};
use crate::ids::PeeringKind;
use crate::time::Span;
use crate::wire::vlan::TagStack;

/// Where a peering is handed over to the customer on one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The port towards the customer.
    pub port: PortName,
    /// How frames are tagged there.
    pub tags: TagStack,
}

/// The provider's side of one circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// The circuit it provides.
    pub circuit: CircuitName,
    /// Ports towards Microsoft's edges.
    pub links: PerLink<PortName>,
    /// Hand-over of the private peering; a link may have none.
    pub private: Option<PerLink<Option<Access>>>,
    /// Hand-over of the Microsoft peering; a link may have none.
    pub microsoft: Option<PerLink<Option<Access>>>,
    /// Address translation for the Microsoft peering.
    pub nat: Option<Nat>,
}

impl Provider {
    /// The hand-over of this peering.
    pub const fn access(&self, kind: PeeringKind) -> Option<&PerLink<Option<Access>>> {
        match kind {
            PeeringKind::Private => self.private.as_ref(),
            PeeringKind::Microsoft => self.microsoft.as_ref(),
        }
    }
}

/// Which destinations share a mapping (RFC 4787 4.1, RFC 7857 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatMapping {
    /// All: one outside port for each inside address and port.
    #[default]
    EndpointIndependent,
    /// One each: an outside port serves several destinations.
    EndpointDependent,
}

/// Who may send to a mapping from outside (RFC 4787 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatFiltering {
    /// Anyone.
    EndpointIndependent,
    /// Addresses that the inside has sent to.
    #[default]
    AddressDependent,
    /// Addresses and ports that the inside has sent to.
    AddressAndPortDependent,
}

/// A one-to-one binding of addresses, in both directions and on all ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticBinding {
    /// The inside address.
    pub inside: Ipv4Addr,
    /// The outside address, in the pool's prefixes or in advertised ones.
    pub outside: Ipv4Addr,
}

/// A protocol whose ports can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port that is forwarded from outside to inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// The protocol.
    pub protocol: ForwardProtocol,
    /// Address and port outside.
    pub outside: SocketAddrV4,
    /// Address and port inside.
    pub inside: SocketAddrV4,
}

/// How long sessions live without traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatTimeouts {
    /// UDP mappings; at least 2 minutes (RFC 4787 REQ-5).
    pub udp: Span,
    /// Established TCP connections; at least 2 h 4 min (RFC 5382 REQ-5).
    pub tcp_established: Span,
    /// Opening and closing TCP connections; 4 minutes, or less by configuration (RFC 7857 2.1).
    pub tcp_transitory: Span,
    /// ICMP queries; at least 60 s (RFC 5508 REQ-2).
    pub icmp: Span,
    /// Before a freed outside port is given out again (RFC 6888 REQ-8).
    pub port_quarantine: Span,
}

impl Default for NatTimeouts {
    fn default() -> Self {
        Self {
            udp: Span::secs(300),
            tcp_established: Span::secs(7440),
            tcp_transitory: Span::secs(240),
            icmp: Span::secs(60),
            port_quarantine: Span::secs(120),
        }
    }
}

/// How much one NAT, and one host behind it, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatLimits {
    /// Sessions in all.
    pub sessions: u32,
    /// Sessions of one inside address; `None` sets no limit (RFC 6888 REQ-4).
    pub sessions_per_host: Option<u32>,
}

impl Default for NatLimits {
    fn default() -> Self {
        Self { sessions: 1_048_576, sessions_per_host: None }
    }
}

/// The translation between a customer's addresses and public ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Sources that are translated.
    pub inside: Vec<Ipv4Net>,
    /// Public addresses that they are translated to; no two overlap.
    pub pool: Vec<Ipv4Net>,
    /// One-to-one bindings.
    pub statics: Vec<StaticBinding>,
    /// Forwarded ports.
    pub forwards: Vec<PortForward>,
    /// Which destinations share a mapping.
    pub mapping: NatMapping,
    /// Who may send to a mapping.
    pub filtering: NatFiltering,
    /// How long sessions live.
    pub timeouts: NatTimeouts,
    /// How many there may be.
    pub limits: NatLimits,
    /// Source of the ICMP errors that the translator originates.
    pub icmp_source: Ipv4Addr,
}

impl Nat {
    /// Prefixes whose packets from outside the translator looks at: the pool, and what static
    /// bindings and forwarded ports have outside it.
    pub fn outside(&self) -> Vec<Ipv4Net> {
        let mut prefixes = self.pool.clone();
        let bound = self.statics.iter().map(|binding| binding.outside);
        for address in bound.chain(self.forwards.iter().map(|forward| *forward.outside.ip())) {
            if !prefixes.iter().any(|prefix| prefix.contains(&address)) {
                prefixes.push(Ipv4Net::from(address));
            }
        }
        prefixes
    }
}
