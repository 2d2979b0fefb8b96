//! Captures in, captures out: several files merged by time, a file for each port that sends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::{Options, Replay, ReplayError, Verdicts};
use crate::ids::PortId;
use crate::io::pcap::{CaptureError, Reader, Skipped, Writer};
use crate::model::Model;
use crate::time::Now;

/// A capture and the port by which its frames come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The port's name.
    pub port: String,
    /// A pcap or pcapng file.
    pub file: PathBuf,
}

/// Why captures cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The pipeline.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A capture that cannot be read.
    #[error("cannot read {0}; `--in` takes PORT=FILE, a pcap or pcapng file")]
    Input(CaptureError),
    /// A capture that cannot be written.
    #[error("cannot write {0}; `--out` takes a folder with room for a capture of each port")]
    Output(CaptureError),
    /// A port where nothing can enter.
    #[error("frames cannot enter by port {port}: ports without a cable are {}", known.join(", "))]
    Port {
        /// The port that was named.
        port: String,
        /// The ports that could have been.
        known: Vec<String>,
    },
    /// The folder for the captures.
    #[error("cannot make the folder {}: {why}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not; part of the message, so that it is said once.
        why: std::io::Error,
    },
}

/// What became of captures.
#[derive(Debug)]
pub struct Outcome {
    /// What became of their packets.
    pub verdicts: Verdicts,
    /// Packets that are no Ethernet frames and were left out, by input.
    pub skipped: Vec<(Input, Skipped)>,
    /// Captures that are broken; what stands before that went through.
    pub broken: Vec<FileError>,
}

/// A capture with its next packet.
struct Source {
    reader: Reader<File>,
    next: Option<(Now, Vec<u8>)>,
}

impl Source {
    fn open(file: &Path) -> Result<Self, CaptureError> {
        let mut source = Self { reader: Reader::open(file)?, next: None };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result<(), CaptureError> {
        let next = self.reader.next()?;
        self.next = next.map(|packet| (packet.at, packet.bytes.to_vec()));
        Ok(())
    }
}

/// Replays captures and writes what left, `PORT.pcapng` in `folder` for each port that sent.
///
/// # Errors
/// When a capture cannot be read from the beginning or not be written, or the model not be
/// forwarded. What left before that is written.
pub fn files(
    model: &Model,
    options: Options,
    inputs: &[Input],
    folder: &Path,
) -> Result<Outcome, FileError> {
    let sources = inputs.iter().map(|input| Source::open(&input.file));
    let mut sources = sources.collect::<Result<Vec<_>, _>>().map_err(FileError::Input)?;
    let first = sources.iter().filter_map(|source| source.next.as_ref()).map(|(at, _)| *at);
    let mut replay = Replay::new(model, options, first.min().unwrap_or_default())?;
    let port = |input: &Input| {
        let unknown = || FileError::Port { port: input.port.clone(), known: replay.ports() };
        replay.port(&input.port).ok_or_else(unknown)
    };
    let ports = inputs.iter().map(port).collect::<Result<Vec<PortId>, _>>()?;
    std::fs::create_dir_all(folder)
        .map_err(|why| FileError::Folder { folder: folder.to_owned(), why })?;
    let mut outputs = Outputs { folder: folder.to_owned(), writers: BTreeMap::new() };
    // The earliest packet next; of equal ones that of the input that was named first.
    let earliest = |sources: &[Source]| {
        let heads = sources.iter().enumerate();
        let heads = heads.filter_map(|(at, own)| own.next.as_ref().map(|next| (next.0, at)));
        heads.min().map(|(_, at)| at)
    };
    let mut broken = Vec::new();
    while let Some(index) = earliest(&sources) {
        if let Some((at, bytes)) = sources[index].next.take() {
            replay.offer(ports[index], at, &bytes)?;
        }
        outputs.write(&mut replay).map_err(FileError::Output)?;
        // What came before goes through all the same, and so do the other captures.
        broken.extend(sources[index].advance().err().map(FileError::Input));
    }
    replay.finish()?;
    outputs.write(&mut replay).map_err(FileError::Output)?;
    outputs.finish().map_err(FileError::Output)?;
    let skipped = inputs.iter().zip(&sources).flat_map(|(input, source)| {
        source.reader.skipped().into_iter().map(|skipped| (input.clone(), skipped))
    });
    Ok(Outcome { verdicts: replay.verdicts(), skipped: skipped.collect(), broken })
}

struct Outputs {
    folder: PathBuf,
    writers: BTreeMap<PortId, Writer<BufWriter<File>>>,
}

impl Outputs {
    fn write(&mut self, replay: &mut Replay) -> Result<(), CaptureError> {
        for sent in replay.take_sent() {
            let writer = match self.writers.entry(sent.port) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let name = replay.model.ports[sent.port.index()].name.as_str();
                    let mut writer = Writer::create(&self.folder.join(format!("{name}.pcapng")))?;
                    writer.interface(name)?;
                    entry.insert(writer)
                }
            };
            writer.write(0, sent.at, &sent.bytes)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), CaptureError> {
        for (_, writer) in self.writers {
            writer.finish()?;
        }
        Ok(())
    }
}
