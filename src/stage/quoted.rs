//! The packet that an ICMP error quotes, as far as flows need to know it.

use zerocopy::FromBytes;

use crate::flow::Tuple;
use crate::frame::{FRAME_SIZE, Row};
use crate::wire::icmp4::{self, Icmp4Header};
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::proto;

/// The 5-tuple of the packet that the ICMP error of this row quotes; none when the quote ends
/// before its addresses.
#[inline]
pub fn tuple(frame: &[u8; FRAME_SIZE], row: &Row) -> Option<Tuple> {
    let start = usize::from(row.l4) + icmp4::HEADER;
    let end = usize::from(row.l3) + usize::from(row.ip_len);
    let quote = frame.get(start..end)?;
    let (ip, _) = Ip4Header::ref_from_prefix(quote).ok()?;
    let mut tuple =
        Tuple { src: ip.src.get(), dst: ip.dst.get(), sport: 0, dport: 0, proto: ip.proto };
    let whole = ip.flags_fragment.get() & ip4::OFFSET == 0;
    let l4 = quote.get(ip.header_len()..).filter(|_| whole);
    (tuple.sport, tuple.dport) = l4.and_then(|l4| ports(ip.proto, l4)).unwrap_or((0, 0));
    Some(tuple)
}

fn ports(protocol: u8, l4: &[u8]) -> Option<(u16, u16)> {
    match protocol {
        // RFC 792 quotes eight bytes: the ports of both stand in the first four.
        proto::TCP | proto::UDP => {
            let word = |at: usize| Some(u16::from_be_bytes([*l4.get(at)?, *l4.get(at + 1)?]));
            Some((word(0)?, word(2)?))
        }
        proto::ICMP => {
            let (icmp, _) = Icmp4Header::ref_from_prefix(l4).ok()?;
            icmp4::is_query(icmp.kind).then(|| (icmp.id.get(), icmp.id.get()))
        }
        _ => None,
    }
}
