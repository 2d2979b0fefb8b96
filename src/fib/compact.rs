//! Where does an address lead? The compiled form that workers read.
//!
//! Three levels of 16, 8 and 8 bits. The first is a plain array; a node of the others is a
//! [`Chunk`]: 256 entries as runs of equal ones, one bit at the start of each run, so that the
//! number of bits up to an entry is the place of its value. That keeps one cache line of bits for
//! 256 prefixes of 24 bits, next to four bytes a run.
//!
//! An entry is 0 (no route here), a next hop's number plus one, or [`CHUNK`] and a chunk's index.
//! Where a chunk has no route of its own, `under` holds: what a shorter route than the chunk's
//! routes gives to all of it. So a change to a short route touches one word a chunk and not its
//! entries, and the default route, which lies under everything, is one word in all.
//!
//! Every word is an atomic that the one writer ([`super::FibWriter`]) stores to and readers load
//! plainly: a reader sees a route before or after a change, never half of one. What a worker may
//! still look at is not reused before it has passed a turn.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use zerocopy::FromZeros;

use super::dir24::Dir24;
use crate::ids::NextHopId;
use crate::mem::{self, HugeVec};

/// Marks an entry that is a chunk's index.
pub(super) const CHUNK: u32 = 1 << 31;
/// The chunk without routes; no entry names it.
pub(super) const NO_CHUNK: u32 = 0;
/// Entries of the first level.
pub(super) const ROOT: usize = 1 << 16;
/// Entries of a chunk.
pub(super) const ENTRIES: usize = 256;
/// Entries of a group, the part of a chunk that has a word of bits.
pub(super) const GROUP: usize = 64;
/// Most chunks of one table: address space, not memory.
pub(super) const CHUNKS: usize = 1 << 22;
/// Most values in the chunks of one table: address space, not memory.
pub(super) const LEAVES: usize = 1 << 26;
/// Look-ups that run side by side: a batch of frames.
const SIDE_BY_SIDE: usize = 64;

/// One of something for each of these.
pub type Block<T> = [T; SIDE_BY_SIDE];

/// 64 entries of a chunk.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(super) struct Group {
    /// Bit i is set where entry i differs from entry i - 1; bit 0 always.
    starts: AtomicU64,
    /// Where the runs' values begin (low half), and the chunk's `under` (high half).
    place: AtomicU64,
}

/// 256 entries: one cache line, and their values elsewhere.
#[derive(Debug, FromZeros)]
#[repr(C, align(64))]
pub(super) struct Chunk([Group; ENTRIES / GROUP]);

const _: () = assert!(size_of::<Chunk>() == 64);

/// A group's words as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// See [`Group::starts`].
    pub(super) starts: u64,
    /// Index of the first run's value.
    pub(super) base: u32,
    /// What holds where the chunk has no route.
    pub(super) under: u32,
}

impl Group {
    #[inline(always)]
    fn load(&self) -> Shape {
        let place = self.place.load(Relaxed);
        Shape {
            starts: self.starts.load(Relaxed),
            base: (place & 0xffff_ffff) as u32,
            under: (place >> 32) as u32,
        }
    }

    fn store(&self, shape: Shape) {
        self.starts.store(shape.starts, Relaxed);
        self.place.store(u64::from(shape.under) << 32 | u64::from(shape.base), Relaxed);
    }
}

/// The IPv4 forwarding table of one VRF, for workers to read while control changes it.
///
/// ```
/// use thruway::fib::{Fib, Prefix4};
/// use thruway::ids::NextHopId;
/// let prefix: Prefix4 = "10.0.0.0/8".parse().expect("a prefix");
/// let fib = Fib::build([(prefix, NextHopId(7))]).expect("there is memory");
/// assert_eq!(fib.lookup(0x0a01_0203), NextHopId(7));
/// assert_eq!(fib.lookup(0x0b01_0203), NextHopId(0)); // no route
/// ```
#[derive(Debug)]
pub struct Fib {
    root: HugeVec<AtomicU32, ROOT>,
    chunks: HugeVec<Chunk, CHUNKS>,
    leaves: HugeVec<AtomicU32, LEAVES>,
    /// In front of the rest, once the table is large.
    wide: OnceLock<Dir24>,
    default: AtomicU32,
    len: AtomicUsize,
    memory: AtomicUsize,
}

impl Fib {
    /// The next hop of the longest route that covers `addr` (host order), or `NextHopId(0)`.
    #[inline]
    pub fn lookup(&self, addr: u32) -> NextHopId {
        let entry = match self.wide.get() {
            Some(wide) => self.below_24(self.lower(), wide.entry(addr), addr),
            None => self.compact_entry(addr),
        };
        resolve(entry, self.default.load(Relaxed))
    }

    /// Looks up each of `addrs` into the same place of `found`; of slices that differ in length the
    /// shorter one counts.
    #[inline]
    pub fn lookup_batch(&self, addrs: &[u32], found: &mut [NextHopId]) {
        for (addrs, found) in addrs.chunks(SIDE_BY_SIDE).zip(found.chunks_mut(SIDE_BY_SIDE)) {
            let len = addrs.len().min(found.len());
            let (mut block, mut hops) = ([0; SIDE_BY_SIDE], [NextHopId(0); SIDE_BY_SIDE]);
            block[..len].copy_from_slice(&addrs[..len]);
            self.lookup_block(&block, &mut hops, len);
            found[..len].copy_from_slice(&hops[..len]);
        }
    }

    /// Looks up the first `len` of `addrs` into the same places of `found`. Faster than single
    /// look-ups, since the misses of 64 addresses overlap; and in arrays of one length places need
    /// no check.
    #[inline]
    pub fn lookup_block(&self, addrs: &Block<u32>, found: &mut Block<NextHopId>, len: usize) {
        match self.wide.get() {
            Some(wide) => self.lookup_wide(wide, addrs, found, len),
            None => self.lookup_compact(addrs, found, len),
        }
    }

    /// Whether the table has its wide form: with more routes than a few its words may be far away.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.wide.get().is_some()
    }

    /// Asks for the word of a wide table that a look-up of `addr` will read.
    #[inline(always)]
    pub fn ask_ahead(&self, addr: u32) {
        if let Some(wide) = self.wide.get() {
            wide.prefetch(addr);
        }
    }

    /// A loop a level: loads of one loop do not wait for each other. The second level has no branch
    /// that must be guessed: an address that is done takes the way of the rest through chunk 0.
    #[inline]
    fn lookup_compact(&self, addrs: &Block<u32>, found: &mut Block<NextHopId>, len: usize) {
        let mut entries = [0; SIDE_BY_SIDE];
        let mut all = 0;
        for i in 0..len.min(SIDE_BY_SIDE) {
            entries[i] = self.root_entry(addrs[i]);
            all |= entries[i];
        }
        if all & CHUNK != 0 {
            let lower = self.lower();
            for i in 0..len.min(SIDE_BY_SIDE) {
                let entry = entries[i];
                let is_chunk = (entry.cast_signed() >> 31).cast_unsigned();
                let (value, under) = lower.entry(entry & is_chunk, addrs[i] >> 8, 0);
                entries[i] = (either(value, under) & is_chunk) | (entry & !is_chunk);
            }
        }
        self.finish(addrs, &entries, found, len);
    }

    #[inline]
    fn lookup_wide(
        &self,
        wide: &Dir24,
        addrs: &Block<u32>,
        found: &mut Block<NextHopId>,
        len: usize,
    ) {
        let mut entries = [0; SIDE_BY_SIDE];
        for i in 0..len.min(SIDE_BY_SIDE) {
            entries[i] = wide.entry(addrs[i]);
        }
        self.finish(addrs, &entries, found, len);
    }

    /// From the entries of /24s to next hops.
    #[inline(always)]
    fn finish(
        &self,
        addrs: &Block<u32>,
        entries: &Block<u32>,
        found: &mut Block<NextHopId>,
        len: usize,
    ) {
        let (default, lower) = (self.default.load(Relaxed), self.lower());
        for i in 0..len.min(SIDE_BY_SIDE) {
            found[i] = resolve(self.below_24(lower, entries[i], addrs[i]), default);
        }
    }

    /// What the entry of a /24 says of `addr`.
    #[inline(always)]
    fn below_24(&self, lower: Lower<'_>, entry: u32, addr: u32) -> u32 {
        if entry & CHUNK == 0 {
            return entry;
        }
        let (value, under) = lower.entry(entry, addr, 0);
        // Neither: only the levels above know what lies under the chunk.
        if value | under == 0 { self.compact_entry(addr) } else { either(value, under) }
    }

    #[inline]
    fn compact_entry(&self, addr: u32) -> u32 {
        let lower = self.lower();
        let mut entry = self.root_entry(addr);
        let mut under = 0;
        if entry & CHUNK != 0 {
            (entry, under) = lower.entry(entry, addr >> 8, under);
            if entry & CHUNK != 0 {
                (entry, under) = lower.entry(entry, addr, under);
            }
        }
        either(entry, under)
    }

    #[inline(always)]
    fn root_entry(&self, addr: u32) -> u32 {
        self.root[(addr >> 16) as usize].load(Acquire)
    }

    /// The levels below the first, their places taken out once: a loop that loads words of the
    /// writer's cannot know that they stay where they are.
    #[inline(always)]
    fn lower(&self) -> Lower<'_> {
        Lower { chunks: &self.chunks, leaves: &self.leaves }
    }

    #[inline(always)]
    fn chunk(&self, entry: u32) -> &Chunk {
        &self.chunks[entry as usize & (CHUNKS - 1)]
    }

    #[inline(always)]
    fn leaf(&self, index: u32) -> &AtomicU32 {
        &self.leaves[index as usize & (LEAVES - 1)]
    }

    /// How many routes the table holds.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the table has taken, in bytes and whole pages; blocks that wait for reuse count,
    /// the writer's own routes do not. The kernel may round each of two arrays up to 2 MiB once
    /// they are that large together.
    pub fn memory_size(&self) -> usize {
        self.memory.load(Relaxed)
    }
}

/// The first entry, or the second where that is none.
#[inline(always)]
fn either(entry: u32, under: u32) -> u32 {
    if entry == 0 { under } else { entry }
}

#[inline(always)]
fn resolve(entry: u32, default: u32) -> NextHopId {
    NextHopId(either(entry, default).saturating_sub(1))
}

/// The levels below the first.
#[derive(Clone, Copy)]
struct Lower<'a> {
    chunks: &'a [Chunk; CHUNKS],
    leaves: &'a [AtomicU32; LEAVES],
}

impl Lower<'_> {
    /// Entry `index` (its low 8 bits) of the chunk that `entry` names, and what lies under it.
    #[inline(always)]
    fn entry(&self, entry: u32, index: u32, under: u32) -> (u32, u32) {
        let chunk = &self.chunks[entry as usize & (CHUNKS - 1)];
        let shape = chunk.0[(index >> 6 & 3) as usize].load();
        // Runs that begin at or before the entry; at least one, since bit 0 is set.
        let runs = (shape.starts << (63 - (index & 63))).count_ones();
        let leaf = shape.base.wrapping_add(runs).wrapping_sub(1);
        let value = self.leaves[leaf as usize & (LEAVES - 1)].load(Acquire);
        (value, either(shape.under, under))
    }
}

/// The writer's side: single words, and values for them.
impl Fib {
    pub(super) fn empty() -> io::Result<Self> {
        let fib = Self {
            root: HugeVec::reserve()?,
            chunks: HugeVec::reserve()?,
            leaves: HugeVec::reserve()?,
            wide: OnceLock::new(),
            default: AtomicU32::new(0),
            len: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
        };
        fib.set_shapes(NO_CHUNK, [Shape { starts: 1, base: 0, under: 0 }; ENTRIES / GROUP]);
        Ok(fib)
    }

    pub(super) fn want_huge(&self) {
        self.chunks.want_huge(0);
        self.leaves.want_huge(0);
    }

    pub(super) fn wide(&self) -> Option<&Dir24> {
        self.wide.get()
    }

    /// From now on look-ups go by `wide`, which already mirrors the table.
    pub(super) fn set_wide(&self, wide: Dir24) {
        self.wide.set(wide).expect("the one writer widens a table once");
    }

    /// Asks for the words that a change at `addr` will most likely need.
    pub(super) fn prefetch(&self, addr: u32) {
        let entry = self.root[(addr >> 16) as usize].load(Relaxed);
        if entry & CHUNK != 0 {
            mem::prefetch(self.chunk(entry));
        }
        if let Some(wide) = self.wide.get() {
            wide.prefetch(addr);
        }
    }

    pub(super) fn root(&self, slot: usize) -> u32 {
        self.root[slot].load(Relaxed)
    }

    /// Release: who sees a chunk's index sees the chunk.
    pub(super) fn set_root(&self, slot: usize, entry: u32) {
        self.root[slot].store(entry, Release);
    }

    pub(super) fn set_default(&self, entry: u32) {
        self.default.store(entry, Release);
    }

    pub(super) fn value(&self, index: u32) -> u32 {
        self.leaf(index).load(Relaxed)
    }

    /// Release, as for [`Fib::set_root`].
    pub(super) fn set_value(&self, index: u32, entry: u32) {
        self.leaf(index).store(entry, Release);
    }

    pub(super) fn shapes(&self, entry: u32) -> [Shape; ENTRIES / GROUP] {
        self.chunk(entry).0.each_ref().map(Group::load)
    }

    pub(super) fn set_shapes(&self, entry: u32, shapes: [Shape; ENTRIES / GROUP]) {
        for (group, shape) in self.chunk(entry).0.iter().zip(shapes) {
            group.store(shape);
        }
    }

    pub(super) fn set_totals(&self, len: usize, memory: usize) {
        self.len.store(len, Relaxed);
        self.memory.store(memory, Relaxed);
    }
}
