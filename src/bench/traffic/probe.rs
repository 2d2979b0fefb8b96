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
        debug_assert!(self.seq <= LAST_SEQ && self.due_ns <= LAST_DUE_NS);
        payload[..2].copy_from_slice(&self.trial.to_be_bytes());
        payload[2..4].copy_from_slice(&self.stream.to_be_bytes());
        payload[4..9].copy_from_slice(&self.seq.to_be_bytes()[3..]);
        payload[9..15].copy_from_slice(&self.due_ns.to_be_bytes()[2..]);
        let check = check(&payload[..15]);
        payload[15..SIZE].copy_from_slice(&check);
        let mut filler = Filler::new(self.stream, self.seq);
        for chunk in payload[SIZE..].chunks_mut(8) {
            chunk.copy_from_slice(&filler.next()[..chunk.len()]);
        }
    }

    /// Reads the probe and holds every byte behind it against what was sent.
    ///
    /// # Errors
    /// [`ProbeError::NoProbe`] and [`ProbeError::Filler`], with the probe that was read.
    pub fn read(payload: &[u8]) -> Result<Self, (ProbeError, Self)> {
        let Some((head, rest)) = payload.split_at_checked(SIZE) else {
            return Err((ProbeError::NoProbe, Self::default()));
        };
        let word = |from: usize, to: usize| {
            head[from..to].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let probe = Self {
            trial: u16::from_be_bytes([head[0], head[1]]),
            stream: u16::from_be_bytes([head[2], head[3]]),
            seq: word(4, 9),
            due_ns: word(9, 15),
        };
        if check(&head[..15]) != head[15..] {
            return Err((ProbeError::NoProbe, probe));
        }
        let mut filler = Filler::new(probe.stream, probe.seq);
        if rest.chunks(8).any(|chunk| filler.next()[..chunk.len()] != *chunk) {
            return Err((ProbeError::Filler, probe));
        }
        Ok(probe)
    }
}

/// 24 bits that change with any bit of the 15 bytes.
fn check(head: &[u8]) -> [u8; 3] {
    let word = |at: usize| {
        u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes of fifteen"))
    };
    // The two words overlap by a byte; odd multipliers keep each word's bits apart.
    let mixed = (word(0) ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 32 ^ word(7)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let bytes = (mixed ^ mixed >> 29).to_be_bytes();
    [bytes[0], bytes[1], bytes[2]]
}

/// Bytes that follow from a stream and a number (xorshift, Marsaglia 2003).
struct Filler(u64);

impl Filler {
    fn new(stream: u16, seq: u64) -> Self {
        // Never 0, where xorshift stays.
        Self((u64::from(stream) << 41 | seq << 1 | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> [u8; 8] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()
    }
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
