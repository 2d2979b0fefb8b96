//! Where do small frames go that show a difference? Each into a pcapng file of its own, one for each
//! kind of difference: the first frame of a kind stands for all others.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::compare::Difference;
use super::shrink::{Shrunk, shrink};
use super::view::View;
use crate::io::pcap::{CaptureError, Writer};
use crate::time::Now;

/// Most frames that are tried to make one frame small.
pub const MOST_RUNS: usize = 500;

/// What must stay the same while a frame gets smaller: what thruway says of it, the first field that
/// differs, and whether each of the two sees that field at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    valid: Option<bool>,
    reason: Option<&'static str>,
    field: &'static str,
    sees: [bool; 2],
}

impl Sign {
    /// The sign of a frame's differences; `None` when there are none.
    pub fn of<'a>(
        ours: &View,
        differences: impl IntoIterator<Item = &'a Difference>,
    ) -> Option<Self> {
        let first = differences.into_iter().next()?;
        let sees = [!first.thruway.is_null(), !first.other.is_null()];
        Some(Self { valid: ours.valid, reason: ours.reason, field: first.field, sees })
    }
}

/// Why a small frame cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The folder.
    #[error("cannot make the folder {} for small frames: {why}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not; part of the message, so that it is said once.
        why: io::Error,
    },
    /// The file.
    #[error("cannot write {0}; `--shrink` takes a folder")]
    Write(CaptureError),
    /// The user's parser cannot be started again.
    #[error("cannot start `sh`: {0}")]
    Start(io::Error),
}

/// A small frame that was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: usize,
    /// How many frames were tried.
    pub runs: usize,
}

/// The folder of small frames.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    stem: String,
    seen: BTreeSet<Sign>,
}

impl Keeper {
    /// Keeps small frames of the capture `file` in `folder`, which is made when it is needed.
    pub fn new(folder: &Path, file: &Path) -> Self {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { folder: folder.to_owned(), stem, seen: BTreeSet::new() }
    }

    /// Makes the frame of packet `number` small while `sign_of` gives the same sign, and keeps it;
    /// `None` when there is no sign or one was kept.
    ///
    /// # Errors
    /// When it cannot be written, or `sign_of` fails.
    pub fn keep(
        &mut self,
        number: u64,
        frame: &[u8],
        mut sign_of: impl FnMut(&[u8]) -> io::Result<Option<Sign>>,
    ) -> Result<Option<Kept>, KeepError> {
        let Some(sign) = sign_of(frame).map_err(KeepError::Start)? else { return Ok(None) };
        if !self.seen.insert(sign.clone()) {
            return Ok(None);
        }
        let mut failed = None;
        let small = shrink(frame.to_vec(), MOST_RUNS, |bytes| match sign_of(bytes) {
            Ok(found) => found.as_ref() == Some(&sign),
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let Some(error) = failed {
            return Err(KeepError::Start(error));
        }
        self.write(number, &sign, small).map(Some)
    }

    fn write(&self, number: u64, sign: &Sign, small: Shrunk) -> Result<Kept, KeepError> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|why| KeepError::Folder { folder: self.folder.clone(), why })?;
        let reason = sign.reason.map(|reason| format!("-{reason}")).unwrap_or_default();
        let name = format!("{}-{number}-{}{reason}.pcapng", self.stem, sign.field);
        let path = self.folder.join(name);
        let write = || {
            let mut writer = Writer::create(&path)?;
            let interface = writer.interface("shrunk")?;
            let comment = format!("packet {number} of {}, made small: {}", self.stem, sign.field);
            writer.write_with_comment(interface, Now(0), &small.bytes, &comment)?;
            writer.finish()
        };
        write().map_err(KeepError::Write)?;
        Ok(Kept { path, size: small.bytes.len(), runs: small.runs })
    }
}
