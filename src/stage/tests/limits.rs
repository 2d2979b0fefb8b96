//! Policing, metering, SKU limits, MTU and the rate limit of ICMP errors.

use super::*;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::vlan::TagStack;

const PRIVATE: TagStack = TagStack::double(1001, 200);
const MICROSOFT: TagStack = TagStack::double(1001, 300);

/// 50 Mbit/s; the bucket holds 10 ms, 62,500 bytes of IP.
const SLOW: (&str, &str) = ("bandwidth        = \"1 Gbps\"", "bandwidth        = \"50 Mbps\"");
const NO_GROUP: (&str, &str) = (", nsg = \"web\"", "");

fn udp(size: usize) -> Packet {
    Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(1, 2, &vec![7; size - 28])
}

#[test]
fn a_link_passes_its_burst_and_then_its_rate() {
    let mut lab = Lab::with(&[SLOW, NO_GROUP]);
    let router = lab.router("msee-pri");
    let frame = udp(1250).eth(SENDER, router).tags(PRIVATE).build();
    let left = lab.send("msee-pri", &vec![frame.clone(); 60]);
    assert_eq!(left.len(), 50, "62,500 bytes of 1,250 each");
    assert_eq!(lab.drops(), [("policed", 10)]);
    // 1,250 bytes are 200 us of 50 Mbit/s.
    lab.now = lab.now + Span::micros(199);
    assert_eq!(lab.send("msee-pri", std::slice::from_ref(&frame)).len(), 0);
    lab.now = lab.now + Span::micros(1);
    assert_eq!(lab.send("msee-pri", &[frame]).len(), 1);
    let [packets, bytes, policed, ..] = lab.meter("contoso private primary");
    assert_eq!((packets, bytes, policed), (51, 51 * 1250, 11), "what was policed is not metered");
}

#[test]
fn each_link_and_direction_has_the_whole_bandwidth() {
    let mut lab = Lab::with(&[SLOW, NO_GROUP]);
    for port in ["msee-pri", "msee-sec"] {
        let frame = udp(1250).eth(SENDER, lab.router(port)).tags(PRIVATE).build();
        assert_eq!(lab.send(port, &vec![frame; 60]).len(), 50);
    }
    let packet = Packet::ip4([10, 10, 1, 4], [192, 168, 50, 1]).udp(1, 2, &[7; 1222]);
    let frame = packet.eth(SENDER, lab.router("hub")).build();
    assert_eq!(lab.send("hub", &vec![frame; 60]).len(), 50, "towards on-premises");
    let secondary = lab.meter("contoso private secondary");
    let primary = lab.meter("contoso private primary");
    assert_eq!([primary[3] + secondary[3], primary[4] + secondary[4]], [50, 62_500]);
    assert_eq!(primary[5] + secondary[5], 10);
}

#[test]
fn peerings_share_a_links_bandwidth_and_each_has_its_own_meter() {
    let mut lab = Lab::with(&[SLOW, NO_GROUP]);
    let router = lab.router("msee-pri");
    let private = udp(1250).eth(SENDER, router).tags(PRIVATE).build();
    let service = Packet::ip4([203, 0, 113, 64], [198, 51, 100, 1]).icmp_echo(8, 1, 1, &[7; 1222]);
    let service = service.eth(SENDER, router).tags(MICROSOFT).build();
    let frames: Vec<_> = (0..30).flat_map(|_| [private.clone(), service.clone()]).collect();
    assert_eq!(lab.send("msee-pri", &frames).len(), 50);
    assert_eq!(lab.meter("contoso private primary")[2], 5);
    assert_eq!(lab.meter("contoso microsoft primary")[2], 5);
}

#[test]
fn ethernets_padding_costs_nothing_where_ip_is_counted() {
    let mut lab = Lab::with(&[SLOW, NO_GROUP]);
    let frame = udp(28).eth(SENDER, lab.router("msee-pri")).tags(PRIVATE).pad(60).build();
    assert_eq!(lab.send("msee-pri", &[frame]).len(), 1);
    assert_eq!(lab.meter("contoso private primary")[..2], [1, 28]);
}

#[test]
fn control_traffic_of_the_link_is_not_dropped_at_the_provider_and_no_other_passes_for_it() {
    let mut lab = Lab::with(&[SLOW]);
    let peer = MacAddr([2, 0, 0, 0, 0, 0xbb]);
    let access = |packet: Packet, vid| packet.eth(SENDER, peer).tags(TagStack::single(vid)).build();
    let bulk = access(udp(1250), 200);
    assert_eq!(lab.send("ce-1", &vec![bulk; 60]).len(), 50);
    let bgp = TcpFields { src: 40_000, dst: 179, ..TcpFields::default() };
    for (vid, net) in [(200, [172, 16, 0]), (300, [203, 0, 113])] {
        let ip = |last: u8| [net[0], net[1], net[2], last];
        let control = [
            access(Packet::ip4(ip(1), ip(2)).ttl(1).tcp(bgp, &[7; 1200]), vid),
            access(Packet::ip4(ip(1), ip(2)).ttl(255).udp(49_152, 3784, &[7; 1200]), vid),
            crate::wire::build::arp(1, SENDER, ip(1), MacAddr::ZERO, ip(2))
                .tags(TagStack::single(vid))
                .build(),
        ];
        assert_eq!(lab.send("ce-1", &control).len(), 3, "{vid}");
    }
    let far = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).tcp(bgp, &[7; 1200]);
    assert_eq!(lab.send("ce-1", &[access(far, 200)]), [], "BGP between others is no control");
}

#[test]
fn a_gateways_packets_and_new_flows_run_out() {
    // ErGw1AZ: 100,000 packets and 12,500 new flows a second; the buckets hold 50 ms.
    let mut lab = Lab::with(&[
        ("fastpath = true", "fastpath = false"),
        NO_GROUP,
        ("sku = \"ErGw3AZ\"", "sku = \"ErGw1AZ\""),
    ]);
    let limits = lab.model.vnets[0].gateway.as_ref().unwrap().sku.limits();
    let burst = usize::try_from(limits.packets_per_second * 50 / 1000).unwrap();
    let frame = udp(60).eth(SENDER, lab.router("msee-pri")).tags(PRIVATE).build();
    let mut passed = 0;
    for _ in 0..burst / 64 + 2 {
        passed += lab.send("msee-pri", &vec![frame.clone(); 64]).len();
    }
    assert_eq!(passed, burst);
    assert_eq!(lab.drops()[0].0, "gateway_packets");
}

#[test]
fn a_gateways_new_flows_and_bits_run_out_by_their_own_names() {
    // ErGw1AZ: 7,000 new flows and 1 Gbit a second; the buckets hold 50 ms: 350, and 6,250,000 bytes.
    let mut lab = Lab::with(&[
        ("fastpath = true", "fastpath = false"),
        NO_GROUP,
        ("sku = \"ErGw3AZ\"", "sku = \"ErGw1AZ\""),
        ("bandwidth        = \"1 Gbps\"", "bandwidth        = \"10 Gbps\""),
    ]);
    let router = lab.router("msee-pri");
    let flow = |port: u16, size: usize| {
        let packet =
            Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(port, 2, &vec![7; size - 28]);
        packet.eth(SENDER, router).tags(PRIVATE).build()
    };
    let first: Vec<_> = (0..360).map(|port| flow(port, 60)).collect();
    let passed: usize = first.chunks(60).map(|some| lab.send("msee-pri", some).len()).sum();
    assert_eq!(passed, 350);
    assert_eq!(lab.drops(), [("gateway_new_flows", 10)]);
    // The first packets took 350 times 60 bytes; what is left is 4,449 times 1,400.
    let more = vec![flow(0, 1400); 60];
    let passed: usize = (0..75).map(|_| lab.send("msee-pri", &more).len()).sum();
    assert_eq!(passed, 4449);
    assert!(lab.drops().contains(&("gateway_bits", 75 * 60 - 4449)), "{:?}", lab.drops());
}

#[test]
fn a_gateway_knows_as_many_flows_as_its_sku_and_new_ones_once_old_ones_are_idle() {
    // ErGwScale of one unit: 100,000 flows, 7,000 new ones a second; flows live for 240 s.
    let text = lab_with(&[
        ("fastpath = true", "fastpath = false"),
        NO_GROUP,
        ("sku = \"ErGw3AZ\"", "sku = \"ErGwScale\", units = 1"),
    ]);
    let mut lab = Lab::sized(&text, 2, super::super::state::Sizes::default());
    let router = lab.router("msee-pri");
    let flow = |number: usize| {
        let (host, port) = (u8::try_from(number / 50_000).unwrap(), number % 50_000);
        let packet = Packet::ip4([192, 168, 1, host], [10, 10, 1, 4]);
        let packet = packet.udp(u16::try_from(port).unwrap(), 2, b"");
        packet.eth(SENDER, router).tags(PRIVATE).build()
    };
    let open = |lab: &mut Lab, first: usize, frames: usize| {
        // 64 new flows are 9.2 ms of the rate.
        lab.now = lab.now + Span::millis(10);
        let frames: Vec<_> = (first..first + frames).map(flow).collect();
        lab.send_at(first / 64 % 2, "msee-pri", &frames).len()
    };
    let opened: usize = (0..100_032).step_by(64).map(|first| open(&mut lab, first, 64)).sum();
    assert_eq!(opened, 100_000, "over both workers");
    assert_eq!(lab.drops(), [("gateway_flows", 32)]);
    assert_eq!(open(&mut lab, 0, 64), 64, "known ones pass");

    // 15.64 s were spent so far. All but the first 64 flows are idle before those are.
    lab.now = lab.now + Span::secs(239);
    assert_eq!(open(&mut lab, 0, 64), 64);
    lab.now = lab.now + Span::secs(2);
    assert_eq!(open(&mut lab, 200_000, 64), 64);
    lab.now = lab.now + Span::secs(239);
    assert_eq!(open(&mut lab, 0, 64), 64, "they were never idle for so long");
    let gateway = lab.compiled.tables.gateways[0].limits.as_ref().unwrap();
    assert_eq!(gateway.flows.known(lab.now), 128);
    assert_eq!(lab.drops(), [("gateway_flows", 32)]);
}

#[test]
fn packets_over_the_way_outs_mtu_are_cut_and_pay_for_what_leaves() {
    const BURST: u64 = 62_500;
    // Bytes behind two tags (22) on each layer; a frame has 60 at least and takes 24 more.
    let l3: fn(u64) -> u64 = |frame| frame - 22;
    let l2: fn(u64) -> u64 = |frame| frame;
    let l1: fn(u64) -> u64 = |frame| frame.max(60) + 24;
    // A record-route option stays with the first piece, a loose source route goes with each
    // (RFC 791 3.1).
    let (stays, goes) = (&[7, 7, 4, 0, 0, 0, 0, 0][..], &[131, 7, 4, 0, 0, 0, 0, 0][..]);
    for (layer, cost) in [("l3", l3), ("l2", l2), ("l1", l1)] {
        let policing = format!("burst_bytes = {BURST}, accounting = \"{layer}\"");
        let policing = ("burst_ms = 10, accounting = \"l3\"", policing.as_str());
        // One byte in the second piece, many, options.
        for (payload, options) in [(1481, &[][..]), (1800, &[]), (1580, stays), (1580, goes)] {
            let case = format!("{layer}, {payload} bytes, options {options:?}");
            let mut lab = Lab::with(&[SLOW, NO_GROUP, policing]);
            let ip = Packet::ip4([10, 10, 1, 4], [192, 168, 50, 1]).id(5).options(options);
            let frame = ip.udp(1, 2, &vec![7; payload - 8]).eth(SENDER, lab.router("hub"));
            let left = lab.send("hub", &vec![frame.build(); 60]);
            let sizes: Vec<u64> = left.iter().map(|(_, bytes)| bytes.len() as u64).collect();
            let passed = BURST / (cost(sizes[0]) + cost(sizes[1]));
            assert_eq!(sizes.len() as u64, 2 * passed, "{case}");
            assert_eq!(lab.drops(), [("policed", 60 - passed)], "{case}");
            let metered = lab.meter("contoso private secondary");
            assert_eq!(metered[3..], [2 * passed, sizes.iter().map(|s| l3(*s)).sum(), 60 - passed]);
        }
    }
}

#[test]
fn packets_over_the_way_outs_mtu_are_cut_unless_they_must_not_be() {
    let mut lab = Lab::with(&[NO_GROUP]);
    let packet = Packet::ip4([10, 10, 1, 4], [192, 168, 50, 1]).id(5).udp(1, 2, &[7; 1572]);
    let frame = packet.eth(SENDER, lab.router("hub")).build();
    let left = lab.send("hub", &[frame]);
    let sizes: Vec<usize> = left.iter().map(|(_, bytes)| bytes.len() - 22).collect();
    assert_eq!(sizes, [1500, 120], "RFC 791: 1,480 bytes are whole words of eight");

    let packet = Packet::ip4([10, 10, 1, 4], [10, 20, 1, 4]).df().udp(1, 2, &[7; 1572]);
    let frame = packet.eth(SENDER, lab.router("hub")).build();
    let text = shown(&lab.send("hub", &[frame]))[0].clone();
    assert!(text.contains("10.10.1.1 > 10.10.1.4: ICMP fragmentation needed mtu 1500"), "{text}");
}

#[test]
fn a_port_with_a_smaller_mtu_cuts_packets_and_tells_their_senders() {
    let small = ("tap  = \"tw-hub\"", "tap  = \"tw-hub\"\nmtu  = 1300");
    let mut lab = Lab::with(&[NO_GROUP, small]);
    let to_vm = |df: bool| {
        let ip = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).id(5);
        let ip = if df { ip.df() } else { ip };
        ip.udp(1, 2, &[7; 1372]).eth(SENDER, lab.router("msee-pri")).tags(PRIVATE).build()
    };
    let (cut, whole) = (to_vm(false), to_vm(true));
    let left = lab.send("msee-pri", &[cut]);
    let sizes: Vec<usize> = left.iter().map(|(_, bytes)| bytes.len() - 14).collect();
    assert_eq!(sizes, [1300, 120], "1,400 bytes: 1,280 are whole words of eight");
    let text = shown(&lab.send("msee-pri", &[whole]))[0].clone();
    assert!(
        text.contains("172.16.0.2 > 192.168.1.1: ICMP fragmentation needed mtu 1300"),
        "{text}"
    );
    assert_eq!(lab.drops(), [("fragmentation_needed", 1)]);
}

#[test]
fn a_tagged_link_with_the_mtu_of_one_tag_carries_four_bytes_less() {
    let small = (
        "name   = \"msee-pri\"\nmemory = true",
        "name   = \"msee-pri\"\nmemory = true\nmtu = 1500",
    );
    let mut lab = Lab::with(&[NO_GROUP, small]);
    let secondary = lab.neighbour("172.16.0.5");
    lab.set(secondary, NeighbourState::Failed);
    let packet = Packet::ip4([10, 10, 1, 4], [192, 168, 1, 1]).df().udp(1, 2, &[7; 1472]);
    let text = shown(&lab.send("hub", &[packet.eth(SENDER, lab.router("hub")).build()]))[0].clone();
    assert!(text.contains("10.10.1.1 > 10.10.1.4: ICMP fragmentation needed mtu 1496"), "{text}");
}

#[test]
fn a_packet_that_waits_for_its_neighbour_pays_the_link_once() {
    let mut lab = Lab::with(&[SLOW, NO_GROUP]);
    let customer = lab.neighbour("172.16.0.5");
    lab.set(customer, NeighbourState::Incomplete);
    let packet =
        |size: usize| Packet::ip4([10, 10, 1, 4], [192, 168, 50, 1]).udp(1, 2, &vec![7; size - 28]);
    let frame = packet(1250).eth(SENDER, lab.router("hub")).build();
    assert_eq!(lab.send("hub", &[frame.clone(), frame.clone()]), []);
    lab.set(customer, NeighbourState::Reachable);
    assert_eq!(lab.release().len(), 2);
    assert_eq!(lab.send("hub", &vec![frame; 60]).len(), 48, "of 50 in the burst");
}

#[test]
fn a_packet_that_waits_for_its_vm_is_counted_once_as_fastpath() {
    let mut lab = Lab::with(&[NO_GROUP]);
    let vm = lab.neighbour("10.10.1.4");
    lab.set(vm, NeighbourState::Incomplete);
    let frame = udp(100).eth(SENDER, lab.router("msee-pri")).tags(PRIVATE).build();
    assert_eq!(lab.send("msee-pri", &[frame]), []);
    lab.set(vm, NeighbourState::Reachable);
    assert_eq!(lab.release().len(), 1);
    let gateway = lab.workers[0].counters.gateway(crate::ids::GatewayId(0));
    assert_eq!((gateway.fastpath_packets.value(), gateway.fastpath_bytes.value()), (1, 100));
}

#[test]
fn each_router_address_has_an_icmp_rate_of_its_own() {
    let mut lab = Lab::new();
    let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).ttl(1).udp(1, 2, b"");
    let left = ["msee-pri", "msee-sec"].map(|port| {
        let frame = packet.eth(SENDER, lab.router(port)).tags(PRIVATE).build();
        lab.send(port, &vec![frame; 64]).len()
    });
    assert_eq!(left, [50, 50], "a flood on one link takes nothing from the other's edge");
}

#[test]
fn icmp_errors_have_a_rate() {
    let mut lab = Lab::new();
    let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).ttl(1).udp(1, 2, b"");
    let frame = packet.eth(SENDER, lab.router("msee-pri")).tags(PRIVATE).build();
    assert_eq!(lab.send("msee-pri", &vec![frame.clone(); 64]).len(), 50, "the burst");
    lab.now = lab.now + Span::millis(10);
    assert_eq!(lab.send("msee-pri", &vec![frame; 64]).len(), 1, "100 a second");
    assert_eq!(lab.drops(), [("ttl_expired", 128)]);
}
