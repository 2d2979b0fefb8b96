//! UDP, with lengths that lie, and the ports that packets of all families share.

use zerocopy::IntoBytes;

use super::super::entropy::Entropy;
use super::{Ends, ip4, lied};
use crate::wire::proto;
use crate::wire::udp::{HEADER, UdpHeader};

/// A UDP packet over IPv4.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let body = datagram(entropy, ip4::room(room));
    let header = ip4::whole(entropy, proto::UDP);
    header.packet(entropy, ends, &body)
}

/// A datagram of at most `room` bytes; the checksum is left out.
pub(super) fn datagram(entropy: &mut Entropy<'_>, room: usize) -> Vec<u8> {
    let rest = entropy.size(room.saturating_sub(HEADER));
    let header = UdpHeader {
        src: port(entropy).into(),
        dst: port(entropy).into(),
        len: lied(entropy, HEADER + rest).into(),
        checksum: 0.into(),
    };
    [header.as_bytes(), &entropy.payload(rest)].concat()
}

/// A port: mostly one of few, so that packets meet others' flows and sessions.
pub(super) fn port(entropy: &mut Entropy<'_>) -> u16 {
    let low = u16::from(entropy.byte());
    match entropy.below(8) {
        0..3 => 1024 + low % 32,
        // DNS, BGP, HTTPS, VXLAN, and BFD in its two forms.
        3..6 => entropy.one_of([53, 179, 443, 4789, 3784, 4784]),
        6 => low,
        _ => entropy.half(),
    }
}
