//! Tags that are put before a packet are those that are read, what is pushed is popped, and nothing
//! else of a frame changes.

use etherparse::SlicedPacket;
use thruway::wire::eth::MacAddr;
use thruway::wire::vlan::{self, MOST_TAGS, Tag, TagStack};

use thruway::hostile::Entropy;

/// Room before a frame: for eight tags and some bytes.
const ROOM: usize = 40;

/// Writes a header with tags, and changes tags of any frame.
///
/// # Panics
/// When something does not hold.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    if input.byte() & 1 == 0 {
        write(&mut input);
    } else {
        push_and_pop(&mut input);
    }
}

/// Pushes and pops beside a list of tags.
fn push_and_pop(input: &mut Entropy<'_>) {
    let ops: Vec<u8> = (0..input.byte() % 12).map(|_| input.byte()).collect();
    let tcis: Vec<u16> = ops.iter().map(|_| input.half()).collect();
    let bytes = input.rest();
    let mut buf = [vec![0xee; ROOM], bytes.to_vec()].concat();
    let mut start = ROOM;
    // The frame as it should be.
    let mut right = bytes.to_vec();
    for (op, tci) in ops.into_iter().zip(tcis) {
        let before = buf.clone();
        let done = if op & 1 == 0 {
            let tag = Tag { tpid: if op & 2 == 0 { 0x8100 } else { 0x88a8 }, tci };
            let done = vlan::push(&mut buf, start, tag);
            assert_eq!(done.is_some(), start >= 4 && right.len() >= 12, "room for a tag");
            if done.is_some() {
                let tag = [tag.tpid.to_be_bytes(), tci.to_be_bytes()].concat();
                right.splice(12..12, tag);
            }
            done
        } else {
            let count = usize::from(op >> 1) % 5;
            let there = tags_of(&right);
            let done = vlan::pop(&mut buf, start, count);
            assert_eq!(done.is_some(), there.is_some_and(|there| there.min(MOST_TAGS) >= count));
            if done.is_some() {
                right.drain(12..12 + 4 * count);
            }
            done
        };
        match done {
            Some(new) => start = new,
            None => assert_eq!(buf, before, "what cannot be done changes nothing"),
        }
        assert_eq!(buf[start..], right, "the frame");
    }
}

/// How many tags a frame has, a tag after the other; nothing when it ends inside one that counts.
fn tags_of(frame: &[u8]) -> Option<usize> {
    let mut count = 0;
    loop {
        let kind = frame.get(12 + 4 * count..14 + 4 * count)?;
        if count == MOST_TAGS || !matches!(kind, [0x81, 0] | [0x88, 0xa8]) {
            return Some(count);
        }
        count += 1;
    }
}

/// Writes a header with tags, and reads it by ours and by etherparse.
fn write(input: &mut Entropy<'_>) {
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
