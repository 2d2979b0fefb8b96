//! The provider edge: tags, NAT, and every EtherType.

use super::*;
use crate::wire::arp;
use crate::wire::build::{self, Framed, Packet, TcpFields};
use crate::wire::vlan::TagStack;

const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xbb]);
const ACCESS: TagStack = TagStack::single(300);
const LINK: TagStack = TagStack::double(1001, 300);

fn sent(port: &str, frame: Vec<u8>) -> Vec<String> {
    shown(&[(port.to_owned(), frame)])
}

#[test]
fn every_ether_type_crosses_but_the_bridges_own_groups() {
    let mut lab = Lab::new();
    for ether_type in [0x0800, 0x0806, 0x86dd, 0x88cc, 0x8847, 0x0600, 100] {
        // What claims to be IP need not be.
        let frame = |tags| Framed::new(SENDER, PEER, ether_type, &[7; 60]).tags(tags).build();
        for (vid, peering) in [(200, "private"), (300, "microsoft")] {
            let left = lab.send("ce-1", &[frame(TagStack::single(vid))]);
            let want = sent("pe-pri", frame(TagStack::double(1001, vid)));
            assert_eq!(shown(&left), want, "{peering} {ether_type:04x}");
            let left = lab.send("pe-sec", &[frame(TagStack::double(1001, vid))]);
            assert_eq!(shown(&left), sent("ce-2", frame(TagStack::single(vid))));
        }
    }
    for last in 0..16 {
        let group = MacAddr([1, 0x80, 0xc2, 0, 0, last]);
        let frame = Framed::new(SENDER, group, 0x88cc, &[7; 60]).tags(ACCESS).build();
        assert_eq!(lab.send("ce-1", &[frame]), []);
    }
    let group = MacAddr([1, 0x80, 0xc2, 0, 0, 0x10]);
    let frame = Framed::new(SENDER, group, 0x88cc, &[7; 60]).tags(ACCESS).build();
    assert_eq!(lab.send("ce-1", &[frame]).len(), 1, "only 00 to 0F stay");
    assert_eq!(lab.drops(), [("link_local_group", 16)]);
}

#[test]
fn each_tag_keeps_its_own_priority() {
    let mut lab = Lab::new();
    let frame = || Framed::new(SENDER, PEER, 0x88cc, &[7; 60]);
    let (s, c) = (0x6000 | 1001, 0xa000 | 200);
    let left = lab.send("ce-1", &[frame().tag(0x8100, c).build()]);
    let pushed = frame().tag(0x8100, 0xa000 | 1001).tag(0x8100, c).build();
    assert_eq!(left[0].1, pushed, "the new outer tag has the priority of the one inside");
    let left = lab.send("pe-pri", &[frame().tag(0x8100, s).tag(0x8100, c).build()]);
    assert_eq!(left[0].1, frame().tag(0x8100, c).build());
}

#[test]
fn a_customers_outer_tag_may_differ_by_link() {
    let mut lab = Lab::with(&[(
        "private   = { primary = { port = \"ce-1\", c_tag = 200 }, secondary = { port = \"ce-2\", c_tag = 200 } }",
        "private   = { primary = { port = \"ce-1\", s_tag = 10, c_tag = 200 }, secondary = { port = \"ce-1\", s_tag = 20, c_tag = 200 } }",
    )]);
    let frame = |tags| Framed::new(SENDER, PEER, 0x86dd, &[7; 60]).tags(tags).build();
    let link = TagStack::double(1001, 200);
    for (outer, port) in [(10, "pe-pri"), (20, "pe-sec")] {
        let access = TagStack::double(outer, 200);
        let left = lab.send("ce-1", &[frame(access)]);
        assert_eq!(shown(&left), sent(port, frame(link)));
        let left = lab.send(port, &[frame(link)]);
        assert_eq!(shown(&left), sent("ce-1", frame(access)));
    }
}

#[test]
fn nat_is_a_bump_in_the_wire_with_one_state_for_both_links() {
    let mut lab = Lab::new();
    let out = TcpFields { src: 5000, dst: 443, flags: 2, ..TcpFields::default() };
    let frame = Packet::ip4([192, 168, 10, 25], [198, 51, 100, 9]).tcp(out, b"").eth(SENDER, PEER);
    let left = lab.send("ce-1", &[frame.tags(ACCESS).build()]);
    let want = Packet::ip4([203, 0, 113, 80], [198, 51, 100, 9]).tcp(out, b"").eth(SENDER, PEER);
    assert_eq!(shown(&left), sent("pe-pri", want.tags(LINK).build()), "same MACs, same TTL");
    // The answer comes by the other link.
    let back = TcpFields { src: 443, dst: 5000, flags: 0x12, ..TcpFields::default() };
    let frame = Packet::ip4([198, 51, 100, 9], [203, 0, 113, 80]).tcp(back, b"").eth(PEER, SENDER);
    let left = lab.send("pe-sec", &[frame.tags(LINK).build()]);
    let want = Packet::ip4([198, 51, 100, 9], [192, 168, 10, 25]).tcp(back, b"").eth(PEER, SENDER);
    assert_eq!(shown(&left), sent("ce-2", want.tags(ACCESS).build()));
    assert_eq!(lab.drops(), []);
}

#[test]
fn nat_leaves_the_peerings_own_packets_and_public_sources_alone() {
    let mut lab = Lab::new();
    let bgp = TcpFields { src: 40_000, dst: 179, ..TcpFields::default() };
    for packet in [
        Packet::ip4([203, 0, 113, 1], [203, 0, 113, 2]).ttl(1).tcp(bgp, b"open"),
        Packet::ip4([203, 0, 113, 1], [203, 0, 113, 2]).ttl(255).udp(49_152, 3784, b"bfd"),
        Packet::ip4([203, 0, 113, 1], [203, 0, 113, 2]).icmp_echo(8, 1, 1, b""),
        Packet::ip4([192, 168, 10, 25], [203, 0, 113, 2]).icmp_echo(8, 1, 1, b""),
        Packet::ip4([203, 0, 113, 100], [198, 51, 100, 9]).udp(9, 9, b"public"),
        Packet::ip4([10, 0, 0, 1], [198, 51, 100, 9]).udp(9, 9, b"not inside"),
    ] {
        let frame = |tags| packet.eth(SENDER, PEER).tags(tags).build();
        let left = lab.send("ce-1", &[frame(ACCESS)]);
        assert_eq!(shown(&left), sent("pe-pri", frame(LINK)));
    }
    let request = |tags| {
        build::arp(arp::REQUEST, SENDER, [203, 0, 113, 1], MacAddr::ZERO, [203, 0, 113, 2])
            .tags(tags)
            .build()
    };
    let left = lab.send("ce-1", &[request(ACCESS)]);
    assert_eq!(shown(&left), sent("pe-pri", request(LINK)));
    assert_eq!(lab.drops(), []);
}

#[test]
fn a_hairpin_goes_back_with_its_mac_addresses_swapped() {
    let mut lab = Lab::new();
    let fields = TcpFields { src: 6000, dst: 443, flags: 2, ..TcpFields::default() };
    let frame = Packet::ip4([192, 168, 10, 25], [203, 0, 113, 81])
        .tcp(fields, b"")
        .eth(SENDER, PEER)
        .tags(ACCESS)
        .build();
    let left = lab.send("ce-1", &[frame]);
    let inside = TcpFields { dst: 8443, ..fields };
    let want = Packet::ip4([203, 0, 113, 80], [192, 168, 10, 30])
        .tcp(inside, b"")
        .eth(PEER, SENDER)
        .tags(ACCESS)
        .build();
    assert_eq!(shown(&left), sent("ce-1", want));
}
