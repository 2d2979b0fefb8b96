//! Which packet does an ICMP error speak of, and how does the error look on the other side?
//!
//! The quoted packet ran the other way: in an error from outside its *source* is the NAT's, in an
//! error from inside its *destination* is the host's. So an error from outside gets the host's
//! endpoint as its quoted source, and one from inside the outside endpoint as its quoted
//! destination; the checksums of the quoted headers and of the error follow word by word.
//!
//! Type and code stay (RFC 5508 REQ-4b), the quoted transport checksum is never checked (REQ-3c),
//! and what follows the quote stays too (RFC 4884 extensions, REQ-3d). An error opens, refreshes
//! and ends nothing (REQ-6).

use std::ops::Range;

use super::session::{Endpoint, Proto, Side};
use crate::frame::{Flags, Row};
use crate::planted::{Bug, planted};
use crate::wire::checksum::{self, Delta};
use crate::wire::icmp4;
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::{proto, tcp, udp};
use zerocopy::FromBytes;

/// Where the checksum stands in an ICMP header, and the identifier.
const ICMP_CHECKSUM: usize = 2;
const ICMP_ID: usize = 4;

/// The packet that an ICMP error quotes, as far as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Quoted source address: in an error from outside, the NAT's.
    pub src: u32,
    /// Quoted destination address: in an error from inside, the host's.
    pub dst: u32,
    /// Quoted protocol, source and destination port (for an ICMP query its identifier, twice);
    /// `None` when the protocol has none, or they are not quoted.
    pub ports: Option<(Proto, u16, u16)>,
    proto: u8,
    /// Where the ICMP message stands in the buffer.
    message: Range<usize>,
    /// Where the quoted headers begin.
    ip: usize,
    l4: usize,
}

impl Quote {
    /// Reads the quote of an ICMP error; `frame` is the whole buffer. `None` when there is no
    /// valid IPv4 header in it, when the quoted packet is an ICMP error itself (RFC 1122 3.2.2:
    /// no error is about an error), or when the error is a fragment.
    pub fn of(frame: &[u8], row: &Row) -> Option<Self> {
        if row.flags.has(Flags::FRAGMENT) || !row.flags.has(Flags::L4) {
            return None;
        }
        let message = usize::from(row.l4)..usize::from(row.l3) + usize::from(row.ip_len);
        let ip = message.start + icmp4::HEADER;
        let quote = frame.get(ip..message.end)?;
        let (header, _) = Ip4Header::ref_from_prefix(quote).ok()?;
        let header_len = header.header_len();
        if header.version() != 4
            || header_len < ip4::HEADER
            || (quote.len() < header_len && !planted(Bug::QuotePastEnd))
        {
            return None;
        }
        let (src, dst) = (header.src.get(), header.dst.get());
        let rest = if header.fragment_offset() == 0 { &quote[header_len..] } else { &[] };
        let ports = match (Proto::of(header.proto), rest.first_chunk()) {
            (Some(Proto::Icmp), Some(&[kind, _, _, _, a, b, _, _])) => {
                if icmp4::is_error(kind) {
                    return None;
                }
                let id = u16::from_be_bytes([a, b]);
                icmp4::is_query(kind).then_some((Proto::Icmp, id, id))
            }
            (Some(proto), Some(&[a, b, c, d, ..])) => {
                Some((proto, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            _ => None,
        };
        Some(Self { src, dst, ports, proto: header.proto, message, ip, l4: ip + header_len })
    }

    /// Whether the checksums of the error (RFC 5508 REQ-3) and of the quoted IP header (REQ-3a)
    /// are right.
    pub(super) fn is_intact(&self, frame: &[u8]) -> bool {
        let sums_up =
            |range: Range<usize>| frame.get(range).is_some_and(|bytes| checksum::of(bytes) == 0);
        sums_up(self.message.clone()) && sums_up(self.ip..self.l4)
    }

    /// Puts `to` in place of the quoted packet's local end; `side` is the way the error goes.
    /// Without ports in the quote, only the address changes.
    pub(super) fn rewrite(&self, frame: &mut [u8], side: Side, to: Endpoint) {
        let Some(message) = frame.get_mut(self.message.clone()) else { return };
        let mut patch = Patch { message, delta: Delta::NONE };
        let (ip, l4) = (self.ip - self.message.start, self.l4 - self.message.start);
        let (address, port) = match side {
            Side::Out2In => (12, 0),
            Side::In2Out => (16, 2),
        };
        let (old, old_port) = match (side, self.ports) {
            (Side::Out2In, ports) => (self.src, ports.map(|p| p.1)),
            (Side::In2Out, ports) => (self.dst, ports.map(|p| p.2)),
        };
        let addresses = Delta::NONE.dword(old, to.ip);
        let [a, b, c, d] = to.ip.to_be_bytes();
        patch.put(ip + address, |_| u16::from_be_bytes([a, b]));
        patch.put(ip + address + 2, |_| u16::from_be_bytes([c, d]));
        patch.put(ip + 10, |sum| addresses.apply(sum));

        let ports = old_port.map_or(Delta::NONE, |old| Delta::NONE.word(old, to.port));
        let has_port = old_port.is_some();
        match self.proto {
            proto::ICMP if has_port => {
                patch.put(l4 + ICMP_ID, |_| to.port);
                patch.put(l4 + ICMP_CHECKSUM, |sum| ports.apply(sum));
            }
            proto::TCP if has_port => {
                patch.put(l4 + port, |_| to.port);
                patch.put(l4 + tcp::CHECKSUM, |sum| addresses.and(ports).apply(sum));
            }
            proto::UDP if has_port => {
                patch.put(l4 + port, |_| to.port);
                patch.put(l4 + udp::CHECKSUM, |sum| addresses.and(ports).apply_udp(sum));
            }
            _ => {}
        }
        let delta = patch.delta;
        patch.put(ICMP_CHECKSUM, |sum| delta.apply(sum));
    }
}

/// Words of an ICMP message that change, and what that means for its checksum. All offsets are
/// even, as IP header lengths are.
struct Patch<'a> {
    message: &'a mut [u8],
    delta: Delta,
}

impl Patch<'_> {
    /// Changes the word at `at`; a quote that ends before it stays as it is.
    fn put(&mut self, at: usize, change: impl FnOnce(u16) -> u16) {
        let Some(place) = self.message.get_mut(at..).and_then(|m| m.first_chunk_mut::<2>()) else {
            return;
        };
        let old = u16::from_be_bytes(*place);
        let new = change(old);
        self.delta = self.delta.word(old, new);
        *place = new.to_be_bytes();
    }
}
