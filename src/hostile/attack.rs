//! Which frame comes next in an attack that needs many? Each sequence counts its steps.

use zerocopy::IntoBytes;

use super::entropy::Entropy;
use super::grammar::{self, Ends, Family, Ip4Fields, Piece};
use super::hosts::Hosts;
use super::mend::OLD_SERVICE_VLAN;
use crate::wire::arp::{ArpPacket, REPLY, REQUEST};
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::proto;
use crate::wire::vlan::{MOST_TAGS, Tag, VID};

/// Which sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// Storms of fragments: overlapping, backwards, first ones alone, beyond the end, repeated.
    Fragments,
    /// A walk over all VLANs in place of each tag, and behind and before the right ones.
    Vlan,
    /// Floods of ARP by ever new stations, and others' addresses claimed.
    Arp,
    /// Floods of ICMP errors that quote others' flows.
    Icmp,
    /// All combinations of TCP flags, flow by flow.
    Tcp,
}

/// Steps that share one datagram.
const STORM: u64 = 16;

/// A sequence and how far it is.
#[derive(Clone, Debug)]
pub struct Attack {
    sequence: Sequence,
    step: u64,
    /// Who is attacked for some steps.
    ends: Option<Ends>,
}

impl Attack {
    /// The begin of a sequence.
    pub const fn new(sequence: Sequence) -> Self {
        Self { sequence, step: 0, ends: None }
    }

    /// The next frame, of at most `max_size` bytes.
    pub fn next(&mut self, entropy: &mut Entropy<'_>, hosts: &Hosts, max_size: usize) -> Vec<u8> {
        let step = self.step;
        self.step += 1;
        let same = match self.sequence {
            Sequence::Fragments => STORM,
            Sequence::Tcp => 256,
            _ => 1,
        };
        let ends = match self.ends.take() {
            Some(ends) if !step.is_multiple_of(same) => ends,
            _ => Ends::plain(entropy, hosts),
        };
        let mut frame = match self.sequence {
            Sequence::Fragments => fragment(step, entropy, &ends, max_size),
            Sequence::Vlan => hop(step, entropy, &ends, max_size),
            Sequence::Arp => arp(step, entropy, &ends),
            Sequence::Icmp => {
                let nested = usize::from(entropy.one_in(16));
                let packet = grammar::quoting(entropy, &ends, nested, room(&ends, max_size));
                framed(&ends, ether_type::IP4, &packet)
            }
            Sequence::Tcp => flags(step, entropy, &ends, max_size),
        };
        self.ends = Some(ends);
        frame.truncate(max_size);
        grammar::sum(entropy, Family::Tcp, &mut frame);
        frame
    }
}

fn framed(ends: &Ends, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&ends.header()[..], &kind.to_be_bytes(), payload].concat()
}

fn room(ends: &Ends, max_size: usize) -> usize {
    max_size.saturating_sub(ends.header().len() + 2)
}

/// The lowest 16 bits of a counter.
fn low(step: u64) -> u16 {
    u16::try_from(step & 0xffff).expect("16 bits")
}

/// A storm of sixteen fragments after another, five forms in turn.
fn fragment(step: u64, entropy: &mut Entropy<'_>, ends: &Ends, max_size: usize) -> Vec<u8> {
    let (storm, i) = (step / STORM, low(step % STORM));
    let whole = low(STORM) - 1;
    let (offset, more, size) = match storm % 5 {
        // Each begins 8 bytes before the end of the one before it.
        0 => (2 * i, i < whole, 24),
        // The last one comes first.
        1 => (60 * (whole - i), i > 0, 480),
        // First ones of datagrams that never go on.
        2 => (0, true, 64),
        // Beyond the longest packet.
        3 => (8191 - i, i > 0, 64),
        // The same place again, with other bytes or none.
        _ => (i / 4, true, [8, 0, 16, 8][usize::from(i % 4)]),
    };
    let id = if storm % 5 == 2 { low(step) } else { low(storm) };
    let proto = [proto::UDP, proto::TCP, proto::ICMP][usize::from(low(storm / 5 % 3))];
    let own = Piece { id, proto, offset, more, size };
    let packet = grammar::piece(entropy, ends, own, room(ends, max_size));
    framed(ends, ether_type::IP4, &packet)
}

/// A small packet under the VLAN whose turn it is, in one of five places.
fn hop(step: u64, entropy: &mut Entropy<'_>, ends: &Ends, max_size: usize) -> Vec<u8> {
    let vid = low(step) & VID;
    let round = step >> 12;
    let tpids = [ether_type::VLAN, ether_type::SERVICE_VLAN, OLD_SERVICE_VLAN];
    let tag =
        Tag { tpid: tpids[usize::from(low(round / 5 % 3))], tci: vid | entropy.half() & !VID };
    let mut ends = ends.clone();
    let tags = &mut ends.tags;
    match round % 5 {
        // In place of the inner tag, of the outer one, behind them, before them, alone.
        0 => {
            tags.pop();
            tags.push(tag);
        }
        1 => {
            tags.drain(..tags.len().min(1));
            tags.insert(0, tag);
        }
        2 => tags.push(tag),
        3 => tags.insert(0, tag),
        _ => *tags = vec![tag],
    }
    tags.truncate(MOST_TAGS);
    if entropy.one_in(4) {
        let arp = ArpPacket::new(REQUEST, ends.from, ends.src, MacAddr::ZERO, ends.dst);
        return framed(&ends, ether_type::ARP, arp.as_bytes());
    }
    let body = grammar::segment(entropy, crate::wire::tcp::flag::SYN, 60);
    let fields = Ip4Fields { proto: proto::TCP, ..Ip4Fields::default() };
    let packet = fields.packet(entropy, &ends, &body);
    let mut frame = framed(&ends, ether_type::IP4, &packet);
    frame.truncate(max_size);
    frame
}

/// New stations ask and announce; known ones are impersonated.
fn arp(step: u64, entropy: &mut Entropy<'_>, ends: &Ends) -> Vec<u8> {
    let [.., a, b, c] = step.to_be_bytes();
    let station = MacAddr([2, 0xa7, 0, a, b, c]);
    // A neighbour in the /24 of those who talk here.
    let address = ends.src & !0xff | u32::from(c);
    let packet = match step % 4 {
        0 => ArpPacket::new(REQUEST, station, address, MacAddr::ZERO, ends.dst),
        1 => ArpPacket::new(REPLY, station, address, ends.to, ends.dst),
        2 => ArpPacket::new(REQUEST, station, address, MacAddr::ZERO, address),
        _ => grammar::poison(entropy, ends),
    };
    let from = if entropy.one_in(4) { ends.from } else { packet.sender_mac };
    framed(&Ends { from, ..ends.clone() }, ether_type::ARP, packet.as_bytes())
}

/// The combination of flags whose turn it is, on one flow for all 256 of them.
fn flags(step: u64, entropy: &mut Entropy<'_>, ends: &Ends, max_size: usize) -> Vec<u8> {
    let [.., flags] = step.to_be_bytes();
    let mut body = grammar::segment(entropy, flags, 60);
    let src = 1024 + low(step >> 8) % 1024;
    body[..2].copy_from_slice(&src.to_be_bytes());
    body[2..4].copy_from_slice(&443_u16.to_be_bytes());
    let fields = Ip4Fields { proto: proto::TCP, ..Ip4Fields::default() };
    let packet = fields.packet(entropy, ends, &body);
    let mut frame = framed(ends, ether_type::IP4, &packet);
    frame.truncate(max_size);
    frame
}
