//! Where does an address of a large table lead, for the price of one memory access?
//!
//! The base array of a DIR-24-8 table (Gupta, Lin, McKeown 1998): an entry for each /24, written by
//! the same writer as the compact form and derived from it. Where a /24 has longer routes its entry
//! names the compact form's chunk, so there is no second set of blocks to keep. It costs 2 MiB for
//! each /5 with a route, 56 MiB for the unicast space; small tables do without.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::mem::{self, HugeVec};

const BASE: usize = 1 << 24;
/// Entries of a huge page.
const PAGE_LEN: usize = (2 << 20) / size_of::<u32>();

/// An entry for each /24: 0, a next hop's number plus one, or a chunk.
#[derive(Debug)]
pub(super) struct Dir24 {
    base: HugeVec<AtomicU32, BASE>,
    /// Huge pages that were written to, as bits.
    pages: AtomicU32,
}

impl Dir24 {
    /// A table without routes.
    pub(super) fn empty() -> io::Result<Self> {
        let base = HugeVec::reserve()?;
        base.want_huge(0);
        Ok(Self { base, pages: AtomicU32::new(0) })
    }

    #[inline(always)]
    pub(super) fn entry(&self, addr: u32) -> u32 {
        self.base[(addr >> 8) as usize].load(Acquire)
    }

    /// Asks for the entry of `addr`.
    pub(super) fn prefetch(&self, addr: u32) {
        mem::prefetch(&raw const self.base[(addr >> 8) as usize]);
    }

    /// Brings the entries from number `first` on in line with the compact form's, given with what
    /// lies under them; all are in one /16. Release: who sees a chunk's index sees the chunk.
    pub(super) fn mirror(&self, first: usize, entries: &[u32], under: u32) {
        let mut written = false;
        for (place, entry) in self.base[first..first + entries.len()].iter().zip(entries) {
            let entry = if *entry == 0 { under } else { *entry };
            if place.load(Relaxed) != entry {
                place.store(entry, Release);
                written = true;
            }
        }
        if written {
            let pages = self.pages.load(Relaxed);
            self.pages.store(pages | 1 << (first / PAGE_LEN), Relaxed);
        }
    }

    /// Memory taken in bytes, as whole huge pages.
    pub(super) fn memory_size(&self) -> usize {
        self.pages.load(Relaxed).count_ones() as usize * PAGE_LEN * size_of::<u32>()
    }
}
