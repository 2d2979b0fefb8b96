//! IP headers in the making.

use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::IntoBytes;

use super::super::checksum;
use super::super::ip4::{self, Ip4Header};
use super::super::ip6::{self, Ip6Header};
use super::{Sum, length, low8, padded};

/// An IPv4 header in the making.
#[derive(Clone, Debug)]
pub struct Ip4 {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    tos: u8,
    id: u16,
    flags_fragment: u16,
    ttl: u8,
    options: Vec<u8>,
    sum: Sum,
    total_len: Option<u16>,
    version_ihl: Option<u8>,
}

impl Ip4 {
    pub(super) fn new(src: Ipv4Addr, dst: Ipv4Addr) -> Self {
        Self {
            src,
            dst,
            tos: 0,
            id: 0,
            flags_fragment: 0,
            ttl: 64,
            options: Vec::new(),
            sum: Sum::Right,
            total_len: None,
            version_ihl: None,
        }
    }

    /// Time to live; 64 unless set.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Differentiated services and ECN.
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// Identification.
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// Sets the don't-fragment bit.
    pub fn df(mut self) -> Self {
        self.flags_fragment |= ip4::DF;
        self
    }

    /// Makes the packet a fragment at `offset` bytes (rounded down to a multiple of 8), with more
    /// to follow or not.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.flags_fragment &= !(ip4::OFFSET | ip4::MF);
        self.flags_fragment |= (offset / 8) | if more { ip4::MF } else { 0 };
        self
    }

    /// Options, padded with end-of-list to whole words; up to 40 bytes, more are cut off.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = padded(options);
        self
    }

    /// Writes a wrong header checksum.
    pub fn bad_ip_checksum(mut self) -> Self {
        self.sum = Sum::Wrong;
        self
    }

    /// Writes this header checksum.
    pub fn ip_checksum(mut self, value: u16) -> Self {
        self.sum = Sum::Fixed(value);
        self
    }

    /// Writes this total length.
    pub fn total_len(mut self, total_len: u16) -> Self {
        self.total_len = Some(total_len);
        self
    }

    /// Writes this version (upper 4 bits) and header length in words (lower 4 bits).
    pub fn version_ihl(mut self, version_ihl: u8) -> Self {
        self.version_ihl = Some(version_ihl);
        self
    }

    pub(super) fn header(&self, proto: u8, payload_size: usize) -> Vec<u8> {
        let size = self.header_size();
        let header = Ip4Header {
            version_ihl: self.version_ihl.unwrap_or(0x40 | low8(size / 4)),
            tos: self.tos,
            total_len: self.total_len.unwrap_or(length(size + payload_size)).into(),
            id: self.id.into(),
            flags_fragment: self.flags_fragment.into(),
            ttl: self.ttl,
            proto,
            checksum: 0.into(),
            src: self.src.to_bits().into(),
            dst: self.dst.to_bits().into(),
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&self.options);
        let sum = self.sum.value(checksum::of(&bytes), 0);
        bytes[10..12].copy_from_slice(&sum);
        bytes
    }

    /// Bytes of the header with its options.
    pub(super) fn header_size(&self) -> usize {
        ip4::HEADER + self.options.len()
    }

    pub(super) fn pseudo_header(&self, proto: u8) -> u64 {
        checksum::pseudo_header(self.src.to_bits(), self.dst.to_bits(), proto, 0)
    }
}

/// An IPv6 header in the making.
#[derive(Clone, Debug)]
pub struct Ip6 {
    src: Ipv6Addr,
    dst: Ipv6Addr,
    traffic_class: u8,
    flow_label: u32,
    hop_limit: u8,
    extensions: Vec<(u8, Vec<u8>)>,
    payload_len: Option<u16>,
}

impl Ip6 {
    pub(super) fn new(src: Ipv6Addr, dst: Ipv6Addr) -> Self {
        Self {
            src,
            dst,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 64,
            extensions: Vec::new(),
            payload_len: None,
        }
    }

    /// Hop limit; 64 unless set.
    pub fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// Differentiated services and ECN.
    pub fn traffic_class(mut self, traffic_class: u8) -> Self {
        self.traffic_class = traffic_class;
        self
    }

    /// Flow label, 20 bits.
    pub fn flow_label(mut self, flow_label: u32) -> Self {
        self.flow_label = flow_label & 0x000f_ffff;
        self
    }

    /// Adds an extension header of type `number`; `bytes` is all of it, its first byte is
    /// overwritten with what follows.
    pub fn extension(mut self, number: u8, bytes: &[u8]) -> Self {
        self.extensions.push((number, bytes.to_vec()));
        self
    }

    /// Writes this payload length.
    pub fn payload_len(mut self, payload_len: u16) -> Self {
        self.payload_len = Some(payload_len);
        self
    }

    pub(super) fn header(&self, proto: u8, payload_size: usize) -> Vec<u8> {
        let extensions: usize = self.extensions.iter().map(|(_, bytes)| bytes.len()).sum();
        let numbers = self.extensions.iter().map(|&(number, _)| number);
        let mut next = numbers.chain([proto]);
        let header = Ip6Header {
            version_class_flow: (6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label)
                .into(),
            payload_len: self.payload_len.unwrap_or(length(extensions + payload_size)).into(),
            next_header: next.next().unwrap_or(proto),
            hop_limit: self.hop_limit,
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        let mut packet = header.as_bytes().to_vec();
        for ((_, bytes), number) in self.extensions.iter().zip(next) {
            let at = packet.len();
            packet.extend_from_slice(bytes);
            if let Some(first) = packet.get_mut(at) {
                *first = number;
            }
        }
        packet
    }

    pub(super) fn pseudo_header(&self, proto: u8) -> u64 {
        ip6::pseudo_header(&self.src.octets(), &self.dst.octets(), proto, 0)
    }
}
