//! What does a port's tag stack lead to?

use crate::ids::AttachmentId;
use crate::wire::vlan::{TagStack, VID};

const NONE: u16 = u16::MAX;
const VIDS: usize = 4096;

/// One port's map from tag stacks to attachments: two loads at most, whatever their number.
#[derive(Clone, Debug)]
pub struct Classifier {
    untagged: u16,
    /// By C-tag, for single-tagged frames.
    single: Option<Box<[u16; VIDS]>>,
    /// By outer tag: which block holds its inner tags.
    outer: Option<Box<[u16; VIDS]>>,
    blocks: Vec<Box<[u16; VIDS]>>,
}

impl Default for Classifier {
    fn default() -> Self {
        Self { untagged: NONE, single: None, outer: None, blocks: Vec::new() }
    }
}

impl Classifier {
    /// Adds a stack; `false` when it is taken.
    pub fn insert(&mut self, tags: TagStack, to: AttachmentId) -> bool {
        let cell = match *tags.vids() {
            [] => &mut self.untagged,
            [c] => {
                let single = self.single.get_or_insert_with(|| Box::new([NONE; VIDS]));
                &mut single[usize::from(c)]
            }
            [s, c, ..] => {
                let outer = self.outer.get_or_insert_with(|| Box::new([NONE; VIDS]));
                let block = &mut outer[usize::from(s)];
                if *block == NONE {
                    *block = u16::try_from(self.blocks.len()).expect("at most 4,096 outer tags");
                    self.blocks.push(Box::new([NONE; VIDS]));
                }
                &mut self.blocks[usize::from(*block)][usize::from(c)]
            }
        };
        if *cell != NONE {
            return false;
        }
        *cell = to.0;
        true
    }

    /// The attachment of an untagged frame.
    #[inline(always)]
    pub fn untagged(&self) -> Option<AttachmentId> {
        found(self.untagged)
    }

    /// The attachment of a frame with one tag.
    #[inline(always)]
    pub fn single(&self, tci: u16) -> Option<AttachmentId> {
        found(self.single.as_ref()?[usize::from(tci & VID)])
    }

    /// The attachment of a frame with two tags.
    #[inline(always)]
    pub fn double(&self, outer: u16, inner: u16) -> Option<AttachmentId> {
        let block = self.outer.as_ref()?[usize::from(outer & VID)];
        found(self.blocks.get(usize::from(block))?[usize::from(inner & VID)])
    }
}

#[inline(always)]
fn found(cell: u16) -> Option<AttachmentId> {
    (cell != NONE).then_some(AttachmentId(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stack_leads_to_its_own_attachment() {
        let mut c = Classifier::default();
        let stacks = [
            TagStack::UNTAGGED,
            TagStack::single(200),
            TagStack::double(200, 200),
            TagStack::double(1001, 200),
            TagStack::double(1001, 4094),
        ];
        for (i, tags) in stacks.iter().enumerate() {
            assert!(c.insert(*tags, AttachmentId::from_index(i)));
            assert!(!c.insert(*tags, AttachmentId(9)), "a stack is taken once");
        }
        assert_eq!(c.untagged(), Some(AttachmentId(0)));
        assert_eq!(c.single(200), Some(AttachmentId(1)));
        assert_eq!(c.single(0xe000 | 200), Some(AttachmentId(1)), "priority bits do not matter");
        assert_eq!(c.double(200, 200), Some(AttachmentId(2)));
        assert_eq!(c.double(1001, 4094), Some(AttachmentId(4)));
        assert_eq!(c.single(201), None);
        assert_eq!(c.double(1002, 200), None);
        assert_eq!(c.double(1001, 201), None);
    }
}
