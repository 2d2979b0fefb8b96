//! The state machine as a neighbour on the wire sees it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ids::{AttachmentId, NeighbourId};
use crate::time::{Now, Span};
use crate::wire::arp::{ArpPacket, REPLY, REQUEST};
use crate::wire::eth::MacAddr;

const LINK: AttachmentId = AttachmentId(4);
const OURS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const START: Now = Now(1 << 50);

struct Link {
    arp: Arp,
    words: Arc<Words>,
    now: Now,
}

impl Link {
    fn new(subnet: &str, room: usize) -> Self {
        let words = Arc::new(Words::new(room));
        let mut arp = Arp::new(Arc::clone(&words));
        arp.add_interface(Interface {
            id: LINK,
            mac: OUR_MAC,
            addresses: vec![OURS],
            on_link: vec![subnet.parse().unwrap()],
        });
        Self { arp, words, now: START }
    }

    /// A link with one neighbour that routes depend on.
    fn with_peer() -> (Self, NeighbourId) {
        let mut link = Self::new("172.16.0.0/30", 8);
        let peer = link.arp.add_neighbour(link.now, LINK, PEER).unwrap();
        (link, peer)
    }

    /// Lets time pass, with every timer at its very time.
    fn wait(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(due) = self.arp.poll_timeout().filter(|&due| due <= until) {
            assert!(due >= self.now, "a timer in the past");
            self.now = due;
            self.arp.handle_timeout(due);
        }
        self.now = until;
    }

    fn hear(&mut self, packet: ArpPacket) -> Reaction {
        self.arp.handle_arp(self.now, LINK, &packet)
    }

    fn sent(&mut self) -> Vec<ArpOutput> {
        std::iter::from_fn(|| self.arp.poll_output()).collect()
    }

    fn state(&self, id: NeighbourId) -> NeighbourState {
        self.words.load(id).state()
    }
}

fn arp(operation: u16, mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> ArpPacket {
    ArpPacket::new(operation, mac, sender.to_bits(), MacAddr::ZERO, target.to_bits())
}

fn reply() -> ArpPacket {
    arp(REPLY, PEER_MAC, PEER, OURS)
}

#[test]
fn a_request_for_us_is_answered_and_its_sender_learned() {
    let mut link = Link::new("172.16.0.0/24", 8);
    let reaction = link.hear(arp(REQUEST, PEER_MAC, PEER, OURS));
    let answer = reaction.reply.unwrap();
    assert_eq!((answer.operation.get(), answer.sender_mac), (REPLY, OUR_MAC));
    assert_eq!((answer.sender.get(), answer.target.get()), (OURS.to_bits(), PEER.to_bits()));
    assert_eq!(answer.target_mac, PEER_MAC);
    let word = link.words.load(reaction.learned.unwrap());
    assert_eq!((word.state(), word.mac()), (NeighbourState::Reachable, PEER_MAC));
}

#[test]
fn a_neighbour_is_asked_three_times_a_second_apart_and_then_every_five() {
    let (mut link, peer) = Link::with_peer();
    let mut at = Vec::new();
    for second in 0..20 {
        for output in link.sent() {
            assert_eq!(output.destination, MacAddr::BROADCAST);
            assert_eq!(output.interface, LINK);
            let packet = output.packet;
            assert_eq!(packet.operation.get(), REQUEST);
            assert_eq!(
                (packet.sender.get(), packet.target.get()),
                (OURS.to_bits(), PEER.to_bits())
            );
            assert_eq!((packet.sender_mac, packet.target_mac), (OUR_MAC, MacAddr::ZERO));
            at.push(second);
        }
        let state = link.state(peer);
        let wanted = if second < 3 { NeighbourState::Incomplete } else { NeighbourState::Failed };
        assert_eq!(state, wanted, "second {second}");
        link.wait(Span::secs(1));
    }
    assert_eq!(at, [0, 1, 2, 8, 13, 18]);
    assert_eq!(link.arp.poll_change(), Some((peer, NeighbourState::Incomplete)));
    assert_eq!(link.arp.poll_change(), Some((peer, NeighbourState::Failed)));
    assert_eq!(link.arp.poll_change(), None);
}

#[test]
fn an_answer_holds_for_half_a_minute_and_is_then_probed_by_unicast() {
    let (mut link, peer) = Link::with_peer();
    assert_eq!(link.hear(reply()).learned, Some(peer));
    link.sent();
    link.wait(Span::secs(29));
    assert!(link.sent().is_empty());
    link.wait(Span::secs(1));
    let probe = link.sent();
    assert_eq!(probe.len(), 1);
    assert_eq!(probe[0].destination, PEER_MAC);
    assert_eq!(link.state(peer), NeighbourState::Reachable, "in use while it is probed");
    assert_eq!(link.hear(reply()).learned, Some(peer));
    link.wait(Span::secs(29));
    assert!(link.sent().is_empty());
}

#[test]
fn a_neighbour_that_fell_silent_fails_and_comes_back_with_a_new_address() {
    let (mut link, peer) = Link::with_peer();
    assert_eq!(link.hear(reply()).learned, Some(peer));
    link.wait(Span::secs(30));
    link.sent();
    link.wait(Span::secs(3));
    let sent = link.sent();
    let to: Vec<_> = sent.iter().map(|output| output.destination).collect();
    assert_eq!(to, [PEER_MAC, PEER_MAC, MacAddr::BROADCAST]);
    assert_eq!(link.state(peer), NeighbourState::Failed);
    let other = MacAddr([2, 9, 9, 9, 9, 9]);
    assert_eq!(link.hear(arp(REPLY, other, PEER, OURS)).learned, Some(peer));
    assert_eq!(link.words.load(peer), Word::new(other, NeighbourState::Reachable));
}

#[test]
fn a_port_that_goes_down_takes_its_neighbours_along_at_once() {
    let (mut link, peer) = Link::with_peer();
    assert_eq!(link.hear(reply()).learned, Some(peer));
    link.arp.set_port_down(LINK);
    assert_eq!(link.words.load(peer), Word::new(MacAddr::ZERO, NeighbourState::Down));
    assert_eq!(link.arp.poll_timeout(), None);
    assert_eq!(link.hear(reply()).ignored, Some(Ignored::NoInterface));
    assert_eq!(link.arp.resolve(link.now, LINK, PEER), Some(peer));
    assert_eq!(link.state(peer), NeighbourState::Down);
    link.sent();
    link.arp.set_port_up(LINK, link.now);
    assert_eq!(link.state(peer), NeighbourState::Incomplete);
    assert_eq!(link.sent().len(), 1);
    link.arp.set_port_up(LINK, link.now);
    assert!(link.sent().is_empty(), "it was up already");
}

#[test]
fn bogus_packets_teach_nothing() {
    let (mut link, peer) = Link::with_peer();
    let stranger = Ipv4Addr::new(10, 0, 0, 9);
    let mut ip6 = reply();
    ip6.protocol.set(0x86dd);
    for (packet, reason) in [
        (arp(REPLY, MacAddr::BROADCAST, PEER, OURS), Ignored::BadSenderMac),
        (arp(REPLY, MacAddr([1, 0, 0x5e, 0, 0, 1]), PEER, OURS), Ignored::BadSenderMac),
        (arp(REPLY, MacAddr::ZERO, PEER, OURS), Ignored::BadSenderMac),
        (arp(REPLY, OUR_MAC, OURS, OURS), Ignored::Echo),
        (arp(REQUEST, PEER_MAC, stranger, OURS), Ignored::NotOnLink),
        (arp(REQUEST, PEER_MAC, Ipv4Addr::new(172, 16, 0, 3), OURS), Ignored::NotOnLink),
        (arp(3, PEER_MAC, PEER, OURS), Ignored::NotArp),
        (ip6, Ignored::NotArp),
    ] {
        let reaction = link.hear(packet);
        assert_eq!((reaction.learned, reaction.ignored), (None, Some(reason)));
        assert_eq!(link.state(peer), NeighbourState::Incomplete);
    }
}

#[test]
fn strangers_are_learned_only_when_they_ask_for_us() {
    let mut link = Link::new("172.16.0.0/24", 2);
    let host = |last| Ipv4Addr::new(172, 16, 0, last);
    assert_eq!(link.hear(reply()).ignored, Some(Ignored::NotForUs), "nobody asked");
    let gossip = arp(REQUEST, PEER_MAC, PEER, host(77));
    let reaction = link.hear(gossip);
    assert_eq!((reaction.reply.is_none(), reaction.ignored), (true, Some(Ignored::NotForUs)));
    let one = link.hear(arp(REQUEST, PEER_MAC, PEER, OURS)).learned.unwrap();
    assert!(link.hear(arp(REQUEST, MacAddr([2; 6]), host(5), OURS)).learned.is_some());
    let third = link.hear(arp(REQUEST, MacAddr([4; 6]), host(6), OURS));
    assert_eq!(third.ignored, Some(Ignored::NoRoom));
    assert!(third.reply.is_some(), "who asks is answered even so");
    link.arp.remove_neighbour(one);
    assert_eq!(link.state(one), NeighbourState::Down);
    assert_eq!(link.hear(arp(REQUEST, MacAddr([4; 6]), host(6), OURS)).learned, Some(one));
}

#[test]
fn whoever_takes_our_address_is_answered_with_an_announcement_every_ten_seconds() {
    let (mut link, _) = Link::with_peer();
    link.sent();
    let theft = arp(REQUEST, PEER_MAC, OURS, OURS);
    for (wait, announcements) in [(0, 1), (1, 0), (9, 1)] {
        link.wait(Span::secs(wait));
        link.sent();
        let reaction = link.hear(theft);
        assert_eq!(reaction.ignored, Some(Ignored::Conflict));
        assert!(reaction.reply.is_none());
        let sent = link.sent();
        assert_eq!(sent.len(), announcements);
        assert!(sent.iter().all(|output| output.packet.sender == output.packet.target));
    }
}

#[test]
fn an_address_probe_is_answered_and_not_learned() {
    let mut link = Link::new("172.16.0.0/24", 8);
    let reaction = link.hear(arp(REQUEST, PEER_MAC, Ipv4Addr::UNSPECIFIED, OURS));
    assert!(reaction.reply.is_some() && reaction.learned.is_none());
    assert_eq!(link.arp.entries(link.now).count(), 1);
}

#[test]
fn hosts_of_a_subnet_are_asked_for_on_demand_and_given_up() {
    let mut link = Link::new("172.16.0.0/24", 8);
    let host = Ipv4Addr::new(172, 16, 0, 9);
    let id = link.arp.resolve(link.now, LINK, host).unwrap();
    assert_eq!(link.arp.resolve(link.now, LINK, host), Some(id));
    assert_eq!(link.sent().len(), 1);
    link.wait(Span::secs(60));
    assert_eq!(link.sent().len(), 2);
    assert_eq!(link.state(id), NeighbourState::Failed);
    assert_eq!(link.arp.poll_timeout(), None, "nothing depends on it");
    assert_eq!(link.arp.resolve(link.now, LINK, host), Some(id));
    assert_eq!((link.state(id), link.sent().len()), (NeighbourState::Incomplete, 1));
    for nowhere in [OURS, Ipv4Addr::new(172, 16, 0, 255), Ipv4Addr::new(172, 16, 1, 1)] {
        assert_eq!(link.arp.resolve(link.now, LINK, nowhere), None);
    }
    assert_eq!(link.arp.resolve(link.now, AttachmentId(99), host), None);
}

#[test]
fn a_failed_next_hop_stays_failed_until_it_answers() {
    let (mut link, peer) = Link::with_peer();
    link.wait(Span::secs(4));
    link.sent();
    assert_eq!(link.arp.resolve(link.now, LINK, PEER), Some(peer));
    assert_eq!((link.state(peer), link.sent().len()), (NeighbourState::Failed, 1));
    link.arp.resolve(link.now, LINK, PEER);
    assert!(link.sent().is_empty(), "at most one request a second");
}

#[test]
fn show_arp_lists_our_address_and_its_neighbours_with_age_in_minutes() {
    let (mut link, peer) = Link::with_peer();
    let row = |link: &Link, at: usize| link.arp.entries(link.now).nth(at).unwrap();
    let own = row(&link, 0);
    assert_eq!((own.address, own.mac, own.state), (OURS, Some(OUR_MAC), EntryState::Own));
    assert_eq!((own.age_minutes, own.neighbour), (0, None));
    assert_eq!((row(&link, 1).mac, row(&link, 1).state.name()), (None, "incomplete"));
    link.arp.confirm(link.now, peer, PEER_MAC);
    // A clock that is not served: the entry only grows old.
    link.now = link.now + Span::secs(150);
    let heard = row(&link, 1);
    assert_eq!((heard.mac, heard.age_minutes), (Some(PEER_MAC), 2));
    assert_eq!((heard.neighbour, heard.state), (Some(peer), EntryState::Reachable));
}

#[test]
fn a_replaced_interface_keeps_the_neighbours_that_can_still_be_there() {
    let mut link = Link::new("172.16.0.0/24", 8);
    let (near, far) = (Ipv4Addr::new(172, 16, 0, 6), Ipv4Addr::new(172, 16, 0, 200));
    let kept = link.arp.add_neighbour(link.now, LINK, near).unwrap();
    let lost = link.arp.add_neighbour(link.now, LINK, far).unwrap();
    link.arp.confirm(link.now, kept, PEER_MAC);
    link.arp.add_interface(Interface {
        id: LINK,
        mac: OUR_MAC,
        addresses: vec![OURS],
        on_link: vec!["172.16.0.0/29".parse().unwrap()],
    });
    assert_eq!(link.arp.neighbour(LINK, near), Some(kept));
    assert_eq!(link.state(kept), NeighbourState::Reachable);
    assert_eq!((link.arp.neighbour(LINK, far), link.state(lost)), (None, NeighbourState::Down));
    link.arp.remove_interface(LINK);
    assert_eq!((link.arp.entries(link.now).count(), link.arp.poll_timeout()), (0, None));
}

#[test]
fn the_end_of_time_is_no_endless_loop() {
    let (mut link, peer) = Link::with_peer();
    for _ in 0..9 {
        link.arp.handle_timeout(Now(u64::MAX));
    }
    assert_eq!(link.state(peer), NeighbourState::Failed);
}

/// What happens on the link.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Heard(u8),
    Needed,
    Down,
    Up,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        5 => prop_oneof![0u64..3_000, 0u64..40_000].prop_map(Event::Wait),
        3 => (1u8..4).prop_map(Event::Heard),
        2 => Just(Event::Needed),
        1 => Just(Event::Down),
        2 => Just(Event::Up),
    ];
    prop::collection::vec(event, 1..80)
}

/// The state of a neighbour that routes depend on, told from two times alone: when the port came
/// up, and when the neighbour was last heard since.
fn by_the_book(now: Now, up: Option<Now>, heard: Option<(Now, MacAddr)>) -> Word {
    let (mac, state) = match (up, heard) {
        (None, _) => (MacAddr::ZERO, NeighbourState::Down),
        (_, Some((at, mac))) if now.since(at) < Span::secs(33) => (mac, NeighbourState::Reachable),
        (Some(at), None) if now.since(at) < Span::secs(3) => {
            (MacAddr::ZERO, NeighbourState::Incomplete)
        }
        _ => (MacAddr::ZERO, NeighbourState::Failed),
    };
    Word::new(mac, state)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_next_hop_is_what_the_times_of_its_packets_say(events in events()) {
        let (mut link, peer) = Link::with_peer();
        let (mut up, mut heard) = (Some(link.now), None);
        let mut asked: Vec<Now> = link.sent().iter().map(|_| link.now).collect();
        for event in events {
            match event {
                Event::Wait(millis) => {
                    // In steps, so that each request's time is known.
                    let until = link.now + Span::millis(millis);
                    while link.now < until {
                        let next = link.arp.poll_timeout().unwrap_or(until).min(until);
                        link.wait(next.since(link.now));
                        asked.extend(link.sent().iter().map(|_| link.now));
                    }
                }
                Event::Heard(number) => {
                    let mac = MacAddr([2, 0, 0, 0, 1, number]);
                    let reaction = link.hear(arp(REPLY, mac, PEER, OURS));
                    if up.is_some() {
                        prop_assert_eq!(reaction.learned, Some(peer));
                        heard = Some((link.now, mac));
                    } else {
                        prop_assert_eq!(reaction.learned, None);
                    }
                }
                Event::Needed => {
                    link.arp.resolve(link.now, LINK, PEER);
                }
                Event::Down => {
                    link.arp.set_port_down(LINK);
                    (up, heard) = (None, None);
                }
                Event::Up => {
                    link.arp.set_port_up(LINK, link.now);
                    if up.is_none() {
                        asked.clear();
                        link.sent();
                        asked.push(link.now);
                    }
                    up = up.or(Some(link.now));
                }
            }
            asked.extend(link.sent().iter().map(|_| link.now));
            prop_assert_eq!(link.words.load(peer), by_the_book(link.now, up, heard));
            let restless = up.is_some() == link.arp.poll_timeout().is_some();
            prop_assert!(restless, "a neighbour on a live port always has a timer");
            for pair in asked.windows(2) {
                prop_assert!(pair[1].since(pair[0]) >= Span::secs(1), "asked twice in a second");
            }
        }
    }

    #[test]
    fn no_packet_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 28)) {
        use zerocopy::FromBytes;
        let mut link = Link::new("0.0.0.0/0", 1);
        let (packet, _) = ArpPacket::read_from_prefix(&bytes).unwrap();
        let reaction = link.hear(packet);
        prop_assert!(reaction.learned.is_some() || reaction.ignored.is_some());
    }
}
