//! Writing pcapng: little-endian, nanoseconds, no clock and no facts of the host.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, PcapError};

use super::{CaptureError, Fault};
use crate::time::Now;

/// Units of 10^-9 seconds (pcapng 4.2, `if_tsresol`).
const NANOSECONDS: u8 = 9;

/// Longest text of an option in bytes; lengths of options have 16 bits.
const MOST_TEXT: usize = 1024;

/// A pcapng file in the making.
pub struct Writer<W: Write> {
    name: String,
    packet: u64,
    interfaces: u32,
    file: PcapNgWriter<W>,
}

impl Writer<BufWriter<File>> {
    /// Creates a file, or empties it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Self::new(name, BufWriter::new(file)),
            Err(error) => Err(CaptureError { name, packet: 0, fault: error.into() }),
        }
    }
}

impl<W: Write> Writer<W> {
    /// Writes a capture to anything; errors call it `name`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(name: impl Into<String>, to: W) -> Result<Self, CaptureError> {
        let name = name.into();
        match PcapNgWriter::with_endianness(to, Endianness::Little) {
            Ok(file) => Ok(Self { name, packet: 0, interfaces: 0, file }),
            Err(error) => Err(CaptureError { name, packet: 0, fault: fault(error) }),
        }
    }

    /// Describes an interface by its name and returns its number for [`Writer::write`]: 0 for the
    /// first.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn interface(&mut self, name: &str) -> Result<u32, CaptureError> {
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(text(name)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        let written = self.file.write_pcapng_block(block);
        written.map_err(|error| self.error(error))?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Writes a packet of an interface, from its Ethernet header on.
    ///
    /// # Errors
    /// When the interface was not described, or the packet cannot be written.
    pub fn write(&mut self, interface: u32, at: Now, bytes: &[u8]) -> Result<(), CaptureError> {
        self.write_block(interface, at, bytes, vec![])
    }

    /// Writes a packet with a comment: the reason why it was dropped, say.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_with_comment(
        &mut self,
        interface: u32,
        at: Now,
        bytes: &[u8],
        comment: &str,
    ) -> Result<(), CaptureError> {
        let comment = EnhancedPacketOption::Comment(text(comment));
        self.write_block(interface, at, bytes, vec![comment])
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        let flushed = self.file.get_mut().flush();
        flushed.map_err(|error| self.error(PcapError::IoError(error)))
    }

    /// What is written to.
    pub(in crate::io) fn target(&mut self) -> &mut W {
        self.file.get_mut()
    }

    /// Writes out what is buffered and returns what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<W, CaptureError> {
        let (name, packet) = (self.name, self.packet);
        let mut to = self.file.into_inner();
        match to.flush() {
            Ok(()) => Ok(to),
            Err(error) => Err(CaptureError { name, packet, fault: error.into() }),
        }
    }

    fn write_block(
        &mut self,
        interface_id: u32,
        at: Now,
        bytes: &[u8],
        options: Vec<EnhancedPacketOption<'_>>,
    ) -> Result<(), CaptureError> {
        self.packet += 1;
        let Ok(original_len) = u32::try_from(bytes.len()) else {
            return Err(self.error(PcapError::InvalidField("a packet of 4 GiB or more")));
        };
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_nanos(at.0),
            original_len,
            data: Cow::Borrowed(bytes),
            options,
        };
        let written = self.file.write_pcapng_block(block);
        written.map(|_| ()).map_err(|error| self.error(error))
    }

    fn error(&self, error: PcapError) -> CaptureError {
        CaptureError { name: self.name.clone(), packet: self.packet, fault: fault(error) }
    }
}

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({}, packet {})", self.name, self.packet)
    }
}

/// A text that is short enough for an option.
fn text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(&text[..text.floor_char_boundary(MOST_TEXT)])
}

fn fault(error: PcapError) -> Fault {
    match error {
        PcapError::IoError(error) => Fault::Io(error),
        PcapError::InvalidInterfaceId(interface) => Fault::UnknownInterface(interface),
        other => Fault::Format(other.to_string()),
    }
}
