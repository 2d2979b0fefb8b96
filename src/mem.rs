//! Memory that the hot path lives in: mappings on huge pages where there are any, and prefetch.
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// An anonymous, zeroed mapping; huge pages are asked for and not insisted on.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: a mapping is plain memory that belongs to this value alone.
unsafe impl Send for Mapping {}
// SAFETY: shared references give out nothing but the base address.
unsafe impl Sync for Mapping {}

const HUGE_PAGE: usize = 2 << 20;

impl Mapping {
    /// Maps at least `size` bytes of zeroes.
    ///
    /// # Errors
    /// When the kernel has no memory to give.
    pub fn new(size: usize) -> io::Result<Self> {
        let size = size.max(1).next_multiple_of(if size >= HUGE_PAGE { HUGE_PAGE } else { 4096 });
        // SAFETY: a fresh anonymous private mapping at an address that the kernel picks.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        // SAFETY: the range is the mapping made above. A refusal only costs speed.
        let _ = unsafe { rustix::mm::madvise(base, size, Advice::LinuxHugepage) };
        let base = NonNull::new(base.cast::<u8>()).expect("mmap does not return null");
        Ok(Self { base, size })
    }

    /// Where the mapping begins.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its length in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and size are those of the mapping that `new` made, unmapped once, here.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size) };
    }
}

/// Asks for the cache line at `place`; a hint that no value of `place` can make unsound.
#[inline(always)]
pub fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: PREFETCHT0 does not fault, whatever the address is.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
