//! A frame in its buffer, with the row that *validate* fills in, for targets that work on packets.

use thruway::frame::{DropReason, FRAME_SIZE, HEADROOM, Row};
use thruway::nat::Endpoint;
use thruway::stage::validate;
use thruway::time::Now;
use thruway::wire::eth::MacAddr;
use thruway::wire::{build, icmp4, proto};

use super::checksum_incremental::naive;

/// What the buffer holds outside the frame, unless told otherwise.
const FILLER: u8 = 0x5a;

#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) buf: Box<[u8; FRAME_SIZE]>,
    pub(crate) row: Row,
    filler: u8,
}

impl Packet {
    /// A frame that came in at `now`.
    pub(crate) fn read(bytes: &[u8], now: Now) -> Result<Self, DropReason> {
        Self::read_amid(bytes, now, FILLER)
    }

    /// The same frame with other bytes around it.
    pub(crate) fn amid(&self, filler: u8) -> Self {
        let bytes = &self.buf[HEADROOM..HEADROOM + self.row.len as usize];
        Self::read_amid(bytes, self.row.arrival, filler).expect("it is valid")
    }

    fn read_amid(bytes: &[u8], now: Now, filler: u8) -> Result<Self, DropReason> {
        let mut buf = Box::new([filler; FRAME_SIZE]);
        let bytes = &bytes[..bytes.len().min(FRAME_SIZE - HEADROOM)];
        buf[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let off = u16::try_from(HEADROOM).expect("a place in a frame");
        let len = u32::try_from(bytes.len()).expect("a frame is short");
        let mut row = Row { off, len, arrival: now, ..Row::default() };
        validate::layer2(&buf, &mut row, true)?;
        validate::header(&buf, &mut row)?;
        Ok(Self { buf, row, filler })
    }

    /// A packet that is valid.
    pub(crate) fn of(packet: &build::Packet, now: Now) -> Self {
        let frame = packet.eth(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        Self::read(&frame.build(), now).expect("what was built is valid")
    }

    pub(crate) const fn src(&self) -> Endpoint {
        Endpoint::new(self.row.src, self.row.sport)
    }

    pub(crate) const fn dst(&self) -> Endpoint {
        Endpoint::new(self.row.dst, self.row.dport)
    }

    /// The IPv4 packet.
    pub(crate) fn ip(&self) -> &[u8] {
        let l3 = usize::from(self.row.l3);
        &self.buf[l3..l3 + usize::from(self.row.ip_len)]
    }

    /// What an ICMP error quotes.
    pub(crate) fn quote(&self) -> &[u8] {
        let at = usize::from(self.row.l4 - self.row.l3) + icmp4::HEADER;
        self.ip().get(at..).unwrap_or(&[])
    }

    /// Panics unless all sums are right, the row says what the bytes say, and nothing outside the
    /// packet changed.
    pub(crate) fn check(&self) {
        let bytes = &self.buf[HEADROOM..HEADROOM + self.row.len as usize];
        let fresh = Self::read(bytes, self.row.arrival).expect("it is valid still");
        let said = |own: &Self| (own.src(), own.dst(), own.row.ip_len, own.row.l4);
        assert_eq!(said(self), said(&fresh), "the row says what the bytes say");
        let outside = self.buf[..HEADROOM].iter().chain(&self.buf[HEADROOM + bytes.len()..]);
        assert!(
            outside.copied().all(|byte| byte == self.filler),
            "bytes outside the frame changed"
        );
        self.check_l4();
    }

    fn check_l4(&self) {
        let l4 = &self.ip()[usize::from(self.row.l4 - self.row.l3)..];
        let word = |at: usize| u16::from_be_bytes([l4[at], l4[at + 1]]);
        let is_whole = !self.row.flags.has(thruway::frame::Flags::FRAGMENT);
        match self.row.proto {
            _ if !is_whole => {}
            proto::ICMP => assert_eq!(naive(l4), 0, "ICMP checksum"),
            proto::UDP if word(6) == 0 => {}
            proto::TCP | proto::UDP => {
                // A datagram's own length says how much the sum covers.
                let len = if self.row.proto == proto::UDP { word(4) } else { self.l4_len() };
                let [src, dst] = [self.row.src, self.row.dst].map(u32::to_be_bytes);
                let len_bytes = len.to_be_bytes();
                let covered = &l4[..usize::from(len)];
                let pseudo = [&src[..], &dst, &[0, self.row.proto], &len_bytes, covered].concat();
                assert_eq!(naive(&pseudo), 0, "TCP or UDP checksum");
            }
            _ => {}
        }
    }

    const fn l4_len(&self) -> u16 {
        self.row.ip_len - (self.row.l4 - self.row.l3)
    }
}
