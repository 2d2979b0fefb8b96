//! What *validate* reads of a frame is what etherparse reads, and neither calls valid what the other
//! cannot read. What they differ in on purpose has a name here.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use thruway::frame::{FRAME_SIZE, Flags, HEADROOM, Row};
use thruway::stage::validate;

use super::input::{Input, mend};

/// Longest frame that fits a buffer.
const MOST: usize = FRAME_SIZE - HEADROOM;

/// Reads a frame, mended nine times in ten, by ours and by etherparse.
///
/// # Panics
/// When they differ.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mended = !input.byte().is_multiple_of(10);
    let mut bytes = input.rest()[..input.rest().len().min(MOST)].to_vec();
    if mended {
        mend(&mut bytes);
    }
    let mut frame = [0xa5; FRAME_SIZE];
    frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(&bytes);
    let off = u16::try_from(HEADROOM).expect("a place in a frame");
    let len = u32::try_from(bytes.len()).expect("a frame is short");
    let mut row = Row { off, len, ..Row::default() };
    let ours = validate::layer2(&frame, &mut row, true);
    if ours.is_err() || row.ether_type != 0x0800 {
        return;
    }
    let ours = validate::header(&frame, &mut row);
    let theirs = SlicedPacket::from_ethernet(&bytes);
    match (ours, theirs) {
        (Ok(()), Ok(theirs)) => compare(&bytes, &row, &theirs),
        // etherparse goes on where we end: into headers of IPsec and what a length says of UDP.
        (Ok(()), Err(why)) => {
            assert!(
                !matches!(row.proto, 6 | 17)
                    || row.flags.any(Flags::FRAGMENT.with(Flags::LATER_FRAGMENT)),
                "etherparse: {why} of {bytes:02x?}"
            );
        }
        (Err(_), _) => {}
    }
}

fn compare(bytes: &[u8], row: &Row, theirs: &SlicedPacket<'_>) {
    let vids: Vec<u16> = theirs.vlan_ids().into_iter().map(|vid| vid.value()).collect();
    let ours: Vec<u16> =
        [row.outer, row.inner].iter().take(usize::from(row.tags)).map(|tci| tci & 0xfff).collect();
    assert_eq!(ours, vids, "tags of {bytes:02x?}");
    let Some(NetSlice::Ipv4(ip)) = &theirs.net else {
        panic!("etherparse sees no IPv4: {bytes:02x?}")
    };
    let header = ip.header();
    assert_eq!(row.src.to_be_bytes(), header.source(), "source of {bytes:02x?}");
    assert_eq!(row.dst.to_be_bytes(), header.destination(), "destination of {bytes:02x?}");
    assert_eq!((row.proto, row.ttl), (header.protocol().0, header.ttl()), "of {bytes:02x?}");
    assert_eq!(row.ip_len, header.total_len(), "total length of {bytes:02x?}");
    let fragment = header.is_fragmenting_payload();
    assert_eq!(row.flags.has(Flags::FRAGMENT), fragment, "a fragment: {bytes:02x?}");
    let ports = match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
        _ => return,
    };
    assert!(row.flags.has(Flags::L4), "etherparse sees ports {ports:?}: {bytes:02x?}");
    assert_eq!((row.sport, row.dport), ports, "ports of {bytes:02x?}");
}
