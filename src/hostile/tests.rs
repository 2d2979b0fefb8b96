//! etherparse is the independent reader: what it makes of frames, and what it would have written.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use etherparse::{
    EtherType, LaxSlicedPacket, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};
use proptest::prelude::*;

use super::attack::{Attack, Sequence};
use super::grammar::{self, Family, MAX_SIZE};
use super::{Entropy, Hosts, Kind, Lane, Numbers, Sizes, Stream, mend, mutate};
use crate::wire::eth::MacAddr;
use crate::wire::vlan::Tag;

const CE: MacAddr = MacAddr([2, 0, 0, 0, 0xce, 1]);
const EDGE: MacAddr = MacAddr([2, 0, 0, 0, 1, 1]);

fn hosts() -> Hosts {
    let pair = (Ipv4Addr::new(172, 16, 0, 1), Ipv4Addr::new(10, 10, 1, 4));
    let lane = |vids: &[u16]| Lane {
        tags: vids.iter().map(|vid| Tag { tpid: 0x8100, tci: *vid }).collect(),
        macs: vec![(CE, EDGE)],
        ip4: vec![pair, (Ipv4Addr::new(192, 168, 10, 1), pair.1)],
        ip6: Vec::new(),
    };
    Hosts::new(vec![lane(&[]), lane(&[200]), lane(&[501, 200])])
}

/// Frames of a seed by one maker.
fn frames(
    seed: u64,
    len: usize,
    mut make: impl FnMut(&mut Entropy<'_>) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut numbers = Numbers::new(seed);
    let frame = |_| {
        let mut choices = [0; 512];
        numbers.fill(&mut choices);
        let mut entropy = Entropy::new(&choices);
        let frame = make(&mut entropy);
        assert!(!entropy.is_empty(), "more choices than a stream gives");
        frame
    };
    (0..len).map(frame).collect()
}

fn captured() -> Vec<Vec<u8>> {
    frames(1, 50, |entropy| grammar::frame(entropy, &hosts()))
}

proptest! {
    #[test]
    fn any_bytes_make_a_frame_that_is_not_too_long(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        max_size in 0_usize..1600,
    ) {
        let known = hosts();
        for hosts in [&known, &Hosts::default()] {
            for family in Family::ALL {
                let mut entropy = Entropy::new(&bytes);
                let frame = grammar::frame_of(family, &mut entropy, hosts, max_size);
                prop_assert!(frame.len() <= max_size, "{family}: {}", frame.len());
            }
        }
        prop_assert!(grammar::frame(&mut Entropy::new(&bytes), &known).len() <= MAX_SIZE);
    }

    #[test]
    fn any_bytes_go_on_with_any_attack(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        max_size in 0_usize..1600,
        steps in 1_usize..40,
    ) {
        for sequence in [
            Sequence::Fragments, Sequence::Vlan, Sequence::Arp, Sequence::Icmp, Sequence::Tcp,
        ] {
            let mut attack = Attack::new(sequence);
            let mut entropy = Entropy::new(&bytes);
            for _ in 0..steps {
                let frame = attack.next(&mut entropy, &hosts(), max_size);
                prop_assert!(frame.len() <= max_size, "{sequence:?}: {}", frame.len());
            }
        }
    }

    #[test]
    fn any_bytes_change_any_frame(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        captured in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4),
        max_size in 0_usize..200,
    ) {
        let frame = mutate::frame(&mut Entropy::new(&bytes), &captured, max_size);
        prop_assert!(frame.len() <= max_size);
    }

    #[test]
    fn mending_is_for_any_bytes_and_twice_is_once(
        mut frame in prop::collection::vec(any::<u8>(), 0..200),
        kind in prop::sample::select(vec![[8, 0], [0x86, 0xdd], [0x81, 0], [0x91, 0]]),
    ) {
        if let Some(place) = frame.get_mut(12..14) {
            place.copy_from_slice(&kind);
        }
        mend(&mut frame);
        let once = frame.clone();
        mend(&mut frame);
        prop_assert_eq!(frame, once);
    }
}

/// Packets that etherparse wrote, behind no tag, one and two.
fn written() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let payload = [7; 33];
    for tags in 0..3 {
        macro_rules! write {
            ($way:ident($($ip:expr),*).$l4:ident($($arg:expr),*)) => {{
                let l2 = PacketBuilder::ethernet2(CE.0, EDGE.0);
                let l3 = match tags {
                    0 => l2.$way($($ip),*),
                    1 => l2.single_vlan(etherparse::VlanId::try_new(200).unwrap()).$way($($ip),*),
                    _ => {
                        let [a, b] = [501, 200].map(|v| etherparse::VlanId::try_new(v).unwrap());
                        l2.double_vlan(a, b).$way($($ip),*)
                    }
                };
                let mut frame = Vec::new();
                l3.$l4($($arg),*).write(&mut frame, &payload).unwrap();
                all.push(frame);
            }};
        }
        write!(ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64).udp(1, 2));
        write!(ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64).tcp(1, 2, 3, 4));
        write!(ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64).icmpv4_echo_request(1, 2));
        write!(ipv6([1; 16], [2; 16], 64).udp(1, 2));
        write!(ipv6([1; 16], [2; 16], 64).tcp(1, 2, 3, 4));
        write!(ipv6([1; 16], [2; 16], 64).icmpv6_echo_request(1, 2));
    }
    all
}

#[test]
fn mended_lengths_and_sums_are_those_that_etherparse_writes() {
    for right in written() {
        let mut frame = right.clone();
        let l3 = mend::ip_packet(&frame).unwrap();
        let l4 = mend::l4_sum(&frame).unwrap();
        frame[l4..l4 + 2].copy_from_slice(&[0xde, 0xad]);
        if frame[l3] >> 4 == 4 {
            frame[l3 + 2..l3 + 4].fill(0xee);
            frame[l3 + 10..l3 + 12].fill(0xee);
        } else {
            frame[l3 + 4..l3 + 6].fill(0xee);
        }
        assert_ne!(frame, right);
        mend(&mut frame);
        assert_eq!(frame, right);
    }
}

#[test]
fn the_packet_that_an_error_quotes_is_mended_before_the_error() {
    let quoted = written().remove(0)[14..].to_vec();
    let mut right = Vec::new();
    let error = etherparse::Icmpv4Type::TimeExceeded(
        etherparse::icmpv4::TimeExceededCode::TtlExceededInTransit,
    );
    PacketBuilder::ethernet2(CE.0, EDGE.0)
        .ipv4([1, 2, 3, 4], [5, 6, 7, 8], 64)
        .icmpv4(error)
        .write(&mut right, &quoted)
        .unwrap();
    let mut frame = right.clone();
    // The quoted header's sum, its UDP sum, and the error's own.
    for at in [14 + 20 + 8 + 10, 14 + 20 + 8 + 20 + 6, 14 + 20 + 2] {
        frame[at] ^= 0x55;
    }
    mend(&mut frame);
    assert_eq!(frame, right);
}

/// What etherparse sees in a frame, as a family.
fn family(frame: &[u8]) -> Option<Family> {
    if frame.len() < 14 {
        return Some(Family::Runt);
    }
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let kind = match (packet.link_exts.last(), &packet.link) {
        (Some(last), _) => last.payload()?.ether_type,
        (None, Some(LinkSlice::Ethernet2(eth))) => eth.ether_type(),
        _ => return None,
    };
    let proto = match &packet.net {
        Some(etherparse::LaxNetSlice::Ipv4(ip)) => {
            if ip.payload().fragmented {
                return Some(Family::Fragment);
            }
            ip.header().protocol().0
        }
        Some(etherparse::LaxNetSlice::Ipv6(_)) => {
            let icmp = matches!(packet.transport, Some(TransportSlice::Icmpv6(_)));
            return Some(if icmp { Family::Icmp6 } else { Family::Ip6 });
        }
        Some(etherparse::LaxNetSlice::Arp(_)) => return Some(Family::Arp),
        None if kind.0 < 1536 => return Some(Family::Length),
        None if ![EtherType::IPV4, EtherType::IPV6, EtherType::ARP].contains(&kind) => {
            return Some(Family::UnknownType);
        }
        None => return None,
    };
    Some(match (proto, packet.transport) {
        (6, _) => Family::Tcp,
        (17, _) => Family::Udp,
        (1, Some(TransportSlice::Icmpv4(icmp))) if [3, 4, 5, 11, 12].contains(&icmp.type_u8()) => {
            Family::IcmpError
        }
        (1, _) => Family::Icmp,
        _ => Family::OtherIp4,
    })
}

#[test]
fn every_family_occurs_in_the_frames_of_one_seed() {
    let mut seen = BTreeMap::new();
    for frame in frames(7, 10_000, |entropy| grammar::frame(entropy, &hosts())) {
        *seen.entry(family(&frame)).or_insert(0) += 1;
    }
    for family in Family::ALL {
        let count = seen.get(&Some(family)).copied().unwrap_or(0);
        assert!(count >= 100, "{family} {count} times: {seen:?}");
    }
}

/// Whether etherparse takes the whole frame, and every checksum in it is right.
fn is_accepted(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { return false };
    let header = ip.header().to_header();
    header.calc_header_checksum() == header.header_checksum
        && match &packet.transport {
            Some(TransportSlice::Udp(udp)) => {
                let own = udp.to_header();
                let right = own.calc_checksum_ipv4(&header, udp.payload());
                own.checksum == 0 || right.is_ok_and(|right| right == own.checksum)
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let right = tcp.calc_checksum_ipv4(header.source, header.destination);
                right.is_ok_and(|sum| sum == tcp.checksum())
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                let sum = etherparse::checksum::Sum16BitWords::new().add_slice(icmp.slice());
                sum.ones_complement() == 0
            }
            _ => true,
        }
}

#[test]
fn most_frames_over_ip4_are_right_but_for_who_sends_them() {
    for family in [
        Family::Tcp,
        Family::Udp,
        Family::Icmp,
        Family::IcmpError,
        Family::Fragment,
        Family::OtherIp4,
    ] {
        let all = frames(3, 2000, |entropy| grammar::frame_of(family, entropy, &hosts(), MAX_SIZE));
        let accepted = all.iter().filter(|frame| is_accepted(frame)).count();
        println!("{family}: {} %", accepted / 20);
        assert!((1200..1950).contains(&accepted), "{family}: {accepted} of 2000");
    }
}

fn stream(seed: u64, kinds: &[Kind]) -> Stream {
    Stream::new(seed, kinds, hosts(), captured(), Sizes { min: 14, max: 1514 })
}

#[test]
fn a_seed_makes_the_same_frames_and_another_seed_others() {
    let take = |seed| {
        let mut stream = stream(seed, &Kind::ALL);
        (0..3000).map(|_| stream.next_frame()).collect::<Vec<_>>()
    };
    let frames = take(5);
    assert!(frames == take(5) && frames != take(6));
    for kind in Kind::ALL {
        let own = frames.iter().filter(|(own, _)| *own == kind).count();
        assert!(own > 300, "{kind}: {own}");
    }
    assert!(frames.iter().all(|(_, frame)| (14..=1514).contains(&frame.len())));
}

#[test]
fn a_walk_over_vlans_visits_all_of_them() {
    let mut stream = stream(1, &[Kind::Vlan]);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4096 {
        let (_, frame) = stream.next_frame();
        // In place of the inner tag first; every lane has the walked one innermost.
        let tags = crate::wire::vlan::read_tags(&frame).unwrap();
        seen.extend(tags.tags().last().map(|tag| tag.vid()));
    }
    assert_eq!(seen.len(), 4096);
}

#[test]
fn tcp_flags_are_walked_flow_by_flow() {
    let mut stream = stream(1, &[Kind::Tcp]);
    let mut flows: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for _ in 0..1024 {
        let (_, frame) = stream.next_frame();
        let Ok(packet) = SlicedPacket::from_ethernet(&frame) else { continue };
        let Some(NetSlice::Ipv4(ip)) = packet.net else { continue };
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { continue };
        let ports = [tcp.source_port().to_be_bytes(), tcp.destination_port().to_be_bytes()];
        let key = [&ip.header().source()[..], &ip.header().destination(), &ports.concat()].concat();
        *flows.entry(key).or_default() += 1;
    }
    // Where a length lies, etherparse reads no ports, or others.
    flows.retain(|_, count| *count > 128);
    assert_eq!(flows.len(), 4, "{flows:?}");
}

#[test]
fn without_captured_frames_nothing_is_mutated() {
    let mut stream =
        Stream::new(1, &[Kind::Mutated], hosts(), Vec::new(), Sizes { min: 60, max: 200 });
    for _ in 0..100 {
        let (kind, frame) = stream.next_frame();
        assert!(kind == Kind::Grammar && (60..=200).contains(&frame.len()));
    }
}
