//! How do frames get to what is measured and back? A [`Tester`] sends and receives them; a
//! [`Device`] is the forwarder between, with what it counts.
//!
//! A medium's tester never blocks and makes no frame of its own. A *lane* is one direction of
//! traffic: lane 0 enters on-premises' side and comes out at Azure's, lane 1 the other way round.

pub mod cable;
pub mod calibrate;
pub mod churn;
pub mod cores;
pub mod device;
pub mod drops;
pub mod error;
pub mod fault;
pub mod memory;
pub mod ring;
pub mod site;
pub mod socket;
pub mod tap;
pub mod veth;
pub mod wire;
pub mod wiring;

use std::io;

pub use churn::{Changed, Churn};
pub use cores::Cores;
pub use error::MediumError;
pub(in crate::bench) use site::take_in;
pub use site::{Intake, Site};
pub use socket::Sockets;
pub use wiring::{Lane, Plan, Wire};

use super::record::trial::DeviceFrames;

/// Most frames of one call.
pub const BURST: usize = 64;

/// The generator's and the sink's end of a medium.
pub trait Tester {
    /// Sends up to `want` frames of a lane. `write` fills each buffer and returns the frame's
    /// size in bytes, without check sequence; it is called once for each frame that is taken, in
    /// order. Returns how many were taken: fewer when the medium has no room now.
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize>;

    /// Shows each frame that waits at the far end of a lane to `look`, [`BURST`] at most; returns
    /// how many.
    fn receive(&mut self, lane: usize, look: impl FnMut(&[u8])) -> io::Result<usize>;

    /// Lets a device that shares this thread work; does nothing for others.
    fn step(&mut self);

    /// Frames that the tester or the medium lost since the last call, by the name of the counter.
    fn drops(&mut self) -> io::Result<Vec<(String, u64)>>;

    /// The changes that it makes to routes in its steps, if it can.
    fn churn(&mut self) -> Option<&mut Churn> {
        None
    }
}

/// What is measured.
pub trait Device {
    /// Its name: `thruway`, `kernel`, `testpmd`, `null`.
    fn name(&self) -> &str;

    /// What it counted since it started; `None` when it keeps no accounts. Its share of idle turns
    /// alone is of the time since the call before.
    /// What it counted since it started; `None` when it keeps no accounts. The share of idle turns
    /// is that since the last call.
    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>>;

    /// Its threads, for the sensors: a name and the thread's id in the kernel.
    fn threads(&self) -> Vec<(String, u32)>;

    /// Forgets all sessions, so that a trial begins as the one before; says whether it can.
    fn reset(&mut self) -> io::Result<bool>;
}

#[cfg(test)]
mod tests;
impl<T: Tester> Tester for &mut T {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        (**self).send(lane, want, write)
    }

    fn receive(&mut self, lane: usize, look: impl FnMut(&[u8])) -> io::Result<usize> {
        (**self).receive(lane, look)
    }

    fn step(&mut self) {
        (**self).step();
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        (**self).drops()
    }

    fn churn(&mut self) -> Option<&mut Churn> {
        (**self).churn()
    }
}
