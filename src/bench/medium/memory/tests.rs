use std::sync::Arc;

use super::*;
use crate::bench::scenario::{HandOver, Limits, Mix, Routes, Spec, Way};
use crate::bench::traffic::{Frames, Genome, Learned, Probe, Stream as _};
use crate::wire::vlan::read_tags;

/// Small tables: what is tested is not their size.
fn small(way: Way, hand_over: HandOver) -> Spec {
    Spec { hand_over, routes: Routes::hosts(20), flows: 300, ..Spec::new(way) }
}

/// Sends frames `seqs` of a lane, steps until nothing comes any more, and returns what came.
fn cross(
    tester: &mut MemoryTester,
    lane: usize,
    frames: &mut Frames,
    seqs: std::ops::Range<u64>,
) -> Vec<Vec<u8>> {
    let mut came = Vec::new();
    let mut next = seqs.start;
    let mut quiet = 0;
    while quiet < 3 {
        let want = usize::try_from(seqs.end - next).unwrap().min(BURST);
        tester
            .send(lane, want, |buf| {
                let probe = Probe { trial: 7, stream: 3, seq: next, due_ns: 99 };
                next += 1;
                frames.write(&probe, buf)
            })
            .unwrap();
        tester.step();
        let got = tester.receive(lane, |frame| came.push(frame.to_vec())).unwrap();
        quiet = if got == 0 && next == seqs.end { quiet + 1 } else { 0 };
    }
    came
}

/// The probe behind tags and headers, and what the checksums say.
fn probe(frame: &[u8]) -> Probe {
    let sliced = etherparse::SlicedPacket::from_ethernet(frame).expect("a valid frame");
    let Some(etherparse::NetSlice::Ipv4(ip)) = &sliced.net else { panic!("no IPv4") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum(), "IPv4 checksum");
    let Some(etherparse::TransportSlice::Udp(udp)) = &sliced.transport else { panic!("no UDP") };
    let right = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
    assert_eq!(udp.checksum(), right, "UDP checksum");
    Probe::read(udp.payload()).expect("a whole probe")
}

/// Every frame that was received is where the accounts say.
fn assert_balanced(device: &mut MemoryDevice) -> DeviceFrames {
    let accounts = device.accounts().unwrap().unwrap();
    let own = accounts.received + accounts.originated + accounts.split;
    let dropped: u64 = accounts.dropped.values().sum();
    let gone = accounts.sent + dropped + accounts.punted + accounts.answered;
    assert_eq!(own, gone + accounts.held.cast_unsigned(), "{accounts:?}");
    accounts
}

fn opened(scenario: &Scenario, tester: &mut MemoryTester) -> Option<Arc<Learned>> {
    let opened = scenario.open(tester).expect("all flows come through");
    assert_eq!((opened.flows, opened.again), (scenario.spec().flows, 0));
    opened.learned
}

#[test]
fn each_way_and_hand_over_carries_frames_of_both_lanes() {
    for way in Way::ALL {
        for hand_over in HandOver::ALL {
            for limits in Limits::ALL {
                let spec = Spec { limits: *limits, ..small(*way, *hand_over) };
                let scenario = Scenario::new(spec).unwrap();
                let (mut tester, mut device) = memory(&scenario, 1).unwrap();
                let learned = opened(&scenario, &mut tester);
                let mut sent = 300;
                for lane in [TO_AZURE, TO_ONPREM] {
                    let genome: Genome = "aabc".parse().unwrap();
                    let mut frames =
                        scenario.frames(lane, &genome, Mix::Known, learned.as_ref()).unwrap();
                    let came = cross(&mut tester, lane, &mut frames, 0..400);
                    let what = format!("{way} {hand_over} {limits} lane {lane}");
                    assert_eq!(came.len(), 400, "{what}: {:?}", device.accounts());
                    sent += 400;
                    for (seq, frame) in (0..).zip(&came) {
                        let expected = Probe { trial: 7, stream: 3, seq, due_ns: 99 };
                        assert_eq!(probe(frame), expected, "{what}");
                        let tags = read_tags(frame).unwrap().stack().unwrap();
                        assert_eq!(tags, scenario.lane(lane).leaves, "{what}");
                    }
                }
                let accounts = assert_balanced(&mut device);
                assert!(accounts.dropped.is_empty(), "{way} {hand_over} {limits}: {accounts:?}");
                let passes = if *way == Way::Microsoft { 2 } else { 1 };
                assert_eq!((accounts.received, accounts.sent), (sent * passes, sent * passes));
            }
        }
    }
}

#[test]
fn as_many_sessions_are_open_as_were_asked_for_and_none_after_a_reset() {
    for way in [Way::Nat, Way::Microsoft] {
        let spec = Spec { flows: 10_000, ..Spec::new(way) };
        let scenario = Scenario::new(spec).unwrap();
        let (mut tester, mut device) = memory(&scenario, 1).unwrap();
        assert_eq!(device.sessions().unwrap(), 0);
        let learned = opened(&scenario, &mut tester).unwrap();
        assert_eq!(device.sessions().unwrap(), 10_000);
        let outsides: std::collections::HashSet<_> =
            (0..10_000).map(|place| learned.outside(place)).collect();
        assert_eq!(outsides.len(), 10_000, "no two flows share an outside");
        assert!(device.reset().unwrap());
        assert_eq!(device.sessions().unwrap(), 0);
        // Answers find nothing now, and the same flows can be opened again.
        let genome = Genome::one(64).unwrap();
        let mut frames = scenario.frames(TO_ONPREM, &genome, Mix::Known, Some(&learned)).unwrap();
        assert!(cross(&mut tester, TO_ONPREM, &mut frames, 0..100).is_empty());
        let accounts = assert_balanced(&mut device);
        assert_eq!(accounts.dropped["nat_no_session"], 100);
        opened(&scenario, &mut tester);
        assert_eq!(device.sessions().unwrap(), 10_000);
    }
}

#[test]
fn new_and_mixed_frames_open_the_sessions_that_they_should() {
    let spec = Spec { flows: 630, new_flows: 6300, ..Spec::new(Way::Nat) };
    let scenario = Scenario::new(spec).unwrap();
    let (mut tester, device) = memory(&scenario, 1).unwrap();
    opened(&scenario, &mut tester);
    let genome = Genome::one(64).unwrap();
    let mut mixed = scenario.frames(TO_AZURE, &genome, Mix::Mixed { every: 4 }, None).unwrap();
    assert_eq!(cross(&mut tester, TO_AZURE, &mut mixed, 0..4000).len(), 4000);
    assert_eq!(device.sessions().unwrap(), 630 + 1000);
    let mut new = scenario.frames(TO_AZURE, &genome, Mix::New, None).unwrap();
    assert_eq!(cross(&mut tester, TO_AZURE, &mut new, 0..6300).len(), 6300);
    assert_eq!(device.sessions().unwrap(), 630 + 6300, "each new flow once");
}

#[test]
fn gateways_and_groups_know_each_flow_once_and_forget_it_at_a_reset() {
    for (way, rules, flows) in
        [(Way::Gateway, 0, 300), (Way::Gateway, 50, 600), (Way::FastPath, 50, 300)]
    {
        let spec = Spec { rules, limits: Limits::Ample, ..small(way, HandOver::QinQ) };
        let scenario = Scenario::new(spec).unwrap();
        let (mut tester, mut device) = memory(&scenario, 1).unwrap();
        opened(&scenario, &mut tester);
        // A gateway and a group each know every flow.
        assert_eq!(device.flows().unwrap(), flows, "{way} {rules}");
        assert!(device.reset().unwrap());
        assert_eq!(device.flows().unwrap(), 0);
        opened(&scenario, &mut tester);
        assert_eq!(device.flows().unwrap(), flows);
    }
}

#[test]
fn a_table_of_routes_leads_everywhere_and_nothing_is_dropped() {
    for way in [Way::FastPath, Way::Gateway] {
        let routes = Routes::internet(3, 30_000);
        let spec = Spec { routes, flows: 30_000, ..Spec::new(way) };
        let scenario = Scenario::new(spec).unwrap();
        let (mut tester, mut device) = memory(&scenario, 1).unwrap();
        let genome = Genome::one(64).unwrap();
        for lane in [TO_AZURE, TO_ONPREM] {
            let mut frames = scenario.frames(lane, &genome, Mix::Known, None).unwrap();
            assert_eq!(cross(&mut tester, lane, &mut frames, 0..30_000).len(), 30_000);
        }
        let accounts = assert_balanced(&mut device);
        assert!(accounts.dropped.is_empty(), "{accounts:?}");
    }
}

#[test]
fn two_workers_on_threads_carry_all_of_it() {
    for way in [Way::FastPath, Way::Nat] {
        let scenario = Scenario::new(small(way, HandOver::QinQ)).unwrap();
        let (mut tester, mut device) = ring(&scenario, &[None, None]).unwrap();
        assert_eq!(device.threads().len(), 2);
        opened(&scenario, &mut tester);
        let accounts = assert_balanced(&mut device);
        assert_eq!((accounts.received, accounts.sent), (300, 300));
        if way == Way::Nat {
            assert_eq!(device.sessions().unwrap(), 300);
            assert!(device.reset().unwrap());
            assert_eq!(device.sessions().unwrap(), 0);
        }
        let idle = accounts.idle_turns.unwrap().value;
        assert!((0.0..=1.0).contains(&idle), "{idle}");
    }
}

#[test]
fn a_core_that_is_not_there_is_refused() {
    let scenario = Scenario::new(small(Way::Provider, HandOver::Untagged)).unwrap();
    assert!(ring(&scenario, &[Some(1000)]).is_err());
}

/// A forwarder that loses frames: all of the first rounds, or all of them.
struct Lossy<'a> {
    inner: &'a mut MemoryTester,
    lose: usize,
}

impl Tester for Lossy<'_> {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.inner.send(lane, want, write)
    }

    fn receive(&mut self, lane: usize, mut look: impl FnMut(&[u8])) -> io::Result<usize> {
        let lose = &mut self.lose;
        self.inner.receive(lane, |frame| {
            if *lose > 0 {
                *lose -= 1;
            } else {
                look(frame);
            }
        })
    }

    fn step(&mut self) {
        self.inner.step();
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        self.inner.drops()
    }
}

#[test]
fn what_gets_lost_while_opening_is_sent_again_and_not_for_ever() {
    let scenario = Scenario::new(small(Way::Nat, HandOver::QinQ)).unwrap();
    let (mut tester, device) = memory(&scenario, 1).unwrap();
    let opened = scenario.open(&mut Lossy { inner: &mut tester, lose: 7 }).unwrap();
    assert_eq!((opened.flows, opened.again), (300, 7));
    assert_eq!(device.sessions().unwrap(), 300);
    let mut all = Lossy { inner: &mut tester, lose: usize::MAX };
    let error = scenario.open(&mut all).unwrap_err().to_string();
    assert!(error.starts_with("300 of 300 flows did not come through in 10 rounds"), "{error}");
}
