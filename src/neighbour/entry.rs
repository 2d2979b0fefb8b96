//! One neighbour: what it does when time passes, when it answers and when somebody needs it.
//!
//! ```text
//!            answer                    30 s                       3 x 1 s
//! Incomplete ------> Reachable ------------------> Probe ------------------> Failed
//!   |  ^                 ^ ^------- answer ----------'                        |  ^ |
//!   |  '-- needed (dynamic) ------------------------------------------------ /   | | every 5 s
//!   '--- 3 x 1 s ----------------------------------------------------------------' | (wanted):
//!                        ^-------------------------- answer ----------------------'  ask again
//! ```

use std::net::Ipv4Addr;

use super::word::{NeighbourState, Word};
use crate::ids::AttachmentId;
use crate::time::{Now, Span};
use crate::wire::eth::MacAddr;

/// Between two requests (RETRANS_TIMER, RFC 4861 10).
const RETRY: Span = Span::secs(1);
/// Requests without an answer until a neighbour fails (MAX_MULTICAST_SOLICIT and
/// MAX_UNICAST_SOLICIT, RFC 4861 10).
const TRIES: u8 = 3;
/// How long an answer holds before it is asked for again (REACHABLE_TIME, RFC 4861 10).
const REACHABLE: Span = Span::secs(30);
/// Between requests to a failed neighbour that routes depend on.
const REVIVE: Span = Span::secs(5);

/// A neighbour's state in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// Our own address.
    Own,
    /// Asked for, never answered.
    Incomplete,
    /// Answered less than half a minute ago.
    Reachable,
    /// Asked whether it is still there; in use meanwhile.
    Probe,
    /// Did not answer.
    Failed,
    /// The port is down.
    Down,
}

impl EntryState {
    /// The state's public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Probe => "probe",
            Self::Failed => "failed",
            Self::Down => "down",
        }
    }
}

/// Whom a request is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Everybody on the link.
    Broadcast,
    /// The MAC address known so far (RFC 1122 2.3.2.1, unicast poll).
    Unicast(MacAddr),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Incomplete { tries: u8 },
    Reachable,
    Probe { tries: u8 },
    Failed,
    Down,
}

/// A neighbour.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) interface: AttachmentId,
    pub(super) ip: Ipv4Addr,
    /// Routes depend on it: it is never given up.
    pub(super) wanted: bool,
    /// Configured: used as it is, never asked for.
    fixed: Option<MacAddr>,
    phase: Phase,
    mac: MacAddr,
    confirmed: Now,
    asked: Now,
    deadline: Option<Now>,
}

impl Entry {
    /// A neighbour on a port that is down: nothing happens before [`Entry::start`].
    pub(super) fn new(interface: AttachmentId, ip: Ipv4Addr, wanted: bool) -> Self {
        Self {
            interface,
            ip,
            wanted,
            fixed: None,
            phase: Phase::Down,
            mac: MacAddr::ZERO,
            confirmed: Now(0),
            asked: Now(0),
            deadline: None,
        }
    }

    /// When [`Entry::on_timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Now> {
        self.deadline
    }

    /// From now on its MAC address is this one, whatever anybody says.
    pub(super) fn fix(&mut self, now: Now, mac: MacAddr) {
        self.fixed = Some(mac);
        if !matches!(self.phase, Phase::Down) {
            self.hold_fixed(now, mac);
        }
    }

    fn hold_fixed(&mut self, now: Now, mac: MacAddr) {
        self.phase = Phase::Reachable;
        self.mac = mac;
        self.confirmed = now;
        self.deadline = None;
    }

    /// Begins to ask from scratch.
    pub(super) fn start(&mut self, now: Now) -> Option<Ask> {
        if let Some(mac) = self.fixed {
            self.hold_fixed(now, mac);
            return None;
        }
        self.phase = Phase::Incomplete { tries: 1 };
        self.mac = MacAddr::ZERO;
        Some(self.ask(now, RETRY))
    }

    /// The port went down.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Down;
        self.mac = MacAddr::ZERO;
        self.deadline = None;
    }

    /// The neighbour was heard at `mac`.
    pub(super) fn confirm(&mut self, now: Now, mac: MacAddr) {
        if self.fixed.is_some() {
            return;
        }
        self.phase = Phase::Reachable;
        self.mac = mac;
        self.confirmed = now;
        self.deadline = Some(now + REACHABLE);
    }

    /// Somebody has frames for it.
    pub(super) fn need(&mut self, now: Now) -> Option<Ask> {
        match self.phase {
            // Routes were withdrawn when it failed and come back with its answer, so a wanted
            // neighbour stays failed until then.
            Phase::Failed if self.wanted => {
                (now.since(self.asked) >= RETRY).then(|| self.ask(now, REVIVE))
            }
            Phase::Failed => self.start(now),
            _ => None,
        }
    }

    /// The deadline has passed.
    pub(super) fn on_timeout(&mut self, now: Now) -> Option<Ask> {
        self.deadline = None;
        match self.phase {
            Phase::Incomplete { tries } if tries < TRIES => {
                self.phase = Phase::Incomplete { tries: tries + 1 };
                Some(self.ask(now, RETRY))
            }
            Phase::Incomplete { .. } => {
                self.phase = Phase::Failed;
                self.deadline = self.wanted.then(|| now + REVIVE);
                None
            }
            Phase::Reachable => Some(self.probe(now, 1)),
            Phase::Probe { tries } if tries < TRIES => Some(self.probe(now, tries + 1)),
            Phase::Probe { .. } => {
                self.phase = Phase::Failed;
                self.mac = MacAddr::ZERO;
                // At once, and to all: it may have a new MAC address.
                self.wanted.then(|| self.ask(now, REVIVE))
            }
            Phase::Failed => self.wanted.then(|| self.ask(now, REVIVE)),
            Phase::Down => None,
        }
    }

    /// From now on routes depend on it.
    pub(super) fn want(&mut self, now: Now) {
        self.wanted = true;
        if matches!(self.phase, Phase::Failed) && self.deadline.is_none() {
            self.deadline = Some(now);
        }
    }

    fn ask(&mut self, now: Now, wait: Span) -> Ask {
        self.asked = now;
        self.deadline = Some(now + wait);
        Ask::Broadcast
    }

    fn probe(&mut self, now: Now, tries: u8) -> Ask {
        self.phase = Phase::Probe { tries };
        self.ask(now, RETRY);
        Ask::Unicast(self.mac)
    }

    /// What workers shall see.
    pub(super) fn word(&self) -> Word {
        let state = match self.phase {
            Phase::Incomplete { .. } => NeighbourState::Incomplete,
            Phase::Reachable | Phase::Probe { .. } => NeighbourState::Reachable,
            Phase::Failed => NeighbourState::Failed,
            Phase::Down => NeighbourState::Down,
        };
        Word::new(self.mac, state)
    }

    /// The state in full.
    pub(super) fn state(&self) -> EntryState {
        match self.phase {
            Phase::Incomplete { .. } => EntryState::Incomplete,
            Phase::Reachable => EntryState::Reachable,
            Phase::Probe { .. } => EntryState::Probe,
            Phase::Failed => EntryState::Failed,
            Phase::Down => EntryState::Down,
        }
    }

    /// How long ago it was heard, if it is in use.
    pub(super) fn age(&self, now: Now) -> Span {
        match self.phase {
            Phase::Reachable | Phase::Probe { .. } => now.since(self.confirmed),
            _ => Span::ZERO,
        }
    }
}
