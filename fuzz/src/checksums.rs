//! A checksum that is brought up to date (RFC 1624) is the one that is made anew (RFC 1071).

use thruway::wire::checksum::{self, Delta};

use super::input::Input;

/// The sum as RFC 1071 says it: word by word, each carry added back at once.
fn naive(bytes: &[u8]) -> u16 {
    let sum = bytes.chunks(2).fold(0_u16, |sum, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    });
    !sum
}

/// Whether two sums are the same number: 0 and 0xFFFF are.
fn same(a: u16, b: u16) -> bool {
    a == b || (a ^ b == 0xffff && (a == 0 || b == 0))
}

/// Changes words of a buffer and its sum along with them.
///
/// # Panics
/// When the sums differ.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let changes: Vec<(usize, u16)> =
        (0..input.byte() % 8).map(|_| (usize::from(input.byte()), input.half())).collect();
    let mut bytes = input.rest().to_vec();
    let first = checksum::of(&bytes);
    assert_eq!(first, naive(&bytes), "the sum of {bytes:02x?}");
    let mut delta = Delta::NONE;
    for (at, new) in changes {
        let words = bytes.len() / 2;
        if words == 0 {
            return;
        }
        let at = at % words * 2;
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        delta = delta.word(old, new);
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
    }
    let (kept, made) = (delta.apply(first), naive(&bytes));
    assert!(same(kept, made), "{kept:04x} where {made:04x} is right, of {bytes:02x?}");
    // A UDP field: none stays none, and no sum becomes none (RFC 768).
    assert_eq!(delta.apply_udp(0), 0);
    let udp = if first == 0 { 0xffff } else { first };
    let kept = delta.apply_udp(udp);
    assert!(kept != 0 && same(kept, made), "{kept:04x} where {made:04x} is right");
}
