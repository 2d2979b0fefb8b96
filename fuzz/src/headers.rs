//! Whatever reads headers reads any bytes: it ends, reads nothing outside them, and says the same
//! wherever they stand in memory.

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
    let _ = ip6::upper(data);
    let _ = Place::of(data);
    if is_partial(data) {
        let mut whole = data.to_vec();
        let _ = complete_l4(&mut whole);
        assert_eq!(whole.len(), data.len());
    }
    let Some((size, frame)) = data.split_first_chunk::<2>() else { return };
    cut(frame, u16::from_be_bytes(*size));
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
