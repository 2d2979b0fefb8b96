//! Which packets of a batch belong to the same attachment? What the tables say of it is then asked
//! once for all of them: most batches have one or two.
//!
//! Changes and ends nothing.

use arrayvec::ArrayVec;

use super::select;
use crate::frame::{BATCH, Batch, Bits, Row};
use crate::ids::AttachmentId;

/// The packets of one attachment.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Where they came in, or go out.
    pub attachment: AttachmentId,
    /// Which packets; never none.
    pub members: u64,
}

/// A set of packets, cut by attachment; each packet is in one group.
#[derive(Clone, Debug)]
pub struct Groups(ArrayVec<Group, BATCH>);

impl Groups {
    /// The packets of `set` by where they came in.
    #[inline]
    pub fn of(batch: &Batch, set: u64) -> Self {
        Self::by(batch, set, |row| row.attachment)
    }

    /// The packets of `set` by an attachment that their rows lead to.
    #[inline(always)]
    pub fn by(batch: &Batch, set: u64, attachment: impl Fn(&Row) -> AttachmentId) -> Self {
        let mut groups = ArrayVec::new();
        let mut left = set;
        while left != 0 {
            let first = attachment(batch.row(left.trailing_zeros() as usize));
            let members = select(batch, left, |row| attachment(row) == first);
            groups.push(Group { attachment: first, members });
            left &= !members;
        }
        Self(groups)
    }

    /// The groups, in the order of their first packets.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = Group> + Clone {
        self.0.iter().copied()
    }
}

/// Sums a figure of the packets of `members`.
#[inline(always)]
pub fn sum(batch: &Batch, members: u64, of: impl Fn(&Row) -> u32) -> u64 {
    Bits(members).map(|i| u64::from(of(batch.row(i)))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Pool;

    #[test]
    fn every_packet_is_in_one_group_and_groups_come_in_the_order_of_their_first() {
        let mut pool = Pool::new(64).unwrap();
        let mut batch = Batch::new();
        for attachment in [3, 1, 3, 2, 1, 3] {
            let row = Row { attachment: AttachmentId(attachment), ..Row::default() };
            batch.push(pool.take().unwrap(), row).unwrap();
        }
        let groups = Groups::of(&batch, 0b11_1110);
        let found: Vec<_> = groups.iter().map(|g| (g.attachment.0, g.members)).collect();
        assert_eq!(found, [(1, 0b01_0010), (3, 0b10_0100), (2, 0b00_1000)]);
        assert_eq!(Groups::of(&batch, 0).iter().count(), 0);
    }

    #[test]
    fn sixty_four_attachments_fit() {
        let mut pool = Pool::new(64).unwrap();
        let mut batch = Batch::new();
        for attachment in 0..64 {
            let row = Row { attachment: AttachmentId(attachment), len: 2, ..Row::default() };
            batch.push(pool.take().unwrap(), row).unwrap();
        }
        assert_eq!(Groups::of(&batch, u64::MAX).iter().count(), 64);
        assert_eq!(sum(&batch, u64::MAX, |row| row.len), 128);
    }
}
