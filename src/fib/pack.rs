//! How do 256 entries become a chunk, and a chunk 256 entries?
//!
//! Packing is where runs are found, where values that stay in place are told from those that move,
//! and where what was replaced is put aside until the caller says that no worker looks at it.

use std::sync::Arc;

use super::blocks::Blocks;
use super::compact::{CHUNK, ENTRIES, Fib, GROUP, NO_CHUNK, Shape};
use super::error::FibError;

/// The value that all groups without a route share.
const NOTHING: u32 = 0;
/// Chunks and values that one change can take.
const CHANGE_CHUNKS: u32 = 2;
const CHANGE_LEAVES: u32 = 2 * 256;
const PAGE: usize = 4096;
const CHUNK_SIZE: usize = 64;

/// Writes the chunks of one table.
#[derive(Debug)]
pub(super) struct Packer {
    fib: Arc<Fib>,
    chunks: Blocks,
    leaves: Blocks,
    /// Number of the change under way.
    change: u64,
}

impl Packer {
    /// For a table that is empty, with room for this many chunks and values.
    pub(super) fn new(fib: Arc<Fib>, chunks: usize, leaves: usize) -> Self {
        let limit = |len: usize| u32::try_from(len).expect("an array is shorter than 2^31");
        Self {
            fib,
            chunks: Blocks::new(NO_CHUNK + 1, limit(chunks)),
            leaves: Blocks::new(NOTHING + 1, limit(leaves)),
            change: 0,
        }
    }

    /// The 256 entries behind `entry`, and what lies under them; a value has no entries of its own.
    pub(super) fn unpack(&self, entry: u32) -> ([u32; ENTRIES], u32) {
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
    pub(super) fn pack(
        &mut self,
        old: u32,
        entries: &[u32; ENTRIES],
        under: u32,
    ) -> Result<u32, FibError> {
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

    /// Ends a change: what it replaced belongs to the past.
    pub(super) fn next_change(&mut self) {
        self.change += 1;
    }

    /// Number of the change to come.
    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// Frees what was replaced before change number `change`.
    pub(super) fn reclaim(&mut self, change: u64) {
        self.chunks.reclaim(change);
        self.leaves.reclaim(change);
    }

    /// Whether that many changes are sure to find room.
    pub(super) fn has_room(&self, changes: u32) -> bool {
        self.chunks.room() / CHANGE_CHUNKS >= changes
            && self.leaves.room() / CHANGE_LEAVES >= changes
    }

    /// Memory of chunks and values in bytes, as whole pages.
    pub(super) fn memory_size(&self) -> usize {
        let leaves = self.leaves.touched() * size_of::<u32>();
        (self.chunks.touched() * CHUNK_SIZE).next_multiple_of(PAGE) + leaves.next_multiple_of(PAGE)
    }

    /// Chunks and values in use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> (usize, usize) {
        (self.chunks.in_use(), self.leaves.in_use())
    }
}
