//! How does a shard choose what nobody should guess? SipHash-2-4 of a counter, under a seed.
//!
//! Ports must be hard to predict from those already seen (RFC 6056 3.3.3, RFC 6888 REQ-15), so a
//! plain shift register will not do. The same seed gives the same sequence.

/// A keyed sequence of 64-bit numbers.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    k0: u64,
    k1: u64,
    counter: u64,
}

impl Draws {
    /// The sequence of `seed`; `stream` tells sequences of one seed apart.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let k0 = siphash(seed, !seed, stream.wrapping_mul(2));
        let k1 = siphash(seed, !seed, stream.wrapping_mul(2).wrapping_add(1));
        Self { k0, k1, counter: 0 }
    }

    /// The next number.
    pub(super) fn draw(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        siphash(self.k0, self.k1, self.counter)
    }
}

/// `bits` mapped evenly onto `0..n`; 0 when `n` is 0.
pub(super) const fn below(bits: u32, n: u32) -> u32 {
    ((bits as u64 * n as u64) >> 32) as u32
}

/// SipHash-2-4 of the eight bytes of `word`, little end first.
fn siphash(k0: u64, k1: u64, word: u64) -> u64 {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    // The last block of an eight-byte message holds nothing but its length.
    for block in [word, 8 << 56] {
        v[3] ^= block;
        round(&mut v);
        round(&mut v);
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_gives_the_reference_vector_for_eight_bytes() {
        // Reference key 00..0f, message 00..07.
        let (k0, k1) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(siphash(k0, k1, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn below_stays_below() {
        assert_eq!(below(u32::MAX, 10), 9);
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(77, 0), 0);
    }
}
