//! Which frames were made? A capture of them, up to a size that no disk minds.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result};

use crate::io::pcap::Writer;
use crate::time::Now;

/// Bytes of frames after which no more are written; the seed makes the rest again.
const MOST: u64 = 256 << 20;

/// The capture.
#[derive(Debug)]
pub(super) struct Record {
    file: PathBuf,
    writer: Writer<BufWriter<File>>,
    interface: u32,
    frames: u64,
    /// Bytes of frames that there is still room for.
    left: u64,
}

impl Record {
    /// Creates the file, or empties it.
    pub(super) fn create(file: &Path, interface: &str) -> Result<Self> {
        Self::with_room(file, interface, MOST)
    }

    fn with_room(file: &Path, interface: &str, left: u64) -> Result<Self> {
        let mut writer = Writer::create(file).into_diagnostic()?;
        let interface = writer.interface(interface).into_diagnostic()?;
        Ok(Self { file: file.to_owned(), writer, interface, frames: 0, left })
    }

    /// Writes a frame while there is room.
    pub(super) fn keep(&mut self, at: Now, frame: &[u8]) -> Result<()> {
        let Some(left) = self.left.checked_sub(frame.len() as u64) else {
            // Shorter ones that follow stay out too: what is written is how the run began.
            self.left = 0;
            return Ok(());
        };
        self.writer.write(self.interface, at, frame).into_diagnostic()?;
        (self.frames, self.left) = (self.frames + 1, left);
        Ok(())
    }

    /// Makes the file whole.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.writer.flush().into_diagnostic()
    }

    /// The file, and how many frames it has.
    pub(super) fn found(&self) -> (&Path, u64) {
        (&self.file, self.frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::pcap::Reader;

    #[test]
    fn a_full_capture_has_the_frames_that_the_run_began_with() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pcapng");
        let mut record = Record::with_room(&file, "a", 250).unwrap();
        for size in [100, 100, 60, 10, 50] {
            record.keep(Now(7), &vec![1; size]).unwrap();
        }
        record.finish().unwrap();
        assert_eq!(record.found(), (&*file, 2));
        let mut reader = Reader::open(&file).unwrap();
        let mut sizes = Vec::new();
        while let Some(packet) = reader.next().unwrap() {
            sizes.push(packet.bytes.len());
        }
        assert_eq!(sizes, [100, 100]);
    }
}
