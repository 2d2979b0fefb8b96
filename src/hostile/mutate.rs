//! What becomes of a captured frame in bad hands? Some of its bytes or fields change, or it is cut,
//! or grows, or goes on as another frame.
//!
//! Afterwards lengths and sums are right nine times in ten, or the sums alone.

use super::entropy::Entropy;
use super::mend::{self, OLD_SERVICE_VLAN};
use crate::wire::eth::ether_type;
use crate::wire::ip4;

/// Most changes of one frame.
const MOST: usize = 4;

/// Values at the ends of fields.
const INTERESTING: [u16; 12] =
    [0, 1, 0xff, 0x7f, 0x80, 0x100, 0x7fff, 0x8000, 0xffff, 1500, 4095, 0x45];

/// One of the captured frames, changed, of at most `max_size` bytes; empty when there are none.
pub fn frame(entropy: &mut Entropy<'_>, captured: &[impl AsRef<[u8]>], max_size: usize) -> Vec<u8> {
    let Some(own) = entropy.pick(captured) else { return Vec::new() };
    let mut frame = own.as_ref().to_vec();
    for _ in 0..=entropy.below(MOST) {
        if entropy.one_in(8) {
            let other = entropy.pick(captured).map_or(&[][..], AsRef::as_ref);
            splice(entropy, &mut frame, other);
        } else if entropy.one_in(2) {
            change_field(entropy, &mut frame);
        } else {
            change_bytes(entropy, &mut frame);
        }
    }
    frame.truncate(max_size);
    if !entropy.one_in(10) {
        if !entropy.one_in(4) {
            mend::lengths(&mut frame);
        }
        mend::sums(&mut frame);
    }
    frame
}

/// The begin of one, the end of the other.
fn splice(entropy: &mut Entropy<'_>, frame: &mut Vec<u8>, other: &[u8]) {
    frame.truncate(entropy.below(frame.len() + 1));
    frame.extend(&other[entropy.below(other.len() + 1)..]);
}

/// Bytes change whatever they mean; mostly those of headers.
fn change_bytes(entropy: &mut Entropy<'_>, frame: &mut Vec<u8>) {
    let reach = if entropy.one_in(4) { frame.len() } else { frame.len().min(64) };
    let at = entropy.below(reach);
    let value = entropy.one_of(INTERESTING).to_be_bytes();
    match entropy.below(7) {
        0 | 1 => {
            let bit = entropy.below(8);
            write(frame, at, |byte: [u8; 1]| [byte[0] ^ 1 << bit]);
        }
        2 => write(frame, at, |_: [u8; 1]| [value[1]]),
        3 => write(frame, at, |_: [u8; 2]| value),
        4 => frame.truncate(at),
        5 => {
            let size = entropy.below(16);
            let piece = entropy.payload(size);
            frame.splice(at..at, piece);
        }
        _ => {
            // A part comes twice.
            let end = (at + 1 + entropy.below(32)).min(frame.len());
            let part = frame.get(at..end).unwrap_or_default().to_vec();
            frame.splice(at..at, part);
        }
    }
}

/// A field changes: a tag, or one of an IP header or of what it carries.
fn change_field(entropy: &mut Entropy<'_>, frame: &mut Vec<u8>) {
    match mend::ip_packet(frame) {
        Some(l3) if !entropy.one_in(4) => change_packet(entropy, frame, l3),
        _ => change_tags(entropy, frame),
    }
}

fn change_tags(entropy: &mut Entropy<'_>, frame: &mut Vec<u8>) {
    const MACS: usize = 12;
    if frame.len() < MACS + 2 {
        return;
    }
    let tpid = entropy.one_of([ether_type::VLAN, ether_type::SERVICE_VLAN, OLD_SERVICE_VLAN]);
    let tci = entropy.half();
    match entropy.below(4) {
        0 if frame.len() >= MACS + 4 => drop(frame.drain(MACS..MACS + 4)),
        1 => write(frame, MACS, |_: [u8; 2]| tpid.to_be_bytes()),
        2 => write(frame, MACS + 2, |_: [u8; 2]| tci.to_be_bytes()),
        _ => drop(frame.splice(MACS..MACS, [tpid.to_be_bytes(), tci.to_be_bytes()].concat())),
    }
}

fn change_packet(entropy: &mut Entropy<'_>, frame: &mut [u8], l3: usize) {
    let value = entropy.one_of(INTERESTING).to_be_bytes();
    let [a, b] = entropy.half().to_be_bytes();
    let l4 = l3 + 4 * usize::from(frame.get(l3).copied().unwrap_or_default() & 15);
    match entropy.below(10) {
        // Header length, total length, fragment, time to live, protocol.
        0 => write(frame, l3, |first: [u8; 1]| [first[0] & 0xf0 | a & 15]),
        1 => write(frame, l3 + 2, |_: [u8; 2]| value),
        2 => write(frame, l3 + 6, |_: [u8; 2]| [a, b]),
        3 => write(frame, l3 + 8, |_: [u8; 2]| [a & 1, b]),
        4 => write(frame, l3 + 9, |_: [u8; 1]| [a]),
        // The addresses, exchanged or changed at their ends.
        5 => write(frame, l3 + 12, |[a, b, c, d, e, f, g, h]: [u8; 8]| [e, f, g, h, a, b, c, d]),
        6 => write(frame, l3 + 15, |_: [u8; 1]| [a]),
        7 => write(frame, l3 + ip4::HEADER - 1, |_: [u8; 1]| [a]),
        // Ports, or type and code; TCP's flags, or what an ICMP error quotes.
        8 => write(frame, l4, |_: [u8; 2]| [a & 0x1f, b]),
        _ => write(frame, l4 + 12, |_: [u8; 2]| [a, b]),
    }
}

/// Changes bytes at a place, where there are so many.
fn write<const N: usize>(frame: &mut [u8], at: usize, change: impl FnOnce([u8; N]) -> [u8; N]) {
    if let Some(place) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *place = change(*place);
    }
}
