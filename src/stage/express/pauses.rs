//! Is it worth trying? Not where most packets were left of late.

use crate::ids::AttachmentId;

/// Where most packets were left to the stages of late, trying is in vain for a while: a security
/// group decides there, sessions begin, or a limit is reached.
#[derive(Debug)]
pub(super) struct Pauses([u8; PAUSES]);

impl Default for Pauses {
    fn default() -> Self {
        Self([0; PAUSES])
    }
}

/// Attachments far apart share a pause.
const PAUSES: usize = 256;
/// Batches that are not tried.
const PAUSE: u8 = 64;
/// Packets of a batch that tell something about those that follow.
const WORTH_JUDGING: u32 = 4;

impl Pauses {
    /// Whether a batch that begins at `id` is not tried.
    pub(super) fn holds(&mut self, id: AttachmentId) -> bool {
        let left = &mut self.0[id.index() % PAUSES];
        let holds = *left > 0;
        *left = left.saturating_sub(1);
        holds
    }

    /// Of the packets that were `seen`, some were `left`.
    pub(super) fn judge(&mut self, id: AttachmentId, seen: u64, left: u64) {
        if seen.count_ones() >= WORTH_JUDGING && left.count_ones() * 2 > seen.count_ones() {
            self.0[id.index() % PAUSES] = PAUSE;
        }
    }
}
