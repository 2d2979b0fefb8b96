//! IPv4 headers, with options of all kinds, lengths that lie and times to live that end.

use zerocopy::IntoBytes;

use super::super::entropy::Entropy;
use super::{Ends, lied};
use crate::wire::ip4::{DF, HEADER, Ip4Header};

/// What a header says beside its addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::hostile) struct Header {
    pub(in crate::hostile) proto: u8,
    pub(in crate::hostile) id: u16,
    pub(in crate::hostile) flags_fragment: u16,
}

/// Most bytes that options take.
const MOST_OPTIONS: usize = 40;

/// Kinds of options (IANA): record route, the two source routes, timestamp, router alert, security,
/// extended security, stream, traceroute, MTU probe, quick start, and some that nobody defined.
const KINDS: [u8; 14] = [7, 131, 137, 68, 148, 130, 133, 136, 82, 11, 25, 0x9f, 0xff, 94];

impl Header {
    /// A packet that carries `body`; the checksum is left out.
    pub(in crate::hostile) fn packet(
        self,
        entropy: &mut Entropy<'_>,
        ends: &Ends,
        body: &[u8],
    ) -> Vec<u8> {
        let options = if entropy.one_in(6) { options(entropy) } else { Vec::new() };
        let mut packet = with_options(entropy, ends, self, &options);
        packet.extend(body);
        let total = lied(entropy, packet.len());
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet
    }
}

/// Bytes that a payload may have in `room`, whatever options the header gets.
pub(super) const fn room(room: usize) -> usize {
    room.saturating_sub(HEADER + MOST_OPTIONS)
}

/// A number of a datagram: one of few, so that fragments meet.
pub(super) fn id(entropy: &mut Entropy<'_>) -> u16 {
    u16::from(entropy.byte() & 7)
}

/// The fields of a packet that is whole.
pub(super) fn whole(entropy: &mut Entropy<'_>, proto: u8) -> Header {
    // Don't fragment, or the bit that must be zero.
    let flags_fragment = entropy.one_of([0, DF, 0, DF, 0, DF, DF, 0x8000]);
    Header { proto, id: id(entropy), flags_fragment }
}

fn with_options(entropy: &mut Entropy<'_>, ends: &Ends, header: Header, options: &[u8]) -> Vec<u8> {
    let words = 5 + u8::try_from(options.len() / 4).expect("40 bytes at most");
    let version_ihl = match entropy.below(80) {
        77 => 0x40 | entropy.byte() & 15,
        78 => words | entropy.byte() & 0xf0,
        79 => 0x44,
        _ => 0x40 | words,
    };
    let any = entropy.byte();
    let fields = Ip4Header {
        version_ihl,
        tos: if entropy.one_in(4) { any } else { 0 },
        total_len: 0.into(),
        id: header.id.into(),
        flags_fragment: header.flags_fragment.into(),
        ttl: entropy.one_of([64, 64, 64, 64, 64, 255, 2, 128, 64, 64, 1, 0]),
        proto: header.proto,
        checksum: 0.into(),
        src: ends.src.into(),
        dst: ends.dst.into(),
    };
    [fields.as_bytes(), options].concat()
}

/// Options in whole words, 40 bytes at most.
fn options(entropy: &mut Entropy<'_>) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..=entropy.below(4) {
        match entropy.below(8) {
            0 => options.push(1),
            1 => options.push(0),
            _ => options.extend(option(entropy)),
        }
    }
    options.truncate(MOST_OPTIONS);
    options.resize(options.len().next_multiple_of(4), 0);
    options
}

/// A kind, a length, mostly the right one, a pointer where routes and times have one, and data.
fn option(entropy: &mut Entropy<'_>) -> Vec<u8> {
    let kind = entropy.one_of(KINDS);
    let data = entropy.below(10) * 4;
    let pointer = entropy.one_of([4, 5, 0, 3, 8, 255]);
    let [_, size] = lied(entropy, data + 3).to_be_bytes();
    let mut option = vec![kind, size, pointer];
    option.extend(entropy.payload(data));
    option
}
