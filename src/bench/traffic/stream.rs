//! Which bytes are sent? A template for each size, and what changes from frame to frame: addresses,
//! ports, the probe, two checksums.
//!
//! The checksums are sums of what is known already: the template's part, the tuple, and what
//! writing the probe added up. Frames are IPv4 with UDP, unfragmented (DF, identification 0: RFC
//! 6864), time to live 64.

use super::flows::Flows;
use super::genome::Genome;
use super::probe::{self, Probe};
use super::{Stream, size};
use crate::wire::eth::{self, MacAddr, ether_type};
use crate::wire::vlan::{TAG, TagStack};
use crate::wire::{checksum, ip4, proto, udp};

/// IPv4 and UDP header.
const IP_UDP: usize = ip4::HEADER + udp::HEADER;
/// All headers, with two tags.
const MOST_HEADERS: usize = size::HEADERS + 2 * TAG;
/// Headers are copied in two pieces of this size, which overlap: no call for an odd length.
const PIECE: usize = 32;

const _: () = assert!(PIECE <= size::HEADERS && MOST_HEADERS <= 2 * PIECE);

/// What is in front of the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer2 {
    /// To whom.
    pub dst: MacAddr,
    /// From whom.
    pub src: MacAddr,
    /// With which tags.
    pub tags: TagStack,
}

/// A frame of one size, as far as all of them are alike.
#[derive(Clone, Debug)]
struct Template {
    headers: [u8; MOST_HEADERS],
    /// Bytes of `headers` in use.
    headers_size: usize,
    /// Bytes of the frame in a buffer.
    size: usize,
    /// Sum over the IPv4 header without addresses.
    ip_sum: u64,
    /// Sum over UDP's pseudo-header and header without addresses and ports.
    udp_sum: u64,
}

impl Template {
    fn new(layer2: &Layer2, size: u32) -> Self {
        let mut headers = [0; MOST_HEADERS];
        let l3 = eth::HEADER + layer2.tags.size();
        layer2
            .tags
            .write_l2(&mut headers, l3, layer2.dst, layer2.src, 0, ether_type::IP4)
            .expect("room for two tags");
        let tags = u32::try_from(layer2.tags.len()).expect("two at most");
        let frame_size = size::buffer(size, tags);
        let ip_size = u16::try_from(frame_size - l3).expect("a frame of 1,518 bytes at most");
        let udp_size = ip_size - u16::try_from(ip4::HEADER).expect("20");
        let ip = &mut headers[l3..l3 + IP_UDP];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&ip_size.to_be_bytes());
        ip[6..8].copy_from_slice(&ip4::DF.to_be_bytes());
        (ip[8], ip[9]) = (64, proto::UDP);
        ip[24..26].copy_from_slice(&udp_size.to_be_bytes());
        Self {
            ip_sum: checksum::add(0, &ip[..ip4::HEADER]),
            // The length counts twice: in the pseudo-header and in the header.
            udp_sum: checksum::pseudo_header(0, 0, proto::UDP, udp_size) + u64::from(udp_size),
            headers,
            headers_size: l3 + IP_UDP,
            size: frame_size,
        }
    }
}

/// The frames of one lane.
#[derive(Clone, Debug)]
pub struct Frames {
    templates: Vec<Template>,
    /// The template of each letter of the genome.
    order: Vec<usize>,
    flows: Flows,
    /// The number that is expected next, and where it stands in flows and genome.
    next: u64,
    place: u64,
    letter: usize,
}

impl Frames {
    /// Frames of these sizes and flows with this header in front.
    pub fn new(layer2: &Layer2, genome: &Genome, flows: Flows) -> Self {
        let mut sizes: Vec<u32> = Vec::new();
        let mut order = Vec::new();
        for size in genome.sizes() {
            let known = sizes.iter().position(|own| own == size);
            order.push(known.unwrap_or_else(|| {
                sizes.push(*size);
                sizes.len() - 1
            }));
        }
        let templates = sizes.iter().map(|size| Template::new(layer2, *size)).collect();
        Self { templates, order, flows, next: 0, place: 0, letter: 0 }
    }

    /// The largest frame in bytes of a buffer.
    pub fn largest(&self) -> usize {
        self.templates.iter().map(|own| own.size).max().unwrap_or_default()
    }

    /// Where frame `seq` stands in flows and genome; divides only when numbers do not follow.
    #[inline]
    fn seek(&mut self, seq: u64) -> (u64, usize) {
        if seq != self.next {
            self.place = seq % self.flows.len();
            self.letter = usize::try_from(seq % self.order.len() as u64).expect("below a length");
        }
        let at = (self.place, self.letter);
        self.next = seq + 1;
        self.place = if self.place + 1 == self.flows.len() { 0 } else { self.place + 1 };
        self.letter = if self.letter + 1 == self.order.len() { 0 } else { self.letter + 1 };
        at
    }
}

impl Stream for Frames {
    /// # Panics
    /// When the frame does not fit the buffer.
    #[inline]
    fn write(&mut self, probe: &Probe, buf: &mut [u8]) -> usize {
        let (place, letter) = self.seek(probe.seq);
        let tuple = self.flows.tuple(place);
        let template = &self.templates[self.order[letter]];
        let frame = &mut buf[..template.size];
        let (headers, payload) = frame.split_at_mut(template.headers_size);
        let payload_sum = probe.write_summed(payload);

        headers[..PIECE].copy_from_slice(&template.headers[..PIECE]);
        let second = template.headers_size - PIECE;
        headers[second..].copy_from_slice(&template.headers[second..template.headers_size]);
        let ip = headers.last_chunk_mut::<IP_UDP>().expect("IPv4 and UDP are the last headers");
        ip[12..16].copy_from_slice(&tuple.src.to_be_bytes());
        ip[16..20].copy_from_slice(&tuple.dst.to_be_bytes());
        ip[20..22].copy_from_slice(&tuple.sport.to_be_bytes());
        ip[22..24].copy_from_slice(&tuple.dport.to_be_bytes());
        let addresses = u64::from(tuple.src) + u64::from(tuple.dst);
        let sum = !checksum::fold(template.ip_sum + addresses);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let ports = u64::from(tuple.sport) + u64::from(tuple.dport);
        let sum = !checksum::fold(template.udp_sum + addresses + ports + payload_sum);
        // 0 would say that there is no checksum (RFC 768).
        let sum = if sum == 0 { 0xffff } else { sum };
        ip[26..28].copy_from_slice(&sum.to_be_bytes());
        template.size
    }

    fn flows(&self) -> u64 {
        self.flows.len()
    }
}

const _: () = assert!(probe::SIZE + size::HEADERS == 60);

#[cfg(test)]
mod tests;
