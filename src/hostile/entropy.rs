//! Where do choices come from? Bytes that are read from the front; zeroes follow the last.

/// Bytes that choices are read from.
#[derive(Clone, Debug)]
pub struct Entropy<'a>(&'a [u8]);

impl<'a> Entropy<'a> {
    /// Choices out of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether only zeroes are left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// The next two bytes.
    pub fn half(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next four bytes.
    pub fn word(&mut self) -> u32 {
        u32::from(self.half()) << 16 | u32::from(self.half())
    }

    /// The next `len` bytes, or what is left.
    pub fn piece(&mut self, len: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// A number below `n`, 0 where there is none; one byte's worth while that suffices.
    pub fn below(&mut self, n: usize) -> usize {
        let number = match n {
            0 | 1 => return 0,
            2..=0x100 => usize::from(self.byte()),
            0x101..=0x1_0000 => usize::from(self.half()),
            _ => self.word() as usize,
        };
        number % n
    }

    /// True one time in `n`; not for a zero, so that what is left out stays plain.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) + 1 == n
    }

    /// One of a list; `None` of an empty one.
    pub fn pick<'b, T>(&mut self, list: &'b [T]) -> Option<&'b T> {
        list.get(self.below(list.len()))
    }

    /// One of some values, of which there must be one.
    pub fn one_of<T: Copy, const N: usize>(&mut self, values: [T; N]) -> T {
        const { assert!(N > 0, "there is something to choose from") };
        values[self.below(N)]
    }

    /// A size of at most `most` bytes: none, a few, any, or nearly the most.
    pub fn size(&mut self, most: usize) -> usize {
        match self.below(5) {
            0 | 1 => self.below(65).min(most),
            2 => self.below(most + 1),
            3 => most - self.below(5).min(most),
            _ => 0,
        }
    }

    /// A payload, which costs one byte whatever its size: bytes that count up.
    pub fn payload(&mut self, size: usize) -> Vec<u8> {
        let first = self.byte();
        (0..=u8::MAX).cycle().skip(first.into()).take(size).collect()
    }
}

/// Bytes that look random and are the same each time for a seed (SplitMix64: Steele, Lea, Flood
/// 2014).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Those of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.next_bits().to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The first outputs for seed 1234567 of the reference implementation in C (Vigna 2015).
        let mut numbers = Numbers::new(1_234_567);
        let found: [u64; 3] = std::array::from_fn(|_| numbers.next_bits());
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(found, expected);
    }

    #[test]
    fn zeroes_follow_the_last_byte_and_choose_the_plain() {
        let mut entropy = Entropy::new(&[1, 2, 3]);
        assert_eq!((entropy.half(), entropy.half(), entropy.word()), (0x0102, 0x0300, 0));
        assert!(entropy.is_empty() && entropy.piece(9).is_empty());
        assert!(!entropy.one_in(10) && entropy.one_of([7, 8]) == 7 && entropy.size(1500) == 0);
        assert_eq!(entropy.pick::<u8>(&[]), None);
    }

    #[test]
    fn every_value_below_a_limit_comes() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        for n in [2, 3, 10, 256] {
            let mut entropy = Entropy::new(&bytes);
            let seen: std::collections::BTreeSet<_> = (0..256).map(|_| entropy.below(n)).collect();
            assert_eq!(seen, (0..n).collect());
        }
    }
}
