//! Where do frames come from? One mapping cut into fixed frames, kept in last-in first-out lists;
//! and a second one of few long frames, for super-frames.
//!
//! A [`Frame`] is a handle that owns its bytes: it cannot be copied, so two owners of one buffer
//! cannot exist. Each worker has a [`Pool`]; a pool that runs over gives frames to the region's
//! depot and one that runs dry takes them from there, so frames handed from worker to worker come
//! home without a lock.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;

use crate::mem::Mapping;

/// Bytes of one frame: room for an Ethernet frame of 1,500 bytes of payload with tags, and 33
/// cache lines, so that frames do not fall onto the same cache sets.
pub const FRAME_SIZE: usize = 2112;
/// Where a received frame begins: room to push two tags and a tunnel header in front. Two tags fit
/// between the beginning of a cache line and an untagged frame's packet, and the line holds the
/// headers of a frame with two tags up to TCP's length: a packet is forwarded in one line.
pub const HEADROOM: usize = 136;

const _: () = {
    const LINE: usize = 64;
    let untagged = HEADROOM + crate::wire::eth::HEADER;
    let tagged = untagged + 2 * crate::wire::vlan::TAG;
    assert!(untagged.is_multiple_of(LINE) || untagged % LINE >= 14 + 8);
    assert!(tagged % LINE + 20 + 13 <= LINE && FRAME_SIZE.is_multiple_of(LINE));
};
/// Longest frame that fits behind the headroom, in bytes.
pub const ROOM: usize = FRAME_SIZE - HEADROOM;

/// What long frames are apart: 64 KiB of IP packet behind the headroom and a header with tags, an
/// odd number of cache lines.
const LONG_STRIDE: usize = (64 << 10) + FRAME_SIZE;
/// Long frames begin this far from a cache line, all others on one: so an address tells which a
/// frame is.
const LONG_MARK: usize = 32;
/// Bytes of a long frame.
const LONG_SIZE: usize = LONG_STRIDE - LONG_MARK;
/// Longest super-frame that fits behind the headroom of a long frame, in bytes.
pub const LONG_ROOM: usize = LONG_SIZE - HEADROOM;
/// Long frames that a family has at least, and for each pool: a batch on its way in, and one on its
/// way out. Only those that are used take memory.
const LONG_FRAMES: usize = 256;
const LONG_EACH: usize = 128;

const _: () = assert!(LONG_STRIDE.is_multiple_of(64) && LONG_STRIDE / 64 % 2 == 1);

/// One buffer that holds one packet. It shows its first [`FRAME_SIZE`] bytes, where all headers
/// are; [`Frame::all`] has the rest of a long one.
pub struct Frame(NonNull<[u8; FRAME_SIZE]>);

impl Frame {
    /// Whether this frame has room for a super-frame.
    #[inline(always)]
    pub fn is_long(&self) -> bool {
        self.0.addr().get() & LONG_MARK != 0
    }

    #[inline(always)]
    fn size(&self) -> usize {
        if self.is_long() { LONG_SIZE } else { FRAME_SIZE }
    }

    /// All bytes of the buffer.
    #[inline(always)]
    pub fn all(&self) -> &[u8] {
        // SAFETY: as in `deref`; a frame whose address is marked is one of `LONG_SIZE` bytes, since
        // `Pool::family` makes no others with that mark.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.size()) }
    }

    /// All bytes of the buffer, to change.
    #[inline(always)]
    pub fn all_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `all`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr().cast(), self.size()) }
    }
}

// SAFETY: a frame is the only handle to its bytes, so it may move to another thread.
unsafe impl Send for Frame {}
// SAFETY: shared access to a frame only reads its bytes.
unsafe impl Sync for Frame {}

impl Deref for Frame {
    type Target = [u8; FRAME_SIZE];
    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        // SAFETY: the pointer stays valid while any frame of the region is away from home (see
        // `Region::drop`), and this handle is the only one to these bytes.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for Frame {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { self.0.as_mut() }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frame")
    }
}

struct Region {
    /// `None` only while dropping.
    mapping: Option<Mapping>,
    /// What frames are apart.
    stride: usize,
    total: usize,
    home: AtomicUsize,
    depot: ArrayQueue<Frame>,
}

impl Region {
    fn new(mapping: Mapping, stride: usize, total: usize) -> Self {
        let depot = ArrayQueue::new(total.max(1));
        Self { mapping: Some(mapping), stride, total, home: AtomicUsize::new(0), depot }
    }

    fn owns(&self, frame: &Frame) -> bool {
        self.offset(frame).is_some()
    }

    /// Where the frame begins in the mapping.
    #[inline]
    fn offset(&self, frame: &Frame) -> Option<usize> {
        let start = self.mapping.as_ref()?.base().addr().get();
        let offset = frame.0.addr().get().wrapping_sub(start);
        (offset < self.total * self.stride).then_some(offset)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // A frame that is still out somewhere keeps its bytes: then the mapping stays for good.
        if self.home.load(Ordering::Acquire) + self.depot.len() != self.total
            && let Some(mapping) = self.mapping.take()
        {
            std::mem::forget(mapping);
        }
    }
}

/// The memory that a family of pools is cut from, for a port that lends frames to the kernel: it
/// names them by number, and frame `n` begins `n * FRAME_SIZE` bytes behind the base.
#[derive(Clone)]
pub struct Memory(Arc<Region>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} frames)", self.0.total)
    }
}

impl Memory {
    /// Where it begins, aligned to a page, and its size in bytes, in whole pages.
    pub fn extent(&self) -> (NonNull<u8>, usize) {
        let mapping = self.0.mapping.as_ref().expect("a mapping stays until its last handle goes");
        (mapping.base(), mapping.size())
    }

    /// How many frames it has.
    pub fn frames(&self) -> usize {
        self.0.total
    }

    /// The number of a frame; `None` when it lies in other memory.
    #[inline]
    pub fn number(&self, frame: &Frame) -> Option<usize> {
        self.0.offset(frame).map(|offset| offset / FRAME_SIZE)
    }

    /// Takes a frame home where there is no pool at hand.
    pub fn put(&self, frame: Frame) {
        debug_assert!(self.0.owns(&frame), "a frame goes home to its own region");
        if self.0.owns(&frame) {
            // There is room for every frame.
            let _ = self.0.depot.push(frame);
        }
    }
}

/// One pool's long frames.
struct Long {
    region: Arc<Region>,
    free: Vec<Frame>,
    limit: usize,
}

/// One worker's stock of free frames.
pub struct Pool {
    region: Arc<Region>,
    free: Vec<Frame>,
    limit: usize,
    long: Long,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} free)", self.free.len())
    }
}

impl Pool {
    /// Maps `frames` frames for each of `pools` pools that exchange them through one depot.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub fn family(pools: usize, frames: usize) -> io::Result<Vec<Pool>> {
        let total = pools * frames;
        let mapping = Mapping::new(total * FRAME_SIZE)?;
        let base = mapping.base();
        let region = Arc::new(Region::new(mapping, FRAME_SIZE, total));
        let mut long = Self::long(pools)?.into_iter();
        let mut make = |pool: usize| {
            let mut free = Vec::with_capacity(total);
            // Reversed, so that the first frames taken are the first of the mapping.
            free.extend((pool * frames..(pool + 1) * frames).rev().map(|i| {
                // SAFETY: frame `i` lies inside the mapping, which is `total * FRAME_SIZE` long.
                Frame(unsafe { base.add(i * FRAME_SIZE) }.cast())
            }));
            let long = long.next().expect("one for each pool");
            Pool { region: Arc::clone(&region), free, limit: frames + frames / 2, long }
        };
        Ok((0..pools).map(&mut make).collect())
    }

    /// The long frames of each of `pools` pools.
    fn long(pools: usize) -> io::Result<Vec<Long>> {
        let each = (LONG_FRAMES / pools.max(1)).max(LONG_EACH);
        let total = pools * each;
        let mapping = Mapping::reserve(total * LONG_STRIDE)?;
        let base = mapping.base();
        let region = Arc::new(Region::new(mapping, LONG_STRIDE, total));
        let make = |pool: usize| {
            let mut free = Vec::with_capacity(total);
            free.extend((pool * each..(pool + 1) * each).rev().map(|i| {
                // SAFETY: long frame `i` lies inside the mapping, which is `total * LONG_STRIDE`
                // long and begins on a page: behind the mark there are `LONG_SIZE` bytes left.
                Frame(unsafe { base.add(i * LONG_STRIDE + LONG_MARK) }.cast())
            }));
            Long { region: Arc::clone(&region), free, limit: each + each / 2 }
        };
        Ok((0..pools).map(make).collect())
    }

    /// One pool on its own.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub fn new(frames: usize) -> io::Result<Pool> {
        Ok(Self::family(1, frames)?.remove(0))
    }

    /// Takes a frame; its bytes are whatever its last user left there.
    #[inline]
    pub fn take(&mut self) -> Option<Frame> {
        if let Some(frame) = self.free.pop() {
            return Some(frame);
        }
        self.refill();
        self.free.pop()
    }

    /// Takes a long frame; there are few.
    pub fn take_long(&mut self) -> Option<Frame> {
        let Long { region, free, .. } = &mut self.long;
        free.pop().or_else(|| region.depot.pop())
    }

    /// Gives a frame back, of either kind.
    #[inline]
    pub fn put(&mut self, frame: Frame) {
        if !self.region.owns(&frame) {
            return self.put_long(frame);
        }
        self.free.push(frame);
        if self.free.len() > self.limit {
            self.spill();
        }
    }

    #[cold]
    fn put_long(&mut self, frame: Frame) {
        let Long { region, free, limit } = &mut self.long;
        debug_assert!(region.owns(&frame), "a frame goes home to its own region");
        if !region.owns(&frame) {
            return;
        }
        let given = if free.len() < *limit { Err(frame) } else { region.depot.push(frame) };
        if let Err(frame) = given {
            free.push(frame);
        }
    }

    /// The memory that this pool's frames lie in.
    pub fn memory(&self) -> Memory {
        Memory(Arc::clone(&self.region))
    }

    /// How many frames can be taken without a look into the depot.
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// Whether no frame is left in this pool's own list.
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// Frames that are in this pool or in the depot it shares.
    pub fn available(&self) -> usize {
        self.free.len() + self.region.depot.len()
    }

    #[cold]
    fn refill(&mut self) {
        for _ in 0..super::BATCH {
            let Some(frame) = self.region.depot.pop() else { return };
            self.free.push(frame);
        }
    }

    #[cold]
    fn spill(&mut self) {
        for _ in 0..super::BATCH {
            let Some(frame) = self.free.pop() else { return };
            if let Err(frame) = self.region.depot.push(frame) {
                self.free.push(frame);
                return;
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.region.home.fetch_add(self.free.len(), Ordering::Release);
        self.long.region.home.fetch_add(self.long.free.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_once_and_come_home() {
        let mut pool = Pool::new(4).unwrap();
        let mut frames: Vec<Frame> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(frames.len(), 4);
        for (i, frame) in frames.iter_mut().enumerate() {
            frame.fill(u8::try_from(i).unwrap());
        }
        for (i, frame) in frames.iter().enumerate() {
            assert!(frame.iter().all(|&b| usize::from(b) == i));
        }
        frames.into_iter().for_each(|f| pool.put(f));
        assert_eq!(pool.len(), 4);
    }

    #[test]
    fn a_pool_that_runs_dry_takes_what_another_gave_back() {
        let mut pools = Pool::family(2, 128).unwrap();
        let mut b = pools.pop().unwrap();
        let mut a = pools.pop().unwrap();
        let taken: Vec<Frame> = std::iter::from_fn(|| a.take()).collect();
        assert_eq!(taken.len(), 128);
        taken.into_iter().for_each(|f| b.put(f));
        assert_eq!(a.available() + b.len(), 256);
        assert!(a.take().is_some(), "the depot has what b spilled");
    }

    #[test]
    fn long_frames_hold_64_kib_and_come_home_by_the_same_door() {
        let mut pools = Pool::family(2, 4).unwrap();
        let mut b = pools.pop().unwrap();
        let mut a = pools.pop().unwrap();
        let mut frames: Vec<Frame> = std::iter::from_fn(|| a.take_long()).collect();
        assert_eq!(frames.len(), LONG_FRAMES / 2);
        frames.push(a.take().unwrap());
        for (i, frame) in frames.iter_mut().enumerate() {
            frame.all_mut().fill(u8::try_from(i).unwrap());
        }
        for (i, frame) in frames.iter().enumerate() {
            assert!(frame.all().iter().chain(frame.iter()).all(|&b| usize::from(b) == i));
        }
        let longest = HEADROOM + 22 + 65_535;
        let long = |frame: &&Frame| frame.is_long() && frame.all().len() >= longest;
        assert_eq!(frames.iter().filter(long).count(), LONG_FRAMES / 2);
        frames.into_iter().for_each(|frame| b.put(frame));
        let back = std::iter::from_fn(|| a.take_long()).count();
        assert!(back > 0, "the depot has what b had too many of");
        assert_eq!(b.len(), 5);
    }

    #[test]
    fn memory_names_each_frame_once_and_takes_it_home() {
        let mut pools = Pool::family(2, 5).unwrap();
        let memory = pools[0].memory();
        let frames: Vec<Frame> =
            pools.iter_mut().flat_map(|pool| std::iter::from_fn(|| pool.take())).collect();
        let mut numbers: Vec<usize> =
            frames.iter().map(|frame| memory.number(frame).unwrap()).collect();
        let (base, size) = memory.extent();
        for (frame, number) in frames.iter().zip(&numbers) {
            assert_eq!(frame.as_ptr().addr(), base.addr().get() + number * FRAME_SIZE);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert!(size >= memory.frames() * FRAME_SIZE && size.is_multiple_of(4096));
        let foreign = Pool::new(1).unwrap().take().unwrap();
        assert_eq!(memory.number(&foreign), None);
        frames.into_iter().for_each(|frame| memory.put(frame));
        assert_eq!(pools[0].available(), 10);
    }

    #[test]
    fn a_frame_outlives_its_pool() {
        let mut pool = Pool::new(2).unwrap();
        let mut frame = pool.take().unwrap();
        drop(pool);
        frame[0] = 7;
        assert_eq!(frame[0], 7);
    }
}
