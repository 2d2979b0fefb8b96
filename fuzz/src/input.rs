//! Bytes of a fuzzer as what targets need: numbers, pieces, frames whose sums are right.

use thruway::wire::checksum;

/// Bytes that are read from the front; zeroes follow the last.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn half(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from(self.half()) << 16 | u32::from(self.half())
    }

    /// The next `len` bytes, or what is left.
    pub(crate) fn piece(&mut self, len: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// What is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Where the IPv4 packet of a frame begins, behind its tags.
fn ip4_at(frame: &[u8]) -> Option<usize> {
    let mut at = 12;
    loop {
        match frame.get(at..at + 2)? {
            [0x08, 0x00] => return Some(at + 2),
            [0x81, 0x00] | [0x88, 0xa8] => at += 4,
            _ => return None,
        }
    }
}

/// Makes lengths and sums of a frame's IPv4, TCP and UDP headers right, so that what is behind the
/// checks is reached.
pub(crate) fn mend(frame: &mut [u8]) {
    let Some(l3) = ip4_at(frame) else { return };
    let packet = &mut frame[l3..];
    if packet.len() < 20 {
        return;
    }
    if packet[0] >> 4 != 4 || packet[0] & 15 < 5 {
        packet[0] = 0x45;
    }
    let header = usize::from(packet[0] & 15) * 4;
    let Ok(total) = u16::try_from(packet.len()) else { return };
    if header > packet.len() {
        return;
    }
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[10..12].fill(0);
    let sum = checksum::of(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let word = |at: usize| {
        u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
    };
    let (src, dst, proto) = (word(12), word(16), packet[9]);
    let is_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
    let l4 = &mut packet[header..];
    let size = u16::try_from(l4.len()).expect("shorter than the packet");
    let place = match proto {
        6 if l4.len() >= 20 => 16,
        17 if l4.len() >= 8 => 6,
        1 if l4.len() >= 8 => 2,
        _ => return,
    };
    if is_fragment {
        return;
    }
    match proto {
        6 if !(5..=l4.len() / 4).contains(&usize::from(l4[12] >> 4)) => l4[12] = 0x50,
        17 => l4[4..6].copy_from_slice(&size.to_be_bytes()),
        _ => {}
    }
    l4[place..place + 2].fill(0);
    let base = if proto == 1 { 0 } else { checksum::pseudo_header(src, dst, proto, size) };
    let sum = match !checksum::fold(checksum::add(base, l4)) {
        0 if proto == 17 => 0xffff,
        sum => sum,
    };
    l4[place..place + 2].copy_from_slice(&sum.to_be_bytes());
}
