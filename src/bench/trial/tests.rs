use std::io;

use proptest::prelude::*;

use super::*;
use crate::bench::medium::fault::{Fault, FaultSpec, Switch};
use crate::bench::medium::ring::{RingSpec, ring};
use crate::bench::medium::wire::{Wire, WireDevice, WireSpec, wire};
use crate::bench::medium::{Device, Tester};
use crate::bench::record::Quantity;
use crate::bench::record::trial::{DeviceFrames, VerdictKind};
use crate::bench::selftest::plain::Plain;
use crate::bench::traffic::Probe;
use crate::time::Span;

/// Runs a trial over a medium of one lane.
fn on<T: Tester, D: Device, C: Clock>(
    (tester, device): (&mut T, &mut D),
    clock: &C,
    spec: &Spec,
    watch: &mut impl Watch,
) -> Result<Run, TrialError> {
    let streams = &mut [Plain::new(4)];
    Rig { tester, device, streams, clock, basis: Basis::default() }.run_watched(spec, watch)
}

/// Runs a trial over a wire that serves `rate` frames a second, with a turn each 500 ns.
fn served(rate: Option<f64>, depth: usize, spec: &Spec) -> Run {
    let clock = ManualClock::new(500);
    let (mut tester, mut device) =
        wire(&WireSpec { rate, depth, ..WireSpec::default() }, clock.clone());
    on((&mut tester, &mut device), &clock, spec, &mut ()).unwrap()
}

#[test]
fn a_load_below_the_capacity_arrives_whole_and_on_time() {
    let spec = Spec::constant("x", &[900_000.0], Span::millis(100));
    let run = served(Some(1e6), 512, &spec);
    let frames = run.trial.frames;
    assert_eq!((frames.intended, frames.offered, frames.received), (90_000, 90_000, 90_000));
    assert_eq!((frames.lost, frames.unsent, run.trial.unaccounted), (0, 0, Some(0)));
    assert_eq!(run.trial.verdict.kind, VerdictKind::Ok, "{:?}", run.trial.verdict);
    assert_eq!(run.trial.intended_rate.value, 900_000.0);
    assert!(run.at_rest);
    // Served for a microsecond, seen within a turn, and late by less than one.
    let latency = run.trial.latency.unwrap().spread;
    assert!(latency.min.value >= 1_000.0 && latency.max.value <= 2_100.0, "{latency:?}");
}

#[test]
fn a_load_beyond_the_capacity_loses_the_difference_less_what_the_queue_holds() {
    let spec = Spec::constant("x", &[1.5e6], Span::millis(100));
    let run = served(Some(1e6), 1_000, &spec);
    let frames = run.trial.frames;
    // 100 ms of service, and the frames that were in the queue at the end.
    let received = i64::try_from(frames.received).unwrap();
    assert!((received - 101_000).abs() <= 2, "{frames:?}");
    assert_eq!((frames.offered, frames.lost), (150_000, 150_000 - received));
    let dropped = &run.trial.device.as_ref().unwrap().dropped;
    assert_eq!(dropped["queue_full"], frames.lost.unsigned_abs());
    assert_eq!((run.trial.unaccounted, run.trial.verdict.kind), (Some(0), VerdictKind::Ok));
    // At rest a frame waits behind 1,000 others for a microsecond each.
    let p90 = run.trial.latency.unwrap().spread.p90.value;
    assert!((p90 - 1e6).abs() < 5e3, "{p90}");
}

#[test]
fn what_cannot_be_sent_by_the_planned_end_is_unsent() {
    // A burst of 64 each 500 ns is 128 million frames a second.
    let run = served(None, 512, &Spec::constant("x", &[200e6], Span::millis(1)));
    let frames = run.trial.frames;
    assert_eq!(frames.intended, 200_000);
    // One turn more than a millisecond has, and those of the ten microseconds behind it.
    assert_eq!(frames.offered, (2_000 + 1 + 20) * 64 - 63);
    assert_eq!((frames.unsent, frames.lost), (200_000 - frames.offered, 0));
    assert_eq!(run.trial.verdict.kind, VerdictKind::GeneratorBound);
    assert!(run.trial.verdict.why.contains("were not sent in time"), "{:?}", run.trial.verdict);
    assert!(run.trial.elapsed.value <= 1.010_001e-3, "{:?}", run.trial.elapsed);
}

#[test]
fn a_generator_that_fell_behind_in_the_ramp_is_asked_for_the_same() {
    // The ramp has 55,000 frames, and its 1,000 turns can send as many, but not all in time.
    let mut spec = Spec::constant("x", &[200e6], Span::millis(1));
    spec.ramp = Span::micros(500);
    let frames = served(None, 512, &spec).trial.frames;
    assert_eq!((frames.intended, frames.lost), (200_000, 0));
    spec.ramp = Span::millis(9);
    spec.loads = vec![Load::constant(900e6, Span::micros(10))];
    // Nothing but the ramp could be sent.
    let frames = served(None, 512, &spec).trial.frames;
    assert_eq!((frames.intended, frames.offered, frames.unsent), (9_000, 0, 9_000));
}

#[test]
fn lanes_have_their_own_rates_and_their_frames_do_not_mix() {
    let clock = ManualClock::new(500);
    let (mut tester, mut device) =
        wire(&WireSpec { lanes: 2, ..Default::default() }, clock.clone());
    let mut streams = [Plain::new(1), Plain::new(1)];
    let mut rig = Rig {
        tester: &mut tester,
        device: &mut device,
        streams: &mut streams,
        clock: &clock,
        basis: Basis::default(),
    };
    let run = rig.run(&Spec::constant("x", &[1e6, 2.5e5], Span::millis(10))).unwrap();
    let received: Vec<u64> = run.lanes.iter().map(|lane| lane.frames.received).collect();
    assert_eq!(received, [10_000, 2_500]);
    assert_eq!((run.trial.frames.received, run.trial.frames.foreign), (12_500, 0));
    let one = rig.run(&Spec::constant("x", &[0.0, 1e5], Span::millis(10))).unwrap();
    assert_eq!((one.lanes[0].frames.intended, one.lanes[1].frames.received), (0, 1_000));
}

/// Shows each lane's frames at the end of the other.
struct Crossed<T>(T);

impl<T: Tester> Tester for Crossed<T> {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.0.send(1 - lane, want, write)
    }

    fn receive(&mut self, lane: usize, look: impl FnMut(&[u8])) -> io::Result<usize> {
        self.0.receive(lane, look)
    }

    fn step(&mut self) {}

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        self.0.drops()
    }
}

#[test]
fn a_frame_on_the_wrong_lane_is_foreign_and_lost() {
    let clock = ManualClock::new(500);
    let (tester, mut device) = wire(&WireSpec { lanes: 2, ..Default::default() }, clock.clone());
    let mut rig = Rig {
        tester: &mut Crossed(tester),
        device: &mut device,
        streams: &mut [Plain::new(1), Plain::new(1)],
        clock: &clock,
        basis: Basis::default(),
    };
    let run = rig.run(&Spec::constant("x", &[1e5, 1e5], Span::millis(1))).unwrap();
    let frames = run.trial.frames;
    assert_eq!((frames.foreign, frames.received, frames.lost), (200, 0, 200));
}

#[test]
fn frames_of_an_earlier_trial_are_foreign() {
    let clock = ManualClock::new(10_000);
    let spec = WireSpec { delay: Span::secs(3), depth: 1 << 15, ..WireSpec::default() };
    let (mut tester, mut device) = wire(&spec, clock.clone());
    let media = (&mut tester, &mut device);
    let long = Spec::constant("x", &[1_000.0], Span::millis(100));
    let first = on((media.0, media.1), &clock, &long, &mut ()).unwrap();
    // They are under way for longer than the drain waits.
    assert_eq!((first.trial.frames.lost, first.trial.unaccounted), (100, Some(100)));
    assert_eq!(first.trial.verdict.kind, VerdictKind::Unaccounted);
    let second = on(media, &clock, &Spec::constant("x", &[100.0], Span::secs(4)), &mut ()).unwrap();
    assert_eq!((second.trial.frames.foreign, second.trial.frames.offered), (100, 400));
}

#[test]
fn what_waits_from_before_a_trial_is_not_in_it() {
    let clock = ManualClock::new(10_000);
    let spec = WireSpec { delay: Span::secs(1), ..WireSpec::default() };
    let (mut tester, mut device) = wire(&spec, clock.clone());
    let trial = Spec::constant("x", &[1_000.0], Span::millis(100));
    let first = on((&mut tester, &mut device), &clock, &trial, &mut ()).unwrap();
    assert_eq!(first.trial.frames.lost, 100);
    clock.advance(2_000_000_000);
    let second = on((&mut tester, &mut device), &clock, &trial, &mut ()).unwrap();
    assert_eq!((second.trial.frames.foreign, second.trial.unaccounted), (0, Some(100)));
}

#[test]
fn losses_of_the_ramp_are_in_no_figure() {
    let clock = ManualClock::new(500);
    let (inner, mut device) = wire(&WireSpec::default(), clock.clone());
    let cold = (Span::ZERO, Span::millis(9));
    let faults = FaultSpec { blackout: cold, counts_drops: true, ..FaultSpec::default() };
    let mut tester = Fault::new(inner, 1, faults, clock.clone());
    let mut spec = Spec::constant("x", &[1e6], Span::millis(20));
    spec.ramp = Span::millis(10);
    spec.by_flow = true;
    let run = on((&mut tester, &mut device), &clock, &spec, &mut ()).unwrap();
    let frames = run.trial.frames;
    assert_eq!((frames.intended, frames.received, frames.lost), (20_000, 20_000, 0));
    assert_eq!((run.trial.latency.unwrap().spread.samples, run.trial.gaps.len()), (20_000, 0));
    assert!(run.lanes[0].flow_gaps.iter().all(|gap| gap.frames == 0));
    // They are accounted for all the same.
    assert_eq!((run.trial.medium_drops["injected"], run.trial.unaccounted), (4_500, Some(0)));
}

#[test]
fn a_random_load_is_sent_and_found_again() {
    let load = Load { shape: Shape::Poisson(3), ..Load::constant(1e6, Span::millis(50)) };
    let run = served(None, 512, &Spec::new("x", vec![load]));
    let frames = run.trial.frames;
    assert!((frames.intended as f64 - 50_000.0).abs() < 5.0 * 50_000_f64.sqrt(), "{frames:?}");
    assert_eq!((frames.unsent, frames.received), (0, frames.offered));
}

/// Cuts a wire at the first event and mends it at the second.
struct Cut(Switch, ManualClock);

impl Watch for Cut {
    fn event(&mut self, index: usize) -> io::Result<()> {
        self.0.set(index == 0);
        self.1.advance(1_234);
        Ok(())
    }
}

#[test]
fn events_happen_when_they_are_due_and_say_when_they_did() {
    let clock = ManualClock::new(500);
    let (inner, mut device) = wire(&WireSpec::default(), clock.clone());
    let mut tester = Fault::new(inner, 1, FaultSpec::default(), clock.clone());
    let mut spec = Spec::constant("x", &[1e5], Span::millis(50));
    spec.ramp = Span::millis(5);
    spec.events = vec![Span::millis(10), Span::millis(30)];
    let mut cut = Cut(tester.switch(), clock.clone());
    let run = on((&mut tester, &mut device), &clock, &spec, &mut cut).unwrap();
    let times: Vec<_> = run.events.iter().map(|e| (e.due_ns, e.end_ns - e.begin_ns)).collect();
    assert_eq!(times, [(10_000_000, 1_234), (30_000_000, 1_234)]);
    assert!(run.events.iter().all(|event| event.begin_ns - event.due_ns < 2_000), "{times:?}");
    // 20 ms of a frame each 10 us; a frame that is due at the cut itself may be on either side.
    assert_eq!(run.lanes[0].gaps.len(), 1);
    let gap = run.lanes[0].gaps[0];
    assert!((gap.begin.value - 0.01).abs() <= 1.1e-5, "{gap:?}");
    assert!((gap.length.value - 0.02).abs() <= 1.1e-5, "{gap:?}");
}

/// Refuses the event.
struct Refuses;

impl Watch for Refuses {
    fn event(&mut self, _: usize) -> io::Result<()> {
        Err(io::Error::other("no such link"))
    }
}

#[test]
fn an_event_that_fails_ends_the_trial_with_its_reason() {
    let clock = ManualClock::new(500);
    let (mut tester, mut device) = wire(&WireSpec::default(), clock.clone());
    let spec =
        Spec { events: vec![Span::millis(1)], ..Spec::constant("x", &[1e5], Span::millis(50)) };
    let error = on((&mut tester, &mut device), &clock, &spec, &mut Refuses).unwrap_err();
    assert_eq!(error.to_string(), "an event of a trial failed: no such link");
}

/// Notes which frames came.
#[derive(Default)]
struct Learns(Vec<(u64, u16)>);

impl Watch for Learns {
    fn frame(&mut self, _lane: usize, frame: &[u8], probe: &Probe) {
        self.0.push((probe.seq, u16::from_be_bytes([frame[34], frame[35]])));
    }
}

#[test]
fn a_preload_sends_each_frame_once_and_shows_what_became_of_it() {
    let clock = ManualClock::new(500);
    let (mut tester, mut device) = wire(&WireSpec::default(), clock.clone());
    let spec = Spec::new("preload", vec![Load::once(1_000, 123_456.7)]);
    let mut learns = Learns::default();
    let run = on((&mut tester, &mut device), &clock, &spec, &mut learns).unwrap();
    assert_eq!((run.trial.frames.offered, run.trial.frames.received), (1_000, 1_000));
    // Source ports from 1024 on, of four flows.
    let expected = (0..1_000).map(|seq| (seq, 1024 + u16::try_from(seq % 4).unwrap()));
    assert_eq!(learns.0, expected.collect::<Vec<_>>());
}

#[test]
fn recovery_from_overload_takes_as_long_as_the_queue_takes_to_empty() {
    let (calm, over) = (Span::millis(60), Span::millis(40));
    let steps = vec![
        Step::lasting(0.5e6, calm),
        Step::lasting(1.1e6, over),
        Step::lasting(0.5e6, Span::millis(60)),
    ];
    let mut spec = Spec::new("recovery", vec![Load::steps(steps)]);
    spec.slices = Span::micros(100);
    let run = served(Some(1e6), 1_000, &spec);
    let at = Span(calm.0 + over.0);
    assert!(run.trial.frames.lost > 2_900, "{:?}", run.trial.frames);
    let last = recovery::to_last_loss(&run, at);
    assert!(last.0 < 10_000, "{last:?}");
    let usual = recovery::mean_latency_ns(&run, Span::ZERO, calm).unwrap();
    assert!((1_000.0..2_000.0).contains(&usual), "{usual}");
    // 1,000 frames are gone after 2 ms when half as many come as go.
    let calm_again = recovery::to_usual_latency(&run, at, usual).unwrap();
    assert!((1_800_000..=2_100_000).contains(&calm_again.0), "{calm_again:?}");
}

#[test]
fn partial_loss_and_held_back_frames_are_told_from_a_clean_cut() {
    let clock = ManualClock::new(1_000);
    let spec = Spec::constant("x", &[1e4], Span::millis(500));
    let outage = |faults: FaultSpec| {
        let (inner, mut device) = wire(&WireSpec::default(), clock.clone());
        let mut tester = Fault::new(inner, 1, faults, clock.clone());
        let run = on((&mut tester, &mut device), &clock, &spec, &mut ()).unwrap();
        outage::Outage::of(&run.lanes[0], 1e4, 0)
    };
    let blackout = (Span::millis(100), Span::millis(50));
    let clean = outage(FaultSpec { blackout, ..FaultSpec::default() });
    assert!(clean.agreement.starts_with("a clean cut"), "{clean:?}");
    let partial = outage(FaultSpec { blackout, drop_every: 50, ..FaultSpec::default() });
    assert!(partial.agreement.starts_with("more was lost"), "{partial:?}");
    assert_eq!(outage(FaultSpec::default()).agreement, "no frame was lost");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_frame_is_in_some_account_whatever_happens_to_it(
        load in 10_000.0..3e6, burst in 1_u32..100, served in prop::option::of(50_000.0..2e6),
        depth in 1_usize..300, drop_every in 0_u64..50, duplicate_every in 0_u64..50,
        swap_every in 0_u64..50, flip_every in 0_u64..50, ramp in 0_u64..3_000, seed: u64,
    ) {
        let clock = ManualClock::new(1_000);
        let medium = WireSpec { rate: served, depth, ..WireSpec::default() };
        let (inner, mut device) = wire(&medium, clock.clone());
        let faults = FaultSpec {
            drop_every, duplicate_every, swap_every, flip_every,
            counts_drops: true,
            ..FaultSpec::default()
        };
        let mut tester = Fault::new(inner, 1, faults, clock.clone());
        let shape = if seed.is_multiple_of(2) { Shape::Bursts(burst) } else { Shape::Poisson(seed) };
        let load = Load { shape, ..Load::constant(load, Span::millis(5)) };
        let spec = Spec { ramp: Span::micros(ramp), ..Spec::new("x", vec![load]) };
        let result = on((&mut tester, &mut device), &clock, &spec, &mut ());
        let Ok(run) = result else {
            // A slow random load may have no frame at all.
            prop_assert!(matches!(result, Err(TrialError::Spec(_))));
            return Ok(());
        };
        let (frames, injected) = (run.trial.frames, tester.injected());
        // Only frames that were made from nothing are too many.
        prop_assert_eq!(run.trial.unaccounted, Some(-injected.duplicated.cast_signed()));
        prop_assert_eq!(frames.intended, frames.offered + frames.unsent);
        prop_assert_eq!(frames.lost, frames.offered.cast_signed() - frames.received.cast_signed());
        prop_assert!(frames.reordered <= injected.swapped && frames.corrupt == injected.flipped);
        prop_assert_eq!(frames.foreign, 0);
    }
}

/// A forwarder that keeps no accounts.
struct Silent(WireDevice);

impl Device for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        Ok(None)
    }

    fn threads(&self) -> Vec<(String, u32)> {
        self.0.threads()
    }

    fn reset(&mut self) -> io::Result<bool> {
        self.0.reset()
    }
}

/// A forwarder whose idle turns show which reading they are from.
struct Reads(WireDevice, f64);

impl Device for Reads {
    fn name(&self) -> &str {
        "reads"
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        self.1 += 1.0;
        let idle_turns = Some(Quantity::ratio(self.1));
        Ok(self.0.accounts()?.map(|accounts| DeviceFrames { idle_turns, ..accounts }))
    }

    fn threads(&self) -> Vec<(String, u32)> {
        self.0.threads()
    }

    fn reset(&mut self) -> io::Result<bool> {
        self.0.reset()
    }
}

#[test]
fn idle_turns_are_those_between_the_first_frame_and_the_last() {
    let clock = ManualClock::new(1_000);
    let spec = Spec::constant("x", &[1_000.0], Span::millis(10));
    let (mut tester, device) = wire(&WireSpec::default(), clock.clone());
    let run = on((&mut tester, &mut Reads(device, 0.0)), &clock, &spec, &mut ()).unwrap();
    assert_eq!(run.trial.device.unwrap().idle_turns, Some(Quantity::ratio(2.0)));
}

#[test]
fn without_accounts_the_drain_waits_for_what_is_missing() {
    let clock = ManualClock::new(10_000);
    let spec = Spec::constant("x", &[1_000.0], Span::millis(100));
    let drain = |delay: Span| {
        let (mut tester, device): (Wire<_>, _) =
            wire(&WireSpec { delay, ..WireSpec::default() }, clock.clone());
        let begin = clock.now();
        let run = on((&mut tester, &mut Silent(device)), &clock, &spec, &mut ()).unwrap();
        assert_eq!((run.trial.unaccounted, run.at_rest), (None, true));
        (run.trial.frames.lost, (clock.now() - begin) / 1_000_000)
    };
    // The last frame is sent after 99 ms; one that takes 90 ms is waited for, one that takes
    // 300 ms is not.
    let (lost, passed) = drain(Span::ZERO);
    assert!(lost == 0 && passed <= 103, "{lost} lost after {passed} ms");
    let (lost, passed) = drain(Span::millis(90));
    assert!(lost == 0 && passed <= 193, "{lost} lost after {passed} ms");
    let (lost, passed) = drain(Span::millis(300));
    assert!(lost == 100 && (199..=203).contains(&passed), "{lost} lost after {passed} ms");
}

#[test]
fn every_frame_is_accounted_for_between_two_threads() {
    let clock = RealClock::calibrate();
    let mut number = 0_u32;
    let (mut tester, mut device) = ring(&RingSpec::default(), move |_, _| {
        number += 1;
        !number.is_multiple_of(10)
    })
    .unwrap();
    let mut spec = Spec::constant("x", &[200_000.0], Span::millis(100));
    spec.drain.limit = Span::secs(20);
    let run = on((&mut tester, &mut device), &clock, &spec, &mut ()).unwrap();
    let (frames, device) = (run.trial.frames, run.trial.device.unwrap());
    // However busy the machine is: what was sent came back or was dropped.
    assert_eq!(frames.lost.unsigned_abs(), device.dropped["refused"]);
    assert_eq!(frames.lost.unsigned_abs(), frames.offered / 10);
    assert_eq!((run.trial.unaccounted, frames.intended), (Some(0), 20_000));
    assert!(run.trial.threads.iter().map(|t| &*t.name).eq(["tester", "forwarder"]));
}
