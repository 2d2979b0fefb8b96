//! Reading captures, one packet in memory at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::path::Path;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgReader, RawBlock};
use pcap_file::{Endianness, PcapError, TsResolution};

use super::link::{Link, to_ethernet};
use super::{CaptureError, Captured, Fault, Skipped};
use crate::time::Now;
use crate::wire::eth;

/// Block types of packets (pcapng 4.3, 4.4 and appendix A).
const ENHANCED_PACKET: u32 = 6;
const SIMPLE_PACKET: u32 = 3;
const OBSOLETE_PACKET: u32 = 2;

const NANOSECONDS: u64 = 1_000_000_000;

/// What is left of a source behind the four bytes that tell the format.
type Source<R> = Chain<Cursor<Vec<u8>>, R>;

enum Format<R: Read> {
    Pcap(PcapReader<Source<R>>),
    PcapNg(PcapNgReader<Source<R>>),
}

/// A capture that is read packet by packet.
pub struct Reader<R: Read> {
    name: String,
    packet: u64,
    format: Format<R>,
    bytes: Vec<u8>,
    last: Now,
    skipped: BTreeMap<Link, u64>,
}

impl Reader<File> {
    /// Opens a pcap or pcapng file.
    ///
    /// # Errors
    /// When the file cannot be read or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::new(name, file),
            Err(error) => Err(CaptureError { name, packet: 0, fault: error.into() }),
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads a capture from any source; errors call it `name`.
    ///
    /// # Errors
    /// When the source cannot be read or is no capture.
    pub fn new(name: impl Into<String>, source: R) -> Result<Self, CaptureError> {
        let name = name.into();
        match Format::new(source) {
            Ok(format) => Ok(Self {
                name,
                packet: 0,
                format,
                bytes: Vec::new(),
                last: Now::default(),
                skipped: BTreeMap::new(),
            }),
            Err(fault) => Err(CaptureError { name, packet: 0, fault }),
        }
    }

    /// The next packet that is an Ethernet frame or can be made into one; `None` at the end of the
    /// capture.
    ///
    /// # Errors
    /// When the capture is broken there; it cannot be read on.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its bytes")]
    pub fn next(&mut self) -> Result<Option<Captured<'_>>, CaptureError> {
        while let Some(found) = self.find()? {
            self.last = found.at.unwrap_or(self.last);
            let Some(link_size) = to_ethernet(found.link, &mut self.bytes) else {
                *self.skipped.entry(found.link).or_default() += 1;
                continue;
            };
            // What the headers differ by changes the size on the wire as well.
            let size = u64::from(found.original_size) + eth::HEADER as u64;
            let size = size.saturating_sub(link_size as u64);
            return Ok(Some(Captured {
                number: self.packet,
                at: self.last,
                interface: found.interface,
                original_size: u32::try_from(size).unwrap_or(u32::MAX),
                link: found.link,
                link_size,
                bytes: &self.bytes,
            }));
        }
        Ok(None)
    }

    /// What was skipped so far, by link.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.skipped
            .iter()
            .map(|(link, packets)| Skipped { link: *link, packets: *packets })
            .collect()
    }

    fn find(&mut self) -> Result<Option<Found>, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(reader) => next_of_pcap(reader, &mut self.bytes),
            Format::PcapNg(reader) => next_of_pcapng(reader, &mut self.bytes),
        };
        // A packet that is broken counts, so that its own number stands in the error.
        self.packet += 1;
        found.map_err(|fault| {
            let name = self.name.clone();
            CaptureError { name, packet: self.packet, fault }
        })
    }

    /// The name of an interface that was described so far; `None` in pcap, or without a name.
    pub fn interface_name(&self, interface: u32) -> Option<&str> {
        let Format::PcapNg(reader) = &self.format else { return None };
        let interface = reader.interfaces().get(usize::try_from(interface).ok()?)?;
        interface.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfName(name) => Some(name.as_ref()),
            _ => None,
        })
    }
}

impl<R: Read> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({}, packet {})", self.name, self.packet)
    }
}

impl<R: Read> Format<R> {
    fn new(mut source: R) -> Result<Self, Fault> {
        let mut magic = Vec::new();
        source.by_ref().take(4).read_to_end(&mut magic)?;
        let first = magic.clone();
        let source = Cursor::new(magic).chain(source);
        match first[..] {
            // pcapng 4.1: the section header block's type is the same in both byte orders.
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                Ok(Format::PcapNg(PcapNgReader::new(source).map_err(fault)?))
            }
            [0xa1, 0xb2, 0xc3, 0xd4]
            | [0xa1, 0xb2, 0x3c, 0x4d]
            | [0xd4, 0xc3, 0xb2, 0xa1]
            | [0x4d, 0x3c, 0xb2, 0xa1] => Ok(Format::Pcap(PcapReader::new(source).map_err(fault)?)),
            _ => Err(Fault::NotACapture(first)),
        }
    }
}

/// A packet whose bytes stand in the reader's buffer.
struct Found {
    /// `None` in a simple packet block, which has no time stamp: it counts as the last packet's.
    at: Option<Now>,
    interface: u32,
    original_size: u32,
    link: Link,
}

fn next_of_pcap<R: Read>(
    reader: &mut PcapReader<R>,
    bytes: &mut Vec<u8>,
) -> Result<Option<Found>, Fault> {
    let header = reader.header();
    let (resolution, link) = (header.ts_resolution, Link::of_header(u32::from(header.datalink)));
    // Raw, because the crate's own check refuses packets that the capture cut off.
    let Some(packet) = reader.next_raw_packet() else { return Ok(None) };
    let packet = packet.map_err(fault)?;
    let scale = match resolution {
        TsResolution::MicroSecond => 1_000,
        TsResolution::NanoSecond => 1,
    };
    // A fraction above its second is wrong, and no reason to lose a packet: it counts on.
    let fraction = u64::from(packet.ts_frac) * scale;
    bytes.clear();
    bytes.extend_from_slice(&packet.data);
    Ok(Some(Found {
        at: Some(Now(u64::from(packet.ts_sec) * NANOSECONDS + fraction)),
        interface: 0,
        original_size: packet.orig_len,
        link,
    }))
}

fn next_of_pcapng<R: Read>(
    reader: &mut PcapNgReader<R>,
    bytes: &mut Vec<u8>,
) -> Result<Option<Found>, Fault> {
    loop {
        // Raw, because options that the crate cannot read are no reason to lose a packet.
        let Some(block) = reader.next_raw_block() else { return Ok(None) };
        let RawBlock { type_, body, .. } = block.map_err(fault)?;
        if !matches!(type_, ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET) {
            continue;
        }
        bytes.clear();
        bytes.extend_from_slice(&body);
        let is_big = matches!(reader.section().endianness, Endianness::Big);
        let block = PacketBlock::read(type_, bytes, is_big).ok_or_else(|| {
            Fault::Format("a packet block that is shorter than its fields say".into())
        })?;
        let interface = usize::try_from(block.interface)
            .ok()
            .and_then(|interface| reader.interfaces().get(interface))
            .ok_or(Fault::UnknownInterface(block.interface))?;
        let link = Link::of_header(u32::from(interface.linktype));
        let at = block.units.map(|units| time_stamp(interface, units)).transpose()?;
        let size = match type_ {
            // pcapng 4.4: as long as on the wire, or as the interface's limit, and padded.
            SIMPLE_PACKET if interface.snaplen != 0 => block.size.min(interface.snaplen),
            _ => block.size,
        };
        keep(bytes, block.data, size)?;
        let (interface, original_size) = (block.interface, block.original_size);
        return Ok(Some(Found { at, interface, original_size, link }));
    }
}

/// The fields in front of a packet's bytes.
struct PacketBlock {
    interface: u32,
    units: Option<u64>,
    size: u32,
    original_size: u32,
    /// Where the packet's bytes begin.
    data: usize,
}

impl PacketBlock {
    fn read(kind: u32, body: &[u8], is_big: bool) -> Option<Self> {
        let word = |index: usize| {
            let bytes = body.get(index * 4..)?.first_chunk()?;
            Some(if is_big { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
        };
        if kind == SIMPLE_PACKET {
            let size = word(0)?;
            return Some(Self { interface: 0, units: None, size, original_size: size, data: 4 });
        }
        // The obsolete block has 16 bits of interface and 16 bits of drops in the first word.
        let interface = match (kind, is_big) {
            (OBSOLETE_PACKET, true) => word(0)? >> 16,
            (OBSOLETE_PACKET, false) => word(0)? & 0xffff,
            _ => word(0)?,
        };
        let units = Some(u64::from(word(1)?) << 32 | u64::from(word(2)?));
        Some(Self { interface, units, size: word(3)?, original_size: word(4)?, data: 20 })
    }
}

/// Keeps `size` bytes from `start` on.
fn keep(bytes: &mut Vec<u8>, start: usize, size: u32) -> Result<(), Fault> {
    let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
    match end {
        Some(end) if end <= bytes.len() => {
            bytes.truncate(end);
            bytes.drain(..start);
            Ok(())
        }
        _ => Err(Fault::Format(format!(
            "a packet of {size} bytes in a block with room for {}",
            bytes.len().saturating_sub(start)
        ))),
    }
}

/// A time stamp in nanoseconds from an interface's units (pcapng 4.2: `if_tsresol`,
/// `if_tsoffset`); microseconds unless the interface says otherwise.
fn time_stamp(interface: &InterfaceDescriptionBlock<'_>, units: u64) -> Result<Now, Fault> {
    let mut resolution = 6;
    let mut offset = 0;
    for option in &interface.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(value) => resolution = *value,
            // Seconds as a signed number, which the crate reads as an unsigned one.
            InterfaceDescriptionOption::IfTsOffset(value) => offset = value.cast_signed(),
            _ => {}
        }
    }
    let exponent = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    // A unit too small for this power is smaller than a nanosecond by far: all stamps are 0.
    let nanoseconds = match base.checked_pow(exponent) {
        Some(units_per_second) => u128::from(units) * u128::from(NANOSECONDS) / units_per_second,
        None => 0,
    };
    i128::try_from(nanoseconds)
        .ok()
        .and_then(|nanoseconds| nanoseconds.checked_add(i128::from(offset) * 1_000_000_000))
        .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
        .map(Now)
        .ok_or(Fault::TimeStamp)
}

/// The crate's errors as ours; it says "incomplete" and "unexpected end" for a short file.
fn fault(error: PcapError) -> Fault {
    match error {
        PcapError::IncompleteBuffer => Fault::Truncated,
        PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Fault::Truncated
        }
        PcapError::IoError(error) => Fault::Io(error),
        other => Fault::Format(other.to_string()),
    }
}
