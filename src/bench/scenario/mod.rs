//! Which way does the traffic take, through which tables? A [`Scenario`] is one answer: it gives the
//! forwarder's configuration, the frames that suit it, and its description for the record.
//!
//! ```text
//!  on-premises' side (lane 0 enters here)                        Azure's side (lane 1 enters here)
//!
//!  fastpath   S-tag, C-tag ─> edge ─> VM's /32 ───────────────────> untagged, VNet port
//!  gateway    S-tag, C-tag ─> edge ─> gateway ─> VNet's routes ───> untagged, VNet port
//!  provider          C-tag ─> access port ─────────> link ────────> S-tag, C-tag
//!  nat               C-tag ─> access port ─> NAT ──> link ────────> S-tag, C-tag
//!  microsoft         C-tag ─> access port ─> NAT ──> link = edge ─> untagged, service port
//! ```
//!
//! Drawn with the hand-over QinQ; with Dot1Q links have the C-tag alone and access ports none, with
//! Untagged there are no tags. Untagged `fastpath` is plain forwarding, and untagged `nat` source
//! translation, so that a kernel router can do the same with the same frames.
//!
//! | file | question |
//! |---|---|
//! | `places` | who is where: addresses, MAC addresses, tags of each side |
//! | `routes` | which prefixes, and which destinations in them |
//! | `text` | the configuration file, for ports of any kind |
//! | `plan` | the compiled tables for memory ports: neighbours known, routes loaded |
//! | `traffic` | the frames of each lane |
//! | `open` | how do sessions and flows get there before the first trial |
//! | `answer` | what a tester must answer ARP |
//! | `router` | how must any other router be set up to do the same |
//! | `service` | which of the service's limits is reached first, and at which rate |

pub mod answer;
mod described;
pub mod open;
pub mod places;
pub mod plan;
pub mod router;
pub mod routes;
pub mod service;
mod text;
pub mod traffic;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use described::Run;
pub use open::{OpenError, Opened};
pub use places::{Lane, TO_AZURE, TO_ONPREM};
pub use plan::Plan;
pub use router::{Router, Station};
pub use routes::{Routes, RoutesError};
pub use service::ServiceLimit;
pub use text::{PortKind, Ports};
pub use traffic::Mix;

use super::traffic::size;
use crate::model::{Bandwidth, GatewaySku, MAX_SCALE_UNITS, Role};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// In a word.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = ScenarioError;
            fn from_str(text: &str) -> Result<Self, ScenarioError> {
                let known = Self::ALL.iter().find(|own| own.word().eq_ignore_ascii_case(text));
                known.copied().ok_or_else(|| ScenarioError::Word {
                    text: text.to_owned(),
                    known: Self::ALL.iter().map(|own| own.word()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

words! {
    /// The way through the forwarder.
    Way {
        /// Private peering, past the gateway.
        FastPath = "fastpath",
        /// Private peering, through the gateway.
        Gateway = "gateway",
        /// A provider edge that translates.
        Nat = "nat",
        /// A provider edge that only tags.
        Provider = "provider",
        /// Provider edge with NAT and Microsoft's edge in one process.
        Microsoft = "microsoft",
    }
}

words! {
    /// How frames are tagged on a link; an access port has one tag less.
    HandOver {
        /// Not at all.
        Untagged = "Untagged",
        /// With the peering's C-tag.
        Dot1Q = "Dot1Q",
        /// With the circuit's S-tag and the peering's C-tag.
        QinQ = "QinQ",
    }
}

words! {
    /// What becomes of the service's limits.
    Limits {
        /// They are off: no policer, no flow table of the gateway.
        Off = "off",
        /// They hold, and drop.
        Enforced = "enforced",
        /// Policers, meters and flow tables work as when limits hold, at rates that nothing
        /// reaches. In this process alone.
        Ample = "ample",
    }
}

words! {
    /// Which lanes carry traffic.
    Direction {
        /// Lane 0.
        ToAzure = "to_azure",
        /// Lane 1.
        ToOnprem = "to_onprem",
        /// Both, half of the load each.
        Both = "both",
    }
}

impl Direction {
    /// The lanes.
    pub const fn lanes(self) -> &'static [usize] {
        match self {
            Direction::ToAzure => &[TO_AZURE],
            Direction::ToOnprem => &[TO_ONPREM],
            Direction::Both => &[TO_AZURE, TO_ONPREM],
        }
    }
}

impl Way {
    /// Whether addresses are translated on this way.
    pub const fn translates(self) -> bool {
        matches!(self, Way::Nat | Way::Microsoft)
    }

    /// Whether a table of routes is looked up on this way.
    pub const fn routes(self) -> bool {
        matches!(self, Way::FastPath | Way::Gateway)
    }
}

/// What is asked of a scenario.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The way.
    pub way: Way,
    /// The tags.
    pub hand_over: HandOver,
    /// The table that is looked up; ways without one leave it aside.
    pub routes: Routes,
    /// Flows that are cycled through; with NAT the sessions that are open before the first trial.
    pub flows: u64,
    /// Flows beyond those that traffic may begin anew, with NAT: the table has room for them.
    pub new_flows: u64,
    /// Rules of a security group on the VNet's subnet; 0 is no group.
    pub rules: u32,
    /// The service's limits.
    pub limits: Limits,
    /// The circuit's bandwidth.
    pub bandwidth: Bandwidth,
    /// How many milliseconds of it pass at once after a rest: the policer's bucket, 1 to 1000.
    pub burst_millis: u32,
    /// The gateway, of ways that have one.
    pub gateway: GatewaySku,
    /// Of all that is random.
    pub seed: u64,
}

impl Spec {
    /// A way with the hand-over QinQ, limits off and tables of a usual size: 10,000 VMs with a
    /// flow each, or 64,512 sessions; the largest circuit and the largest gateway.
    pub fn new(way: Way) -> Self {
        Self {
            way,
            hand_over: HandOver::QinQ,
            routes: Routes::hosts(10_000),
            flows: if way.translates() { 64_512 } else { 10_000 },
            new_flows: 0,
            rules: 0,
            limits: Limits::Off,
            bandwidth: Bandwidth::gbps(10),
            burst_millis: BURST_MILLIS,
            gateway: GatewaySku::ErGwScale(MAX_SCALE_UNITS),
            seed: 1,
        }
    }
}

/// Why there is no such scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// A word that names nothing.
    #[error("{text:?} is none of: {known}")]
    Word {
        /// The word.
        text: String,
        /// What would be accepted.
        known: String,
    },
    /// Numbers out of range.
    #[error("{what} are 1 to {most}, not {value}")]
    Range {
        /// Of what.
        what: &'static str,
        /// The number that was asked for.
        value: u64,
        /// The most there can be.
        most: u64,
    },
    /// Frames that the way does not carry.
    #[error(
        "way {way} carries frames of {most} bytes at most (untagged, with check sequence), not {size}"
    )]
    Size {
        /// The way.
        way: Way,
        /// The size that was asked for.
        size: u32,
        /// The largest.
        most: u32,
    },
    /// Something that this way has not.
    #[error("way {way} has {what}")]
    Way {
        /// The way.
        way: Way,
        /// What is the matter.
        what: &'static str,
    },
    /// A gateway that is too small for the way.
    #[error(
        "{0} has no FastPath: ask for UltraPerformance, ErGw3AZ, or ErGwScale with 10 units or more"
    )]
    NoFastPath(GatewaySku),
    /// Something that another process cannot be told.
    #[error(
        "way {way} has {what} in this process alone: no configuration file can say that; measure \
         on the media memory and ring"
    )]
    MemoryOnly {
        /// The way.
        way: Way,
        /// What it cannot have.
        what: &'static str,
    },
    /// The translated addresses are not known.
    #[error("way {0} towards on-premises answers to sessions: open them first")]
    NotOpened(Way),
    /// What came out does not compile.
    #[error("the scenario's configuration is refused: {0}")]
    Config(String),
}

/// One way with its tables.
#[derive(Clone, Debug)]
pub struct Scenario {
    spec: Spec,
    /// Destinations of lane 0, and of lane 1 where those lie in routes, shuffled.
    destinations: routes::Destinations,
}

/// Most flows without NAT: all ports of 65,536 hosts.
const MOST_FLOWS: u64 = 1 << 31;
/// Most sessions: shards name theirs with 22 bits, and hosts are not spread evenly.
const MOST_SESSIONS: u64 = 100_000_000;
/// What policers have unless they are told otherwise.
const BURST_MILLIS: u32 = 10;
/// The deepest bucket that a configuration file can ask for.
const MOST_BURST_MILLIS: u64 = 1000;
/// Most rules of a group.
const MOST_RULES: u64 = 1000;

impl Scenario {
    /// Checks what is asked for and draws the destinations.
    ///
    /// # Errors
    /// Says what cannot be had.
    pub fn new(spec: Spec) -> Result<Self, ScenarioError> {
        let way = spec.way;
        let most = if way.translates() { MOST_SESSIONS } else { MOST_FLOWS };
        let sum = spec.flows.saturating_add(spec.new_flows);
        let range = |what, value, most| match value {
            value if (1..=most).contains(&value) => Ok(()),
            value => Err(ScenarioError::Range { what, value, most }),
        };
        range("milliseconds of burst", u64::from(spec.burst_millis), MOST_BURST_MILLIS)?;
        range("flows", spec.flows, most)?;
        range("flows, known and new,", sum, most)?;
        range("rules", u64::from(spec.rules).max(1), MOST_RULES)?;
        if spec.rules > 0 && !way.routes() {
            return Err(ScenarioError::Way { way, what: "no subnet for a security group" });
        }
        if spec.new_flows > 0 && !way.translates() {
            return Err(ScenarioError::Way { way, what: "no sessions: all its flows are alike" });
        }
        if way == Way::FastPath && !spec.gateway.limits().fastpath {
            return Err(ScenarioError::NoFastPath(spec.gateway));
        }
        let destinations = routes::Destinations::draw(&spec.routes, spec.seed);
        Ok(Self { spec, destinations })
    }

    /// What was asked for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Which part of the configuration a process takes: `thruway run FILE --role ROLE`.
    pub fn role(&self) -> Role {
        match self.spec.way {
            Way::Nat | Way::Provider => Role::Provider,
            Way::FastPath | Way::Gateway | Way::Microsoft => Role::All,
        }
    }

    /// The largest frame that the way carries, untagged and with check sequence: a gateway takes
    /// packets of 1,400 bytes.
    pub fn largest(&self) -> u32 {
        const BESIDE_IP: u32 = 18;
        match self.spec.way {
            Way::Gateway => u32::from(crate::model::limits::GATEWAY_MTU) + BESIDE_IP,
            _ => size::MOST,
        }
    }

    /// Whether trials need [`Scenario::open`] before them.
    pub fn has_state(&self) -> bool {
        let spec = &self.spec;
        let gateway = spec.way == Way::Gateway && spec.limits != Limits::Off;
        spec.way.translates() || spec.rules > 0 || gateway
    }

    /// Routes in the table that is looked up.
    pub fn route_count(&self) -> u64 {
        if self.spec.way.routes() { self.spec.routes.len() as u64 } else { 0 }
    }
}
