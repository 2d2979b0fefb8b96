//! The provider's side of a circuit: access ports, their hand-over, and NAT for the Microsoft
//! peering.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

use super::{CircuitName, PerLink, PortName, PortRange, ProviderName};
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

/// Who may send to a mapping from outside (RFC 4787 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatFiltering {
    /// Anyone.
    #[default]
    EndpointIndependent,
    /// Addresses that the inside has sent to.
    AddressDependent,
    /// Addresses and ports that the inside has sent to.
    AddressAndPortDependent,
}

/// Whether an inside address keeps to one pool address (RFC 4787 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatPooling {
    /// Always; without a free port there, new mappings are refused.
    #[default]
    Paired,
    /// While that has free ports.
    SoftPaired,
}

/// The most addresses of one pool.
pub const MAX_POOL: u32 = 65_536;
/// The least outside ports: every one of 64 shards needs some.
pub const MIN_NAT_PORTS: u16 = 128;
/// The outside ports without others: all but the well-known ones (RFC 6056 3.2).
pub const DEFAULT_NAT_PORTS: PortRange = PortRange { first: 1024, last: 65_535 };
/// The most sessions without a number of their own.
pub const DEFAULT_SESSIONS: u32 = 1_048_576;
/// The fewest and the most sessions of one translator.
pub const SESSIONS: std::ops::RangeInclusive<u32> = 64..=1 << 28;
/// The most sessions of one inside address without a number of their own.
pub const DEFAULT_HOST_SESSIONS: u32 = 4_096;

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
    /// TCP connections before both sides agreed; 4 minutes (RFC 7857 2.1).
    pub tcp_opening: Span,
    /// TCP connections after both sides' end, or a reset; 4 minutes (RFC 7857 2.1).
    pub tcp_closing: Span,
    /// ICMP queries; at least 60 s (RFC 5508 REQ-2).
    pub icmp: Span,
    /// Later fragments that wait for the first.
    pub fragment: Span,
    /// Before a freed outside port is given out again (RFC 6888 REQ-8); not after a TCP connection
    /// whose end was seen.
    pub quarantine: Span,
}

impl Default for NatTimeouts {
    fn default() -> Self {
        Self {
            udp: Span::secs(300),
            tcp_established: Span::secs(7440),
            tcp_opening: Span::secs(240),
            tcp_closing: Span::secs(240),
            icmp: Span::secs(60),
            fragment: Span::secs(30),
            quarantine: Span::secs(120),
        }
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
    /// Outside ports, and ICMP query identifiers, that sessions are given.
    pub ports: PortRange,
    /// Who may send to a mapping.
    pub filtering: NatFiltering,
    /// What an inside address gets whose pool address has no port left.
    pub pooling: NatPooling,
    /// How long sessions live.
    pub timeouts: NatTimeouts,
    /// Whether packets from outside keep a session alive (RFC 4787 REQ-6).
    pub inbound_refresh: bool,
    /// The most sessions in all.
    pub sessions: u32,
    /// The most sessions of one inside address (RFC 6888 REQ-4).
    pub host_sessions: u32,
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
