//! What is kept of a batch's packets from one question to the next: for each fact a list of its own,
//! so that a loop touches only what it asks about.

use super::translate::Crossing;
use super::{place, plain};
use crate::flow::{Key, Tuple};
use crate::frame::{BATCH, Batch, Bits, first};
use crate::ids::{NextHopId, RewriteId};
use crate::neighbour::Word;
use crate::tables::exit::Exits;
use crate::tables::{Rewrite, Tables};

/// Plain packets.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) dst: [u32; BATCH],
    /// What the destinations lead to: next hops, their rewrites, and the words with the neighbours'
    /// MAC addresses.
    pub(super) hops: [NextHopId; BATCH],
    pub(super) rewrites: [RewriteId; BATCH],
    pub(super) words: [Word; BATCH],
    /// IPv4 total length.
    pub(super) ip_len: [u16; BATCH],
    pub(super) ttl: [u8; BATCH],
    /// Place in the batch.
    pub(super) at: [u8; BATCH],
    /// Where flows matter: their names, in domain 0.
    pub(super) flows: [Key; BATCH],
    /// Where packets are translated: their ends.
    pub(super) tuples: [Tuple; BATCH],
}

impl Picked {
    /// The rewrite of packet `k`, which leads to a neighbour.
    #[inline(always)]
    pub(super) fn rewrite<'a>(&self, tables: &'a Tables, k: usize) -> &'a Rewrite {
        &tables.rewrites[self.rewrites[k].index()]
    }

    /// Reads what tells the flow of packet `k` apart.
    #[inline(always)]
    pub(super) fn read_flow<const L2: usize>(&mut self, k: usize, head: &plain::Head, seed: u64) {
        self.flows[k % BATCH] = Key::hashed(seed, &plain::tuple::<L2>(head));
    }

    /// The hash of packet `k`'s 5-tuple.
    #[inline(always)]
    pub(super) fn hash(&self, k: usize) -> u32 {
        self.flows[k % BATCH].hash()
    }

    /// Of the packets of `set`, from the IP header on. Packets that follow each other from the first
    /// on need no look at bits.
    #[inline(always)]
    pub(super) fn sizes(&self, set: u64) -> Sizes {
        let len = set.count_ones() as usize;
        let mut sizes = Sizes::default();
        if set == first(len) {
            self.ip_len[..len].iter().for_each(|own| sizes.add(*own));
        } else {
            Bits(set).for_each(|k| sizes.add(self.ip_len[k]));
        }
        sizes
    }

    /// As [`Picked::read_flow`], of its frame in the batch.
    #[inline(always)]
    pub(super) fn read_flow_of<const L2: usize>(&mut self, k: usize, batch: &Batch, seed: u64) {
        let (frame, bytes) = batch.bare(usize::from(self.at[k % BATCH]) % BATCH);
        self.read_flow::<L2>(k, place::head(frame, bytes.off), seed);
    }
}

/// What packets are long, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) bytes: u64,
    pub(super) longest: u16,
}

impl Sizes {
    #[inline(always)]
    fn add(&mut self, ip_len: u16) {
        self.bytes = self.bytes.wrapping_add(u64::from(ip_len));
        self.longest = self.longest.max(ip_len);
    }
}

/// Those of the packets that were picked that nothing stands in the way of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    pub(super) set: u64,
    /// Their bytes from the IP header on.
    pub(super) bytes: u64,
    /// Their ways out; those of packets that were ready before may be among them.
    pub(super) exits: Exits,
    /// Whether all have the same rewrite.
    pub(super) alike: bool,
}

impl Ready {
    /// Packet `k` too, of this length.
    #[inline(always)]
    pub(super) fn add(&mut self, k: usize, ip_len: u16) {
        self.set |= 1 << k;
        self.bytes = self.bytes.wrapping_add(u64::from(ip_len));
    }

    /// How many there are.
    #[inline(always)]
    pub(super) fn len(&self) -> u64 {
        u64::from(self.set.count_ones())
    }

    /// Those that are in `set` as well.
    pub(super) fn within(self, set: u64, picked: &Picked) -> Self {
        let set = self.set & set;
        Self { set, bytes: picked.sizes(set).bytes, ..self }
    }
}

/// Room for the packets of a batch, kept from one batch to the next.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) picked: Picked,
    pub(super) crossing: [Crossing; BATCH],
}

impl Default for Lists {
    fn default() -> Self {
        let nothing = Tuple { src: 0, dst: 0, sport: 0, dport: 0, proto: 0 };
        Self {
            picked: Picked {
                dst: [0; BATCH],
                hops: [NextHopId(0); BATCH],
                rewrites: [RewriteId(0); BATCH],
                words: [Word::default(); BATCH],
                ip_len: [0; BATCH],
                ttl: [0; BATCH],
                at: [0; BATCH],
                tuples: [nothing; BATCH],
                flows: [Key::new(0, &nothing, 0); BATCH],
            },
            crossing: [Crossing::NONE; BATCH],
        }
    }
}
