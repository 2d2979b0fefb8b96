//! What nobody asked for: other protocols over IPv4, other ether types, 802.3 lengths.

use super::super::entropy::Entropy;
use super::{Ends, ip4, lied};

/// Another protocol over IPv4: tunnels, security, routing, or any.
pub(super) fn ip4(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let any = entropy.byte();
    // ESP, AH, GRE, SCTP, OSPF, IP in IP, IPv6 in IP, IGMP, PIM, VRRP, and the reserved ends.
    let proto = entropy.one_of([50, 51, 47, 132, 89, 4, 41, 2, 103, 112, 0, 255, any]);
    let size = entropy.size(ip4::room(room));
    let body = entropy.payload(size);
    let header = ip4::whole(entropy, proto);
    header.packet(entropy, ends, &body)
}

/// An ether type and something behind it.
pub(super) fn unknown_type(entropy: &mut Entropy<'_>, room: usize) -> (u16, Vec<u8>) {
    let any = entropy.half();
    // MPLS, PPPoE, LLDP, EAPOL, slow protocols, MACsec, loopback, RARP, a tag's own.
    let known = entropy.one_of([
        0x8847, 0x8848, 0x8863, 0x8864, 0x88cc, 0x888e, 0x8809, 0x88e5, 0x9000, 0x8035, 0x8100,
        0x88a8, any,
    ]);
    let size = entropy.size(room);
    (known, entropy.payload(size))
}

/// A length, true or not, and LLC: spanning tree, SNAP, IPX, or any.
pub(super) fn length(entropy: &mut Entropy<'_>, room: usize) -> (u16, Vec<u8>) {
    let any = entropy.byte();
    let mut llc = entropy
        .one_of([[0x42, 0x42, 3], [0xaa, 0xaa, 3], [0xe0, 0xe0, 3], [0xff, 0xff, any]])
        .to_vec();
    let size = entropy.size(room.saturating_sub(3).min(1497));
    llc.extend(entropy.payload(size));
    (lied(entropy, llc.len()).min(1535), llc)
}
