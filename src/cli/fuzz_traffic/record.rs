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
    bytes: u64,
}

impl Record {
    /// Creates the file, or empties it.
    pub(super) fn create(file: &Path, interface: &str) -> Result<Self> {
        let mut writer = Writer::create(file).into_diagnostic()?;
        let interface = writer.interface(interface).into_diagnostic()?;
        Ok(Self { file: file.to_owned(), writer, interface, frames: 0, bytes: 0 })
    }

    /// Writes a frame while there is room.
    pub(super) fn keep(&mut self, at: Now, frame: &[u8]) -> Result<()> {
        let size = frame.len() as u64;
        if self.bytes + size > MOST {
            // Shorter ones that follow stay out too: what is written is how the run began.
            self.bytes = MOST;
            return Ok(());
        }
        self.writer.write(self.interface, at, frame).into_diagnostic()?;
        self.frames += 1;
        self.bytes += size;
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
