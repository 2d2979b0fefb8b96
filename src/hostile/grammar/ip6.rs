//! IPv6 with chains of extension headers in any order, some longer than they say.

use zerocopy::IntoBytes;

use super::super::entropy::Entropy;
use super::{Ends, lied, tcp, udp};
use crate::wire::ip6::{FRAGMENT_HEADER, HEADER, Ip6Header, MF, next_header};
use crate::wire::proto;

/// Most extension headers of a chain.
const MOST: usize = 8;

/// Extension headers that there are.
const KINDS: [u8; 7] = [
    next_header::HOP_BY_HOP,
    next_header::DESTINATION,
    next_header::ROUTING,
    next_header::FRAGMENT,
    next_header::AUTHENTICATION,
    next_header::MOBILITY,
    next_header::HIP,
];

/// A packet with TCP, UDP, nothing or an unknown protocol behind its chain.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let mut chain = Vec::new();
    let any = entropy.byte();
    let proto = entropy.one_of([proto::UDP, proto::TCP, next_header::NONE, any]);
    let kinds: Vec<u8> = (0..entropy.below(MOST + 1)).map(|_| entropy.one_of(KINDS)).collect();
    let next = kinds.iter().skip(1).copied().chain([proto]);
    for (kind, next) in kinds.iter().zip(next) {
        chain.extend(extension(entropy, *kind, next));
    }
    let left = room.saturating_sub(HEADER + chain.len());
    let body = match proto {
        proto::UDP => udp::datagram(entropy, left),
        proto::TCP => tcp::segment(entropy, crate::wire::tcp::flag::SYN, left),
        _ => {
            let size = entropy.size(left);
            entropy.payload(size)
        }
    };
    let first = kinds.first().copied().unwrap_or(proto);
    over(entropy, ends, first, &[chain, body].concat())
}

/// An IPv6 packet that carries `body`.
pub(super) fn over(entropy: &mut Entropy<'_>, ends: &Ends, next: u8, body: &[u8]) -> Vec<u8> {
    let label = if entropy.one_in(4) { entropy.word() & 0x0fff_ffff } else { 0 };
    let version = if entropy.one_in(20) { entropy.word() & 0xf000_0000 } else { 0x6000_0000 };
    let header = Ip6Header {
        version_class_flow: (version | label).into(),
        payload_len: lied(entropy, body.len()).into(),
        next_header: next,
        // Neighbour discovery believes 255 alone.
        hop_limit: entropy.one_of([255, 64, 255, 64, 255, 1, 0]),
        src: ends.src6,
        dst: ends.dst6,
    };
    [header.as_bytes(), body].concat()
}

fn extension(entropy: &mut Entropy<'_>, kind: u8, next: u8) -> Vec<u8> {
    if kind == next_header::FRAGMENT {
        let offset = entropy.one_of([0, 0, 8, 1448, 0xfff8]);
        let flags = if entropy.one_in(2) { MF } else { 0 };
        let [a, b] = (offset | flags).to_be_bytes();
        return [next, 0, a, b, 0, 0, 0, entropy.byte() & 7][..FRAGMENT_HEADER].to_vec();
    }
    let words = entropy.below(4);
    // Authentication counts words of 4 bytes, less two (RFC 4302 2.2).
    let truth = if kind == next_header::AUTHENTICATION { 2 * words } else { words };
    let [_, size] = lied(entropy, truth).to_be_bytes();
    let mut header = vec![next, size];
    // An option of padding, or any; a routing header's type and segments left.
    let option = entropy.one_of([[1, 4], [0, 0], [5, 2], [194, 4], [0, 1], [2, 255]]);
    header.extend(option);
    header.resize(8 * (1 + words), 0);
    header
}
