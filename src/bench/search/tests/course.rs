//! How a search runs: its order, its ends, and what it makes of doubtful counts.

use super::super::book::{Book, Bounds};
use super::super::class::Criteria;
use super::super::ladder::Rung;
use super::super::simulated::whole;
use super::super::{
    Ask, BadPlan, BadPreset, End, Found, Goal, Measured, Method, Plan, Preset, Search,
};
use super::{counts, trial};
use crate::fib::synth::Numbers;
use crate::time::Span;

/// Frames of a trial without fault, and what a forwarder of this capacity loses of them.
fn at_most(capacity: f64, ask: &Ask) -> Measured {
    let frames = |load: f64| whole((load * ask.duration.as_secs_f64()).round());
    let offered = frames(ask.load);
    counts(ask.duration, offered, offered - offered.min(frames(capacity)))
}

fn finish(plan: Plan, mut measure: impl FnMut(&Ask) -> Measured) -> Found {
    let mut search = Search::new(plan).unwrap();
    while let Some(ask) = search.ask() {
        search.record(measure(&ask));
    }
    search.found()
}

fn quick(min_load: f64, max_load: f64) -> Plan {
    Plan::new(Preset::Quick.goals(), min_load, max_load)
}

fn ends(found: &Found) -> Vec<End> {
    found.goals.iter().map(|goal| goal.end).collect()
}

#[test]
fn a_trial_that_took_less_than_asked_counts_as_asked() {
    let honest = finish(quick(1e3, 1e6), |ask| at_most(3e5, ask));
    let found =
        finish(quick(1e3, 1e6), |ask| Measured { duration: Span::ZERO, ..at_most(3e5, ask) });
    assert_eq!(found, honest);
}

#[test]
fn nothing_is_recorded_once_a_search_is_over() {
    let mut search = Search::new(quick(1e3, 1e6)).unwrap();
    search.run(|ask| Ok::<_, ()>(at_most(3e5, &ask)), |_| ()).unwrap();
    let found = search.found();
    assert!(found.trials.iter().zip(1..).all(|(trial, number)| trial.ask.number == number));
    search.record(at_most(3e5, &found.trials[0].ask));
    assert_eq!((search.ask(), search.found()), (None, found));
}

#[test]
fn the_first_trial_warms_up_at_the_highest_load_and_proves_nothing() {
    // All that the warm-up says is wrong: no load passes.
    let found = finish(quick(1e3, 1e6), |ask| {
        let lost = if ask.warm_up { 1_000 } else { 0 };
        counts(ask.duration, 1_000, lost)
    });
    let first = found.trials[0];
    assert_eq!((first.ask.warm_up, first.ask.load, first.ask.number), (true, 1e6, 1));
    assert_eq!(first.ask.duration, Span::secs(1));
    assert!(found.trials[1..].iter().all(|trial| !trial.ask.warm_up && trial.ask.load == 1e6));
    assert_eq!(ends(&found), [End::AtMaxLoad; 2]);
    // Six half seconds, good, are more than half of 5.5 s.
    assert_eq!(found.trials.len(), 1 + 6);
}

#[test]
fn a_highest_load_that_passes_is_the_lower_bound_and_there_is_no_upper_one() {
    for method in [Method::MlrSearch, Method::Bisection] {
        let found = finish(Plan { method, ..quick(1e3, 1e6) }, |ask| at_most(2e6, ask));
        for goal in &found.goals {
            assert_eq!((goal.end, goal.upper, goal.width()), (End::AtMaxLoad, None, None));
            assert_eq!(goal.lower.unwrap().load, 1e6);
            assert_eq!(goal.conditional_throughput, Some(1e6));
        }
    }
}

#[test]
fn a_lowest_load_that_fails_ends_the_search_at_once() {
    for method in [Method::MlrSearch, Method::Bisection] {
        let mut plan = Plan { method, ..quick(1e3, 1e6) };
        let found = finish(plan.clone(), |ask| at_most(500.0, ask));
        assert_eq!(found.goals[0].end, End::MinLoadFails);
        assert_eq!((found.goals[0].lower, found.goals[0].conditional_throughput), (None, None));
        assert_eq!(found.goals[0].upper.unwrap().load, 1e3);

        // One in a hundred frames is always lost: hopeless for NDR and PDR, not for a third goal.
        let tolerant = Goal { name: "5 %".to_owned(), loss_ratio: 0.05, ..plan.goals[0].clone() };
        plan.goals.push(tolerant);
        let lossy = |ask: &Ask| {
            let mut measured = at_most(5e5, ask);
            measured.received = measured.received.min(measured.offered * 99 / 100);
            measured
        };
        let found = finish(plan.clone(), lossy);
        assert_eq!(found.goals[0].end, End::MinLoadFails, "{method:?}");
        assert!(found.goals[2].end == End::Abandoned, "{method:?}: {:?}", found.goals[2].end);
        for goal in &mut plan.goals {
            goal.fail_fast = false;
        }
        let found = finish(plan, lossy);
        assert_eq!(ends(&found), [End::MinLoadFails, End::MinLoadFails, End::Done], "{method:?}");
    }
}

#[test]
fn a_search_that_takes_too_long_keeps_what_it_found() {
    for method in [Method::MlrSearch, Method::Bisection] {
        let timeout = Span::secs(8);
        let found = finish(Plan { timeout, method, ..quick(1e3, 1e6) }, |ask| at_most(3e5, ask));
        assert!(found.goals.iter().any(|goal| goal.end == End::TimedOut), "{:?}", ends(&found));
        assert!(found.goals[0].upper.is_some(), "{method:?}");
        // No trial begins after the time is up, and the last one is half a second.
        assert!(found.elapsed >= timeout && found.elapsed < Span(timeout.0 + 500_000_000));
    }
    let search = Search::new(Plan { timeout: Span::ZERO, ..quick(1e3, 1e6) }).unwrap();
    assert_eq!(search.ask(), None);
    assert_eq!(ends(&search.found()), [End::TimedOut; 2]);
}

#[test]
fn a_trial_that_cannot_be_made_leaves_all_before_it() {
    let mut search = Search::new(quick(1e3, 1e6)).unwrap();
    let mut told = 0;
    let failed = search.run(
        |ask| if ask.number < 5 { Ok(at_most(3e5, &ask)) } else { Err("the cable is out") },
        |_| told += 1,
    );
    assert_eq!((failed, told), (Err("the cable is out"), 4));
    assert_eq!(search.found().trials.len(), 4);
    assert_eq!(ends(&search.found()), [End::Running; 2]);
    assert_eq!(search.ask().unwrap().number, 5);
}

#[test]
fn doubtful_counts_lead_down_and_never_up() {
    let ratio = |intended, offered, received| {
        Measured { intended, offered, received, duration: Span::ZERO }.loss_ratio()
    };
    // Unsent; sent too much; received too much; all at once; nothing at all.
    assert_eq!(ratio(1000, 900, 900), 0.1);
    assert_eq!(ratio(1000, 1250, 1250), 0.2);
    assert_eq!(ratio(1000, 1000, 1001), 0.001);
    assert_eq!(ratio(1000, 800, 900), 0.3);
    assert_eq!(ratio(0, 0, 0), 0.0);
    assert_eq!(ratio(0, u64::MAX, 0), 2.0);

    // A generator that sends no more than 4e5 a second, before a forwarder that takes all.
    let found = finish(quick(1e3, 1e6), |ask| {
        let whole = at_most(f64::INFINITY, ask);
        let sent = at_most(4e5, ask).received;
        Measured { offered: sent, received: sent, ..whole }
    });
    for goal in &found.goals {
        let throughput = goal.conditional_throughput.unwrap();
        assert!(throughput <= 4e5 && throughput > 4e5 * 0.98, "{throughput}");
    }
}

#[test]
fn a_load_that_fails_outweighs_higher_ones_that_pass() {
    let second = Span::secs(1);
    let criteria =
        Criteria { loss_ratio: 0.0, exceed_ratio: 0.0, duration: second, duration_sum: second };
    let mut book = Book::default();
    let bounds = |lower: Option<i64>, upper: Option<i64>| Bounds {
        lower: lower.map(Rung),
        upper: upper.map(Rung),
    };
    assert_eq!(book.bounds(&criteria), bounds(None, None));
    for (rung, lost, expected) in [
        (50, 0, bounds(Some(50), None)),
        (70, 0, bounds(Some(70), None)),
        (90, 1, bounds(Some(70), Some(90))),
        (60, 1, bounds(Some(50), Some(60))),
        (40, 1, bounds(None, Some(40))),
        (20, 0, bounds(Some(20), Some(40))),
    ] {
        book.enter(Rung(rung), trial(1e6, second, 1_000_000, lost));
        assert_eq!(book.bounds(&criteria), expected, "after rung {rung}");
    }
}

#[test]
fn plain_halving_tries_what_rfc_2544_would() {
    let (max_load, capacity) = (1e6, 4.7e5);
    let goals = Preset::Rfc2544.goals();
    let plan =
        Plan { method: Method::Bisection, warm_up: Span::ZERO, ..Plan::new(goals, 1.0, max_load) };
    let found = finish(plan, |ask| at_most(capacity, ask));

    let (mut passed, mut failed, mut load) = (0.0, max_load, max_load);
    for trial in &found.trials {
        // Loads are rounded down to a step, which is no wider than the goal's width.
        assert!((0.995..=1.0).contains(&(trial.ask.load / load)), "{} for {load}", trial.ask.load);
        assert_eq!(trial.ask.duration, Span::secs(60));
        *(if load <= capacity { &mut passed } else { &mut failed }) = trial.ask.load;
        load = f64::midpoint(passed, failed);
    }
    assert!((failed - passed) / failed <= 0.005);
    let [goal] = &found.goals[..] else { panic!("one goal") };
    assert_eq!((goal.lower.unwrap().load, goal.upper.unwrap().load), (passed, failed));
    assert_eq!(goal.end, End::Done);
}

#[test]
fn chance_alone_ends_every_search_with_sound_bounds() {
    // Each trial passes or fails whatever its load: nothing holds of a forwarder like that.
    for seed in 0..200 {
        let mut numbers = Numbers::new(seed);
        let method = if seed % 2 == 0 { Method::MlrSearch } else { Method::Bisection };
        let fails = numbers.below(100);
        let mut plan = Plan { method, timeout: Span::secs(100_000), ..quick(1e3, 1e6) };
        for goal in &mut plan.goals {
            goal.fail_fast = seed % 4 < 2;
        }
        let found = finish(plan, |ask| {
            let lost = if numbers.below(100) < fails { numbers.below(100) } else { 0 };
            counts(ask.duration, 10_000, lost.into())
        });
        for goal in &found.goals {
            match goal.end {
                End::Done => assert!(goal.width().unwrap() <= goal.goal.width, "seed {seed}"),
                End::AtMaxLoad => assert_eq!(goal.upper, None, "seed {seed}"),
                End::MinLoadFails => assert_eq!(goal.lower, None, "seed {seed}"),
                End::Abandoned => assert!(goal.goal.fail_fast, "seed {seed}"),
                other => panic!("seed {seed}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_plan_that_cannot_be_searched_says_why() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = quick(1e3, 1e6);
        change(&mut plan);
        Search::new(plan).unwrap_err().to_string()
    };
    for (change, reason) in [
        ((|plan| plan.goals.clear()) as fn(&mut Plan), "the search has no goal; name at least one"),
        (
            |plan| plan.max_load = 1e3,
            "loads from 1000 to 1000 frames/s are no range; the lowest has to be above 0 and the \
             highest at least 0.1 % above that",
        ),
        (
            |plan| plan.goals[1].loss_ratio = 1.5,
            "goal PDR: a loss ratio of 1.5 is out of range; give 0 or more and less than 1",
        ),
        (
            |plan| plan.goals[0].duration_sum = Span::millis(100),
            "goal NDR: durations of 0.5 s at first, 0.5 s at last and 0.1 s in sum are out of \
             order; each has to be at least the one before, the first above 0",
        ),
    ] {
        assert_eq!(refused(change), reason);
    }
    for change in [
        (|plan| plan.min_load = 0.0) as fn(&mut Plan),
        |plan| plan.min_load = f64::NAN,
        |plan| plan.max_load = f64::INFINITY,
        |plan| plan.goals[0].exceed_ratio = 1.0,
        |plan| plan.goals[0].width = 0.0,
        |plan| plan.goals[0].width = f64::NAN,
        |plan| plan.goals[0].preceding = 0,
        |plan| plan.goals[0].expansion = 1,
        |plan| plan.goals[0].initial_duration = Span::ZERO,
    ] {
        refused(change);
    }
    let none = Plan { goals: vec![], ..quick(1e3, 1e6) };
    assert_eq!(none.check(), Err(BadPlan::NoGoal));
}

#[test]
fn presets_are_read_by_their_names_and_can_be_searched() {
    for preset in Preset::ALL {
        assert_eq!(preset.to_string().parse(), Ok(preset));
        Plan::new(preset.goals(), 9_001.0, 14_880_952.0).check().unwrap();
    }
    assert_eq!("ndr".parse::<Preset>(), Err(BadPreset));
}
