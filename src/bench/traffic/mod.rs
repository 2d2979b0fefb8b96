//! Which frames are sent? Each lane of a trial has a [`Stream`] that writes its frames by number.
//!
//! | file | question |
//! |---|---|
//! | [`size`] | how long is a frame, and how many does a wire carry |
//! | [`genome`] | which sizes, in which order |
//! | [`flows`] | which addresses and ports |
//! | [`probe`] | how does the sink know a frame again |
//! | [`stream`] | which bytes: template, flow, probe, checksums |
//! | [`learn`] | what did a NAT make of each flow |

pub mod flows;
pub mod genome;
pub mod learn;
pub mod probe;
pub mod size;
pub mod stream;

pub use flows::Flows;
pub use genome::Genome;
pub use learn::{Learned, Learner};
pub use probe::Probe;
pub use stream::{Frames, Layer2};

/// The frames of one lane.
pub trait Stream {
    /// Writes frame number `probe.seq` with its probe into `buf`, from its Ethernet header on, all
    /// checksums right; returns its size in bytes, without check sequence. The same number
    /// always gives the same addresses, ports and size.
    fn write(&mut self, probe: &Probe, buf: &mut [u8]) -> usize;

    /// Flows that the stream cycles through: frames whose numbers are equal modulo this belong to
    /// one flow.
    fn flows(&self) -> u64;
}
