//! A frame on its way to a port.

use super::{Frame, Row};
use crate::time::Now;

/// A frame with the place of its bytes: what a port needs to transmit it.
#[derive(Debug)]
pub struct Outgoing {
    /// The buffer.
    pub frame: Frame,
    /// Where the Ethernet header begins.
    pub off: u16,
    /// Bytes from there.
    pub len: u16,
    /// Place in its batch of the packet that caused it; a replay sends in this order.
    pub order: u8,
    /// When the packet that caused it came in.
    pub at: Now,
}

impl Outgoing {
    /// The frame as its row describes it.
    #[expect(clippy::cast_possible_truncation, reason = "a frame is shorter than its buffer")]
    pub fn new(frame: Frame, row: &Row) -> Self {
        Self { frame, off: row.off, len: row.len as u16, order: row.order, at: row.arrival }
    }

    /// The bytes to transmit.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        &self.frame[usize::from(self.off)..usize::from(self.off) + usize::from(self.len)]
    }
}
