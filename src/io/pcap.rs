//! What was captured, and when? Reads pcap and pcapng files packet by packet, and writes pcapng.
//!
//! Both formats, both byte orders, any time resolution come out as [`Captured`]: bytes from the
//! Ethernet header and a [`Now`] in nanoseconds since 1970. Time stamps are taken as they are;
//! they need not rise. The same calls to a [`Writer`] give the same bytes on any machine.
//!
//! Packets of a few other links get an Ethernet header ([`Link`]); the rest is skipped and counted.

mod link;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::time::Now;

pub use link::{DESTINATION, Link, SOURCE};
pub use read::Reader;
pub use write::Writer;

/// One packet of a capture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Captured<'a> {
    /// Its place in the file, counted from 1; packets that are skipped count.
    pub number: u64,
    /// When it was captured: nanoseconds since 1970-01-01 00:00 UTC.
    pub at: Now,
    /// The interface it was captured on, for [`Reader::interface_name`]; 0 in pcap.
    pub interface: u32,
    /// Its size as a frame in bytes; more than `bytes` has when the capture cut it off.
    pub original_size: u32,
    /// The link that it was captured on.
    pub link: Link,
    /// Bytes of that link's own header, in whose place an Ethernet header stands.
    pub link_size: usize,
    /// Its bytes from the Ethernet header on.
    pub bytes: &'a [u8],
}

/// Packets of a capture that are no Ethernet frames and cannot be made into any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The link that they were captured on.
    pub link: Link,
    /// How many there are.
    pub packets: u64,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packets, link) = (self.packets, self.link);
        let noun = if packets == 1 { "packet" } else { "packets" };
        write!(f, "skipped {packets} {noun} of {link}, which cannot be made into Ethernet frames")
    }
}

impl serde::Serialize for Link {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl fmt::Debug for Captured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = (self.at.0 / 1_000_000_000, self.at.0 % 1_000_000_000);
        let line = crate::wire::show::Show(self.bytes);
        write!(f, "{seconds}.{nanoseconds:09} if {} {line}", self.interface)
    }
}

/// A capture that cannot be read or written; says which one and where in it.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {}{fault}", Place(*packet))]
pub struct CaptureError {
    /// The file, as it was named.
    pub name: String,
    /// The packet, counted from 1; 0 is what stands before the first.
    pub packet: u64,
    /// What is wrong there; part of the message, so that it is said once.
    pub fault: Fault,
}

/// What is wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be opened, read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Neither pcap nor pcapng.
    #[error("this is no capture: it begins with {0:02x?}, neither pcap nor pcapng")]
    NotACapture(Vec<u8>),
    /// The file ends too early.
    #[error("the file ends in the middle of it")]
    Truncated,
    /// A field that contradicts the format.
    #[error("{0}")]
    Format(String),
    /// An interface that was not described before.
    #[error("interface {0} was not described before")]
    UnknownInterface(u32),
    /// A time stamp that does not fit 64 bits of nanoseconds.
    #[error("the time stamp lies beyond the year 2554, or before 1970")]
    TimeStamp,
}

/// Names a packet at the front of an error.
struct Place(u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, "packet {}: ", self.0) }
    }
}
