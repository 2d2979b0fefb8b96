//! Is this packet plain? TCP or UDP over IPv4 without options, whole, valid by all that *validate*
//! asks, from and for an address that may be routed, with time left to live.

use super::Packet;
use super::place::HEAD;
use crate::frame::{Flags, Row};
use crate::wire::eth::{self, ether_type};
use crate::wire::{proto, tcp, udp, vlan};

/// Bytes of an IPv4 header without options.
const IP: usize = crate::wire::ip4::HEADER;

/// Writes down what the head of a frame with `L2` bytes before its IPv4 header says, and returns
/// whether the packet is plain; the first byte of that header was looked at.
#[inline(always)]
pub(super) fn read<const L2: usize>(head: &[u8; HEAD], row: &Row, packet: &mut Packet) -> bool {
    let two = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let four = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let ip_len = two(L2 + 2);
    let payload = usize::from(ip_len).wrapping_sub(IP);
    let (ttl, proto) = (head[L2 + 8], head[L2 + 9]);
    let (src, dst) = (four(L2 + 12), four(L2 + 16));
    let l4 = L2 + IP;
    let whole = match proto {
        proto::TCP => {
            let header = usize::from(head[l4 + 12] >> 4) * 4;
            (tcp::HEADER..=payload).contains(&header)
        }
        proto::UDP => (udp::HEADER..=payload).contains(&usize::from(two(l4 + 4))),
        _ => false,
    };
    *packet = Packet {
        src,
        dst,
        sport: two(l4),
        dport: two(l4 + 2),
        ip_len,
        proto,
        ttl,
        at: row.order,
        hash: packet.hash,
    };
    whole
        & (usize::from(ip_len) >= IP)
        & (L2 + usize::from(ip_len) <= row.len as usize)
        & (two(L2 + 6) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) == 0)
        & (ttl > 1)
        & ROUTABLE[usize::from(head[L2 + 12])]
        & ROUTABLE[usize::from(head[L2 + 16])]
        & is_sum_right(head[L2..L2 + IP].try_into().expect("a header"))
        & (row.flags == Flags::default())
        & (row.gso_size == 0)
}

const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// By an address's first byte: not 0/8, 127/8, nor from 224/4 on (RFC 1812 5.3.7).
static ROUTABLE: [bool; 256] = {
    let mut all = [true; 256];
    (all[0], all[127]) = (false, false);
    let mut net = 224;
    while net < 256 {
        all[net] = false;
        net += 1;
    }
    all
};

/// Whether a header sums up to nothing (RFC 1071): in any byte order, so in the machine's own.
#[inline(always)]
fn is_sum_right(header: &[u8; IP]) -> bool {
    let (words, []) = header.as_chunks::<4>() else { unreachable!("five words") };
    let sum = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum::<u64>();
    // At most five times 2^32: the first fold leaves two words and a little, the second is exact
    // where all ones is asked for.
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

impl Packet {
    /// Fills what NAT reads of the row, from a head with `L2` bytes before the IPv4 header.
    #[inline(always)]
    pub(super) fn describe<const L2: usize>(&self, head: &[u8; HEAD], row: &mut Row) {
        let two = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let size = u16::try_from(L2).expect("22 at most");
        row.l3 = row.off + size;
        row.l4 = row.l3 + u16::try_from(IP).expect("20");
        row.ether_type = ether_type::IP4;
        row.tags = u8::try_from((L2 - eth::HEADER) / vlan::TAG).expect("two at most");
        if row.tags > 0 {
            row.outer = two(eth::HEADER);
        }
        if row.tags > 1 {
            row.inner = two(eth::HEADER + vlan::TAG);
        }
        (row.src, row.dst) = (self.src, self.dst);
        (row.sport, row.dport) = (self.sport, self.dport);
        (row.ip_len, row.proto, row.ttl) = (self.ip_len, self.proto, self.ttl);
        row.tcp_flags = head[L2 + IP + 13];
        row.flags = Flags::IP4.with(Flags::L4);
    }

    /// The flow's hash.
    #[inline(always)]
    pub(super) fn hash5(&self, seed: u64) -> u32 {
        crate::flow::hash5(seed, self.src, self.dst, self.sport, self.dport, self.proto)
    }
}
