//! What is kept about a translation: hosts, their mappings, and sessions below each mapping.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::tcp_state::TcpState;
use crate::frame::{Flags, Row};
use crate::time::{Now, Span};
use crate::wire::proto;

/// The end of a list; no entry has this number.
pub(super) const NIL: u32 = u32::MAX;

/// Which way a packet crosses the NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// From inside to outside: its source changes.
    In2Out,
    /// From outside to inside: its destination changes.
    Out2In,
}

/// A protocol that has ports, or an identifier in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP queries; the identifier stands for both ports.
    Icmp,
}

impl Proto {
    /// The protocol of an IP protocol number.
    #[inline(always)]
    pub const fn of(number: u8) -> Option<Proto> {
        match number {
            proto::TCP => Some(Proto::Tcp),
            proto::UDP => Some(Proto::Udp),
            proto::ICMP => Some(Proto::Icmp),
            _ => None,
        }
    }

    /// The IP protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Proto::Tcp => proto::TCP,
            Proto::Udp => proto::UDP,
            Proto::Icmp => proto::ICMP,
        }
    }

    /// How many there are.
    pub(super) const COUNT: usize = 3;

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Icmp => "icmp",
        })
    }
}

/// An address and a port (or ICMP query identifier), in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// IPv4 address.
    pub ip: u32,
    /// Port or identifier.
    pub port: u16,
}

impl Endpoint {
    /// The endpoint of `ip` and `port`.
    pub const fn new(ip: u32, port: u16) -> Self {
        Self { ip, port }
    }

    /// Endpoint and protocol in one number, for keys.
    #[inline(always)]
    pub(super) const fn pack(self, proto: Proto) -> u64 {
        (proto as u64) << 48 | (self.ip as u64) << 16 | self.port as u64
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(socket: SocketAddrV4) -> Self {
        Self { ip: socket.ip().to_bits(), port: socket.port() }
    }
}

impl From<Endpoint> for SocketAddrV4 {
    fn from(endpoint: Endpoint) -> Self {
        SocketAddrV4::new(Ipv4Addr::from_bits(endpoint.ip), endpoint.port)
    }
}

/// What a packet of a session carries: the local end (inside or outside, by side) and the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    pub(super) side: Side,
    pub(super) proto: Proto,
    pub(super) local: Endpoint,
    pub(super) remote: Endpoint,
}

impl FlowKey {
    /// The key of a TCP or UDP packet with these ends.
    #[inline(always)]
    pub const fn between(side: Side, proto: Proto, src: Endpoint, dst: Endpoint) -> Self {
        match side {
            Side::In2Out => Self { side, proto, local: src, remote: dst },
            Side::Out2In => Self { side, proto, local: dst, remote: src },
        }
    }

    /// The key of a packet that has ports; `None` for one that has none.
    #[inline(always)]
    pub fn of(side: Side, row: &Row) -> Option<Self> {
        if !row.flags.has(Flags::L4) {
            return None;
        }
        let proto = Proto::of(row.proto)?;
        let (src, dst) = (Endpoint::new(row.src, row.sport), Endpoint::new(row.dst, row.dport));
        let (local, mut remote) = match side {
            Side::In2Out => (src, dst),
            Side::Out2In => (dst, src),
        };
        if proto == Proto::Icmp {
            // One identifier names both ends; the remote has none of its own.
            remote.port = 0;
        }
        Some(Self { side, proto, local, remote })
    }
}

/// One translation towards one remote endpoint: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Session {
    /// When it ends unless a packet comes before.
    pub(super) deadline: Now,
    pub(super) inside_ip: u32,
    pub(super) outside_ip: u32,
    pub(super) remote_ip: u32,
    pub(super) inside_port: u16,
    pub(super) outside_port: u16,
    pub(super) remote_port: u16,
    pub(super) proto: Proto,
    /// Meaningless unless TCP.
    pub(super) tcp: TcpState,
    /// The mapping it belongs to, and its neighbours in that mapping's list.
    pub(super) mapping: u32,
    pub(super) next: u32,
    pub(super) prev: u32,
    /// The remote end is one of the NAT's own outside addresses.
    pub(super) hairpin: bool,
    /// The inside has sent on this session: it is a permission for filtering.
    pub(super) spoke: bool,
    /// When it was opened.
    pub(super) opened: Now,
}

const _: () = assert!(size_of::<Session>() == 64);

impl Session {
    #[inline(always)]
    pub(super) const fn inside(&self) -> Endpoint {
        Endpoint::new(self.inside_ip, self.inside_port)
    }

    #[inline(always)]
    pub(super) const fn outside(&self) -> Endpoint {
        Endpoint::new(self.outside_ip, self.outside_port)
    }

    /// What the local end of a packet becomes.
    #[inline(always)]
    pub(super) const fn other_end(&self, side: Side) -> Endpoint {
        match side {
            Side::In2Out => self.outside(),
            Side::Out2In => self.inside(),
        }
    }

    #[inline(always)]
    pub(super) const fn remote(&self) -> Endpoint {
        Endpoint::new(self.remote_ip, self.remote_port)
    }

    #[inline(always)]
    pub(super) const fn key(&self, side: Side) -> FlowKey {
        let local = match side {
            Side::In2Out => self.inside(),
            Side::Out2In => self.outside(),
        };
        FlowKey { side, proto: self.proto, local, remote: self.remote() }
    }
}

/// An inside endpoint and the outside endpoint that everybody knows it by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    pub(super) inside: Endpoint,
    pub(super) outside: Endpoint,
    pub(super) proto: Proto,
    /// From the configuration: its port is nobody else's, so it needs no quarantine.
    pub(super) fixed: bool,
    /// Once it has no sessions: when its port is anybody's again.
    pub(super) rests_until: Now,
    pub(super) sessions: u32,
    pub(super) host: u32,
    pub(super) next: u32,
    pub(super) prev: u32,
}

impl Mapping {
    /// The endpoint that a side's packets of this mapping have as their local end.
    pub(super) const fn end(&self, side: Side) -> Endpoint {
        match side {
            Side::In2Out => self.inside,
            Side::Out2In => self.outside,
        }
    }

    /// Notes that one of its sessions is over. Its port rests for the quarantine (RFC 6888 REQ-8),
    /// but not after a TCP connection whose end was seen: its closing time is over (REQ-8a).
    pub(super) fn note_end(&mut self, session: &Session, quarantine: Span) {
        let closed = self.proto == Proto::Tcp && session.tcp.is_over();
        let rest = if self.fixed || closed { Span::ZERO } else { quarantine };
        self.rests_until = self.rests_until.max(session.deadline + rest);
    }
}

/// An inside address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) ip: u32,
    /// The share of its shard, and so the pool address, that it is paired with; [`NIL`] until it
    /// needs one.
    pub(super) share: u32,
    pub(super) mappings: u32,
    /// Sessions that exist, ended ones that nobody has removed yet included.
    pub(super) sessions: u32,
    /// No session of this host can end before.
    pub(super) full_until: Now,
    /// Until then one of its mappings is there, as far as the workers' clocks agree.
    pub(super) stays_until: Now,
}

/// One session, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Protocol.
    pub proto: Proto,
    /// The host's own address and port.
    pub inside: SocketAddrV4,
    /// What others know it by.
    pub outside: SocketAddrV4,
    /// The other end; port 0 for ICMP.
    pub remote: SocketAddrV4,
    /// The TCP state; `None` for other protocols.
    pub tcp: Option<TcpState>,
    /// When it was opened.
    pub opened: Now,
    /// When it ends unless a packet comes before.
    pub deadline: Now,
}
