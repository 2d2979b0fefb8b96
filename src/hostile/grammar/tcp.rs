//! TCP: any flags, any options, and headers that are longer or shorter than they say.

use zerocopy::IntoBytes;

use super::super::entropy::Entropy;
use super::udp::port;
use super::{Ends, ip4, lied};
use crate::wire::proto;
use crate::wire::tcp::{HEADER, TcpHeader, flag};

/// Most bytes that options take.
const MOST_OPTIONS: usize = 40;

/// A TCP packet over IPv4.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let flags = flags(entropy);
    let body = segment(entropy, flags, ip4::room(room));
    let header = ip4::whole(entropy, proto::TCP);
    header.packet(entropy, ends, &body)
}

/// Flags of a connection's life, or any.
fn flags(entropy: &mut Entropy<'_>) -> u8 {
    let any = entropy.byte();
    entropy.one_of([
        flag::SYN,
        flag::SYN | flag::ACK,
        flag::ACK,
        flag::PSH | flag::ACK,
        flag::FIN | flag::ACK,
        flag::RST,
        flag::RST | flag::ACK,
        flag::SYN | flag::FIN,
        flag::SYN | flag::RST,
        0,
        0xff,
        any,
    ])
}

/// A segment with these flags of at most `room` bytes; the checksum is left out.
pub(in crate::hostile) fn segment(entropy: &mut Entropy<'_>, flags: u8, room: usize) -> Vec<u8> {
    let options = if entropy.one_in(3) { options(entropy) } else { Vec::new() };
    let size = HEADER + options.len();
    let [_, words] = lied(entropy, size / 4).to_be_bytes();
    let header = TcpHeader {
        src: port(entropy).into(),
        dst: port(entropy).into(),
        seq: entropy.word().into(),
        ack: entropy.word().into(),
        data_offset: words << 4,
        flags,
        window: entropy.half().into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    let rest = entropy.size(room.saturating_sub(size));
    [header.as_bytes(), &options, &entropy.payload(rest)].concat()
}

/// Options in whole words: MSS, window scale, SACK, timestamps, MD5, and any other.
fn options(entropy: &mut Entropy<'_>) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..=entropy.below(5) {
        let any = entropy.byte();
        let (kind, data) = match entropy.below(9) {
            0 => (2, 2),
            1 => (3, 1),
            2 => (4, 0),
            3 => (5, 8 * (1 + entropy.below(4))),
            4 => (8, 8),
            5 => (19, 16),
            6 => (any, entropy.below(39)),
            end => {
                // No operation, and the end of the list.
                options.push(u8::from(end == 7));
                continue;
            }
        };
        let [_, size] = lied(entropy, data + 2).to_be_bytes();
        options.extend([kind, size]);
        options.extend(entropy.payload(data));
    }
    options.truncate(MOST_OPTIONS);
    options.resize(options.len().next_multiple_of(4), 0);
    options
}
