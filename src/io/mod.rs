//! The outside: ports, clocks and the system calls under them.
//!
//! ```text
//!  control ── Port ──┐ link state, carrier, reopen
//!                    │
//!  worker ── Queue ──┴── tap | packet | xdp | memory | capture ── sys
//!        └── Sleeper (poll), clock
//! ```

pub mod capture;
pub mod clock;
mod cut;
mod device;
pub mod error;
pub mod guard;
mod mail;
pub mod memory;
pub mod netns;
pub mod packet;
pub mod pcap;
pub mod poll;
pub mod port;
pub mod queue;
pub mod steer;
pub mod sys;
pub mod tap;
pub mod xdp;

#[cfg(test)]
mod tests;

pub use capture::{CaptureSpec, Pace};
pub use error::PortError;
pub use netns::Netns;
pub use packet::PacketSpec;
pub use poll::{Idle, Sleeper, Waker, look};
pub use port::{Counts, LinkState, Port, PortKind, PortSpec, Queue};
pub use tap::{Steering, TapSpec};
pub use xdp::{XdpMode, XdpSpec};
