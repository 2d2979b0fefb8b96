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

/// A chunk under change: its groups as they were and as they will be.
#[derive(Debug)]
pub(super) struct Node {
    entry: u32,
    before: Option<[Shape; ENTRIES / GROUP]>,
    now: [Shape; ENTRIES / GROUP],
}

impl Node {
    /// What holds where it has no route.
    pub(super) fn under(&self) -> u32 {
        self.now[0].under
    }
}

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

    /// Begins to change the node behind `entry`; behind a value are no entries yet, and it lies under
    /// those to come.
    pub(super) fn open(&self, entry: u32) -> Node {
        if entry & CHUNK == 0 {
            let nothing = Shape { starts: 1, base: NOTHING, under: entry };
            return Node { entry, before: None, now: [nothing; ENTRIES / GROUP] };
        }
        let shapes = self.fib.shapes(entry);
        Node { entry, before: Some(shapes), now: shapes }
    }

    /// The entries of a node's group number `at`.
    pub(super) fn group(&self, node: &Node, at: usize) -> [u32; GROUP] {
        let Shape { starts, base, .. } = node.now[at];
        let (mut index, mut left) = (base, starts);
        let mut entries = [0; GROUP];
        while left != 0 {
            // A run goes on to the end, until the next one begins.
            entries[left.trailing_zeros() as usize..].fill(self.fib.value(index));
            index += 1;
            left &= left - 1;
        }
        entries
    }

    /// The 256 entries behind `entry`, and what lies under them; a value has no entries of its own.
    pub(super) fn unpack(&self, entry: u32) -> ([u32; ENTRIES], u32) {
        let node = self.open(entry);
        let mut entries = [0; ENTRIES];
        for (at, group) in entries.as_chunks_mut().0.iter_mut().enumerate() {
            *group = self.group(&node, at);
        }
        (entries, node.under())
    }

    /// Writes a group of a node.
    pub(super) fn set_group(
        &mut self,
        node: &mut Node,
        at: usize,
        entries: &[u32; GROUP],
    ) -> Result<(), FibError> {
        let before = node.before.map(|shapes| shapes[at]);
        node.now[at] = self.pack_group(before, entries, node.under())?;
        Ok(())
    }

    /// Ends the change of a node, and returns the entry to reach it by: what lies under it when it
    /// holds no route, the entry that it had when its runs stay the same, else that of a fresh chunk.
    pub(super) fn close(&mut self, node: &Node) -> Result<u32, FibError> {
        let Node { entry, before, now } = node;
        if let Some(before) = before {
            if before == now {
                return Ok(*entry);
            }
            for (shape, now) in before.iter().zip(now) {
                if shape.base != NOTHING && shape.base != now.base {
                    self.leaves.retire(shape.base, shape.starts.count_ones() as usize, self.change);
                }
            }
            self.chunks.retire(entry & !CHUNK, 1, self.change);
        }
        if now.iter().all(|shape| shape.base == NOTHING) {
            return Ok(node.under());
        }
        let new = self.chunks.take(1).ok_or(FibError::Full)? | CHUNK;
        self.fib.set_shapes(new, *now);
        Ok(new)
    }

    /// Writes `entries`, under which `under` lies, and returns the entry to reach them by.
    pub(super) fn pack(&mut self, entries: &[u32; ENTRIES], under: u32) -> Result<u32, FibError> {
        let mut node = self.open(under);
        for (at, group) in entries.as_chunks().0.iter().enumerate() {
            self.set_group(&mut node, at, group)?;
        }
        self.close(&node)
    }

    /// Writes 64 entries: over the values of `before` when the runs stay the same.
    fn pack_group(
        &mut self,
        before: Option<Shape>,
        entries: &[u32; GROUP],
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
