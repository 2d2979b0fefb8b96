//! How does a route change reach the workers? In place, and no further than the change goes.
//!
//! The writer keeps all routes in a [`Trie`] and derives from it the words that a change touches.
//! A change to a route of 1 to 16 bits stores one word for each first-level entry it covers and
//! nothing nested hides; of 17 to 32 bits, it writes the groups of one chunk again that it reaches
//! (of two chunks where a /24 gains its first longer route), and where their runs change it swaps a
//! new chunk in with one store. In front of a large table stands a [`Dir24`], brought in line for
//! the entries that a change touched, or each /16 of a route of 1 to 16 bits. The result is the same
//! as if the table had been built from its routes anew.
//!
//! The writer is one value that cannot be cloned: there is one writer.

use std::iter::Peekable;
use std::sync::Arc;

use super::compact::{CHUNK, CHUNKS, ENTRIES, Fib, LEAVES, ROOT, Shape};
use super::dir24::Dir24;
use super::error::FibError;
use super::form::Form;
use super::pack::{Node, Packer};
use super::prefix::{Prefix as _, Prefix4};
use super::reach::{groups_of, paint, place};
use super::trie::Trie;
use crate::ids::NextHopId;
use crate::planted::{Bug, planted};

/// Highest number of a next hop: an entry keeps a bit for itself, and zero means no route.
pub(super) const MAX_NEXT_HOP: u32 = CHUNK - 2;
/// Changes that only removals may use, so that routes can be withdrawn when the table is full.
const WITHDRAWALS: u32 = 1024;
/// From here on huge pages pay: fewer than 1 MiB is covered by the second-level TLB.
const HUGE_FROM: usize = 1 << 20;
const PAGE: usize = 4096;

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
    packer: Packer,
    /// First-level pages (of 1,024 entries) that were written to, as bits.
    root_pages: u64,
    form: Form,
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
        Self::build_as(Form::Auto, routes)
    }

    /// As [`FibWriter::build`], in a form that the caller chooses.
    ///
    /// # Errors
    /// As for [`FibWriter::build`].
    pub fn build_as(
        form: Form,
        routes: impl IntoIterator<Item = (Prefix4, NextHopId)>,
    ) -> Result<Self, FibError> {
        let routes: Trie<Prefix4, NextHopId> = routes.into_iter().collect();
        if let Some((_, hop)) = routes.iter().find(|(_, hop)| hop.0 > MAX_NEXT_HOP) {
            return Err(FibError::NextHop(*hop));
        }
        let mut writer = Self::new()?;
        writer.form = form;
        writer.compile(&routes)?;
        writer.routes = routes;
        writer.widen()?;
        Ok(writer)
    }

    fn with_room(chunks: usize, leaves: usize) -> Result<Self, FibError> {
        let fib = Arc::new(Fib::empty()?);
        Ok(Self {
            packer: Packer::new(Arc::clone(&fib), chunks, leaves),
            fib,
            routes: Trie::new(),
            root_pages: 0,
            form: Form::Auto,
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
        self.widen()?;
        // The words that will change come while the routes are searched.
        self.fib.prefetch(prefix.addr());
        let old = self.routes.insert(prefix, hop);
        if old != Some(hop) {
            self.apply(prefix, Some(hop))?;
        }
        Ok(old)
    }

    /// Takes a route out and returns where it led.
    ///
    /// # Errors
    /// When the table is full, also of blocks that were never reclaimed; then nothing has changed.
    pub fn remove(&mut self, prefix: Prefix4) -> Result<Option<NextHopId>, FibError> {
        self.check_room(1)?;
        self.fib.prefetch(prefix.addr());
        let old = self.routes.remove(prefix);
        if old.is_some() {
            self.apply(prefix, None)?;
        }
        Ok(old)
    }

    /// The moment after the last change.
    pub fn mark(&self) -> Mark {
        Mark(self.packer.change())
    }

    /// Frees what changes before `mark` replaced. Call it when every worker that reads the table
    /// has passed a turn since the mark was taken; sooner, a worker may follow a reused block to a
    /// wrong next hop.
    pub fn reclaim(&mut self, mark: Mark) {
        self.packer.reclaim(mark.0);
    }

    fn check_room(&self, changes: u32) -> Result<(), FibError> {
        if self.packer.has_room(changes) { Ok(()) } else { Err(FibError::Full) }
    }

    /// Brings the compiled form in line with the routes at and under `prefix`, which now leads to
    /// `hop`.
    fn apply(&mut self, prefix: Prefix4, hop: Option<NextHopId>) -> Result<(), FibError> {
        match prefix.len() {
            0 if planted(Bug::DefaultRoute) => {}
            0 => self.fib.set_default(hop.map_or(0, entry)),
            1..=16 => self.apply_to_root(prefix, hop),
            17..=24 => self.apply_to_middle(prefix, hop)?,
            _ => self.apply_to_last(prefix, hop)?,
        }
        self.packer.next_change();
        self.account(self.routes.len(), 0);
        Ok(())
    }

    fn apply_to_root(&mut self, prefix: Prefix4, hop: Option<NextHopId>) {
        let value = self.value_inside(prefix, hop, 0);
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
        if let Some(wide) = self.fib.wide() {
            for slot in place(prefix.addr(), 16)..=place(prefix.last_addr(), 16) {
                self.mirror(wide, slot);
            }
        }
    }

    fn apply_to_middle(&mut self, prefix: Prefix4, hop: Option<NextHopId>) -> Result<(), FibError> {
        let slot = place(prefix.addr(), 16);
        let mut node = self.packer.open(self.fib.root(slot));
        let value = self.value_inside(prefix, hop, 16);
        let (first, last) = (place(prefix.addr(), 24), place(prefix.last_addr(), 24));
        let mut entries = self.unpack_around(&node, (first, last));
        let fib = &self.fib;
        paint(&self.routes, prefix, 24, &mut |addr| {
            let entry = &mut entries[place(addr, 24) % ENTRIES];
            if *entry & CHUNK != 0 {
                set_under(fib, *entry, value);
            } else {
                *entry = value;
            }
        });
        let new = self.pack_around(&mut node, (first, last), &entries)?;
        self.set_root(slot, new);
        if let Some(wide) = self.fib.wide() {
            let changed = &entries[first % ENTRIES..=last % ENTRIES];
            wide.mirror(first, changed, node.under());
        }
        Ok(())
    }

    fn apply_to_last(&mut self, prefix: Prefix4, hop: Option<NextHopId>) -> Result<(), FibError> {
        let (slot, middle) = (place(prefix.addr(), 16), place(prefix.addr(), 24));
        let mut parent = self.packer.open(self.fib.root(slot));
        let mut middles = self.unpack_around(&parent, (middle, middle));
        let old = middles[middle % ENTRIES];
        let mut node = self.packer.open(old);
        let value = self.value_inside(prefix, hop, 24);
        let (first, last) = (place(prefix.addr(), 32), place(prefix.last_addr(), 32));
        let mut entries = self.unpack_around(&node, (first, last));
        paint(&self.routes, prefix, 32, &mut |addr| {
            entries[place(addr, 32) % ENTRIES] = value;
        });
        let new = self.pack_around(&mut node, (first, last), &entries)?;
        if new != old {
            middles[middle % ENTRIES] = new;
            let new_root = self.pack_around(&mut parent, (middle, middle), &middles)?;
            self.set_root(slot, new_root);
        }
        if let Some(wide) = self.fib.wide() {
            wide.mirror(middle, &[new], parent.under());
        }
        Ok(())
    }

    /// The entries of a node, of those groups that reach into `places`; the others are left out.
    fn unpack_around(&self, node: &Node, places: (usize, usize)) -> [u32; ENTRIES] {
        let mut entries = [0; ENTRIES];
        let (groups, _) = entries.as_chunks_mut();
        for at in groups_of(places) {
            groups[at] = self.packer.group(node, at);
        }
        entries
    }

    /// Writes those groups again that reach into `places`, and returns the node's entry.
    fn pack_around(
        &mut self,
        node: &mut Node,
        places: (usize, usize),
        entries: &[u32; ENTRIES],
    ) -> Result<u32, FibError> {
        let (groups, _) = entries.as_chunks();
        for at in groups_of(places) {
            self.packer.set_group(node, at, &groups[at])?;
        }
        self.packer.close(node)
    }

    /// Puts the wide form in front of a table that has grown large; once in its life.
    fn widen(&mut self) -> Result<(), FibError> {
        let wanted = self.form.wants_wide(self.routes.len(), self.root_pages.count_ones());
        if wanted && self.fib.wide().is_none() {
            let wide = match Dir24::empty() {
                Ok(wide) => wide,
                // Slower, and right.
                Err(_) if self.form == Form::Auto => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for slot in (0..ROOT).filter(|slot| self.fib.root(*slot) != 0) {
                self.mirror(&wide, slot);
            }
            self.fib.set_wide(wide);
            self.account(self.routes.len(), 0);
        }
        Ok(())
    }

    fn mirror(&self, wide: &Dir24, slot: usize) {
        let (entries, under) = self.packer.unpack(self.fib.root(slot));
        wide.mirror(slot * ENTRIES, &entries, under);
    }

    /// What `prefix` leads to by routes longer than `bits`, its own among them, as an entry.
    fn value_inside(&self, prefix: Prefix4, hop: Option<NextHopId>, bits: u8) -> u32 {
        let around = || self.routes.longest_match_of(prefix.addr(), bits + 1..=prefix.len() - 1);
        hop.or_else(|| around().map(|(_, hop)| *hop)).map_or(0, entry)
    }

    fn set_root(&mut self, slot: usize, entry: u32) {
        if self.fib.root(slot) != entry {
            self.root_pages |= 1 << (slot >> 10);
            self.fib.set_root(slot, entry);
        }
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
                entries[first] = self.packer.pack(&inner, entries[first])?;
            }
        }
        Ok(())
    }

    /// Brings the totals up to date, and asks for huge pages when they will pay: for the size now
    /// or the one `expected`, in bytes.
    fn account(&mut self, len: usize, expected: usize) {
        let packed = self.packer.memory_size();
        if !self.huge && expected.max(packed) > HUGE_FROM {
            self.fib.want_huge();
            self.huge = true;
        }
        let root = self.root_pages.count_ones() as usize * PAGE;
        let memory = root + packed + self.fib.wide().map_or(0, Dir24::memory_size);
        self.fib.set_totals(len, memory);
    }
}

fn entry(hop: NextHopId) -> u32 {
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
        self.packer.in_use()
    }
}
