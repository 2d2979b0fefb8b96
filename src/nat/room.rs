//! Is there room, and what has ended and only takes room?
//!
//! Nothing that lives is ever removed to make room (RFC 6888 REQ-11).

use super::expiry::Wheel;
use super::session::NIL;
use super::state::{Presence, State};
use crate::time::Now;

impl State {
    /// Whether a host may have one session more.
    pub(super) fn host_has_room(&mut self, host: u32, now: Now) -> bool {
        let limit = self.host_sessions;
        let entry = self.hosts.at(host);
        if entry.sessions < limit {
            return true;
        }
        if now < entry.full_until {
            return false;
        }
        let mut until = now + self.shortest;
        let mut mapping = entry.mappings;
        while mapping != NIL {
            let next_mapping = self.mappings.at(mapping).next;
            let mut session = self.mappings.at(mapping).sessions;
            while session != NIL {
                let next = self.sessions.at(session).next;
                if self.sessions.at(session).deadline <= now {
                    self.unlink(session);
                } else {
                    until = until.min(self.sessions.at(session).deadline);
                }
                session = next;
            }
            mapping = next_mapping;
        }
        let host = self.hosts.at_mut(host);
        host.full_until = until;
        host.sessions < limit
    }

    /// Whether there is room for a session, and for a mapping if one is needed.
    pub(super) fn has_room(&mut self, mapping_too: bool, now: Now) -> bool {
        if !self.is_full(mapping_too) {
            return true;
        }
        if now >= self.full_until {
            self.sweep(now);
        }
        !self.is_full(mapping_too)
    }

    fn is_full(&self, mapping_too: bool) -> bool {
        self.sessions.is_full() || (mapping_too && self.mappings.is_full())
    }

    /// Removes everything that has ended.
    #[cold]
    fn sweep(&mut self, now: Now) {
        while self.expire_one(now).is_some() {}
        let mut until = (now + self.shortest).min(Wheel::next_tick(now));
        let mut at = self.session_wheel.next_current(None);
        while let Some(id) = at {
            at = self.session_wheel.next_current(Some(id));
            match self.sessions.at(id).deadline {
                deadline if deadline <= now => self.end(id, now),
                deadline => until = until.min(deadline),
            }
        }
        let mut at = self.mapping_wheel.next_current(None);
        while let Some(id) = at {
            at = self.mapping_wheel.next_current(Some(id));
            match self.settle(id, now) {
                Presence::Resting(deadline) => until = until.min(deadline),
                Presence::Alive(_) | Presence::Gone => {}
            }
        }
        self.full_until = until;
    }

    /// Looks at one entry whose time may have come; `None` when there is none. `Some(true)` when
    /// that was a session, and it ended.
    pub(super) fn expire_one(&mut self, now: Now) -> Option<bool> {
        if let Some(id) = self.session_wheel.pop_passed(now) {
            let deadline = self.sessions.at(id).deadline;
            if deadline > now {
                self.session_wheel.insert(id, deadline, now);
                return Some(false);
            }
            self.end(id, now);
            return Some(true);
        }
        let id = self.mapping_wheel.pop_passed(now)?;
        if let Presence::Resting(until) = self.settle(id, now) {
            self.mapping_wheel.remove(id);
            self.mapping_wheel.insert(id, until, now);
        }
        Some(false)
    }
}
