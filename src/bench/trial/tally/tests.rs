use std::net::Ipv4Addr;

use super::*;
use crate::wire::build::Packet;
use crate::wire::eth::MacAddr;

const KEPT: Kept =
    Kept { trial: 9, stream: 1, check: Check::Full, ramp: 0, frames: 1000, flows: 1 };

fn frame(probe: Probe) -> Vec<u8> {
    let mut payload = [0; 18];
    probe.write(&mut payload);
    let packet = Packet::ip4(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1));
    packet.udp(5000, 7, &payload).eth(MacAddr([2; 6]), MacAddr([2; 6])).build()
}

fn probe(seq: u64) -> Probe {
    Probe { trial: 9, stream: 1, seq, due_ns: seq * 1000 }
}

/// A tally of a frame each microsecond, of which `sent` left on time.
fn tally(kept: Kept, sent: u64) -> Tally {
    let mut tally = Tally::new(kept, Timeline::new(0, 1_000_000, 100_000));
    (0..sent).for_each(|seq| tally.left(seq * 1000, seq * 1000));
    tally
}

#[test]
fn every_kind_of_frame_is_counted_as_what_it_is() {
    let mut tally = tally(KEPT, 10);
    for seq in [0, 1, 3, 2, 3, 6] {
        assert_eq!(tally.take(&frame(probe(seq)), seq * 1000 + 500), Some(probe(seq)));
    }
    let mut broken = frame(probe(7));
    *broken.last_mut().unwrap() ^= 1;
    let others = [
        broken,
        frame(Probe { trial: 8, ..probe(7) }),
        frame(Probe { stream: 0, ..probe(7) }),
        // Not sent yet.
        frame(probe(10)),
    ];
    others.iter().for_each(|other| assert_eq!(tally.take(other, 9_000), None));
    tally.finish();
    let expected = Counts {
        arrived: 10,
        unique: 5,
        duplicates: 1,
        reordered: 1,
        extent: 1,
        corrupt: 1,
        foreign: 3,
        ..Counts::default()
    };
    assert_eq!(tally.counts, expected);
    // 4, 5, 7, 8 and 9.
    assert_eq!((tally.losses.lost(), tally.losses.last()), (5, Some(9)));
}

#[test]
fn latency_counts_from_the_due_time_and_apart_from_the_departure() {
    let mut tally = Tally::new(KEPT, Timeline::default());
    tally.left(0, 0);
    tally.left(1_000, 50_000);
    tally.take(&frame(probe(0)), 300);
    tally.take(&frame(probe(1)), 50_300);
    assert_eq!((tally.intended.min(), tally.actual.min(), tally.actual.max()), (300, 300, 300));
    assert!(tally.intended.equivalent(tally.intended.max(), 49_300));
    assert!(tally.lateness.equivalent(tally.lateness.max(), 49_000));
}

#[test]
fn a_departure_that_is_forgotten_gives_no_latency_rather_than_a_wrong_one() {
    let kept = Kept { frames: 64, ..KEPT };
    let mut tally = Tally::new(kept, Timeline::default());
    (0..65).for_each(|seq| tally.left(seq * 1000, seq * 1000 + 7));
    tally.take(&frame(probe(0)), 70_000);
    tally.take(&frame(probe(1)), 70_000);
    assert_eq!((tally.intended.len(), tally.actual.len()), (2, 1));
}

#[test]
fn frames_of_the_ramp_are_in_no_figure() {
    let mut tally = tally(Kept { ramp: 5, ..KEPT }, 10);
    // 3 and 4 of the ramp and 8 are lost, 1 and 6 come twice, 0 and 5 late.
    for seq in [1, 0, 1, 2, 6, 5, 6, 7, 9] {
        tally.take(&frame(probe(seq)), seq * 1000 + 100);
    }
    tally.finish();
    let counts = tally.counts;
    assert_eq!((counts.unique, counts.ramp, counts.duplicates, counts.reordered), (4, 3, 1, 1));
    assert_eq!((tally.losses.lost(), tally.losses.last(), tally.offered()), (1, Some(8), 5));
    assert_eq!((tally.intended.len(), tally.lateness.len()), (4, 5));
}

#[test]
fn slices_go_by_due_time_and_arrivals_by_their_own() {
    let mut tally = tally(KEPT, 250);
    for seq in 0..100 {
        tally.take(&frame(probe(seq)), seq * 1000 + 50_000);
    }
    let slices = tally.timeline.slices();
    assert_eq!(slices.len(), 10);
    assert_eq!(
        slices.iter().map(|slice| slice.offered).collect::<Vec<_>>()[..4],
        [100, 100, 50, 0]
    );
    assert_eq!((slices[0].received, slices[1].received), (100, 0));
    assert_eq!((slices[0].arrived, slices[1].arrived), (50, 50));
    assert_eq!((slices[0].latency_mean_ns(), slices[0].latency_max_ns), (Some(50_000.0), 50_000));
    assert_eq!(slices[1].latency_mean_ns(), None);
}

#[test]
fn the_longest_silence_has_its_arrivals() {
    let mut tally = tally(KEPT, 1000);
    for seq in (0..100).chain(103..400).chain(700..1000) {
        tally.take(&frame(probe(seq)), seq * 1000 + 70);
    }
    let silence = Silence { skipped: 300, from_ns: 399_070, to_ns: 700_070 };
    assert_eq!(tally.silence, Some(silence));
}

#[test]
fn the_most_frames_of_a_millisecond_are_known() {
    let mut pace = Pace::default();
    for at in [0, 500_000, 999_999, 1_000_000, 5_000_000, 5_000_001, 5_900_000, 5_999_999] {
        pace.left(at);
    }
    pace.finish();
    assert_eq!((pace.most_per_millisecond(), pace.last_ns()), (4, 5_999_999));
}
