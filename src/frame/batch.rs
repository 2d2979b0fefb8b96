//! Up to 64 frames that go through the pipeline together; sets of them are `u64`s.

use super::{DropReason, Flags, Frame, Pool, Row};
use crate::ids::PortId;
use crate::time::Now;

/// Most frames of one batch.
pub const BATCH: usize = 64;

/// The set bits of a `u64`, lowest first: the members of a set of packets.
#[derive(Clone, Copy, Debug)]
pub struct Bits(pub u64);

impl Iterator for Bits {
    type Item = usize;
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let i = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(i)
    }
}

/// The set of the first `len` members.
const fn first(len: usize) -> u64 {
    if len >= BATCH { u64::MAX } else { (1 << len) - 1 }
}

/// Frames, their rows, and which of them still go on.
#[derive(Debug)]
pub struct Batch {
    frames: [Option<Frame>; BATCH],
    rows: [Row; BATCH],
    reasons: [DropReason; BATCH],
    len: usize,
    live: u64,
    dropped: u64,
    /// Bytes of all that were pushed.
    bytes: u64,
    /// Bits in which their arrivals differ from the first one's.
    spread: u64,
    /// Whether one of them is a super-frame, or was seen before.
    odd: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            frames: [const { None }; BATCH],
            rows: [Row::default(); BATCH],
            reasons: [DropReason::FrameTooShort; BATCH],
            len: 0,
            live: 0,
            dropped: 0,
            bytes: 0,
            spread: 0,
            odd: false,
        }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a frame with what its port knows of it: `off`, `len`, `port`, `arrival`, `gso_size`.
    ///
    /// # Errors
    /// Gives the frame back when the batch is full.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
    pub fn push(&mut self, frame: Frame, row: Row) -> Result<(), Frame> {
        if self.len == BATCH {
            return Err(frame);
        }
        self.frames[self.len] = Some(frame);
        self.rows[self.len] = Row { order: self.len as u8, ..row };
        self.live |= 1 << self.len;
        self.len += 1;
        self.bytes = self.bytes.wrapping_add(u64::from(row.len));
        self.spread |= row.arrival.0 ^ self.rows[0].arrival.0;
        self.odd |= row.gso_size != 0 || row.flags != Flags::default();
        Ok(())
    }

    /// As [`Batch::push`] for frames of which no more is known than where they begin, how long they
    /// are, and when they came in; those that do not fit stay. Returns their bytes.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
    pub fn extend(
        &mut self,
        port: PortId,
        frames: impl Iterator<Item = (Frame, (u16, u16), Now)>,
    ) -> u64 {
        let (mut len, mut bytes, mut spread) = (self.len, 0_u64, 0);
        for (place, (frame, (off, size), arrival)) in (self.len..BATCH).zip(frames) {
            let order = place as u8;
            let size = u32::from(size);
            self.rows[place] = Row { off, len: size, port, arrival, order, ..Row::default() };
            self.frames[place] = Some(frame);
            bytes = bytes.wrapping_add(u64::from(size));
            spread |= arrival.0 ^ self.rows[0].arrival.0;
            len = place + 1;
        }
        self.live |= first(len) & !first(self.len);
        self.len = len;
        self.bytes = self.bytes.wrapping_add(bytes);
        self.spread |= spread;
        bytes
    }

    /// Whether a frame that was pushed is a super-frame, leaves its checksum to hardware, or was
    /// seen by a stage before.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    /// Bytes of all frames that were pushed.
    pub fn bytes_pushed(&self) -> u64 {
        self.bytes
    }

    /// When all frames that were pushed came in; none where they did at several times.
    pub fn arrival(&self) -> Option<Now> {
        (self.spread == 0).then_some(self.rows[0].arrival)
    }

    /// Frames that were pushed and not cleared, whatever became of them.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether another frame fits.
    pub fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// How many more frames fit.
    pub fn room(&self) -> usize {
        BATCH - self.len
    }

    /// The set of frames that still go on.
    #[inline(always)]
    pub fn live(&self) -> u64 {
        self.live
    }

    /// The frame and row of member `i`.
    ///
    /// # Panics
    /// When `i` was taken out already: a stage named a packet that is not its own.
    #[inline(always)]
    pub fn both(&mut self, i: usize) -> (&mut Frame, &mut Row) {
        (self.frames[i].as_mut().expect("a live packet has its frame"), &mut self.rows[i])
    }

    /// The row of member `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &Row {
        &self.rows[i]
    }

    /// The row of member `i`, to change.
    #[inline(always)]
    pub fn row_mut(&mut self, i: usize) -> &mut Row {
        &mut self.rows[i]
    }

    /// The whole frame of member `i` as it stands: from its Ethernet header to its end.
    #[inline]
    pub fn bytes(&self, i: usize) -> &[u8] {
        let row = &self.rows[i];
        let frame = self.frames[i].as_ref().expect("a live packet has its frame");
        &frame[usize::from(row.off)..usize::from(row.off) + row.len as usize]
    }

    /// Ends member `i`'s way: it goes on no further and is counted under `reason` by
    /// [`Batch::finish`].
    #[inline(always)]
    pub fn drop(&mut self, i: usize, reason: DropReason) {
        self.live &= !(1 << i);
        self.dropped |= 1 << i;
        self.reasons[i] = reason;
    }

    /// Takes member `i` out; whoever takes it accounts for it.
    #[inline(always)]
    pub fn take(&mut self, i: usize) -> (Frame, Row) {
        self.live &= !(1 << i);
        (self.frames[i].take().expect("a packet is taken once"), self.rows[i])
    }

    /// Takes member `i`'s frame out and leaves its row where it is; whoever takes it accounts for it.
    #[inline(always)]
    pub fn take_frame(&mut self, i: usize) -> (Frame, &mut Row) {
        self.live &= !(1 << i);
        (self.frames[i].take().expect("a packet is taken once"), &mut self.rows[i])
    }

    /// As [`Batch::take_frame`] for many, which [`Batch::let_go`] ends.
    #[inline(always)]
    pub fn lift(&mut self, i: usize) -> (Frame, &Row) {
        (self.frames[i].take().expect("a packet is taken once"), &self.rows[i])
    }

    /// The frames of `set` were lifted.
    #[inline(always)]
    pub fn let_go(&mut self, set: u64) {
        self.live &= !set;
    }

    /// Reports each dropped packet to `count`, gives its frame back to `pool`, and empties the
    /// batch.
    ///
    /// # Panics
    /// In debug builds, when a packet is still live: it died without a verdict.
    pub fn finish(&mut self, pool: &mut Pool, mut count: impl FnMut(DropReason, &Row)) {
        debug_assert_eq!(self.live, 0, "every packet needs a verdict");
        for i in Bits(self.dropped) {
            count(self.reasons[i], &self.rows[i]);
            if let Some(frame) = self.frames[i].take() {
                pool.put(frame);
            }
        }
        self.len = 0;
        self.live = 0;
        self.dropped = 0;
        self.bytes = 0;
        self.spread = 0;
        self.odd = false;
    }
}
