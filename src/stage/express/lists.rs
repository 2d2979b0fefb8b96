//! What is kept of a batch's packets from one question to the next: for each fact a list of its own,
//! so that a loop touches only what it asks about.

use super::plain;
use super::translate::Crossing;
use crate::flow::{Key, Tuple};
use crate::frame::BATCH;
use crate::ids::{AdjacencyId, NextHopId};
use crate::neighbour::Word;

/// Plain packets.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) dst: [u32; BATCH],
    /// What the destinations lead to.
    pub(super) hops: [NextHopId; BATCH],
    /// IPv4 total length.
    pub(super) ip_len: [u16; BATCH],
    pub(super) ttl: [u8; BATCH],
    /// Place in the batch.
    pub(super) at: [u8; BATCH],
    /// Where flows matter: their ends, and the hash of these.
    pub(super) tuples: [Tuple; BATCH],
    pub(super) hash: [u32; BATCH],
}

impl Picked {
    /// Reads what tells the flow of packet `k` apart.
    #[inline(always)]
    pub(super) fn read_flow<const L2: usize>(&mut self, k: usize, head: &plain::Head, seed: u64) {
        let tuple = plain::tuple::<L2>(head);
        let Tuple { src, dst, sport, dport, proto } = tuple;
        self.tuples[k % BATCH] = tuple;
        self.hash[k % BATCH] = crate::flow::hash5(seed, src, dst, sport, dport, proto);
    }
}

/// Packets that nothing stands in the way of.
#[derive(Debug)]
pub(super) struct Leaving {
    /// The neighbour's word, with its MAC address.
    pub(super) words: [Word; BATCH],
    pub(super) adjacencies: [AdjacencyId; BATCH],
    /// IPv4 total length.
    pub(super) ip_len: [u16; BATCH],
    /// Place in the batch.
    pub(super) at: [u8; BATCH],
    /// Which of those that were picked.
    pub(super) picked: [u8; BATCH],
}

impl Leaving {
    /// Puts packet `k` of those that were picked at place `n`.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
    pub(super) fn put(
        &mut self,
        n: usize,
        (k, at, ip_len): (usize, u8, u16),
        (adjacency, word): (AdjacencyId, Word),
    ) {
        let n = n % BATCH;
        self.words[n] = word;
        self.adjacencies[n] = adjacency;
        self.ip_len[n] = ip_len;
        self.at[n] = at;
        self.picked[n] = k as u8;
    }

    /// Moves the packet at `from` to `to`.
    #[inline(always)]
    pub(super) fn shift(&mut self, from: usize, to: usize) {
        let (from, to) = (from % BATCH, to % BATCH);
        self.words[to] = self.words[from];
        self.adjacencies[to] = self.adjacencies[from];
        self.ip_len[to] = self.ip_len[from];
        self.at[to] = self.at[from];
        self.picked[to] = self.picked[from];
    }
}

/// How many packets of a list go on, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    pub(super) len: usize,
    pub(super) bytes: u64,
    /// Whether a security group has to be asked about some of them.
    pub(super) grouped: bool,
}

impl Ready {
    /// One more, of this length.
    #[inline(always)]
    pub(super) fn add(&mut self, ip_len: u16) {
        self.len = self.len.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(ip_len));
    }

    /// Its length as a place that a list has.
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.len.min(BATCH)
    }
}

/// Room for the packets of a batch, kept from one batch to the next.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) picked: Picked,
    pub(super) leaving: Leaving,
    pub(super) crossing: [Crossing; BATCH],
    /// Names of the flows that are looked for.
    pub(super) keys: [Key; BATCH],
}

impl Default for Lists {
    fn default() -> Self {
        let nothing = Tuple { src: 0, dst: 0, sport: 0, dport: 0, proto: 0 };
        Self {
            picked: Picked {
                dst: [0; BATCH],
                hops: [NextHopId(0); BATCH],
                ip_len: [0; BATCH],
                ttl: [0; BATCH],
                at: [0; BATCH],
                tuples: [nothing; BATCH],
                hash: [0; BATCH],
            },
            leaving: Leaving {
                words: [Word::default(); BATCH],
                adjacencies: [AdjacencyId(0); BATCH],
                ip_len: [0; BATCH],
                at: [0; BATCH],
                picked: [0; BATCH],
            },
            crossing: [Crossing::NONE; BATCH],
            keys: [Key::new(0, &nothing, 0); BATCH],
        }
    }
}
