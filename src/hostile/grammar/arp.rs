//! ARP: requests, replies, announcements and probes, lies about who is who, and odd sizes.

use zerocopy::IntoBytes;

use super::super::entropy::Entropy;
use super::{Ends, lied};
use crate::wire::arp::{ArpPacket, REPLY, REQUEST};
use crate::wire::eth::{MacAddr, ether_type};

/// An ARP packet.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends) -> Vec<u8> {
    let Ends { from, to, src, dst, .. } = *ends;
    let mut arp = match entropy.below(8) {
        0 => ArpPacket::new(REQUEST, from, src, MacAddr::ZERO, dst),
        1 => ArpPacket::new(REPLY, from, src, to, dst),
        // An announcement, a probe, and both as replies.
        2 => ArpPacket::new(REQUEST, from, src, MacAddr::ZERO, src),
        3 => ArpPacket::new(REQUEST, from, 0, MacAddr::ZERO, dst),
        4 => ArpPacket::new(REPLY, from, src, from, src),
        5 => poison(entropy, ends),
        6 => ArpPacket::new(entropy.half(), from, src, to, dst),
        _ => ArpPacket::new(REPLY, to, dst, from, src),
    };
    if entropy.one_in(10) {
        arp.hardware = entropy.one_of([0, 6, 7, 0xffff]).into();
    }
    if entropy.one_in(10) {
        arp.protocol = entropy.one_of([ether_type::IP6, 0, 0x0806]).into();
    }
    let [_, hardware] = lied(entropy, 6).to_be_bytes();
    let [_, protocol] = lied(entropy, 4).to_be_bytes();
    (arp.hardware_len, arp.protocol_len) = (hardware, protocol);
    let mut bytes = arp.as_bytes().to_vec();
    if entropy.one_in(10) {
        bytes.truncate(entropy.below(bytes.len()));
    }
    bytes
}

/// Somebody else's address claimed, by a MAC address that is wrong in one of the ways there are.
pub(in crate::hostile) fn poison(entropy: &mut Entropy<'_>, ends: &Ends) -> ArpPacket {
    let [a, b, c, d] = entropy.word().to_be_bytes();
    let liar = match entropy.below(6) {
        0 => ends.from,
        1 => MacAddr([2, 0, a, b, c, d]),
        2 => MacAddr::BROADCAST,
        3 => MacAddr([1, 0, 0x5e, b & 0x7f, c, d]),
        4 => MacAddr::ZERO,
        _ => ends.to,
    };
    let operation = entropy.one_of([REPLY, REQUEST]);
    let victim = if entropy.one_in(2) { ends.dst } else { ends.src };
    ArpPacket::new(operation, liar, victim, ends.to, entropy.one_of([ends.dst, ends.src]))
}
