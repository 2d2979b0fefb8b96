//! By pnet, which reads fields and checks little: only its getters at fixed places are called, as
//! others panic when lengths lie.

use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::icmp::IcmpPacket;
use pnet::packet::ipv4::{self, Ipv4Packet};
use pnet::packet::tcp::TcpPacket;
use pnet::packet::udp::UdpPacket;
use pnet::packet::vlan::VlanPacket;
use thruway::frame::{DropReason, Flags, Row};

use super::super::checksum_incremental::same;
use super::{Difference, Seen};

pub(super) fn differs(seen: &Seen<'_>) -> Option<Difference> {
    let bytes = seen.bytes;
    let Some(frame) = EthernetPacket::new(bytes) else {
        assert_eq!(seen.ours.map(|_| ()), Err(DropReason::FrameTooShort), "{bytes:02x?}");
        return None;
    };
    let (mut tags, mut kind, mut at) = (Vec::new(), frame.get_ethertype(), 14);
    while kind == EtherTypes::Vlan || kind.0 == 0x88a8 {
        let Some(tag) = VlanPacket::new(&bytes[at..]) else {
            assert!(seen.ours.is_err(), "pnet sees a cut tag: {bytes:02x?}");
            return None;
        };
        tags.push(tag.get_vlan_identifier());
        (kind, at) = (tag.get_ethertype(), at + 4);
    }
    let row = match seen.ours {
        Ok(row) => row,
        Err(DropReason::Ip4BadChecksum) => {
            let ip = Ipv4Packet::new(&bytes[at..]).expect("long enough for a checksum");
            assert_ne!(ip.get_checksum(), ipv4::checksum(&ip), "checksum of {bytes:02x?}");
            return Some(Difference::HeaderChecksum);
        }
        Err(_) => return seen.is_tagged_wrongly().then_some(Difference::Tags),
    };
    let ours: Vec<u16> =
        [row.outer, row.inner].iter().take(usize::from(row.tags)).map(|tci| tci & 0xfff).collect();
    assert_eq!(ours, tags, "tags of {bytes:02x?}");
    assert_eq!((row.ether_type, usize::from(row.l3)), (kind.0, at), "of {bytes:02x?}");
    if kind == EtherTypes::Ipv4 {
        packet(&bytes[at..], &row);
    }
    None
}

fn packet(bytes: &[u8], row: &Row) {
    let ip = Ipv4Packet::new(bytes).expect("thruway saw a header");
    assert_eq!(ip.get_version(), 4, "of {bytes:02x?}");
    assert_eq!(row.src, u32::from(ip.get_source()), "source of {bytes:02x?}");
    assert_eq!(row.dst, u32::from(ip.get_destination()), "destination of {bytes:02x?}");
    let fields = (ip.get_next_level_protocol().0, ip.get_ttl(), ip.get_total_length());
    assert_eq!((row.proto, row.ttl, row.ip_len), fields, "of {bytes:02x?}");
    // A sum of zero can be written in two ways, and pnet compares the field.
    let (kept, made) = (ip.get_checksum(), ipv4::checksum(&ip));
    assert!(same(kept, made), "checksum of {bytes:02x?}");
    let size = usize::from(ip.get_header_length()) * 4;
    assert_eq!(usize::from(row.l4 - row.l3), size, "layer 4 of {bytes:02x?}");
    assert_eq!(row.flags.has(Flags::LATER_FRAGMENT), ip.get_fragment_offset() != 0, "{bytes:02x?}");
    if !row.flags.has(Flags::L4) {
        return;
    }
    let l4 = &bytes[size..usize::from(row.ip_len)];
    let ports = match row.proto {
        6 => {
            let tcp = TcpPacket::new(l4).expect("thruway saw a header");
            assert_eq!(u16::from(row.tcp_flags), u16::from(tcp.packet()[13]), "{bytes:02x?}");
            (tcp.get_source(), tcp.get_destination())
        }
        17 => {
            let udp = UdpPacket::new(l4).expect("thruway saw a header");
            (udp.get_source(), udp.get_destination())
        }
        _ => {
            let icmp = IcmpPacket::new(l4).expect("thruway saw a header");
            assert_eq!(row.icmp_type, icmp.get_icmp_type().0, "{bytes:02x?}");
            return;
        }
    };
    assert_eq!((row.sport, row.dport), ports, "ports of {bytes:02x?}");
}
