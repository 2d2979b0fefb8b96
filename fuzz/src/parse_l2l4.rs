//! Whatever reads headers reads any bytes: it ends, reads nothing outside them, and says the same
//! wherever they stand in memory and whatever follows them.

use thruway::frame::{DropReason, FRAME_SIZE, Flags, HEADROOM, Row};
use thruway::stage::validate;
use thruway::wire::offload::{Place, complete_l4, is_partial};
use thruway::wire::segment::{self, Segments};
use thruway::wire::{ip6, show, vlan};

/// Longest piece of a super-frame that is written out.
const PIECE: usize = 70_000;

/// Reads one frame by all that reads frames.
///
/// # Panics
/// When something does not hold.
pub fn check(data: &[u8]) {
    let mut moved = Vec::with_capacity(data.len() + 1);
    moved.push(0);
    moved.extend_from_slice(data);
    assert_eq!(show(data), show(&moved[1..]), "a line depends on where the frame stands");
    if let Some(tags) = vlan::read_tags(data) {
        assert!(tags.payload() <= data.len(), "a payload begins behind the frame's end");
    }
    if let Some(upper) = ip6::upper(data) {
        assert!(upper.offset <= data.len(), "a payload begins behind the packet's end");
    }
    let _ = Place::of(data);
    if is_partial(data) {
        let mut whole = data.to_vec();
        let _ = complete_l4(&mut whole);
        assert_eq!(whole.len(), data.len());
    }
    validated(data);
    let Some((size, frame)) = data.split_first_chunk::<2>() else { return };
    cut(frame, u16::from_be_bytes(*size));
}

/// What *validate* says of a frame at this place of a buffer that is full of `filler` otherwise;
/// places count from the frame's begin.
pub(crate) fn read(bytes: &[u8], at: usize, filler: u8) -> Result<Row, DropReason> {
    let mut frame = [filler; FRAME_SIZE];
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    let off = u16::try_from(at).expect("a place in a frame");
    let len = u32::try_from(bytes.len()).expect("a frame is short");
    let mut row = Row { off, len, ..Row::default() };
    validate::layer2(&frame, &mut row, true)?;
    if row.ether_type == 0x0800 {
        validate::header(&frame, &mut row)?;
        row.l4 -= off;
    }
    row.l3 -= off;
    row.off = 0;
    Ok(row)
}

/// What *validate* fills in, in any order.
type Facts = ([u16; 10], [u8; 5], [u32; 2]);

fn facts(row: Row) -> Facts {
    let Row { l3, l4, ether_type, outer, inner, ip_len, sport, dport, .. } = row;
    let Row { tags, proto, ttl, tcp_flags, icmp_type, src, dst, .. } = row;
    // Tags that are not there say nothing.
    let outer = if tags > 0 { outer } else { 0 };
    let inner = if tags > 1 { inner } else { 0 };
    let halves = [l3, l4, ether_type, outer, inner, ip_len, sport, dport, row.flags.0, row.off];
    (halves, [tags, proto, ttl, tcp_flags, icmp_type], [src, dst])
}

/// A row says the same at any place, and without what follows the packet.
fn validated(data: &[u8]) {
    let bytes = &data[..data.len().min(FRAME_SIZE - HEADROOM - 1)];
    let row = read(bytes, HEADROOM, 0);
    let moved = read(bytes, HEADROOM + 1, 0xff);
    let (at, moved) = (row.map(facts), moved.map(facts));
    assert_eq!(at, moved, "a row depends on where the frame stands");
    let Ok(row) = row else { return };
    assert!(usize::from(row.l3) <= bytes.len(), "layer 3 begins behind the frame's end");
    if row.flags.has(Flags::IP4) {
        let end = usize::from(row.l3) + usize::from(row.ip_len);
        assert!(row.l3 < row.l4 && usize::from(row.l4) <= end && end <= bytes.len());
        let cut = read(&bytes[..end], HEADROOM, 0xff);
        assert_eq!(cut.map(facts), Ok(facts(row)), "a row depends on what follows");
    }
}

/// A super-frame's segments are as many, and as long, as it says.
fn cut(frame: &[u8], gso_size: u16) {
    let Ok(segments) = Segments::new(frame, gso_size) else { return };
    let mut room = vec![0; PIECE];
    for i in 0..segments.len() {
        let written = segments.write(i, &mut room);
        assert_eq!(written, Some(segments.size(i)), "segment {i}");
    }
    let mut kept = frame.to_vec();
    if let Ok(size) = segment::keep(&mut kept, gso_size, 1) {
        assert!(size <= frame.len(), "a part is longer than the whole");
    }
}
