//! Was this thread off its core against its will? The scheduler keeps an account of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The scheduler's account of the thread that made this.
#[derive(Debug)]
pub(super) struct Sense(File);

impl Sense {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(File::open("/proc/thread-self/schedstat")?))
    }

    /// Nanoseconds that the thread has waited for a core so far.
    pub(super) fn waited(&self) -> io::Result<u64> {
        let mut text = [0; 80];
        let len = self.0.read_at(&mut text, 0)?;
        // "on the core, waiting for one, how often": proc(5).
        let text = std::str::from_utf8(&text[..len]).unwrap_or_default();
        let second = text.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
        second.ok_or_else(|| io::Error::other("/proc/thread-self/schedstat has no such account"))
    }
}
