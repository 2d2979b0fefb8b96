//! Microsoft's side: look-up, gateway, FastPath, security groups, sources.

use super::*;
use crate::ids::Link;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::tcp::flag;
use crate::wire::vlan::TagStack;

const PRIVATE: TagStack = TagStack::double(1001, 200);
const MICROSOFT: TagStack = TagStack::double(1001, 300);

/// A packet as it stands behind a port with these tags, sent to thruway there.
fn towards(lab: &Lab, port: &str, tags: TagStack, packet: &Packet) -> Vec<u8> {
    packet.eth(SENDER, lab.router(port)).tags(tags).build()
}

/// A packet as thruway delivers it to a neighbour.
fn delivered(lab: &Lab, port: &str, tags: TagStack, to: &str, packet: &Packet) -> Vec<String> {
    let frame = packet.eth(lab.router(port), lab.mac_of(to)).tags(tags).build();
    shown(&[(port.to_owned(), frame)])
}

fn web(src: u16) -> TcpFields<'static> {
    TcpFields { src, dst: 80, flags: flag::SYN, ..TcpFields::default() }
}

fn answer(dst: u16) -> TcpFields<'static> {
    TcpFields { src: 80, dst, flags: flag::SYN | flag::ACK, ..TcpFields::default() }
}

fn from_onprem(ttl: u8, size: usize) -> Packet {
    Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).ttl(ttl).df().tcp(web(1024), &vec![7; size - 40])
}

fn without_fastpath() -> Lab {
    Lab::with(&[("fastpath = true", "fastpath = false")])
}

#[test]
fn fastpath_is_one_hop_with_1_500_bytes_and_the_gateway_two_with_1_400() {
    let mut fast = Lab::new();
    let frame = towards(&fast, "msee-pri", PRIVATE, &from_onprem(64, 1500));
    let left = fast.send("msee-pri", &[frame]);
    let want = delivered(&fast, "hub", TagStack::UNTAGGED, "10.10.1.4", &from_onprem(63, 1500));
    assert_eq!(shown(&left), want);
    let gateway = fast.workers[0].counters.gateway(crate::ids::GatewayId(0));
    assert_eq!((gateway.packets.value(), gateway.fastpath_packets.value()), (0, 1));

    let mut slow = without_fastpath();
    let frame = towards(&slow, "msee-pri", PRIVATE, &from_onprem(64, 1400));
    let left = slow.send("msee-pri", &[frame]);
    let want = delivered(&slow, "hub", TagStack::UNTAGGED, "10.10.1.4", &from_onprem(62, 1400));
    assert_eq!(shown(&left), want);
    let gateway = slow.workers[0].counters.gateway(crate::ids::GatewayId(0));
    assert_eq!((gateway.packets.value(), gateway.fastpath_packets.value()), (1, 0));
    assert_eq!(gateway.instances.iter().map(|own| own.value()).sum::<u64>(), 1);
}

#[test]
fn the_gateway_refuses_by_name() {
    let mut lab = without_fastpath();
    let big = towards(&lab, "msee-pri", PRIVATE, &from_onprem(64, 1401));
    let left = lab.send("msee-pri", &[big]);
    let text = &shown(&left)[0];
    assert!(
        text.contains("172.16.0.2 > 192.168.1.1: ICMP fragmentation needed mtu 1400"),
        "{text}"
    );
    assert_eq!(lab.drops(), [("gateway_too_big", 1)]);

    let whole = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).tcp(web(1024), &[7; 1361]);
    let fragments = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).id(3).tcp(web(1024), &[7; 600]);
    let silent = from_onprem(2, 60);
    let mut frames = vec![towards(&lab, "msee-pri", PRIVATE, &whole)];
    frames.extend(fragments.fragments(400).iter().map(|f| towards(&lab, "msee-pri", PRIVATE, f)));
    frames.push(towards(&lab, "msee-pri", PRIVATE, &silent));
    assert_eq!(
        lab.send("msee-pri", &frames),
        [],
        "nothing is said without DF, of fragments, of TTL"
    );
    let want = [("gateway_too_big", 2), ("gateway_fragment", 2), ("gateway_ttl_expired", 1)];
    assert_eq!(lab.drops(), want);
}

#[test]
fn a_gateway_may_keep_silent_about_its_mtu() {
    let mut lab = Lab::with(&[
        ("fastpath = true", "fastpath = false"),
        ("sku = \"ErGw3AZ\"", "sku = \"ErGw3AZ\", icmp = \"silent\""),
    ]);
    let big = towards(&lab, "msee-pri", PRIVATE, &from_onprem(64, 1401));
    assert_eq!(lab.send("msee-pri", &[big]), []);
}

#[test]
fn the_time_to_live_is_checked_after_the_look_up() {
    let mut lab = Lab::new();
    let frame = towards(&lab, "msee-pri", PRIVATE, &from_onprem(1, 60));
    let text = shown(&lab.send("msee-pri", &[frame]))[0].clone();
    assert!(text.contains("172.16.0.2 > 192.168.1.1: ICMP time exceeded"), "{text}");
    let nowhere = Packet::ip4([192, 168, 1, 1], [8, 8, 8, 8]).ttl(1).udp(1, 2, b"");
    let frame = towards(&lab, "msee-pri", PRIVATE, &nowhere);
    let text = shown(&lab.send("msee-pri", &[frame]))[0].clone();
    assert!(text.contains("ICMP net unreachable"), "{text}");
    assert_eq!(lab.drops(), [("no_route", 1), ("ttl_expired", 1)]);
}

#[test]
fn options_and_fragments_are_carried_past_the_gateway() {
    let mut lab = Lab::new();
    let options = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).options(&[7, 7, 4, 0, 0, 0, 0, 0]);
    let frame = towards(&lab, "msee-pri", PRIVATE, &options.clone().tcp(web(1), b""));
    let left = lab.send("msee-pri", &[frame]);
    let want = options.ttl(63).tcp(web(1), b"");
    assert_eq!(shown(&left), delivered(&lab, "hub", TagStack::UNTAGGED, "10.10.1.4", &want));

    let whole = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).id(9).tcp(web(2), &[7; 900]);
    let frames: Vec<_> =
        whole.fragments(400).iter().map(|f| towards(&lab, "msee-pri", PRIVATE, f)).collect();
    assert_eq!(lab.send("msee-pri", &frames).len(), 3, "all fragments have the first one's ports");
    assert_eq!(lab.drops(), []);
}

#[test]
fn equal_fragments_of_two_routing_domains_do_not_learn_each_others_ports() {
    // A group allows web from this site and denies it the rest. Somebody in the spoke sends as if
    // from the site, with its identification.
    for from_vnet_first in [false, true] {
        let mut lab = Lab::new();
        let whole = |ttl, dst| {
            let fields = TcpFields { dst, ..web(2) };
            Packet::ip4([192, 168, 66, 1], [10, 10, 1, 4]).id(9).ttl(ttl).tcp(fields, &[7; 600])
        };
        let parts = |lab: &Lab, port: &'static str, tags, dst| -> Vec<(&'static str, Vec<u8>)> {
            let parts = whole(64, dst).fragments(400);
            parts.iter().map(|part| (port, towards(lab, port, tags, part))).collect()
        };
        let mut all =
            [parts(&lab, "msee-pri", PRIVATE, 80), parts(&lab, "spoke", TagStack::UNTAGGED, 22)];
        if from_vnet_first {
            all.reverse();
        }
        let [a, b] = &all;
        let mut left = Vec::new();
        for (port, frame) in [&a[0], &b[0], &a[1], &b[1]] {
            left.extend(shown(&lab.send(port, std::slice::from_ref(frame))));
        }
        let want = whole(63, 80).fragments(400);
        let want = want
            .iter()
            .flat_map(|part| delivered(&lab, "hub", TagStack::UNTAGGED, "10.10.1.4", part));
        assert_eq!(left, want.collect::<Vec<_>>(), "from the VNet first: {from_vnet_first}");
        assert_eq!(lab.drops(), [("nsg_denied", 2)]);
    }
}

#[test]
fn a_later_fragment_that_comes_first_is_carried_where_no_rule_asks_for_ports() {
    let mut lab = Lab::with(&[(", nsg = \"web\"", "")]);
    let whole = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).id(9).udp(2, 3, &[7; 900]);
    let mut frames: Vec<_> =
        whole.fragments(400).iter().map(|f| towards(&lab, "msee-pri", PRIVATE, f)).collect();
    frames.reverse();
    assert_eq!(lab.send("msee-pri", &frames).len(), 3);
    assert_eq!(lab.drops(), []);
}

#[test]
fn security_groups_are_stateful_in_both_directions() {
    let mut lab = Lab::new();
    let onprem = |packet: Packet| towards(&lab, "msee-pri", PRIVATE, &packet);
    let out = |packet: Packet| towards(&lab, "hub", TagStack::UNTAGGED, &packet);
    let denied = onprem(Packet::ip4([192, 168, 66, 1], [10, 10, 1, 4]).udp(53, 53, b""));
    let lone = out(Packet::ip4([10, 10, 1, 4], [192, 168, 66, 1]).udp(53, 53, b""));
    let allowed = onprem(Packet::ip4([192, 168, 66, 1], [10, 10, 1, 4]).tcp(web(9), b""));
    let back = out(Packet::ip4([10, 10, 1, 4], [192, 168, 66, 1]).tcp(answer(9), b""));

    assert_eq!(lab.send("msee-pri", std::slice::from_ref(&denied)), [], "deny-lab");
    assert_eq!(lab.send("msee-pri", &[allowed]).len(), 1, "allow-web");
    assert_eq!(lab.send("hub", &[back]).len(), 1, "its answer");
    assert_eq!(lab.send("hub", &[lone]).len(), 1, "the default rule, outbound");
    assert_eq!(lab.send("msee-pri", &[denied]).len(), 1, "which lets the answer in");
    assert_eq!(lab.drops(), [("nsg_denied", 1)]);
}

#[test]
fn virtual_machines_reach_each_other_in_the_network_and_across_peerings() {
    let mut lab = Lab::new();
    let packet = |ttl| Packet::ip4([10, 10, 1, 4], [10, 10, 1, 10]).ttl(ttl).udp(1, 2, b"");
    let frame = towards(&lab, "hub", TagStack::UNTAGGED, &packet(64));
    let left = lab.send("hub", &[frame]);
    let want = delivered(&lab, "hub", TagStack::UNTAGGED, "10.10.1.10", &packet(63));
    assert_eq!(shown(&left), want);
    let packet = |ttl| Packet::ip4([10, 10, 1, 4], [10, 20, 1, 4]).ttl(ttl).udp(1, 2, b"");
    let frame = towards(&lab, "hub", TagStack::UNTAGGED, &packet(64));
    let left = lab.send("hub", &[frame]);
    let want = delivered(&lab, "spoke", TagStack::UNTAGGED, "10.20.1.4", &packet(63));
    assert_eq!(shown(&left), want);
}

#[test]
fn equal_paths_share_flows_and_only_those_of_a_dead_path_move() {
    let mut lab = Lab::new();
    let frames: Vec<_> = (0..64)
        .map(|port| {
            let packet = Packet::ip4([10, 20, 1, 4], [192, 168, 1, 1]).udp(1024 + port, 53, b"");
            towards(&lab, "spoke", TagStack::UNTAGGED, &packet)
        })
        .collect();
    let on = |lab: &mut Lab, port: &str| -> Vec<String> {
        let left = lab.send("spoke", &frames);
        assert_eq!(left.len(), 64);
        let of = left.iter().filter(|(name, _)| name == port);
        of.map(|(_, bytes)| format!("{:?}", &bytes[42..44])).collect()
    };
    let before = on(&mut lab, "msee-pri");
    assert!((16..48).contains(&before.len()), "{} of 64", before.len());
    let secondary = lab.model.circuits[0].private.as_ref().unwrap().customer(Link::Secondary);
    let dead = lab.neighbour(&secondary.to_string());
    lab.set(dead, NeighbourState::Down);
    assert_eq!(on(&mut lab, "msee-pri").len(), 64);
    lab.set(dead, NeighbourState::Reachable);
    assert_eq!(on(&mut lab, "msee-pri"), before, "and back");

    let primary = lab.model.circuits[0].private.as_ref().unwrap().customer(Link::Primary);
    lab.set(dead, NeighbourState::Failed);
    lab.set(lab.neighbour(&primary.to_string()), NeighbourState::Down);
    let left = lab.send("spoke", &frames[..1]);
    assert!(shown(&left)[0].contains("10.20.1.1 > 10.20.1.4: ICMP net unreachable"), "{left:?}");
    assert_eq!(lab.drops(), [("no_link", 1)]);
}

#[test]
fn microsoft_peering_takes_advertised_public_sources_alone() {
    let mut lab = Lab::new();
    let to_service = |src: [u8; 4]| Packet::ip4(src, [198, 51, 100, 1]).icmp_echo(8, 1, 1, b"");
    for (src, name) in [
        ([10, 0, 0, 1], "source_not_public"),
        ([100, 64, 0, 1], "source_not_public"),
        ([8, 8, 8, 8], "source_not_advertised"),
        ([203, 0, 113, 128], "source_not_advertised"),
    ] {
        let frame = towards(&lab, "msee-pri", MICROSOFT, &to_service(src));
        assert_eq!(lab.send("msee-pri", &[frame]), []);
        assert!(lab.drops().iter().any(|own| own.0 == name), "{:?}", lab.drops());
    }
    let frame = towards(&lab, "msee-pri", MICROSOFT, &to_service([203, 0, 113, 64]));
    assert_eq!(lab.send("msee-pri", &[frame]).len(), 1);
}

#[test]
fn services_reach_only_what_on_premises_advertised() {
    let mut lab = Lab::new();
    let packet = |dst: [u8; 4], ttl| Packet::ip4([198, 51, 100, 9], dst).ttl(ttl).udp(443, 9, b"");
    let frame = towards(&lab, "m365", TagStack::UNTAGGED, &packet([203, 0, 113, 64], 64));
    let left = lab.send("m365", &[frame]);
    let port = left[0].0.clone();
    let customer = if port == "msee-pri" { "203.0.113.1" } else { "203.0.113.5" };
    let want = delivered(&lab, &port, MICROSOFT, customer, &packet([203, 0, 113, 64], 63));
    assert_eq!(shown(&left), want);
    let frame = towards(&lab, "m365", TagStack::UNTAGGED, &packet([203, 0, 113, 200], 64));
    lab.send("m365", &[frame]);
    assert_eq!(lab.drops(), [("no_route", 1)]);
}

#[test]
fn a_circuit_is_no_transit_between_on_premises_prefixes() {
    let mut lab = Lab::new();
    let packet = Packet::ip4([192, 168, 1, 1], [192, 168, 50, 1]).udp(1, 2, b"");
    let frame = towards(&lab, "msee-pri", PRIVATE, &packet);
    lab.send("msee-pri", &[frame]);
    assert_eq!(lab.drops(), [("no_transit", 1)]);
}

#[test]
fn frames_wait_for_their_neighbour_three_at_most() {
    let mut lab = Lab::new();
    let vm = lab.neighbour("10.20.1.4");
    lab.set(vm, NeighbourState::Incomplete);
    let packet = |n| Packet::ip4([10, 10, 1, 4], [10, 20, 1, 4]).udp(n, 2, b"");
    let frames: Vec<_> =
        (0..5).map(|n| towards(&lab, "hub", TagStack::UNTAGGED, &packet(n))).collect();
    let left = lab.send("hub", &frames);
    assert!(shown(&left).iter().all(|line| !line.starts_with("spoke")), "{left:?}");
    assert_eq!(lab.drops(), [("neighbour_unresolved", 2)]);
    let asked = lab.messages();
    assert_eq!(asked, [Message::Resolve(vm); 3], "a wish may be lost, so each held frame makes it");
    lab.set(vm, NeighbourState::Reachable);
    let left = lab.release();
    let sent = |n| {
        let packet = Packet::ip4([10, 10, 1, 4], [10, 20, 1, 4]).ttl(63).udp(n, 2, b"");
        delivered(&lab, "spoke", TagStack::UNTAGGED, "10.20.1.4", &packet).remove(0)
    };
    assert_eq!(shown(&left), [sent(0), sent(1), sent(2)], "in order, one hop each");
}

#[test]
fn an_address_without_an_interface_is_asked_for() {
    let mut lab = Lab::new();
    let packet = Packet::ip4([10, 10, 1, 4], [10, 20, 1, 77]).udp(1, 2, b"");
    let frame = towards(&lab, "hub", TagStack::UNTAGGED, &packet);
    assert_eq!(lab.send("hub", &[frame]), []);
    let messages = lab.messages();
    let asked = u32::from(Ipv4Addr::new(10, 20, 1, 77));
    assert!(matches!(messages[..], [Message::Glean(_, address)] if address == asked));
}

#[test]
fn a_disabled_peering_and_a_circuit_that_is_not_provisioned_take_nothing_by_name() {
    let off = ("vlan             = 200", "vlan             = 200\nstate = \"Disabled\"");
    let early = (
        "sku              = \"Standard\"",
        "sku = \"Standard\"\nprovider_state = \"Provisioning\"",
    );
    for (change, microsoft) in [(off, false), (early, true)] {
        let mut lab = Lab::with(&[change]);
        let private = towards(&lab, "msee-pri", PRIVATE, &from_onprem(64, 60));
        let arp = Packet::ip4([203, 0, 113, 64], [198, 51, 100, 1]).icmp_echo(8, 1, 1, b"");
        let public = towards(&lab, "msee-pri", MICROSOFT, &arp);
        assert_eq!(lab.send("msee-pri", &[private]), []);
        assert_eq!(lab.drops(), [("peering_down", 1)]);
        let answered = !lab.send("msee-pri", &[public]).is_empty();
        assert_eq!(answered, !microsoft, "the other peering goes on while its circuit does");
        assert_eq!(lab.drops(), [("peering_down", 1 + u64::from(microsoft))]);
    }
}
