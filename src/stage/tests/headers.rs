//! *validate* and *classify*: which frames are packets, whose they are, and what each bad one is
//! called.

use super::*;
use crate::wire::arp;
use crate::wire::build::{self, Framed, Ip4, Packet, TcpFields};
use crate::wire::eth::ether_type;
use crate::wire::vlan::TagStack;

const VM: &str = "10.10.1.4";

fn ip4() -> Ip4 {
    let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    Packet::ip4(ip("192.168.1.1"), ip(VM))
}

/// A packet as it comes from on-premises on the primary link.
fn on_link(lab: &Lab, packet: &Packet) -> Vec<u8> {
    packet.eth(SENDER, lab.router("msee-pri")).tags(TagStack::double(1001, 200)).build()
}

/// Sends a frame that has to be dropped, and returns under which name.
fn dropped(lab: &mut Lab, port: &str, frame: Vec<u8>) -> &'static str {
    let before = lab.drops();
    let left = lab.send(port, &[frame]);
    assert_eq!(shown(&left), [""; 0]);
    let after = lab.drops();
    let new: Vec<_> = after.iter().filter(|own| !before.contains(own)).collect();
    assert_eq!(new.len(), 1, "{before:?} {after:?}");
    new[0].0
}

#[test]
fn each_bad_header_has_its_own_name() {
    let mut lab = Lab::new();
    let udp = |ip: Ip4| ip.udp(1024, 80, b"data");
    let cases = [
        (
            "ip4_too_short",
            Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(1, 2, b"").build()[..19].to_vec(),
        ),
        ("ip4_bad_checksum", udp(ip4().bad_ip_checksum()).build()),
        // Version and header length; the checksum is right for what stands there.
        ("ip4_bad_version", udp(ip4().version_ihl(0x55)).build()),
        ("ip4_bad_header_length", udp(ip4().version_ihl(0x44)).build()),
        ("ip4_bad_header_length", udp(ip4().version_ihl(0x4f)).build()),
        ("ip4_bad_total_length", udp(ip4().total_len(19)).build()),
        ("ip4_bad_total_length", udp(ip4().total_len(33)).build()),
        ("ip4_bad_fragment", ip4().fragment(65_528, false).raw(17, &[0; 16]).build()),
        ("ip4_bad_fragment", ip4().fragment(8, false).raw(6, &[0; 16]).build()),
        ("ip4_bad_fragment", ip4().fragment(0, true).raw(6, &[0; 16]).build()),
        ("l4_too_short", ip4().raw(6, &[0; 19]).build()),
        ("l4_too_short", ip4().raw(17, &[0; 7]).build()),
        ("l4_too_short", ip4().raw(1, &[0; 7]).build()),
    ];
    for (name, bytes) in cases {
        let frame = Framed::new(SENDER, lab.router("msee-pri"), ether_type::IP4, &bytes)
            .tags(TagStack::double(1001, 200))
            .build();
        assert_eq!(dropped(&mut lab, "msee-pri", frame), name, "{bytes:02x?}");
    }
}

#[test]
fn martians_of_every_routing_domain_are_refused_and_of_labs_are_not() {
    let mut lab = Lab::new();
    for (src, dst, name) in [
        ([0, 0, 0, 1], [10, 10, 1, 4], "martian_source"),
        ([127, 0, 0, 1], [10, 10, 1, 4], "martian_source"),
        ([224, 0, 0, 1], [10, 10, 1, 4], "martian_source"),
        ([255, 255, 255, 255], [10, 10, 1, 4], "martian_source"),
        ([192, 168, 1, 1], [127, 0, 0, 1], "martian_destination"),
        ([192, 168, 1, 1], [224, 0, 0, 5], "martian_destination"),
        ([192, 168, 1, 1], [255, 255, 255, 255], "martian_destination"),
        ([192, 168, 1, 1], [0, 0, 0, 0], "martian_destination"),
    ] {
        let frame = on_link(&lab, &Packet::ip4(src, dst).udp(1, 2, b""));
        assert_eq!(dropped(&mut lab, "msee-pri", frame), name);
    }
    for src in [[169, 254, 1, 1], [192, 0, 2, 1], [198, 18, 0, 1]] {
        let web = TcpFields { src: 1024, dst: 80, ..TcpFields::default() };
        let frame = on_link(&lab, &Packet::ip4(src, [10, 10, 1, 4]).tcp(web, b""));
        assert_eq!(dropped(&mut lab, "msee-pri", frame), "nsg_denied", "not from on-premises");
    }
}

#[test]
fn tags_that_lead_nowhere_are_named() {
    let mut lab = Lab::new();
    let edge = lab.router("msee-pri");
    let echo = ip4().icmp_echo(8, 1, 1, b"");
    let frame = || echo.eth(SENDER, edge);
    let cases = [
        ("missing_tag", frame().build()),
        ("missing_tag", frame().tag(0x8100, 0xe000).build()),
        ("unknown_tag", frame().tags(TagStack::single(200)).build()),
        ("unknown_tag", frame().tags(TagStack::double(1001, 201)).build()),
        ("unknown_tag", frame().tags(TagStack::double(1002, 200)).build()),
        ("third_tag", frame().tags(TagStack::double(1001, 200)).tag(0x8100, 7).build()),
        ("foreign_tag_type", frame().tag(0x88a8, 1001).tag(0x8100, 200).build()),
        ("foreign_tag_type", frame().tag(0x8100, 1001).tag(0x88a8, 200).build()),
        ("frame_too_short", frame().tags(TagStack::double(1001, 200)).truncate(21).build()),
        ("frame_too_short", frame().truncate(13).build()),
        ("not_our_mac", echo.eth(SENDER, SENDER).tags(TagStack::double(1001, 200)).build()),
        (
            "ip6_not_forwarded",
            Packet::ip6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0u8; 16])
                .udp(1, 2, b"")
                .eth(SENDER, edge)
                .tags(TagStack::double(1001, 200))
                .build(),
        ),
        (
            "unknown_ether_type",
            Framed::new(SENDER, edge, 0x88cc, &[0; 46]).tags(TagStack::double(1001, 200)).build(),
        ),
    ];
    for (name, frame) in cases {
        assert_eq!(
            dropped(&mut lab, "msee-pri", frame.clone()),
            name,
            "{}",
            crate::wire::show(&frame)
        );
    }
}

#[test]
fn a_port_may_accept_the_service_tags_of_802_1ad() {
    let mut lab = Lab::with(&[(
        "name   = \"msee-pri\"\nmemory = true",
        "name   = \"msee-pri\"\nmemory = true\naccept_88a8 = true",
    )]);
    let frame = Packet::ip4([172, 16, 0, 1], [172, 16, 0, 2])
        .icmp_echo(8, 1, 1, b"")
        .eth(SENDER, lab.router("msee-pri"))
        .tag(0x88a8, 1001)
        .tag(0x8100, 200)
        .build();
    assert_eq!(lab.send("msee-pri", &[frame]).len(), 1);
    assert_eq!(lab.drops(), []);
}

#[test]
fn arp_for_routers_is_for_control_and_no_other() {
    let mut lab = Lab::new();
    let ask = |target: [u8; 4]| {
        build::arp(arp::REQUEST, SENDER, [10, 10, 1, 4], MacAddr::ZERO, target).build()
    };
    let left = lab.send("hub", &[ask([10, 10, 1, 1]), ask([10, 10, 1, 9])]);
    assert_eq!((left.len(), lab.take_punted()), (0, 2), "control knows whom it answers");
    let tagged = build::arp(arp::REQUEST, SENDER, [172, 16, 0, 1], MacAddr::ZERO, [172, 16, 0, 2])
        .tags(TagStack::double(1001, 200))
        .build();
    assert_eq!((lab.send("msee-pri", &[tagged]).len(), lab.take_punted()), (0, 1));
}

#[test]
fn echo_to_an_address_of_ours_is_answered_the_way_it_came() {
    let mut lab = Lab::new();
    for (port, tags, from, to) in [
        ("msee-pri", TagStack::double(1001, 200), [172, 16, 0, 1], [172, 16, 0, 2]),
        // The other link's edge belongs to the same routing domain.
        ("msee-pri", TagStack::double(1001, 200), [172, 16, 0, 1], [172, 16, 0, 6]),
        ("msee-sec", TagStack::double(1001, 300), [203, 0, 113, 5], [203, 0, 113, 6]),
        ("hub", TagStack::UNTAGGED, [10, 10, 1, 4], [10, 10, 1, 1]),
        ("m365", TagStack::UNTAGGED, [198, 51, 100, 9], [198, 51, 100, 1]),
    ] {
        // A time to live of 1 suffices for who is no further away.
        let frame = Packet::ip4(from, to)
            .ttl(1)
            .icmp_echo(8, 7, 9, b"payload")
            .eth(SENDER, lab.router(port))
            .tags(tags)
            .build();
        let left = lab.send(port, &[frame]);
        let answer = Packet::ip4(to, from)
            .icmp_echo(0, 7, 9, b"payload")
            .eth(lab.router(port), SENDER)
            .tags(tags)
            .build();
        assert_eq!(shown(&left), shown(&[(port.to_owned(), answer)]));
    }
}

#[test]
fn what_nobody_listens_to_is_told_so() {
    let mut lab = Lab::new();
    let to_edge = || Packet::ip4([172, 16, 0, 1], [172, 16, 0, 2]);
    let frame = on_link(&lab, &to_edge().udp(1024, 53, b"?"));
    let left = lab.send("msee-pri", &[frame]);
    assert!(shown(&left)[0].contains("172.16.0.2 > 172.16.0.1: ICMP port unreachable"), "{left:?}");
    let frame = on_link(&lab, &to_edge().raw(47, &[0; 8]));
    let left = lab.send("msee-pri", &[frame]);
    assert!(shown(&left)[0].contains("ICMP protocol unreachable"), "{left:?}");
    // RFC 1812 4.3.2.7: no error about an error.
    let quoted = to_edge().udp(1, 2, b"").build();
    let frame = on_link(&lab, &to_edge().icmp_error(3, 1, 0, &quoted));
    assert_eq!(lab.send("msee-pri", &[frame]), []);
    assert_eq!(lab.drops(), [("local_unreachable", 3)]);
}

/// Found by hostile frames (`tests/hostile.rs`): the answer went to the group.
#[test]
fn who_claims_to_be_a_group_of_stations_gets_no_answer() {
    let mut lab = Lab::new();
    let to_edge = || Packet::ip4([172, 16, 0, 1], [172, 16, 0, 2]);
    for src in [MacAddr([1, 0, 0x5e, 0, 0, 1]), MacAddr::BROADCAST] {
        for packet in [
            to_edge().udp(1024, 53, b"?"),
            to_edge().icmp_echo(8, 7, 9, b"payload"),
            ip4().ttl(1).udp(1024, 80, b"late"),
        ] {
            let tags = TagStack::double(1001, 200);
            let frame = packet.eth(src, lab.router("msee-pri")).tags(tags).build();
            assert_eq!(lab.send("msee-pri", &[frame]), [], "{src}");
        }
    }
    assert_eq!(lab.drops(), [("ttl_expired", 2), ("local_unreachable", 4)]);
}
