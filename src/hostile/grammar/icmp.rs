//! ICMP: queries, types that nobody uses, and errors that quote more or less of packets.

use zerocopy::IntoBytes;

use super::super::entropy::Entropy;
use super::{Ends, fragment, ip4, lied, tcp, udp};
use crate::wire::icmp4::{HEADER, Icmp4Header, kind};
use crate::wire::ip4 as wire_ip4;
use crate::wire::proto;

/// Types of errors.
const ERRORS: [u8; 5] = [
    kind::UNREACHABLE,
    kind::TIME_EXCEEDED,
    kind::PARAMETER_PROBLEM,
    kind::REDIRECT,
    kind::SOURCE_QUENCH,
];

/// Types that ask and answer, old ones too (address mask, information, router discovery).
const QUERIES: [u8; 10] = [8, 0, 13, 14, 15, 16, 17, 18, 9, 10];

/// A query over IPv4, or any type.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let any = entropy.byte();
    let kind = if entropy.one_in(8) { any } else { entropy.one_of(QUERIES) };
    let code = if entropy.one_in(8) { entropy.byte() } else { 0 };
    let most = ip4::room(room).saturating_sub(HEADER);
    let rest = match kind {
        // Three times, and a mask.
        kind::TIMESTAMP_REQUEST | kind::TIMESTAMP_REPLY => lied(entropy, 12).into(),
        17 | 18 => lied(entropy, 4).into(),
        _ => entropy.size(most),
    };
    let word = [u16::from(entropy.byte() & 15), u16::from(entropy.byte())];
    let mut body = header(kind, code, word);
    body.extend(entropy.payload(rest.min(most)));
    if entropy.one_in(16) {
        body.truncate(entropy.below(HEADER));
    }
    over_ip4(entropy, ends, &body)
}

/// An error over IPv4 that quotes a packet of those who talk here.
pub(super) fn error(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let nested = if entropy.one_in(8) { 1 + entropy.below(2) } else { 0 };
    quoting(entropy, ends, nested, room)
}

/// An error that quotes a packet, which after so many errors more is no error.
pub(in crate::hostile) fn quoting(
    entropy: &mut Entropy<'_>,
    ends: &Ends,
    nested: usize,
    room: usize,
) -> Vec<u8> {
    let kind = entropy.one_of(ERRORS);
    let code = entropy.one_of([0, 1, 2, 3, 4, 13, 15, 255]);
    // The MTU of fragmentation needed, at its ends, or a redirect's router.
    let mtu = entropy.one_of([1400, 0, 1, 67, 68, 576, 1500, 65535]);
    let upper = if entropy.one_in(4) { entropy.half() } else { 0 };
    let mut body = header(kind, code, [upper, mtu]);
    body.extend(quoted(entropy, &ends.turned(), nested, ip4::room(room).saturating_sub(HEADER)));
    over_ip4(entropy, ends, &body)
}

/// What is quoted: a whole packet, or its header and some bytes, 0 to 28 often.
fn quoted(entropy: &mut Entropy<'_>, ends: &Ends, nested: usize, room: usize) -> Vec<u8> {
    let mut packet = if nested > 0 {
        quoting(entropy, ends, nested - 1, room)
    } else {
        match entropy.below(5) {
            0 => udp::packet(entropy, ends, room),
            1 => tcp::packet(entropy, ends, room),
            2 => self::packet(entropy, ends, room),
            3 => fragment::packet(entropy, ends, room),
            _ => {
                let proto = entropy.byte();
                let body = entropy.payload(8);
                let header = ip4::whole(entropy, proto);
                header.packet(entropy, ends, &body)
            }
        }
    };
    match entropy.below(4) {
        0 => {}
        1 => packet.truncate(wire_ip4::HEADER + 8),
        2 => packet.truncate(wire_ip4::HEADER + entropy.below(29)),
        _ => packet.truncate(entropy.below(packet.len() + 1)),
    }
    packet.truncate(room);
    packet
}

fn header(kind: u8, code: u8, [id, seq]: [u16; 2]) -> Vec<u8> {
    let (id, seq) = (id.into(), seq.into());
    Icmp4Header { kind, code, checksum: 0.into(), id, seq }.as_bytes().to_vec()
}

fn over_ip4(entropy: &mut Entropy<'_>, ends: &Ends, body: &[u8]) -> Vec<u8> {
    let header = ip4::whole(entropy, proto::ICMP);
    header.packet(entropy, ends, body)
}
