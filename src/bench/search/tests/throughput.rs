//! Is the capacity of a simulated forwarder found? 1.5 M frames/s, a buffer of 4,096, 20 seeds.

use super::super::simulated::{Forwarder, Noise, whole};
use super::super::{End, Found, Goal, Method, Plan, Preset, Search};
use crate::time::Span;

const CAPACITY: f64 = 1_500_000.0;
/// 10 Gbit/s of frames of 64 bytes.
const MAX_LOAD: f64 = 14_880_952.0;
const SEEDS: std::ops::Range<u64> = 0..20;

fn plan(goals: Vec<Goal>) -> Plan {
    Plan { timeout: Span::secs(100_000), ..Plan::new(goals, 9_001.0, MAX_LOAD) }
}

fn found(plan: Plan, mut forwarder: Forwarder) -> Found {
    let mut search = Search::new(plan).expect("the plan is sound");
    search
        .run(|ask| Ok::<_, std::convert::Infallible>(forwarder.measure(&ask)), |_| ())
        .unwrap_or_else(|never| match never {});
    search.found()
}

fn on(noise: Noise, goals: &[Goal], seed: u64) -> Found {
    found(plan(goals.to_vec()), Forwarder::new(CAPACITY, 4096, noise, seed))
}

/// How far each goal's throughput is from the capacity, as a share of it.
fn errors(found: &Found, capacity: f64) -> Vec<f64> {
    let throughput = |index: usize| found.goals[index].conditional_throughput.unwrap();
    (0..found.goals.len()).map(|index| throughput(index) / capacity - 1.0).collect()
}

#[test]
fn a_quiet_host_gives_the_capacity_to_within_the_width() {
    for preset in [Preset::Csit, Preset::Quick, Preset::Smoke] {
        let goals = preset.goals();
        for seed in SEEDS {
            let found = on(Noise::Quiet, &goals, seed);
            for (goal, error) in goals.iter().zip(errors(&found, CAPACITY)) {
                assert!(error.abs() <= goal.width, "{preset} {}, seed {seed}: {error}", goal.name);
            }
            assert!(found.goals.iter().all(|goal| goal.end == End::Done), "{preset}, seed {seed}");
            assert!(found.goals.iter().all(|goal| goal.width().unwrap() <= goal.goal.width));
        }
    }
}

#[test]
fn a_capacity_is_found_wherever_it_lies() {
    let goals = Preset::Csit.goals();
    // The width, and what stalls take: ten a second with a mean of 0.1 ms times sqrt(e).
    let within = 0.005 + 10.0 * 100e-6 * 0.5_f64.exp();
    for seed in SEEDS {
        // From 0.1 to 12.9 M, each with a buffer of 2.7 ms. It flatters a trial of 1 s by 0.27 %.
        let capacity = 1e5 * 1.2915_f64.powi(i32::try_from(seed).unwrap());
        let buffer = u32::try_from(whole(capacity * 4096.0 / CAPACITY)).unwrap();
        let forwarder = Forwarder::new(capacity, buffer, Noise::Quiet, seed);
        let found = found(plan(goals.clone()), forwarder);
        for error in errors(&found, capacity) {
            assert!(error.abs() <= within, "{capacity} frames/s: {error}");
        }
    }
}

#[test]
fn a_small_virtual_machine_gives_the_capacity_to_within_three_percent() {
    for preset in [Preset::Csit, Preset::Quick] {
        for seed in SEEDS {
            let found = on(Noise::Virtual, &preset.goals(), seed);
            for error in errors(&found, CAPACITY) {
                assert!(error.abs() <= 0.03, "{preset}, seed {seed}: {error}");
            }
            let steadiness = found.steadiness().unwrap();
            assert!((0.95..1.02).contains(&steadiness), "seed {seed}: {steadiness}");
        }
    }
}

#[test]
fn a_very_noisy_host_shows_in_the_distance_of_both_goals() {
    let shows = |&seed: &u64| {
        let found = on(Noise::Noisy, &Preset::Csit.goals(), seed);
        let [ndr, pdr] = [0, 1].map(|goal| found.goals[goal].conditional_throughput.unwrap());
        assert!(ndr < pdr && pdr < CAPACITY, "seed {seed}: {ndr}, {pdr}");
        found.steadiness().unwrap() < 0.9
    };
    assert!(SEEDS.filter(shows).count() >= 18);
}

/// The mean over all seeds, in M frames a second.
fn mean(goals: &[Goal], noise: Noise, method: Method) -> f64 {
    let one = |seed| {
        let plan = Plan { method, ..plan(goals.to_vec()) };
        let found = found(plan, Forwarder::new(CAPACITY, 4096, noise, seed));
        found.goals[0].conditional_throughput.unwrap() / 1e6
    };
    SEEDS.map(one).sum::<f64>() / SEEDS.count() as f64
}

#[test]
fn rfc_2544_finds_the_longest_stall_where_a_host_has_stalls() {
    // That is what the goal asks for, and why it is not the default: a fifth of the capacity on a
    // small virtual machine, a twelfth on a noisy one (an independent simulation with a model of
    // the same kind had 0.298 M and 0.125 M).
    let goals = Preset::Rfc2544.goals();
    for method in [Method::MlrSearch, Method::Bisection] {
        let [quiet, small, noisy] =
            [Noise::Quiet, Noise::Virtual, Noise::Noisy].map(|noise| mean(&goals, noise, method));
        assert!((1.4..1.5).contains(&quiet), "{method:?}: {quiet} M");
        assert!((0.2..0.4).contains(&small), "{method:?}: {small} M");
        assert!((0.08..0.17).contains(&noisy), "{method:?}: {noisy} M");
    }
}

#[test]
fn csit_goals_take_minutes_where_rfc_2544_takes_a_quarter_of_an_hour() {
    let minutes = |preset: Preset, noise| {
        let seconds = |seed| on(noise, &preset.goals(), seed).elapsed.as_secs_f64();
        SEEDS.map(seconds).sum::<f64>() / SEEDS.count() as f64 / 60.0
    };
    assert!(minutes(Preset::Csit, Noise::Quiet) < 1.0);
    assert!(minutes(Preset::Csit, Noise::Virtual) < 2.0);
    assert!(minutes(Preset::Quick, Noise::Virtual) < 0.5);
    assert!((12.0..25.0).contains(&minutes(Preset::Rfc2544, Noise::Virtual)));
}

#[test]
fn the_time_that_is_left_is_known_roughly() {
    for (preset, noise) in [
        (Preset::Csit, Noise::Quiet),
        (Preset::Csit, Noise::Virtual),
        (Preset::Quick, Noise::Virtual),
    ] {
        let mut early = Vec::new();
        for seed in SEEDS {
            let mut forwarder = Forwarder::new(CAPACITY, 4096, noise, seed);
            let mut search = Search::new(plan(preset.goals())).unwrap();
            let mut told = Vec::new();
            let measure = |ask| Ok::<_, ()>(forwarder.measure(&ask));
            search.run(measure, |progress| told.push(progress.clone())).unwrap();
            let ended = told.last().unwrap().elapsed.as_secs_f64();
            let fifth = &told[4];
            early.push(fifth.left.as_secs_f64() / (ended - fifth.elapsed.as_secs_f64()));
            assert!(told.iter().zip(1..).all(|(progress, number)| progress.trials == number));
            assert_eq!(told.last().unwrap().left, Span::ZERO);
        }
        let mean = early.iter().sum::<f64>() / early.len() as f64;
        assert!((1.0 / 3.0..3.0).contains(&mean), "{preset}, {noise:?}: {mean} of the truth");
    }
}
