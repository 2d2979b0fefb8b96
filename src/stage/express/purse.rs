//! Does every limit have room for a whole batch?

use crate::frame::Batch;
use crate::tables::LinkPolicer;
use crate::time::Now;

/// What a batch could cost at most. A limit that has room for that refuses none of its packets,
/// and so it does not matter in which order they ask: the stages see some of them later. That holds
/// for packets of one time, as a port's batches are; a replay's others take the stages.
#[derive(Debug)]
pub(super) struct Purse {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// When all of the batch came.
    pub(super) arrival: Now,
}

/// More than headers, tags and pieces can add to a packet's bytes.
const AROUND: u64 = 512;

impl Purse {
    /// None for a batch of several times.
    pub(super) fn of(batch: &Batch) -> Option<Self> {
        let packets = batch.len() as u64;
        let bytes = batch.bytes_pushed().wrapping_add(packets.wrapping_mul(AROUND));
        Some(Self { packets, bytes, arrival: batch.arrival()? })
    }

    pub(super) fn affords(&self, policer: &LinkPolicer) -> bool {
        policer.bucket.holds(self.arrival, self.bytes)
    }
}
