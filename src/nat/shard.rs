//! One shard of the NAT: what happens to a packet, in either direction.
//!
//! The order of the questions: does it have a session (one look-up, then it is rewritten and done);
//! may it open one (opener, host limit, mapping or port, room); what does it become.

use std::net::SocketAddrV4;
use std::sync::Arc;

use super::binding::Bindings;
use super::config::Filtering;
use super::fragments::{FragmentKey, FragmentTable};
use super::icmp_error::Quote;
use super::pool::PortSet;
use super::rewrite;
use super::rng::{Draws, below};
use super::session::{Endpoint, FlowKey, NIL, Proto, Session, SessionView, Side};
use super::state::{Presence, State};
use super::tcp_state::{self, TcpState, Timer};
use crate::frame::{DropReason, Flags, Row};
use crate::ids::ShardId;
use crate::time::Now;
use crate::wire::icmp4::{self, kind};

/// Datagrams in fragments that one shard follows at a time.
const FRAGMENTED: usize = 256;

/// What became of a packet that was translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translated {
    /// It is as the other side knows it.
    Done,
    /// It came from inside and goes to one of the NAT's own outside addresses: its source is
    /// translated, and it now needs [`Nat44Shard::out2in`] at the owner of its destination.
    Hairpin,
}

/// How a later fragment changes: the address that replaces its local one.
#[derive(Clone, Copy, Debug, Default)]
struct Follow {
    ip: u32,
    hairpin: bool,
}

/// What a shard holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions that take room, ended ones that nobody has removed yet included.
    pub sessions: usize,
    /// Mappings that take room, likewise.
    pub mappings: usize,
    /// Inside hosts that take room, likewise.
    pub hosts: usize,
    /// Sessions opened since the start.
    pub created: u64,
    /// Sessions ended and removed since the start.
    pub expired: u64,
}

/// One of the 64 parts of a NAT44.
#[derive(Debug)]
pub struct Nat44Shard {
    rules: Arc<Bindings>,
    ports: PortSet,
    draws: Draws,
    state: State,
    fragments: FragmentTable<Follow>,
    /// By pool address and protocol: no port can be free before.
    exhausted_until: Vec<[Now; 3]>,
}

impl Nat44Shard {
    /// A shard without sessions. The same seed and packets give the same translations; `seed`
    /// should be secret.
    pub fn new(shard: ShardId, rules: Arc<Bindings>, seed: u64) -> Self {
        let mut draws = Draws::new(seed, u64::from(shard.0));
        Self {
            ports: PortSet::new(shard, rules.ports),
            state: State::new(&rules, &mut draws),
            draws,
            fragments: FragmentTable::new(FRAGMENTED, rules.timeouts.fragment),
            exhausted_until: vec![[Now(0); 3]; rules.pool().len()],
            rules,
        }
    }

    /// Translates a packet from inside; `frame` is the whole buffer that `row` counts in. The
    /// packet is valid IPv4 and this shard owns it.
    ///
    /// # Errors
    /// Why it must be dropped; the frame is as it was.
    #[inline]
    pub fn in2out(&mut self, frame: &mut [u8], row: &mut Row) -> Result<Translated, DropReason> {
        self.translate(Side::In2Out, frame, row)
    }

    /// Translates a packet from outside, or a hairpin's second half; as [`Nat44Shard::in2out`].
    ///
    /// # Errors
    /// Why it must be dropped; the frame is as it was.
    #[inline]
    pub fn out2in(&mut self, frame: &mut [u8], row: &mut Row) -> Result<Translated, DropReason> {
        self.translate(Side::Out2In, frame, row)
    }

    #[inline(always)]
    fn translate(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        const ODD: Flags = Flags(Flags::FRAGMENT.0 | Flags::ICMP_ERROR.0);
        let Some(key) = FlowKey::of(side, row).filter(|_| row.flags.0 & ODD.0 == 0) else {
            return self.translate_odd(side, frame, row);
        };
        self.whole(side, key, frame, row)
    }

    /// A packet that is neither a fragment nor an ICMP error and has ports, or does as if.
    #[inline(always)]
    fn whole(
        &mut self,
        side: Side,
        key: FlowKey,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        let now = row.arrival;
        let id = match self.state.flow(&key) {
            Some(id) if self.state.session(id).deadline > now => {
                self.advance(id, side, row);
                id
            }
            ended => match self.open(side, key, ended, row)? {
                Some(id) => id,
                None => return self.one_to_one(side, frame, row),
            },
        };
        let session = self.state.session(id);
        let (to, hairpin) = match side {
            Side::In2Out => (session.outside(), session.hairpin),
            Side::Out2In => (session.inside(), false),
        };
        rewrite::endpoint(frame, row, side, to)?;
        Ok(if hairpin { Translated::Hairpin } else { Translated::Done })
    }

    /// Moves a living session on: its TCP state and its deadline.
    #[inline(always)]
    fn advance(&mut self, id: u32, side: Side, row: &Row) {
        let timeouts = &self.rules.timeouts;
        let session = self.state.session_mut(id);
        session.spoke |= side == Side::In2Out;
        let life = match session.proto {
            Proto::Tcp => {
                let (tcp, timer) = tcp_state::step(session.tcp, side, row.tcp_flags);
                session.tcp = tcp;
                match timer {
                    Timer::Keep => return,
                    Timer::Opening => timeouts.tcp_opening,
                    Timer::Established => timeouts.tcp_established,
                    Timer::Closing => timeouts.tcp_closing,
                }
            }
            // RFC 4787 REQ-6: outbound refreshes, inbound may.
            _ if side == Side::Out2In && !self.rules.inbound_refresh => return,
            Proto::Udp => timeouts.udp,
            Proto::Icmp => timeouts.icmp,
        };
        self.state.set_deadline(id, row.arrival + life, row.arrival);
    }

    // Opening

    /// The session that a packet opens; `ended` is one with the same key whose time is over.
    /// `None` when the packet is translated without one.
    #[cold]
    #[inline(never)]
    fn open(
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

    // What has no session of its own

    #[cold]
    #[inline(never)]
    fn translate_odd(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        if row.flags.has(Flags::LATER_FRAGMENT) {
            return self.later_fragment(side, frame, row);
        }
        if row.flags.has(Flags::ICMP_ERROR) {
            return self.icmp_error(side, frame, row);
        }
        let Some(key) = FlowKey::of(side, row) else { return self.one_to_one(side, frame, row) };
        let fragment = FragmentKey::of(frame, row).ok_or(DropReason::Ip4TooShort)?;
        let translated = self.whole(side, key, frame, row)?;
        let ip = if side == Side::In2Out { row.src } else { row.dst };
        let follow = Follow { ip, hairpin: translated == Translated::Hairpin };
        self.fragments.record(fragment, follow, row.arrival);
        Ok(translated)
    }

    /// The address that stands for a whole address on the other side.
    fn static_other(&self, side: Side, row: &Row) -> Option<u32> {
        match side {
            Side::In2Out => self.rules.static_outside(row.src),
            Side::Out2In => self.rules.static_inside(row.dst),
        }
    }

    fn turn(&self, side: Side, row: &Row) -> Translated {
        if side == Side::In2Out && self.rules.is_outside(row.dst) {
            Translated::Hairpin
        } else {
            Translated::Done
        }
    }

    /// A packet that needs no ports, because its whole address is bound to another.
    fn one_to_one(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        let to = self.static_other(side, row).ok_or(DropReason::NatUnsupportedProtocol)?;
        rewrite::whole_address(frame, row, side, to)?;
        Ok(self.turn(side, row))
    }

    fn later_fragment(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        if self.static_other(side, row).is_some() {
            return self.one_to_one(side, frame, row);
        }
        let key = FragmentKey::of(frame, row).ok_or(DropReason::Ip4TooShort)?;
        let follow = self.fragments.find(key, row.arrival);
        let follow = follow.ok_or(DropReason::NatFragmentUnknown)?;
        rewrite::whole_address(frame, row, side, follow.ip)?;
        Ok(if follow.hairpin { Translated::Hairpin } else { Translated::Done })
    }

    fn icmp_error(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        let quote = Quote::of(frame, row).ok_or(DropReason::NatBadIcmp)?;
        if !quote.is_intact(frame) {
            return Err(DropReason::NatBadIcmp);
        }
        let to = self.quoted_other(side, &quote, row.arrival).ok_or(DropReason::NatNoSession)?;
        // From inside, a router on the way has no mapping of its own: it speaks with the address
        // of the host that the error is about (RFC 5508 REQ-5c).
        let outer = match side {
            Side::In2Out if row.src != quote.dst => {
                self.rules.static_outside(row.src).unwrap_or(to.ip)
            }
            _ => to.ip,
        };
        quote.rewrite(frame, side, to);
        rewrite::address(frame, row, side, outer)?;
        Ok(self.turn(side, row))
    }

    /// What the other side knows a quoted packet's local end as.
    fn quoted_other(&mut self, side: Side, quote: &Quote, now: Now) -> Option<Endpoint> {
        let ip = if side == Side::In2Out { quote.dst } else { quote.src };
        let whole = match side {
            Side::In2Out => self.rules.static_outside(ip),
            Side::Out2In => self.rules.static_inside(ip),
        };
        let Some((proto, sport, dport)) = quote.ports else {
            return whole.map(|ip| Endpoint::new(ip, 0));
        };
        let local = Endpoint::new(ip, if side == Side::In2Out { dport } else { sport });
        if let Some(ip) = whole {
            return Some(Endpoint::new(ip, local.port));
        }
        match self.state.find_mapping(side, proto, local, now)? {
            (id, Presence::Alive(_)) => {
                let mapping = self.state.mapping(id);
                Some(if side == Side::In2Out { mapping.outside } else { mapping.inside })
            }
            _ => None,
        }
    }

    // Housekeeping

    /// Removes sessions and mappings that have ended, looking at no more than `budget` entries;
    /// returns how many sessions it removed. When it runs changes no translation.
    pub fn expire(&mut self, now: Now, budget: usize) -> usize {
        let mut ended = 0;
        for _ in 0..budget {
            match self.state.expire_one(now) {
                Some(was_session) => ended += usize::from(was_session),
                None => break,
            }
        }
        ended
    }

    /// Asks for the memory that the look-up of a packet begins with; a hint.
    #[inline(always)]
    pub fn prefetch_index(&self, side: Side, row: &Row) {
        if let Some(key) = FlowKey::of(side, row) {
            self.state.prefetch_index(&key);
        }
    }

    /// Asks for the session that a packet most likely has; a hint, best some packets after
    /// [`Nat44Shard::prefetch_index`].
    #[inline(always)]
    pub fn prefetch_session(&self, side: Side, row: &Row) {
        if let Some(key) = FlowKey::of(side, row) {
            self.state.prefetch_session(&key);
        }
    }

    /// What the shard holds and has done.
    pub fn counters(&self) -> Counters {
        let [sessions, mappings, hosts] = self.state.lens();
        let (created, expired) = (self.state.created, self.state.expired);
        Counters { sessions, mappings, hosts, created, expired }
    }

    /// The sessions that live at `now`, in no order.
    pub fn sessions(&self, now: Now) -> impl Iterator<Item = SessionView> + '_ {
        self.state.living(now).map(|s| SessionView {
            proto: s.proto,
            inside: SocketAddrV4::from(s.inside()),
            outside: SocketAddrV4::from(s.outside()),
            remote: SocketAddrV4::from(s.remote()),
            tcp: (s.proto == Proto::Tcp).then_some(s.tcp),
            opened: s.opened,
            deadline: s.deadline,
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the shift leaves 32 bits")]
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
