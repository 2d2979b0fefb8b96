//! Frames in, the same frames out.

use super::support::*;
use crate::bench::medium::drops::DropMeter;
use crate::bench::medium::{Sockets, Tester};
use crate::bench::traffic::Probe;
use crate::lab::{Interface, Netns, veth};
use crate::wire::arp;
use crate::wire::build;
use crate::wire::eth::MacAddr;
use crate::wire::vlan::TagStack;

/// A wire from the tester to the tester.
fn wire(mtu: u32) -> Option<[Interface; 2]> {
    let netns = lab(Netns::new("wire").map_err(Into::into))?;
    netns.silence_ip6().unwrap();
    let (a, b) = veth((&netns, "a"), (&netns, "b")).unwrap();
    for end in [&a, &b] {
        end.set_mtu(mtu).unwrap();
        end.offloads_off().unwrap();
        end.up().unwrap();
    }
    b.wait_carrier(true, std::time::Duration::from_secs(5)).unwrap();
    Some([a, b])
}

fn sockets(ends: &[Interface], largest: usize) -> Sockets {
    Sockets::open(ends, &ONE_WAY, largest, DropMeter::default()).unwrap()
}

#[test]
fn frames_arrive_byte_for_byte_with_none_one_and_two_tags() {
    let Some(ends) = wire(1504) else { return };
    let mut tester = sockets(&ends, 1522);
    let stacks = [TagStack::UNTAGGED, TagStack::single(7), TagStack::double(7, 7)];
    let sizes = [60, 68, 100, 1514];
    let written = |probe: &Probe| {
        let seq = usize::try_from(probe.seq).unwrap();
        let tags = stacks[seq % 3];
        frame(0, sizes[seq / 3 % 4] + tags.size(), tags, probe)
    };
    let tally = send_paced(&mut tester, 0, 3000, 50_000, written);
    tally.check_whole();
    assert_eq!(tally.drops, []);
    for (seq, copies) in tally.received {
        let probe = Probe { trial: 7, stream: 3, seq, due_ns: 0 };
        assert_eq!(copies[0], written(&probe), "frame {seq}");
    }
}

#[test]
fn jumbo_frames_arrive_whole() {
    let Some(ends) = wire(9004) else { return };
    let mut tester = sockets(&ends, 9022);
    let tags = TagStack::double(1001, 200);
    let written = |probe: &_| frame(0, 9022, tags, probe);
    let tally = send_paced(&mut tester, 0, 200, 5_000, written);
    tally.check_whole();
}

#[test]
fn arp_and_own_frames_are_not_received() {
    let Some(ends) = wire(1504) else { return };
    let mut near = sockets(&ends, 60);
    let request =
        |tags| build::arp(arp::REQUEST, CE, HOST, MacAddr::ZERO, SERVER).tags(tags).pad(60).build();
    let other = frame(0, 60, TagStack::UNTAGGED, &Default::default());
    for bytes in [request(TagStack::UNTAGGED), request(TagStack::double(5, 6)), other.clone()] {
        let sent = near.send(0, 1, |room| {
            room[..bytes.len().min(60)].copy_from_slice(&bytes[..bytes.len().min(60)]);
            bytes.len().min(60)
        });
        assert_eq!(sent.unwrap(), 1);
    }
    let mut seen = Vec::new();
    let came = || near.receive(0, |bytes| seen.push(bytes.to_vec())).unwrap() > 0;
    assert!(crate::lab::wait::until(
        std::time::Duration::from_secs(3),
        std::time::Duration::from_millis(1),
        came
    ));
    near.receive(0, |bytes| seen.push(bytes.to_vec())).unwrap();
    assert_eq!(seen, [other]);
}

#[test]
fn what_finds_the_testers_ring_full_is_counted() {
    let Some(ends) = wire(1504) else { return };
    let mut tester = sockets(&ends, 60);
    let bytes = frame(0, 60, TagStack::UNTAGGED, &Default::default());
    let mut sent = 0;
    while sent < 20_000 {
        sent += tester
            .send(0, 64, |room| {
                room[..60].copy_from_slice(&bytes);
                60
            })
            .unwrap();
    }
    let mut received = 0;
    loop {
        let came = tester.receive(0, |_| {}).unwrap();
        received += came;
        if came == 0 {
            break;
        }
    }
    let drops = tester.drops().unwrap();
    let lost: u64 = drops.iter().map(|(_, count)| count).sum();
    assert_eq!(received as u64 + lost, sent as u64);
    assert!(lost > 0 && drops[0].0 == "b: tester's ring full", "{drops:?}");
    assert_eq!(tester.drops().unwrap(), [], "they are told once");
}

#[test]
fn an_interface_that_is_down_is_named() {
    let Some(ends) = wire(1504) else { return };
    let mut tester = sockets(&ends, 60);
    ends[0].down().unwrap();
    let error = tester.send(0, 1, |room| room[..60].len()).unwrap_err();
    assert!(error.to_string().starts_with("sending on a: "), "{error}");
}
