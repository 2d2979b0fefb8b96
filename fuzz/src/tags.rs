//! Tags that are put before a packet are those that are read, and nothing else of it changes.

use etherparse::SlicedPacket;
use thruway::wire::eth::MacAddr;
use thruway::wire::vlan::{self, TagStack};

use super::input::Input;

/// Writes a header with tags, and reads it by ours and by etherparse.
///
/// # Panics
/// When they differ.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let stack = match input.byte() % 3 {
        0 => TagStack::UNTAGGED,
        1 => TagStack::single(input.half()),
        _ => TagStack::double(input.half(), input.half()),
    };
    let (pcp, kind) = (input.half(), input.half());
    let macs = [input.piece(6), input.piece(6)].map(|own| {
        let mut mac = [0; 6];
        mac[..own.len()].copy_from_slice(own);
        MacAddr(mac)
    });
    let l3 = usize::from(input.byte() % 40);
    let mut frame = vec![0xee; l3];
    frame.extend_from_slice(input.rest());
    let before = frame.clone();
    let start = stack.write_l2(&mut frame, l3, macs[0], macs[1], pcp, kind);
    let Some(start) = start else {
        assert!(l3 < 14 + stack.size(), "there is room for the header");
        assert_eq!(frame, before, "a header that does not fit is not begun");
        return;
    };
    assert_eq!(start, l3 - 14 - stack.size());
    assert_eq!(frame[..start], before[..start], "what is before the header stays");
    assert_eq!(frame[l3..], before[l3..], "the packet stays");
    // A kind that is a tag's asks for more than was written.
    if !vlan::is_tag(kind) {
        let read = vlan::read_tags(&frame[start..]).expect("a whole header");
        let vids: Vec<u16> = read.tags().iter().map(|tag| tag.vid()).collect();
        assert_eq!(vids, stack.vids());
        assert_eq!((read.ether_type, read.payload()), (kind, l3 - start));
    }
    let Ok(theirs) = SlicedPacket::from_ethernet(&frame[start..]) else { return };
    let theirs: Vec<u16> = theirs.vlan_ids().into_iter().map(|vid| vid.value()).collect();
    assert_eq!(theirs[..stack.len()], *stack.vids(), "etherparse reads other tags");
}
