//! What does control need to see? ARP for the routers' addresses, and requests to resolve a
//! neighbour; through a bounded ring, counted when it is full.
//!
//! - **Reads** `attachment`.
//! - **Writes** nothing.
//! - **Ends** everything it is given: punted.

use super::Context;
use crate::frame::{Batch, Bits, Frame, Row};
use crate::ids::{AttachmentId, NeighbourId};

/// Something for control.
#[derive(Debug)]
pub enum Punt {
    /// A frame that control answers or learns from; its row names the attachment.
    Frame(Frame, Row),
    /// A wish without a frame.
    Message(Message),
}

/// A wish to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Ask for this neighbour's MAC address.
    Resolve(NeighbourId),
    /// Ask who has this address on a connected prefix.
    Glean(AttachmentId, u32),
}

/// Gives the frames of `set` to control.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    for i in Bits(set) {
        let (frame, row) = batch.take(i);
        cx.out.punts.push(Punt::Frame(frame, row));
    }
}
