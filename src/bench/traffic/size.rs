//! How long is a frame, and how many of them does a wire carry?
//!
//! A *size* counts what a wire carries: from the Ethernet header to the check sequence. Sizes are
//! those of the untagged frame; on a port with tags the same packet is 4 bytes longer for each, so
//! that what 64 bytes carry untagged takes 72 with two. Buffers hold no check sequence: 64 bytes on
//! the wire are 60 in a buffer.

use crate::wire::{eth, ip4, udp, vlan};

use super::probe;

/// Bytes of the check sequence, which no buffer holds.
pub const CHECK_SEQUENCE: u32 = 4;
/// Bytes that pass on a wire beside each frame: preamble (8) and the gap between frames (12).
pub const BESIDE: u32 = 20;
/// The smallest Ethernet frame on a wire.
pub const LEAST: u32 = 64;
/// The largest untagged one: 1,500 bytes of payload.
pub const MOST: u32 = 1518;

/// Bytes that a tag adds.
const TAG: u32 = 4;
/// Bytes of the headers in front of the payload, without tags.
pub(super) const HEADERS: usize = eth::HEADER + ip4::HEADER + udp::HEADER;

const _: () = assert!(TAG as usize == vlan::TAG);
const _: () = assert!(HEADERS + probe::SIZE + CHECK_SEQUENCE as usize == LEAST as usize);

/// Bytes on the wire of a frame of `size` bytes once it has this many tags.
pub const fn tagged(size: u32, tags: u32) -> u32 {
    size + tags * TAG
}

/// Bytes in a buffer of a frame of `size` bytes once it has this many tags.
pub const fn buffer(size: u32, tags: u32) -> usize {
    (tagged(size, tags) - CHECK_SEQUENCE) as usize
}

/// Frames a second on a link of this many bits a second, when frames of these sizes (on the wire,
/// tags included) follow each other: `bps / (8 * (size + 20))` for frames of one size.
pub fn line_rate(bits_per_second: u64, sizes: &[u32]) -> f64 {
    let bits: u64 = sizes.iter().map(|size| 8 * u64::from(size + BESIDE)).sum();
    bits_per_second as f64 * sizes.len() as f64 / bits as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABITS: [u64; 5] = [1, 10, 25, 40, 100];

    /// Frames a second at 1, 10, 25, 40 and 100 Gbit/s, as RFC 2544's arithmetic gives them.
    const TABLE: [(u32, [u64; 5]); 9] = [
        (64, [1_488_095, 14_880_952, 37_202_380, 59_523_809, 148_809_523]),
        (72, [1_358_695, 13_586_956, 33_967_391, 54_347_826, 135_869_565]),
        (128, [844_594, 8_445_945, 21_114_864, 33_783_783, 84_459_459]),
        (256, [452_898, 4_528_985, 11_322_463, 18_115_942, 45_289_855]),
        (512, [234_962, 2_349_624, 5_874_060, 9_398_496, 23_496_240]),
        (1024, [119_731, 1_197_318, 2_993_295, 4_789_272, 11_973_180]),
        (1280, [96_153, 961_538, 2_403_846, 3_846_153, 9_615_384]),
        (1518, [81_274, 812_743, 2_031_859, 3_250_975, 8_127_438]),
        (9000, [13_858, 138_580, 346_452, 554_323, 1_385_809]),
    ];

    fn whole(gigabits: u64, sizes: &[u32]) -> f64 {
        line_rate(gigabits * 1_000_000_000, sizes).floor()
    }

    #[test]
    fn line_rates_are_those_of_the_table() {
        for (size, rates) in TABLE {
            for (gigabits, rate) in GIGABITS.into_iter().zip(rates) {
                assert_eq!(whole(gigabits, &[size]), rate as f64, "{size} B, {gigabits} Gbit/s");
            }
        }
    }

    #[test]
    fn the_line_rate_of_a_mix_is_that_of_its_mean() {
        let imix: Vec<u32> = [vec![64; 7], vec![570; 4], vec![1518]].concat();
        let rates = [334_373, 3_343_736, 8_359_340, 13_374_944, 33_437_360];
        for (gigabits, rate) in GIGABITS.into_iter().zip(rates) {
            assert_eq!(whole(gigabits, &imix), f64::from(rate));
        }
    }

    #[test]
    fn tags_come_on_top() {
        assert_eq!([0, 1, 2].map(|tags| tagged(64, tags)), [64, 68, 72]);
        assert_eq!([0, 1, 2].map(|tags| buffer(64, tags)), [60, 64, 68]);
    }
}
