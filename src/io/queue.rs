//! What does a worker see of a port? One [`Queue`], which receives and sends batches.
//!
//! A variant for each kind of port, so that the choice costs one `match` a batch. Every frame is
//! accounted for by [`Counts`].

use std::os::fd::BorrowedFd;

use super::capture::CaptureQueue;
use super::memory::MemoryQueue;
use super::packet::PacketQueue;
use super::poll::Bell;
use super::tap::TapQueue;
use super::xdp::XdpQueue;
use crate::frame::{Batch, Outgoing, Pool};
use crate::ids::PortId;
use crate::time::Now;

/// What one call to [`Queue::receive`] or [`Queue::transmit`] did; every frame is in one of them.
///
/// Received: `frames` + `split` = rows pushed + `no_frame` + `too_long` + `super_frame`.
/// Sent: frames given + `split` = `frames` + `too_long` + `down` + `full` + `no_frame`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames received from, or sent to, the medium (a super-frame is one).
    pub frames: u32,
    /// Their bytes, from the Ethernet header, with all tags.
    pub bytes: u64,
    /// Frames that cutting super-frames made beyond the one received.
    pub split: u32,
    /// Dropped: no free frame in the pool for what came in, or for a segment that goes out.
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
pub enum Queue {
    /// Of a TAP.
    Tap(TapQueue),
    /// Of an interface, by packet sockets.
    Packet(Box<PacketQueue>),
    /// Of an interface, by XDP sockets.
    Xdp(Box<XdpQueue>),
    /// Of a cable inside this process.
    Memory(MemoryQueue),
    /// Of captures.
    Capture(Box<CaptureQueue>),
}

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
        match self {
            Queue::Tap(queue) => queue.receive(port, now, pool, batch),
            Queue::Packet(queue) => queue.receive(port, now, pool, batch),
            Queue::Xdp(queue) => queue.receive(port, now, pool, batch),
            Queue::Memory(queue) => queue.receive(port, now, batch),
            Queue::Capture(queue) => queue.receive(port, now, pool, batch),
        }
    }

    /// Sends the frames in order and gives them back to `pool`; `out` is empty afterwards.
    /// Never blocks.
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        match self {
            Queue::Tap(queue) => queue.transmit(out, pool),
            Queue::Packet(queue) => queue.transmit(out, pool),
            Queue::Xdp(queue) => queue.transmit(out, pool),
            Queue::Memory(queue) => queue.transmit(out, pool),
            Queue::Capture(queue) => queue.transmit(out, pool),
        }
    }

    /// What becomes readable when a frame comes in; `None` while nothing can.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Queue::Tap(queue) => queue.fd(),
            Queue::Packet(queue) => Some(queue.fd()),
            Queue::Xdp(queue) => queue.fd(),
            Queue::Memory(queue) => Some(queue.fd()),
            Queue::Capture(queue) => queue.fd(),
        }
    }

    /// Whether a frame is known to wait; a TAP knows only by reading.
    pub fn is_ready(&self) -> bool {
        match self {
            Queue::Tap(_) => false,
            Queue::Packet(queue) => queue.is_ready(),
            Queue::Xdp(queue) => queue.is_ready(),
            Queue::Memory(queue) => queue.is_ready(),
            Queue::Capture(queue) => queue.is_ready(),
        }
    }

    /// Whether reading it is a system call even when nothing is there.
    pub fn is_tap(&self) -> bool {
        matches!(self, Queue::Tap(_))
    }

    /// Whether the next [`Queue::receive`] of a TAP takes nothing.
    pub(super) fn skip(&mut self, skips: bool) {
        if let Queue::Tap(queue) = self {
            queue.skip(skips);
        }
    }

    /// Whether frames that are sent now would be lost for want of a link, as far as is known here;
    /// [`super::Port::link_state`] knows better.
    pub fn is_down(&self) -> bool {
        match self {
            Queue::Tap(queue) => queue.is_down(),
            Queue::Packet(queue) => queue.is_down(),
            Queue::Xdp(queue) => queue.is_down(),
            Queue::Memory(queue) => queue.is_down(),
            Queue::Capture(queue) => queue.is_down(),
        }
    }

    /// What has to be armed before a sleep on [`Queue::fd`].
    pub(super) fn bell(&self) -> Option<&Bell> {
        match self {
            Queue::Memory(queue) => Some(queue.bell()),
            _ => None,
        }
    }

    /// Takes an error away that would keep [`Queue::fd`] ready.
    pub(super) fn clear_error(&self) {
        match self {
            Queue::Packet(queue) => queue.clear_error(),
            Queue::Xdp(queue) => queue.clear_error(),
            _ => {}
        }
    }
}
