//! What holds for any packet: our headers, builder and segments against etherparse and pnet.

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use pnet::packet::Packet as _;
use pnet::packet::ethernet::EthernetPacket;
use pnet::packet::vlan::VlanPacket;
use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::FromBytes;

use super::build::{Framed, Packet, TcpFields};
use super::checksum::{self, Delta};
use super::eth::MacAddr;
use super::ip4::Ip4Header;
use super::offload::{Place, complete_l4};
use super::segment::Segments;
use super::tcp::flag;
use super::{proto, show, vlan};

/// What an IP packet of a test carries.
#[derive(Clone, Debug)]
enum Load {
    Udp(Vec<u8>),
    Tcp(Vec<u8>, Vec<u8>),
    Echo(Vec<u8>),
    Raw(u8, Vec<u8>),
}

fn load() -> impl Strategy<Value = Load> {
    let payload = || vec(any::<u8>(), 0..300);
    prop_oneof![
        payload().prop_map(Load::Udp),
        (vec(any::<u8>(), 0..40), payload()).prop_map(|(options, data)| Load::Tcp(options, data)),
        payload().prop_map(Load::Echo),
        // From 150 on no number is an extension header of either family.
        (150..=255_u8, payload()).prop_map(|(number, data)| Load::Raw(number, data)),
    ]
}

fn tcp_fields(seed: u64, options: &[u8]) -> TcpFields<'_> {
    let bytes = seed.to_be_bytes();
    let half = |i| u16::from_be_bytes([bytes[i], bytes[i + 1]]);
    let (src, dst, window, urgent) = (half(0), half(2), half(4), half(6));
    let seq = u32::from(src) << 16 | u32::from(urgent);
    TcpFields { src, dst, seq, ack: !seq, flags: bytes[7], window, urgent, options }
}

macro_rules! carry {
    ($ip:expr, $load:expr, $seed:expr, $echo:expr) => {
        match $load {
            Load::Udp(data) => {
                let fields = tcp_fields($seed, &[]);
                $ip.udp(fields.src, fields.dst, &data)
            }
            Load::Tcp(options, data) => $ip.tcp(tcp_fields($seed, &options), &data),
            Load::Echo(data) => $ip.icmp_echo($echo, 7, 9, &data),
            Load::Raw(number, data) => $ip.raw(number, &data),
        }
    };
}

fn packet() -> impl Strategy<Value = Packet> {
    let ip4 = (any::<[u8; 8]>(), any::<(u8, u8, u16, bool)>(), vec(any::<u8>(), 0..=40));
    let ip4 = (ip4, load(), any::<u64>()).prop_map(|((ends, fields, options), load, seed)| {
        let [a, b, c, d, e, f, g, h] = ends;
        let (ttl, tos, id, df) = fields;
        let ip = Packet::ip4([a, b, c, d], [e, f, g, h]).ttl(ttl).tos(tos).id(id).options(&options);
        let ip = if df { ip.df() } else { ip };
        carry!(ip, load, seed, 8)
    });
    let ip6 = (any::<([u8; 16], [u8; 16], u8, u32)>(), load(), any::<u64>());
    let ip6 = ip6.prop_map(|((src, dst, hop_limit, label), load, seed)| {
        let ip = Packet::ip6(src, dst).hop_limit(hop_limit).flow_label(label);
        carry!(ip, load, seed, 128)
    });
    prop_oneof![3 => ip4, 1 => ip6]
}

fn frame() -> impl Strategy<Value = Framed> {
    let tag = (prop_oneof![3 => Just(0x8100_u16), 1 => Just(0x88a8)], any::<u16>());
    (packet(), any::<([u8; 6], [u8; 6])>(), vec(tag, 0..=3)).prop_map(|(packet, macs, tags)| {
        let framed = packet.eth(MacAddr(macs.0), MacAddr(macs.1));
        tags.into_iter().fold(framed, |framed, (tpid, tci)| framed.tag(tpid, tci))
    })
}

/// A frame with some bytes changed and its end cut off, mostly in its headers.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((0..80_usize, any::<u8>()), 0..4);
    (frame(), edits, any::<Option<u8>>()).prop_map(|(frame, edits, cut)| {
        let mut bytes = frame.build();
        for (at, value) in edits {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        bytes.truncate(cut.map_or(usize::MAX, usize::from));
        bytes
    })
}

/// Where `part` begins in `whole`.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// Whether etherparse finds every checksum of a frame right; a UDP checksum of 0 counts as right
/// over IPv4.
fn checksums_hold(packet: &SlicedPacket<'_>) -> bool {
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let (src, dst) = (header.source(), header.destination());
            header.to_header().calc_header_checksum() == header.header_checksum()
                && match &packet.transport {
                    Some(TransportSlice::Tcp(tcp)) => {
                        tcp.calc_checksum_ipv4(src, dst) == Ok(tcp.checksum())
                    }
                    Some(TransportSlice::Udp(udp)) => {
                        let right = udp.to_header().calc_checksum_ipv4_raw(src, dst, udp.payload());
                        udp.checksum() == 0 || right == Ok(udp.checksum())
                    }
                    Some(TransportSlice::Icmpv4(icmp)) => {
                        let right = icmp.header().icmp_type.calc_checksum(icmp.payload());
                        right == icmp.checksum()
                    }
                    _ => true,
                }
        }
        Some(NetSlice::Ipv6(ip)) => {
            let (src, dst) = (ip.header().source(), ip.header().destination());
            match &packet.transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    tcp.calc_checksum_ipv6(src, dst) == Ok(tcp.checksum())
                }
                Some(TransportSlice::Udp(udp)) => {
                    let right = udp.to_header().calc_checksum_ipv6_raw(src, dst, udp.payload());
                    right == Ok(udp.checksum())
                }
                Some(TransportSlice::Icmpv6(icmp)) => icmp.is_checksum_valid(src, dst),
                _ => true,
            }
        }
        _ => true,
    }
}

/// (TPID, TCI) pairs, the payload's EtherType and offset.
type TagsRead = (Vec<(u16, u16)>, u16, usize);

/// The tags as pnet walks them.
fn tags_of_pnet(frame: &[u8]) -> Option<TagsRead> {
    let ethernet = EthernetPacket::new(frame)?;
    let (mut ether_type, mut at) = (ethernet.get_ethertype().0, 14);
    let mut tags = Vec::new();
    while matches!(ether_type, 0x8100 | 0x88a8) && tags.len() < 3 {
        let tag = VlanPacket::new(frame.get(at..)?)?;
        let priority = u16::from(tag.get_priority_code_point().0) << 13;
        let drop = u16::from(tag.get_drop_eligible_indicator()) << 12;
        tags.push((ether_type, priority | drop | tag.get_vlan_identifier()));
        ether_type = tag.get_ethertype().0;
        at += 4;
    }
    Some((tags, ether_type, at))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_built_is_what_etherparse_reads(frame in frame()) {
        let bytes = frame.build();
        let theirs = SlicedPacket::from_ethernet(&bytes).unwrap();
        prop_assert!(checksums_hold(&theirs), "{}", show(&bytes));
        let line = show(&bytes);
        prop_assert!(!line.contains(" cksum]") || line.contains("[no cksum]"), "{line}");

        let tags = vlan::read_tags(&bytes).unwrap();
        let vids: Vec<u16> = theirs.vlan_ids().iter().map(|id| id.value()).collect();
        prop_assert_eq!(tags.tags().iter().map(|tag| tag.vid()).collect::<Vec<_>>(), vids);
        prop_assert_eq!(theirs.net.as_ref().is_some_and(NetSlice::is_ipv4), tags.ether_type == 0x0800);
        if let Some(NetSlice::Ipv4(ip)) = &theirs.net {
            let (ours, _) = Ip4Header::ref_from_prefix(&bytes[tags.payload()..]).unwrap();
            let header = ip.header();
            prop_assert_eq!(ours.src.get().to_be_bytes(), header.source());
            prop_assert_eq!(ours.dst.get().to_be_bytes(), header.destination());
            prop_assert_eq!(ours.ttl, header.ttl());
            prop_assert_eq!(ours.tos, header.dcp().value() << 2 | header.ecn().value());
            prop_assert_eq!(ours.proto, header.protocol().0);
            prop_assert_eq!(ours.id.get(), header.identification());
            prop_assert_eq!(ours.header_len(), header.slice().len());
            prop_assert_eq!(ours.total_len.get(), header.total_len());
            prop_assert_eq!(ours.flags_fragment.get() & super::ip4::DF != 0, header.dont_fragment());
        }
    }

    #[test]
    fn tags_are_those_that_pnet_and_etherparse_see(bytes in broken()) {
        let ours = vlan::read_tags(&bytes);
        let tags = ours.map(|tags| {
            let pairs = tags.tags().iter().map(|tag| (tag.tpid, tag.tci)).collect();
            (pairs, tags.ether_type, tags.payload())
        });
        prop_assert_eq!(&tags, &tags_of_pnet(&bytes));
        // etherparse knows two more protocols that may stand in front of the payload.
        if let (Some(ours), Ok(theirs)) = (ours, SlicedPacket::from_ethernet(&bytes))
            && !matches!(ours.ether_type, 0x9100 | 0x88e5)
        {
            let vlans: Vec<_> = theirs.link_exts.iter().filter_map(|ext| match ext {
                LinkExtSlice::Vlan(vlan) => Some(vlan),
                LinkExtSlice::Macsec(_) => None,
            }).collect();
            prop_assert_eq!(vlans.len(), ours.len());
            for (vlan, tag) in vlans.iter().zip(ours.tags()) {
                prop_assert_eq!(vlan.vlan_identifier().value(), tag.vid());
                prop_assert_eq!(vlan.priority_code_point().value(), tag.pcp());
            }
            if let Some(last) = vlans.last() {
                prop_assert_eq!(offset(&bytes, last.payload_slice()), ours.payload());
            }
        }
    }

    #[test]
    fn a_header_that_etherparse_finds_is_found_at_the_same_place(bytes in broken()) {
        let Ok(theirs) = SlicedPacket::from_ethernet(&bytes) else { return Ok(()) };
        let (header, payload, number) = match &theirs.transport {
            Some(TransportSlice::Tcp(tcp)) => (tcp.slice(), tcp.payload(), proto::TCP),
            Some(TransportSlice::Udp(udp)) => (udp.slice(), udp.payload(), proto::UDP),
            _ => return Ok(()),
        };
        // Behind IPv4, etherparse also passes an authentication header.
        let authenticated = match &theirs.net {
            Some(NetSlice::Ipv4(ip)) => ip.header().protocol().0 == 51,
            _ => false,
        };
        let tags = vlan::read_tags(&bytes).unwrap();
        if authenticated || tags.len() > 2 || matches!(tags.ether_type, 0x9100 | 0x88e5) {
            return Ok(());
        }
        let ours = Place::of(&bytes).unwrap();
        prop_assert_eq!(ours.proto, number);
        prop_assert_eq!(ours.l4, offset(&bytes, header));
        prop_assert_eq!(ours.payload, offset(&bytes, payload));
    }

    #[test]
    fn ports_and_flags_are_those_that_pnet_reads(
        seed: u64, options in vec(any::<u8>(), 0..40), data in vec(any::<u8>(), 0..100),
    ) {
        let ends = ([192, 0, 2, 1].into(), [198, 51, 100, 2].into());
        let fields = tcp_fields(seed, &options);
        let bytes = Packet::ip4(ends.0, ends.1).tcp(fields, &data).build();
        let tcp = pnet::packet::tcp::TcpPacket::new(&bytes[20..]).unwrap();
        prop_assert_eq!((tcp.get_source(), tcp.get_destination()), (fields.src, fields.dst));
        prop_assert_eq!((tcp.get_sequence(), tcp.get_acknowledgement()), (fields.seq, fields.ack));
        prop_assert_eq!((tcp.get_flags(), tcp.get_window()), (fields.flags, fields.window));
        prop_assert_eq!(tcp.get_urgent_ptr(), fields.urgent);
        prop_assert_eq!(tcp.payload(), &data[..]);
        let right = pnet::packet::tcp::ipv4_checksum(&tcp, &ends.0, &ends.1);
        prop_assert_eq!(tcp.get_checksum(), right);
        let (header, _) = super::tcp::TcpHeader::ref_from_prefix(&bytes[20..]).unwrap();
        prop_assert_eq!(header.header_len(), usize::from(tcp.get_data_offset()) * 4);
        prop_assert_eq!((header.src.get(), header.flags), (fields.src, fields.flags));
    }

    #[test]
    fn no_bytes_make_a_tool_panic(
        mut bytes in prop_oneof![broken(), vec(any::<u8>(), 0..200)], gso_size: u16,
    ) {
        let line = show(&bytes);
        prop_assert!(!line.is_empty() && !line.contains('\n'));
        if let Ok(segments) = Segments::new(&bytes, gso_size) {
            let mut out = [0; 2048];
            for i in 0..=segments.len() {
                prop_assert_eq!(segments.write(i, &mut out).is_some(), i < segments.len());
            }
        }
        let _ = complete_l4(&mut bytes);
    }

    #[test]
    fn completing_makes_any_checksum_right(frame in frame(), wrong: u16) {
        let mut bytes = frame.build();
        let right = bytes.clone();
        let Ok(place) = Place::of(&bytes) else { return Ok(()) };
        // Over IPv4, UDP says with 0 that there is no checksum.
        let wrong = wrong.max(1).to_be_bytes();
        bytes[place.checksum()..place.checksum() + 2].copy_from_slice(&wrong);
        complete_l4(&mut bytes).unwrap();
        prop_assert_eq!(bytes, right);
    }

    #[test]
    fn the_sum_over_any_bytes_is_the_sum_of_their_words(bytes in vec(any::<u8>(), 0..200)) {
        // RFC 1071 4.1, word by word.
        let mut sum: u32 = 0;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        prop_assert_eq!(u32::from(checksum::fold(checksum::add(0, &bytes))), sum);
    }

    #[test]
    fn an_incremental_checksum_is_the_full_one(
        mut bytes in vec(any::<u8>(), 2..120),
        edits in vec((any::<prop::sample::Index>(), any::<u32>(), any::<bool>()), 0..12),
    ) {
        // The first word is the field; an odd last byte counts as if a zero followed.
        bytes[..2].fill(0);
        let full = |bytes: &[u8]| checksum::of(&[&[0, 0], &bytes[2..]].concat());
        let before = full(&bytes);
        let mut delta = Delta::NONE;
        for (at, value, wide) in edits {
            let words = (bytes.len() - 2).div_ceil(2);
            if words == 0 {
                break;
            }
            let size = if wide { 4 } else { 2 };
            let at = 2 + at.index(words) * 2;
            let end = (at + size).min(bytes.len());
            let read = |bytes: &[u8]| {
                let mut word = [0; 4];
                word[..end - at].copy_from_slice(&bytes[at..end]);
                u32::from_be_bytes(word)
            };
            let old = read(&bytes);
            bytes[at..end].copy_from_slice(&value.to_be_bytes()[..end - at]);
            let new = read(&bytes);
            delta = if wide {
                delta.and(Delta::NONE.dword(old, new))
            } else {
                delta.word((old >> 16) as u16, (new >> 16) as u16)
            };
        }
        // Both zeros of one's complement are one sum, and only they may differ.
        let after = full(&bytes);
        let updated = delta.apply(before);
        prop_assert!(updated == after || [updated, after].iter().all(|s| matches!(s, 0 | 0xffff)));
        // UDP: none stays none, and none is never made.
        prop_assert_eq!(delta.apply_udp(0), 0);
        let field = if before == 0 { 0xffff } else { before };
        let right = if after == 0 { 0xffff } else { after };
        prop_assert_eq!(delta.apply_udp(field), right);
    }

    #[test]
    fn push_then_pop_changes_nothing(frame in frame(), tpid: bool, tci: u16) {
        let bytes = frame.build();
        let mut buf = [&[0; 8], &bytes[..]].concat();
        let tag = vlan::Tag { tpid: if tpid { 0x8100 } else { 0x88a8 }, tci };
        let start = vlan::push(&mut buf, 8, tag).unwrap();
        prop_assert_eq!(vlan::read_tags(&buf[start..]).unwrap().tags()[0], tag);
        let start = vlan::pop(&mut buf, start, 1).unwrap();
        prop_assert_eq!(&buf[start..], &bytes[..]);
    }

    #[test]
    fn fragments_hold_the_whole_payload(packet in packet(), size in 0..400_usize) {
        let whole = packet.build();
        let fragments = packet.fragments(size);
        if whole[0] >> 4 == 6 {
            return Ok(());
        }
        let mut payload = Vec::new();
        for fragment in &fragments {
            let bytes = fragment.build();
            let slice = etherparse::Ipv4Slice::from_slice(&bytes).unwrap();
            let header = slice.header();
            prop_assert_eq!(header.to_header().calc_header_checksum(), header.header_checksum());
            prop_assert_eq!(usize::from(header.fragments_offset().value()) * 8, payload.len());
            payload.extend_from_slice(&bytes[header.slice().len()..]);
            let more = payload.len() < whole.len() - header.slice().len();
            prop_assert_eq!(header.more_fragments(), more);
        }
        let header_len = usize::from(whole[0] & 0x0f) * 4;
        prop_assert_eq!(&payload[..], &whole[header_len..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn segments_put_together_are_the_payload(
        is_ip6: bool,
        is_tcp: bool,
        tags in vec(any::<u16>(), 0..=2),
        options in vec(any::<u8>(), 0..40),
        seed: u64,
        size in prop_oneof![0..3000_usize, 60_000..65_400_usize],
        gso_size in 200..9000_u16,
        partial: bool,
        fill: u8,
    ) {
        let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251).to_le_bytes()[0] ^ fill).collect();
        let load = if is_tcp { Load::Tcp(options, data.clone()) } else { Load::Udp(data.clone()) };
        let fields = tcp_fields(seed & !u64::from(flag::SYN | flag::RST | flag::URG), &[]);
        let seed = seed & !u64::from(flag::SYN | flag::RST | flag::URG);
        let packet = if is_ip6 {
            carry!(Packet::ip6([7; 16], [9; 16]), load, seed, 128)
        } else {
            carry!(Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).id(fields.window), load, seed, 8)
        };
        let packet = if partial { packet.partial_checksum() } else { packet };
        let framed = packet.eth(MacAddr([2; 6]), MacAddr([4; 6]));
        let framed = tags.iter().fold(framed, |framed, &tci| framed.tag(0x8100, tci)).pad(60);
        let frame = framed.build();

        let segments = Segments::new(&frame, gso_size).unwrap();
        let mut joined = Vec::new();
        let mut out = [0; 9200];
        for i in 0..segments.len() {
            let written = segments.write(i, &mut out).unwrap();
            let segment = &out[..written];
            prop_assert_eq!(&segment[..12 + tags.len() * 4], &frame[..12 + tags.len() * 4]);
            let theirs = SlicedPacket::from_ethernet(segment).unwrap();
            prop_assert!(checksums_hold(&theirs), "{}", show(segment));
            let is_last = i + 1 == segments.len();
            let payload = match &theirs.transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    let begin = u32::try_from(joined.len()).unwrap();
                    prop_assert_eq!(tcp.sequence_number(), fields.seq.wrapping_add(begin));
                    prop_assert_eq!(tcp.fin(), is_last && fields.flags & flag::FIN != 0);
                    prop_assert_eq!(tcp.psh(), is_last && fields.flags & flag::PSH != 0);
                    prop_assert_eq!(tcp.cwr(), i == 0 && fields.flags & flag::CWR != 0);
                    prop_assert_eq!(tcp.ack(), fields.flags & flag::ACK != 0);
                    tcp.payload()
                }
                Some(TransportSlice::Udp(udp)) => {
                    prop_assert_eq!(usize::from(udp.length()), 8 + udp.payload().len());
                    udp.payload()
                }
                other => panic!("no transport: {other:?}"),
            };
            if let Some(NetSlice::Ipv4(ip)) = &theirs.net {
                let id = fields.window.wrapping_add(u16::try_from(i).unwrap());
                prop_assert_eq!(ip.header().identification(), id);
            }
            prop_assert_eq!(offset(segment, payload) + payload.len(), written);
            prop_assert!(is_last || payload.len() == usize::from(gso_size));
            joined.extend_from_slice(payload);
        }
        prop_assert_eq!(joined, data);
    }
}
