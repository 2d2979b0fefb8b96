//! Where inputs can be counted, all of them: stand-ins for proofs. The long ones are ignored here
//! and run by `scripts/sanitize exhaustive`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::Path;

use thruway::frame::{DropReason, FRAME_SIZE, Flags, HEADROOM, Row};
use thruway::stage::validate;
use thruway::wire::checksum::{self, Delta};
use thruway::wire::eth::MacAddr;
use thruway::wire::vlan::{self, Tag, TagStack};

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "a crate of its own for the fuzzers")]
mod targets;

/// A frame's buffer that is changed in place.
struct Bench {
    frame: Box<[u8; FRAME_SIZE]>,
}

impl Bench {
    /// An untagged frame with an IPv4 header whose fields are right for UDP without payload.
    fn new() -> Self {
        let mut frame = Box::new([0; FRAME_SIZE]);
        frame[HEADROOM + 12..HEADROOM + 14].copy_from_slice(&[8, 0]);
        let header = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        frame[HEADROOM + 14..HEADROOM + 34].copy_from_slice(&header);
        frame[HEADROOM + 34..HEADROOM + 42].copy_from_slice(&[0x10, 0, 0, 53, 0, 8, 0, 0]);
        Self { frame }
    }

    fn ip(&mut self) -> &mut [u8] {
        &mut self.frame[HEADROOM + 14..]
    }

    fn half(&mut self, at: usize, value: u16) {
        self.ip()[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// Makes the header's sum right, word by word (RFC 1071).
    fn sum(&mut self) {
        self.half(10, 0);
        let size = usize::from(self.ip()[0] & 15) * 4;
        let words = self.ip()[..size].chunks(2);
        let sum: u32 = words.map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        self.half(10, !u16::try_from(folded).unwrap());
    }

    /// What *validate* says of the frame's first bytes.
    fn read(&self, len: usize) -> Result<Row, DropReason> {
        let (off, len) = (u16::try_from(HEADROOM).unwrap(), u32::try_from(len).unwrap());
        let mut row = Row { off, len, ..Row::default() };
        validate::layer2(&self.frame, &mut row, true)?;
        validate::header(&self.frame, &mut row)?;
        Ok(row)
    }
}

/// What RFC 1812 5.2.2 and RFC 768 say of a UDP packet in a frame that holds `there` bytes of it,
/// with so many words of header, this total length, and this length in its UDP header.
fn right(words: usize, total: usize, there: usize, udp: usize) -> Result<(), DropReason> {
    let size = words * 4;
    if there < 20 {
        Err(DropReason::Ip4TooShort)
    } else if size < 20 || size > there {
        Err(DropReason::Ip4BadHeaderLength)
    } else if total < size || total > there {
        Err(DropReason::Ip4BadTotalLength)
    } else if total - size < 8 || udp < 8 || udp > total - size {
        Err(DropReason::L4TooShort)
    } else {
        Ok(())
    }
}

fn lengths(words: impl Iterator<Item = u8>, totals: impl Iterator<Item = u16> + Clone) {
    for words in words {
        let mut bench = Bench::new();
        bench.ip()[0] = 0x40 | words;
        let l4 = usize::from(words) * 4;
        if words >= 5 {
            bench.ip()[20..l4].fill(1);
            bench.ip()[l4..l4 + 8].copy_from_slice(&[0x10, 0, 0, 53, 0, 8, 0, 0]);
        }
        for total in totals.clone() {
            bench.half(2, total);
            bench.sum();
            for there in 0..256 {
                let expected = right(usize::from(words), usize::from(total), there, 8);
                assert_eq!(bench.read(14 + there).map(|_| ()), expected, "{words} {total} {there}");
            }
        }
    }
}

#[test]
fn every_total_length_against_every_size_of_frame() {
    lengths([5].into_iter(), 0..=u16::MAX);
}

#[test]
fn every_header_length_and_short_total_length_against_every_size_of_frame() {
    lengths(0..16, 0..300);
}

#[test]
#[ignore = "a minute in release"]
fn every_header_length_and_total_length_against_every_size_of_frame() {
    lengths(0..16, 0..=u16::MAX);
}

#[test]
fn every_udp_length_against_every_size_of_packet() {
    let mut bench = Bench::new();
    for there in 20..256_u16 {
        bench.half(2, there);
        bench.sum();
        for udp in 0..=u16::MAX {
            bench.half(24, udp);
            let expected = right(5, there.into(), there.into(), udp.into());
            let there = usize::from(there);
            assert_eq!(bench.read(14 + there).map(|_| ()), expected, "{udp} in {there}");
        }
    }
}

#[test]
fn every_fragment_field_against_every_length_of_fragment() {
    let mut bench = Bench::new();
    for total in (28..60_u16).chain([1500]) {
        bench.half(2, total);
        for field in 0..=u16::MAX {
            bench.half(6, field);
            bench.sum();
            let (offset, more) = (usize::from(field & 0x1fff) * 8, field & 0x2000 != 0);
            let found = bench.read(14 + usize::from(total));
            // RFC 791 3.2: no byte of a datagram lies beyond 65,535.
            let beyond = (offset > 0 || more) && offset + usize::from(total) > 65_535;
            assert_eq!(found.is_err(), beyond, "{field:#06x} {total}: {found:?}");
            let Ok(row) = found else { continue };
            assert_eq!(row.flags.has(Flags::FRAGMENT), offset > 0 || more);
            assert_eq!(row.flags.has(Flags::LATER_FRAGMENT), offset > 0);
            assert_eq!(row.flags.has(Flags::L4), offset == 0);
        }
    }
}

#[test]
fn every_tag_in_both_places() {
    let [a, b] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    for tci in 0..=u16::MAX {
        let vid = tci & 0xfff;
        for (outer, inner) in [(tci, 7), (9, tci)] {
            let stack = TagStack::double(outer, inner);
            let mut buf = [0xee; 40];
            let start = stack.write_l2(&mut buf, 30, a, b, tci, 0x0800).unwrap();
            let priority = tci & 0xf000;
            let tag = |vid: u16| (vid & 0xfff) | priority;
            let [s, c] = [tag(outer), tag(inner)].map(u16::to_be_bytes);
            let tags = [0x81, 0, s[0], s[1], 0x81, 0, c[0], c[1], 8, 0];
            assert_eq!((start, &buf[start + 12..30]), (8, &tags[..]));
            let read = vlan::read_tags(&buf[start..]).unwrap();
            assert_eq!((read.len(), read.payload(), read.ether_type), (2, 22, 0x0800));
        }
        for tpid in [0x8100, 0x88a8] {
            let mut buf = [0x11; 20];
            let start = vlan::push(&mut buf, 4, Tag { tpid, tci }).unwrap();
            let read = vlan::read_tags(&buf[start..]).unwrap();
            assert_eq!((read.tags()[0].tpid, read.tags()[0].vid()), (tpid, vid));
            assert_eq!(read.tags()[0].is_priority(), vid == 0);
            assert_eq!(vlan::pop(&mut buf, start, 1), Some(4));
        }
    }
}

/// The sum of two numbers of one's complement.
const fn plus(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

/// For every checksum and old word: the rest of the header is what makes them fit, and the sum over
/// it and the new word is the right one.
fn updates(sums: impl Iterator<Item = u16>, news: &[u16]) {
    for field in sums {
        for old in 0..=u16::MAX {
            let rest = plus(!field, !old);
            for &new in news {
                let made = !plus(rest, new);
                let kept = Delta::NONE.word(old, new).apply(field);
                let same = kept == made || (kept ^ made == 0xffff && (kept == 0 || made == 0));
                assert!(same, "{field:04x}: {old:04x} -> {new:04x} is {kept:04x}, not {made:04x}");
                let udp = Delta::NONE.word(old, new).apply_udp(field);
                let right = if field == 0 {
                    0
                } else if kept == 0 {
                    0xffff
                } else {
                    kept
                };
                assert_eq!(udp, right);
            }
        }
    }
}

#[test]
fn incremental_checksums_at_all_edges() {
    updates((0..=255).chain(0x7f80..0x8080).chain(0xff00..=0xffff), &[0, 1, 0x8000, 0xffff]);
}

#[test]
#[ignore = "a minute in release"]
fn incremental_checksums_of_every_sum_and_every_old_word() {
    updates(0..=u16::MAX, &[0, 1, 0x00ff, 0x7fff, 0x8000, 0xfffe, 0xffff]);
}

#[test]
fn every_sum_and_time_to_live() {
    for hops in [1, 2, 255] {
        for field in 0..=0xfffe_u16 {
            let before = u16::from_be_bytes([hops, 0]);
            let rest = plus(!field, !before);
            let kept = u16::from_be_bytes(checksum::less_time(field.to_be_bytes(), hops));
            let made = !plus(rest, 0);
            assert!(kept == made || (kept ^ made == 0xffff && (kept == 0 || made == 0)));
        }
    }
}

/// The frames of a target's corpus.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_truncation_and_every_single_bit_of_every_seed() {
    for target in ["parse_l2l4", "parse_diff"] {
        let check = targets::TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
        for seed in seeds(target) {
            for len in 0..seed.len() {
                check(&seed[..len]);
            }
            let mut bytes = seed.clone();
            for bit in 0..bytes.len().min(160) * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                check(&bytes);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
