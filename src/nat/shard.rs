//! One shard of the NAT: what happens to a packet, in either direction.
//!
//! A packet with a session takes one look-up, moves the session on and is rewritten; `open` and
//! `apart` hold what is rarer.

use std::net::SocketAddrV4;
use std::sync::Arc;

use super::binding::Bindings;
use super::fragments::FragmentTable;
use super::pool::{FullGroups, Share};
use super::rewrite::{self, WHOLE};
use super::rng::Draws;
use super::session::{FlowKey, NIL, Proto, Session, SessionView, Side};
use super::state::State;
use super::tcp_state::{self, TcpState, Timer};
use crate::frame::{DropReason, Flags, Row};
use crate::ids::ShardId;
use crate::mem::Arena;
use crate::planted::{Bug, planted};
use crate::time::{Now, Span};

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

/// A look-up of a session under way: where it begins, and the session that it most likely finds.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    pub(super) hash: u64,
    pub(super) likely: u32,
}

impl Lookup {
    /// No look-up yet.
    pub const NONE: Lookup = Lookup { hash: 0, likely: NIL };
}

/// Names a session of a shard, as long as the shard is not told of a later time.
#[derive(Clone, Copy, Debug)]
pub struct SessionId(u32);

impl SessionId {
    /// No session.
    pub const NONE: SessionId = SessionId(NIL);
}

/// How a later fragment changes: the address that replaces its local one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Follow {
    pub(super) ip: u32,
    pub(super) hairpin: bool,
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
#[derive(Clone, Debug)]
pub struct Nat44Shard {
    pub(super) rules: Arc<Bindings>,
    /// What it has of the pool, the largest shares first.
    pub(super) shares: Vec<Share>,
    pub(super) draws: Draws,
    pub(super) state: State,
    pub(super) fragments: FragmentTable<Follow>,
    pub(super) full: FullGroups,
}

impl Nat44Shard {
    /// A shard without sessions. The same seed and packets give the same translations; `seed`
    /// should be secret.
    pub fn new(arena: &mut Arena, shard: ShardId, rules: Arc<Bindings>, seed: u64) -> Self {
        let mut draws = Draws::new(seed, u64::from(shard.0));
        let shares = rules.pool().shares(shard);
        Self {
            state: State::new(arena, &rules, &mut draws),
            draws,
            fragments: FragmentTable::new(FRAGMENTED, rules.timeouts.fragment),
            full: FullGroups::new(&shares, rules.ports),
            shares,
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
    pub(super) fn whole(
        &mut self,
        side: Side,
        key: FlowKey,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        let now = row.arrival;
        let id = match self.state.flow(&key) {
            Some(id) if self.state.session(id).deadline > now || planted(Bug::DeadSession) => {
                self.advance(id, side, (row.tcp_flags, now));
                id
            }
            ended => match self.open(side, key, ended, row)? {
                Some(id) => id,
                None => return self.one_to_one(side, frame, row),
            },
        };
        let hairpin = side == Side::In2Out && self.state.session(id).hairpin;
        self.rewrite(id, side, frame, row)?;
        Ok(if hairpin { Translated::Hairpin } else { Translated::Done })
    }

    #[inline(always)]
    fn rewrite(
        &self,
        id: u32,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<(), DropReason> {
        let to = self.state.session(id).other_end(side);
        rewrite::endpoint(frame, row, side, to)
    }

    /// The living session that a packet which came at `now` has; none where it would lead back
    /// inside.
    #[inline(always)]
    pub fn known(&self, key: &FlowKey, lookup: Lookup, now: Now) -> Option<SessionId> {
        let (id, session) = match self.state.likely_flow(key, lookup.likely) {
            Some(session) => (lookup.likely, session),
            None => {
                let id = self.state.flow_at(key, lookup.hash)?;
                (id, self.state.session(id))
            }
        };
        let leads_out = session.deadline > now && !session.hairpin;
        leads_out.then_some(SessionId(id))
    }

    /// Translates a whole TCP or UDP packet without IP options, with these TCP flags, whose session
    /// was found by [`Nat44Shard::known`], with nothing in between that could have ended it.
    #[inline(always)]
    pub fn carry(
        &mut self,
        SessionId(id): SessionId,
        key: &FlowKey,
        (tcp_flags, now): (u8, Now),
        packet: &mut [u8; WHOLE],
    ) {
        let session = self.state.session_mut(id);
        let life = life(&self.rules, session, key.side, tcp_flags);
        let deadline = life.map_or(session.deadline, |life| now + life);
        let nearer = deadline < std::mem::replace(&mut session.deadline, deadline);
        rewrite::local_end(packet, key, session.other_end(key.side));
        if nearer {
            self.state.refile(id, deadline, now);
        }
    }

    /// Moves a living session on: its TCP state and its deadline.
    #[inline(always)]
    fn advance(&mut self, id: u32, side: Side, (tcp_flags, now): (u8, Now)) {
        if let Some(life) = life(&self.rules, self.state.session_mut(id), side, tcp_flags) {
            self.state.set_deadline(id, now + life, now);
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

    /// Where the look-up of a packet begins.
    #[inline(always)]
    pub fn begin(&self, key: &FlowKey) -> Lookup {
        Lookup { hash: self.state.hash(key), likely: NIL }
    }

    /// What the shard holds and has done.
    pub fn counters(&self) -> Counters {
        let State { sessions, mappings, hosts, created, expired, .. } = &self.state;
        Counters {
            sessions: sessions.len(),
            mappings: mappings.len(),
            hosts: hosts.len(),
            created: *created,
            expired: *expired,
        }
    }

    /// The sessions that live at `now`, in no order.
    pub fn sessions(&self, now: Now) -> impl Iterator<Item = SessionView> + '_ {
        let living = self.state.sessions.all().iter().filter(move |s| s.deadline > now);
        living.map(|s| SessionView {
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

/// Moves a session's TCP state on, and says how long the session lives from now on; as long as
/// before without.
#[inline(always)]
fn life(rules: &Bindings, session: &mut Session, side: Side, tcp_flags: u8) -> Option<Span> {
    let timeouts = &rules.timeouts;
    session.spoke |= side == Side::In2Out;
    match session.proto {
        // Nearly every segment; what follows says the same of it.
        Proto::Tcp if session.tcp == TcpState::Established && !tcp_state::is_marked(tcp_flags) => {
            Some(timeouts.tcp_established)
        }
        Proto::Tcp => {
            let (tcp, timer) = tcp_state::step(session.tcp, side, tcp_flags);
            session.tcp = tcp;
            match timer {
                Timer::Keep => None,
                Timer::Opening => Some(timeouts.tcp_opening),
                Timer::Established => Some(timeouts.tcp_established),
                Timer::Closing => Some(timeouts.tcp_closing),
            }
        }
        // RFC 4787 REQ-6: outbound refreshes, inbound may.
        _ if side == Side::Out2In && !rules.inbound_refresh => None,
        Proto::Udp => Some(timeouts.udp),
        Proto::Icmp => Some(timeouts.icmp),
    }
}
