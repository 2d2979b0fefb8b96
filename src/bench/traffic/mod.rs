//! Which frames are sent? Each lane of a trial has a [`Stream`] that writes its frames by number.

pub mod probe;

pub use probe::Probe;

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
