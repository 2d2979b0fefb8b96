//! Several workers: whoever receives a packet, its state is asked where it lives.

use super::*;
use crate::wire::build::Packet;
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
