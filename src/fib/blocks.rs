//! Which parts of a fixed array are in use, and when may a part be used again?
//!
//! Workers may still read a block that the writer has replaced, so a replaced block is *retired*
//! and becomes free only when the caller says that every worker has passed a turn since.
//! Blocks are indices; the arrays themselves belong to the table.

use std::collections::VecDeque;

/// Longest block.
pub(super) const MAX_BLOCK: usize = 64;

/// Blocks of 1 to [`MAX_BLOCK`] items in an array of `limit` items.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Items from here on were never used.
    next: u32,
    limit: u32,
    /// Free blocks by their length.
    free: [Vec<u32>; MAX_BLOCK + 1],
    retired: VecDeque<Retired>,
}

#[derive(Clone, Copy, Debug)]
struct Retired {
    change: u64,
    start: u32,
    len: usize,
}

impl Blocks {
    /// All items from `first` to `limit` are free.
    pub(super) fn new(first: u32, limit: u32) -> Self {
        Self {
            next: first,
            limit,
            free: [const { Vec::new() }; MAX_BLOCK + 1],
            retired: VecDeque::new(),
        }
    }

    /// Takes a block of `len` items and returns its start, or nothing when there is no room.
    pub(super) fn take(&mut self, len: usize) -> Option<u32> {
        if let Some(start) = self.free[len].pop() {
            return Some(start);
        }
        let start = self.next;
        let next = start.checked_add(u32::try_from(len).ok()?)?;
        if next > self.limit {
            return None;
        }
        self.next = next;
        Some(start)
    }

    /// Puts a block aside that was replaced in change number `change`.
    pub(super) fn retire(&mut self, start: u32, len: usize, change: u64) {
        self.retired.push_back(Retired { change, start, len });
    }

    /// Frees the blocks that were replaced before change number `change`.
    pub(super) fn reclaim(&mut self, change: u64) {
        while let Some(block) = self.retired.pop_front_if(|block| block.change < change) {
            self.free[block.len].push(block.start);
        }
    }

    /// Items that were never used.
    pub(super) fn room(&self) -> u32 {
        self.limit - self.next
    }

    /// Items that were ever used, and so take memory.
    pub(super) fn touched(&self) -> usize {
        self.next as usize
    }

    /// Items that are neither free nor retired.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        let free: usize = self.free.iter().enumerate().map(|(len, list)| len * list.len()).sum();
        self.touched() - free - self.retired.iter().map(|block| block.len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_block_is_not_given_out_before_its_grace_period_ends() {
        let mut blocks = Blocks::new(1, 9);
        let first = blocks.take(4).unwrap();
        blocks.retire(first, 4, 7);
        blocks.reclaim(7);
        assert_eq!(blocks.take(4), Some(5), "change 7 is not yet past");
        assert_eq!(blocks.take(4), None, "the array is full");
        blocks.reclaim(8);
        assert_eq!(blocks.take(4), Some(first));
        assert_eq!(blocks.in_use(), 9);
    }
}
