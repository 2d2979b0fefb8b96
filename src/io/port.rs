//! What a worker and control see of any port, whatever stands behind it.

use crate::frame::{Batch, Outgoing, Pool};
use crate::ids::PortId;
use crate::time::Now;

/// What one call to [`Queue::receive`] or [`Queue::transmit`] did; every frame is in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames received from, or sent to, the medium (a super-frame is one).
    pub frames: u32,
    /// Their bytes, from the Ethernet header, with all tags.
    pub bytes: u64,
    /// Frames that cutting super-frames made beyond the one received.
    pub split: u32,
    /// Received and dropped: no free frame in the pool.
    pub no_frame: u32,
    /// Dropped: too long for a buffer, or for the way out.
    pub too_long: u32,
    /// Received and dropped: a super-frame that cannot be cut.
    pub super_frame: u32,
    /// Not sent: the port is down or gone.
    pub down: u32,
    /// Not sent: the queue is full.
    pub full: u32,
}

/// One worker's share of a port.
#[derive(Debug)]
pub enum Queue {}

impl Queue {
    /// Receives frames into the free places of `batch`, each with a row that has `off`, `len`,
    /// `port` and `arrival` set. Never blocks.
    pub fn receive(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
    ) -> Counts {
        let _ = (port, now, pool, batch);
        match *self {}
    }

    /// Sends the frames in order and gives them back to `pool`; `out` is empty afterwards.
    /// Never blocks.
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        let _ = (out, pool);
        match *self {}
    }
}
