//! Memory that the hot path lives in: mappings on huge pages where there are any, and prefetch.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{Advice, MapFlags, ProtFlags};
use zerocopy::FromZeros;

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

    /// Reserves at least `size` bytes of address space that read as zeroes; memory is taken page by
    /// page (4 KiB) as it is written, and `MAP_NORESERVE` keeps the rest out of the kernel's books.
    ///
    /// # Errors
    /// When the kernel has no address space to give, or keeps strict books.
    pub fn reserve(size: usize) -> io::Result<Self> {
        let size = size.max(1).next_multiple_of(if size >= HUGE_PAGE { HUGE_PAGE } else { 4096 });
        // SAFETY: a fresh anonymous private mapping at an address that the kernel picks.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        // SAFETY: the range is the mapping made above. A refusal only costs memory, where the
        // system hands out huge pages unasked.
        let _ = unsafe { rustix::mm::madvise(base, size, Advice::LinuxNoHugepage) };
        let base = NonNull::new(base.cast::<u8>()).expect("mmap does not return null");
        Ok(Self { base, size })
    }

    /// Asks for huge pages from byte `from` to the end; a hint.
    pub fn want_huge(&self, from: usize) {
        let from = from.next_multiple_of(4096).min(self.size);
        // SAFETY: `from` is at most `size`, so the address stays inside the mapping or at its end.
        let start = unsafe { self.base.as_ptr().add(from) };
        // SAFETY: the range is inside the mapping. A refusal only costs speed.
        let _ =
            unsafe { rustix::mm::madvise(start.cast(), self.size - from, Advice::LinuxHugepage) };
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

/// A fixed array of `LEN` items, all zeroes at first, whose memory is taken as it is written: the
/// address of an item never changes, and an index masked to `LEN` needs no bounds check.
#[derive(Debug)]
pub struct HugeVec<T, const LEN: usize> {
    mapping: Mapping,
    items: PhantomData<T>,
}

impl<T: FromZeros, const LEN: usize> HugeVec<T, LEN> {
    /// Reserves the array.
    ///
    /// # Errors
    /// When the kernel has no address space to give.
    pub fn reserve() -> io::Result<Self> {
        const {
            assert!(!std::mem::needs_drop::<T>(), "items are unmapped, not dropped");
            assert!(align_of::<T>() <= 4096, "a mapping is aligned to a page");
        }
        Ok(Self { mapping: Mapping::reserve(size_of::<[T; LEN]>())?, items: PhantomData })
    }

    /// Asks for huge pages from item `from` to the end; a hint.
    pub fn want_huge(&self, from: usize) {
        self.mapping.want_huge(from * size_of::<T>());
    }
}

impl<T: FromZeros, const LEN: usize> Deref for HugeVec<T, LEN> {
    type Target = [T; LEN];

    #[inline(always)]
    fn deref(&self) -> &[T; LEN] {
        // SAFETY: the mapping is as long as the array, aligned to a page (asserted to be enough for
        // T), lives as long as `self`, and began as zeroes, which `FromZeros` makes a valid T.
        // Nothing hands out its bytes mutably.
        unsafe { self.mapping.base.cast::<[T; LEN]>().as_ref() }
    }
}

/// Where many arrays of one owner come from: few mappings on huge pages, so that tables which are
/// small each do not need a page-table entry for every 4 KiB. Memory is taken as it is written, a
/// huge page at a time.
#[derive(Debug, Default)]
pub struct Arena {
    mapping: Option<Arc<Mapping>>,
    used: usize,
}

/// Address space that an arena takes at a time.
const ARENA_SIZE: usize = 64 << 20;

impl Arena {
    /// An array of `len` items, all zeroes. Its memory is taken at once: the first packet that met
    /// a huge page would wait until the kernel has made one.
    ///
    /// # Panics
    /// As any allocation does when there is no memory: the process ends.
    pub fn array<T: FromZeros>(&mut self, len: usize) -> Array<T> {
        let array = self.untouched(len);
        // SAFETY: these are the array's own `len` items; zeroes are what they are already.
        unsafe { array.start.write_bytes(0, len) };
        array
    }

    /// As [`Arena::array`], whose memory is taken as it is written.
    ///
    /// # Panics
    /// As [`Arena::array`].
    pub fn untouched<T: FromZeros>(&mut self, len: usize) -> Array<T> {
        self.carve(len)
    }

    /// An empty list with room for `most` items, whose memory is taken as it grows.
    ///
    /// # Panics
    /// As [`Arena::array`].
    pub fn list<T: Copy>(&mut self, most: usize) -> List<T> {
        List { room: self.carve(most), len: 0 }
    }

    /// Room for `len` items.
    fn carve<T>(&mut self, len: usize) -> Array<T> {
        const {
            assert!(!std::mem::needs_drop::<T>(), "items are unmapped, not dropped");
            assert!(align_of::<T>() <= LINE, "arrays begin with a cache line");
        }
        let size = Layout::array::<T>(len).expect("an array that can be").size();
        let size = size.next_multiple_of(LINE);
        let mapping = match &self.mapping {
            Some(mapping) if mapping.size - self.used >= size => mapping,
            _ => {
                self.used = 0;
                self.mapping.insert(Arc::new(map(size.max(ARENA_SIZE))))
            }
        };
        // SAFETY: the mapping has `size` bytes from `used` on, as was just seen or made so.
        let start = unsafe { mapping.base.add(self.used) };
        let start = start.cast::<T>();
        self.used += size;
        Array { start, len, mapping: Arc::clone(mapping), items: PhantomData }
    }
}

fn map(size: usize) -> Mapping {
    Mapping::new(size).unwrap_or_else(|_| {
        std::alloc::handle_alloc_error(
            Layout::from_size_align(size, LINE).expect("as it was asked"),
        )
    })
}

const LINE: usize = 64;

/// An array of an [`Arena`].
#[derive(Debug)]
pub struct Array<T> {
    start: NonNull<T>,
    len: usize,
    /// Keeps the memory.
    #[expect(dead_code, reason = "it is held, not read")]
    mapping: Arc<Mapping>,
    items: PhantomData<T>,
}

// SAFETY: the array is the only handle to its items, as a boxed slice would be.
unsafe impl<T: Send> Send for Array<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Array<T> {}

impl<T: FromZeros> Deref for Array<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `start` begins `len` items inside the mapping that this holds, aligned (`used` is
        // a multiple of a cache line), which were zeroes, a valid T, and belong to this array alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: FromZeros> DerefMut for Array<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// A copy has a mapping of its own.
impl<T: Copy> Clone for Array<T> {
    fn clone(&self) -> Self {
        let mapping = Arc::new(map(self.len * size_of::<T>()));
        let mut arena = Arena { mapping: Some(mapping), used: 0 };
        let copy = arena.carve(self.len);
        // SAFETY: both have `len` items, in mappings apart.
        unsafe { copy.start.copy_from_nonoverlapping(self.start, self.len) };
        copy
    }
}

/// A list of an [`Arena`], which takes as many items as there was room asked for.
#[derive(Clone, Debug)]
pub struct List<T: Copy> {
    room: Array<T>,
    len: usize,
}

impl<T: Copy> List<T> {
    /// Adds an item.
    ///
    /// # Panics
    /// When there is no room.
    pub fn push(&mut self, item: T) {
        assert!(self.len < self.room.len, "a list takes what room was asked for");
        // SAFETY: `len` is below the length of the room.
        let place = unsafe { self.room.start.add(self.len) };
        // SAFETY: the place is inside the room, aligned, and belongs to this list alone.
        unsafe { place.write(item) };
        self.len += 1;
    }
}

impl<T: Copy> Deref for List<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` items of the room were pushed, and the room is aligned (`used` of
        // an arena is a multiple of a cache line), lives as long as `self` and is nobody else's.
        unsafe { std::slice::from_raw_parts(self.room.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for List<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.room.start.as_ptr(), self.len) }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn arrays_of_an_arena_are_zero_and_apart() {
        let mut arena = Arena::default();
        let mut arrays: Vec<Array<u64>> =
            [3, 1, 0, ARENA_SIZE / 8, 5].map(|len| arena.array(len)).into_iter().collect();
        assert!(arrays.iter().all(|array| array.iter().all(|item| *item == 0)));
        for (value, array) in (1..).zip(&mut arrays) {
            array.fill(value);
        }
        drop(arena);
        for (value, array) in (1..).zip(&arrays) {
            assert!(array.iter().all(|item| *item == value));
        }
    }

    #[test]
    fn a_list_keeps_what_is_pushed() {
        let mut arena = Arena::default();
        let (mut one, mut two) = (arena.list(3), arena.list(40_000));
        for n in 0..40_000_u64 {
            two.push([n; 3]);
        }
        [5, 6, 7].into_iter().for_each(|n| one.push(n));
        let before = one.clone();
        one[1] = 9;
        drop(arena);
        assert_eq!((&*before, &*one), (&[5, 6, 7][..], &[5, 9, 7][..]));
        assert!(two.len() == 40_000 && two.iter().zip(0..).all(|(item, n)| *item == [n; 3]));
    }

    #[test]
    #[should_panic(expected = "room")]
    fn a_full_list_takes_nothing() {
        let mut list = Arena::default().list(1);
        list.push(1);
        list.push(2);
    }

    #[test]
    fn a_reserved_array_is_zero_and_keeps_what_is_stored() {
        let items = HugeVec::<AtomicU32, { 1 << 20 }>::reserve().unwrap();
        items.want_huge(1000);
        items[(1 << 20) - 1].store(7, Ordering::Relaxed);
        assert_eq!(items[0].load(Ordering::Relaxed), 0);
        assert_eq!(items[(1 << 20) - 1].load(Ordering::Relaxed), 7);
        assert_eq!(items.len(), 1 << 20);
    }
}
