//! A checksum that is brought up to date (RFC 1624) is the one that is made anew (RFC 1071).

use thruway::wire::checksum::{self, Delta};

use thruway::hostile::Entropy;

/// The sum as RFC 1071 says it: word by word, each carry added back at once.
pub(crate) fn naive(bytes: &[u8]) -> u16 {
    let sum = bytes.chunks(2).fold(0_u16, |sum, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    });
    !sum
}

/// Whether two sums are the same number: 0 and 0xFFFF are.
pub(crate) fn same(a: u16, b: u16) -> bool {
    a == b || (a ^ b == 0xffff && (a == 0 || b == 0))
}

/// Changes words of a buffer and its sum along with them.
///
/// # Panics
/// When the sums differ.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let changes: Vec<(usize, u16)> =
        (0..input.byte() % 8).map(|_| (usize::from(input.byte()), input.half())).collect();
    let hops = input.byte();
    let before = input.rest();
    let mut bytes = before.to_vec();
    let first = checksum::of(&bytes);
    assert_eq!(first, naive(&bytes), "the sum of {bytes:02x?}");
    let at = bytes.len() / 3;
    let parts = checksum::add(checksum::add(0, &bytes[..at & !1]), &bytes[at & !1..]);
    assert_eq!(!checksum::fold(parts), first, "the sum of two parts of {bytes:02x?}");
    let (mut delta, mut back) = (Delta::NONE, Delta::NONE);
    for (at, new) in changes {
        let words = bytes.len() / 2;
        if words == 0 {
            return;
        }
        let at = at % words * 2;
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        delta = delta.word(old, new);
        back = back.and(Delta::NONE.word(new, old));
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
    }
    let (kept, made) = (delta.apply(first), naive(&bytes));
    assert!(same(kept, made), "{kept:04x} where {made:04x} is right, of {bytes:02x?}");
    assert!(same(back.apply(kept), first), "there and back is where it began");
    udp(first, made, delta);
    less_time(before, hops);
}

/// A UDP field: none stays none, and no sum becomes none (RFC 768).
fn udp(first: u16, made: u16, delta: Delta) {
    assert_eq!(delta.apply_udp(0), 0, "no sum stays none");
    let field = if first == 0 { 0xffff } else { first };
    let kept = delta.apply_udp(field);
    assert!(kept != 0, "a sum became none");
    assert!(same(kept, made), "{kept:04x} where {made:04x} is right");
}

/// An IPv4 header whose time to live got less.
fn less_time(bytes: &[u8], hops: u8) {
    let Some(header) = bytes.first_chunk::<20>() else { return };
    let mut header = *header;
    header[8] = header[8].max(hops);
    header[10..12].fill(0);
    let field = naive(&header).to_be_bytes();
    let kept = u16::from_be_bytes(checksum::less_time(field, hops));
    header[8] -= hops;
    assert!(same(kept, naive(&header)), "{hops} hops of {header:02x?}");
}
