//! By smoltcp, an end's stack: it knows no tags, so it gets the packet behind them.

use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket};
use thruway::frame::{DropReason, Flags, Row};

use super::super::checksum_incremental::naive;
use super::{Difference, Seen};

pub(super) fn differs(seen: &Seen<'_>) -> Option<Difference> {
    let (at, 0x0800) = seen.packet()? else { return None };
    if seen.is_tagged_wrongly() {
        return Some(Difference::Tags);
    }
    let bytes = seen.bytes.get(at..)?;
    match (seen.ours, Ipv4Packet::new_checked(bytes)) {
        (Ok(row), Ok(theirs)) => compare(bytes, &row, &theirs),
        (Ok(_), Err(_)) => panic!("smoltcp refuses {bytes:02x?}"),
        (Err(reason), Ok(theirs)) => accepted(bytes, reason, &theirs),
        (Err(_), Err(_)) => None,
    }
}

fn compare(bytes: &[u8], row: &Row, theirs: &Ipv4Packet<&[u8]>) -> Option<Difference> {
    assert!(sums_up(bytes, theirs) && theirs.version() == 4, "{bytes:02x?}");
    assert_eq!(row.src, theirs.src_addr().to_bits(), "source of {bytes:02x?}");
    assert_eq!(row.dst, theirs.dst_addr().to_bits(), "destination of {bytes:02x?}");
    let fields = (u8::from(theirs.next_header()), theirs.hop_limit(), theirs.total_len());
    assert_eq!((row.proto, row.ttl, row.ip_len), fields, "of {bytes:02x?}");
    assert_eq!(row.l4 - row.l3, u16::from(theirs.header_len()), "layer 4 of {bytes:02x?}");
    assert_eq!(row.flags.has(Flags::DF), theirs.dont_frag(), "{bytes:02x?}");
    let (more, offset) = (theirs.more_frags(), theirs.frag_offset());
    assert_eq!(row.flags.has(Flags::FRAGMENT), more || offset != 0, "{bytes:02x?}");
    assert_eq!(row.flags.has(Flags::LATER_FRAGMENT), offset != 0, "{bytes:02x?}");
    if offset == 0 {
        let ports = transport(theirs).unwrap_or_else(|| {
            // The whole of a first fragment's datagram is longer than the fragment.
            assert!(more && row.proto == 17, "smoltcp refuses layer 4 of {bytes:02x?}");
            None
        });
        let own = (row.sport, row.dport);
        assert!(ports.is_none_or(|ports| ports == own), "ports of {bytes:02x?}");
    }
    None
}

/// Whether the header's sum is right: smoltcp says yes to any when it is built for a fuzzer.
fn sums_up(bytes: &[u8], theirs: &Ipv4Packet<&[u8]>) -> bool {
    naive(&bytes[..usize::from(theirs.header_len())]) == 0
}

/// The ports if there are any; `None` when smoltcp refuses the transport header.
fn transport(ip: &Ipv4Packet<&[u8]>) -> Option<Option<(u16, u16)>> {
    let payload = ip.payload();
    match ip.next_header() {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).ok()?;
            Some(Some((tcp.src_port(), tcp.dst_port())))
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).ok()?;
            Some(Some((udp.src_port(), udp.dst_port())))
        }
        IpProtocol::Icmp => Icmpv4Packet::new_checked(payload).ok().map(|_| None),
        _ => Some(None),
    }
}

/// Why thruway may refuse what smoltcp reads.
fn accepted(bytes: &[u8], reason: DropReason, theirs: &Ipv4Packet<&[u8]>) -> Option<Difference> {
    let refused = transport(theirs).is_none();
    Some(match reason {
        DropReason::Ip4BadChecksum if !sums_up(bytes, theirs) => Difference::HeaderChecksum,
        DropReason::Ip4BadHeaderLength if theirs.header_len() < 20 => Difference::ShortHeader,
        DropReason::Ip4BadVersion if theirs.version() != 4 => Difference::Version,
        DropReason::Ip4BadFragment if theirs.frag_offset() == 0 && refused => return None,
        DropReason::Ip4BadFragment
            if theirs.frag_offset() == 8 && theirs.next_header() == IpProtocol::Tcp =>
        {
            Difference::TinyFragment
        }
        DropReason::Ip4BadFragment
            if usize::from(theirs.frag_offset()) + usize::from(theirs.total_len()) > 65_535 =>
        {
            Difference::FragmentTooLong
        }
        DropReason::L4TooShort if refused => return None,
        _ => panic!("smoltcp reads what is {reason} to us: {bytes:02x?}"),
    })
}
