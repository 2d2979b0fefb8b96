use super::*;
use crate::bench::scenario::{Limits, Routes, Spec, TO_AZURE, TO_ONPREM, Way};

const FEW: Options = Options { runs: 3, packets: 4096, hot: 256, cold: 1024, handicap: 0.0 };

fn cost(spec: Spec, lane: usize, mix: Mix) -> Measured {
    let scenario = Scenario::new(spec).unwrap();
    measure(&scenario, lane, &Genome::one(64).unwrap(), mix, &FEW).unwrap()
}

#[test]
fn every_way_has_a_cost_and_every_frame_is_accounted_for() {
    for way in Way::ALL {
        for lane in [TO_AZURE, TO_ONPREM] {
            let spec = Spec {
                routes: Routes::hosts(100),
                flows: 1000,
                limits: Limits::Ample,
                ..Spec::new(*way)
            };
            let Measured { cost, device, notes, tick_rate } = cost(spec, lane, Mix::Known);
            let cold = cost.cold.expect("cold was asked for");
            assert_eq!((cost.hot.runs.len(), cold.runs.len()), (3, 3));
            // On the busiest machine the scheduler may have had every stretch; a loss is another.
            assert_ne!(cost.verdict.kind, VerdictKind::Unaccounted, "{:?}", cost.verdict);
            let passes = if *way == Way::Microsoft { 2 } else { 1 };
            assert_eq!((device.received, device.sent), (8 * 4096 * passes, 8 * 4096 * passes));
            assert!(device.dropped.is_empty() && device.punted == 0);
            let ticks = cost.hot.ticks.value;
            assert!(ticks > 1.0 && ticks.is_finite(), "{way} {lane}: {ticks}");
            assert!((cost.hot.rate.value * ticks / tick_rate - 1.0).abs() < 1e-9);
            assert!(notes[0].contains("hot is 256 frames going round, cold 1024"));
        }
    }
}

#[test]
fn a_busy_loop_behind_each_turn_shows() {
    let scenario = Scenario::new(Spec::new(Way::Provider)).unwrap();
    let ticks = |handicap| {
        let options = Options { handicap, cold: 0, ..FEW };
        let genome = Genome::one(64).unwrap();
        let found = measure(&scenario, TO_AZURE, &genome, Mix::Known, &options).unwrap();
        assert!(found.cost.cold.is_none());
        found.cost.hot.ticks.value
    };
    // Ten times the turn, however busy the machine is.
    assert!(ticks(9.0) > 3.0 * ticks(0.0));
}

#[test]
fn new_sessions_are_new_in_every_run() {
    let spec = Spec { flows: 63, new_flows: 1000, ..Spec::new(Way::Nat) };
    let Measured { cost, device, .. } = cost(spec, TO_AZURE, Mix::New);
    assert_ne!(cost.verdict.kind, VerdictKind::Unaccounted, "{:?}", cost.verdict);
    assert_eq!(device.received, 8 * 1000, "no more than there are new flows");
}

#[test]
fn frames_that_do_not_come_out_void_the_figure() {
    let fate = Fate { pushed: 10, whole: 9, ..Fate::default() };
    let dropped = [("no_route".to_owned(), 1)].into();
    let verdict = judge(&fate, &DeviceFrames { dropped, ..DeviceFrames::default() });
    assert_eq!(verdict.kind, VerdictKind::Unaccounted);
    assert!(verdict.why.starts_with("1 of 10 frames did not come out whole"), "{}", verdict.why);
    assert!(verdict.why.contains("no_route"));
}

#[test]
fn a_core_that_others_had_contaminates_the_figure() {
    let fate = |left_out| Fate { stretches: 100, left_out, ..Fate::default() };
    let kind = |left_out| judge(&fate(left_out), &DeviceFrames::default()).kind;
    assert_eq!(
        [0, 20, 21].map(kind),
        [VerdictKind::Ok, VerdictKind::Ok, VerdictKind::Contaminated]
    );
    let notes = notes(&fate(3), &FEW);
    assert!(notes[1].starts_with("3 of 100 stretches of 32 turns were left out"), "{notes:?}");
}

#[test]
fn the_median_is_the_answer() {
    let ticks = |runs: &[f64]| spread(runs.to_vec(), 1e9).ticks.value;
    assert_eq!(ticks(&[50.0, 90.0, 40.0]), 50.0);
    assert_eq!(ticks(&[50.0, 60.0, 90.0, 40.0]), 55.0);
    assert_eq!(spread(vec![50.0], 1e9).rate, Quantity::rate(2e7));
}

#[test]
fn ticks_pass_beside_the_clock() {
    assert_eq!(rate((Now(5), 100), (Now(1_000_000_005), 2_600_000_100)), 2.6e9);
}
