//! How does the sink know a frame again? By the probe at the start of its UDP payload, and by the
//! bytes behind it, which follow from the probe.
//!
//! ```text
//!  0        2        4                 9                    15        18
//!  | trial  | stream | sequence number | due time, ns       | check   | filler ...
//! ```
//!
//! 18 bytes, so that the smallest Ethernet frame has room for it behind IPv4 and UDP. The check is
//! over the 15 bytes before it; the filler is a function of stream and number, so that the sink can
//! hold every byte against what was sent. Forwarders change headers, never this.

use crate::wire::checksum;

/// Bytes of a probe.
pub const SIZE: usize = 18;
/// The largest sequence number.
pub const LAST_SEQ: u64 = (1 << 40) - 1;
/// The latest due time, in nanoseconds.
pub const LAST_DUE_NS: u64 = (1 << 48) - 1;

/// Which frame it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The trial: frames of an earlier one are foreign.
    pub trial: u16,
    /// The stream within the trial.
    pub stream: u16,
    /// Its number in the stream, from 0; at most [`LAST_SEQ`].
    pub seq: u64,
    /// When it was due, in nanoseconds from the trial's begin; at most [`LAST_DUE_NS`].
    pub due_ns: u64,
}

/// Why a payload has no probe, or not what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// Too short, or the check does not fit: not one of ours, or a broken one.
    NoProbe,
    /// The probe is whole; a byte behind it is not what was sent.
    Filler,
}

impl Probe {
    /// Writes the probe and its filler over the whole payload.
    ///
    /// # Panics
    /// When the payload is shorter than [`SIZE`].
    pub fn write(&self, payload: &mut [u8]) {
        self.write_summed(payload);
    }

    /// As [`Probe::write`]; returns what the payload adds to an Internet checksum, for
    /// [`crate::wire::checksum::fold`].
    ///
    /// # Panics
    /// When the payload is shorter than [`SIZE`].
    #[inline]
    pub fn write_summed(&self, payload: &mut [u8]) -> u64 {
        debug_assert!(self.seq <= LAST_SEQ && self.due_ns <= LAST_DUE_NS);
        let (head, rest) = payload.split_first_chunk_mut::<SIZE>().expect("room for a probe");
        let (first, last) = self.words();
        let check = u64::from(check(first, last));
        let second = last << 8 | check >> 16;
        head[..8].copy_from_slice(&first.to_be_bytes());
        head[8..16].copy_from_slice(&second.to_be_bytes());
        head[16..].copy_from_slice(&check.to_be_bytes()[6..]);
        let sum = halves(first) + halves(second) + (check & 0xffff);
        if rest.is_empty() {
            return sum;
        }
        fill(self.stream, self.seq, rest);
        checksum::add(sum, rest)
    }

    /// Reads the probe and holds every byte behind it against what was sent.
    ///
    /// # Errors
    /// [`ProbeError::NoProbe`] and [`ProbeError::Filler`], with the probe that was read.
    #[inline]
    pub fn read(payload: &[u8]) -> Result<Self, (ProbeError, Self)> {
        let Some((head, rest)) = payload.split_first_chunk::<SIZE>() else {
            return Err((ProbeError::NoProbe, Self::default()));
        };
        let first = word(head, 0);
        let second = word(head, 8);
        let last = first << 56 | second >> 8;
        let probe = Self {
            trial: u16::from_be_bytes([head[0], head[1]]),
            stream: u16::from_be_bytes([head[2], head[3]]),
            seq: (first & 0xffff_ffff) << 8 | second >> 56,
            due_ns: last & LAST_DUE_NS,
        };
        let [_, low @ ..] = check(first, last).to_be_bytes();
        if low != head[15..] {
            return Err((ProbeError::NoProbe, probe));
        }
        if !is_filler(probe.stream, probe.seq, rest) {
            return Err((ProbeError::Filler, probe));
        }
        Ok(probe)
    }

    /// Bytes 0 to 7, and 7 to 14: they overlap by one.
    #[inline(always)]
    fn words(&self) -> (u64, u64) {
        let first = u64::from(self.trial) << 48 | u64::from(self.stream) << 32 | self.seq >> 8;
        (first, (self.seq & 0xffff) << 48 | self.due_ns)
    }
}

fn word(head: &[u8; SIZE], at: usize) -> u64 {
    u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes"))
}

/// Both halves of a word: an Internet checksum does not care where 16-bit words stand.
#[inline(always)]
const fn halves(word: u64) -> u64 {
    (word >> 32) + (word & 0xffff_ffff)
}

/// 24 bits that change with any bit of the two words.
#[inline(always)]
fn check(first: u64, last: u64) -> u32 {
    // Odd multipliers keep each word's bits apart.
    let mixed = (first ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 32 ^ last).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let [a, b, c, ..] = (mixed ^ mixed >> 29).to_be_bytes();
    u32::from_be_bytes([0, a, b, c])
}

/// Where the filler of a frame begins.
#[inline(always)]
const fn origin(stream: u16, seq: u64) -> u64 {
    ((stream as u64) << 41 | seq << 1 | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// From one place of the filler to the next.
const STEP: u64 = 0xff51_afd7_ed55_8ccd;

/// A word of the filler, which follows from its place alone: several are made at once, as long as
/// no addition is checked.
#[inline(always)]
const fn filler(place: u64) -> u64 {
    place ^ place >> 32
}

/// Writes the filler.
#[inline]
fn fill(stream: u16, seq: u64, rest: &mut [u8]) {
    let mut place = origin(stream, seq);
    let mut words = rest.chunks_exact_mut(8);
    for bytes in &mut words {
        bytes.copy_from_slice(&filler(place).to_le_bytes());
        place = place.wrapping_add(STEP);
    }
    let tail = words.into_remainder();
    tail.copy_from_slice(&filler(place).to_le_bytes()[..tail.len()]);
}

/// Whether these bytes are the filler.
#[inline]
fn is_filler(stream: u16, seq: u64, rest: &[u8]) -> bool {
    let (mut place, mut wrong) = (origin(stream, seq), 0);
    let mut words = rest.chunks_exact(8);
    for bytes in &mut words {
        let bytes = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        wrong |= bytes ^ filler(place);
        place = place.wrapping_add(STEP);
    }
    let tail = words.remainder();
    wrong == 0 && filler(place).to_le_bytes()[..tail.len()] == *tail
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            trial: u16, stream: u16, seq in 0..=LAST_SEQ, due_ns in 0..=LAST_DUE_NS,
            size in SIZE..1500,
        ) {
            let probe = Probe { trial, stream, seq, due_ns };
            let mut payload = vec![0; size];
            probe.write(&mut payload);
            prop_assert_eq!(Probe::read(&payload), Ok(probe));
        }

        #[test]
        fn the_sum_is_that_of_the_bytes(
            trial: u16, stream: u16, seq in 0..=LAST_SEQ, due_ns in 0..=LAST_DUE_NS,
            size in SIZE..1500,
        ) {
            let mut payload = vec![0; size];
            let sum = Probe { trial, stream, seq, due_ns }.write_summed(&mut payload);
            // As RFC 1071 has it: 16-bit words, carries folded in.
            let mut plain = payload.chunks(2).map(|pair| {
                u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))
            }).sum::<u32>();
            while plain >> 16 != 0 {
                plain = (plain & 0xffff) + (plain >> 16);
            }
            prop_assert_eq!(u32::from(checksum::fold(sum)), plain);
        }

        #[test]
        fn one_flipped_bit_is_noticed(
            stream: u16, seq in 0..=LAST_SEQ, due_ns in 0..=LAST_DUE_NS,
            size in SIZE..300, at: prop::sample::Index,
        ) {
            let mut payload = vec![0; size];
            Probe { trial: 1, stream, seq, due_ns }.write(&mut payload);
            let bit = at.index(size * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Probe::read(&payload).is_err());
        }
    }

    #[test]
    fn a_short_payload_has_no_probe() {
        assert_eq!(Probe::read(&[0; 17]).unwrap_err().0, ProbeError::NoProbe);
    }
}
