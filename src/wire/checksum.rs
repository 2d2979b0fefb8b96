//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use crate::planted::{Bug, planted};

/// One's-complement sum of `bytes` added to `sum`; an odd last byte counts as if a zero followed.
///
/// The sum means something only when it is folded.
#[inline]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    if bytes.len() < BULK {
        return add_words(sum, bytes);
    }
    let (bulk, rest) = bytes.split_at(bytes.len() / BULK * BULK);
    add_words(sum.wrapping_add(u64::from(add_bulk(bulk))), rest)
}

/// From here on the vector unit is worth its fold.
const BULK: usize = 64;

/// Sums 32-bit words; a header's few fit no better way. Wrapping: 2^32 words would have to come.
#[inline(always)]
fn add_words(mut sum: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        sum = sum.wrapping_add(u64::from(word));
    }
    let last = match *words.remainder() {
        [a] if planted(Bug::OddByte) => u32::from_be_bytes([0, a, 0, 0]),
        [a] => u32::from_be_bytes([a, 0, 0, 0]),
        [a, b] => u32::from_be_bytes([a, b, 0, 0]),
        [a, b, c] => u32::from_be_bytes([a, b, c, 0]),
        _ => 0,
    };
    sum.wrapping_add(u64::from(last))
}

/// Sums whole blocks of 64 bytes in the machine's own byte order, several words at a time, and
/// turns the folded sum at the end (RFC 1071 section 2, B and C).
fn add_bulk(bytes: &[u8]) -> u16 {
    let mut sums = [0_u64; BULK / 4];
    for block in bytes.chunks_exact(BULK) {
        for (sum, word) in sums.iter_mut().zip(block.chunks_exact(4)) {
            let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
            *sum = sum.wrapping_add(u64::from(word));
        }
    }
    let sum = sums.iter().fold(0_u64, |all, &sum| all.wrapping_add(sum));
    u16::from_be_bytes(fold(sum).to_ne_bytes())
}

/// Folds a sum to 16 bits, carries added back in.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "halves are what is wanted")]
pub const fn fold(sum: u64) -> u16 {
    let (sum, carry) = ((sum >> 32) as u32).overflowing_add(sum as u32);
    let sum = sum.wrapping_add(carry as u32);
    // The upper half of this is the sum of both halves, with the carry of the lower one.
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The checksum of `bytes`: what a header's field holds when its own place counts as zero.
#[inline]
pub fn of(bytes: &[u8]) -> u16 {
    !fold(add(0, bytes))
}

/// Sum of the TCP and UDP pseudo-header (RFC 9293 3.1).
#[inline]
pub fn pseudo_header(src: u32, dst: u32, proto: u8, l4_len: u16) -> u64 {
    u64::from(src) + u64::from(dst) + u64::from(proto) + u64::from(l4_len)
}

/// The header checksum, as it stands in the header, of an IPv4 packet whose time to live got `hops`
/// less: what [`Delta::word`] makes of it, with the one case of it that can be (RFC 1141 as mended
/// by RFC 1624: a sum never becomes all ones). In the machine's own byte order (RFC 1071 2 B).
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a carry is folded back in")]
pub const fn less_time(field: [u8; 2], hops: u8) -> [u8; 2] {
    let sum = u16::from_ne_bytes(field) as u32 + u16::from_ne_bytes([hops, 0]) as u32;
    ((sum + (sum >= 0xffff) as u32) as u16).to_ne_bytes()
}

/// A pending change to checksums: the sum of `!old + new` over all words that changed
/// (RFC 1624 equation 3), ready to be put into any number of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(u64);

impl Delta {
    /// No change.
    pub const NONE: Delta = Delta(0);

    /// Adds the change of one 16-bit word.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + !old as u64 + new as u64)
    }

    /// Adds the change of one 32-bit word at an even offset.
    #[inline(always)]
    #[must_use]
    pub const fn dword(self, old: u32, new: u32) -> Self {
        Self(self.0 + !old as u64 + new as u64)
    }

    /// Both changes together.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Delta) -> Self {
        Self(self.0 + other.0)
    }

    /// The field's value after the change.
    #[inline(always)]
    #[must_use]
    pub const fn apply(self, field: u16) -> u16 {
        !fold(self.0 + !field as u64)
    }

    /// A UDP field's value after the change: no checksum stays none, and a sum of zero is
    /// written as 0xFFFF (RFC 768).
    #[inline(always)]
    #[must_use]
    pub fn apply_udp(self, field: u16) -> u16 {
        if field == 0 {
            return 0;
        }
        match self.apply(field) {
            0 if !planted(Bug::UdpZero) => 0xffff,
            sum => sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        // RFC 1071 section 3: the sum of these bytes is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(add(0, &bytes)), 0xddf2);
    }

    #[test]
    fn rfc_1624_example() {
        // RFC 1624 section 4: HC = DD2F, m = 5555, m' = 3285 gives 0000.
        assert_eq!(Delta::NONE.word(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn less_time_is_what_rfc_1624_makes_of_it() {
        for (field, hops) in (0..0xffff_u16).flat_map(|field| [(field, 1), (field, 2)]) {
            let (old, new) = (0x4006, 0x4006 - (u16::from(hops) << 8));
            let found = u16::from_be_bytes(less_time(field.to_be_bytes(), hops));
            assert_eq!(found, Delta::NONE.word(old, new).apply(field), "{field:04x} {hops}");
        }
    }
}
