//! Which lengths and sums would be right? Repairs a frame so that what is behind the checks of a
//! receiver is reached.
//!
//! Works on IPv4 and IPv6 behind any number of tags, with TCP, UDP and ICMP, and on the packets
//! that ICMP errors quote; what is too short for its headers stays as it is. IPv6's routing header
//! does not change the address that is summed.

use zerocopy::FromBytes;

use crate::wire::eth::ether_type;
use crate::wire::ip4::Ip4Header;
use crate::wire::ip6::{self, Ip6Header};
use crate::wire::{checksum, icmp4, ip4, proto, tcp, udp};

/// How deep quotes in quotes are repaired.
const DEPTH: u8 = 3;

/// Makes lengths and sums right.
pub fn mend(frame: &mut [u8]) {
    lengths(frame);
    sums(frame);
}

/// Makes the lengths of IP, TCP and UDP headers right; no quoted packet's.
pub fn lengths(frame: &mut [u8]) {
    let Some(at) = payload(frame) else { return };
    match at {
        Payload::Ip4(at) => ip4_lengths(&mut frame[at..]),
        Payload::Ip6(at) => ip6_lengths(&mut frame[at..]),
    }
}

/// Makes the checksums right, as far as lengths say what they sum.
pub fn sums(frame: &mut [u8]) {
    let Some(at) = payload(frame) else { return };
    match at {
        Payload::Ip4(at) => ip4_sums(&mut frame[at..], DEPTH),
        Payload::Ip6(at) => ip6_sums(&mut frame[at..]),
    }
}

/// Where the checksum of a frame's TCP, UDP or ICMP header stands; `None` where there is none, as
/// in a fragment.
pub fn l4_sum(frame: &[u8]) -> Option<usize> {
    let (l3, (l4, end, proto)) = match payload(frame)? {
        Payload::Ip4(at) => (at, ip4_place(&frame[at..])?),
        Payload::Ip6(at) => (at, ip6_place(&frame[at..])?),
    };
    let place = sum_place(proto)?;
    (place + 2 <= end - l4).then_some(l3 + l4 + place)
}

/// Where the IP packet of a frame begins.
pub fn ip_packet(frame: &[u8]) -> Option<usize> {
    payload(frame).map(|at| match at {
        Payload::Ip4(at) | Payload::Ip6(at) => at,
    })
}

enum Payload {
    Ip4(usize),
    Ip6(usize),
}

/// Looks behind the tags, 802.1ad's old ones too.
fn payload(frame: &[u8]) -> Option<Payload> {
    let mut at = 12;
    loop {
        let kind = frame.get(at..at + 2)?;
        match u16::from_be_bytes([kind[0], kind[1]]) {
            ether_type::IP4 => return Some(Payload::Ip4(at + 2)),
            ether_type::IP6 => return Some(Payload::Ip6(at + 2)),
            ether_type::VLAN | ether_type::SERVICE_VLAN | OLD_SERVICE_VLAN => at += 4,
            _ => return None,
        }
    }
}

/// Tag protocol of outer tags before 802.1ad.
pub const OLD_SERVICE_VLAN: u16 = 0x9100;

fn ip4_lengths(packet: &mut [u8]) {
    if packet.len() < ip4::HEADER {
        return;
    }
    let words = usize::from(packet[0] & 15);
    if packet[0] >> 4 != 4 || words < 5 || words * 4 > packet.len() {
        packet[0] = ip4::PLAIN_FIRST_BYTE;
    }
    let Ok(total) = u16::try_from(packet.len()) else { return };
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    if let Some((l4, end, proto)) = ip4_place(packet) {
        l4_lengths(&mut packet[l4..end], proto);
    }
}

fn ip6_lengths(packet: &mut [u8]) {
    let Some(size) = packet.len().checked_sub(ip6::HEADER) else { return };
    let Ok(size) = u16::try_from(size) else { return };
    packet[0] = 0x60 | packet[0] & 15;
    packet[4..6].copy_from_slice(&size.to_be_bytes());
    if let Some((l4, end, proto)) = ip6_place(packet) {
        l4_lengths(&mut packet[l4..end], proto);
    }
}

fn l4_lengths(l4: &mut [u8], proto: u8) {
    let Ok(size) = u16::try_from(l4.len()) else { return };
    let words = 5..=l4.len() / 4;
    if proto == proto::UDP && l4.len() >= udp::HEADER {
        l4[4..6].copy_from_slice(&size.to_be_bytes());
    } else if proto == proto::TCP
        && l4.len() >= tcp::HEADER
        && !words.contains(&usize::from(l4[12] >> 4))
    {
        l4[12] = 0x50;
    }
}

/// Begin and end of what an IPv4 packet carries, and its protocol; `None` of a fragment.
fn ip4_place(packet: &[u8]) -> Option<(usize, usize, u8)> {
    let (header, _) = Ip4Header::ref_from_prefix(packet).ok()?;
    let (l4, total) = (header.header_len(), usize::from(header.total_len.get()));
    // A length that lies leaves no better end than the frame's.
    let end = if (l4..=packet.len()).contains(&total) { total } else { packet.len() };
    let is_whole = l4 >= ip4::HEADER && l4 <= end && !header.is_fragment();
    is_whole.then_some((l4, end, header.proto))
}

fn ip6_place(packet: &[u8]) -> Option<(usize, usize, u8)> {
    let (header, _) = Ip6Header::ref_from_prefix(packet).ok()?;
    let upper = ip6::upper(packet)?;
    let total = ip6::HEADER + usize::from(header.payload_len.get());
    let end = if (upper.offset..=packet.len()).contains(&total) { total } else { packet.len() };
    let is_whole = upper.fragment.is_none_or(|fragment| !fragment.is_fragment());
    (is_whole && upper.offset <= end).then_some((upper.offset, end, upper.proto))
}

const fn sum_place(proto: u8) -> Option<usize> {
    match proto {
        proto::TCP => Some(tcp::CHECKSUM),
        proto::UDP => Some(udp::CHECKSUM),
        proto::ICMP | proto::ICMP6 => Some(icmp4::CHECKSUM),
        _ => None,
    }
}

fn ip4_sums(packet: &mut [u8], depth: u8) {
    let Ok((header, _)) = Ip4Header::ref_from_prefix(packet) else { return };
    let (src, dst, size) = (header.src.get(), header.dst.get(), header.header_len());
    if (ip4::HEADER..=packet.len()).contains(&size) {
        packet[ip4::CHECKSUM..ip4::CHECKSUM + 2].fill(0);
        let sum = checksum::of(&packet[..size]);
        packet[ip4::CHECKSUM..ip4::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let Some((l4, end, proto)) = ip4_place(packet) else { return };
    let l4 = &mut packet[l4..end];
    if proto == proto::ICMP && depth > 0 && l4.first().is_some_and(|kind| icmp4::is_error(*kind)) {
        ip4_sums(l4.get_mut(icmp4::HEADER..).unwrap_or_default(), depth - 1);
    }
    let Ok(size) = u16::try_from(l4.len()) else { return };
    let base = match proto {
        proto::ICMP => 0,
        _ => checksum::pseudo_header(src, dst, proto, size),
    };
    l4_sums(l4, proto, base);
}

fn ip6_sums(packet: &mut [u8]) {
    let Some((l4, end, proto)) = ip6_place(packet) else { return };
    let Ok((header, _)) = Ip6Header::ref_from_prefix(packet) else { return };
    let Ok(size) = u32::try_from(end - l4) else { return };
    let base = ip6::pseudo_header(&header.src, &header.dst, proto, size);
    l4_sums(&mut packet[l4..end], proto, base);
}

fn l4_sums(l4: &mut [u8], proto: u8, base: u64) {
    let Some(place) = sum_place(proto) else { return };
    let Some(field) = l4.get_mut(place..place + 2) else { return };
    field.fill(0);
    let sum = match !checksum::fold(checksum::add(base, l4)) {
        // No sum stands for none (RFC 768).
        0 if proto == proto::UDP => 0xffff,
        sum => sum,
    };
    l4[place..place + 2].copy_from_slice(&sum.to_be_bytes());
}
