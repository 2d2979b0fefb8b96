//! What does a transfer carry? Bytes that tell a lost, doubled or foreign piece from the right
//! one.

/// Length of the pattern: a prime, so that no power of two of lost bytes goes unseen.
const PERIOD: usize = 262_139;

/// A pseudo-random byte sequence that repeats every [`PERIOD`] bytes; each seed has its own.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        // xorshift64* (Vigna 2016); its state must not be zero.
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(PERIOD + 8);
        while bytes.len() < PERIOD {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        bytes.truncate(PERIOD);
        Self(bytes)
    }

    /// The bytes from `offset` of the stream on: at least one, at most `limit` (which is not 0).
    pub(crate) fn at(&self, offset: u64, limit: usize) -> &[u8] {
        let start = usize::try_from(offset % PERIOD as u64).expect("less than the period");
        &self.0[start..PERIOD.min(start + limit)]
    }

    /// Whether `bytes` are those from `offset` of the stream on.
    pub(crate) fn matches(&self, mut offset: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let expected = self.at(offset, bytes.len());
            let (piece, rest) = bytes.split_at(expected.len());
            if piece != expected {
                return false;
            }
            offset += piece.len() as u64;
            bytes = rest;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(pattern: &Pattern, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            bytes.extend_from_slice(pattern.at(bytes.len() as u64, len - bytes.len()));
        }
        bytes
    }

    #[test]
    fn a_lost_piece_of_any_segment_size_is_seen() {
        let pattern = Pattern::new(1);
        let whole = stream(&pattern, 3 * PERIOD);
        assert!(pattern.matches(0, &whole));
        for lost in [1, 1360, 1460, 4096, 65_536, PERIOD + 1] {
            let mut torn = whole[..PERIOD / 2].to_vec();
            torn.extend_from_slice(&whole[PERIOD / 2 + lost..]);
            assert!(!pattern.matches(0, &torn), "{lost} bytes lost");
        }
    }

    #[test]
    fn another_connection_s_bytes_are_seen() {
        assert!(!Pattern::new(1).matches(0, &stream(&Pattern::new(2), 64)));
    }
}
