//! Where are the frames that the kernel has? In slabs by their number, and, once their socket's rings
//! are gone, with the socket until it is closed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use crate::frame::{FRAME_SIZE, Frame, Memory};

/// In unaligned mode the upper bits of an address are an offset (`XSK_UNALIGNED_BUF_OFFSET_SHIFT`).
const OFFSET_SHIFT: u32 = 48;

/// A socket's descriptor, and what has to wait until it is closed.
#[derive(Debug)]
pub struct Socket {
    /// `None` only while dropping.
    pub(super) fd: Option<OwnedFd>,
    pub(super) zero_copy: bool,
    pub(super) memory: Memory,
    /// Frames that were lent when the rings were given up.
    pub(super) left: OnceLock<[Slab; 2]>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("open until it is dropped").as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The kernel waits here until no driver uses the socket any more.
        drop(self.fd.take());
        for slab in self.left.take().into_iter().flatten().filter(|_| !self.zero_copy) {
            slab.frames.into_iter().flatten().for_each(|frame| self.memory.put(frame));
        }
    }
}

/// Lent frames by their number.
#[derive(Debug, Default)]
pub(super) struct Slab {
    frames: Box<[Option<Frame>]>,
    pub(super) len: usize,
}

impl Slab {
    pub(super) fn new(frames: usize) -> Self {
        Self { frames: std::iter::repeat_with(|| None).take(frames).collect(), len: 0 }
    }

    #[inline]
    pub(super) fn put(&mut self, number: usize, frame: Frame) {
        debug_assert!(self.frames[number].is_none(), "a frame is lent once");
        self.frames[number] = Some(frame);
        self.len += 1;
    }

    #[inline]
    pub(super) fn take(&mut self, number: usize) -> Option<Frame> {
        let frame = self.frames.get_mut(number)?.take()?;
        self.len -= 1;
        Some(frame)
    }

    #[inline]
    pub(super) fn peek(&self, number: usize) -> Option<&Frame> {
        self.frames.get(number)?.as_ref()
    }
}

/// The frame that an address lies in, and the offset there.
#[inline]
pub(super) fn split(address: u64) -> (usize, usize) {
    let size = FRAME_SIZE as u64;
    let base = address & ((1 << OFFSET_SHIFT) - 1);
    let offset = base % size + (address >> OFFSET_SHIFT);
    let number = usize::try_from(base / size).unwrap_or(usize::MAX);
    (number, usize::try_from(offset).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Pool;

    #[test]
    fn an_address_names_a_frame_and_an_offset_in_either_form() {
        assert_eq!(split(3 * 2112), (3, 0));
        assert_eq!(split(3 * 2112 + 264), (3, 264));
        assert_eq!(split((3 * 2112) | (264 << 48)), (3, 264));
        assert_eq!(split(3 * 2112 + 2111), (3, 2111));
        let (number, offset) = split(u64::MAX);
        assert!(number > 1 << 30 && offset > FRAME_SIZE);
    }

    #[test]
    fn a_slab_gives_each_frame_once_and_none_that_it_has_not() {
        let mut pool = Pool::new(4).unwrap();
        let mut slab = Slab::new(4);
        slab.put(2, pool.take().unwrap());
        assert!(
            slab.take(1).is_none() && slab.take(4).is_none() && slab.take(usize::MAX).is_none()
        );
        assert!(slab.peek(2).is_some() && slab.len == 1);
        pool.put(slab.take(2).unwrap());
        assert!(slab.take(2).is_none());
        assert_eq!((slab.len, pool.len()), (0, 4));
    }
}
