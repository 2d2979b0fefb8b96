//! The cases: what comes in behind the greetings, and which drops must be counted.
//!
//! Each `about` says what is expected and why; that is how the captures were checked.

use thruway::wire::build::{Packet, TcpFields};
use thruway::wire::eth::MacAddr;
use thruway::wire::icmp4::kind;
use thruway::wire::tcp::flag;

use super::lab::*;

pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    /// Another configuration than the lab's.
    pub config: Option<String>,
    /// Microseconds between frames.
    pub apart: u64,
    pub frames: Vec<(&'static str, Vec<u8>)>,
    pub drops: &'static [(&'static str, u64)],
}

const ONPREM: [u8; 4] = [192, 168, 1, 1];
const VM: [u8; 4] = [10, 10, 1, 4];
const SPOKE_VM: [u8; 4] = [10, 20, 1, 4];
const CLOUD: [u8; 4] = [198, 51, 100, 10];

fn case(
    name: &'static str,
    about: &'static str,
    frames: Vec<(&'static str, Vec<u8>)>,
    drops: &'static [(&'static str, u64)],
) -> Case {
    Case { name, about, config: None, apart: 2_000, frames, drops }
}

/// From the customer's router on the primary link of the private peering.
fn private(packet: &Packet) -> (&'static str, Vec<u8>) {
    ("ce-1", tagged(packet.eth(CE, EDGE1), &[200]).build())
}

/// From the customer's router on the primary link of the Microsoft peering.
fn microsoft(packet: &Packet) -> (&'static str, Vec<u8>) {
    ("ce-1", tagged(packet.eth(CE, EDGE1), &[300]).build())
}

fn from_hub(packet: &Packet) -> (&'static str, Vec<u8>) {
    ("hub", packet.eth(WEB, HUB).build())
}

fn from_spoke(packet: &Packet) -> (&'static str, Vec<u8>) {
    ("spoke", packet.eth(APP, SPOKE).build())
}

fn from_cloud(packet: &Packet) -> (&'static str, Vec<u8>) {
    ("m365", packet.eth(SERVER, M365).build())
}

fn web(src: [u8; 4], dst: [u8; 4], flags: u8) -> Packet {
    Packet::ip4(src, dst).tcp(TcpFields { src: 5000, dst: 443, flags, ..TcpFields::default() }, b"")
}

fn answer(src: [u8; 4], dst: [u8; 4]) -> Packet {
    let fields =
        TcpFields { src: 443, dst: 5000, flags: flag::SYN | flag::ACK, ..TcpFields::default() };
    Packet::ip4(src, dst).tcp(fields, b"")
}

fn ping(src: [u8; 4], dst: [u8; 4]) -> Packet {
    Packet::ip4(src, dst).icmp_echo(kind::ECHO_REQUEST, 7, 1, b"abcd")
}

pub fn all() -> Vec<Case> {
    let mut cases = layer2();
    cases.extend(validate());
    cases.extend(routing());
    cases.extend(nat());
    cases.extend(hand_overs());
    cases
}

fn layer2() -> Vec<Case> {
    let plain = udp(ONPREM, SPOKE_VM, 10);
    let frame = || plain.eth(CE, EDGE1);
    let other = MacAddr([2, 9, 9, 9, 9, 9]);
    vec![
        case(
            "arp-answered",
            "a router asks for the edge's address through the provider and is answered with the \
             same tag; a VM asks for its router, untagged; nobody answers for another address",
            vec![
                ("ce-2", asks(CE, [172, 16, 0, 5], [172, 16, 0, 6], &[200])),
                ("hub", asks(WEB, VM, [10, 10, 1, 1], &[])),
                ("hub", asks(WEB, VM, [10, 10, 1, 77], &[])),
            ],
            &[],
        ),
        case(
            "classify",
            "on an access port: no tag, priority tag, unknown tag, third tag, 0x88A8 refused; \
             behind the edges: a foreign MAC, IPv6 and an unknown EtherType. All are dropped, each \
             by its own name. A bridge group is not carried",
            vec![
                ("ce-1", frame().build()),
                ("ce-1", frame().tag(0x8100, 0xe000).build()),
                ("ce-1", frame().tag(0x8100, 999).build()),
                ("ce-1", tagged(frame(), &[200, 200, 200]).build()),
                ("ce-1", frame().tag(0x88a8, 200).build()),
                ("hub", plain.eth(WEB, other).build()),
                (
                    "hub",
                    Packet::ip6([0xfd00, 0, 0, 0, 0, 0, 0, 1], [0xfd00, 0, 0, 0, 0, 0, 0, 2])
                        .udp(1, 2, b"")
                        .eth(WEB, HUB)
                        .build(),
                ),
                ("hub", thruway::wire::build::Framed::new(WEB, HUB, 0x88b5, b"lldp").build()),
                ("ce-1", tagged(plain.eth(CE, MacAddr([1, 0x80, 0xc2, 0, 0, 2])), &[200]).build()),
                ("hub", vec![1, 2, 3]),
            ],
            &[
                ("missing_tag", 2),
                ("unknown_tag", 1),
                ("third_tag", 1),
                ("foreign_tag_type", 1),
                ("not_our_mac", 1),
                ("ip6_not_forwarded", 1),
                ("unknown_ether_type", 1),
                ("link_local_group", 1),
                ("frame_too_short", 1),
            ],
        ),
        case(
            "accepted-88a8",
            "fab-pri takes an outer 0x88A8 as 0x8100: the packet reaches the spoke's VM",
            vec![(
                "fab-pri",
                udp([172, 20, 1, 1], SPOKE_VM, 10).eth(CE, FAB1).tag(0x88a8, 100).build(),
            )],
            &[],
        ),
    ]
}

fn validate() -> Vec<Case> {
    let ip = || Packet::ip4(ONPREM, SPOKE_VM);
    let martian = |src: [u8; 4], dst: [u8; 4]| private(&udp(src, dst, 4));
    vec![case(
        "validate",
        "every check of RFC 1812 5.2.2 in its order, transport headers that end early (RFC 1858 \
         for fragments), and martians; nothing passes",
        vec![
            ("ce-1", tagged(ip().udp(1, 2, b"").eth(CE, EDGE1), &[200]).truncate(18 + 12).build()),
            private(&ip().bad_ip_checksum().udp(1, 2, b"")),
            private(&ip().version_ihl(0x55).udp(1, 2, b"")),
            private(&ip().version_ihl(0x44).udp(1, 2, b"")),
            private(&ip().total_len(19).udp(1, 2, b"")),
            private(&ip().total_len(200).udp(1, 2, b"")),
            private(&ip().fragment(0, true).raw(6, &[0; 8])),
            private(&ip().fragment(8, true).raw(6, &[0; 8])),
            private(&ip().raw(17, &[0; 4])),
            martian([127, 0, 0, 1], SPOKE_VM),
            martian([240, 0, 0, 1], SPOKE_VM),
            martian(ONPREM, [127, 0, 0, 1]),
            martian(ONPREM, [224, 0, 0, 5]),
        ],
        &[
            ("ip4_too_short", 1),
            ("ip4_bad_checksum", 1),
            ("ip4_bad_version", 1),
            ("ip4_bad_header_length", 1),
            ("ip4_bad_total_length", 2),
            ("ip4_bad_fragment", 2),
            ("l4_too_short", 1),
            ("martian_source", 2),
            ("martian_destination", 2),
        ],
    )]
}

fn routing() -> Vec<Case> {
    let big = |dst, df: bool| {
        let ip = Packet::ip4(ONPREM, dst).id(9);
        let ip = if df { ip.df() } else { ip };
        private(&ip.udp(4000, 443, &[0x55; 1373]))
    };
    let mut policed = case(
        "police",
        "6,000 bytes of burst at 50 Mbit/s and four packets of 1,400 bytes within 8 us (50 \
             bytes of tokens): 5,600 pass, the fifth is policed at the provider; then BGP passes, \
             since control is not dropped",
        (0..5)
            .map(|_| private(&udp(ONPREM, SPOKE_VM, 1372)))
            .chain([private(&web([172, 16, 0, 1], SPOKE_VM, flag::SYN))])
            .collect(),
        &[("policed", 1)],
    );
    policed.apart = 2;
    vec![
        policed,
        case(
            "answer",
            "the edge answers ping from its own address with TTL 64 and by the way it came; UDP to \
             it is told that the port is unreachable",
            vec![
                private(&ping([172, 16, 0, 1], [172, 16, 0, 2])),
                private(&udp([172, 16, 0, 1], [172, 16, 0, 2], 4)),
                from_hub(&ping(VM, [10, 10, 1, 1])),
            ],
            &[("local_unreachable", 1)],
        ),
        case(
            "lookup",
            "an unknown prefix is unreachable; on-premises to on-premises is no transit; TTL 1 is \
             told time exceeded from the edge's address",
            vec![
                private(&udp(ONPREM, [8, 8, 8, 8], 4)),
                private(&udp(ONPREM, [192, 168, 2, 2], 4)),
                private(&Packet::ip4(ONPREM, VM).ttl(1).udp(4000, 80, b"")),
            ],
            &[("no_route", 1), ("no_transit", 1), ("ttl_expired", 1)],
        ),
        case(
            "gateway",
            "to the spoke by the gateway: TTL 62 (the edge and the gateway take one each); 1,401 bytes are refused, with DF told MTU 1400 \
             from the edge's address; a fragment is refused; TTL 2 dies at the gateway without a \
             word",
            vec![
                private(&udp(ONPREM, SPOKE_VM, 10)),
                big(SPOKE_VM, false),
                big(SPOKE_VM, true),
                private(&Packet::ip4(ONPREM, SPOKE_VM).fragment(0, true).udp(1, 2, &[0; 16])),
                private(&Packet::ip4(ONPREM, SPOKE_VM).ttl(2).udp(4000, 80, b"")),
            ],
            &[("gateway_too_big", 2), ("gateway_fragment", 1), ("gateway_ttl_expired", 1)],
        ),
        case(
            "fastpath",
            "the same packets to the hub's VM by FastPath: TTL 63, 1,401 bytes pass both ways, \
             fragments too as far as the group allows (TCP 443 alone), TTL 1 is told",
            vec![
                private(&web(ONPREM, VM, flag::SYN)),
                private(
                    &Packet::ip4(ONPREM, VM).tcp(
                        TcpFields { src: 5000, dst: 443, ..TcpFields::default() },
                        &[0x55; 1361],
                    ),
                ),
                private(
                    &Packet::ip4(ONPREM, VM).df().tcp(
                        TcpFields { src: 5000, dst: 443, ..TcpFields::default() },
                        &[0x55; 1361],
                    ),
                ),
                private(
                    &Packet::ip4(ONPREM, VM)
                        .fragment(0, true)
                        .tcp(TcpFields { src: 5000, dst: 443, ..TcpFields::default() }, &[0; 20]),
                ),
                private(&Packet::ip4(ONPREM, VM).fragment(40, false).raw(6, &[7; 16])),
                private(&Packet::ip4(ONPREM, VM).ttl(1).udp(4000, 80, b"")),
            ],
            &[("ttl_expired", 1)],
        ),
        case(
            "nsg",
            "inbound 443 from 192.168/16 is allowed, and so is its answer; 192.168.66/24 is denied \
             for UDP by a rule; the VM's own packets go out by default, and their answer comes in \
             though its port is not allowed by a rule",
            vec![
                private(&web(ONPREM, VM, flag::SYN)),
                from_hub(&answer(VM, ONPREM)),
                private(&udp([192, 168, 66, 1], VM, 4)),
                from_hub(&web(VM, [192, 168, 66, 2], flag::SYN)),
                private(&answer([192, 168, 66, 2], VM)),
            ],
            &[("nsg_denied", 1)],
        ),
        case(
            "rewrite-fragments",
            "a VM's 1,600 bytes without DF leave in two fragments of at most 1,500 bytes with \
             right offsets; with DF the VM is told MTU 1500",
            vec![
                from_spoke(&udp(SPOKE_VM, ONPREM, 1572)),
                from_spoke(&Packet::ip4(SPOKE_VM, ONPREM).df().udp(1, 2, &[1; 1572])),
            ],
            &[("fragmentation_needed", 1)],
        ),
        case(
            "held",
            "five packets for a neighbour that never answers: three wait, two go by name; after \
             three requests a second apart and five seconds in all the three are given up, and \
             each sender is told that the host is unreachable",
            (0..5).map(|_| from_spoke(&udp(SPOKE_VM, [10, 20, 1, 99], 4))).collect(),
            &[("neighbour_unresolved", 5)],
        ),
    ]
}

fn nat() -> Vec<Case> {
    let inside = [192, 168, 3, 3];
    let pool = [203, 0, 113, 64];
    let quoted = web([203, 0, 113, 80], CLOUD, flag::SYN).build();
    vec![
        case(
            "nat-static",
            "192.168.10.25 is 203.0.113.80 both ways, and an ICMP error about what it sent has \
             both its own destination and the quoted source translated back",
            vec![
                microsoft(&web([192, 168, 10, 25], CLOUD, flag::SYN)),
                from_cloud(&answer(CLOUD, [203, 0, 113, 80])),
                from_cloud(&Packet::ip4(CLOUD, [203, 0, 113, 80]).icmp_error(3, 3, 0, &quoted)),
            ],
            &[],
        ),
        case(
            "nat-forward",
            "203.0.113.81:443 is 192.168.10.30:8443 for whoever opens it",
            vec![from_cloud(&web(CLOUD, [203, 0, 113, 81], flag::SYN))],
            &[],
        ),
        case(
            "nat-in2out",
            "an inside host gets an address of the pool and a port; what nobody asked for does \
             not come in",
            vec![
                microsoft(&web(inside, CLOUD, flag::SYN)),
                microsoft(&ping(inside, CLOUD)),
                from_cloud(&answer(CLOUD, pool)),
            ],
            &[("nat_no_session", 1)],
        ),
        case(
            "nat-hairpin",
            "inside to the static's outside address goes back out of the access port, MAC \
             addresses swapped, source translated to the pool and destination to the inside",
            vec![microsoft(&web(inside, [203, 0, 113, 80], flag::SYN))],
            &[],
        ),
        case(
            "source-check",
            "what NAT leaves alone and is not advertised is refused by the edge: a private source \
             and a public one of somebody else",
            vec![microsoft(&udp([10, 1, 1, 1], CLOUD, 4)), microsoft(&udp([8, 8, 8, 8], CLOUD, 4))],
            &[("source_not_public", 1), ("source_not_advertised", 1)],
        ),
    ]
}

fn hand_overs() -> Vec<Case> {
    vec![
        case(
            "handover-dot1q",
            "one tag on the link, no provider: reaches the spoke untagged. The answer's hash picks \
             the secondary link, where nobody answers ARP: it waits until that neighbour fails, \
             3 s after the start, and leaves by the primary with C-tag 100",
            vec![
                (
                    "fab-pri",
                    tagged(udp([172, 20, 1, 1], SPOKE_VM, 4).eth(CE, FAB1), &[100]).build(),
                ),
                from_spoke(&udp(SPOKE_VM, [172, 20, 1, 1], 4)),
            ],
            &[],
        ),
        case(
            "handover-customer-tags",
            "the customer's outer tag differs by link (501, 502); the link itself is untagged. Both \
             reach the spoke; the answer leaves by one link with that link's tags",
            vec![
                (
                    "ce-3",
                    tagged(udp([172, 21, 1, 1], SPOKE_VM, 4).eth(CE, LIT1), &[501, 200]).build(),
                ),
                (
                    "ce-3",
                    tagged(udp([172, 21, 1, 1], SPOKE_VM, 4).eth(CE, LIT2), &[502, 200]).build(),
                ),
                from_spoke(&udp(SPOKE_VM, [172, 21, 1, 1], 4)),
            ],
            &[],
        ),
        case(
            "vm-to-vm",
            "spoke to hub by vnet peering, past the gateway; to 192.168.50/24 by the firewall in \
             the hub (UDR); the hub's group lets the virtual network in",
            vec![
                from_spoke(&udp(SPOKE_VM, VM, 4)),
                from_hub(&udp(VM, SPOKE_VM, 4)),
                from_spoke(&udp(SPOKE_VM, [192, 168, 50, 1], 4)),
            ],
            &[],
        ),
    ]
}
