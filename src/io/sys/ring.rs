//! A packet socket's receive ring: slots that the kernel fills and the reader gives back
//! (TPACKET_V2).
//!
//! A slot belongs to the kernel or to the reader; its status word says to whom. [`Slot`] exists
//! only while it is the reader's, and gives it back when dropped.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags};
use zerocopy::{Immutable, IntoBytes};

use super::sockopt;

/// Bytes of the `virtio_net_hdr` before each frame.
pub const OFFLOAD_HEADER: usize = 10;

/// `struct tpacket_req`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Request {
    pub(super) block_size: u32,
    pub(super) blocks: u32,
    pub(super) slot_size: u32,
    pub(super) slots: u32,
}

/// The mapped ring of one socket.
#[derive(Debug)]
pub struct Ring {
    base: NonNull<u8>,
    size: usize,
    block_size: usize,
    slot_size: usize,
    slots_per_block: usize,
    slots: usize,
    next: usize,
}

// SAFETY: the ring is the only handle to its mapping, so it may move to another thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Asks the kernel for a ring of `blocks` blocks of `block_size` bytes, cut into slots of
    /// `slot_size`, and maps it. `fd` should have its offload header on already.
    ///
    /// # Errors
    /// `ENOMEM`, or `EINVAL` for sizes that do not fit pages (blocks) or 16 bytes (slots).
    pub fn new(
        fd: impl AsFd,
        block_size: usize,
        blocks: usize,
        slot_size: usize,
    ) -> io::Result<Self> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        if slot_size < size_of::<libc::tpacket2_hdr>() || block_size < slot_size || blocks == 0 {
            return Err(invalid());
        }
        let number = |n: usize| u32::try_from(n).map_err(|_| invalid());
        let slots_per_block = block_size / slot_size;
        let slots = slots_per_block * blocks;
        let size = block_size * blocks;
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        sockopt::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let request = Request {
            block_size: number(block_size)?,
            blocks: number(blocks)?,
            slot_size: number(slot_size)?,
            slots: number(slots)?,
        };
        sockopt::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new shared mapping of the socket's ring, at an address that the kernel picks.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), size, protection, flags, fd.as_fd(), 0)
        }?;
        let base = NonNull::new(base.cast::<u8>()).expect("mmap does not return null");
        Ok(Self { base, size, block_size, slot_size, slots_per_block, slots, next: 0 })
    }

    fn slot_base(&self, slot: usize) -> NonNull<u8> {
        let offset = slot / self.slots_per_block * self.block_size
            + slot % self.slots_per_block * self.slot_size;
        debug_assert!(offset + self.slot_size <= self.size);
        // SAFETY: `slot` < `slots`, so the offset lies inside the mapping.
        unsafe { self.base.add(offset) }
    }

    fn status(&self, slot: usize) -> &AtomicU32 {
        let word = self.slot_base(slot).cast::<u32>().as_ptr();
        // SAFETY: a slot begins with its status word, aligned to 16 bytes, and both sides use it
        // atomically.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Whether a frame waits.
    pub fn is_ready(&self) -> bool {
        self.status(self.next).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// The oldest frame that was not taken yet.
    #[inline]
    pub fn take(&mut self) -> Option<Slot<'_>> {
        let slot = self.next;
        let status = self.status(slot).load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        self.next = if slot + 1 == self.slots { 0 } else { slot + 1 };
        let header = self.slot_base(slot).cast::<libc::tpacket2_hdr>();
        // SAFETY: the status says that the slot is the reader's, and the kernel's header is at
        // its start; it was written before the status (acquired above).
        let header = unsafe { header.read() };
        let size = self.slot_size;
        let mac = usize::from(header.tp_mac).clamp(OFFLOAD_HEADER, size);
        let len = (header.tp_snaplen as usize).min(size - mac);
        // SAFETY: `mac` is at least the header's length and at most the slot's.
        let start = unsafe { self.slot_base(slot).add(mac - OFFLOAD_HEADER) };
        // SAFETY: the range lies inside the slot, which is the reader's until its status is
        // cleared; `Slot` does that when it is dropped, and borrows the ring until then.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), OFFLOAD_HEADER + len) };
        Some(Slot { ring: self, slot, status, header, bytes })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: base and size are those of the mapping that `new` made, unmapped once, here.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size) };
    }
}

/// A received frame in its slot.
#[derive(Debug)]
pub struct Slot<'a> {
    ring: &'a Ring,
    slot: usize,
    status: u32,
    header: libc::tpacket2_hdr,
    bytes: &'a mut [u8],
}

impl Slot<'_> {
    /// The `virtio_net_hdr`.
    #[inline(always)]
    pub fn offload_header(&self) -> &[u8] {
        &self.bytes[..OFFLOAD_HEADER]
    }

    /// The frame, without the outer tag that the kernel moved into metadata, as far as it fits.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[OFFLOAD_HEADER..]
    }

    /// The frame with its outer tag put back, as far as it fits; the offload header is lost.
    #[inline(always)]
    pub fn whole(&mut self) -> &[u8] {
        const MACS: usize = 12;
        const TAG: usize = 4;
        let Some((protocol, tci)) = self.tag() else { return self.bytes() };
        if self.bytes.len() < OFFLOAD_HEADER + MACS {
            return self.bytes();
        }
        let start = OFFLOAD_HEADER - TAG;
        self.bytes.copy_within(OFFLOAD_HEADER..OFFLOAD_HEADER + MACS, start);
        let tag = &mut self.bytes[start + MACS..start + MACS + TAG];
        tag[..2].copy_from_slice(&protocol.to_be_bytes());
        tag[2..].copy_from_slice(&tci.to_be_bytes());
        &self.bytes[start..]
    }

    /// Bytes of the frame as it came, without that tag.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.header.tp_len as usize
    }

    /// Whether the frame is empty.
    pub fn is_empty(&self) -> bool {
        self.header.tp_len == 0
    }

    /// Whether the slot was too small, and the frame stands whole in the socket's queue.
    #[inline(always)]
    pub fn has_copy(&self) -> bool {
        self.status & libc::TP_STATUS_COPY != 0
    }

    /// The outer tag: its protocol and its TCI.
    #[inline(always)]
    pub fn tag(&self) -> Option<(u16, u16)> {
        if self.status & libc::TP_STATUS_VLAN_VALID == 0 {
            return None;
        }
        let known = self.status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let protocol = if known { self.header.tp_vlan_tpid } else { 0x8100 };
        Some((protocol, self.header.tp_vlan_tci))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.ring.status(self.slot).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}
