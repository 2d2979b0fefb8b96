//! A ring that one side fills and the other empties, in memory that the kernel shares.
//!
//! Both positions run on and wrap at 2^32; a ring's length is a power of two. The process is the
//! producer of the fill and send rings and the consumer of the completion and receive rings: each
//! method is for one of the two.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::super::sockopt;
use super::{Offsets, Which};

/// `struct xdp_desc`: a frame's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Place {
    /// From the start of the registered memory.
    pub(super) address: u64,
    pub(super) len: u32,
    pub(super) options: u32,
}

/// A mapped ring of `T`.
#[derive(Debug)]
pub(super) struct Ring<T> {
    base: NonNull<u8>,
    size: usize,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    len: u32,
    /// This side's position, ahead of what the other side was told.
    own: u32,
    /// The other side's position when it was last looked at.
    other: u32,
    kind: PhantomData<T>,
}

// SAFETY: the ring is the only handle to its mapping, so it may move to another thread.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Ring<T> {
    /// Makes a ring of `len` entries, a power of two, at a socket, and maps it.
    pub(super) fn new(
        fd: BorrowedFd<'_>,
        which: Which,
        len: u32,
        offsets: &Offsets,
    ) -> io::Result<Self> {
        let (option, page) = which.numbers();
        sockopt::set(fd, libc::SOL_XDP, option, &len)?;
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let at = |offset: u64| usize::try_from(offset).map_err(|_| invalid());
        let entries_at = at(offsets.entries)?;
        let size = entries_at + len as usize * size_of::<T>();
        let word = |offset: u64| {
            let offset = at(offset)?;
            let fits = offset.is_multiple_of(4) && offset + 4 <= size;
            if fits { Ok(offset) } else { Err(invalid()) }
        };
        let (producer, consumer, flags) =
            (word(offsets.producer)?, word(offsets.consumer)?, word(offsets.flags)?);
        if !len.is_power_of_two() || !entries_at.is_multiple_of(align_of::<T>()) {
            return Err(invalid());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let how = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new shared mapping of the socket's ring, at an address that the kernel picks.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), size, protection, how, fd.as_fd(), page)
        }?;
        // A child between fork and exec would keep the socket alive.
        // SAFETY: the range is the mapping made above.
        let _ = unsafe { rustix::mm::madvise(base, size, Advice::LinuxDontFork) };
        let base = NonNull::new(base.cast::<u8>()).expect("mmap does not return null");
        // SAFETY: all four offsets were found to lie inside the mapping.
        let [producer, consumer, flags, entries] =
            [producer, consumer, flags, entries_at].map(|offset| unsafe { base.add(offset) });
        Ok(Self {
            base,
            size,
            producer: producer.cast(),
            consumer: consumer.cast(),
            flags: flags.cast(),
            entries: entries.cast(),
            len,
            own: 0,
            other: 0,
            kind: PhantomData,
        })
    }

    fn word(word: &NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: the words lie inside the mapping, aligned (see `new`), as long as the ring is
        // there, and both sides use them atomically.
        unsafe { word.as_ref() }
    }

    fn entry(&self, position: u32) -> NonNull<T> {
        // SAFETY: masked to the ring's length, so inside the mapping.
        unsafe { self.entries.add((position & (self.len - 1)) as usize) }
    }

    /// Whether the kernel asks to be told about new entries.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        Self::word(&self.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Producer: how many entries fit, at least `want` if there are so many.
    #[inline]
    pub(super) fn room(&mut self, want: u32) -> u32 {
        let room = self.len - self.own.wrapping_sub(self.other);
        if room >= want {
            return room;
        }
        self.other = Self::word(&self.consumer).load(Ordering::Acquire);
        self.len - self.own.wrapping_sub(self.other)
    }

    /// Producer: writes the next entry, for which [`Ring::room`] has found room; the kernel hears
    /// of it with [`Ring::publish`].
    #[inline]
    pub(super) fn push(&mut self, entry: T) {
        debug_assert!(self.own.wrapping_sub(self.other) < self.len);
        let place = self.entry(self.own);
        // SAFETY: entries from `own` up to the kernel's position plus the length are this side's.
        unsafe { place.write(entry) };
        self.own = self.own.wrapping_add(1);
    }

    /// Producer: tells the kernel of all that was pushed.
    #[inline]
    pub(super) fn publish(&self) {
        Self::word(&self.producer).store(self.own, Ordering::Release);
    }

    /// Producer: the kernel's position and this side's; entries between wait.
    #[inline]
    pub(super) fn waiting(&mut self) -> (u32, u32) {
        self.other = Self::word(&self.consumer).load(Ordering::Acquire);
        (self.other, self.own)
    }

    /// Producer: an entry that waits.
    pub(super) fn at(&self, position: u32) -> T {
        // SAFETY: the kernel only reads this ring's entries, and `push` has written each that
        // waits; any bytes are a valid T.
        unsafe { self.entry(position).read() }
    }

    /// Producer: replaces an entry that waits. The kernel must not be reading the ring now, or it
    /// may find either entry.
    pub(super) fn replace(&mut self, position: u32, entry: T) {
        // SAFETY: the place lies inside the mapping, and any bytes are a valid T to either side.
        unsafe { self.entry(position).write(entry) };
    }

    /// Consumer: how many entries wait, `most` at most.
    #[inline]
    pub(super) fn available(&mut self, most: u32) -> u32 {
        let known = self.other.wrapping_sub(self.own);
        if known >= most {
            return most;
        }
        self.other = Self::word(&self.producer).load(Ordering::Acquire);
        self.other.wrapping_sub(self.own).min(most).min(self.len)
    }

    /// Consumer: entry `i` of those that [`Ring::available`] has found.
    #[inline]
    pub(super) fn peek(&self, i: u32) -> T {
        // SAFETY: the kernel wrote the entry before its position (acquired), and does not touch it
        // until `release`; any bytes are a valid T.
        unsafe { self.entry(self.own.wrapping_add(i)).read() }
    }

    /// Consumer: gives `count` entries back.
    #[inline]
    pub(super) fn release(&mut self, count: u32) {
        self.own = self.own.wrapping_add(count);
        Self::word(&self.consumer).store(self.own, Ordering::Release);
    }

    /// Consumer: whether an entry waits.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        Self::word(&self.producer).load(Ordering::Relaxed) != self.own
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: base and size are those of the mapping that `new` made, unmapped once, here.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size) };
    }
}
