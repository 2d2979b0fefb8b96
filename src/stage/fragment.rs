//! IPv4 fragmentation on the way out (RFC 791 3.2, RFC 1812 5.2.6): a packet over the next hop's
//! MTU without DF is cut; options that are not copied stay with the first fragment.
//!
//! - **Reads** `ip_len`, `l3`.
//! - **Writes** new frames.
//! - **Ends** the packet it is given: its fragments go out, counted as split; `no_frame`,
//!   `super_frame`.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

use super::rewrite::dress;
use super::{Context, meter};
use crate::frame::{Batch, DropReason, Flags, Frame, HEADROOM, Row};
use crate::ids::Direction;
use crate::tables::Rewrite;
use crate::tables::rewrite::MAX_L2;
use crate::wire::checksum;
use crate::wire::eth::MacAddr;
use crate::wire::ip4::{self, Ip4Header, MF, OFFSET};
use crate::wire::offload::complete_l4;
use crate::wire::segment::Segments;

/// Where a fragment's IP header goes: behind the headroom and the longest layer-2 header.
const L3: usize = HEADROOM + MAX_L2;

/// Cuts packet `i` to its rewrite's MTU and sends the pieces to `mac`; a super-frame's segments
/// are cut one by one.
#[cold]
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, i: usize, rewrite: &Rewrite, mac: MacAddr) {
    let (mut whole, row) = batch.take(i);
    let closed = Row { flags: Flags(row.flags.0 & !Flags::PARTIAL_CHECKSUM.0), gso_size: 0, ..row };
    let to = (rewrite, mac);
    let (start, end) = (usize::from(row.off), usize::from(row.off) + row.len as usize);
    let mut sent = 0;
    if row.gso_size > 0 {
        sent += segments(cx, &whole.all()[start..end], &row, &closed, to);
    } else {
        if row.is_open() {
            // It came in as whole TCP or UDP; its pieces have no checksum of their own.
            let _ = complete_l4(&mut whole.all_mut()[start..end]);
        }
        let l3 = usize::from(row.l3);
        sent += pieces(cx, &whole[l3..l3 + usize::from(row.ip_len)], &closed, to);
    }
    // One frame came in; the pieces beyond it are new.
    cx.counters.split.add(sent - 1);
    cx.pool.put(whole);
}

/// Sends a super-frame's segments in pieces; returns how many pieces.
fn segments(
    cx: &mut Context<'_>,
    whole: &[u8],
    row: &Row,
    closed: &Row,
    to: (&Rewrite, MacAddr),
) -> u64 {
    let l3 = usize::from(row.l3 - row.off);
    let Ok(segments) = Segments::new(whole, row.gso_size) else {
        cx.counters.note_drop(DropReason::SuperFrame, 1);
        return 1;
    };
    let Some(mut room) = cx.pool.take_long() else {
        cx.counters.note_drop(DropReason::NoFrame, 1);
        return 1;
    };
    let mut sent = 0;
    for i in 0..segments.len() {
        let size = segments.write(i, room.all_mut()).expect("a long frame has room for a segment");
        sent += pieces(cx, &room.all()[l3..size], closed, to);
    }
    cx.pool.put(room);
    sent
}

/// Sends one packet in pieces; returns how many.
fn pieces(
    cx: &mut Context<'_>,
    packet: &[u8],
    row: &Row,
    (rewrite, mac): (&Rewrite, MacAddr),
) -> u64 {
    let mut pieces = 0;
    for piece in Cut::new(packet, usize::from(rewrite.mtu)) {
        pieces += 1;
        let Some(mut frame) = cx.pool.take() else {
            cx.counters.note_drop(DropReason::NoFrame, 1);
            continue;
        };
        let ip_len = piece.write(&mut frame);
        let mut out = Row { l3: u16::try_from(L3).expect("inside a frame"), ip_len, ..*row };
        dress(&mut frame, &mut out, rewrite, mac);
        meter(
            cx.counters,
            rewrite.exit.counted().meter(),
            Direction::ToOnprem,
            (1, u64::from(ip_len)),
        );
        cx.out.send::<false>(rewrite.exit.port(), frame, &out);
    }
    pieces
}

/// The sizes in bytes of the IP packets that [`run`] makes of packet `i`, a valid one, at this MTU.
pub fn sizes(batch: &Batch, i: usize, mtu: u16) -> impl Iterator<Item = u16> {
    let row = batch.row(i);
    let frame = batch.bytes(i);
    let l3 = usize::from(row.l3 - row.off);
    let segments = (row.gso_size > 0).then(|| Segments::new(frame, row.gso_size).ok()).flatten();
    let count = segments.as_ref().map_or(1, Segments::len);
    (0..count).flat_map(move |at| {
        let end = match &segments {
            // The first bytes have the headers; how many follow is all that counts.
            Some(segments) => segments.size(at),
            None => l3 + usize::from(row.ip_len),
        };
        Cut::new(&frame[l3..end], usize::from(mtu)).map(|piece| piece.header.total_len.get())
    })
}

/// The pieces of one packet, in order; at least one.
struct Cut<'a> {
    header: Ip4Header,
    options: &'a [u8],
    payload: &'a [u8],
    mtu: usize,
    at: usize,
}

impl<'a> Cut<'a> {
    fn new(packet: &'a [u8], mtu: usize) -> Self {
        let (header, rest) = Ip4Header::read_from_prefix(packet).expect("validated");
        let (options, payload) = rest.split_at(header.header_len() - ip4::HEADER);
        Self { header, options, payload, mtu, at: 0 }
    }
}

impl<'a> Iterator for Cut<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.at >= self.payload.len() {
            return None;
        }
        let options =
            if self.at == 0 { Options::all(self.options) } else { Options::copied(self.options) };
        let head = ip4::HEADER + options.len;
        let room = self.mtu.saturating_sub(head).max(8) & !7;
        let size = room.min(self.payload.len() - self.at);
        let end = self.at + size;
        let field = self.header.flags_fragment.get();
        let offset = (field & OFFSET) + u16::try_from(self.at / 8).expect("a packet's offsets");
        let more = if end < self.payload.len() { MF } else { field & MF };
        let mut header = self.header;
        header.version_ihl = 0x40 | u8::try_from(head / 4).expect("15 words at most");
        header.total_len = U16::new(u16::try_from(head + size).expect("at most the MTU"));
        header.flags_fragment = U16::new(offset | more);
        header.checksum = U16::ZERO;
        let piece = Piece { header, options, payload: &self.payload[self.at..end] };
        self.at = end;
        Some(piece)
    }
}

/// One fragment.
struct Piece<'a> {
    header: Ip4Header,
    options: Options,
    payload: &'a [u8],
}

impl Piece<'_> {
    /// Writes the fragment at [`L3`] of `frame` and returns its length in bytes.
    fn write(mut self, frame: &mut Frame) -> u16 {
        let options = self.options.bytes();
        let sum = checksum::add(checksum::add(0, self.header.as_bytes()), options);
        self.header.checksum = U16::new(!checksum::fold(sum));
        let options_at = L3 + ip4::HEADER;
        let payload_at = options_at + options.len();
        frame[L3..options_at].copy_from_slice(self.header.as_bytes());
        frame[options_at..payload_at].copy_from_slice(options);
        frame[payload_at..payload_at + self.payload.len()].copy_from_slice(self.payload);
        self.header.total_len.get()
    }
}

/// Options of one fragment, padded to whole words.
struct Options {
    bytes: [u8; 40],
    len: usize,
}

impl Options {
    fn all(options: &[u8]) -> Self {
        let mut bytes = [0; 40];
        bytes[..options.len()].copy_from_slice(options);
        Self { bytes, len: options.len() }
    }

    /// Those with the copied flag (RFC 791 3.1: bit 7 of the type).
    fn copied(options: &[u8]) -> Self {
        let (mut bytes, mut len) = ([0; 40], 0);
        let mut rest = options;
        while let [kind, tail @ ..] = rest {
            match (*kind, tail) {
                (0, _) => break,
                (1, _) => rest = tail,
                (_, [size, ..]) if (2..=rest.len()).contains(&usize::from(*size)) => {
                    let (option, after) = rest.split_at(usize::from(*size));
                    if kind & 0x80 != 0 {
                        bytes[len..len + option.len()].copy_from_slice(option);
                        len += option.len();
                    }
                    rest = after;
                }
                _ => break,
            }
        }
        Self { bytes, len: len.next_multiple_of(4) }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
