//! Whole packets and frames from fields: for tests, the generator, the lab and golden captures.
//!
//! Lengths and checksums are right unless a method says otherwise; each kind of damage has one.
//! Building allocates, so no stage uses it. IPv4 and IPv6 share everything behind the IP header.
//!
//! ```
//! use thruway::wire::build::{Packet, TcpFields};
//! use thruway::wire::eth::MacAddr;
//! use thruway::wire::tcp::flag;
//! use thruway::wire::vlan::TagStack;
//!
//! let frame = Packet::ip4([10, 0, 0, 1], [192, 0, 2, 7])
//!     .id(7)
//!     .df()
//!     .tcp(TcpFields { src: 1025, dst: 443, seq: 9, flags: flag::SYN, ..TcpFields::default() }, b"")
//!     .eth(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]))
//!     .tags(TagStack::double(1001, 200))
//!     .build();
//! assert_eq!(
//!     thruway::wire::show(&frame),
//!     "02:00:00:00:00:01 > 02:00:00:00:00:02 s-tag 1001 c-tag 200 \
//!      IP 10.0.0.1.1025 > 192.0.2.7.443: TCP [S] seq 9 win 65535 len 0 (ttl 64 id 7 DF)"
//! );
//! ```

mod framed;
mod ip;

use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::IntoBytes;

use super::eth::{MacAddr, ether_type};
use super::icmp4::{self, Icmp4Header};
use super::offload::finish;
use super::tcp::{self, TcpHeader};
use super::udp::{self, UdpHeader};
use super::{checksum, proto};

pub use framed::{Framed, arp};
pub use ip::{Ip4, Ip6};

/// The fields of a TCP header; options are padded to whole words.
#[derive(Clone, Copy, Debug)]
pub struct TcpFields<'a> {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// See [`tcp::flag`].
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Up to 40 bytes of options; more are cut off.
    pub options: &'a [u8],
}

impl Default for TcpFields<'_> {
    fn default() -> Self {
        Self {
            src: 0,
            dst: 0,
            seq: 0,
            ack: 0,
            flags: tcp::flag::ACK,
            window: 0xffff,
            urgent: 0,
            options: &[],
        }
    }
}

/// The value of a checksum's field.
#[derive(Clone, Copy, Debug, Default)]
enum Sum {
    #[default]
    Right,
    Wrong,
    Fixed(u16),
    Partial,
}

impl Sum {
    /// The field's bytes, when `right` is the right value and `partial` the pseudo-header's sum.
    fn value(self, right: u16, partial: u16) -> [u8; 2] {
        match self {
            Sum::Right => right,
            // No two values one bit apart are the same sum.
            Sum::Wrong => right ^ 0x0100,
            Sum::Fixed(value) => value,
            Sum::Partial => partial,
        }
        .to_be_bytes()
    }
}

#[derive(Clone, Debug)]
enum Net {
    Ip4(Ip4),
    Ip6(Ip6),
}

impl Net {
    fn header(&self, proto: u8, payload_size: usize) -> Vec<u8> {
        match self {
            Net::Ip4(ip) => ip.header(proto, payload_size),
            Net::Ip6(ip) => ip.header(proto, payload_size),
        }
    }

    /// The sum of the pseudo-header for `size` bytes behind the IP header.
    fn pseudo_header(&self, proto: u8, size: usize) -> u64 {
        size as u64
            + match self {
                Net::Ip4(ip) => ip.pseudo_header(proto),
                Net::Ip6(ip) => ip.pseudo_header(proto),
            }
    }
}

macro_rules! payloads {
    ($($net:ident, $icmp:expr;)*) => {$(
        impl $net {
            /// A UDP datagram.
            pub fn udp(self, src: u16, dst: u16, payload: &[u8]) -> Packet {
                Packet::new(Net::$net(self), udp_body(src, dst, payload))
            }

            /// A TCP segment.
            pub fn tcp(self, fields: TcpFields<'_>, payload: &[u8]) -> Packet {
                Packet::new(Net::$net(self), tcp_body(fields, payload))
            }

            /// An ICMP echo request or reply, as `kind` says, or another query.
            pub fn icmp_echo(self, kind: u8, id: u16, seq: u16, payload: &[u8]) -> Packet {
                Packet::new(Net::$net(self), icmp_body($icmp, kind, 0, id, seq, payload))
            }

            /// An ICMP error: `word` is the second word of its header, and holds the MTU of
            /// fragmentation needed and packet too big.
            pub fn icmp_error(self, kind: u8, code: u8, word: u32, quoted: &[u8]) -> Packet {
                let [a, b, c, d] = word.to_be_bytes();
                let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Packet::new(Net::$net(self), icmp_body($icmp, kind, code, id, seq, quoted))
            }

            /// Any protocol with any bytes: no checksum is written.
            pub fn raw(self, proto: u8, bytes: &[u8]) -> Packet {
                let body = Body { proto, bytes: bytes.to_vec(), sum_at: None };
                Packet::new(Net::$net(self), body)
            }
        }
    )*};
}

payloads! {
    Ip4, proto::ICMP;
    Ip6, proto::ICMP6;
}

/// What an IP header carries; its checksum's field is 0 until the packet is built.
#[derive(Clone, Debug)]
struct Body {
    proto: u8,
    bytes: Vec<u8>,
    sum_at: Option<usize>,
}

fn udp_body(src: u16, dst: u16, payload: &[u8]) -> Body {
    let len = length(udp::HEADER + payload.len()).into();
    let header = UdpHeader { src: src.into(), dst: dst.into(), len, checksum: 0.into() };
    let bytes = [header.as_bytes(), payload].concat();
    Body { proto: proto::UDP, bytes, sum_at: Some(udp::CHECKSUM) }
}

fn tcp_body(fields: TcpFields<'_>, payload: &[u8]) -> Body {
    let options = padded(fields.options);
    let header = TcpHeader {
        src: fields.src.into(),
        dst: fields.dst.into(),
        seq: fields.seq.into(),
        ack: fields.ack.into(),
        data_offset: low8((tcp::HEADER + options.len()) / 4) << 4,
        flags: fields.flags,
        window: fields.window.into(),
        checksum: 0.into(),
        urgent: fields.urgent.into(),
    };
    let bytes = [header.as_bytes(), &options, payload].concat();
    Body { proto: proto::TCP, bytes, sum_at: Some(tcp::CHECKSUM) }
}

fn icmp_body(proto: u8, kind: u8, code: u8, id: u16, seq: u16, payload: &[u8]) -> Body {
    let (id, seq) = (id.into(), seq.into());
    let header = Icmp4Header { kind, code, checksum: 0.into(), id, seq };
    let bytes = [header.as_bytes(), payload].concat();
    Body { proto, bytes, sum_at: Some(icmp4::CHECKSUM) }
}

/// An IP packet in the making.
#[derive(Clone, Debug)]
pub struct Packet {
    net: Net,
    body: Body,
    sum: Sum,
}

impl Packet {
    /// Begins an IPv4 packet; addresses as [`Ipv4Addr`], four bytes or a `u32` in host order.
    pub fn ip4(src: impl Into<Ipv4Addr>, dst: impl Into<Ipv4Addr>) -> Ip4 {
        Ip4::new(src.into(), dst.into())
    }

    /// Begins an IPv6 packet.
    pub fn ip6(src: impl Into<Ipv6Addr>, dst: impl Into<Ipv6Addr>) -> Ip6 {
        Ip6::new(src.into(), dst.into())
    }

    fn new(net: Net, body: Body) -> Self {
        Self { net, body, sum: Sum::Right }
    }

    /// Writes a wrong checksum into the TCP, UDP or ICMP header.
    pub fn bad_l4_checksum(mut self) -> Self {
        self.sum = Sum::Wrong;
        self
    }

    /// Writes this checksum into the TCP, UDP or ICMP header; 0 in UDP says that there is none.
    pub fn l4_checksum(mut self, value: u16) -> Self {
        self.sum = Sum::Fixed(value);
        self
    }

    /// Leaves the TCP or UDP checksum partial, as a sender with checksum offload does.
    pub fn partial_checksum(mut self) -> Self {
        self.sum = Sum::Partial;
        self
    }

    /// Overwrites `bytes` at `offset` of the TCP, UDP or ICMP header before its checksum is
    /// computed: a wrong UDP length, a wrong data offset. Bytes beyond the packet are left out.
    pub fn l4_bytes(mut self, offset: usize, bytes: &[u8]) -> Self {
        for (to, from) in self.body.bytes.iter_mut().skip(offset).zip(bytes) {
            *to = *from;
        }
        self
    }

    /// The bytes from the IP header on.
    pub fn build(&self) -> Vec<u8> {
        let mut body = self.body.bytes.clone();
        if let Some(field) = self.body.sum_at {
            let proto = self.body.proto;
            // ICMP for IPv4 is the one protocol whose checksum has no pseudo-header.
            let pseudo_header = match proto {
                proto::ICMP => 0,
                _ => self.net.pseudo_header(proto, body.len()),
            };
            let right = finish(checksum::add(pseudo_header, &body), proto == proto::UDP);
            let value = self.sum.value(right, checksum::fold(pseudo_header));
            body[field..field + 2].copy_from_slice(&value);
        }
        let mut packet = self.net.header(self.body.proto, body.len());
        packet.append(&mut body);
        packet
    }

    /// The packet cut into IPv4 fragments with `size` bytes of payload each (rounded down to a
    /// multiple of 8, at least 8); options are copied to all. IPv6 packets stay whole.
    pub fn fragments(&self, size: usize) -> Vec<Packet> {
        let Net::Ip4(ip) = &self.net else { return vec![self.clone()] };
        let packet = self.build();
        let payload = &packet[ip.header_size()..];
        let size = (size / 8 * 8).max(8);
        let last = payload.len().div_ceil(size).saturating_sub(1);
        let cut = |(i, part): (usize, &[u8])| {
            ip.clone().fragment(length(i * size), i < last).raw(self.body.proto, part)
        };
        payload.chunks(size).enumerate().map(cut).collect()
    }

    /// Puts an Ethernet header in front.
    pub fn eth(&self, src: MacAddr, dst: MacAddr) -> Framed {
        let ether_type = match self.net {
            Net::Ip4(_) => ether_type::IP4,
            Net::Ip6(_) => ether_type::IP6,
        };
        Framed::new(src, dst, ether_type, &self.build())
    }
}

/// Up to 40 bytes of options, padded to whole words with zeros (end of list).
fn padded(options: &[u8]) -> Vec<u8> {
    let mut padded = options[..options.len().min(40)].to_vec();
    padded.resize(padded.len().next_multiple_of(4), 0);
    padded
}

/// A length field; what does not fit is written as the largest value.
fn length(size: usize) -> u16 {
    u16::try_from(size).unwrap_or(u16::MAX)
}

/// A number of words, which fits 4 bits.
fn low8(words: usize) -> u8 {
    u8::try_from(words).unwrap_or(u8::MAX)
}
