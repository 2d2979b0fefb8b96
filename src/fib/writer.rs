//! How does a route change reach the workers? In place, and no further than the change goes.
//!
//! The writer keeps all routes in a [`Trie`] and derives from it the words that a change touches.
//! A change to a route of 1 to 16 bits stores one word for each first-level entry it covers and
//! nothing nested hides; of 17 to 32 bits, it writes one chunk again (two where a /24 gains its
//! first longer route) and swaps it in with one store. Of a chunk, groups that keep their runs keep
//! their place. The result is the same as if the table had been built from its routes anew.
//!
//! The writer is one value that cannot be cloned: there is one writer.

use std::io;
use std::iter::Peekable;
use std::sync::Arc;

use super::blocks::Blocks;
use super::compact::{CHUNK, CHUNKS, ENTRIES, Fib, GROUP, LEAVES, ROOT, Shape};
use super::prefix::{Prefix as _, Prefix4};
use super::trie::Trie;
use crate::ids::NextHopId;

/// Highest number of a next hop: an entry keeps a bit for itself, and zero means no route.
pub(super) const MAX_NEXT_HOP: u32 = CHUNK - 2;
/// The value that all groups without a route share.
const NOTHING: u32 = 0;
/// Chunks and values that one change can take.
const CHANGE_CHUNKS: u32 = 2;
const CHANGE_LEAVES: u32 = 2 * 256;
/// Changes that only removals may use, so that routes can be withdrawn when the table is full.
const WITHDRAWALS: u32 = 1024;
/// From here on huge pages pay: fewer than 1 MiB is covered by the second-level TLB.
const HUGE_FROM: usize = 1 << 20;
const PAGE: usize = 4096;
const CHUNK_SIZE: usize = 64;

/// Why a table could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum FibError {
    /// The kernel gave no address space.
    #[error("no address space for a forwarding table")]
    NoMemory(#[from] io::Error),
    /// The table's arrays are used up.
    #[error("the forwarding table is full")]
    Full,
    /// The number does not fit an entry.
    #[error("next hop {0} is above {max}", max = MAX_NEXT_HOP)]
    NextHop(NextHopId),
}

/// A moment in the order of changes; see [`FibWriter::reclaim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The one writer of a [`Fib`]: its routes, and the means to change them while workers read.
///
/// ```
/// use thruway::fib::{FibWriter, Prefix4};
/// use thruway::ids::NextHopId;
/// let mut writer = FibWriter::new()?;
/// let fib = writer.fib(); // for the workers
/// writer.insert("10.0.0.0/8".parse::<Prefix4>()?, NextHopId(7))?;
/// assert_eq!(fib.lookup(0x0a01_0203), NextHopId(7));
///
/// let mark = writer.mark();
/// // ... every worker passes a turn ...
/// writer.reclaim(mark);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FibWriter {
    fib: Arc<Fib>,
    routes: Trie<Prefix4, NextHopId>,
    chunks: Blocks,
    leaves: Blocks,
    /// First-level pages (of 1,024 entries) that were written to, as bits.
    root_pages: u64,
    change: u64,
    huge: bool,
}

impl FibWriter {
    /// An empty table.
    ///
    /// # Errors
    /// When the kernel gives no address space.
    pub fn new() -> Result<Self, FibError> {
        Self::with_room(CHUNKS, LEAVES)
    }

    /// A table with these routes; of several with one prefix, the last one stays.
    ///
    /// # Errors
    /// When a next hop's number is too high, or the routes do not fit.
    pub fn build(routes: impl IntoIterator<Item = (Prefix4, NextHopId)>) -> Result<Self, FibError> {
        let routes: Trie<Prefix4, NextHopId> = routes.into_iter().collect();
        if let Some((_, hop)) = routes.iter().find(|(_, hop)| hop.0 > MAX_NEXT_HOP) {
            return Err(FibError::NextHop(*hop));
        }
        let mut writer = Self::new()?;
        writer.compile(&routes)?;
        writer.routes = routes;
        Ok(writer)
    }

    fn with_room(chunks: usize, leaves: usize) -> Result<Self, FibError> {
        let limit = |len: usize| u32::try_from(len).expect("an array is shorter than 2^31");
        Ok(Self {
            fib: Arc::new(Fib::empty()?),
            routes: Trie::new(),
            chunks: Blocks::new(0, limit(chunks)),
            leaves: Blocks::new(NOTHING + 1, limit(leaves)),
            root_pages: 0,
            change: 0,
            huge: false,
        })
    }

    /// The table that workers read.
    pub fn fib(&self) -> Arc<Fib> {
        Arc::clone(&self.fib)
    }

    /// All routes, in order.
    pub fn routes(&self) -> &Trie<Prefix4, NextHopId> {
        &self.routes
    }

    /// Adds a route, or changes where it leads, and returns where it led.
    ///
    /// # Errors
    /// When the next hop's number is too high or the table is full; then nothing has changed.
    pub fn insert(
        &mut self,
        prefix: Prefix4,
        hop: NextHopId,
    ) -> Result<Option<NextHopId>, FibError> {
        if hop.0 > MAX_NEXT_HOP {
            return Err(FibError::NextHop(hop));
        }
        self.check_room(WITHDRAWALS)?;
        let old = self.routes.insert(prefix, hop);
        if old != Some(hop) {
            self.apply(prefix)?;
        }
        Ok(old)
    }

    /// Takes a route out and returns where it led.
    ///
    /// # Errors
    /// When the table is full, also of blocks that were never reclaimed; then nothing has changed.
    pub fn remove(&mut self, prefix: Prefix4) -> Result<Option<NextHopId>, FibError> {
        self.check_room(1)?;
        let old = self.routes.remove(prefix);
        if old.is_some() {
            self.apply(prefix)?;
        }
        Ok(old)
    }

    /// The moment after the last change.
    pub fn mark(&self) -> Mark {
        Mark(self.change)
    }

    /// Frees what changes before `mark` replaced. Call it when every worker that reads the table
    /// has passed a turn since the mark was taken; sooner, a worker may follow a reused block to a
    /// wrong next hop.
    pub fn reclaim(&mut self, mark: Mark) {
        self.chunks.reclaim(mark.0);
        self.leaves.reclaim(mark.0);
    }

    fn check_room(&self, changes: u32) -> Result<(), FibError> {
        let fits = self.chunks.room() / CHANGE_CHUNKS >= changes
            && self.leaves.room() / CHANGE_LEAVES >= changes;
        if fits { Ok(()) } else { Err(FibError::Full) }
    }

    /// Brings the compiled form in line with the routes at and under `prefix`.
    fn apply(&mut self, prefix: Prefix4) -> Result<(), FibError> {
        match prefix.len() {
            0 => self.fib.set_default(self.routes.exact(prefix).map_or(0, |hop| entry(*hop))),
            1..=16 => self.apply_to_root(prefix),
            17..=24 => self.apply_to_middle(prefix)?,
            _ => self.apply_to_last(prefix)?,
        }
        self.change += 1;
        self.account(self.routes.len(), 0);
        Ok(())
    }

    fn apply_to_root(&mut self, prefix: Prefix4) {
        let value = self.value_inside(prefix, 0);
        let (fib, pages) = (&self.fib, &mut self.root_pages);
        paint(&self.routes, prefix, 16, &mut |addr| {
            let slot = place(addr, 16);
            let old = fib.root(slot);
            if old & CHUNK != 0 {
                set_under(fib, old, value);
            } else {
                *pages |= 1 << (slot >> 10);
                fib.set_root(slot, value);
            }
        });
    }

    fn apply_to_middle(&mut self, prefix: Prefix4) -> Result<(), FibError> {
        let slot = place(prefix.addr(), 16);
        let old = self.fib.root(slot);
        let (mut entries, under) = self.unpack(old);
        let value = self.value_inside(prefix, 16);
        let fib = &self.fib;
        paint(&self.routes, prefix, 24, &mut |addr| {
            let entry = &mut entries[place(addr, 24) % ENTRIES];
            if *entry & CHUNK != 0 {
                set_under(fib, *entry, value);
            } else {
                *entry = value;
            }
        });
        let new = self.pack(old, &entries, under)?;
        self.set_root(slot, new);
        Ok(())
    }

    fn apply_to_last(&mut self, prefix: Prefix4) -> Result<(), FibError> {
        let slot = place(prefix.addr(), 16);
        let middle = place(prefix.addr(), 24) % ENTRIES;
        let old_root = self.fib.root(slot);
        let (mut middles, middle_under) = self.unpack(old_root);
        let old = middles[middle];
        let (mut entries, under) = self.unpack(old);
        let value = self.value_inside(prefix, 24);
        paint(&self.routes, prefix, 32, &mut |addr| {
            entries[place(addr, 32) % ENTRIES] = value;
        });
        let new = self.pack(old, &entries, under)?;
        if new != old {
            middles[middle] = new;
            let new_root = self.pack(old_root, &middles, middle_under)?;
            self.set_root(slot, new_root);
        }
        Ok(())
    }

    /// What `prefix` leads to by routes longer than `bits`, as an entry.
    fn value_inside(&self, prefix: Prefix4, bits: u8) -> u32 {
        self.routes
            .longest_match_up_to(prefix.addr(), prefix.len())
            .filter(|(found, _)| found.len() > bits)
            .map_or(0, |(_, hop)| entry(*hop))
    }

    fn set_root(&mut self, slot: usize, entry: u32) {
        if self.fib.root(slot) != entry {
            self.root_pages |= 1 << (slot >> 10);
            self.fib.set_root(slot, entry);
        }
    }

    /// The 256 entries behind `entry`, and what lies under them; a value has no entries of its own.
    fn unpack(&self, entry: u32) -> ([u32; ENTRIES], u32) {
        let mut entries = [0; ENTRIES];
        if entry & CHUNK == 0 {
            return (entries, entry);
        }
        let shapes = self.fib.shapes(entry);
        for (group, shape) in entries.chunks_mut(GROUP).zip(shapes) {
            let mut index = shape.base;
            for (i, entry) in group.iter_mut().enumerate() {
                if i > 0 && shape.starts >> i & 1 == 1 {
                    index += 1;
                }
                *entry = self.fib.value(index);
            }
        }
        (entries, shapes[0].under)
    }

    /// Writes `entries` and returns the entry to reach them by: `under` itself when they hold no
    /// route, `old` when its runs stay the same, else that of a fresh chunk.
    fn pack(&mut self, old: u32, entries: &[u32; ENTRIES], under: u32) -> Result<u32, FibError> {
        let before = (old & CHUNK != 0).then(|| self.fib.shapes(old));
        let mut shapes = [Shape { starts: 1, base: NOTHING, under }; ENTRIES / GROUP];
        if entries.iter().any(|entry| *entry != 0) {
            for (g, group) in entries.chunks(GROUP).enumerate() {
                shapes[g] = self.pack_group(before.map(|shapes| shapes[g]), group, under)?;
            }
            if before == Some(shapes) {
                return Ok(old);
            }
        }
        if let Some(before) = before {
            for (shape, now) in before.iter().zip(shapes) {
                if shape.base != NOTHING && shape.base != now.base {
                    self.leaves.retire(shape.base, shape.starts.count_ones() as usize, self.change);
                }
            }
            self.chunks.retire(old & !CHUNK, 1, self.change);
        }
        if shapes.iter().all(|shape| shape.base == NOTHING) {
            return Ok(under);
        }
        let new = self.chunks.take(1).ok_or(FibError::Full)? | CHUNK;
        self.fib.set_shapes(new, shapes);
        Ok(new)
    }

    /// Writes 64 entries: over the values of `before` when the runs stay the same.
    fn pack_group(
        &mut self,
        before: Option<Shape>,
        entries: &[u32],
        under: u32,
    ) -> Result<Shape, FibError> {
        let mut starts = 1;
        let mut values = [entries[0]; GROUP];
        let mut len = 1;
        for (i, pair) in entries.windows(2).enumerate() {
            if pair[0] != pair[1] {
                starts |= 2 << i;
                values[len] = pair[1];
                len += 1;
            }
        }
        let values = &values[..len];
        if *values == [0] {
            return Ok(Shape { starts: 1, base: NOTHING, under });
        }
        let base = match before {
            Some(shape) if shape.starts == starts && shape.base != NOTHING => shape.base,
            _ => self.leaves.take(len).ok_or(FibError::Full)?,
        };
        for (index, value) in (base..).zip(values) {
            if self.fib.value(index) != *value {
                self.fib.set_value(index, *value);
            }
        }
        Ok(Shape { starts, base, under })
    }

    /// Writes all words from `routes`; the table is still empty.
    fn compile(&mut self, routes: &Trie<Prefix4, NextHopId>) -> Result<(), FibError> {
        // A guess: chunks and values came to 8 bytes a route and more.
        self.account(routes.len(), routes.len() * 8);
        let mut list = routes.iter().map(|(prefix, hop)| (prefix, entry(*hop))).peekable();
        if let Some((_, value)) = list.next_if(|(prefix, _)| *prefix == Prefix4::ALL) {
            self.fib.set_default(value);
        }
        let mut entries = vec![0; ROOT];
        self.render(&mut list, Prefix4::ALL, 16, &mut entries)?;
        for (slot, entry) in entries.into_iter().enumerate() {
            self.set_root(slot, entry);
        }
        self.account(routes.len(), 0);
        Ok(())
    }

    /// Fills the `entries` of `block`, each a prefix of `to` bits, from the routes inside it, and
    /// takes those off `routes`. Order makes it simple: what is nested comes after and paints over.
    fn render(
        &mut self,
        routes: &mut Peekable<impl Iterator<Item = (Prefix4, u32)>>,
        block: Prefix4,
        to: u8,
        entries: &mut [u32],
    ) -> Result<(), FibError> {
        while let Some(&(prefix, value)) = routes.peek()
            && block.covers(prefix)
        {
            let first = place(prefix.addr(), to) & (entries.len() - 1);
            if prefix.len() <= to {
                routes.next();
                entries[first..first + (1 << (to - prefix.len()))].fill(value);
            } else {
                let mut inner = [0; ENTRIES];
                let block = Prefix4::around(prefix.addr(), to);
                self.render(routes, block, to + 8, &mut inner)?;
                entries[first] = self.pack(0, &inner, entries[first])?;
            }
        }
        Ok(())
    }

    /// Brings the totals up to date, and asks for huge pages when they will pay: for the size now
    /// or the one `expected`, in bytes.
    fn account(&mut self, len: usize, expected: usize) {
        let chunks = self.chunks.touched() * CHUNK_SIZE;
        let leaves = self.leaves.touched() * size_of::<u32>();
        if !self.huge && expected.max(chunks + leaves) > HUGE_FROM {
            self.fib.want_huge();
            self.huge = true;
        }
        let root = self.root_pages.count_ones() as usize * PAGE;
        let memory = root + chunks.next_multiple_of(PAGE) + leaves.next_multiple_of(PAGE);
        self.fib.set_totals(len, memory);
    }
}

/// Calls `set` with the first address of each prefix of `to` bits in `prefix` that no route nested
/// in `prefix` (of at most `to` bits) hides.
fn paint(routes: &Trie<Prefix4, NextHopId>, prefix: Prefix4, to: u8, set: &mut impl FnMut(u32)) {
    if prefix.len() == to {
        return set(prefix.addr());
    }
    let len = prefix.len() + 1;
    for half in [prefix.addr(), prefix.last_addr()].map(|addr| Prefix4::around(addr, len)) {
        if routes.exact(half).is_none() {
            paint(routes, half, to, set);
        }
    }
}

/// The place of `addr` among all prefixes of `bits` bits.
fn place(addr: u32, bits: u8) -> usize {
    (addr >> (32 - bits)) as usize
}

pub(super) fn entry(hop: NextHopId) -> u32 {
    hop.0 + 1
}

fn set_under(fib: &Fib, chunk: u32, under: u32) {
    fib.set_shapes(chunk, fib.shapes(chunk).map(|shape| Shape { under, ..shape }));
}

#[cfg(test)]
impl FibWriter {
    /// A table with little room.
    pub(super) fn small(chunks: usize, leaves: usize) -> Self {
        Self::with_room(chunks, leaves).unwrap()
    }

    /// Chunks and values in use.
    pub(super) fn in_use(&self) -> (usize, usize) {
        (self.chunks.in_use(), self.leaves.in_use())
    }
}
