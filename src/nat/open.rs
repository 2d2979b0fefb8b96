//! May this packet open a session, and with which outside endpoint?
//!
//! The order of the questions, which decides the reason when several hold: can the protocol and
//! this message open one; from outside, is there a mapping and does its filter let the remote in;
//! has the host room; has the shard room; is there a port.

use super::config::{Filtering, Pooling};
use super::pool::any_order;
use super::session::{Endpoint, FlowKey, NIL, Proto, Session, Side};
use super::shard::Nat44Shard;
use super::state::Presence;
use super::tcp_state::{self, TcpState};
use crate::frame::{DropReason, Row};
use crate::planted::{Bug, planted};
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
                self.state.add_mapping(host, key.proto, (inside, outside), None)?
            }
            (None, None) => {
                let (share, outside) = self.allocate(&key, host, now)?;
                self.state.add_mapping(host, key.proto, (inside, outside), Some(share))?
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

    /// A free outside endpoint for an inside host, and the share it is from.
    fn allocate(
        &mut self,
        key: &FlowKey,
        host: Option<u32>,
        now: Now,
    ) -> Result<(u32, Endpoint), DropReason> {
        let paired = host.map(|id| self.state.host(id).share).filter(|&share| share != NIL);
        let own = paired.and_then(|at| Some((at, self.free_port(key, at, now)?)));
        let found = match (paired, self.rules.pooling) {
            (Some(_), Pooling::Paired) => own,
            _ => own.or_else(|| self.any_port(key, now)),
        };
        found.ok_or(DropReason::NatPoolExhausted)
    }

    /// A free outside endpoint of any share: of the largest first, from a random one on, so that
    /// hosts spread and each finds many ports where it stays.
    fn any_port(&mut self, key: &FlowKey, now: Now) -> Option<(u32, Endpoint)> {
        let largest = *self.shares.first()?;
        let large = self.shares.partition_point(|share| share.is_as_large_as(&largest));
        let count = |n: usize| u32::try_from(n).expect("pools are limited");
        let (large, all) = (count(large), count(self.shares.len()));
        let draw = self.draws.draw();
        let mut order = any_order(large, draw).chain(large..all);
        order.find_map(|at| Some((at, self.free_port(key, at, now)?)))
    }

    /// A port of a share that no mapping holds, for the packet with this key. A group of ports that
    /// are all held cannot change
    /// before the first of them can end, and nobody looks at it until then.
    fn free_port(&mut self, key: &FlowKey, at: u32, now: Now) -> Option<Endpoint> {
        let (range, proto) = (self.rules.ports, key.proto);
        let share = *self.shares.get(at as usize)?;
        let (order, order_inside) = (self.draws.draw(), self.draws.draw());
        for group in any_order(share.groups(range), order) {
            if self.full.is_full(at, proto, group, now) {
                continue;
            }
            let mut until = now + self.rules.timeouts.shortest();
            for port in share.group(range, group, order_inside) {
                let outside = Endpoint::new(share.address, port);
                if self.rules.fixed_inside(proto, outside).is_some() {
                    continue;
                }
                self.state.prefetch_answers(key, outside);
                match self.state.find_mapping(Side::Out2In, proto, outside, now) {
                    None | Some((_, Presence::Gone)) => return Some(outside),
                    Some(_) if planted(Bug::PortTwice) => return Some(outside),
                    Some((_, Presence::Alive(t) | Presence::Resting(t))) => until = until.min(t),
                }
            }
            self.full.note(at, proto, group, until);
        }
        None
    }
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
