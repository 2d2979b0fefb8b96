//! Which queue does a frame belong to? Programs for the kernel that keep both directions of an
//! IP address pair on one queue, so that no flow is ever reordered.
//!
//! Both programs compute [`hash`] of the packet's addresses behind up to two tags, 0 for what is
//! no IP; the kernel takes it modulo the number of queues. Ports do not count: fragments and
//! ICMP errors go the way of their flow.

use super::sys::bpf::{Classic, Extended};
use crate::wire::eth::ether_type::{IP4, IP6, SERVICE_VLAN, VLAN};

/// Odd constants with well-spread bits.
const SPREAD: u32 = 0x9e37_79b1;
const MIX: u32 = 0x85eb_ca77;

/// The hash of an address pair; the same for both directions. An IPv6 address counts as the
/// exclusive or of its four words.
///
/// Each address is spread before the two are added: a sum of bare addresses is the same for all
/// pairs of two ranges that are walked in opposite directions.
pub const fn hash(src: u32, dst: u32) -> u32 {
    let mixed = spread(src).wrapping_add(spread(dst)).wrapping_mul(MIX);
    mixed ^ mixed >> 16
}

const fn spread(address: u32) -> u32 {
    let product = address.wrapping_mul(SPREAD);
    product ^ product >> 15
}

/// Where addresses stand in an IPv4 and an IPv6 header: words of the source, of the destination.
const IP4_WORDS: ([u32; 1], [u32; 1]) = ([12], [16]);
const IP6_WORDS: ([u32; 4], [u32; 4]) = ([8, 12, 16, 20], [24, 28, 32, 36]);

/// Classic BPF for a packet socket's fanout group.
///
/// The kernel runs it after it has moved the outer tag into metadata: offsets count from the
/// network header, and a second tag, if any, stands there.
pub fn fanout_program() -> Vec<Classic> {
    use classic::*;
    // Scratch words: from 0 the words of an address, then the addresses, then the header's offset.
    const SRC: u32 = 8;
    const DST: u32 = 9;
    const OFFSET: u32 = 10;
    let fold = |words: &[u32], into: u32| {
        let mut code = Vec::new();
        for (i, word) in (0..).zip(words) {
            code.extend([load_word_at_x(NETWORK.wrapping_add(*word)), store(i)]);
        }
        code.push(load_scratch(0));
        for (i, _) in (1..).zip(&words[1..]) {
            // X holds the offset of the header, so it is saved and restored around.
            code.extend([save_x(OFFSET), load_x_scratch(i), xor_x(), load_x_scratch(OFFSET)]);
        }
        code.push(store(into));
        code
    };
    let addresses = |src: &[u32], dst: &[u32]| [fold(src, SRC), fold(dst, DST)].concat();
    let ip6 = addresses(&IP6_WORDS.0, &IP6_WORDS.1);
    let ip4 = addresses(&IP4_WORDS.0, &IP4_WORDS.1);
    let skip = |code: &[Classic]| u8::try_from(code.len()).expect("blocks are short");

    let mut program = vec![
        load_half(PROTOCOL),
        jump_if(u32::from(VLAN), 3, 0),
        jump_if(u32::from(SERVICE_VLAN), 2, 0),
        load_x(0),
        jump(2),
        load_half(NETWORK + 2),
        load_x(4),
        jump_if(u32::from(IP4), 2, 0),
        jump_if(u32::from(IP6), 2 + skip(&ip4), 0),
        give(0),
    ];
    program.extend(&ip4);
    program.push(jump(u32::from(skip(&ip6))));
    program.extend(&ip6);
    program.extend([
        load_scratch(SRC),
        multiply(SPREAD),
        copy_to_x(),
        shift_right(15),
        xor_x(),
        store(SRC),
        load_scratch(DST),
        multiply(SPREAD),
        copy_to_x(),
        shift_right(15),
        xor_x(),
        load_x_scratch(SRC),
        add_x(),
        multiply(MIX),
        copy_to_x(),
        shift_right(16),
        xor_x(),
        give_a(),
    ]);
    program
}

/// eBPF for a TAP's steering, which sees whole frames.
pub fn tap_program() -> Vec<Extended> {
    use extended::*;
    let block = |src: &[u32], dst: &[u32]| -> Vec<Extended> {
        let src = src.iter().flat_map(|word| [load_word_at(L3, *word), xor(SRC, R0)]);
        let dst = dst.iter().flat_map(|word| [load_word_at(L3, *word), xor(DST, R0)]);
        src.chain(dst).collect()
    };
    let ip4 = block(&IP4_WORDS.0, &IP4_WORDS.1);
    let ip6 = block(&IP6_WORDS.0, &IP6_WORDS.1);
    let skip = |code: &[Extended]| i16::try_from(code.len()).expect("blocks are short");

    let mut program = vec![
        copy_wide(CONTEXT, R1),
        set(SRC, 0),
        set(DST, 0),
        load_half(12),
        set(L3, 14),
        jump_if(VLAN, 2),
        jump_if(SERVICE_VLAN, 1),
        jump(7),
        // One tag.
        load_half(16),
        set(L3, 18),
        jump_if(VLAN, 2),
        jump_if(SERVICE_VLAN, 1),
        jump(2),
        // Two tags.
        load_half(20),
        set(L3, 22),
        // No more tags.
        jump_if(IP4, 3),
        jump_if(IP6, 3 + skip(&ip4)),
        set(R0, 0),
        exit(),
    ];
    program.extend(&ip4);
    program.push(jump(skip(&ip6)));
    program.extend(&ip6);
    for address in [SRC, DST] {
        program.extend([
            multiply(address, SPREAD),
            copy(R0, address),
            shift_right(R0, 15),
            xor(address, R0),
        ]);
    }
    program.extend([
        copy(R0, SRC),
        add(R0, DST),
        multiply(R0, MIX),
        copy(SRC, R0),
        shift_right(SRC, 16),
        xor(R0, SRC),
        exit(),
    ]);
    program
}

/// Instructions of classic BPF (linux/filter.h): an accumulator A, an index X, 16 scratch words.
mod classic {
    use super::Classic;

    /// Added to an offset, it counts from the network header.
    pub(super) const NETWORK: u32 = 0xfff0_0000;
    /// The EtherType in the packet's metadata.
    pub(super) const PROTOCOL: u32 = 0xffff_f000;

    const fn plain(code: u16, k: u32) -> Classic {
        Classic { code, jump_true: 0, jump_false: 0, k }
    }
    pub(super) const fn load_half(at: u32) -> Classic {
        plain(0x28, at)
    }
    pub(super) const fn load_word_at_x(at: u32) -> Classic {
        plain(0x40, at)
    }
    pub(super) const fn load_scratch(word: u32) -> Classic {
        plain(0x60, word)
    }
    pub(super) const fn load_x(value: u32) -> Classic {
        plain(0x01, value)
    }
    pub(super) const fn load_x_scratch(word: u32) -> Classic {
        plain(0x61, word)
    }
    pub(super) const fn store(word: u32) -> Classic {
        plain(0x02, word)
    }
    pub(super) const fn save_x(word: u32) -> Classic {
        plain(0x03, word)
    }
    pub(super) const fn jump(over: u32) -> Classic {
        plain(0x05, over)
    }
    pub(super) const fn jump_if(value: u32, then: u8, or: u8) -> Classic {
        Classic { code: 0x15, jump_true: then, jump_false: or, k: value }
    }
    pub(super) const fn add_x() -> Classic {
        plain(0x0c, 0)
    }
    pub(super) const fn xor_x() -> Classic {
        plain(0xac, 0)
    }
    pub(super) const fn multiply(by: u32) -> Classic {
        plain(0x24, by)
    }
    pub(super) const fn shift_right(by: u32) -> Classic {
        plain(0x74, by)
    }
    pub(super) const fn copy_to_x() -> Classic {
        plain(0x07, 0)
    }
    pub(super) const fn give(value: u32) -> Classic {
        plain(0x06, value)
    }
    pub(super) const fn give_a() -> Classic {
        plain(0x16, 0)
    }
}

/// Instructions of eBPF (RFC 9669), 32-bit arithmetic.
mod extended {
    use super::Extended;

    pub(super) const R0: u8 = 0;
    pub(super) const R1: u8 = 1;
    /// Packet loads take the context from register 6.
    pub(super) const CONTEXT: u8 = 6;
    pub(super) const L3: u8 = 7;
    pub(super) const SRC: u8 = 8;
    pub(super) const DST: u8 = 9;

    const fn plain(code: u8, dst: u8, src: u8, offset: i16, value: u32) -> Extended {
        Extended { code, registers: dst | src << 4, offset, immediate: value.cast_signed() }
    }
    pub(super) const fn copy_wide(dst: u8, src: u8) -> Extended {
        plain(0xbf, dst, src, 0, 0)
    }
    pub(super) const fn copy(dst: u8, src: u8) -> Extended {
        plain(0xbc, dst, src, 0, 0)
    }
    pub(super) const fn set(dst: u8, value: u32) -> Extended {
        plain(0xb7, dst, 0, 0, value)
    }
    pub(super) const fn load_half(at: u32) -> Extended {
        plain(0x28, 0, 0, 0, at)
    }
    pub(super) const fn load_word_at(register: u8, at: u32) -> Extended {
        plain(0x40, 0, register, 0, at)
    }
    pub(super) const fn jump(over: i16) -> Extended {
        plain(0x05, 0, 0, over, 0)
    }
    pub(super) const fn jump_if(value: u16, over: i16) -> Extended {
        plain(0x15, R0, 0, over, value as u32)
    }
    pub(super) const fn add(dst: u8, src: u8) -> Extended {
        plain(0x0c, dst, src, 0, 0)
    }
    pub(super) const fn xor(dst: u8, src: u8) -> Extended {
        plain(0xac, dst, src, 0, 0)
    }
    pub(super) const fn multiply(dst: u8, by: u32) -> Extended {
        plain(0x24, dst, 0, 0, by)
    }
    pub(super) const fn shift_right(dst: u8, by: u32) -> Extended {
        plain(0x74, dst, 0, 0, by)
    }
    pub(super) const fn exit() -> Extended {
        plain(0x95, 0, 0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sys::bpf;

    #[test]
    fn both_directions_hash_alike_and_neighbours_do_not() {
        let pairs: Vec<(u32, u32)> =
            (0..256).map(|i| (0x0a00_0000 + i, 0xc633_6400 + 255 - i)).collect();
        assert!(pairs.iter().all(|&(a, b)| hash(a, b) == hash(b, a)));
        let on_first = pairs.iter().filter(|&&(a, b)| hash(a, b).is_multiple_of(2)).count();
        assert!((64..192).contains(&on_first), "{on_first} of 256 on one of two queues");
    }

    #[test]
    fn the_verifier_takes_the_tap_program() {
        match bpf::load(bpf::Kind::SocketFilter, &tap_program()) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                eprintln!("skipped: loading eBPF is not permitted here");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
