//! What can the terminal show? Nothing of it is written here.

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// Columns of the terminal that a stream leads to; none when it leads elsewhere.
pub(super) fn width(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let columns = tcgetwinsize(stream).ok()?.ws_col;
    // A terminal that does not know its width says 0.
    (columns > 0).then_some(usize::from(columns))
}

/// Whether a stream leads to a terminal that may be coloured (<https://no-color.org>).
pub(super) fn colored(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && wanted(env::var_os("NO_COLOR"), env::var_os("TERM"))
}

/// An empty `NO_COLOR` forbids nothing.
fn wanted(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|term| term != "dumb")
}

/// A text without characters that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_where_the_user_or_the_terminal_says_so() {
        let set = |value: &str| Some(OsString::from(value));
        assert!(wanted(None, set("xterm-256color")));
        assert!(wanted(set(""), None));
        assert!(!wanted(set("1"), set("xterm")));
        assert!(!wanted(None, set("dumb")));
    }

    #[test]
    fn a_text_cannot_command_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{9b}2J"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}2J");
    }
}
