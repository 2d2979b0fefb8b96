//! Fragments: tiny first ones, overlaps, ends beyond 65,535 bytes, middles of no size, in any order.
//!
//! Their datagrams have few numbers, so that fragments of different frames meet and contradict.

use super::super::entropy::Entropy;
use super::{Ends, ip4, tcp, udp};
use crate::wire::ip4::{DF, MF};
use crate::wire::proto;

/// Where in its datagram a fragment stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::hostile) struct Piece {
    pub(in crate::hostile) id: u16,
    pub(in crate::hostile) proto: u8,
    /// In units of 8 bytes.
    pub(in crate::hostile) offset: u16,
    pub(in crate::hostile) more: bool,
    /// Bytes of the payload.
    pub(in crate::hostile) size: usize,
}

/// Offsets in units of 8 bytes: the first ones, those of common MTUs, and the last ones.
const OFFSETS: [u16; 12] = [0, 0, 0, 1, 2, 3, 60, 185, 186, 4095, 8189, 8191];

/// Sizes in bytes.
const SIZES: [usize; 12] = [8, 16, 24, 1480, 0, 1, 7, 9, 552, 64, 400, 1472];

/// A fragment of some datagram.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let own = Piece {
        id: ip4::id(entropy),
        proto: entropy.one_of([proto::UDP, proto::TCP, proto::ICMP, proto::ESP]),
        offset: entropy.one_of(OFFSETS),
        more: !entropy.one_in(3),
        size: entropy.one_of(SIZES),
    };
    piece(entropy, ends, own, room)
}

/// The fragment that is asked for; the first one begins with a header of its protocol.
pub(in crate::hostile) fn piece(
    entropy: &mut Entropy<'_>,
    ends: &Ends,
    own: Piece,
    room: usize,
) -> Vec<u8> {
    let size = own.size.min(ip4::room(room));
    let mut body = match (own.offset, own.proto) {
        (0, proto::UDP) => udp::datagram(entropy, 60),
        (0, proto::TCP) => tcp::segment(entropy, crate::wire::tcp::flag::SYN, 60),
        (0, proto::ICMP) => vec![8, 0, 0, 0, 0, 1, 0, 1],
        _ => Vec::new(),
    };
    body.resize(size, 0x5a);
    let contradiction = if entropy.one_in(12) { DF } else { 0 };
    let flags = if own.more { MF } else { 0 } | contradiction;
    let header = ip4::Header { proto: own.proto, id: own.id, flags_fragment: own.offset | flags };
    header.packet(entropy, ends, &body)
}
