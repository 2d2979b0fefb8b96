//! The RFCs' requirements, one test each, by the short names of the compliance report:
//! U = RFC 4787, T = RFC 5382, I = RFC 5508, X = RFC 7857, C = RFC 6888.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::packet::{Packet, ep, ip, udp_segment};
use super::*;
use crate::frame::{DropReason, Flags};
use crate::ids::ShardId;
use crate::mem::Arena;
use crate::time::{Now, Span};
use crate::wire::icmp4::{kind, unreachable};
use crate::wire::proto;
use crate::wire::tcp::flag::{ACK, FIN, RST, SYN};

/// The NAT with all its shards, as a worker that owns every shard would drive it.
struct Nat {
    rules: Arc<Bindings>,
    shards: Vec<Nat44Shard>,
    fragments: FragmentTable<ShardId>,
    now: Now,
}

fn config() -> NatConfig {
    NatConfig {
        inside: vec!["10.0.0.0/8".parse().unwrap()],
        pool: vec!["203.0.113.64/28".parse().unwrap()],
        statics: vec![StaticBinding {
            inside: "10.9.9.9".parse().unwrap(),
            outside: "203.0.113.70".parse().unwrap(),
        }],
        forwards: vec![PortForward {
            proto: Proto::Tcp,
            outside: "203.0.113.65:443".parse().unwrap(),
            inside: "10.1.1.1:8443".parse().unwrap(),
        }],
        sessions: 64,
        ..NatConfig::default()
    }
}

impl Nat {
    fn new(config: &NatConfig) -> Self {
        let rules = config.compile().unwrap();
        let mut arena = Arena::default();
        let shard = |id| Nat44Shard::new(&mut arena, ShardId(id), rules.clone(), 42);
        let shards = (0..64).map(shard).collect();
        let fragments = FragmentTable::new(64, Span::secs(30));
        Self { rules, shards, fragments, now: Now(1_000_000_000_000) }
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// Sends a packet through, hairpins included, and checks what comes out.
    #[track_caller]
    fn send(&mut self, mut packet: Packet) -> Result<Packet, DropReason> {
        packet.row.arrival = self.now;
        let before = packet.clone();
        let mut side =
            self.rules.side(packet.row.src, packet.row.dst).expect("NAT has business with it");
        loop {
            let outcome = self.hop(side, &mut packet);
            match outcome {
                Err(reason) => {
                    let hairpin = side == Side::Out2In && before.row.src != packet.row.src;
                    assert!(
                        hairpin || packet.buf == before.buf,
                        "a drop leaves the frame as it was"
                    );
                    return Err(reason);
                }
                Ok(Translated::Done) => {
                    packet.check();
                    return Ok(packet);
                }
                Ok(Translated::Hairpin) => {
                    assert_eq!(side, Side::In2Out);
                    packet.check();
                    side = Side::Out2In;
                }
            }
        }
    }

    fn hop(&mut self, side: Side, packet: &mut Packet) -> Result<Translated, DropReason> {
        let shard = match self.rules.owner(side, &packet.buf, &packet.row)? {
            Owner::Session(shard) => shard,
            Owner::Fragment => {
                let key = FragmentKey::of(0, &packet.buf, &packet.row).unwrap();
                if packet.row.flags.has(Flags::LATER_FRAGMENT) {
                    let shard = self.fragments.find(key, self.now);
                    shard.ok_or(DropReason::NatFragmentUnknown)?
                } else {
                    let shard = self.rules.outside_owner(&packet.row)?;
                    self.fragments.record(key, shard, self.now);
                    shard
                }
            }
        };
        let shard = &mut self.shards[shard.index()];
        match side {
            Side::In2Out => shard.in2out(&mut packet.buf, &mut packet.row),
            Side::Out2In => shard.out2in(&mut packet.buf, &mut packet.row),
        }
    }

    #[track_caller]
    fn udp(&mut self, src: &str, dst: &str) -> Packet {
        self.send(Packet::udp(ep(src), ep(dst), b"hello")).unwrap()
    }

    fn try_udp(&mut self, src: Endpoint, dst: Endpoint) -> Result<Packet, DropReason> {
        self.send(Packet::udp(src, dst, b"hello"))
    }

    fn tcp(&mut self, src: Endpoint, dst: Endpoint, flags: u8) -> Result<Packet, DropReason> {
        self.send(Packet::tcp(src, dst, flags))
    }

    /// A TCP connection opened from inside; gives its outside endpoint.
    fn connect(&mut self, host: Endpoint, server: Endpoint) -> Endpoint {
        let out = self.tcp(host, server, SYN).unwrap().src();
        self.tcp(server, out, SYN | ACK).unwrap();
        self.tcp(host, server, ACK).unwrap();
        out
    }

    fn sessions(&self) -> Vec<SessionView> {
        self.shards.iter().flat_map(|s| s.sessions(self.now)).collect()
    }
}

#[test]
fn u1_an_inside_endpoint_has_one_outside_endpoint_for_all_remotes() {
    let mut nat = Nat::new(&config());
    let first = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    assert!(nat.rules.pool().addresses().contains(&first.ip) && first.port >= 1024);
    assert_eq!(nat.udp("10.0.0.1:5000", "198.51.100.2:99").src(), first);
    assert_eq!(nat.udp("10.0.0.1:5000", "198.51.100.1:54").src(), first);
    assert_eq!(nat.sessions().len(), 3);
}

#[test]
fn u2_c2_one_inside_host_keeps_one_pool_address() {
    let mut nat = Nat::new(&config());
    for host in 1..20 {
        let addresses: BTreeSet<u32> = (0..30)
            .map(|p| nat.udp(&format!("10.0.0.{host}:{}", 5000 + p), "198.51.100.1:53").src().ip)
            .collect();
        assert_eq!(addresses.len(), 1);
    }
    let all: BTreeSet<_> = nat.sessions().iter().map(|s| *s.outside.ip()).collect();
    assert!(all.len() > 4, "hosts spread over the pool");
}

#[test]
fn u2_a_host_has_as_many_ports_on_its_address_as_its_shard_has_in_the_pool() {
    for (pool, ports) in [("203.0.113.64/32", 1_008), ("203.0.113.64/28", 16_128)] {
        let mut nat = Nat::new(&NatConfig {
            pool: vec![pool.parse().unwrap()],
            statics: Vec::new(),
            forwards: Vec::new(),
            sessions: 20_000,
            host_sessions: 20_000,
            ..config()
        });
        let host = ip("10.0.0.1");
        let mut outside = BTreeSet::new();
        let refused = (1..=20_000u16).find_map(|port| {
            match nat.try_udp(Endpoint::new(host, port), ep("198.51.100.1:53")) {
                Ok(packet) => {
                    assert!(outside.insert(packet.src()), "twice");
                    None
                }
                Err(reason) => Some(reason),
            }
        });
        assert_eq!((outside.len(), refused), (ports, Some(DropReason::NatPoolExhausted)), "{pool}");
        assert!(outside.first().unwrap().ip == outside.last().unwrap().ip, "one address");
    }
}

#[test]
fn x5_a_host_whose_address_is_full_gets_another_only_when_paired_softly() {
    // Two ports of each address a slice; of three addresses shard 21 has one slice of the first
    // and two of the second.
    let hosts = (ip("10.0.0.0")..).filter(|&host| shard_of_inside(host) == ShardId(21));
    let [host, other]: [u32; 2] = hosts.take(2).collect::<Vec<_>>().try_into().unwrap();
    let (first, second) = (ip("203.0.113.64"), ip("203.0.113.65"));
    let server = ep("198.51.100.1:53");
    for (pooling, most) in [(Pooling::Paired, 4), (Pooling::SoftPaired, 6)] {
        let mut nat = Nat::new(&NatConfig {
            pool: ["203.0.113.64/31", "203.0.113.66/32"].map(|net| net.parse().unwrap()).into(),
            ports: PortRange { first: 1024, last: 1151 },
            statics: Vec::new(),
            forwards: Vec::new(),
            pooling,
            ..config()
        });
        let mut outside = Vec::new();
        for port in 1..=most {
            outside.push(nat.try_udp(Endpoint::new(host, port), server).unwrap().src());
        }
        let refused = nat.try_udp(Endpoint::new(host, 99), server).unwrap_err();
        assert_eq!(refused, DropReason::NatPoolExhausted);
        let on = |address: u32| outside.iter().filter(|o| o.ip == address).count();
        assert_eq!((on(second), on(first)), (4, usize::from(most) - 4));
        assert!(outside[..4].iter().all(|o| o.ip == second), "its own address comes first");

        // Each endpoint keeps its own outside, whichever address that is on.
        for (port, known) in (1..).zip(&outside) {
            let again = nat.try_udp(Endpoint::new(host, port), ep("198.51.100.2:9")).unwrap();
            assert_eq!(again.src(), *known);
            assert_eq!(nat.try_udp(server, *known).unwrap().dst(), Endpoint::new(host, port));
        }
        // A host that is not paired yet takes what there is.
        let next = nat.try_udp(Endpoint::new(other, 1), server);
        match pooling {
            Pooling::Paired => assert_eq!(next.unwrap().row.src, first),
            Pooling::SoftPaired => assert_eq!(next.unwrap_err(), DropReason::NatPoolExhausted),
        }
    }
}

#[test]
fn u3_no_two_live_mappings_share_an_outside_endpoint() {
    let mut nat = Nat::new(&NatConfig { sessions: 1024, ..config() });
    let mut seen = BTreeSet::new();
    for host in 0..50u32 {
        for port in 0..40 {
            let src = Endpoint::new(ip("10.0.1.0") + host, 7000 + port);
            assert!(seen.insert(nat.try_udp(src, ep("198.51.100.1:53")).unwrap().src()));
        }
    }
}

#[test]
fn u5_a_udp_session_lives_five_minutes_by_default() {
    let mut nat = Nat::new(&config());
    let out = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    nat.wait(Span(Span::secs(300).0 - 1));
    assert_eq!(nat.try_udp(ep("198.51.100.1:53"), out).unwrap().dst(), ep("10.0.0.1:5000"));
    nat.wait(Span::secs(300));
    let late = nat.try_udp(ep("198.51.100.1:53"), out);
    assert_eq!(late.unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn u6_outbound_refreshes_and_inbound_only_if_configured() {
    let mut nat = Nat::new(&NatConfig { inbound_refresh: false, ..config() });
    let out = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    nat.wait(Span::secs(200));
    nat.udp("10.0.0.1:5000", "198.51.100.1:53");
    nat.wait(Span::secs(200));
    nat.try_udp(ep("198.51.100.1:53"), out).unwrap();
    nat.wait(Span::secs(100));
    assert!(nat.try_udp(ep("198.51.100.1:53"), out).is_err(), "inbound did not refresh");
}

#[test]
fn u8_filtering_is_selectable() {
    let stranger = ["198.51.100.1:53", "198.51.100.1:54", "198.51.100.2:53"];
    for (filtering, passes) in [
        (Filtering::EndpointIndependent, [true, true, true]),
        (Filtering::AddressDependent, [true, true, false]),
        (Filtering::AddressAndPortDependent, [true, false, false]),
    ] {
        let mut nat = Nat::new(&NatConfig { filtering, ..config() });
        let out = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
        for (from, pass) in stranger.iter().zip(passes) {
            match nat.try_udp(ep(from), out) {
                Ok(packet) => assert!(pass && packet.dst() == ep("10.0.0.1:5000")),
                Err(reason) => assert!(!pass && reason == DropReason::NatFiltered),
            }
        }
    }
}

#[test]
fn u9_t8_a_hairpin_arrives_from_the_senders_outside_endpoint() {
    let mut nat = Nat::new(&config());
    let a = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    let b = nat.udp("10.0.0.2:6000", "198.51.100.1:53").src();
    let there = nat.try_udp(ep("10.0.0.1:5000"), b).unwrap();
    assert_eq!((there.src(), there.dst()), (a, ep("10.0.0.2:6000")));
    let back = nat.try_udp(ep("10.0.0.2:6000"), a).unwrap();
    assert_eq!((back.src(), back.dst()), (b, ep("10.0.0.1:5000")));

    let c = nat.connect(ep("10.0.0.3:7000"), ep("203.0.113.65:443"));
    assert_eq!(nat.sessions().iter().filter(|s| s.remote == c.into()).count(), 1);
}

#[test]
fn u11_the_same_seed_and_packets_give_the_same_ports() {
    let run = || {
        let mut nat = Nat::new(&config());
        (0..30).map(|p| nat.udp(&format!("10.0.0.7:{}", 5000 + p), "198.51.100.1:53").buf).collect()
    };
    let (a, b): (Vec<_>, Vec<_>) = (run(), run());
    assert_eq!(a, b);
}

#[test]
fn u12_t10_i6_an_icmp_error_ends_and_refreshes_nothing() {
    let mut nat = Nat::new(&config());
    let out = nat.connect(ep("10.0.0.1:5000"), ep("198.51.100.1:80"));
    let before = nat.sessions();
    let sent = Packet::tcp(out, ep("198.51.100.1:80"), ACK);
    for code in [unreachable::HOST, unreachable::PORT] {
        let error = sent.error(kind::UNREACHABLE, code, ip("192.0.2.1"), out.ip, 999);
        nat.wait(Span::secs(1));
        let error = nat.send(error).unwrap();
        assert_eq!(error.row.dst, ip("10.0.0.1"));
    }
    assert_eq!(nat.sessions(), before);
}

#[test]
fn u14_later_fragments_follow_the_first_in_both_directions() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ep("10.0.0.1:5000"), ep("198.51.100.1:53"));
    let segment = udp_segment(host, server, &[7; 56]);
    let piece = |at: usize, more| {
        let offset = u16::try_from(at).unwrap();
        Packet::raw(
            host.ip,
            server.ip,
            proto::UDP,
            &segment[at..at + 32],
            &[],
            Some((77, offset, more)),
        )
    };
    assert_eq!(nat.send(piece(32, false)).unwrap_err(), DropReason::NatFragmentUnknown);
    let first = nat.send(piece(0, true)).unwrap();
    let second = nat.send(piece(32, false)).unwrap();
    assert_eq!(first.row.src, second.row.src);
    let whole = [&first.ip()[20..], &second.ip()[20..]].concat();
    Packet::raw(first.row.src, server.ip, proto::UDP, &whole, &[], None).check();

    let out = first.src();
    let segment = udp_segment(server, out, &[9; 56]);
    let piece = |at: usize, more| {
        let offset = u16::try_from(at).unwrap();
        Packet::raw(
            server.ip,
            out.ip,
            proto::UDP,
            &segment[at..at + 32],
            &[],
            Some((78, offset, more)),
        )
    };
    let first = nat.send(piece(0, true)).unwrap();
    assert_eq!(first.dst(), host);
    assert_eq!(nat.send(piece(32, false)).unwrap().row.dst, host.ip);
    nat.wait(Span::secs(31));
    assert_eq!(nat.send(piece(32, false)).unwrap_err(), DropReason::NatFragmentUnknown);
}

#[test]
fn t2_a_simultaneous_open_passes_a_filter() {
    let mut nat =
        Nat::new(&NatConfig { filtering: Filtering::AddressAndPortDependent, ..config() });
    let (host, peer) = (ep("10.0.0.1:5000"), ep("198.51.100.1:80"));
    let out = nat.tcp(host, peer, SYN).unwrap().src();
    assert_eq!(nat.tcp(peer, out, SYN).unwrap().dst(), host);
    nat.tcp(host, peer, SYN | ACK).unwrap();
    nat.tcp(peer, out, SYN | ACK).unwrap();
    nat.wait(Span::secs(7000));
    nat.tcp(peer, out, ACK).unwrap();
}

#[test]
fn t4_an_unsolicited_syn_is_dropped_in_silence() {
    let mut nat = Nat::new(&config());
    let dropped = nat.tcp(ep("198.51.100.1:80"), ep("203.0.113.66:2000"), SYN);
    assert_eq!(dropped.unwrap_err(), DropReason::NatNoSession);
    assert!(nat.sessions().is_empty());
}

#[test]
fn t5_an_established_connection_may_idle_two_hours_and_four_minutes() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ep("10.0.0.1:5000"), ep("198.51.100.1:80"));
    let out = nat.connect(host, server);
    nat.wait(Span(Span::secs(7440).0 - 1));
    nat.tcp(server, out, ACK).unwrap();
    nat.wait(Span::secs(7440));
    assert_eq!(nat.tcp(server, out, ACK).unwrap_err(), DropReason::NatNoSession);
    assert_eq!(nat.tcp(host, server, ACK).unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn x2_a_half_open_connection_lives_four_minutes() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ep("10.0.0.1:5000"), ep("198.51.100.1:80"));
    let out = nat.tcp(host, server, SYN).unwrap().src();
    nat.wait(Span(Span::secs(240).0 - 1));
    nat.tcp(server, out, RST | ACK).unwrap();
    nat.wait(Span(1));
    assert_eq!(nat.tcp(server, out, SYN | ACK).unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn x3_a_rst_leaves_four_minutes_unless_traffic_goes_on() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ep("10.0.0.1:5000"), ep("198.51.100.1:80"));
    let out = nat.connect(host, server);
    nat.tcp(server, out, RST).unwrap();
    nat.wait(Span::secs(239));
    nat.tcp(host, server, ACK).unwrap();
    nat.wait(Span::secs(7000));
    nat.tcp(server, out, ACK).unwrap();
    nat.tcp(server, out, RST).unwrap();
    nat.wait(Span::secs(240));
    assert!(nat.tcp(server, out, ACK).is_err());
}

#[test]
fn x8_a_rejected_packet_refreshes_nothing() {
    let mut nat = Nat::new(&NatConfig { filtering: Filtering::AddressDependent, ..config() });
    let out = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    nat.wait(Span::secs(299));
    assert_eq!(nat.try_udp(ep("198.51.100.2:53"), out).unwrap_err(), DropReason::NatFiltered);
    nat.wait(Span::secs(1));
    assert_eq!(nat.try_udp(ep("198.51.100.1:53"), out).unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn i1_i2_queries_go_out_and_back_and_end_after_a_minute() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ip("10.0.0.1"), ip("198.51.100.1"));
    let out = nat.send(Packet::echo(kind::ECHO_REQUEST, host, server, 7)).unwrap();
    let other = nat.send(Packet::echo(kind::ECHO_REQUEST, host, server + 1, 7)).unwrap();
    assert_eq!(out.src(), other.src(), "I1a: the identifier does not depend on the remote");
    let reply = Packet::echo(kind::ECHO_REPLY, server, out.row.src, out.row.sport);
    let back = nat.send(reply.clone()).unwrap();
    assert_eq!((back.row.dst, back.row.dport), (host, 7));
    nat.wait(Span::secs(60));
    assert_eq!(nat.send(reply).unwrap_err(), DropReason::NatNoSession);
    let unasked = Packet::echo(kind::ECHO_REQUEST, server, out.row.src, out.row.sport);
    assert_eq!(nat.send(unasked).unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn i3_an_error_with_a_bad_checksum_is_dropped() {
    let mut nat = Nat::new(&config());
    let sent = nat.udp("10.0.0.1:5000", "198.51.100.1:53");
    let good = sent.error(kind::UNREACHABLE, 3, ip("198.51.100.1"), sent.row.src, 999);
    let mut outer = good.clone();
    outer.buf[14 + 20 + 2] ^= 1;
    assert_eq!(nat.send(outer).unwrap_err(), DropReason::NatBadIcmp);

    let mut quoted = sent.clone();
    quoted.buf[14 + 8] ^= 1; // its TTL
    let quoted = quoted.error(kind::UNREACHABLE, 3, ip("198.51.100.1"), sent.row.src, 999);
    assert_eq!(nat.send(quoted).unwrap_err(), DropReason::NatBadIcmp, "I3a");

    let mut l4 = sent.clone();
    let inner = l4.buf.len() - 2;
    l4.buf[inner] ^= 1; // its payload: I3c, the transport checksum is not checked
    let l4 = l4.error(kind::UNREACHABLE, 3, ip("198.51.100.1"), sent.row.src, 32);
    nat.send(l4).unwrap();
    nat.send(good).unwrap();
}

#[test]
fn i3b_options_in_the_quoted_header_are_skipped() {
    let mut nat = Nat::new(&config());
    let out = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    let segment = udp_segment(out, ep("198.51.100.1:53"), b"x");
    let sent = Packet::raw(
        out.ip,
        ip("198.51.100.1"),
        proto::UDP,
        &segment,
        &[1, 1, 1, 1, 1, 1, 1, 0],
        None,
    );
    let error = sent.error(kind::TIME_EXCEEDED, 0, ip("192.0.2.9"), out.ip, 999);
    assert_eq!(nat.send(error).unwrap().quoted().src(), ep("10.0.0.1:5000"));
}

#[test]
fn i4_an_error_from_outside_speaks_of_what_the_host_sent() {
    let mut nat = Nat::new(&config());
    let server = ep("198.51.100.1:53");
    let host = ep("10.0.0.1:5000");
    let udp = nat.try_udp(host, server).unwrap();
    let tcp = nat.tcp(host, server, SYN).unwrap();
    let echo = nat.send(Packet::echo(kind::ECHO_REQUEST, host.ip, server.ip, 99)).unwrap();
    for (sent, port) in [(udp, host.port), (tcp, host.port), (echo, 99)] {
        for size in [28, 36, 999] {
            let error = sent.error(kind::UNREACHABLE, 4, ip("192.0.2.9"), sent.row.src, size);
            let error = nat.send(error).unwrap();
            let quoted = error.quoted();
            assert_eq!(quoted.src(), Endpoint::new(host.ip, port));
            assert_eq!(quoted.row.dst, server.ip);
            assert_eq!((error.row.src, error.row.dst), (ip("192.0.2.9"), host.ip));
            assert_eq!(error.buf[34..36], [kind::UNREACHABLE, 4], "type and code stay");
            assert_eq!(error.buf[40..42], [5, 220], "the next hop's MTU stays");
        }
    }
    let strange = Packet::udp(ep("203.0.113.66:2000"), server, b"");
    let error = strange.error(kind::UNREACHABLE, 3, server.ip, ip("203.0.113.66"), 999);
    assert_eq!(nat.send(error).unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn i5_an_error_from_inside_speaks_of_what_the_remote_sent() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ep("10.0.0.1:5000"), ep("198.51.100.1:53"));
    let out = nat.try_udp(host, server).unwrap().src();
    let received = nat.try_udp(server, out).unwrap();
    for from in [host.ip, ip("10.200.0.1")] {
        let error = received.error(kind::UNREACHABLE, 3, from, server.ip, 999);
        let error = nat.send(error).unwrap();
        assert_eq!(error.row.src, out.ip);
        assert_eq!((error.quoted().src(), error.quoted().dst()), (server, out));
    }
    let strange = Packet::udp(server, ep("10.0.0.1:5001"), b"");
    let error = strange.error(kind::UNREACHABLE, 3, host.ip, server.ip, 999);
    assert_eq!(nat.send(error).unwrap_err(), DropReason::NatNoSession);
}

#[test]
fn i7_an_error_takes_a_hairpin_back() {
    let mut nat = Nat::new(&config());
    let a = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    let b = nat.udp("10.0.0.2:6000", "198.51.100.1:53").src();
    let received = nat.try_udp(ep("10.0.0.1:5000"), b).unwrap();
    let error = nat.send(received.error(kind::UNREACHABLE, 3, ip("10.0.0.2"), a.ip, 999)).unwrap();
    assert_eq!((error.row.src, error.row.dst), (b.ip, ip("10.0.0.1")));
    assert_eq!((error.quoted().src(), error.quoted().dst()), (ep("10.0.0.1:5000"), b));
}

#[test]
fn an_error_about_an_error_is_refused() {
    let mut nat = Nat::new(&config());
    let sent = nat.udp("10.0.0.1:5000", "198.51.100.1:53");
    let error = sent.error(kind::UNREACHABLE, 3, ip("198.51.100.1"), sent.row.src, 28);
    let nested = error.error(kind::TIME_EXCEEDED, 0, ip("192.0.2.1"), sent.row.src, 999);
    assert_eq!(nat.send(nested).unwrap_err(), DropReason::NatBadIcmp);
}

#[test]
fn a_static_binding_translates_every_protocol_both_ways() {
    let mut nat = Nat::new(&config());
    let (inside, outside, remote) = (ip("10.9.9.9"), ip("203.0.113.70"), ip("198.51.100.1"));
    let esp = |s, d| Packet::raw(s, d, 50, &[1, 2, 3, 4, 5, 6, 7, 8], &[], None);
    assert_eq!(nat.send(esp(inside, remote)).unwrap().row.src, outside);
    assert_eq!(nat.send(esp(remote, outside)).unwrap().row.dst, inside);
    let other = nat.send(esp(ip("10.0.0.1"), remote));
    assert_eq!(other.unwrap_err(), DropReason::NatUnsupportedProtocol);
    let other = nat.send(esp(remote, ip("203.0.113.66")));
    assert_eq!(other.unwrap_err(), DropReason::NatUnsupportedProtocol);

    let (i, o) = (Endpoint::new(inside, 22), Endpoint::new(outside, 22));
    assert_eq!(nat.tcp(ep("198.51.100.1:4000"), o, SYN).unwrap().dst(), i);
    assert_eq!(nat.tcp(i, ep("198.51.100.1:4000"), SYN | ACK).unwrap().src(), o);
    let ping = nat.send(Packet::echo(kind::ECHO_REQUEST, remote, outside, 3)).unwrap();
    assert_eq!((ping.row.dst, ping.row.dport), (inside, 3));
    let later = Packet::raw(remote, outside, proto::UDP, &[0; 16], &[], Some((5, 32, false)));
    assert_eq!(nat.send(later).unwrap().row.dst, inside);
    assert!(!nat.rules.pool().addresses().contains(&outside), "nobody else gets the address");
}

#[test]
fn a_port_forward_works_both_ways_and_is_nobody_elses_port() {
    let mut nat = Nat::new(&config());
    let (inside, outside) = (ep("10.1.1.1:8443"), ep("203.0.113.65:443"));
    let client = ep("198.51.100.7:4000");
    assert_eq!(nat.tcp(client, outside, SYN).unwrap().dst(), inside);
    assert_eq!(nat.tcp(inside, client, SYN | ACK).unwrap().src(), outside);
    assert_eq!(nat.tcp(inside, ep("192.0.2.1:80"), SYN).unwrap().src(), outside);
    let middle = nat.tcp(ep("198.51.100.8:4000"), outside, ACK).unwrap();
    assert_eq!(middle.dst(), inside, "a connection from before a restart goes on");
    let udp = nat.try_udp(client, outside);
    assert_eq!(udp.unwrap_err(), DropReason::NatNoSession, "only its protocol");
}

#[test]
fn c4_a_host_has_no_more_sessions_than_its_limit() {
    let mut nat = Nat::new(&NatConfig { host_sessions: 3, ..config() });
    let host = ep("10.0.0.1:5000");
    for remote in 1..=3 {
        nat.try_udp(host, Endpoint::new(ip("198.51.100.0") + remote, 53)).unwrap();
        nat.wait(Span::secs(1));
    }
    let fourth = ep("198.51.100.9:53");
    assert_eq!(nat.try_udp(host, fourth).unwrap_err(), DropReason::NatHostLimit);
    nat.wait(Span(Span::secs(297).0 - 1));
    assert_eq!(nat.try_udp(host, fourth).unwrap_err(), DropReason::NatHostLimit);
    nat.wait(Span(1));
    nat.try_udp(host, fourth).unwrap();
    assert_eq!(nat.try_udp(host, ep("198.51.100.8:53")).unwrap_err(), DropReason::NatHostLimit);
}

#[test]
fn c8_a_freed_port_rests_for_two_minutes_and_its_owner_may_have_it_back() {
    let mut nat = Nat::new(&config());
    let out = nat.udp("10.0.0.1:5000", "198.51.100.1:53").src();
    nat.wait(Span::secs(300 + 119));
    assert_eq!(nat.udp("10.0.0.1:5000", "198.51.100.1:53").src(), out);
}

#[test]
fn c8a_the_port_of_a_connection_whose_end_was_seen_does_not_rest() {
    let (server, host) = (ep("198.51.100.1:80"), ep("10.0.0.1:5000"));
    type End = fn(&mut Nat, Endpoint, Endpoint, Endpoint);
    let fins: End = |nat, host, server, out| {
        nat.tcp(host, server, FIN | ACK).unwrap();
        nat.tcp(server, out, FIN | ACK).unwrap();
    };
    let reset: End = |nat, _, server, out| drop(nat.tcp(server, out, RST).unwrap());
    let silence: End = |_, _, _, _| {};
    // Seconds until the port is another's: closing, closing, established and quarantine.
    for (end, seconds) in [(fins, 240), (reset, 240), (silence, 7440 + 120)] {
        let mut nat = Nat::new(&NatConfig {
            pool: vec!["203.0.113.64/32".parse().unwrap()],
            ports: PortRange { first: 1024, last: 1151 },
            forwards: Vec::new(),
            ..config()
        });
        let out = nat.connect(host, server);
        let kept = nat.connect(ep("10.0.0.1:5001"), server);
        end(&mut nat, host, server, out);
        let third = ep("10.0.0.1:5002");
        let refresh = |nat: &mut Nat, seconds| {
            nat.wait(seconds);
            nat.tcp(server, kept, ACK).unwrap();
        };
        (0..seconds / 240).for_each(|_| refresh(&mut nat, Span::secs(239)));
        refresh(&mut nat, Span(Span::secs(seconds - seconds / 240 * 239).0 - 1));
        let refused = nat.tcp(third, server, SYN).unwrap_err();
        assert_eq!(refused, DropReason::NatPoolExhausted, "{seconds}");
        nat.wait(Span(1));
        assert_eq!(nat.tcp(third, server, SYN).unwrap().src(), out);
    }
}

#[test]
fn c11_exhaustion_drops_by_name_and_evicts_nobody() {
    let mut nat = Nat::new(&NatConfig {
        pool: vec!["203.0.113.64/32".parse().unwrap()],
        ports: PortRange { first: 1024, last: 1151 },
        forwards: Vec::new(),
        ..config()
    });
    let server = ep("198.51.100.1:53");
    let out: Vec<_> = (0..2).map(|p| Endpoint::new(ip("10.0.0.1"), 5000 + p)).collect();
    let out: Vec<_> = out.into_iter().map(|e| nat.try_udp(e, server).unwrap().src()).collect();
    let third = ep("10.0.0.1:5002");
    assert_eq!(nat.try_udp(third, server).unwrap_err(), DropReason::NatPoolExhausted);
    for outside in &out {
        nat.try_udp(server, *outside).unwrap();
    }
    nat.tcp(third, server, SYN).expect("TCP has its own ports");
    nat.wait(Span::secs(419));
    assert_eq!(nat.try_udp(third, server).unwrap_err(), DropReason::NatPoolExhausted, "C8");
    nat.wait(Span::secs(1));
    assert!(out.contains(&nat.try_udp(third, server).unwrap().src()));
}

#[test]
fn a_full_table_drops_by_name_until_something_ends() {
    let mut nat = Nat::new(&NatConfig { sessions: 4, ..config() });
    let server = ep("198.51.100.1:53");
    let host = ip("10.0.0.1");
    for port in 0..4 {
        nat.try_udp(Endpoint::new(host, 5000 + port), server).unwrap();
    }
    let fifth = Endpoint::new(host, 6000);
    assert_eq!(nat.try_udp(fifth, server).unwrap_err(), DropReason::NatTableFull);
    nat.wait(Span(Span::secs(420).0 - 1));
    assert_eq!(nat.try_udp(fifth, server).unwrap_err(), DropReason::NatTableFull, "C8: mappings");
    nat.wait(Span(1));
    nat.try_udp(fifth, server).unwrap();
}

#[test]
fn a_udp_checksum_of_zero_stays_zero() {
    let mut nat = Nat::new(&config());
    let mut packet = Packet::udp(ep("10.0.0.1:5000"), ep("198.51.100.1:53"), b"x");
    packet.buf[14 + 20 + 6..14 + 20 + 8].fill(0);
    let out = nat.send(packet).unwrap();
    assert_eq!(out.buf[40..42], [0, 0]);
}

#[test]
fn a_partial_checksum_stays_the_sum_of_the_pseudo_header() {
    use crate::wire::checksum::{fold, pseudo_header};
    let mut nat = Nat::new(&config());
    let mut packet = Packet::tcp(ep("10.0.0.1:5000"), ep("198.51.100.1:80"), SYN);
    let sum = |p: &Packet| fold(pseudo_header(p.row.src, p.row.dst, 6, p.row.ip_len - 20));
    let before = sum(&packet);
    packet.buf[50..52].copy_from_slice(&before.to_be_bytes());
    packet.row.flags.set(Flags::PARTIAL_CHECKSUM);
    let mut row = packet.row;
    row.arrival = nat.now;
    let shard = shard_of_inside(row.src).index();
    nat.shards[shard].in2out(&mut packet.buf, &mut row).unwrap();
    packet.row = row;
    assert_eq!(packet.buf[50..52], sum(&packet).to_be_bytes());
    assert_ne!(before, sum(&packet));
}

#[test]
fn what_is_neither_inside_nor_ours_is_left_alone() {
    let nat = Nat::new(&config());
    let side = |s: &str, d: &str| {
        let row = Packet::udp(ep(s), ep(d), b"").row;
        nat.rules.side(row.src, row.dst)
    };
    assert_eq!(side("10.0.0.1:1", "198.51.100.1:1"), Some(Side::In2Out));
    assert_eq!(side("198.51.100.1:1", "203.0.113.79:1"), Some(Side::Out2In));
    assert_eq!(side("198.51.100.1:1", "203.0.113.80:1"), None);
    assert_eq!(side("203.0.113.1:179", "203.0.113.2:179"), None);
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let socket = |s: &str| s.parse().unwrap();
    let mut twice = config();
    twice.forwards.push(PortForward { inside: socket("10.1.1.2:80"), ..twice.forwards[0] });
    assert_eq!(
        twice.compile().unwrap_err(),
        NatConfigError::OutsideTwice(socket("203.0.113.65:443"))
    );
    let mut both = config();
    both.pool.push("10.3.0.0/24".parse().unwrap());
    assert_eq!(both.compile().unwrap_err(), NatConfigError::BothSides("10.3.0.0".parse().unwrap()));
    let huge = NatConfig { pool: vec!["128.0.0.0/8".parse().unwrap()], ..config() };
    assert_eq!(huge.compile().unwrap_err(), NatConfigError::PoolTooLarge(1 << 24));
    let few = NatConfig { ports: PortRange { first: 5000, last: 5100 }, ..config() };
    assert_eq!(few.compile().unwrap_err(), NatConfigError::TooFewPorts(5000, 5100));
    let mut icmp = config();
    icmp.forwards[0].proto = Proto::Icmp;
    assert!(matches!(icmp.compile().unwrap_err(), NatConfigError::NoPort(Proto::Icmp, _)));
}

#[test]
fn ended_sessions_are_removed_within_a_budget() {
    let mut nat = Nat::new(&NatConfig { sessions: 1024, ..config() });
    let host = ip("10.0.0.1");
    for port in 0..100 {
        nat.try_udp(Endpoint::new(host, 5000 + port), ep("198.51.100.1:53")).unwrap();
    }
    let shard = &mut nat.shards[shard_of_inside(host).index()];
    let later = nat.now + Span::secs(302);
    assert_eq!(shard.expire(nat.now + Span::secs(290), 1000), 0);
    assert_eq!(shard.expire(later, 30), 30);
    assert_eq!(shard.expire(later, 1000), 70);
    let after = shard.counters();
    assert_eq!((after.sessions, after.mappings, after.expired), (0, 100, 100));
    shard.expire(later + Span::secs(121), 1000);
    assert_eq!((shard.counters().mappings, shard.counters().hosts), (0, 0));
}

#[test]
fn both_fins_end_a_session_after_the_closing_time() {
    let mut nat = Nat::new(&config());
    let (host, server) = (ep("10.0.0.1:5000"), ep("198.51.100.1:80"));
    let out = nat.connect(host, server);
    nat.tcp(host, server, FIN | ACK).unwrap();
    nat.tcp(server, out, FIN | ACK).unwrap();
    nat.wait(Span::secs(239));
    nat.tcp(host, server, ACK).unwrap();
    nat.wait(Span::secs(1));
    assert!(nat.sessions().is_empty());
}

#[test]
fn a_rst_makes_room_to_the_nanosecond_whatever_ran_out() {
    let timeouts =
        Timeouts { tcp_closing: Span::secs(10), quarantine: Span::ZERO, ..Timeouts::default() };
    let base = NatConfig {
        pool: vec!["203.0.113.64/32".parse().unwrap()],
        forwards: Vec::new(),
        timeouts,
        ..config()
    };
    for (config, reason) in [
        (NatConfig { host_sessions: 2, ..base.clone() }, DropReason::NatHostLimit),
        (NatConfig { sessions: 2, ..base.clone() }, DropReason::NatTableFull),
        (
            NatConfig { ports: PortRange { first: 1024, last: 1151 }, ..base },
            DropReason::NatPoolExhausted,
        ),
    ] {
        let mut nat = Nat::new(&config);
        let server = ep("198.51.100.1:80");
        let out = nat.connect(ep("10.0.0.1:5000"), server);
        nat.connect(ep("10.0.0.1:5001"), server);
        let third = ep("10.0.0.1:5002");
        assert_eq!(nat.tcp(third, server, SYN).unwrap_err(), reason);
        nat.tcp(server, out, RST).unwrap();
        nat.wait(Span(Span::secs(10).0 - 1));
        assert_eq!(nat.tcp(third, server, SYN).unwrap_err(), reason);
        nat.wait(Span(1));
        nat.tcp(third, server, SYN).unwrap();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    /// Neither broken bytes nor a row that does not fit them makes a shard panic.
    #[test]
    fn broken_packets_and_rows_are_dropped_or_translated(
        kind in 0..4usize,
        size in 0..90usize,
        changes in proptest::collection::vec((0..90usize, proptest::num::u8::ANY), 0..12),
        (l3, l4, ip_len) in (0..120u16, 0..120u16, proptest::num::u16::ANY),
        (flags, true_row) in (proptest::num::u16::ANY, proptest::bool::ANY),
    ) {
        let mut nat = Nat::new(&config());
        let sent = nat.udp("10.0.0.1:5000", "198.51.100.1:53");
        let packet = match kind {
            0 => sent.error(kind::UNREACHABLE, 3, ip("192.0.2.1"), sent.row.src, 60),
            1 => Packet::tcp(ep("10.0.0.1:5000"), ep("198.51.100.1:53"), SYN),
            2 => Packet::echo(kind::ECHO_REQUEST, ip("10.9.9.9"), ip("198.51.100.1"), 5),
            _ => Packet::udp(ep("198.51.100.1:53"), sent.src(), b"hello"),
        };
        let Packet { mut buf, mut row } = packet;
        for (at, byte) in changes {
            if let Some(place) = buf.get_mut(at) {
                *place = byte;
            }
        }
        buf.truncate(size.max(40 * usize::from(true_row)));
        if !true_row {
            (row.l3, row.l4, row.ip_len) = (l3, l4, ip_len);
            row.flags.0 ^= flags;
        }
        for side in [Side::In2Out, Side::Out2In] {
            let _ = nat.rules.owner(side, &buf, &row);
            for shard in &mut nat.shards {
                let _ = match side {
                    Side::In2Out => shard.in2out(&mut buf, &mut row),
                    Side::Out2In => shard.out2in(&mut buf, &mut row),
                };
            }
        }
    }
}

/// Workers read their clocks apart, so that a packet may come with an earlier time than the one
/// before it, and a session end sooner than when it was opened was to be seen.
#[test]
fn a_host_whose_only_session_ended_early_is_made_anew() {
    let timeouts = Timeouts { quarantine: Span::ZERO, ..Timeouts::default() };
    let mut nat = Nat::new(&NatConfig { timeouts, ..config() });
    let host = ip("10.0.0.1");
    let ask = |to: &str, id| Packet::echo(kind::ECHO_REQUEST, host, ip(to), id);
    let earlier = nat.now;
    nat.wait(Span::secs(1));
    nat.send(ask("198.51.100.1", 7)).unwrap();
    nat.now = earlier;
    nat.send(ask("198.51.100.1", 7)).unwrap();
    nat.wait(timeouts.shortest());
    nat.wait(Span::millis(500));
    // The same endpoint to somebody else: its old mapping is over, and was all that the host had.
    let out = nat.send(ask("198.51.100.2", 7)).unwrap().src();
    nat.send(ask("198.51.100.2", 8)).unwrap();
    let hosts: usize = nat.shards.iter().map(|shard| shard.counters().hosts).sum();
    assert_eq!(hosts, 1);
    let answer = Packet::echo(kind::ECHO_REPLY, ip("198.51.100.2"), out.ip, out.port);
    assert_eq!(nat.send(answer).unwrap().row.dst, host);
    nat.wait(timeouts.shortest());
    nat.wait(Span::secs(3));
    for shard in &mut nat.shards {
        shard.expire(nat.now, 100);
        assert_eq!(shard.counters().hosts, 0);
    }
}
