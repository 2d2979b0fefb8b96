//! Does a frame still hold together after bytes were taken out of it? Makes IPv4's total length,
//! UDP's length and the header checksum agree with what is there, and takes out what can only go
//! as a whole.

use zerocopy::FromBytes;

use crate::wire::eth::{self, ether_type};
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::{checksum, proto, udp, vlan};

/// Mends the frame in place; one without IPv4 stays as it is.
pub(super) fn mend(frame: &mut [u8]) {
    let Some(tags) = vlan::read_tags(frame) else { return };
    let Some(packet) = frame.get_mut(tags.payload()..) else { return };
    let size = packet.len();
    let Ok((header, rest)) = Ip4Header::mut_from_prefix(packet) else { return };
    let header_size = header.header_len();
    if tags.ether_type != ether_type::IP4 || !(ip4::HEADER..=size).contains(&header_size) {
        return;
    }
    header.total_len.set(u16::try_from(size).unwrap_or(u16::MAX));
    let payload_size = size - header_size;
    if header.proto == proto::UDP && !header.is_fragment() {
        let udp = &mut rest[header_size - ip4::HEADER..];
        if let Ok((udp, _)) = udp::UdpHeader::mut_from_prefix(udp) {
            udp.len.set(u16::try_from(payload_size).unwrap_or(u16::MAX));
        }
    }
    header.checksum.set(0);
    let sum = checksum::fold(checksum::add(0, &packet[..header_size]));
    packet[ip4::CHECKSUM..ip4::CHECKSUM + 2].copy_from_slice(&(!sum).to_be_bytes());
}

/// The frame without its outer tag, and without the options of its IPv4 header, where it has them.
pub(super) fn simpler(frame: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Some(tags) = vlan::read_tags(frame) else { return found };
    if !tags.is_empty() {
        let mut untagged = frame.to_vec();
        untagged.drain(MACS..MACS + vlan::TAG);
        found.push(untagged);
    }
    let at = tags.payload();
    let Ok((header, _)) = Ip4Header::ref_from_prefix(&frame[at..]) else { return found };
    let end = at + header.header_len();
    if tags.ether_type == ether_type::IP4 && end > at + ip4::HEADER && end <= frame.len() {
        let mut plain = frame.to_vec();
        plain.drain(at + ip4::HEADER..end);
        plain[at] = ip4::PLAIN_FIRST_BYTE;
        found.push(plain);
    }
    found
}

/// Bytes of both MAC addresses.
const MACS: usize = eth::HEADER - 2;
