//! A naive NAT beside the real one: ordered maps, everything that has ended removed before every
//! step.
//!
//! The model does not foretell which free port is taken; it checks that the one that was taken is
//! free and may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use thruway::frame::DropReason;
use thruway::ids::ShardId;
use thruway::nat::{Bindings, Endpoint, Filtering, NatConfig, Pooling, Proto, Side, tcp_state};
use thruway::time::{Now, Span};
use thruway::wire::tcp::flag::{RST, SYN};

#[derive(Clone, Debug)]
struct ModelSession {
    deadline: Now,
    tcp: tcp_state::TcpState,
    spoke: bool,
}

#[derive(Clone, Debug)]
struct ModelMapping {
    outside: Endpoint,
    fixed: bool,
    rests_until: Now,
    sessions: BTreeMap<Endpoint, ModelSession>,
}

/// What the model expects of a packet that passes.
#[derive(Debug, PartialEq)]
pub(crate) enum Expected {
    /// The local end becomes this.
    Known(Endpoint),
    /// A new mapping: any free outside endpoint, on this pool address if the host has one.
    Fresh(Option<u32>),
}

/// The shard of a NAT, as ordered maps.
pub(crate) struct Model {
    config: NatConfig,
    rules: Arc<Bindings>,
    shard: ShardId,
    mappings: BTreeMap<(Proto, Endpoint), ModelMapping>,
    /// The address of each host that has one.
    paired: BTreeMap<u32, u32>,
}

/// A session as both sides list it: protocol, inside, outside, remote, deadline.
pub(crate) type Listed = (Proto, Endpoint, Endpoint, Endpoint, Now);

impl Model {
    /// A shard that has seen nothing.
    pub(crate) fn new(config: NatConfig, rules: Arc<Bindings>, shard: ShardId) -> Self {
        Self { config, rules, shard, mappings: BTreeMap::new(), paired: BTreeMap::new() }
    }

    /// The sessions that live at `now`, in order.
    pub(crate) fn listed(&self, now: Now) -> Vec<Listed> {
        let mut all = Vec::new();
        for ((proto, inside), mapping) in &self.mappings {
            let living = mapping.sessions.iter().filter(|(_, s)| s.deadline > now);
            all.extend(living.map(|(r, s)| (*proto, *inside, mapping.outside, *r, s.deadline)));
        }
        all
    }

    /// Whether a mapping has a session.
    pub(crate) fn is_alive(&self, key: (Proto, Endpoint)) -> bool {
        self.mappings.get(&key).is_some_and(|mapping| !mapping.sessions.is_empty())
    }

    pub(crate) fn purge(&mut self, now: Now) {
        let quarantine = self.config.timeouts.quarantine;
        for ((proto, _), mapping) in &mut self.mappings {
            for session in mapping.sessions.values().filter(|s| s.deadline <= now) {
                use tcp_state::TcpState::{BothFin, Transitory};
                let closed = *proto == Proto::Tcp && [BothFin, Transitory].contains(&session.tcp);
                let rest = if mapping.fixed || closed { Span::ZERO } else { quarantine };
                mapping.rests_until = mapping.rests_until.max(session.deadline + rest);
            }
            mapping.sessions.retain(|_, s| s.deadline > now);
        }
        self.mappings.retain(|_, m| !m.sessions.is_empty() || m.rests_until > now);
        let mappings = &self.mappings;
        self.paired.retain(|host, _| mappings.keys().any(|(_, inside)| inside.ip == *host));
    }

    fn sessions(&self) -> usize {
        self.mappings.values().map(|m| m.sessions.len()).sum()
    }

    fn host_sessions(&self, host: u32) -> usize {
        let of_host = self.mappings.iter().filter(|((_, e), _)| e.ip == host);
        of_host.map(|(_, m)| m.sessions.len()).sum()
    }

    pub(crate) fn by_outside(&self, proto: Proto, outside: Endpoint) -> Option<(Proto, Endpoint)> {
        let mut found =
            self.mappings.iter().filter(|((p, _), m)| *p == proto && m.outside == outside);
        let key = found.next().map(|(key, _)| *key);
        assert!(found.next().is_none(), "two mappings on one outside endpoint");
        key
    }

    pub(crate) fn is_usable(&self, proto: Proto, outside: Endpoint) -> bool {
        let range = self.config.ports;
        let pool = self.rules.pool().addresses();
        let Some(place) = pool.iter().position(|ip| *ip == outside.ip) else { return false };
        // 64 slices an address, and as many of them a shard as there are addresses.
        let slice = place * 64 + usize::from(outside.port / 2 % 64);
        slice / pool.len() == self.shard.index()
            && (range.first..=range.last).contains(&outside.port)
            && self.rules.fixed_inside(proto, outside).is_none()
            && self.by_outside(proto, outside).is_none()
    }

    fn has_free_port(&self, proto: Proto, address: u32) -> bool {
        let range = self.config.ports;
        (range.first..=range.last).any(|p| self.is_usable(proto, Endpoint::new(address, p)))
    }

    /// Moves a session on, or says that there is none.
    fn advance(
        &mut self,
        key: (Proto, Endpoint),
        remote: Endpoint,
        side: Side,
        flags: u8,
        now: Now,
    ) -> bool {
        let t = self.config.timeouts;
        let mapping = self.mappings.get_mut(&key);
        let Some(session) = mapping.and_then(|m| m.sessions.get_mut(&remote)) else {
            return false;
        };
        session.spoke |= side == Side::In2Out;
        let life = match key.0 {
            Proto::Udp => Some(t.udp),
            Proto::Icmp => Some(t.icmp),
            Proto::Tcp => {
                let (tcp, timer) = tcp_state::step(session.tcp, side, flags);
                session.tcp = tcp;
                match timer {
                    tcp_state::Timer::Keep => None,
                    tcp_state::Timer::Opening => Some(t.tcp_opening),
                    tcp_state::Timer::Established => Some(t.tcp_established),
                    tcp_state::Timer::Closing => Some(t.tcp_closing),
                }
            }
        };
        if let Some(life) = life {
            session.deadline = now + life;
        }
        true
    }

    pub(crate) fn packet(
        &mut self,
        side: Side,
        proto: Proto,
        local: Endpoint,
        remote: Endpoint,
        flags: u8,
        now: Now,
    ) -> Result<Expected, DropReason> {
        let fixed = match side {
            Side::In2Out => self.rules.fixed_outside(proto, local),
            Side::Out2In => self.rules.fixed_inside(proto, local),
        };
        let inside = match side {
            Side::In2Out => Some(local),
            Side::Out2In => fixed.or_else(|| self.by_outside(proto, local).map(|(_, e)| e)),
        };
        if let Some(inside) = inside
            && self.advance((proto, inside), remote, side, flags, now)
        {
            let outside = self.mappings[&(proto, inside)].outside;
            return Ok(Expected::Known(if side == Side::In2Out { outside } else { inside }));
        }
        if proto == Proto::Tcp && (flags & RST != 0 || (fixed.is_none() && flags != SYN)) {
            return Err(DropReason::NatNoSession);
        }
        let inside = inside.ok_or(DropReason::NatNoSession)?;
        let mapping = self.mappings.get(&(proto, inside));
        if side == Side::Out2In && fixed.is_none() {
            let mapping = mapping.filter(|m| !m.sessions.is_empty());
            let mapping = mapping.ok_or(DropReason::NatNoSession)?;
            let spoken = |(r, s): (&Endpoint, &ModelSession)| r.ip == remote.ip && s.spoke;
            let passes = match self.config.filtering {
                Filtering::EndpointIndependent => true,
                Filtering::AddressDependent => mapping.sessions.iter().any(spoken),
                Filtering::AddressAndPortDependent => false,
            };
            if !passes {
                return Err(DropReason::NatFiltered);
            }
        }
        if self.host_sessions(inside.ip) >= self.config.host_sessions as usize {
            return Err(DropReason::NatHostLimit);
        }
        let capacity = self.config.sessions;
        let no_mapping_left = mapping.is_none() && self.mappings.len() >= capacity;
        if self.sessions() >= capacity || no_mapping_left {
            return Err(DropReason::NatTableFull);
        }
        match (mapping, fixed, side) {
            (Some(m), _, Side::In2Out) => Ok(Expected::Known(m.outside)),
            (None, Some(outside), Side::In2Out) => Ok(Expected::Known(outside)),
            (_, _, Side::Out2In) => Ok(Expected::Known(inside)),
            (None, None, Side::In2Out) => {
                let paired = self.paired.get(&inside.ip).copied();
                let own = paired.filter(|&address| self.has_free_port(proto, address));
                let mut pool = self.rules.pool().addresses().iter();
                let may_leave = paired.is_none() || self.config.pooling == Pooling::SoftPaired;
                if own.is_some() {
                    Ok(Expected::Fresh(own))
                } else if may_leave && pool.any(|&address| self.has_free_port(proto, address)) {
                    Ok(Expected::Fresh(None))
                } else {
                    Err(DropReason::NatPoolExhausted)
                }
            }
        }
    }

    /// The session that a packet opened, once the real one has shown its outside endpoint.
    #[expect(clippy::too_many_arguments, reason = "a test's book-keeping")]
    pub(crate) fn opened(
        &mut self,
        side: Side,
        proto: Proto,
        inside: Endpoint,
        outside: Endpoint,
        remote: Endpoint,
        flags: u8,
        now: Now,
    ) {
        let t = self.config.timeouts;
        let life = [t.tcp_opening, t.udp, t.icmp][proto as usize];
        let fixed = self.rules.fixed_outside(proto, inside).is_some();
        let rests_until = Now(0);
        let new = ModelMapping { outside, fixed, rests_until, sessions: BTreeMap::new() };
        if !fixed {
            self.paired.entry(inside.ip).or_insert(outside.ip);
        }
        let mapping = self.mappings.entry((proto, inside)).or_insert(new);
        assert_eq!(mapping.outside, outside);
        let tcp = tcp_state::open(side, flags).unwrap_or_default();
        let session = ModelSession { deadline: now + life, tcp, spoke: side == Side::In2Out };
        mapping.sessions.entry(remote).or_insert(session);
    }
}
