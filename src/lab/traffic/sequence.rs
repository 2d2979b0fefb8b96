//! Which datagrams came, in which order, how often?

/// Which sequence numbers have come.
#[derive(Debug, Default)]
pub(super) struct Seen {
    bits: Vec<u64>,
    next: u64,
}

/// What a sequence number tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Later than all before.
    New,
    /// Earlier than one before.
    Late,
    /// Came before.
    Again,
    /// None that a sender would use.
    Absurd,
}

impl Seen {
    /// Marks `seq` as come and says what that tells.
    pub(super) fn mark(&mut self, seq: u64) -> Mark {
        // An hour of 1 Gbit/s in the smallest packets is under this.
        const MOST: u64 = 1 << 34;
        let Some(word) = usize::try_from(seq / 64).ok().filter(|_| seq < MOST) else {
            return Mark::Absurd;
        };
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let bit = 1 << (seq % 64);
        if self.bits[word] & bit != 0 {
            return Mark::Again;
        }
        self.bits[word] |= bit;
        if seq < self.next {
            return Mark::Late;
        }
        self.next = seq + 1;
        Mark::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_copies_are_told_apart() {
        let mut seen = Seen::default();
        let marks: Vec<Mark> = [0, 2, 1, 2, 70, 69].into_iter().map(|s| seen.mark(s)).collect();
        use Mark::{Again, Late, New};
        assert_eq!(marks, [New, New, Late, Again, New, Late]);
        assert_eq!(seen.mark(u64::MAX), Mark::Absurd);
    }
}
