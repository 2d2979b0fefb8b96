//! What becomes of words that nobody reads any more, as in `thruway demo | head -1`?
//!
//! Rust's programs ignore SIGPIPE, and its `println!` panics instead. Here a closed stdout is an
//! error like any other, so that a command ends where it stands and clears away what it made; the
//! program then ends as one that SIGPIPE ended, and says nothing. What goes to stderr is lost in
//! that case.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use miette::{Result, miette};

/// The exit code of a program that SIGPIPE (13) ended, as a shell shows it.
pub(super) const CLOSED_CODE: u8 = 128 + 13;

/// Whoever read stdout has gone.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("stdout is closed")]
pub(super) struct Closed;

/// Writes to stdout at once.
///
/// # Errors
/// [`Closed`] when nobody reads it, a sentence when it cannot be written.
pub(super) fn print(text: impl Display) -> Result<()> {
    write(&mut io::stdout().lock(), &text.to_string())
}

/// Writes a line to stdout at once.
///
/// # Errors
/// As [`print()`].
pub(super) fn line(text: impl Display) -> Result<()> {
    print(format_args!("{text}\n"))
}

/// Writes a line to stderr, or nowhere.
pub(super) fn complain(text: impl Display) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

fn write(out: &mut impl Write, text: &str) -> Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Closed.into(),
        _ => miette!(
            help = "is the disk full that stdout leads to?",
            "cannot write to stdout: {error}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses everything.
    struct Refuses(ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        let closed = write(&mut Refuses(ErrorKind::BrokenPipe), "x").unwrap_err();
        assert!(closed.downcast_ref::<Closed>().is_some());
        let full = write(&mut Refuses(ErrorKind::StorageFull), "x").unwrap_err();
        assert!(full.downcast_ref::<Closed>().is_none());
        assert!(full.to_string().starts_with("cannot write to stdout: "), "{full}");
    }
}
