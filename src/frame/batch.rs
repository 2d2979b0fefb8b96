//! Up to 64 frames that go through the pipeline together; sets of them are `u64`s.

use super::outgoing::{self, Length};
use super::{DropReason, FRAME_SIZE, Flags, Frame, Pool, Row};
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
#[inline(always)]
pub const fn first(len: usize) -> u64 {
    if len >= BATCH { u64::MAX } else { (1 << len) - 1 }
}

/// Whether a frame that is no super-frame lies in its buffer.
fn is_inside(off: u16, len: u32) -> bool {
    usize::from(off) + len as usize <= FRAME_SIZE
}

/// Where a member's frame begins in its buffer, its bytes, and when it came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Where its Ethernet header begins.
    pub off: u16,
    /// Bytes from there.
    pub len: u32,
    /// When it came in.
    pub arrival: Now,
}

/// Frames, their rows, and which of them still go on.
#[derive(Debug)]
pub struct Batch {
    frames: [Option<Frame>; BATCH],
    rows: [Row; BATCH],
    places: [Place; BATCH],
    /// Members that have no row yet, and the port that they came in by.
    bare: u64,
    port: PortId,
    reasons: [DropReason; BATCH],
    len: usize,
    live: u64,
    dropped: u64,
    /// Bytes of all that were pushed.
    bytes: u64,
    /// Bits that any of their arrivals has, and those that all have.
    ones: u64,
    common: u64,
    /// Whether one of them is a super-frame, or was seen before, or came in by another port.
    odd: bool,
    /// Members in which something is left open.
    open: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            frames: [const { None }; BATCH],
            rows: [Row::default(); BATCH],
            places: [Place::default(); BATCH],
            bare: 0,
            port: PortId(0),
            reasons: [DropReason::FrameTooShort; BATCH],
            len: 0,
            live: 0,
            dropped: 0,
            bytes: 0,
            ones: 0,
            common: u64::MAX,
            odd: false,
            open: 0,
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
        let Row { off, len, arrival, .. } = row;
        debug_assert!(is_inside(off, len) || row.is_open(), "a frame ends before its buffer");
        if self.len == 0 {
            self.port = row.port;
        }
        self.odd |= row.port != self.port;
        self.frames[self.len] = Some(frame);
        self.places[self.len] = Place { off, len, arrival };
        self.rows[self.len] = Row { order: self.len as u8, ..row };
        self.live |= 1 << self.len;
        self.open |= u64::from(row.is_open()) << self.len;
        self.len += 1;
        self.bytes = self.bytes.wrapping_add(u64::from(row.len));
        self.ones |= arrival.0;
        self.common &= arrival.0;
        self.odd |= row.gso_size != 0 || row.flags != Flags::default();
        Ok(())
    }

    /// As [`Batch::push`] for frames of which no more is known than where they begin, how long they
    /// are, and when they came in. They have no rows until [`Batch::settle`]. Returns their bytes.
    ///
    /// # Panics
    /// When more frames come than there is room for.
    #[inline(always)]
    pub fn extend(
        &mut self,
        port: PortId,
        frames: impl Iterator<Item = (Frame, (u16, Length), Now)>,
    ) -> u64 {
        if port != self.port {
            self.settle();
            self.odd |= self.len > 0;
            self.port = port;
        }
        let (mut len, mut bytes) = (self.len, 0_u64);
        let (mut ones, mut common) = (self.ones, self.common);
        // From within: a ring that wraps around is two loops then.
        frames.for_each(|(frame, (off, size), arrival)| {
            debug_assert!(is_inside(off, size.size()) || size.is_open(), "as in push");
            let size = size.marked();
            self.places[len] = Place { off, len: size, arrival };
            debug_assert!(self.frames[len].is_none(), "a place is empty before it is taken");
            self.frames[len] = Some(frame);
            bytes = bytes.wrapping_add(u64::from(size));
            ones |= arrival.0;
            common &= arrival.0;
            len = len.wrapping_add(1);
        });
        let new = first(len) & !first(self.len);
        self.live |= new;
        self.bare |= new;
        self.len = len;
        if bytes >= Length::MARK {
            bytes = self.extend_open(new);
        }
        self.bytes = self.bytes.wrapping_add(bytes);
        (self.ones, self.common) = (ones, common);
        bytes
    }

    /// Gives rows to those of the members of `new` in which something is left open; returns the
    /// bytes of all.
    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
    fn extend_open(&mut self, new: u64) -> u64 {
        let mut bytes = 0;
        for i in Bits(new) {
            let place = &mut self.places[i];
            let marked = Length::from_marked(place.len);
            place.len = marked.size();
            bytes += u64::from(place.len);
            let (Place { off, len, arrival }, port) = (*place, self.port);
            if let (true, Some(frame)) = (marked.is_open(), &self.frames[i]) {
                let gso_size = outgoing::header(frame, off).gso_size();
                let flags = Flags::PARTIAL_CHECKSUM;
                let own = Row { off, len, port, arrival, flags, gso_size, ..Row::default() };
                self.rows[i] = Row { order: i as u8, ..own };
                self.bare &= !(1 << i);
                self.open |= 1 << i;
                self.odd = true;
            }
        }
        bytes
    }

    /// Gives a row to each member that still goes on and has none.
    pub fn settle(&mut self) {
        for i in Bits(self.bare & self.live) {
            self.settle_one(i);
        }
        self.bare = 0;
    }

    /// Gives member `i` a row, if it has none.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a batch has 64 places")]
    pub fn settle_one(&mut self, i: usize) {
        if self.bare >> i & 1 != 0 {
            let (Place { off, len, arrival }, port) = (self.places[i], self.port);
            self.rows[i] = Row { off, len, port, arrival, order: i as u8, ..Row::default() };
            self.bare &= !(1 << i);
        }
    }

    /// The frame of member `i`, row or none, and where its bytes are as it came in.
    ///
    /// # Panics
    /// When `i` was taken out already.
    #[inline(always)]
    pub fn bare(&self, i: usize) -> (&Frame, &Place) {
        (self.frames[i].as_ref().expect("a live packet has its frame"), &self.places[i])
    }

    /// Whether a frame that was pushed is a super-frame, leaves its checksum to hardware, was seen
    /// by a stage before, or came in by another port than those before it.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    /// Bytes of all frames that were pushed.
    pub fn bytes_pushed(&self) -> u64 {
        self.bytes
    }

    /// When all frames that were pushed came in; none where they did at several times.
    pub fn arrival(&self) -> Option<Now> {
        (self.ones == self.common).then_some(Now(self.ones))
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

    /// The set of frames in which something is left open: super-frames, and frames with a partial
    /// checksum; whatever became of them.
    #[inline(always)]
    pub fn open(&self) -> u64 {
        self.open
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
        debug_assert!(self.bare >> i & 1 == 0, "rows are there once the batch is settled");
        (self.frames[i].as_mut().expect("a live packet has its frame"), &mut self.rows[i])
    }

    /// The row of member `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &Row {
        debug_assert!(self.bare >> i & 1 == 0, "rows are there once the batch is settled");
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
        &frame.all()[usize::from(row.off)..usize::from(row.off) + row.len as usize]
    }

    /// Ends member `i`'s way: it goes on no further and is counted under `reason` by
    /// [`Batch::finish`].
    #[inline(always)]
    pub fn drop(&mut self, i: usize, reason: DropReason) {
        self.live &= !(1 << i);
        self.dropped |= 1 << i;
        self.reasons[i] = reason;
    }

    /// The set of frames whose way ended, and why the way of each did.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, DropReason)> {
        Bits(self.dropped).map(|i| (i, self.reasons[i]))
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

    /// As [`Batch::take_frame`] for many, with rows or none, which [`Batch::let_go`] ends; their
    /// bytes are where they came in.
    #[inline(always)]
    pub fn lift(&mut self, i: usize) -> (Frame, &Place) {
        (self.frames[i].take().expect("a packet is taken once"), &self.places[i])
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
        (self.ones, self.common) = (0, u64::MAX);
        self.odd = false;
        self.bare = 0;
        self.open = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::HEADROOM;
    use super::*;

    fn filled(ports: [u16; 2], by_push: bool) -> Batch {
        let mut pool = Pool::new(2).unwrap();
        let mut batch = Batch::new();
        let off = u16::try_from(HEADROOM).unwrap();
        for port in ports.map(PortId) {
            let frame = pool.take().unwrap();
            if by_push {
                batch.push(frame, Row { off, len: 60, port, ..Row::default() }).unwrap();
            } else {
                batch.extend(port, [(frame, (off, Length::of(60)), Now(7))].into_iter());
            }
        }
        batch
    }

    #[test]
    fn frames_of_several_ports_are_no_batch_of_one_place() {
        for by_push in [true, false] {
            assert!(!filled([3, 3], by_push).is_odd());
            assert!(filled([3, 4], by_push).is_odd());
        }
    }

    #[test]
    fn each_frame_keeps_the_port_that_it_came_in_by() {
        for by_push in [true, false] {
            let mut batch = filled([3, 4], by_push);
            batch.settle();
            assert_eq!([0, 1].map(|i| batch.row(i).port.0), [3, 4]);
        }
    }
}
