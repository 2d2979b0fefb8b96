//! Several workers: whoever receives a packet, its state is asked where it lives.

use super::*;
use crate::nat::shard_of_inside;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::vlan::TagStack;

/// The lab for four workers.
fn lab(changes: &[(&str, &str)]) -> Lab {
    Lab::of(&lab_with(changes), 4)
}

#[test]
fn packets_to_a_subnet_with_a_group_from_one_without_find_their_flow() {
    let mut lab = lab(&[]);
    for n in 0..64 {
        let packet = Packet::ip4([10, 20, 1, 4], [10, 10, 1, 4]).udp(1000 + n, 53, b"");
        let frame = packet.eth(SENDER, lab.router("spoke")).build();
        let left = lab.send_at(usize::from(n % 4), "spoke", &[frame]);
        assert_eq!(left.len(), 1, "{:?}", lab.drops());
    }
}

#[test]
fn flows_and_fragments_meet_their_owner_wherever_they_come_in() {
    let mut lab = lab(&[("fastpath = true", "fastpath = false")]);
    let router = lab.router("msee-pri");
    for n in 0..32 {
        let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(n, 53, b"");
        let frame = packet.eth(SENDER, router).tags(TagStack::double(1001, 200)).build();
        assert_eq!(lab.send_at(usize::from(n % 4), "msee-pri", &[frame]).len(), 1);
    }
    for n in 0..32 {
        let whole = Packet::ip4([192, 168, 10, 25], [198, 51, 100, 9]).id(n).udp(n, 53, &[7; 900]);
        for (i, fragment) in whole.fragments(400).iter().enumerate() {
            let frame = fragment.eth(SENDER, SENDER).tags(TagStack::single(300)).build();
            let at = (usize::from(n) + i) % 4;
            assert_eq!(lab.send_at(at, "ce-1", &[frame]).len(), 1, "{:?}", lab.drops());
        }
    }
}

#[test]
fn a_host_whose_pool_address_is_full_is_refused_or_lent_another_as_configured() {
    let link = TagStack::double(1001, 300);
    let service = [198, 51, 100, 9];
    // Two ports of each address a slice: of three addresses the host's shard has one slice of the
    // first and two of the second.
    let host = (0xc0a8_0101..).find(|&host| shard_of_inside(host).0 == 21).unwrap();
    let inside = Ipv4Addr::from(host).octets();
    let segment = |src, dst, ports: (u16, u16), flags| {
        let (sport, dport) = ports;
        let fields = TcpFields { src: sport, dst: dport, flags, ..TcpFields::default() };
        Packet::ip4(src, dst).tcp(fields, b"").eth(SENDER, SENDER)
    };
    for (pooling, most) in [("paired", 4), ("soft-paired", 6)] {
        let pool = format!(
            "pool = [\"203.0.113.64/31\", \"203.0.113.66/32\"]\nports = \"1024-1151\"\n\
             pooling = \"{pooling}\""
        );
        let mut lab = lab(&[("pool     = [\"203.0.113.64/28\"]", &pool)]);
        let mut known = Vec::new();
        for port in 1..=most {
            let syn = segment(inside, service, (port, 443), 2).tags(TagStack::single(300)).build();
            let left = lab.send_at(usize::from(port % 4), "ce-1", &[syn]);
            let ip = &left[0].1[22..];
            let outside: [u8; 4] = ip[12..16].try_into().unwrap();
            known.push((port, outside, u16::from_be_bytes([ip[20], ip[21]])));
        }
        let on = |last| known.iter().filter(|(_, ip, _)| ip == &[203, 0, 113, last]).count();
        assert_eq!((on(65), on(64)), (4, usize::from(most) - 4), "{pooling}");

        let syn = segment(inside, service, (99, 443), 2).tags(TagStack::single(300)).build();
        let left = shown(&lab.send_at(0, "ce-1", &[syn]));
        assert!(
            left[0].contains("ICMP") && left[0].starts_with("ce-1"),
            "RFC 5508 REQ-8: {left:?}"
        );
        assert_eq!(lab.drops(), [("nat_pool_exhausted", 1)]);

        // Answers find the host's worker, whichever address they come to and wherever they come in.
        for (port, outside, outside_port) in known {
            for worker in 0..4 {
                let back = segment(service, outside, (443, outside_port), 0x12).tags(link).build();
                let left = lab.send_at(worker, "pe-sec", &[back]);
                let want = segment(service, inside, (443, port), 0x12).tags(TagStack::single(300));
                assert_eq!(shown(&left), shown(&[("ce-2".to_owned(), want.build())]));
            }
        }
    }
}
