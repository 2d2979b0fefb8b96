//! What does etherparse read of a frame? Its strict slices, as a program that trusts it would use
//! them; positions are where its slices begin.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};

use super::view::{View, name};
use crate::wire::eth;
use crate::wire::vlan::{self, TAG};

/// Reads a frame.
pub fn read(bytes: &[u8]) -> View {
    let packet = match SlicedPacket::from_ethernet(bytes) {
        Ok(packet) => packet,
        Err(why) => {
            return View { valid: Some(false), why: Some(why.to_string()), ..View::default() };
        }
    };
    let mut view = View { valid: Some(true), ..View::default() };
    layer2(&mut view, &packet);
    network(&mut view, bytes, &packet);
    if let Some(transport) = &packet.transport {
        self::transport(&mut view, bytes, transport);
    }
    view
}

/// Where a slice of the frame begins.
fn place(frame: &[u8], slice: &[u8]) -> usize {
    slice.as_ptr().addr() - frame.as_ptr().addr()
}

fn layer2(view: &mut View, packet: &SlicedPacket<'_>) {
    let mut kind = packet
        .link
        .as_ref()
        .and_then(|link| link.ether_payload())
        .map_or(0, |payload| payload.ether_type.0);
    let (mut tpids, mut tcis, mut at) = (vec![], vec![], eth::HEADER);
    for extension in &packet.link_exts {
        let LinkExtSlice::Vlan(tag) = extension else {
            at += extension.header_len();
            continue;
        };
        tpids.push(kind);
        let bits = u16::from(tag.priority_code_point().value()) << 13
            | u16::from(tag.drop_eligible_indicator()) << 12;
        tcis.push(bits | tag.vlan_identifier().value());
        kind = tag.ether_type().0;
        at += TAG;
    }
    let vids: Vec<u16> = tcis.iter().map(|tci| tci & vlan::VID).collect();
    let first = eth::HEADER - 2;
    view.put(name::TPIDS, first, tpids);
    view.put(name::TCIS, first + 2, tcis);
    view.put(name::VIDS, first + 2, vids);
    let kind = packet.payload_ether_type().map_or(kind, |kind| kind.0);
    view.put(name::ETHER_TYPE, at - 2, kind);
    view.put(name::L3_OFFSET, at, at);
}

fn network(view: &mut View, frame: &[u8], packet: &SlicedPacket<'_>) {
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let at = place(frame, header.slice());
            view.put(name::VERSION, at, 4);
            view.put(name::SRC, at + 12, Ipv4Addr::from(header.source()).to_string());
            view.put(name::DST, at + 16, Ipv4Addr::from(header.destination()).to_string());
            view.put(name::PROTOCOL, at + 9, header.protocol().0);
            view.put(name::TTL, at + 8, header.ttl());
            view.put(name::TOTAL_SIZE, at + 2, header.total_len());
            view.put(name::DONT_FRAGMENT, at + 6, header.dont_fragment());
            view.put(name::MORE_FRAGMENTS, at + 6, header.more_fragments());
            view.put(name::FRAGMENT_OFFSET, at + 6, header.fragments_offset().byte_offset());
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let at = place(frame, header.slice());
            let payload = ip.payload();
            view.put(name::VERSION, at, 6);
            view.put(name::SRC, at + 8, Ipv6Addr::from(header.source()).to_string());
            view.put(name::DST, at + 24, Ipv6Addr::from(header.destination()).to_string());
            view.put(name::PROTOCOL, at + 6, payload.ip_number.0);
            view.put(name::TTL, at + 7, header.hop_limit());
            view.put(name::TOTAL_SIZE, at + 4, u32::from(header.payload_length()) + 40);
            let fragment =
                ip.extensions().clone().into_iter().find_map(|extension| match extension {
                    etherparse::Ipv6ExtensionSlice::Fragment(fragment) => Some(fragment),
                    _ => None,
                });
            let at = place(frame, payload.payload);
            let more = fragment.as_ref().is_some_and(|fragment| fragment.more_fragments());
            view.put(name::MORE_FRAGMENTS, at, more);
            let offset = fragment.map_or(0, |fragment| fragment.fragment_offset().byte_offset());
            view.put(name::FRAGMENT_OFFSET, at, offset);
        }
        _ => {}
    }
}

fn transport(view: &mut View, frame: &[u8], transport: &TransportSlice<'_>) {
    let (at, ports, kind) = match transport {
        TransportSlice::Tcp(tcp) => {
            let ports = (tcp.source_port(), tcp.destination_port());
            (place(frame, tcp.slice()), Some(ports), None)
        }
        TransportSlice::Udp(udp) => {
            let ports = (udp.source_port(), udp.destination_port());
            (place(frame, udp.slice()), Some(ports), None)
        }
        TransportSlice::Icmpv4(icmp) => (place(frame, icmp.slice()), None, Some(icmp.type_u8())),
        TransportSlice::Icmpv6(icmp) => (place(frame, icmp.slice()), None, Some(icmp.type_u8())),
    };
    view.put(name::L4_OFFSET, at, at);
    if let Some((src, dst)) = ports {
        view.put(name::SRC_PORT, at, src);
        view.put(name::DST_PORT, at + 2, dst);
    }
    if let Some(kind) = kind {
        view.put(name::ICMP_TYPE, at, kind);
    }
}
