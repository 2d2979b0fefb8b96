use std::collections::BTreeMap;

use super::*;
use crate::bench::record::trial::{DeviceFrames, Frames, Latency, Spread, ThreadSense};

fn spread(p50: f64, p999: f64) -> Spread {
    let nanos = Quantity::nanos;
    Spread {
        samples: 100_000,
        min: nanos(0.0),
        p50: nanos(p50),
        p90: nanos(p50),
        p99: nanos(p50),
        p999: nanos(p999),
        max: nanos(p999),
    }
}

/// A second at a million frames a second that a forwarder took without a loss.
fn trial() -> Trial {
    Trial {
        purpose: "x".to_owned(),
        intended_rate: Quantity::rate(1e6),
        duration: Quantity::seconds(1.0),
        elapsed: Quantity::seconds(0.999_999),
        frames: Frames {
            intended: 1_000_000,
            offered: 1_000_000,
            received: 1_000_000,
            ..Frames::default()
        },
        lateness: spread(100.0, 9_000.0),
        latency: Some(Latency { spread: spread(5_000.0, 50_000.0), curve: Vec::new() }),
        latency_actual: None,
        gaps: Vec::new(),
        threads: vec![sense(0.99, 0.005, 20.0)],
        steal: Quantity::ratio(0.0),
        device: Some(DeviceFrames::default()),
        medium_drops: BTreeMap::from([("rx_ring_full".to_owned(), 0)]),
        unaccounted: Some(0),
        verdict: Verdict::ok(),
    }
}

fn sense(run: f64, wait: f64, involuntary_per_second: f64) -> ThreadSense {
    let (run, wait) = (Quantity::ratio(run), Quantity::ratio(wait));
    ThreadSense { name: "tester".to_owned(), run, wait, involuntary_per_second }
}

fn basis() -> Basis {
    let calibration = Calibration {
        sent: Quantity::rate(5e6),
        received: Quantity::rate(4e6),
        null_forwarder: Some(Quantity::rate(3e6)),
        verdict: Verdict::ok(),
    };
    Basis { calibration: Some(calibration), hiccup: None, max_load: Some(2e6) }
}

/// The verdict after a change to the trial, which was ok before it.
fn kind(change: impl Fn(&mut Trial)) -> VerdictKind {
    assert_eq!(judge(&trial(), &basis()), Verdict::ok());
    let mut changed = trial();
    change(&mut changed);
    judge(&changed, &basis()).kind
}

#[test]
fn each_rule_fires_at_its_threshold_and_not_below() {
    use VerdictKind::*;
    type Change = fn(&mut Trial);
    let cases: &[(VerdictKind, Change, Change)] = &[
        (Unaccounted, |t| t.unaccounted = Some(1), |t| t.unaccounted = None),
        (Unaccounted, |t| t.unaccounted = Some(-1), |t| t.unaccounted = Some(0)),
        (Unaccounted, |t| t.frames.lost = -1, |t| t.frames.lost = 1),
        (
            Contaminated,
            |t| t.threads[0] = sense(0.9, 0.0101, 0.0),
            |t| t.threads[0] = sense(0.9, 0.0099, 0.0),
        ),
        (
            Contaminated,
            |t| t.threads[0] = sense(1.0, 0.0, 101.0),
            |t| t.threads[0] = sense(1.0, 0.0, 99.0),
        ),
        (
            Contaminated,
            |t| t.steal = Quantity::ratio(0.0051),
            |t| t.steal = Quantity::ratio(0.0049),
        ),
        // Ten microseconds of a million a second are ten frames.
        (GeneratorBound, |t| t.frames.unsent = 11, |t| t.frames.unsent = 10),
        (GeneratorBound, |t| t.elapsed.value = 1.000_021, |t| t.elapsed.value = 1.000_019),
        (GeneratorBound, |t| t.lateness.p999.value = 10_001.0, |t| t.lateness.p999.value = 9_999.0),
        (SinkBound, |t| *t.medium_drops.get_mut("rx_ring_full").unwrap() = 1, |_| ()),
    ];
    for (i, (expected, over, under)) in cases.iter().enumerate() {
        assert_eq!(kind(over), *expected, "case {i}");
        assert_eq!(kind(under), Ok, "case {i}");
    }
}

#[test]
fn a_result_near_a_calibration_is_about_the_calibrated_part() {
    let at = |rate: u64, basis: &Basis| {
        let mut near = trial();
        near.frames.received = rate;
        judge(&near, basis).kind
    };
    let mut basis = basis();
    assert_eq!(at(4_500_000, &basis), VerdictKind::GeneratorBound);
    assert_eq!(at(3_600_000, &basis), VerdictKind::SinkBound);
    assert_eq!(at(2_800_000, &basis), VerdictKind::MediumBound);
    // 3 / 1.1 = 2.727.
    assert_eq!(at(2_720_000, &basis), VerdictKind::Ok);
    basis.calibration.as_mut().unwrap().null_forwarder = None;
    assert_eq!(at(2_800_000, &basis), VerdictKind::Ok);
    assert_eq!(at(4_500_000, &Basis::default()), VerdictKind::Ok);
}

#[test]
fn a_load_that_passes_at_the_top_says_so_and_a_lossy_one_does_not() {
    let mut top = trial();
    top.intended_rate = Quantity::rate(2e6);
    assert_eq!(judge(&top, &basis()).kind, VerdictKind::AtMaxLoad);
    top.frames.lost = 1;
    assert_eq!(judge(&top, &basis()).kind, VerdictKind::Ok);
}

#[test]
fn what_makes_a_number_meaningless_is_said_first() {
    let mut worst = trial();
    worst.unaccounted = Some(5);
    worst.threads[0] = sense(0.5, 0.5, 1000.0);
    worst.frames.unsent = 400_000;
    worst.medium_drops.insert("rx_ring_full".to_owned(), 9);
    let mut order = Vec::new();
    for _ in 0..4 {
        let verdict = judge(&worst, &basis());
        order.push(verdict.kind);
        match verdict.kind {
            VerdictKind::Unaccounted => worst.unaccounted = Some(0),
            VerdictKind::Contaminated => worst.threads.clear(),
            VerdictKind::GeneratorBound => worst.frames.unsent = 0,
            _ => worst.medium_drops.clear(),
        }
    }
    let expected = [
        VerdictKind::Unaccounted,
        VerdictKind::Contaminated,
        VerdictKind::GeneratorBound,
        VerdictKind::SinkBound,
    ];
    assert_eq!(order, expected);
}

#[test]
fn a_slow_machine_and_a_slow_forwarder_excuse_lateness() {
    let mut late = trial();
    late.lateness.p999.value = 60_000.0;
    let mut basis = basis();
    assert_eq!(judge(&late, &basis).kind, VerdictKind::GeneratorBound);
    late.latency.as_mut().unwrap().spread.p50.value = 700_000.0;
    assert_eq!(judge(&late, &basis).kind, VerdictKind::Ok);
    late.latency = None;
    let nanos = Quantity::nanos;
    basis.hiccup = Some(Hiccup {
        duration: Quantity::seconds(2.0),
        p50: nanos(20.0),
        p999: nanos(31_000.0),
        max: nanos(1e6),
        long_gaps_per_second: 5.0,
    });
    assert_eq!(judge(&late, &basis).kind, VerdictKind::Ok);
}

#[test]
fn sentences_say_what_was_seen_and_the_way_out() {
    let mut contaminated = trial();
    contaminated.threads[0] = sense(0.5, 0.49, 12.0);
    assert_eq!(
        judge(&contaminated, &basis()).why,
        "the thread `tester` ran for 50.0 % of the trial and waited for its core for 49.0 %, more \
         than 1.0 %; stop the other load or pin it elsewhere, and run again"
    );
    let mut lossy = trial();
    lossy.frames.lost = 110;
    lossy.device.as_mut().unwrap().dropped =
        BTreeMap::from([("queue_full".to_owned(), 100), ("ttl".to_owned(), 10)]);
    lossy.device.as_mut().unwrap().idle_turns = Some(Quantity::ratio(0.001));
    assert_eq!(
        judge(&lossy, &basis()).why,
        "the forwarder dropped queue_full 100, ttl 10, and found work in all but 0.1 % of its turns"
    );
    let mut near = trial();
    near.frames.received = 3_700_000;
    assert_eq!(
        judge(&near, &basis()).why,
        "the 3.700 Mpps that arrived are 92.5 % of the 4.000 Mpps that the sink can take: the \
         forwarder may be faster; check less of each frame, or choose a faster medium"
    );
}
