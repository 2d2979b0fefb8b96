//! What is the smallest frame that still shows it? Delta debugging: bytes are cut off the end, cut
//! out of the middle and zeroed, in pieces that get smaller, while what is asked for remains.
//!
//! A piece less breaks lengths and checksums, so each change is tried as it is and, if it shows
//! nothing, mended. How often the question is asked is bounded.

use super::mend::{mend, simpler};

/// A frame that shows something, and how often was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The bytes that are left.
    pub bytes: Vec<u8>,
    /// How many frames were tried.
    pub runs: usize,
}

/// Shrinks `frame`, which shows something, while `shows` says that it does, asking at most `most`
/// times.
pub fn shrink(frame: Vec<u8>, most: usize, shows: impl FnMut(&[u8]) -> bool) -> Shrunk {
    let mut search = Search { best: frame, left: most, shows };
    loop {
        let before = search.best.clone();
        search.cut_end();
        search.peel();
        search.cut_out();
        search.zero();
        if search.best == before || search.left == 0 {
            return Shrunk { bytes: search.best, runs: most - search.left };
        }
    }
}

struct Search<F> {
    best: Vec<u8>,
    left: usize,
    shows: F,
}

impl<F: FnMut(&[u8]) -> bool> Search<F> {
    /// Takes the change if it shows what was asked for, as it is or mended.
    fn take(&mut self, changed: Vec<u8>) -> bool {
        if self.left == 0 {
            return false;
        }
        let mut mended = changed.clone();
        mend(&mut mended);
        let twice = mended != changed;
        for bytes in std::iter::once(changed).chain(twice.then_some(mended)) {
            if self.left == 0 || bytes == self.best {
                continue;
            }
            self.left -= 1;
            if (self.shows)(&bytes) {
                self.best = bytes;
                return true;
            }
        }
        false
    }

    fn cut_end(&mut self) {
        let mut piece = self.best.len() / 2;
        while piece > 0 && self.left > 0 {
            let keep = self.best.len().saturating_sub(piece);
            if !self.take(self.best[..keep].to_vec()) {
                piece /= 2;
            }
            piece = piece.min(self.best.len());
        }
    }

    /// Takes out tags and options.
    fn peel(&mut self) {
        while simpler(&self.best).into_iter().any(|changed| self.take(changed)) {}
    }

    /// From the end, where payload is, to the headers in front.
    fn cut_out(&mut self) {
        let mut piece = self.best.len() / 2;
        while piece > 0 && self.left > 0 {
            let mut end = self.best.len();
            while end >= piece && self.left > 0 {
                let mut changed = self.best.clone();
                changed.drain(end - piece..end);
                self.take(changed);
                end = (end - piece).min(self.best.len());
            }
            piece /= 2;
        }
    }

    fn zero(&mut self) {
        let mut piece = self.best.len() / 2;
        while piece > 0 && self.left > 0 {
            for start in (0..self.best.len()).step_by(piece) {
                let end = (start + piece).min(self.best.len());
                if self.best[start..end].iter().any(|byte| *byte != 0) {
                    let mut changed = self.best.clone();
                    changed[start..end].fill(0);
                    self.take(changed);
                }
            }
            piece /= 2;
        }
    }
}
