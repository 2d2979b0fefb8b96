//! A packet socket's transmit ring: slots that the sender fills and the kernel empties
//! (TPACKET_V2).
//!
//! A `virtio_net_hdr` before each frame asks the kernel to copy the frame whole: without it a frame
//! is a page of the ring behind a header of 14 bytes, which every receiver has to put together
//! (1,117 and 868 ns a frame with and without, measured over veth).
//!
//! A driver that has no room loses a frame, and the kernel keeps the frame at the head of the ring
//! to try again. A wire has no such mercy, and the receiver's loss would look like the sender's
//! weakness. So the slot is spoiled, and the kernel passes over it
//! ([`super::packet::skip_bad_frames`]). A slot is free again once the receiver let go of its frame.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

use super::ring::{OFFLOAD_HEADER, Request};
use super::sockopt;

/// Where the frame's offload header begins: behind the kernel's header, aligned to 16 bytes.
const HEADER: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);
/// Where the frame itself begins.
const FRAME: usize = HEADER + OFFLOAD_HEADER;
/// Bytes of a block: slots do not cross its end.
const BLOCK_SIZE: usize = 64 << 10;
/// The most that is copied; behind it the frame stays in its pages, so that a jumbo frame needs
/// no contiguous memory.
const COPIED: usize = 2048;

/// The mapped ring of one socket.
#[derive(Debug)]
pub struct TxRing {
    base: NonNull<u8>,
    size: usize,
    slot_size: usize,
    slots: usize,
    /// The slot to fill next.
    next: usize,
    /// The oldest slot that the kernel may not have taken.
    oldest: usize,
    /// Frames from there on.
    waiting: usize,
}

// SAFETY: the ring is the only handle to its mapping, so it may move to another thread.
unsafe impl Send for TxRing {}

impl TxRing {
    /// Asks the kernel for a ring of at least `slots` slots for frames of up to `largest` bytes,
    /// and maps it. `fd` should skip bad frames already, and gets its offload header here.
    ///
    /// # Errors
    /// `ENOMEM`, or `EINVAL` for frames larger than a block.
    pub fn new(fd: impl AsFd, slots: usize, largest: usize) -> io::Result<Self> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let number = |n: usize| u32::try_from(n).map_err(|_| invalid());
        let slot_size = (FRAME + largest).next_power_of_two();
        if slot_size > BLOCK_SIZE || slots == 0 {
            return Err(invalid());
        }
        let blocks = (slots * slot_size).div_ceil(BLOCK_SIZE);
        let slots = blocks * (BLOCK_SIZE / slot_size);
        let size = blocks * BLOCK_SIZE;
        super::packet::offload_header(fd.as_fd())?;
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        sockopt::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let request = Request {
            block_size: number(BLOCK_SIZE)?,
            blocks: number(blocks)?,
            slot_size: number(slot_size)?,
            slots: number(slots)?,
        };
        sockopt::set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_TX_RING, &request)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new shared mapping of the socket's ring, at an address that the kernel picks.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), size, protection, flags, fd.as_fd(), 0)
        }?;
        let base = NonNull::new(base.cast::<u8>()).expect("mmap does not return null");
        Ok(Self { base, size, slot_size, slots, next: 0, oldest: 0, waiting: 0 })
    }

    fn slot(&self, slot: usize) -> NonNull<u8> {
        debug_assert!(slot < self.slots);
        // SAFETY: a block is a whole number of slots, so slot `slot` < `slots` begins and ends
        // inside the mapping.
        unsafe { self.base.add(slot * self.slot_size) }
    }

    fn status(&self, slot: usize) -> &AtomicU32 {
        let word = self.slot(slot).cast::<u32>().as_ptr();
        // SAFETY: a slot begins with its status word, aligned to 16 bytes, and both sides use it
        // atomically.
        unsafe { AtomicU32::from_ptr(word) }
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots { 0 } else { slot + 1 }
    }

    /// Lets `write` fill the next free slot, if there is one, and says whether there was; `write`
    /// returns the frame's size in bytes. The frame goes out with the next [`TxRing::flush`], and
    /// the kernel does what the offload header `open` leaves to it, if it is one.
    ///
    /// # Panics
    /// When `write` claims more bytes than it was given.
    #[inline]
    pub fn fill(
        &mut self,
        open: Option<[u8; OFFLOAD_HEADER]>,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> bool {
        let slot = self.next;
        if self.waiting == self.slots
            || self.status(slot).load(Ordering::Acquire) != libc::TP_STATUS_AVAILABLE
        {
            return false;
        }
        let base = self.slot(slot);
        // SAFETY: the frame's place lies inside the slot.
        let place = unsafe { base.add(FRAME) };
        // SAFETY: the range ends with the slot, and the slot is the sender's alone while its
        // status says that it is available.
        let frame =
            unsafe { std::slice::from_raw_parts_mut(place.as_ptr(), self.slot_size - FRAME) };
        let size = write(frame);
        assert!(size <= frame.len(), "a frame fits the slot that it was written to");
        self.commit(slot, size, open);
        self.next = self.after(slot);
        self.waiting += 1;
        true
    }

    /// Gives the slot to the kernel.
    fn commit(&mut self, slot: usize, size: usize, open: Option<[u8; OFFLOAD_HEADER]>) {
        let base = self.slot(slot);
        let copied = u16::try_from(size.min(COPIED)).expect("COPIED is small");
        let mut offload = open.unwrap_or_default();
        offload[2..4].copy_from_slice(&copied.to_ne_bytes());
        // SAFETY: the offload header lies inside the slot, before the frame.
        let place = unsafe { base.add(HEADER) };
        // SAFETY: the slot is the sender's until the status is stored below; bytes need no
        // alignment.
        unsafe { place.cast::<[u8; OFFLOAD_HEADER]>().write(offload) };
        let len = u32::try_from(OFFLOAD_HEADER + size).expect("a slot is small");
        let header = base.cast::<libc::tpacket2_hdr>().as_ptr();
        // SAFETY: the slot begins with this header, aligned, so the field's place lies inside it.
        let tp_len = unsafe { &raw mut (*header).tp_len };
        // SAFETY: the place was made just now, and the slot is the sender's.
        unsafe { tp_len.write(len) };
        self.status(slot).store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
    }

    /// Sends what was filled in, up to the first frame that the driver has no room for: that one is
    /// given up, and the next call goes on behind it.
    ///
    /// # Errors
    /// As send(2), for want of a link or of the interface; the frames stay.
    #[inline]
    pub fn flush(&mut self, fd: impl AsFd) -> io::Result<Flushed> {
        let fd = fd.as_fd().as_raw_fd();
        while self.waiting > 0 {
            let before = self.waiting;
            // SAFETY: no buffer is given: the kernel takes frames from the ring.
            let sent = unsafe { libc::send(fd, std::ptr::null(), 0, libc::MSG_DONTWAIT) };
            let error = (sent < 0).then(io::Error::last_os_error);
            self.note_taken();
            match error.as_ref().and_then(io::Error::raw_os_error) {
                None if self.waiting == before => return Ok(Flushed::NoMemory),
                // It may stop early, and says why at the next call.
                None => {}
                Some(libc::ENOBUFS) if self.waiting > 0 => {
                    return Ok(Flushed::Refused { size: self.spoil(self.oldest).unwrap_or(0) });
                }
                Some(libc::ENOBUFS) => {}
                Some(libc::EAGAIN | libc::ENOMEM) => return Ok(Flushed::NoMemory),
                Some(_) => return Err(error.expect("it has a number")),
            }
        }
        Ok(Flushed::All)
    }

    /// Passes over the slots that the kernel has taken since the last look.
    #[inline]
    fn note_taken(&mut self) {
        while self.waiting > 0
            && self.status(self.oldest).load(Ordering::Acquire) != libc::TP_STATUS_SEND_REQUEST
        {
            self.oldest = self.after(self.oldest);
            self.waiting -= 1;
        }
    }

    /// Gives up all frames that wait; returns how many those are, and their bytes.
    #[cold]
    pub fn discard(&mut self) -> (usize, usize) {
        let (mut frames, mut bytes) = (0, 0);
        let mut slot = self.oldest;
        for _ in 0..self.waiting {
            if let Some(size) = self.spoil(slot) {
                frames += 1;
                bytes += size;
            }
            slot = self.after(slot);
        }
        (frames, bytes)
    }

    /// Makes a frame that waits one that the kernel passes over: its offload header asks for more
    /// bytes than it has. Returns the frame's size, unless it was made so before.
    #[cold]
    fn spoil(&mut self, slot: usize) -> Option<usize> {
        const SPOILED: [u8; 2] = [0xff; 2];
        let base = self.slot(slot);
        // SAFETY: the offload header lies inside the slot.
        let place = unsafe { base.add(HEADER + 2) };
        // SAFETY: the kernel only reads the slot, within send(2), which this thread alone calls.
        let before = unsafe { place.cast::<[u8; 2]>().replace(SPOILED) };
        // SAFETY: the slot begins with this header, aligned, which `commit` wrote.
        let header = unsafe { base.cast::<libc::tpacket2_hdr>().read() };
        (before != SPOILED).then_some(header.tp_len as usize - OFFLOAD_HEADER)
    }

    /// Whether frames wait for [`TxRing::flush`], those that were given up among them.
    pub fn is_waiting(&self) -> bool {
        self.waiting > 0
    }
}

/// How a [`TxRing::flush`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is on its way.
    All,
    /// The driver had no room for a frame of this size; more may wait.
    Refused {
        /// Its size in bytes.
        size: usize,
    },
    /// The kernel has no memory for more frames under way; they wait.
    NoMemory,
}

impl Drop for TxRing {
    fn drop(&mut self) {
        // SAFETY: base and size are those of the mapping that `new` made, unmapped once, here.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size) };
    }
}
