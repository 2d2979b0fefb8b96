//! May this packet open a session, and with which outside endpoint?
//!
//! The order of the questions, which decides the reason when several hold: can the protocol and
//! this message open one; from outside, is there a mapping and does its filter let the remote in;
//! has the host room; has the shard room; is there a port.

use super::config::Filtering;
use super::rng::below;
use super::session::{Endpoint, FlowKey, NIL, Proto, Session, Side};
use super::shard::Nat44Shard;
use super::state::Presence;
use super::tcp_state::{self, TcpState};
use crate::frame::{DropReason, Row};
use crate::time::Now;
use crate::wire::icmp4::{self, kind};

impl Nat44Shard {
    /// The session that a packet opens; `ended` is one with the same key whose time is over.
    /// `None` when the packet is translated without one.
    #[cold]
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        side: Side,
        key: FlowKey,
        ended: Option<u32>,
        row: &Row,
    ) -> Result<Option<u32>, DropReason> {
        let now = row.arrival;
        if let Some(id) = ended {
            self.state.end(id, now);
        }
        let fixed = match side {
            Side::In2Out => self.rules.fixed_outside(key.proto, key.local),
            Side::Out2In => self.rules.fixed_inside(key.proto, key.local),
        };
        if key.proto == Proto::Icmp && !icmp4::is_query(row.icmp_type) {
            // Messages without an identifier pass where nothing but the address changes.
            return if fixed.is_some() {
                Ok(None)
            } else {
                Err(DropReason::NatUnsupportedProtocol)
            };
        }
        let tcp = first_state(side, key.proto, row, fixed.is_some())?;
        let (mapping, inside, outside) = match (side, fixed) {
            (Side::In2Out, Some(outside)) => (None, key.local, Some(outside)),
            (Side::Out2In, Some(inside)) => (None, inside, Some(key.local)),
            (Side::In2Out, None) => (None, key.local, None),
            (Side::Out2In, None) => {
                let mapping = self.admit(&key, now)?;
                (Some(mapping), self.state.mapping(mapping).inside, None)
            }
        };
        let host = self.state.find_host(inside.ip, now);
        if let Some(host) = host
            && !self.state.host_has_room(host, now)
        {
            return Err(DropReason::NatHostLimit);
        }
        let mapping = mapping.or_else(|| {
            self.state.find_mapping(Side::In2Out, key.proto, inside, now).map(|(id, _)| id)
        });
        if !self.state.has_room(mapping.is_none(), now) {
            return Err(DropReason::NatTableFull);
        }
        let mapping = match (mapping, outside) {
            (Some(mapping), _) => mapping,
            (None, Some(outside)) => {
                self.state.add_mapping(key.proto, inside, outside, None, now)?
            }
            (None, None) => {
                let (pool, outside) = self.allocate(key.proto, inside.ip, now)?;
                self.state.add_mapping(key.proto, inside, outside, Some(pool), now)?
            }
        };
        let outside = self.state.mapping(mapping).outside;
        let session = Session {
            deadline: now + self.rules.first_life(key.proto),
            inside_ip: inside.ip,
            outside_ip: outside.ip,
            remote_ip: key.remote.ip,
            inside_port: inside.port,
            outside_port: outside.port,
            remote_port: key.remote.port,
            proto: key.proto,
            tcp,
            mapping,
            next: NIL,
            prev: NIL,
            hairpin: self.rules.is_outside(key.remote.ip),
            spoke: side == Side::In2Out,
            opened: now,
        };
        self.state.add_session(session, now).map(Some)
    }

    /// The dynamic mapping that a packet from outside may use (RFC 4787 section 5).
    fn admit(&mut self, key: &FlowKey, now: Now) -> Result<u32, DropReason> {
        let found = self.state.find_mapping(Side::Out2In, key.proto, key.local, now);
        let Some((mapping, Presence::Alive(_))) = found else {
            return Err(DropReason::NatNoSession);
        };
        let passes = match self.rules.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.state.has_spoken_to(mapping, key.remote.ip, now),
            // That endpoint would have its session.
            Filtering::AddressAndPortDependent => false,
        };
        if passes { Ok(mapping) } else { Err(DropReason::NatFiltered) }
    }

    /// A free outside endpoint for an inside host: on the pool address that the host has
    /// (RFC 4787 REQ-2, RFC 7857 section 4: a host whose address is full gets no other), or on any
    /// address when it has none yet.
    fn allocate(
        &mut self,
        proto: Proto,
        inside_ip: u32,
        now: Now,
    ) -> Result<(u32, Endpoint), DropReason> {
        let host = self.state.find_host(inside_ip, now);
        let draw = self.draws.draw();
        let (address, port) = (self.draws.draw(), draw);
        let paired = host.map(|id| self.state.host(id).pool).filter(|&pool| pool != NIL);
        if let Some(pool) = paired {
            let outside = self.free_port(proto, pool, port, now);
            return outside.map(|o| (pool, o)).ok_or(DropReason::NatPoolExhausted);
        }
        let n = u32::try_from(self.exhausted_until.len()).unwrap_or(u32::MAX);
        let start = below(upper(address), n);
        (0..n)
            .map(|i| (start + i) % n)
            .find_map(|pool| self.free_port(proto, pool, port, now).map(|o| (pool, o)))
            .ok_or(DropReason::NatPoolExhausted)
    }

    /// A port of a pool address that no mapping holds. When there is none, that cannot change
    /// before the first of them can end, and nobody looks until then.
    fn free_port(&mut self, proto: Proto, pool: u32, draw: u64, now: Now) -> Option<Endpoint> {
        let ip = *self.rules.pool().get(pool as usize)?;
        if now < self.exhausted_until[pool as usize][proto.index()] {
            return None;
        }
        let mut until = now + self.rules.timeouts.shortest();
        for port in self.ports.candidates(draw) {
            let outside = Endpoint::new(ip, port);
            if self.rules.fixed_inside(proto, outside).is_some() {
                continue;
            }
            match self.state.find_mapping(Side::Out2In, proto, outside, now) {
                None | Some((_, Presence::Gone)) => return Some(outside),
                Some((_, Presence::Alive(t) | Presence::Resting(t))) => until = until.min(t),
            }
        }
        self.exhausted_until[pool as usize][proto.index()] = until;
        None
    }
}

const fn upper(draw: u64) -> u32 {
    (draw >> 32) as u32
}

/// The TCP state that a session opened by this packet has; for other protocols it means nothing.
///
/// Where the binding is configured any segment but a RST may open, so that connections live through
/// a restart; a dynamic mapping needs a SYN (RFC 6146 3.5.2.2). An ICMP query goes from inside to
/// outside unless the whole address is bound.
fn first_state(side: Side, proto: Proto, row: &Row, fixed: bool) -> Result<TcpState, DropReason> {
    match proto {
        Proto::Tcp if fixed || tcp_state::is_first(row.tcp_flags) => {
            tcp_state::open(side, row.tcp_flags).ok_or(DropReason::NatNoSession)
        }
        Proto::Tcp => Err(DropReason::NatNoSession),
        Proto::Udp => Ok(TcpState::default()),
        Proto::Icmp => {
            let request = matches!(row.icmp_type, kind::ECHO_REQUEST | kind::TIMESTAMP_REQUEST);
            if fixed || request == (side == Side::In2Out) {
                Ok(TcpState::default())
            } else {
                Err(DropReason::NatNoSession)
            }
        }
    }
}
