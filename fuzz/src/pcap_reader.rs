//! Any file is a capture or is refused by name, and reading it ends.

use std::io::Cursor;

use thruway::io::pcap::Reader;

/// Reads bytes as a capture.
///
/// # Panics
/// When reading does, or does not end.
pub fn check(data: &[u8]) {
    let mut reader = match Reader::new("fuzz.pcap", Cursor::new(data)) {
        Ok(reader) => reader,
        Err(error) => return assert!(error.to_string().contains("fuzz.pcap")),
    };
    // A packet takes at least as many bytes as its header.
    for _ in 0..=data.len() / 8 {
        match reader.next() {
            Ok(Some(packet)) => {
                assert!(packet.bytes.len() <= data.len(), "a packet is longer than its file");
            }
            Ok(None) => return,
            Err(error) => return assert!(error.to_string().contains("fuzz.pcap")),
        }
    }
    panic!("more packets than {} bytes can hold", data.len());
}
