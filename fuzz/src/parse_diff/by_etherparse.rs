//! By etherparse, which is strict: what it reads holds.

use etherparse::err::Layer;
use etherparse::err::packet::SliceError;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use thruway::frame::{DropReason, Flags, Row};

use super::{Difference, Seen};

pub(super) fn differs(seen: &Seen<'_>) -> Option<Difference> {
    let bytes = seen.bytes;
    if seen.packet().is_some_and(|(_, kind)| kind == 0x9100) {
        return Some(Difference::OldTag);
    }
    match (seen.ours, SlicedPacket::from_ethernet(bytes)) {
        (Ok(row), Ok(theirs)) => {
            compare(bytes, &row, &theirs);
            let behind = row.ether_type == 0x0800 && row.proto == 51;
            behind.then_some(Difference::AuthenticationHeader)
        }
        (Ok(row), Err(error)) => Some(refused(bytes, &row, &error)),
        (Err(reason), Ok(theirs)) => Some(accepted(seen, reason, &theirs)),
        (Err(_), Err(_)) => None,
    }
}

fn compare(bytes: &[u8], row: &Row, theirs: &SlicedPacket<'_>) {
    let vids: Vec<u16> = theirs.vlan_ids().into_iter().map(|vid| vid.value()).collect();
    let ours: Vec<u16> =
        [row.outer, row.inner].iter().take(usize::from(row.tags)).map(|tci| tci & 0xfff).collect();
    assert_eq!(ours, vids, "tags of {bytes:02x?}");
    if row.ether_type != 0x0800 {
        return;
    }
    let Some(NetSlice::Ipv4(ip)) = &theirs.net else {
        panic!("etherparse sees no IPv4: {bytes:02x?}")
    };
    let header = ip.header();
    assert_eq!(row.src.to_be_bytes(), header.source(), "source of {bytes:02x?}");
    assert_eq!(row.dst.to_be_bytes(), header.destination(), "destination of {bytes:02x?}");
    assert_eq!((row.proto, row.ttl), (header.protocol().0, header.ttl()), "of {bytes:02x?}");
    assert_eq!(row.ip_len, header.total_len(), "total length of {bytes:02x?}");
    let l4 = usize::from(row.l3) + header.slice().len();
    assert_eq!(usize::from(row.l4), l4, "layer 4 of {bytes:02x?}");
    assert_eq!(row.flags.has(Flags::OPTIONS), !header.options().is_empty(), "of {bytes:02x?}");
    assert_eq!(row.flags.has(Flags::DF), header.dont_fragment(), "of {bytes:02x?}");
    let fragment = header.is_fragmenting_payload();
    assert_eq!(row.flags.has(Flags::FRAGMENT), fragment, "a fragment: {bytes:02x?}");
    let later = header.fragments_offset().value() != 0;
    assert_eq!(row.flags.has(Flags::LATER_FRAGMENT), later, "a later fragment: {bytes:02x?}");
    let ports = match &theirs.transport {
        _ if row.proto == 51 => return,
        Some(TransportSlice::Tcp(tcp)) => {
            assert_eq!(row.tcp_flags, tcp.slice()[13], "flags of {bytes:02x?}");
            (tcp.source_port(), tcp.destination_port())
        }
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
        Some(TransportSlice::Icmpv4(icmp)) => {
            assert_eq!(row.icmp_type, icmp.type_u8(), "type of {bytes:02x?}");
            return;
        }
        _ => return,
    };
    assert!(row.flags.has(Flags::L4), "etherparse sees ports {ports:?}: {bytes:02x?}");
    assert_eq!((row.sport, row.dport), ports, "ports of {bytes:02x?}");
}

/// Why etherparse may refuse what thruway forwards.
fn refused(bytes: &[u8], row: &Row, error: &SliceError) -> Difference {
    let behind = match error {
        SliceError::Len(length) => Some(length.layer),
        _ => None,
    };
    match (row.proto, behind) {
        (51, _) if row.ether_type == 0x0800 => Difference::AuthenticationHeader,
        (1, Some(Layer::Icmpv4Timestamp | Layer::Icmpv4TimestampReply | Layer::Icmpv4)) => {
            Difference::ShortIcmp
        }
        (58, _) if row.ether_type == 0x0800 => Difference::Icmp6InIp4,
        _ if row.ether_type != 0x0800 => Difference::OtherPayload,
        _ => panic!("etherparse: {error} of {bytes:02x?}"),
    }
}

/// Why thruway may refuse what etherparse reads.
fn accepted(seen: &Seen<'_>, reason: DropReason, theirs: &SlicedPacket<'_>) -> Difference {
    let fragment = match &theirs.net {
        Some(NetSlice::Ipv4(ip)) => ip.header().is_fragmenting_payload().then(|| ip.header()),
        _ => None,
    };
    match (reason, fragment) {
        _ if seen.is_tagged_wrongly() => Difference::Tags,
        (DropReason::Ip4BadChecksum, _) => Difference::HeaderChecksum,
        (DropReason::Ip4BadFragment, Some(header)) => match header.fragments_offset().value() {
            0 => Difference::FirstFragmentPorts,
            1 if header.protocol().0 == 6 => Difference::TinyFragment,
            offset if usize::from(offset) * 8 + usize::from(header.total_len()) > 65_535 => {
                Difference::FragmentTooLong
            }
            _ => panic!("etherparse reads a fragment that is bad to us: {:02x?}", seen.bytes),
        },
        (DropReason::L4TooShort, None) if udp_length(theirs) == Some(0) => {
            Difference::UdpLengthZero
        }
        _ => panic!("etherparse reads what is {reason} to us: {:02x?}", seen.bytes),
    }
}

/// The length in a UDP header.
fn udp_length(theirs: &SlicedPacket<'_>) -> Option<u16> {
    match &theirs.transport {
        Some(TransportSlice::Udp(udp)) => Some(udp.length()),
        _ => None,
    }
}
