//! What did the kernel take out of this frame? The receiving half of a packet queue.
//!
//! A frame leaves here as it was on the wire: the outer tag is put back in front (S-tag equal to
//! C-tag or not, exactly the one that was taken), a partial checksum is completed, a super-frame
//! is cut into its segments. Super-frames that do not fit a slot of the ring are read from the
//! socket's queue, where the kernel puts a copy; one is cut at a time, over as many turns as the
//! batches have room for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{RecvFlags, recv};

use super::super::port::Counts;
use super::super::sys::ring::{OFFLOAD_HEADER, Ring, Slot};
use super::super::tap::received;
use crate::frame::{Batch, Frame, HEADROOM, Pool, ROOM, Row};
use crate::ids::PortId;
use crate::time::Now;
use crate::wire::eth;
use crate::wire::offload::complete_checksum;
use crate::wire::segment::Segments;
use crate::wire::vlan;

/// Bytes of the two MAC addresses, behind which the outer tag stands.
const MACS: usize = 12;
/// What a tag that is put back moves offsets by.
#[expect(clippy::cast_possible_truncation, reason = "a tag has four bytes")]
const TAG: u16 = vlan::TAG as u16;
/// Longest super-frame: 64 KiB of IP behind an Ethernet header and tags, with some to spare.
const SUPER_FRAME: usize = (64 << 10) + 256;
/// Where a super-frame is put: room for the tag and the offload header before it.
const SUPER_OFF: usize = vlan::TAG + OFFLOAD_HEADER;

/// What a `virtio_net_hdr` says, in the host's byte order (legacy virtio on a packet socket).
#[derive(Clone, Copy, Debug)]
struct Offload {
    needs_checksum: bool,
    /// Kind of super-frame, without the ECN bit; 0 for an ordinary frame.
    gso_kind: u8,
    gso_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

const NEEDS_CHECKSUM: u8 = 1;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
const GSO_ECN: u8 = 0x80;

impl Offload {
    fn read(header: &[u8]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        Self {
            needs_checksum: header[0] & NEEDS_CHECKSUM != 0,
            gso_kind: header[1] & !GSO_ECN,
            gso_size: word(4),
            checksum_start: word(6),
            checksum_offset: word(8),
        }
    }

    fn can_be_cut(&self) -> bool {
        matches!(self.gso_kind, GSO_TCP4 | GSO_TCP6 | GSO_UDP)
    }
}

/// A super-frame that is being cut.
#[derive(Clone, Copy, Debug)]
struct Cutting {
    start: usize,
    end: usize,
    gso_size: u16,
    /// The next segment.
    next: usize,
}

/// The receiving socket and its ring.
#[derive(Debug)]
pub(super) struct Receiver {
    ring: Ring,
    socket: Arc<OwnedFd>,
    super_frame: Vec<u8>,
    cutting: Option<Cutting>,
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Receiver {
    pub(super) fn new(socket: OwnedFd, ring: Ring) -> Self {
        let super_frame = vec![0; SUPER_OFF + SUPER_FRAME];
        Self { ring, socket: Arc::new(socket), super_frame, cutting: None }
    }

    pub(super) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.cutting.is_some() || self.ring.is_ready()
    }

    pub(super) fn receive(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
    ) -> Counts {
        let mut counts = Counts::default();
        let origin = Row { port, arrival: now, ..Row::default() };
        self.cut(&origin, pool, batch, &mut counts);
        // Frames that are dropped here count as well, so that they cannot hold the turn.
        let mut left = crate::frame::BATCH;
        while left > 0 && !batch.is_full() {
            left -= 1;
            let Some(slot) = self.ring.take() else { break };
            let offload = Offload::read(slot.offload_header());
            let size = slot.len() + if slot.tag().is_some() { vlan::TAG } else { 0 };
            if offload.gso_kind == 0 && size <= ROOM && slot.bytes().len() == slot.len() {
                counts.frames += 1;
                counts.bytes += size as u64;
                let Some(mut frame) = pool.take() else {
                    counts.no_frame += 1;
                    continue;
                };
                place(&slot, &offload, &mut frame);
                let row = Row { port, arrival: now, ..received(size) };
                batch.push(frame, row).expect("the batch is not full");
                continue;
            }
            let taken = take_super_frame(&slot, &offload, &self.socket, &mut self.super_frame);
            drop(slot);
            match taken {
                Some(cutting) => {
                    self.cutting = Some(cutting);
                    self.cut(&origin, pool, batch, &mut counts);
                }
                None => {
                    counts.frames += 1;
                    counts.bytes += size as u64;
                    if offload.gso_kind == 0 {
                        counts.too_long += 1;
                    } else {
                        counts.super_frame += 1;
                    }
                }
            }
        }
        counts
    }

    /// Goes on cutting the super-frame in hand, as far as the batch has room.
    fn cut(&mut self, origin: &Row, pool: &mut Pool, batch: &mut Batch, counts: &mut Counts) {
        let Some(cutting) = &mut self.cutting else { return };
        let bytes = &self.super_frame[cutting.start..cutting.end];
        let Ok(segments) = Segments::new(bytes, cutting.gso_size) else {
            counts.frames += 1;
            counts.bytes += bytes.len() as u64;
            counts.super_frame += 1;
            self.cutting = None;
            return;
        };
        while cutting.next < segments.len() && !batch.is_full() {
            if cutting.next == 0 {
                counts.frames += 1;
                counts.bytes += bytes.len() as u64;
            } else {
                counts.split += 1;
            }
            let segment = cutting.next;
            cutting.next += 1;
            let Some(mut frame) = pool.take() else {
                counts.no_frame += 1;
                continue;
            };
            let Some(size) = segments.write(segment, &mut frame[HEADROOM..]) else {
                counts.too_long += 1;
                pool.put(frame);
                continue;
            };
            let row = Row { port: origin.port, arrival: origin.arrival, ..received(size) };
            batch.push(frame, row).expect("the batch is not full");
        }
        if cutting.next >= segments.len() {
            self.cutting = None;
        }
    }
}

/// Copies an ordinary frame behind the headroom, its tag and its checksum put back.
#[inline]
fn place(slot: &Slot<'_>, offload: &Offload, frame: &mut Frame) {
    let bytes = slot.bytes();
    let size = match slot.tag() {
        Some(tag) if bytes.len() >= MACS => {
            let after = HEADROOM + MACS + vlan::TAG;
            frame[HEADROOM..HEADROOM + MACS].copy_from_slice(&bytes[..MACS]);
            frame[HEADROOM + MACS..after].copy_from_slice(&tag_bytes(tag));
            frame[after..after + bytes.len() - MACS].copy_from_slice(&bytes[MACS..]);
            bytes.len() + vlan::TAG
        }
        _ => {
            frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }
    };
    if offload.needs_checksum {
        let start =
            offload.checksum_start.saturating_add(if slot.tag().is_some() { TAG } else { 0 });
        // A place outside the frame leaves it as it came; its checksum will not hold.
        let _ = complete_checksum(
            &mut frame[HEADROOM..HEADROOM + size],
            start,
            offload.checksum_offset,
        );
    }
}

fn tag_bytes((protocol, tci): (u16, u16)) -> [u8; vlan::TAG] {
    let ([a, b], [c, d]) = (protocol.to_be_bytes(), tci.to_be_bytes());
    [a, b, c, d]
}

/// Moves a super-frame out of its slot, or out of the socket's queue, into `buffer`; `None` when
/// it cannot be cut or is not there whole.
#[cold]
fn take_super_frame(
    slot: &Slot<'_>,
    offload: &Offload,
    socket: &OwnedFd,
    buffer: &mut [u8],
) -> Option<Cutting> {
    let len = if slot.has_copy() {
        // Read even what cannot be cut: copies come in the order of their slots.
        let (copied, whole) =
            recv(socket, &mut buffer[vlan::TAG..], RecvFlags::DONTWAIT | RecvFlags::TRUNC).ok()?;
        if copied < whole {
            return None;
        }
        whole.checked_sub(OFFLOAD_HEADER)?
    } else {
        let bytes = slot.bytes();
        buffer[SUPER_OFF..SUPER_OFF + bytes.len()].copy_from_slice(bytes);
        bytes.len()
    };
    if len != slot.len() || len < eth::HEADER || !offload.can_be_cut() {
        return None;
    }
    let end = SUPER_OFF + len;
    let start = match slot.tag() {
        None => SUPER_OFF,
        Some(tag) => {
            let start = SUPER_OFF - vlan::TAG;
            buffer.copy_within(SUPER_OFF..SUPER_OFF + MACS, start);
            buffer[start + MACS..start + MACS + vlan::TAG].copy_from_slice(&tag_bytes(tag));
            start
        }
    };
    Some(Cutting { start, end, gso_size: offload.gso_size, next: 0 })
}
