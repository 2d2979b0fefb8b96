//! A frame on its way to a port.

use zerocopy::IntoBytes;

use super::{Frame, Row};
use crate::time::Now;
use crate::wire::virtio::{self, OffloadHeader};

/// Bytes of a frame, and in the highest bit whether something is left open in it: so whoever adds
/// up the bytes of many frames sees in the sum whether to look for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length(u32);

impl Length {
    /// What an open frame adds to a sum of marked lengths; frames of one call are fewer bytes.
    pub const MARK: u64 = 1 << 31;

    /// Of a frame in which nothing is left open: `head` and `body` together.
    #[inline(always)]
    pub const fn of_two(head: u16, body: u16) -> Self {
        Self((head as u32).wrapping_add(body as u32))
    }

    /// Of a frame in which nothing is left open.
    #[inline(always)]
    pub const fn of(size: u32) -> Self {
        Self(size)
    }

    /// As [`Length::marked`] gave it.
    pub const fn from_marked(marked: u32) -> Self {
        Self(marked)
    }

    /// Bytes, with the mark.
    #[inline(always)]
    pub const fn marked(self) -> u32 {
        self.0
    }

    /// Bytes.
    #[inline(always)]
    pub const fn size(self) -> u32 {
        self.0 & !(1 << 31)
    }

    /// Whether something is left open.
    #[inline(always)]
    pub const fn is_open(self) -> bool {
        self.0 >> 31 != 0
    }
}

/// A frame with the place of its bytes: what a port needs to transmit it.
#[derive(Debug)]
pub struct Outgoing {
    /// The buffer.
    pub frame: Frame,
    /// Where the Ethernet header begins.
    pub off: u16,
    /// Bytes from there. Where something is left open, an [`OffloadHeader`] directly before the
    /// frame says what.
    pub len: Length,
    /// Place in its batch of the packet that caused it; a replay sends in this order.
    pub order: u8,
    /// Not 0 where `at` is when it arrives where it is sent to; else that is when it is received.
    /// No bool: its spare values would tell a frame from none, where the frame itself does.
    dated: u8,
    /// When the packet that caused it came in.
    pub at: Now,
}

const _: () = assert!(size_of::<Outgoing>() == 24, "three words a frame");

impl Outgoing {
    /// The frame as its row describes it.
    #[inline(always)]
    pub fn new(frame: Frame, row: &Row) -> Self {
        let Row { off, len, order, arrival, .. } = *row;
        let mut out = Self { frame, off, len: Length(len), order, dated: 0, at: arrival };
        if row.is_open() {
            out.leave_open(row.gso_size);
        }
        out
    }

    /// As [`Outgoing::new`], of a frame in which nothing is left open.
    #[inline(always)]
    pub fn closed(frame: Frame, row: &Row) -> Self {
        debug_assert!(!row.is_open(), "nothing is left open");
        let Row { off, len, order, arrival, .. } = *row;
        Self { frame, off, len: Length(len), order, dated: 0, at: arrival }
    }

    /// A frame that goes out as it stands.
    #[inline(always)]
    pub const fn whole(frame: Frame, (off, len): (u16, Length), order: u8, at: Now) -> Self {
        Self { frame, off, len, order, dated: 0, at }
    }

    /// Lets it arrive at this time, on media that keep it; when it is received with `None`.
    #[must_use]
    pub fn arriving(self, arrival: Option<Now>) -> Self {
        Self { dated: u8::from(arrival.is_some()), at: arrival.unwrap_or(self.at), ..self }
    }

    /// When it arrives, if it was received at `now`.
    #[inline(always)]
    pub const fn arrival(&self, now: Now) -> Now {
        if self.dated != 0 { self.at } else { now }
    }

    /// A frame in which nothing is left open, `len` bytes from `off`.
    ///
    /// # Panics
    /// When `len` is no size of a frame.
    pub fn plain(frame: Frame, off: u16, len: usize, at: Now) -> Self {
        let len = u32::try_from(len).expect("a frame is short");
        Self { frame, off, len: Length(len), order: 0, dated: 0, at }
    }

    /// The bytes to transmit.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        &self.frame.all()[usize::from(self.off)..usize::from(self.off) + self.len.size() as usize]
    }

    /// The bytes to transmit, to change.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (off, len) = (usize::from(self.off), self.len.size() as usize);
        &mut self.frame.all_mut()[off..off + len]
    }

    /// What is left open.
    #[inline]
    pub fn header(&self) -> OffloadHeader {
        if self.is_open() { header(&self.frame, self.off) } else { OffloadHeader::NONE }
    }

    /// Whether something is left open.
    #[inline(always)]
    pub const fn is_open(&self) -> bool {
        self.len.is_open()
    }

    /// Nothing is left open any more.
    pub fn close(&mut self) {
        self.len = Length(self.len.size());
    }

    /// The bytes to transmit behind the header that says what is left open, in one piece.
    #[inline]
    pub fn with_header(&mut self) -> &[u8] {
        if !self.is_open() {
            self.write_header(OffloadHeader::NONE);
        }
        let (off, len) = (usize::from(self.off), self.len.size() as usize);
        &self.frame.all()[off - virtio::HEADER..off + len]
    }

    #[inline]
    fn write_header(&mut self, header: OffloadHeader) {
        let off = usize::from(self.off);
        self.frame[off - virtio::HEADER..off].copy_from_slice(header.as_bytes());
    }

    #[cold]
    fn leave_open(&mut self, gso_size: u16) {
        let header = OffloadHeader::of(self.bytes(), gso_size);
        debug_assert!(header.is_ok(), "a frame that came in open is whole TCP or UDP: {header:?}");
        if let Ok(header) = header {
            self.write_header(header);
            self.len.0 |= 1 << 31;
        }
    }
}

/// The header before an open frame that begins at `off`.
#[inline]
pub(super) fn header(frame: &Frame, off: u16) -> OffloadHeader {
    OffloadHeader::read(&frame[usize::from(off) - virtio::HEADER..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Flags, HEADROOM, Pool};
    use crate::wire::build::{Packet, TcpFields};
    use crate::wire::eth::MacAddr;

    #[test]
    fn a_super_frame_says_before_its_first_byte_what_is_left_open() {
        let fields = TcpFields { src: 1, dst: 2, ..TcpFields::default() };
        let packet = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(fields, &[7; 60_000]);
        let bytes = packet.partial_checksum().eth(MacAddr::ZERO, MacAddr::ZERO).build();
        let mut pool = Pool::new(1).unwrap();
        let mut frame = pool.take_long().unwrap();
        frame.all_mut()[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(&bytes);
        let row = Row {
            off: u16::try_from(HEADROOM).unwrap(),
            len: u32::try_from(bytes.len()).unwrap(),
            gso_size: 1448,
            flags: Flags::PARTIAL_CHECKSUM,
            ..Row::default()
        };
        let mut out = Outgoing::new(frame, &row);
        assert!(out.is_open() && out.bytes() == bytes);
        assert_eq!((out.header().gso_size(), out.header().header_size()), (1448, 54));
        let header = OffloadHeader::of(&bytes, 1448).unwrap();
        assert!(out.with_header() == [header.as_bytes(), &bytes].concat());
    }

    #[test]
    fn nothing_is_left_open_in_an_ordinary_frame_whatever_stood_before_it() {
        let mut pool = Pool::new(1).unwrap();
        let mut frame = pool.take().unwrap();
        frame.fill(0xff);
        let mut out = Outgoing::plain(frame, 136, 60, Now(0));
        assert_eq!(out.header(), OffloadHeader::NONE);
        assert_eq!(out.with_header(), [&[0; virtio::HEADER][..], &[0xff; 60]].concat());
    }
}
