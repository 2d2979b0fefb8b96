//! What holds for the whole process: the edition of the service's rules, workers, the API.

use std::path::PathBuf;

/// Which text of the service's rules holds where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edition {
    /// The service as it is documented today.
    #[default]
    Today,
    /// The older rules that today's replaced.
    Seed,
}

/// Rules of the service as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Which text of the rules holds.
    pub edition: Edition,
    /// Whether bandwidths and the limits of gateways are enforced on packets.
    pub limits: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self { edition: Edition::Today, limits: true }
    }
}

/// How workers run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// How many; `None` leaves it to the program (one for each core that it may use, less one).
    pub count: Option<u8>,
    /// The cores that workers are pinned to, in order; empty pins none.
    pub pin: Vec<u16>,
    /// Whether workers poll even when they are idle.
    pub poll: bool,
}

/// The HTTP interface on a Unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// Path of the socket; `None` takes the program's default.
    pub socket: Option<PathBuf>,
}

/// The ICMP errors that thruway originates itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Errors a second that one router address may send; 0 sends none (RFC 1812 4.3.2.8).
    pub rate: u32,
    /// Errors that may be sent at once before the rate holds.
    pub burst: u32,
}

impl Default for Icmp {
    fn default() -> Self {
        Self { rate: 100, burst: 50 }
    }
}
