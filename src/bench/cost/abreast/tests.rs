use super::*;
use crate::bench::scenario::{Limits, Routes, Spec, TO_AZURE, TO_ONPREM, Way};

const FEW: Options = Options { runs: 3, packets: 4096, hot: 256, cold: 0, handicap: 0.0 };

fn scenario(way: Way) -> Scenario {
    let routes = Routes::hosts(100);
    Scenario::new(Spec { routes, flows: 1000, limits: Limits::Ample, ..Spec::new(way) }).unwrap()
}

#[test]
fn two_workers_carry_their_own_frames_beside_each_other_on_every_way_with_state_or_without() {
    for way in [Way::FastPath, Way::Gateway, Way::Nat] {
        for lane in [TO_AZURE, TO_ONPREM] {
            let genome = Genome::one(64).unwrap();
            // Tests share their machine: cores are not named.
            let cores = [None, None];
            let found = measure(&scenario(way), lane, &genome, &cores, &FEW).unwrap();
            let abreast = found.cost.abreast.clone().expect("that was asked");
            assert_eq!((abreast.workers, abreast.ratios.len()), (2, 3));
            assert_ne!(found.cost.verdict.kind, VerdictKind::Unaccounted, "{:?}", found.cost);
            // A run of one, of both, and four of these: the first is not counted.
            let frames = 4 * 3 * 4096;
            assert_eq!((found.device.received, found.device.sent), (frames, frames), "{way}");
            assert!(found.device.dropped.is_empty() && found.device.punted == 0);
            assert!(abreast.ratios.iter().all(|ratio| *ratio > 0.0 && ratio.is_finite()));
            assert_eq!(found.cost.hot.runs.len(), 3);
        }
    }
}

#[test]
fn a_flow_has_one_worker_at_most_and_without_state_every_flow_has_one() {
    // A peering that leads to a gateway keeps flows: about half of them arrive at their owner.
    let half = (200, 800);
    let all = [(Way::Provider, (1000, 1000)), (Way::FastPath, half), (Way::Nat, half)];
    for (way, (least, most)) in all {
        let spec = Spec { routes: Routes::hosts(100), flows: 1000, ..Spec::new(way) };
        let scenario = Scenario::new(spec).unwrap();
        let (mut tester, _device, _spare) = memory::with_frames(&scenario, 2, 0).unwrap();
        let learned = scenario.open(&mut tester).unwrap().learned;
        let genome = Genome::one(64).unwrap();
        let mut stream = scenario.frames(TO_AZURE, &genome, Mix::Known, learned.as_ref()).unwrap();
        let leaves = scenario.lane(TO_AZURE).leaves;
        let (_, own) = own_flows(tester, TO_AZURE, &mut stream, leaves).unwrap();
        let mut all = own.concat();
        assert!((least..=most).contains(&all.len()), "{way}: {}", all.len());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), own.iter().map(Vec::len).sum::<usize>());
    }
}

/// Rounds of 64 packets that take so many ticks; those that take none were disturbed.
fn rounds(ticks: &[u32]) -> Vec<Round> {
    let round = |ticks: &u32| Round {
        all: Sum { ticks: f64::from((*ticks).max(1)), packets: 64 },
        is_disturbed: *ticks == 0,
    };
    ticks.iter().map(round).collect()
}

#[test]
fn rates_add_up_over_the_rounds_in_which_nobody_was_disturbed() {
    let (one, other) = (rounds(&[64, 0, 64]), rounds(&[128, 128, 128]));
    assert_eq!(per_tick(&[&one, &other]), 1.5);
    assert_eq!(per_tick(&[&one]), 1.0);
    // Who is alone takes turns; both beside that.
    let (none, calm) = (Vec::new(), rounds(&[64, 64]));
    let all = [
        vec![calm.clone(), calm.clone(), none.clone(), calm.clone()],
        vec![none, calm.clone(), rounds(&[32, 32]), calm],
    ];
    let (alone, abreast) = sums(&all, 1e9);
    assert_eq!((alone, abreast.ratios), (vec![1.0, 0.5], vec![2.0, 1.0]));
    assert_eq!((abreast.ratio, abreast.rate), (1.5, Quantity::rate(2e9)));
    assert_eq!(few(&all), None);
}

#[test]
fn workers_that_others_disturbed_contaminate_the_figure() {
    let all = [vec![rounds(&[0, 0, 9]), rounds(&[9, 0, 0])]];
    assert_eq!(few(&all).map(|verdict| verdict.kind), Some(VerdictKind::Contaminated));
}
