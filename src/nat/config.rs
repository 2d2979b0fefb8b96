//! What the operator asks of one provider's NAT44, in plain values.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::binding::Bindings;
use super::session::Proto;
use crate::time::Span;

/// Most addresses of one pool.
pub const MAX_POOL: usize = 65_536;
/// Most sessions of one shard; identifiers and hash tags share 32 bits.
pub const MAX_SESSIONS: usize = 1 << 22;

/// The NAT44 of one provider circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// Prefixes whose sources are translated.
    pub inside: Vec<Ipv4Net>,
    /// Outside addresses for dynamic mappings: every address of each prefix, in order.
    pub pool: Vec<Ipv4Net>,
    /// One-to-one bindings of whole addresses.
    pub statics: Vec<StaticBinding>,
    /// Bindings of single outside ports.
    pub forwards: Vec<PortForward>,
    /// Ports and ICMP query identifiers that dynamic mappings use.
    pub ports: PortRange,
    /// How long sessions live without traffic.
    pub timeouts: Timeouts,
    /// Who may answer to a dynamic mapping.
    pub filtering: Filtering,
    /// What a host gets whose pool address has no port left.
    pub pooling: Pooling,
    /// Whether packets from outside keep a UDP or ICMP session alive (RFC 4787 REQ-6b: MAY).
    pub inbound_refresh: bool,
    /// Sessions, and mappings, that each of the 64 shards has room for.
    pub sessions: usize,
    /// Sessions that one inside address may have; it may always have one.
    pub host_sessions: u32,
}

impl Default for NatConfig {
    fn default() -> Self {
        Self {
            inside: Vec::new(),
            pool: Vec::new(),
            statics: Vec::new(),
            forwards: Vec::new(),
            ports: PortRange::default(),
            timeouts: Timeouts::default(),
            filtering: Filtering::default(),
            pooling: Pooling::default(),
            inbound_refresh: true,
            sessions: 16_384,
            host_sessions: 4_096,
        }
    }
}

/// One inside address that has one outside address to itself, for every protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticBinding {
    /// The address that the host has.
    pub inside: Ipv4Addr,
    /// The address that others know it by.
    pub outside: Ipv4Addr,
}

/// One outside port that leads to one inside port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// TCP or UDP.
    pub proto: Proto,
    /// What others connect to.
    pub outside: SocketAddrV4,
    /// Where the server listens.
    pub inside: SocketAddrV4,
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
}

impl Default for PortRange {
    /// All but the well-known ports (RFC 6056 3.2).
    fn default() -> Self {
        Self { first: 1024, last: 65535 }
    }
}

/// How long sessions live without traffic that refreshes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// UDP; RFC 4787 REQ-5 asks for at least 2 minutes and recommends 5.
    pub udp: Span,
    /// TCP with both sides' consent; RFC 5382 REQ-5 asks for at least 2 h 4 min.
    pub tcp_established: Span,
    /// TCP before that; RFC 5382 REQ-5 and RFC 7857 2.1: 4 min by default.
    pub tcp_opening: Span,
    /// TCP after both sides' FIN, or after RST; RFC 7857 2.1 and 2.2: 4 min by default.
    pub tcp_closing: Span,
    /// ICMP queries; RFC 5508 REQ-2 asks for at least 60 s.
    pub icmp: Span,
    /// Later fragments without a first one; RFC 1122 3.3.2 lets a host wait 60 s, 30 is common.
    pub fragment: Span,
    /// How long the port of a mapping that ended stays unused by others; RFC 6888 REQ-8: 120 s,
    /// and none after a TCP connection whose end was seen (REQ-8a).
    pub quarantine: Span,
}

impl Default for Timeouts {
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

impl Timeouts {
    /// The shortest life that any packet can give a session.
    pub(super) fn shortest(&self) -> Span {
        [self.udp, self.tcp_established, self.tcp_opening, self.tcp_closing, self.icmp]
            .into_iter()
            .min()
            .unwrap_or(Span::ZERO)
    }
}

/// Which remote endpoints reach a dynamic mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Any (RFC 7857 section 4: the default).
    #[default]
    EndpointIndependent,
    /// Those at an address that the inside host has talked to.
    AddressDependent,
    /// Those at an address and port that the inside host has talked to.
    AddressAndPortDependent,
}

/// Whether an inside host keeps to one pool address (RFC 4787 section 4.1, "IP address pooling").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Always: when that has no port left, a new mapping is refused (RFC 6888 REQ-2 makes this the
    /// default, RFC 7857 section 4 asks for it).
    #[default]
    Paired,
    /// While it has ports; then others of the shard's addresses lend theirs.
    SoftPaired,
}

/// Why a NAT cannot be built as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NatConfigError {
    /// The pool is too large.
    #[error("a pool has at most {MAX_POOL} addresses, not {0}")]
    PoolTooLarge(usize),
    /// A prefix or address is on both sides.
    #[error("{0} is inside and outside at once")]
    BothSides(Ipv4Addr),
    /// Two bindings use one inside address or port.
    #[error("two bindings have the inside {0}")]
    InsideTwice(SocketAddrV4),
    /// Two bindings use one outside address or port.
    #[error("two bindings have the outside {0}")]
    OutsideTwice(SocketAddrV4),
    /// A port forward of a protocol that has no ports, or of port 0.
    #[error("a port forward is for TCP or UDP and a port from 1 to 65535, not {0} {1}")]
    NoPort(Proto, SocketAddrV4),
    /// The port range is empty, or so small that some shards have no port.
    #[error("ports {0} to {1} are too few: every one of 64 shards needs some, so take 128 or more")]
    TooFewPorts(u16, u16),
    /// A timeout is too short to mean anything.
    #[error("timeouts are at least one second")]
    TimeoutTooShort,
    /// The session capacity is nothing, or beyond what identifiers can name.
    #[error("a shard has 1 to {MAX_SESSIONS} sessions, not {0}")]
    BadCapacity(usize),
}

impl NatConfig {
    /// Checks the configuration and turns it into what shards read.
    ///
    /// # Errors
    /// Names the first thing that cannot be.
    pub fn compile(&self) -> Result<Arc<Bindings>, NatConfigError> {
        Bindings::compile(self).map(Arc::new)
    }
}
