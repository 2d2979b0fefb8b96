//! Super-frames: what leaves, and what is counted, is what would be had they been cut before they
//! came in.

use proptest::prelude::*;

use super::*;
use crate::frame::{Flags, Outgoing};
use crate::wire::build::{Packet, TcpFields};
use crate::wire::offload::complete_l4;
use crate::wire::segment::Segments;
use crate::wire::tcp::flag;
use crate::wire::vlan::TagStack;

const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xbb]);
const PRIVATE: TagStack = TagStack::double(1001, 200);
const MICROSOFT: TagStack = TagStack::double(1001, 300);
const ACCESS: TagStack = TagStack::single(300);
/// 50 Mbit/s; the bucket holds 10 ms, 62,500 bytes of IP.
const SLOW: (&str, &str) = ("bandwidth        = \"1 Gbps\"", "bandwidth        = \"50 Mbps\"");
const NO_GROUP: (&str, &str) = (", nsg = \"web\"", "");
const NO_FASTPATH: (&str, &str) = ("fastpath = true", "fastpath = false");

/// The frames that a device with offloads makes of what is sent to it.
pub(super) fn on_the_wire(out: &Outgoing) -> Vec<Vec<u8>> {
    if !out.is_open() {
        return vec![out.bytes().to_vec()];
    }
    cut(out.bytes(), out.header().gso_size())
}

fn cut(frame: &[u8], gso_size: u16) -> Vec<Vec<u8>> {
    if gso_size == 0 {
        let mut frame = frame.to_vec();
        complete_l4(&mut frame).unwrap();
        return vec![frame];
    }
    let segments = Segments::new(frame, gso_size).unwrap();
    let write = |i| {
        let mut out = vec![0; segments.size(i)];
        segments.write(i, &mut out).unwrap();
        out
    };
    (0..segments.len()).map(write).collect()
}

impl Lab {
    /// Sends one frame whose checksum is partial, a super-frame unless `gso_size` is 0.
    fn send_open(&mut self, port: &str, bytes: &[u8], gso_size: u16) -> Vec<(String, Vec<u8>)> {
        let port = self.port(port);
        let mut batch = Batch::new();
        let own = &mut self.workers[0];
        let mut frame = own.pool.take_long().unwrap();
        frame.all_mut()[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let row = Row {
            off: u16::try_from(HEADROOM).unwrap(),
            len: u32::try_from(bytes.len()).unwrap(),
            port,
            arrival: self.now,
            flags: Flags::PARTIAL_CHECKSUM,
            gso_size,
            ..Row::default()
        };
        batch.push(frame, row).unwrap();
        own.counters.received.add(1);
        self.run(0, &mut batch, self.enter);
        self.settle()
    }

    fn long_frames(&mut self) -> usize {
        let pool = &mut self.workers[0].pool;
        let all: Vec<_> = std::iter::from_fn(|| pool.take_long()).collect();
        let count = all.len();
        all.into_iter().for_each(|frame| pool.put(frame));
        count
    }

    /// What meters and gateways counted.
    fn figures(&self) -> Vec<[u64; 6]> {
        let counters = &self.workers[0].counters;
        let meters = (0..self.compiled.meters.len()).map(|id| {
            let meter = counters.meter(crate::ids::MeterId::from_index(id));
            [
                meter.in_packets.value(),
                meter.in_bytes.value(),
                meter.in_policed.value(),
                meter.out_packets.value(),
                meter.out_bytes.value(),
                meter.out_policed.value(),
            ]
        });
        let gateways = (0..self.compiled.tables.gateways.len()).map(|id| {
            let own = counters.gateway(crate::ids::GatewayId::from_index(id));
            [
                own.packets.value(),
                own.bytes.value(),
                own.fastpath_packets.value(),
                own.fastpath_bytes.value(),
                own.instances.iter().map(crate::sync::Counter::value).sum(),
                0,
            ]
        });
        meters.chain(gateways).collect()
    }
}

/// A way through a lab: where a packet enters, in which layer-2 header, after what.
struct Way<'a> {
    lab: &'a [(&'a str, &'a str)],
    before: Option<(&'a str, Vec<u8>)>,
    port: &'a str,
    macs: (MacAddr, MacAddr),
    tags: TagStack,
}

impl Way<'_> {
    /// Sends super-frames through one lab and their segments through another; returns the first.
    fn compare(&self, packets: &[Packet], gso_size: u16) -> Lab {
        let (mut whole, mut single) = (Lab::with(self.lab), Lab::with(self.lab));
        let long = whole.long_frames();
        for packet in packets {
            if let Some((port, frame)) = &self.before {
                for lab in [&mut whole, &mut single] {
                    lab.send(port, std::slice::from_ref(frame));
                }
            }
            let frame = packet.clone().partial_checksum();
            let frame = frame.eth(self.macs.0, self.macs.1).tags(self.tags).build();
            let left = whole.send_open(self.port, &frame, gso_size);
            let segments = cut(&frame, gso_size);
            let pieces = segments.chunks(64).flat_map(|some| single.send(self.port, some));
            let expected: Vec<_> = pieces.collect();
            assert_eq!(shown(&left), shown(&expected));
            assert!(left == expected, "the same bytes");
        }
        assert_eq!(whole.figures(), single.figures());
        assert_eq!(whole.drops(), single.drops());
        assert_eq!(whole.long_frames(), long, "long frames come home");
        whole
    }
}

fn data(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 7 + i / 251).to_le_bytes()[0]).collect()
}

fn tcp(src: [u8; 4], dst: [u8; 4], size: usize) -> Packet {
    let flags = flag::ACK | flag::PSH | flag::FIN;
    let options = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let fields = TcpFields { src: 5000, dst: 443, seq: 77, flags, options, ..TcpFields::default() };
    Packet::ip4(src, dst).df().id(9).tcp(fields, &data(size))
}

fn syn() -> Packet {
    let fields = TcpFields { src: 5000, dst: 443, flags: flag::SYN, ..TcpFields::default() };
    Packet::ip4([192, 168, 10, 25], [198, 51, 100, 9]).tcp(fields, b"")
}

fn edge(lab: &[(&str, &str)], port: &str) -> MacAddr {
    Lab::with(lab).router(port)
}

#[test]
fn a_super_frame_crosses_the_provider_edge_under_any_tags() {
    for is_ip6 in [false, true] {
        let packet = || match is_ip6 {
            false => tcp([192, 168, 1, 1], [10, 10, 1, 4], 60_000),
            true => Packet::ip6([7; 16], [9; 16]).udp(1, 2, &data(60_000)),
        };
        for (port, tags) in [("ce-1", TagStack::single(200)), ("pe-pri", PRIVATE)] {
            let way = Way { lab: &[], before: None, port, macs: (SENDER, PEER), tags };
            let lab = way.compare(&[packet(), packet()], 1428);
            assert_eq!((lab.whole, lab.drops()), (2, vec![]));
        }
    }
}

#[test]
fn a_super_frame_is_translated_both_ways() {
    let before = ("ce-1", syn().eth(SENDER, PEER).tags(ACCESS).build());
    let way = Way {
        lab: &[],
        before: Some(before.clone()),
        port: "ce-1",
        macs: (SENDER, PEER),
        tags: ACCESS,
    };
    let packet = tcp([192, 168, 10, 25], [198, 51, 100, 9], 60_000);
    assert_eq!(way.compare(&[packet], 1428).whole, 1);
    let back = TcpFields { src: 443, dst: 5000, flags: flag::ACK, ..TcpFields::default() };
    let packet = Packet::ip4([198, 51, 100, 9], [203, 0, 113, 80]).tcp(back, &data(50_001));
    let way = Way {
        lab: &[],
        before: Some(before),
        port: "pe-pri",
        macs: (PEER, SENDER),
        tags: MICROSOFT,
    };
    assert_eq!(way.compare(&[packet], 1448).whole, 1);
}

#[test]
fn a_super_frame_is_routed_past_the_gateway_and_through_it_and_back() {
    for (lab, gso_size) in [(&[NO_GROUP][..], 1428), (&[NO_GROUP, NO_FASTPATH], 1348)] {
        let macs = (SENDER, edge(lab, "msee-pri"));
        let way = Way { lab, before: None, port: "msee-pri", macs, tags: PRIVATE };
        let packet = tcp([192, 168, 1, 1], [10, 10, 1, 4], 60_000);
        let lab = way.compare(&[packet.clone(), packet], gso_size);
        assert_eq!((lab.whole, lab.drops()), (2, vec![]));
    }
    let macs = (SENDER, edge(&[], "hub"));
    let way = Way { lab: &[NO_GROUP], before: None, port: "hub", macs, tags: TagStack::UNTAGGED };
    let packet = tcp([10, 10, 1, 4], [192, 168, 50, 1], 60_000);
    assert_eq!(way.compare(&[packet], 1428).whole, 1);
}

#[test]
fn as_many_segments_pass_a_policer_as_it_has_tokens_for() {
    let lab = [SLOW, NO_GROUP];
    let macs = (SENDER, edge(&lab, "msee-pri"));
    let way = Way { lab: &lab, before: None, port: "msee-pri", macs, tags: PRIVATE };
    // 31 segments of 1,452 bytes are 45,012: of the second super-frame 12 pass.
    let packet = tcp([192, 168, 1, 1], [10, 10, 1, 4], 31 * 1400);
    let lab = way.compare(&[packet.clone(), packet.clone(), packet], 1400);
    assert_eq!((lab.whole, lab.drops()), (2, vec![("policed", 19 + 31)]));
}

#[test]
fn as_many_segments_pass_a_gateway_as_its_rates_allow() {
    let lab = [
        NO_FASTPATH,
        NO_GROUP,
        ("sku = \"ErGw3AZ\"", "sku = \"ErGw1AZ\""),
        ("bandwidth        = \"1 Gbps\"", "bandwidth        = \"10 Gbps\""),
    ];
    let macs = (SENDER, edge(&lab, "msee-pri"));
    let way = Way { lab: &lab, before: None, port: "msee-pri", macs, tags: PRIVATE };
    // 5,000 packets of 50 ms, and 6,250,000 bytes.
    for (gso_size, segments, reason) in [(500, 60, "gateway_packets"), (1348, 40, "gateway_bits")] {
        let size = usize::from(gso_size) * segments;
        let packet = tcp([192, 168, 1, 1], [10, 10, 1, 4], size);
        let lab = way.compare(&vec![packet; 5000 / segments + 1], gso_size);
        assert_eq!(lab.drops()[0].0, reason);
    }
}

#[test]
fn a_partial_checksum_of_an_ordinary_frame_stays_so_on_every_way() {
    let before = ("ce-1", syn().eth(SENDER, PEER).tags(ACCESS).build());
    let out =
        Way { lab: &[], before: Some(before), port: "ce-1", macs: (SENDER, PEER), tags: ACCESS };
    out.compare(&[tcp([192, 168, 10, 25], [198, 51, 100, 9], 200)], 0);
    for lab in [&[NO_GROUP][..], &[NO_GROUP, NO_FASTPATH], &[]] {
        let macs = (SENDER, edge(lab, "msee-pri"));
        let way = Way { lab, before: None, port: "msee-pri", macs, tags: PRIVATE };
        way.compare(&[tcp([192, 168, 1, 1], [10, 10, 1, 4], 200)], 0);
    }
}

#[test]
fn what_is_too_long_for_the_way_out_and_may_be_cut_is_cut_twice() {
    let macs = (SENDER, edge(&[NO_GROUP], "msee-pri"));
    let way = Way { lab: &[NO_GROUP], before: None, port: "msee-pri", macs, tags: PRIVATE };
    let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(1, 2, &data(4800));
    assert_eq!(way.compare(std::slice::from_ref(&packet), 1600).whole, 0);
    // The pieces cost what they cost, on a link whose tokens do not suffice.
    let lab = [SLOW, NO_GROUP];
    let macs = (SENDER, edge(&lab, "hub"));
    let way = Way { lab: &lab, before: None, port: "hub", macs, tags: TagStack::UNTAGGED };
    let packet = Packet::ip4([10, 10, 1, 4], [192, 168, 50, 1]).udp(1, 2, &data(6400));
    way.compare(&vec![packet; 8], 1600);
    // An ordinary frame gets its checksum before it is cut.
    let way = Way { lab: &[NO_GROUP], before: None, port: "hub", macs, tags: TagStack::UNTAGGED };
    way.compare(&[Packet::ip4([10, 10, 1, 4], [192, 168, 50, 1]).udp(1, 2, &data(1700))], 0);
}

#[test]
fn the_error_about_a_super_frame_quotes_its_first_segment() {
    let lab = [NO_FASTPATH, NO_GROUP];
    let router = edge(&lab, "msee-pri");
    let packet = tcp([192, 168, 1, 1], [10, 10, 1, 4], 60_000).partial_checksum();
    let frame = packet.eth(SENDER, router).tags(PRIVATE).build();
    let (mut whole, mut single) = (Lab::with(&lab), Lab::with(&lab));
    let left = whole.send_open("msee-pri", &frame, 1428);
    let segments = cut(&frame, 1428);
    let expected = single.send("msee-pri", &segments[..1]);
    assert_eq!(left.len(), 1);
    assert_eq!(shown(&left), shown(&expected));
    assert!(left == expected);
    assert_eq!(whole.drops(), [("gateway_too_big", segments.len() as u64)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nat_does_to_a_super_frame_what_it_does_to_its_segments(
        size in 1..65_000_usize, gso_size in 1100..9000_u16, flags in any::<u8>(), id: u16,
        options in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let flags = flags & !(flag::SYN | flag::RST | flag::URG);
        let fields = TcpFields { src: 5000, dst: 443, flags, options: &options, ..TcpFields::default() };
        let size = size.min(65_535 - 80);
        let packet = Packet::ip4([192, 168, 10, 25], [198, 51, 100, 9]).id(id).tcp(fields, &data(size));
        let before = Some(("ce-1", syn().eth(SENDER, PEER).tags(ACCESS).build()));
        // A segment beyond an ordinary buffer cannot be sent alone.
        let gso_size = gso_size.min(1800);
        let way = Way { lab: &[], before, port: "ce-1", macs: (SENDER, PEER), tags: ACCESS };
        way.compare(&[packet], gso_size);
    }
}
