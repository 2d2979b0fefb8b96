//! What is kept of a batch's packets from one question to the next: for each fact a list of its own,
//! so that a loop touches only what it asks about.

use super::translate::Crossing;
use super::{place, plain};
use crate::flow::{Key, Tuple};
use crate::frame::{BATCH, Batch, Bits};
use crate::ids::{AdjacencyId, NextHopId};
use crate::neighbour::Word;
use crate::tables::exit::Exits;

/// Plain packets.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) dst: [u32; BATCH],
    /// What the destinations lead to: next hops, their adjacencies, and the words of these, with
    /// the neighbours' MAC addresses.
    pub(super) hops: [NextHopId; BATCH],
    pub(super) adjacencies: [AdjacencyId; BATCH],
    pub(super) words: [Word; BATCH],
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

    /// Bytes of the packets of `set`, from the IP header on.
    pub(super) fn bytes(&self, set: u64) -> u64 {
        Bits(set).fold(0, |sum: u64, k| sum.wrapping_add(u64::from(self.ip_len[k])))
    }

    /// As [`Picked::read_flow`], of its frame in the batch.
    #[inline(always)]
    pub(super) fn read_flow_of<const L2: usize>(&mut self, k: usize, batch: &Batch, seed: u64) {
        let (frame, bytes) = batch.bare(usize::from(self.at[k % BATCH]) % BATCH);
        self.read_flow::<L2>(k, place::head(frame, bytes.off), seed);
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
        Self { set, bytes: picked.bytes(set), ..self }
    }
}

/// Room for the packets of a batch, kept from one batch to the next.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) picked: Picked,
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
                adjacencies: [AdjacencyId(0); BATCH],
                words: [Word::default(); BATCH],
                ip_len: [0; BATCH],
                ttl: [0; BATCH],
                at: [0; BATCH],
                tuples: [nothing; BATCH],
                hash: [0; BATCH],
            },
            crossing: [Crossing::NONE; BATCH],
            keys: [Key::new(0, &nothing, 0); BATCH],
        }
    }
}
