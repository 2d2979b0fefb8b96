//! What *validate* reads of a frame is what etherparse, pnet and smoltcp read, and neither calls
//! valid what the others cannot read. What they differ in on purpose has a name: a [`Difference`].

mod by_etherparse;
mod by_pnet;
mod by_smoltcp;

use thruway::frame::{DropReason, FRAME_SIZE, HEADROOM, Row};

use super::parse_l2l4::read;
use thruway::hostile::{Entropy, Hosts, grammar, mend};

/// Longest frame that fits a buffer.
const MOST: usize = FRAME_SIZE - HEADROOM;

/// From this first byte on a frame is made by the grammar of hostile frames.
const BY_GRAMMAR: u8 = 0xc0;

/// What another parser sees otherwise, and both are right in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// etherparse goes on into what follows an authentication header, and wants all of it; to
    /// thruway that is a protocol like any other.
    AuthenticationHeader,
    /// etherparse and smoltcp pass on fragments that together would be longer than a packet may
    /// be; thruway refuses them (RFC 791 3.2, RFC 1858).
    FragmentTooLong,
    /// The second fragment of a TCP segment that begins at its flags: thruway refuses it (RFC 1858
    /// 3.2), others leave that to whoever puts fragments together.
    TinyFragment,
    /// etherparse does not look into fragments; thruway reads the ports of the first one, and so
    /// refuses one that ends inside its transport header (RFC 1858).
    FirstFragmentPorts,
    /// etherparse, pnet and smoltcp leave the header's checksum to their users; a router drops
    /// (RFC 1812 5.2.2).
    HeaderChecksum,
    /// smoltcp takes a header of fewer than five words.
    ShortHeader,
    /// smoltcp does not ask for version 4 behind EtherType 0x0800.
    Version,
    /// etherparse refuses an ICMP query whose message is shorter than its type says; thruway needs
    /// eight bytes of it.
    ShortIcmp,
    /// etherparse reads a UDP datagram whose length is 0 to the packet's end, as a jumbogram is
    /// read; RFC 768 has 8 as the least, and thruway refuses it.
    UdpLengthZero,
    /// etherparse wants a whole ICMPv6 header behind IPv4, where it has no business; to thruway that
    /// is a protocol like any other.
    Icmp6InIp4,
    /// etherparse reads on in ARP, IPv6 and MACsec, and refuses what is cut; *validate* leaves what
    /// is not IPv4 to later stages.
    OtherPayload,
    /// thruway refuses a third tag and a service tag behind a customer's; others go on reading.
    Tags,
    /// To etherparse 0x9100 is a tag, as it was to switches before IEEE 802.1ad; to thruway it is
    /// an EtherType that nobody forwards.
    OldTag,
}

impl Difference {
    /// All of them.
    pub const ALL: [Difference; 13] = [
        Self::AuthenticationHeader,
        Self::FragmentTooLong,
        Self::TinyFragment,
        Self::FirstFragmentPorts,
        Self::HeaderChecksum,
        Self::ShortHeader,
        Self::Version,
        Self::ShortIcmp,
        Self::UdpLengthZero,
        Self::Icmp6InIp4,
        Self::OtherPayload,
        Self::Tags,
        Self::OldTag,
    ];

    /// The seed in the corpus that shows it.
    pub fn seed(self) -> String {
        let name = format!("{self:?}");
        let mut seed = String::from("differs");
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                seed.push('-');
            }
            seed.push(letter.to_ascii_lowercase());
        }
        seed
    }
}

/// A frame, and what thruway says of it.
pub(crate) struct Seen<'a> {
    bytes: &'a [u8],
    ours: Result<Row, DropReason>,
}

impl Seen<'_> {
    /// Where the layer-3 header begins by another parser's reading of the tags, and its EtherType.
    fn packet(&self) -> Option<(usize, u16)> {
        let word =
            |at: usize| Some(u16::from_be_bytes([*self.bytes.get(at)?, *self.bytes.get(at + 1)?]));
        let mut at = 12;
        while matches!(word(at)?, 0x8100 | 0x88a8) {
            at += 4;
        }
        Some((at + 2, word(at)?))
    }

    fn is_tagged_wrongly(&self) -> bool {
        matches!(self.ours, Err(DropReason::ThirdTag | DropReason::ForeignTagType))
    }
}

/// Reads a frame, of the grammar or mended nine times in ten, by ours and by the others.
///
/// # Panics
/// When they differ in what has no name.
pub fn check(data: &[u8]) {
    differences(data);
}

/// What the others see otherwise of a frame.
///
/// # Panics
/// As [`check`].
pub fn differences(data: &[u8]) -> Vec<Difference> {
    let mut input = Entropy::new(data);
    let how = input.byte();
    let mut bytes = if how >= BY_GRAMMAR {
        grammar::frame(&mut input, &Hosts::default())
    } else {
        input.rest().to_vec()
    };
    bytes.truncate(MOST);
    if how < BY_GRAMMAR && !how.is_multiple_of(10) {
        mend(&mut bytes);
    }
    let seen = Seen { bytes: &bytes, ours: read(&bytes, HEADROOM, 0xa5) };
    let found =
        [by_etherparse::differs(&seen), by_pnet::differs(&seen), by_smoltcp::differs(&seen)];
    found.into_iter().flatten().collect()
}
