//! What did the kernel take out of this frame? The receiving half of a packet queue.
//!
//! A frame leaves here with the outer tag put back in front (S-tag equal to C-tag or not, exactly
//! the one that was taken); a partial checksum stays partial, and a super-frame whole. Super-frames
//! that do not fit a slot of the ring are read from the socket's queue, where the kernel puts a
//! copy, into a long frame.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{RecvFlags, recv};

use super::super::port::Counts;
use super::super::sys::ring::{OFFLOAD_HEADER, Ring, Slot};
use super::super::tap::{ENOUGH, Lost, received};
use crate::frame::{Batch, Frame, HEADROOM, LONG_ROOM, Pool, ROOM, Row};
use crate::ids::PortId;
use crate::time::Now;
use crate::wire::eth;
use crate::wire::virtio::OffloadHeader;
use crate::wire::vlan;

/// Bytes of the two MAC addresses, behind which the outer tag stands.
const MACS: usize = 12;
/// Where a frame is put first whose tag is put back in front afterwards.
const UNTAGGED: usize = HEADROOM + vlan::TAG;

/// The receiving socket and its ring.
#[derive(Debug)]
pub(super) struct Receiver {
    ring: Ring,
    socket: Arc<OwnedFd>,
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Receiver {
    pub(super) fn new(socket: OwnedFd, ring: Ring) -> Self {
        Self { ring, socket: Arc::new(socket) }
    }

    pub(super) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ring.is_ready()
    }

    pub(super) fn receive(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
    ) -> Counts {
        let mut counts = Counts::default();
        // Frames that are dropped here count as well, so that they cannot hold the turn.
        let mut left = crate::frame::BATCH;
        while left > 0 && !batch.is_full() && counts.bytes < ENOUGH {
            left -= 1;
            let Some(slot) = self.ring.take() else { break };
            let mut header = OffloadHeader::read(slot.offload_header());
            let mut size = slot.len();
            if slot.tag().is_some() {
                header = header.behind_tag();
                size += vlan::TAG;
            }
            counts.frames += 1;
            counts.bytes += size as u64;
            let taken = if size <= ROOM && slot.bytes().len() == slot.len() {
                pool.take().map(|frame| place(&slot, frame)).ok_or(Lost::NoFrame)
            } else {
                place_long(&slot, &header, &self.socket, pool)
            };
            let mut frame = match taken {
                Ok(frame) => frame,
                Err(lost) => {
                    lost.note(&mut counts);
                    continue;
                }
            };
            match header.settle(&mut frame.all_mut()[HEADROOM..HEADROOM + size]) {
                Ok(open) => {
                    let row = Row { port, arrival: now, ..received(size, open) };
                    batch.push(frame, row).expect("the batch is not full");
                }
                Err(_) => {
                    counts.super_frame += 1;
                    pool.put(frame);
                }
            }
        }
        counts
    }
}

/// Copies a frame that fits behind the headroom, its tag put back.
#[inline]
fn place(slot: &Slot<'_>, mut frame: Frame) -> Frame {
    let bytes = slot.bytes();
    match slot.tag() {
        Some(tag) if bytes.len() >= MACS => {
            let after = HEADROOM + MACS + vlan::TAG;
            frame[HEADROOM..HEADROOM + MACS].copy_from_slice(&bytes[..MACS]);
            frame[HEADROOM + MACS..after].copy_from_slice(&tag_bytes(tag));
            frame[after..after + bytes.len() - MACS].copy_from_slice(&bytes[MACS..]);
        }
        _ => frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes),
    }
    frame
}

fn tag_bytes((protocol, tci): (u16, u16)) -> [u8; vlan::TAG] {
    let ([a, b], [c, d]) = (protocol.to_be_bytes(), tci.to_be_bytes());
    [a, b, c, d]
}

/// Moves a super-frame out of its slot, or out of the socket's queue, behind the headroom of a long
/// frame, its tag put back.
#[cold]
fn place_long(
    slot: &Slot<'_>,
    header: &OffloadHeader,
    socket: &OwnedFd,
    pool: &mut Pool,
) -> Result<Frame, Lost> {
    let refuse = |lost| {
        // Read even what is dropped: copies come in the order of their slots.
        if slot.has_copy() {
            let _ = recv(socket, &mut [0_u8; OFFLOAD_HEADER][..], RecvFlags::DONTWAIT);
        }
        Err(lost)
    };
    if !header.is_super_frame() {
        return refuse(Lost::TooLong);
    }
    if slot.len() < eth::HEADER || slot.len() + vlan::TAG > LONG_ROOM {
        return refuse(Lost::SuperFrame);
    }
    let Some(mut frame) = pool.take_long() else { return refuse(Lost::NoFrame) };
    let all = frame.all_mut();
    let start = if slot.tag().is_some() { UNTAGGED } else { HEADROOM };
    let len = if slot.has_copy() {
        let room = &mut all[start - OFFLOAD_HEADER..];
        match recv(socket, room, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, whole)) => whole.saturating_sub(OFFLOAD_HEADER),
            Err(_) => 0,
        }
    } else {
        let bytes = slot.bytes();
        all[start..start + bytes.len()].copy_from_slice(bytes);
        bytes.len()
    };
    if len != slot.len() {
        pool.put(frame);
        return Err(Lost::SuperFrame);
    }
    if let Some(tag) = slot.tag() {
        all.copy_within(UNTAGGED..UNTAGGED + MACS, HEADROOM);
        all[HEADROOM + MACS..UNTAGGED + MACS].copy_from_slice(&tag_bytes(tag));
    }
    Ok(frame)
}
