//! Which sizes, in which order? A frame size, or an IMIX genome (RFC 6985).
//!
//! A genome is a word whose letters are sizes: `aaaaaaaddddg` is seven frames of 64 bytes, four of
//! 512 and one of 1,518, and again from the start. Frames are sent in the order of the letters.
//! Capital letters stand for sizes of the user's own, which the report must list; runs are written
//! `4*abcd,2*g` (RFC 6985 6.1 has them as a table).

use std::fmt;
use std::str::FromStr;

use super::size::{LEAST, MOST};

/// Sizes of RFC 6985 4, by letter. The `z` of the RFC, the MTU, is [`MOST`] here.
const LETTERS: [(char, u32); 11] = [
    ('a', 64),
    ('b', 128),
    ('c', 256),
    ('d', 512),
    ('e', 1024),
    ('f', 1280),
    ('g', 1518),
    ('h', 2112),
    ('i', 9000),
    ('j', 16000),
    ('z', MOST),
];
/// The longest sequence: nobody reads a longer one.
const LONGEST: usize = 4096;
/// Seven frames of 64 bytes, four of 570, one of 1,518.
const SIMPLE: &str = "7*a,4*A,g;A=570";

/// Sizes of frames on the wire, untagged, in the order they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genome {
    sizes: Vec<u32>,
    text: Option<String>,
}

/// A text that is no size and no genome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenomeError {
    /// A size out of range.
    #[error(
        "no frame of {0} bytes can be sent: sizes are {LEAST} to {MOST}, untagged and with the check sequence"
    )]
    Size(u32),
    /// A letter without a size.
    #[error(
        "letter {0:?} has no size: RFC 6985 has a to j and z, and capitals are given as in \"aaA;A=570\""
    )]
    Letter(char),
    /// A count that is none.
    #[error("{0:?} is no count of repeats, such as the 4 in \"4*abcd\"")]
    Count(String),
    /// A size of one's own that is none.
    #[error("{0:?} gives no letter a size, as A=570 does")]
    Own(String),
    /// Nothing, or too much.
    #[error("a genome has 1 to {LONGEST} frames, not {0}")]
    Len(usize),
}

impl Genome {
    /// Frames of one size.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn one(size: u32) -> Result<Self, GenomeError> {
        Self::checked(vec![size], None)
    }

    /// The simple Internet mix: 64, 570 and 1,518 bytes, 7 : 4 : 1.
    pub fn simple_imix() -> Self {
        SIMPLE.parse().expect("its letters have sizes")
    }

    /// The sizes, in the order they are sent.
    pub fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// The genome as it was written; none for a single size.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The largest of the sizes.
    pub fn largest(&self) -> u32 {
        self.sizes.iter().copied().max().unwrap_or(LEAST)
    }

    fn checked(sizes: Vec<u32>, text: Option<String>) -> Result<Self, GenomeError> {
        if sizes.is_empty() || sizes.len() > LONGEST {
            return Err(GenomeError::Len(sizes.len()));
        }
        match sizes.iter().find(|size| !(LEAST..=MOST).contains(size)) {
            Some(bad) => Err(GenomeError::Size(*bad)),
            None => Ok(Self { sizes, text }),
        }
    }
}

impl fmt::Display for Genome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.text, &self.sizes[..]) {
            (Some(text), _) => f.write_str(text),
            (None, [size]) => write!(f, "{size}"),
            (None, sizes) => write!(f, "{sizes:?}"),
        }
    }
}

impl FromStr for Genome {
    type Err = GenomeError;

    /// A size (`512`), `imix`, or a genome (`aaad`, `7*a,4*A,g;A=570`).
    fn from_str(text: &str) -> Result<Self, GenomeError> {
        let text = text.trim();
        if let Ok(size) = text.parse() {
            return Self::one(size);
        }
        if text.eq_ignore_ascii_case("imix") {
            return Ok(Self::simple_imix());
        }
        let (word, own) = text.split_once(';').unwrap_or((text, ""));
        let own: Vec<(char, u32)> = own
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(own_letter)
            .collect::<Result<_, _>>()?;
        let mut sizes = Vec::new();
        for run in word.split(',').map(str::trim) {
            let (count, letters) = match run.split_once('*') {
                Some((count, letters)) => {
                    let bad = |_| GenomeError::Count(count.to_owned());
                    (count.trim().parse::<usize>().map_err(bad)?, letters.trim())
                }
                None => (1, run),
            };
            let once: Vec<u32> =
                letters.chars().map(|letter| size_of(letter, &own)).collect::<Result<_, _>>()?;
            let len = sizes.len().saturating_add(once.len().saturating_mul(count));
            if len > LONGEST {
                return Err(GenomeError::Len(len));
            }
            sizes.extend(once.repeat(count));
        }
        Self::checked(sizes, Some(text.to_owned()))
    }
}

fn own_letter(item: &str) -> Result<(char, u32), GenomeError> {
    let bad = || GenomeError::Own(item.to_owned());
    let (letter, size) = item.split_once('=').ok_or_else(bad)?;
    let mut letters = letter.trim().chars();
    let (letter, None) = (letters.next().ok_or_else(bad)?, letters.next()) else {
        return Err(bad());
    };
    if !letter.is_ascii_uppercase() {
        return Err(bad());
    }
    Ok((letter, size.trim().parse().map_err(|_| bad())?))
}

fn size_of(letter: char, own: &[(char, u32)]) -> Result<u32, GenomeError> {
    let mut all = LETTERS.iter().chain(own);
    all.find(|(known, _)| *known == letter)
        .map(|(_, size)| *size)
        .ok_or(GenomeError::Letter(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Vec<u32> {
        text.parse::<Genome>().expect(text).sizes
    }

    fn refused(text: &str) -> GenomeError {
        text.parse::<Genome>().expect_err(text)
    }

    #[test]
    fn letters_have_the_sizes_of_rfc_6985() {
        assert_eq!(sizes("abcdefgz"), [64, 128, 256, 512, 1024, 1280, 1518, 1518]);
        assert_eq!(refused("h"), GenomeError::Size(2112));
        assert_eq!(refused("i"), GenomeError::Size(9000));
        assert_eq!(refused("j"), GenomeError::Size(16000));
    }

    #[test]
    fn frames_keep_the_order_of_the_letters() {
        assert_eq!(sizes("aag"), [64, 64, 1518]);
        assert_eq!(sizes("aga"), [64, 1518, 64]);
        // RFC 6985 6.1's example of runs.
        assert_eq!(sizes("2*abcd,1*ggga"), [sizes("abcd").repeat(2), sizes("ggga")].concat());
    }

    #[test]
    fn the_simple_mix_is_7_4_1_and_353_bytes_in_the_mean() {
        let mix = Genome::simple_imix();
        assert_eq!(mix, "imix".parse().unwrap());
        let count = |size| mix.sizes().iter().filter(|own| **own == size).count();
        assert_eq!([64, 570, 1518].map(count), [7, 4, 1]);
        assert_eq!(mix.sizes().iter().sum::<u32>() * 100 / 12, 35383);
    }

    #[test]
    fn sizes_of_one_s_own_have_capitals() {
        assert_eq!(sizes("aA;A=570"), [64, 570]);
        assert_eq!(sizes("1400"), [1400]);
        assert_eq!(refused("aA"), GenomeError::Letter('A'));
        assert_eq!(refused("aA;a=570"), GenomeError::Own("a=570".to_owned()));
        assert_eq!(refused("A;A"), GenomeError::Own("A".to_owned()));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(refused(""), GenomeError::Len(0));
        assert_eq!(refused("0*a"), GenomeError::Len(0));
        assert_eq!(refused("5000*a"), GenomeError::Len(5000));
        assert!(matches!(refused("99999999999999999999*a"), GenomeError::Count(_)));
        assert!(matches!(refused("18446744073709551615*ab"), GenomeError::Len(_)));
        assert_eq!(refused("63"), GenomeError::Size(63));
        assert_eq!(refused("1519"), GenomeError::Size(1519));
        assert_eq!(refused("aXa"), GenomeError::Letter('X'));
    }
}
