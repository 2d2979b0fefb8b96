//! How do frames enter? At which worker, and which of them together.

use std::net::Ipv4Addr;

use crate::frame::{FRAME_SIZE, HEADROOM};
use crate::ids::{PortId, ShardId, WorkerId};
use crate::io::steer;
use crate::stage::foresee::Foreseen;
use crate::time::Now;
use crate::wire::eth::ether_type;

/// A frame that is about to enter.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) port: PortId,
    pub(super) lane: usize,
    pub(super) at: Now,
    pub(super) bytes: Vec<u8>,
}

/// The batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) len: usize,
    key: Option<(PortId, usize, WorkerId)>,
    closed: bool,
    shards: u64,
}

impl Open {
    pub(super) fn takes(&self, key: (PortId, usize, WorkerId), foreseen: &Foreseen) -> bool {
        self.len == 0
            || !self.closed
                && !foreseen.alone
                && self.key == Some(key)
                && self.shards & bit(foreseen.shard) == 0
    }

    pub(super) fn add(&mut self, key: (PortId, usize, WorkerId), foreseen: &Foreseen) {
        self.len += 1;
        self.key = Some(key);
        self.closed |= foreseen.alone;
        self.shards |= bit(foreseen.shard);
    }
}

pub(super) fn bit(shard: Option<ShardId>) -> u64 {
    shard.map_or(0, |shard| 1 << (shard.index() % 64))
}

/// Puts a frame's bytes behind the headroom; returns where, and how many.
pub(super) fn load(frame: &mut [u8; FRAME_SIZE], bytes: &[u8]) -> (u16, u16) {
    frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
    let word = |n: usize| u16::try_from(n).expect("a frame is shorter than 64 KiB");
    (word(HEADROOM), word(bytes.len()))
}

/// The EtherType behind up to two tags, and what follows it.
pub(super) fn payload(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..2 {
        if matches!(word(at)?, ether_type::VLAN | ether_type::SERVICE_VLAN) {
            at += 4;
        }
    }
    Some((word(at)?, &bytes[at + 2..]))
}

pub(super) fn is_arp(bytes: &[u8]) -> bool {
    payload(bytes).is_some_and(|(kind, _)| kind == ether_type::ARP)
}

/// What the kernel would steer by.
pub(super) fn entry_hash(bytes: &[u8]) -> u32 {
    let word = |packet: &[u8], at: usize| -> Option<u32> {
        let four: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(four).to_bits())
    };
    let fold = |packet: &[u8], at: usize, words: usize| -> Option<u32> {
        (0..words).try_fold(0, |sum, i| Some(sum ^ word(packet, at + 4 * i)?))
    };
    let pair = payload(bytes).and_then(|(kind, packet)| match kind {
        ether_type::IP4 => Some((word(packet, 12)?, word(packet, 16)?)),
        ether_type::IP6 => Some((fold(packet, 8, 4)?, fold(packet, 24, 4)?)),
        _ => None,
    });
    pair.map_or(0, |(src, dst)| steer::hash(src, dst))
}
