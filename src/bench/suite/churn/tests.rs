use super::*;
use crate::bench::medium::memory::memory_with_churn;
use crate::bench::medium::{Device as _, Tester as _};
use crate::bench::scenario::{Mix, Routes, Scenario, Spec, TO_AZURE, Way};
use crate::bench::traffic::Genome;
use crate::bench::trial::{self, Basis, RealClock, Rig};

/// A pair of short trials in memory, with changes that leave alone what traffic needs, or not.
fn pair(is_safe: bool) -> Pair {
    let spec = Spec { routes: Routes::internet(3, 3000), flows: 3000, ..Spec::new(Way::FastPath) };
    let scenario = Scenario::new(spec).unwrap();
    let needed = scenario.destinations().take(if is_safe { usize::MAX } else { 0 });
    let (mut tester, mut device) = memory_with_churn(&scenario, needed).unwrap();
    let genome = Genome::one(64).unwrap();
    let mut streams = [scenario.frames(TO_AZURE, &genome, Mix::Known, None).unwrap()];
    let clock = RealClock::calibrate();
    let mut run = |purpose: &str, tester: &mut _| {
        let spec = trial::Spec::constant(purpose, &[60_000.0], Span::millis(100));
        let (streams, device, basis) = (&mut streams, &mut device, Basis::default());
        Rig { tester, device, streams, clock: &clock, basis }.run(&spec).unwrap().trial
    };
    let without = run("without changes", &mut tester);
    tester.churn().unwrap().start().unwrap();
    let with = run("with changes", &mut tester);
    let changed = tester.churn().unwrap().finish().unwrap();
    assert!(device.accounts().unwrap().is_some());
    Pair { with, without, changed }
}

#[test]
fn no_frame_is_lost_for_changes_and_the_table_is_right_afterwards() {
    let pair = pair(true);
    assert_eq!((lost(&pair.with), lost(&pair.without)), (0, 0), "{:#?}", pair.with);
    assert_eq!((pair.with.unaccounted, pair.without.unaccounted), (Some(0), Some(0)));
    assert_eq!(pair.changed.differing, 0);
    assert!(pair.changed.changes > 0 && pair.updates().value > 0.0);
    // The machine may have been busy.
    assert_ne!(judge(&[pair]).kind, VerdictKind::Unaccounted);
}

#[test]
fn a_frame_that_is_lost_for_a_change_voids_the_figure() {
    let pair = pair(false);
    assert!(lost(&pair.with) > 0, "half of the routes were away");
    assert_eq!(lost(&pair.without), 0);
    let verdict = judge(&[pair]);
    assert_eq!(verdict.kind, VerdictKind::Unaccounted);
    assert!(verdict.why.contains("lost while routes changed and 0 without"), "{}", verdict.why);
}

#[test]
fn a_loss_with_and_without_changes_is_not_the_tables_fault() {
    let mut pair = pair(true);
    (pair.with.verdict, pair.without.verdict) = (Verdict::ok(), Verdict::ok());
    pair.with.frames.unsent = 0;
    let kind = |with, without| {
        let mut pair = pair.clone();
        (pair.with.frames.lost, pair.without.frames.lost) = (with, without);
        judge(&[pair]).kind
    };
    assert_eq!(kind(0, 0), VerdictKind::Ok);
    assert_eq!(kind(7, 7), VerdictKind::Ok);
    assert_eq!(kind(8, 7), VerdictKind::Unaccounted);
}

#[test]
fn wrong_look_ups_void_the_figure_and_a_late_generator_bounds_it() {
    let mut fine = pair(true);
    (fine.with.verdict, fine.without.verdict) = (Verdict::ok(), Verdict::ok());
    (fine.with.frames.unsent, fine.without.frames.unsent) = (0, 0);
    let wrong = Changed { differing: 1, ..fine.changed };
    let wrong = judge(&[fine.clone(), Pair { changed: wrong, ..fine.clone() }]);
    assert_eq!(wrong.kind, VerdictKind::Unaccounted);
    assert!(wrong.why.starts_with("1 of "), "{}", wrong.why);
    let mut late = fine.clone();
    late.with.frames.unsent = 5000;
    assert_eq!(judge(&[fine.clone(), late]).kind, VerdictKind::GeneratorBound);
    let none = Changed { changes: 0, ..fine.changed };
    let none = judge(&[Pair { changed: none, ..fine }]);
    assert_eq!(none.kind, VerdictKind::GeneratorBound);
    assert!(none.why.contains("no route was changed"), "{}", none.why);
}
