//! Hosts, mappings and sessions of one shard: how they are found, made and ended.
//!
//! Exactness: a session is there until its deadline; a mapping while one of its sessions is, and
//! for the quarantine after; a host while one of its mappings is. Entries that have ended may
//! still take room. Whoever asks for one gets it settled first, so nobody can tell the difference;
//! and when room runs out everything that has ended is removed before the answer is no.

use super::binding::Bindings;
use super::expiry::Wheel;
use super::rng::Draws;
use super::session::{Endpoint, FlowKey, Host, Mapping, NIL, Proto, Session, Side};
use super::table::{Hasher, Index, Slab};
use crate::frame::DropReason;
use crate::mem::Arena;
use crate::time::{Now, Span};

/// What is left of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has sessions; one of them ends at the given time.
    Alive(Now),
    /// It has none, and its port rests until the given time.
    Resting(Now),
    /// It is gone, and so is its entry.
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) sessions: Slab<Session>,
    /// Both directions; number = session * 2, plus 1 for out2in.
    pub(super) flows: Index,
    pub(super) mappings: Slab<Mapping>,
    /// Both sides; number = mapping * 2, plus 1 for the outside endpoint.
    pub(super) endpoints: Index,
    pub(super) hosts: Slab<Host>,
    pub(super) addresses: Index,
    pub(super) session_wheel: Wheel,
    /// Mappings that have no sessions.
    pub(super) mapping_wheel: Wheel,
    pub(super) hasher: Hasher,
    quarantine: Span,
    /// No change gives any session a shorter life than this.
    pub(super) shortest: Span,
    pub(super) host_sessions: u32,
    /// No session or mapping can end before.
    pub(super) full_until: Now,
    pub(super) created: u64,
    pub(super) expired: u64,
}

/// The lowest bit of a number in an index over both sides.
const fn bit(side: Side) -> u32 {
    side as u32
}

#[inline(always)]
fn flow_hash(hasher: Hasher, key: &FlowKey) -> u64 {
    let local = key.local.pack(key.proto) | u64::from(bit(key.side)) << 56;
    hasher.hash(local, key.remote.pack(key.proto))
}

pub(super) fn endpoint_hash(hasher: Hasher, side: Side, proto: Proto, endpoint: Endpoint) -> u64 {
    hasher.hash(endpoint.pack(proto), u64::from(bit(side)) << 56)
}

fn mapping_hash(hasher: Hasher, side: Side, mapping: &Mapping) -> u64 {
    endpoint_hash(hasher, side, mapping.proto, mapping.end(side))
}

pub(super) fn address_hash(hasher: Hasher, ip: u32) -> u64 {
    hasher.hash(u64::from(ip), 1 << 60)
}

const fn side(number: u32) -> Side {
    if number & 1 == 0 { Side::In2Out } else { Side::Out2In }
}

impl State {
    pub(super) fn new(arena: &mut Arena, rules: &Bindings, draws: &mut Draws) -> Self {
        let n = rules.sessions;
        Self {
            sessions: Slab::new(arena, n),
            flows: Index::new(arena, 2 * n, 2 * n),
            mappings: Slab::new(arena, n),
            endpoints: Index::new(arena, 2 * n, 2 * n),
            hosts: Slab::new(arena, n),
            addresses: Index::new(arena, n, n),
            session_wheel: Wheel::new(arena, n),
            mapping_wheel: Wheel::new(arena, n),
            hasher: Hasher { k0: draws.draw(), k1: draws.draw() },
            quarantine: rules.timeouts.quarantine,
            shortest: rules.timeouts.shortest(),
            host_sessions: rules.host_sessions,
            full_until: Now(0),
            created: 0,
            expired: 0,
        }
    }

    // Finding

    /// The session of a packet, whether or not it has ended.
    #[inline(always)]
    pub(super) fn flow(&self, key: &FlowKey) -> Option<u32> {
        self.flow_at(key, self.hash(key))
    }

    /// What [`State::flow`] begins with, to be kept between the steps of a look-up.
    #[inline(always)]
    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        flow_hash(self.hasher, key)
    }

    /// As [`State::flow`], for a key whose hash is known.
    #[inline(always)]
    pub(super) fn flow_at(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        let is_it = |n: u32| side(n) == key.side && self.sessions.at(n >> 1).key(key.side) == *key;
        self.flows.find(hash, is_it).map(|n| n >> 1)
    }

    /// The session with this number if it is the one that [`State::flow`] finds. One that was
    /// removed may still stand in its place, but then its deadline is over.
    #[inline(always)]
    pub(super) fn likely_flow(&self, key: &FlowKey, id: u32) -> Option<&Session> {
        self.sessions.all().get(id as usize).filter(|session| session.key(key.side) == *key)
    }

    #[inline(always)]
    pub(super) fn session(&self, id: u32) -> &Session {
        self.sessions.at(id)
    }

    /// The session, to change in all but its deadline and what it is found by.
    #[inline(always)]
    pub(super) fn session_mut(&mut self, id: u32) -> &mut Session {
        self.sessions.at_mut(id)
    }

    pub(super) fn mapping(&self, id: u32) -> &Mapping {
        self.mappings.at(id)
    }

    pub(super) fn host(&self, id: u32) -> &Host {
        self.hosts.at(id)
    }

    /// The mapping of an endpoint, settled; never one that is gone.
    pub(super) fn find_mapping(
        &mut self,
        on: Side,
        proto: Proto,
        endpoint: Endpoint,
        now: Now,
    ) -> Option<(u32, Presence)> {
        let is_it = |n: u32| {
            let mapping = self.mappings.at(n >> 1);
            side(n) == on && mapping.proto == proto && mapping.end(on) == endpoint
        };
        let id = self.endpoints.find(endpoint_hash(self.hasher, on, proto, endpoint), is_it)? >> 1;
        match self.settle(id, now) {
            Presence::Gone => None,
            presence => Some((id, presence)),
        }
    }

    /// The host of an inside address, settled.
    pub(super) fn find_host(&mut self, ip: u32, now: Now) -> Option<u32> {
        let id =
            self.addresses.find(address_hash(self.hasher, ip), |id| self.hosts.at(id).ip == ip)?;
        let host = self.hosts.at(id);
        self.mappings.prefetch(host.mappings);
        if now < host.stays_until {
            return Some(id);
        }
        loop {
            // The last mapping takes the host with it.
            let mapping = self.hosts.at(id).mappings;
            if mapping == NIL {
                return Some(id);
            }
            let last = self.mappings.at(mapping).next == NIL;
            if self.settle(mapping, now) != Presence::Gone {
                return Some(id);
            }
            if last {
                return None;
            }
        }
    }

    /// Whether an outside address was sent to by the inside on a session that lives.
    pub(super) fn has_spoken_to(&self, mapping: u32, remote_ip: u32, now: Now) -> bool {
        self.sessions_of(mapping).any(|id| {
            let session = self.sessions.at(id);
            session.remote_ip == remote_ip && session.spoke && session.deadline > now
        })
    }

    fn sessions_of(&self, mapping: u32) -> impl Iterator<Item = u32> {
        let next = |id: u32| (id != NIL).then_some(id);
        let first = next(self.mappings.at(mapping).sessions);
        std::iter::successors(first, move |&id| next(self.sessions.at(id).next))
    }

    // Beginning

    /// A mapping of a host, or of one that is not there yet; the caller has seen that there is
    /// room. It must get a session at once.
    pub(super) fn add_mapping(
        &mut self,
        host: Option<u32>,
        proto: Proto,
        (inside, outside): (Endpoint, Endpoint),
        share: Option<u32>,
    ) -> Result<u32, DropReason> {
        // Workers' clocks differ a little: it may have been found to be gone meanwhile.
        let host = match host.filter(|&id| self.hosts.at(id).mappings != NIL) {
            Some(host) => host,
            None => self.add_host(inside.ip)?,
        };
        let paired = &mut self.hosts.at_mut(host).share;
        if let Some(share) = share
            && *paired == NIL
        {
            *paired = share;
        }
        let next = self.hosts.at(host).mappings;
        let mapping = Mapping {
            inside,
            outside,
            proto,
            fixed: share.is_none(),
            rests_until: Now(0),
            sessions: NIL,
            host,
            next,
            prev: NIL,
        };
        let id = self.mappings.insert(mapping).ok_or(DropReason::NatTableFull)?;
        if next != NIL {
            self.mappings.at_mut(next).prev = id;
        }
        self.hosts.at_mut(host).mappings = id;
        self.endpoints.insert(endpoint_hash(self.hasher, Side::In2Out, proto, inside), id << 1);
        self.endpoints
            .insert(endpoint_hash(self.hasher, Side::Out2In, proto, outside), id << 1 | 1);
        Ok(id)
    }

    fn add_host(&mut self, ip: u32) -> Result<u32, DropReason> {
        let host = Host {
            ip,
            share: NIL,
            mappings: NIL,
            sessions: 0,
            full_until: Now(0),
            stays_until: Now(0),
        };
        let id = self.hosts.insert(host).ok_or(DropReason::NatTableFull)?;
        self.addresses.insert(address_hash(self.hasher, ip), id);
        Ok(id)
    }

    /// A session below a mapping; the caller fills in everything but the list.
    pub(super) fn add_session(
        &mut self,
        mut session: Session,
        now: Now,
    ) -> Result<u32, DropReason> {
        let mapping = session.mapping;
        let first = self.mappings.at(mapping).sessions;
        (session.next, session.prev) = (first, NIL);
        let id = self.sessions.insert(session).ok_or(DropReason::NatTableFull)?;
        if first == NIL {
            self.mapping_wheel.remove(mapping);
        } else {
            self.sessions.at_mut(first).prev = id;
        }
        self.mappings.at_mut(mapping).sessions = id;
        let host = self.hosts.at_mut(self.mappings.at(mapping).host);
        host.sessions += 1;
        host.stays_until = host.stays_until.max(now + self.shortest);
        for side in [Side::In2Out, Side::Out2In] {
            self.flows.insert(flow_hash(self.hasher, &session.key(side)), id << 1 | bit(side));
        }
        self.session_wheel.insert(id, session.deadline, now);
        self.created += 1;
        Ok(id)
    }

    /// Gives a session a new deadline.
    #[inline(always)]
    pub(super) fn set_deadline(&mut self, id: u32, deadline: Now, now: Now) {
        let session = self.sessions.at_mut(id);
        let before = std::mem::replace(&mut session.deadline, deadline);
        if deadline < before {
            self.refile(id, deadline, now);
        }
    }

    /// The wheel bears deadlines that move back; one that comes nearer needs its place changed.
    #[cold]
    pub(super) fn refile(&mut self, id: u32, deadline: Now, now: Now) {
        self.session_wheel.remove(id);
        self.session_wheel.insert(id, deadline, now);
    }

    // Ending

    /// Removes a session that has ended, and its mapping if that was all.
    pub(super) fn end(&mut self, id: u32, now: Now) {
        let mapping = self.sessions.at(id).mapping;
        self.unlink(id);
        if self.mappings.at(mapping).sessions == NIL {
            self.settle(mapping, now);
        }
    }

    /// Removes a mapping's ended sessions until one is found that lives, and the mapping itself
    /// when its time is over. Each step removes something or is the last, so the cost of a call
    /// is paid for by the sessions that were made.
    pub(super) fn settle(&mut self, id: u32, now: Now) -> Presence {
        loop {
            let session = self.mappings.at(id).sessions;
            if session == NIL {
                break;
            }
            let deadline = self.sessions.at(session).deadline;
            if deadline > now {
                return Presence::Alive(deadline);
            }
            self.unlink(session);
        }
        let until = self.mappings.at(id).rests_until;
        if until > now {
            return Presence::Resting(until);
        }
        self.remove_mapping(id);
        Presence::Gone
    }

    /// Takes a session that has ended out of everything. Its mapping stays, and waits in the wheel
    /// if it has no other.
    pub(super) fn unlink(&mut self, id: u32) {
        let Self { sessions, flows, hasher, .. } = self;
        let session = *sessions.at(id);
        for on in [Side::In2Out, Side::Out2In] {
            let hash_of = |n: u32| flow_hash(*hasher, &sessions.at(n >> 1).key(side(n)));
            flows.remove(flow_hash(*hasher, &session.key(on)), id << 1 | bit(on), hash_of);
        }
        if session.next != NIL {
            self.sessions.at_mut(session.next).prev = session.prev;
        }
        let mapping = self.mappings.at_mut(session.mapping);
        mapping.note_end(&session, self.quarantine);
        if session.prev == NIL {
            mapping.sessions = session.next;
        } else {
            self.sessions.at_mut(session.prev).next = session.next;
        }
        self.hosts.at_mut(mapping.host).sessions -= 1;
        if mapping.sessions == NIL {
            let until = mapping.rests_until;
            self.mapping_wheel.insert(session.mapping, until, session.deadline);
        }
        self.session_wheel.remove(id);
        self.sessions.at_mut(id).deadline = Now(0);
        self.sessions.remove(id);
        self.expired += 1;
    }

    /// Takes a mapping without sessions out of everything, and its host if that was all.
    fn remove_mapping(&mut self, id: u32) {
        let Self { mappings, endpoints, hasher, .. } = self;
        let mapping = *mappings.at(id);
        for on in [Side::In2Out, Side::Out2In] {
            let hash_of = |n: u32| mapping_hash(*hasher, side(n), mappings.at(n >> 1));
            endpoints.remove(mapping_hash(*hasher, on, &mapping), id << 1 | bit(on), hash_of);
        }
        if mapping.next != NIL {
            self.mappings.at_mut(mapping.next).prev = mapping.prev;
        }
        if mapping.prev == NIL {
            self.hosts.at_mut(mapping.host).mappings = mapping.next;
        } else {
            self.mappings.at_mut(mapping.prev).next = mapping.next;
        }
        self.mapping_wheel.remove(id);
        self.mappings.remove(id);
        if self.hosts.at(mapping.host).mappings == NIL {
            let Self { hosts, addresses, hasher, .. } = self;
            let hash_of = |n: u32| address_hash(*hasher, hosts.at(n).ip);
            addresses.remove(hash_of(mapping.host), mapping.host, hash_of);
            self.hosts.remove(mapping.host);
        }
    }
}
