//! One frame of any family: what a network may carry, and what it should not.
//!
//! A family writes its headers with lengths that agree, and lies about one of them one time in ten
//! (`lied`); checksums come last, right nine times in ten. So a frame is mostly wrong in one place
//! alone, which is what reaches code that nothing else does.

mod arp;
mod ends;
mod fragment;
mod icmp;
mod icmp6;
mod ip4;
mod ip6;
mod junk;
mod tcp;
mod udp;

use std::fmt;

use super::entropy::Entropy;
use super::hosts::Hosts;
use super::mend;
use crate::wire::eth::ether_type;

pub(super) use arp::poison;
pub(super) use ends::Ends;
pub(super) use fragment::{Piece, piece};
pub(super) use icmp::quoting;
pub(super) use ip4::Header as Ip4Fields;
pub(super) use tcp::segment;

/// Most bytes of a frame with the MTU of Ethernet and one tag, without its check sequence.
pub const MAX_SIZE: usize = 1518;

/// Fewest bytes that Ethernet carries, without the check sequence.
const MIN_SIZE: usize = 60;

/// What a frame is, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// TCP over IPv4, with any flags and options.
    Tcp,
    /// UDP over IPv4.
    Udp,
    /// ICMP queries, and types that nobody uses.
    Icmp,
    /// ICMP errors, which quote packets.
    IcmpError,
    /// A fragment of an IPv4 packet.
    Fragment,
    /// Other protocols over IPv4.
    OtherIp4,
    /// ARP.
    Arp,
    /// IPv6 with any extension headers.
    Ip6,
    /// ICMPv6: neighbour discovery, errors, echoes.
    Icmp6,
    /// Ether types that nobody asked for.
    UnknownType,
    /// 802.3: a length where the ether type stands.
    Length,
    /// Frames that end early.
    Runt,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 12] = [
        Family::Tcp,
        Family::Udp,
        Family::Icmp,
        Family::IcmpError,
        Family::Fragment,
        Family::OtherIp4,
        Family::Arp,
        Family::Ip6,
        Family::Icmp6,
        Family::UnknownType,
        Family::Length,
        Family::Runt,
    ];

    /// One of them, those over IPv4 more often.
    pub fn choose(entropy: &mut Entropy<'_>) -> Self {
        let at = entropy.below(Self::ALL.len() + 8);
        Self::ALL.get(at).copied().unwrap_or(Self::ALL[at % 5])
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One frame of at most [`MAX_SIZE`] bytes.
pub fn frame(entropy: &mut Entropy<'_>, hosts: &Hosts) -> Vec<u8> {
    let family = Family::choose(entropy);
    frame_of(family, entropy, hosts, MAX_SIZE)
}

/// One frame of a family, of at most `max_size` bytes.
pub fn frame_of(
    family: Family,
    entropy: &mut Entropy<'_>,
    hosts: &Hosts,
    max_size: usize,
) -> Vec<u8> {
    let ends = Ends::choose(entropy, hosts);
    let mut frame = ends.header();
    let room = max_size.saturating_sub(frame.len() + 2);
    let (kind, payload) = match family {
        Family::Tcp => (ether_type::IP4, tcp::packet(entropy, &ends, room)),
        Family::Udp => (ether_type::IP4, udp::packet(entropy, &ends, room)),
        Family::Icmp => (ether_type::IP4, icmp::packet(entropy, &ends, room)),
        Family::IcmpError => (ether_type::IP4, icmp::error(entropy, &ends, room)),
        Family::Fragment => (ether_type::IP4, fragment::packet(entropy, &ends, room)),
        Family::OtherIp4 => (ether_type::IP4, junk::ip4(entropy, &ends, room)),
        Family::Arp => (ether_type::ARP, arp::packet(entropy, &ends)),
        Family::Ip6 => (ether_type::IP6, ip6::packet(entropy, &ends, room)),
        Family::Icmp6 => (ether_type::IP6, icmp6::packet(entropy, &ends, room)),
        Family::UnknownType => junk::unknown_type(entropy, room),
        Family::Length => junk::length(entropy, room),
        Family::Runt => (ether_type::IP4, udp::packet(entropy, &ends, room)),
    };
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame.truncate(max_size);
    sum(entropy, family, &mut frame);
    finish(entropy, family, &mut frame, max_size);
    frame
}

/// Writes the checksums, and nine times in ten right ones.
pub(super) fn sum(entropy: &mut Entropy<'_>, family: Family, frame: &mut [u8]) {
    let is_wrong = entropy.one_in(10);
    if is_wrong && entropy.one_in(4) {
        // As the family left them, which is none at all.
        return;
    }
    mend::sums(frame);
    let no_sum = family == Family::Udp && entropy.one_in(6);
    if let Some(at) = mend::l4_sum(frame).filter(|_| is_wrong || no_sum) {
        let other = entropy.one_of([0, 0xffff, 0x0100]);
        let field = [frame[at], frame[at + 1]];
        let value = if no_sum { 0 } else { u16::from_be_bytes(field) ^ other };
        frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
    if let Some(at) = mend::ip_packet(frame).filter(|_| is_wrong && entropy.one_in(2)) {
        // The header's sum in IPv4, some address in IPv6.
        if let Some(byte) = frame.get_mut(at + 10) {
            *byte ^= 1 << entropy.below(8);
        }
    }
}

/// Cuts runts, pads what is short, and leaves something behind the packet now and then.
fn finish(entropy: &mut Entropy<'_>, family: Family, frame: &mut Vec<u8>, max_size: usize) {
    if family == Family::Runt {
        let cut = if entropy.one_in(4) { frame.len() } else { MIN_SIZE };
        frame.truncate(entropy.below(cut));
    } else if frame.len() < MIN_SIZE && !entropy.one_in(4) {
        frame.resize(MIN_SIZE.min(max_size), 0);
    } else if entropy.one_in(16) {
        let more = entropy.below(64).min(max_size - frame.len());
        frame.extend(entropy.payload(more));
    }
}

/// The number itself, or one time in ten another one near it, at an end, or any.
pub(super) fn lied(entropy: &mut Entropy<'_>, truth: usize) -> u16 {
    let truth = u16::try_from(truth).unwrap_or(u16::MAX);
    if !entropy.one_in(10) {
        return truth;
    }
    let any = entropy.half();
    let near = u16::from(entropy.byte() % 40);
    entropy.one_of([
        0,
        u16::MAX,
        truth.wrapping_add(1),
        truth.wrapping_sub(1),
        truth.saturating_sub(near),
        truth.saturating_add(near),
        any,
    ])
}
