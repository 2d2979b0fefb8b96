//! What would the plainest fast form cost? DIR-24-8, the yardstick that `compact` is measured by.
//!
//! One array with an entry for each /24 and blocks of 256 entries for those with longer routes
//! (Gupta, Lin, McKeown 1998): one memory access for nearly every address, and 64 MiB before the
//! first route. Changed in place like the form that workers use, so that update costs compare.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::blocks::Blocks;
use super::prefix::{Prefix as _, Prefix4};
use super::trie::Trie;
use super::writer::{FibError, MAX_NEXT_HOP, entry};
use crate::ids::NextHopId;
use crate::mem::HugeVec;

/// Marks an entry that is a block's number.
const BLOCK: u32 = 1 << 31;
const BASE: usize = 1 << 24;
/// Most blocks of 256 entries: address space, not memory.
const BLOCKS: usize = 1 << 20;
const BLOCK_LEN: usize = 256;

/// A DIR-24-8 table to look addresses up in.
#[derive(Debug)]
pub struct Dir24 {
    base: HugeVec<AtomicU32, BASE>,
    blocks: HugeVec<[AtomicU32; BLOCK_LEN], BLOCKS>,
    default: AtomicU32,
}

impl Dir24 {
    /// The next hop of the longest route that covers `addr` (host order), or `NextHopId(0)`.
    #[inline]
    pub fn lookup(&self, addr: u32) -> NextHopId {
        let entry = self.base_entry(addr);
        let entry = if entry & BLOCK == 0 { entry } else { self.block_entry(entry, addr) };
        self.resolve(entry)
    }

    /// Looks up each of `addrs` into the same place of `found`; the shorter slice counts.
    pub fn lookup_batch(&self, addrs: &[u32], found: &mut [NextHopId]) {
        for (addrs, found) in addrs.chunks(64).zip(found.chunks_mut(64)) {
            let mut deeper = 0u64;
            let mut entries = [0; 64];
            for (i, addr) in addrs.iter().enumerate() {
                entries[i] = self.base_entry(*addr);
                deeper |= u64::from(entries[i] >> 31) << i;
            }
            while deeper != 0 {
                let i = deeper.trailing_zeros() as usize;
                deeper &= deeper - 1;
                entries[i] = self.block_entry(entries[i], addrs[i]);
            }
            for (found, entry) in found.iter_mut().zip(entries) {
                *found = self.resolve(entry);
            }
        }
    }

    #[inline(always)]
    fn base_entry(&self, addr: u32) -> u32 {
        self.base[(addr >> 8) as usize].load(Acquire)
    }

    #[inline(always)]
    fn block_entry(&self, entry: u32, addr: u32) -> u32 {
        self.block(entry)[(addr & 0xff) as usize].load(Relaxed)
    }

    #[inline(always)]
    fn block(&self, entry: u32) -> &[AtomicU32; BLOCK_LEN] {
        &self.blocks[entry as usize & (BLOCKS - 1)]
    }

    #[inline(always)]
    fn resolve(&self, entry: u32) -> NextHopId {
        let default = self.default.load(Relaxed);
        NextHopId(if entry == 0 { default } else { entry }.saturating_sub(1))
    }
}

/// The one writer of a [`Dir24`].
#[derive(Debug)]
pub struct Dir24Writer {
    table: Arc<Dir24>,
    routes: Trie<Prefix4, NextHopId>,
    blocks: Blocks,
    change: u64,
}

impl Dir24Writer {
    /// A table with these routes; of several with one prefix, the last one stays.
    ///
    /// # Errors
    /// When a next hop's number is too high, or the routes do not fit.
    pub fn build(routes: impl IntoIterator<Item = (Prefix4, NextHopId)>) -> Result<Self, FibError> {
        let table = Dir24 {
            base: HugeVec::reserve()?,
            blocks: HugeVec::reserve()?,
            default: AtomicU32::new(0),
        };
        table.base.want_huge(0);
        let mut writer = Self {
            table: Arc::new(table),
            routes: routes.into_iter().collect(),
            blocks: Blocks::new(0, u32::try_from(BLOCKS).expect("a constant below 2^31")),
            change: 0,
        };
        if let Some((_, hop)) = writer.routes.iter().find(|(_, hop)| hop.0 > MAX_NEXT_HOP) {
            return Err(FibError::NextHop(*hop));
        }
        let routes: Vec<(Prefix4, u32)> =
            writer.routes.iter().map(|(prefix, hop)| (prefix, entry(*hop))).collect();
        for (prefix, value) in &routes {
            match prefix.len() {
                0 => writer.table.default.store(*value, Relaxed),
                // In order, what is nested comes later and paints over.
                1..=24 => writer.fill(*prefix, *value),
                _ => writer.deepen(*prefix, *value)?,
            }
        }
        Ok(writer)
    }

    /// The table to read.
    pub fn table(&self) -> Arc<Dir24> {
        Arc::clone(&self.table)
    }

    /// Adds or replaces a route.
    ///
    /// # Errors
    /// As for [`Dir24Writer::build`].
    pub fn insert(&mut self, prefix: Prefix4, hop: NextHopId) -> Result<(), FibError> {
        if hop.0 > MAX_NEXT_HOP {
            return Err(FibError::NextHop(hop));
        }
        self.routes.insert(prefix, hop);
        self.apply(prefix)
    }

    /// Takes a route out.
    ///
    /// # Errors
    /// When the table is full.
    pub fn remove(&mut self, prefix: Prefix4) -> Result<(), FibError> {
        self.routes.remove(prefix);
        self.apply(prefix)
    }

    /// Frees what was replaced; call it when every reader has passed a turn.
    pub fn reclaim(&mut self) {
        self.blocks.reclaim(self.change);
    }

    /// Memory taken in bytes, without the writer's routes.
    pub fn memory_size(&self) -> usize {
        (BASE + self.blocks.touched() * BLOCK_LEN) * size_of::<u32>()
    }

    fn apply(&mut self, prefix: Prefix4) -> Result<(), FibError> {
        self.change += 1;
        if prefix == Prefix4::ALL {
            let value = self.routes.exact(prefix).map_or(0, |hop| entry(*hop));
            self.table.default.store(value, Relaxed);
            return Ok(());
        }
        // Paint aside, then store what differs: readers never see a nested route missing.
        let around = Prefix4::around(prefix.addr(), prefix.len().min(24));
        let under = self.routes.longest_match_up_to(around.addr(), around.len());
        let under = under.filter(|(found, _)| found.len() > 0).map_or(0, |(_, hop)| entry(*hop));
        let first = around.addr() >> 8;
        let mut wanted = vec![under; 1 << (24 - around.len())];
        let mut deep = Vec::new();
        for (route, hop) in self.routes.within(around) {
            let at = ((route.addr() >> 8) - first) as usize;
            if route.len() <= 24 {
                wanted[at..at + (1 << (24 - route.len()))].fill(entry(*hop));
            } else {
                deep.push(route);
            }
        }
        for (slot, value) in (first as usize..).zip(&wanted) {
            let old = self.table.base[slot].load(Relaxed);
            if old & BLOCK == 0 && old != *value {
                self.table.base[slot].store(*value, Release);
            }
        }
        self.apply_blocks(around, &deep, &wanted)
    }

    /// Writes anew the blocks of each /24 in `around` that has, or had, longer routes.
    fn apply_blocks(
        &mut self,
        around: Prefix4,
        deep: &[Prefix4],
        values: &[u32],
    ) -> Result<(), FibError> {
        let first = around.addr() >> 8;
        let mut deep = deep.iter().map(|route| route.addr() >> 8).peekable();
        for (slot, value) in (first..).zip(values) {
            let has_longer = deep.peek() == Some(&slot);
            while deep.next_if_eq(&slot).is_some() {}
            let old = self.table.base[slot as usize].load(Relaxed);
            if has_longer {
                let mut entries = [*value; BLOCK_LEN];
                for (route, hop) in self.routes.within(Prefix4::around(slot << 8, 24)) {
                    let at = (route.addr() & 0xff) as usize;
                    if route.len() > 24 {
                        entries[at..at + (1 << (32 - route.len()))].fill(entry(*hop));
                    }
                }
                let block = if old & BLOCK == 0 { self.take()? } else { old };
                for (place, value) in self.table.block(block).iter().zip(entries) {
                    place.store(value, Relaxed);
                }
                self.table.base[slot as usize].store(block, Release);
            } else if old & BLOCK != 0 {
                self.table.base[slot as usize].store(*value, Release);
                self.blocks.retire(old & !BLOCK, 1, self.change - 1);
            }
        }
        Ok(())
    }

    fn fill(&self, prefix: Prefix4, value: u32) {
        let first = (prefix.addr() >> 8) as usize;
        for place in &self.table.base[first..first + (1 << (24 - prefix.len()))] {
            place.store(value, Relaxed);
        }
    }

    fn deepen(&mut self, prefix: Prefix4, value: u32) -> Result<(), FibError> {
        let base = &self.table.base[(prefix.addr() >> 8) as usize];
        let old = base.load(Relaxed);
        let mut block = old;
        if old & BLOCK == 0 {
            block = self.blocks.take(1).ok_or(FibError::Full)? | BLOCK;
            for place in self.table.block(block) {
                place.store(old, Relaxed);
            }
            base.store(block, Release);
        }
        let at = (prefix.addr() & 0xff) as usize;
        for place in &self.table.block(block)[at..at + (1 << (32 - prefix.len()))] {
            place.store(value, Relaxed);
        }
        Ok(())
    }

    fn take(&mut self) -> Result<u32, FibError> {
        Ok(self.blocks.take(1).ok_or(FibError::Full)? | BLOCK)
    }
}
