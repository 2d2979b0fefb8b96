//! Is this packet plain? TCP or UDP over IPv4 without options, whole, valid by all that *validate*
//! asks, from and for an address that may be routed, with time left to live.

pub(super) use super::place::Head;
use crate::flow::Tuple;
use crate::nat::{Endpoint, WHOLE};
use crate::wire::proto;

/// Bytes of an IPv4 header without options.
const IP: usize = crate::wire::ip4::HEADER;

#[inline(always)]
fn two(head: &Head, at: usize) -> u16 {
    u16::from_be_bytes([head[at], head[at + 1]])
}

#[inline(always)]
fn four(head: &Head, at: usize) -> u32 {
    u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

/// Destination of a packet with `L2` bytes before its IPv4 header.
#[inline(always)]
pub(super) fn dst<const L2: usize>(head: &Head) -> u32 {
    four(head, L2 + 16)
}

/// Time to live of such a packet.
#[inline(always)]
pub(super) fn ttl<const L2: usize>(head: &Head) -> u8 {
    head[L2 + 8]
}

/// IP protocol number of such a packet.
#[inline(always)]
pub(super) fn protocol<const L2: usize>(head: &Head) -> u8 {
    head[L2 + 9]
}

/// Source and destination of such a packet.
#[inline(always)]
pub(super) fn ends<const L2: usize>(head: &Head) -> [Endpoint; 2] {
    let l4 = L2 + IP;
    [
        Endpoint::new(four(head, L2 + 12), two(head, l4)),
        Endpoint::new(four(head, L2 + 16), two(head, l4 + 2)),
    ]
}

/// What tells the flow of such a packet apart.
#[inline(always)]
pub(super) fn tuple<const L2: usize>(head: &Head) -> Tuple {
    let [src, dst] = ends::<L2>(head);
    let proto = protocol::<L2>(head);
    Tuple { src: src.ip, dst: dst.ip, sport: src.port, dport: dst.port, proto }
}

/// TCP's flags of a packet that begins with its IPv4 header.
#[inline(always)]
pub(super) fn tcp_flags(packet: &[u8; WHOLE]) -> u8 {
    packet[IP + 13]
}

/// Total length of such a packet if it is plain; the first byte of its header was looked at.
/// Branches and no arithmetic: all packets but a few go the same way through here.
#[inline(always)]
pub(super) fn size<const L2: usize>(head: &Head, len: u32) -> Option<u16> {
    let ip_len = two(head, L2 + 2);
    // Negative where the length does not even hold a header.
    let payload = i32::from(ip_len) - IP_SIZE;
    let l4 = L2 + IP;
    let is_plain = usize::from(ip_len) + L2 <= len as usize
        && match protocol::<L2>(head) {
            proto::TCP => {
                let header = i32::from(head[l4 + 12] >> 4) * 4;
                header >= TCP_SIZE && header <= payload
            }
            proto::UDP => {
                let size = i32::from(two(head, l4 + 4));
                size >= UDP_SIZE && size <= payload
            }
            _ => false,
        }
        && two(head, L2 + 6) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) == 0
        && ttl::<L2>(head) > 1
        && ROUTABLE[usize::from(head[L2 + 12])] & ROUTABLE[usize::from(head[L2 + 16])]
        && is_sum_right(head[L2..L2 + IP].try_into().expect("a header"));
    is_plain.then_some(ip_len)
}

/// Sizes of headers without options, in bytes.
const IP_SIZE: i32 = 20;
const TCP_SIZE: i32 = 20;
const UDP_SIZE: i32 = 8;

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

/// Whether a header that is not all zeroes sums up to nothing (RFC 1071): in any byte order, so in
/// the machine's own, and in words of any size, whose sum is then a multiple of 2^16 - 1.
#[inline(always)]
fn is_sum_right(header: &[u8; IP]) -> bool {
    let long = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().expect("eight"));
    let last = u32::from_ne_bytes(header[16..].try_into().expect("four"));
    let halves = |word: u64| (word >> 32).wrapping_add(word & 0xffff_ffff);
    let sum = halves(long(0)).wrapping_add(halves(long(8))).wrapping_add(u64::from(last));
    sum.is_multiple_of(0xffff)
}
