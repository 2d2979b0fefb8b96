//! What did the kernel drop before a port could receive it? The statistics of an interface.

use std::fs::File;
use std::io::{Read, Seek};

/// The statistics of the interfaces of one network namespace, whichever thread asks.
#[derive(Debug)]
pub(super) struct Statistics(File);

impl Statistics {
    /// Those of the namespace that the calling thread is in; `None` without `/proc`.
    pub(super) fn open() -> Option<Self> {
        // An open file goes on showing the namespace that it was opened in.
        File::open("/proc/thread-self/net/dev").ok().map(Self)
    }

    /// Frames that the kernel was to send by an interface and dropped; `None` when it is gone.
    pub(super) fn dropped(&self, name: &str) -> Option<u64> {
        let mut text = String::new();
        let mut file = &self.0;
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        tx_dropped(&text, name)
    }
}

/// The field in the table that proc_pid_net(5) describes: behind the name eight of what was
/// received, then bytes, packets, errors and drops of what was sent.
fn tx_dropped(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, fields) = lines.find(|(own, _)| own.trim() == name)?;
    fields.split_whitespace().nth(8 + 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_field_of_the_right_interface_is_read() {
        let text = "Inter-|   Receive                            |  Transmit\n \
             face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop\n\
             tw0x: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  \
             tw0:101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116\n";
        assert_eq!(tx_dropped(text, "tw0"), Some(112));
        assert_eq!(tx_dropped(text, "tw"), None);
        assert_eq!(tx_dropped("tw0: 1 2", "tw0"), None);
    }
}
