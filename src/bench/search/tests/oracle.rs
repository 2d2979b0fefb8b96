//! Trial by trial the same as the package MLRsearch 1.2.1 (PyPI), in what it recorded:
//! `scripts/mlrsearch-vectors` says how and what.

use serde::Deserialize;

use super::super::book::{Book, Bounds};
use super::super::class::Class;
use super::super::goal::{Goal, Target};
use super::super::ladder::{Ladder, Rung};
use super::super::plan::Plan;
use super::super::run::Search;
use super::super::trial::{Ask, Measured, Trial};
use super::super::{End, GoalFound};
use crate::time::Span;

const RECORDED: &str = include_str!("mlrsearch.json");

#[derive(Deserialize)]
struct Recorded {
    searches: Vec<Sequence>,
    books: Vec<Sequence>,
}

#[derive(Deserialize)]
struct Sequence {
    sort: String,
    warm_up_ns: u64,
    min_load: f64,
    max_load: f64,
    rungs: i64,
    goals: Vec<RecordedGoal>,
    durations_ns: Vec<u64>,
    trials: Vec<Entry>,
    ends: String,
}

#[derive(Deserialize)]
struct RecordedGoal(f64, f64, f64, u64, u64, u64, u32, u32, bool);

type Pairs = Vec<[Option<i64>; 2]>;

/// As the script's head lists: rung, duration, intended, unsent, lost, effective, and what the
/// package made of it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Changed(i64, usize, i64, i64, i64, u64, String, Pairs, Vec<Option<f64>>),
    Same(i64, usize, i64, i64, i64, u64, String),
    WarmUp(i64, usize, i64, i64, i64, u64),
}

impl Entry {
    fn rung(&self) -> Rung {
        let (Self::Changed(rung, ..) | Self::Same(rung, ..) | Self::WarmUp(rung, ..)) = self;
        Rung(*rung)
    }

    fn measured(&self) -> Measured {
        let (Self::Changed(_, _, intended, unsent, lost, effective, ..)
        | Self::Same(_, _, intended, unsent, lost, effective, ..)
        | Self::WarmUp(_, _, intended, unsent, lost, effective)) = self;
        let count = |count: i64| u64::try_from(count).expect("counts are not negative");
        Measured {
            intended: count(*intended),
            offered: count(intended - unsent),
            received: count(intended - unsent - lost),
            duration: Span(effective * 1_000_000_000 / 512),
        }
    }

    fn classes(&self) -> Option<&str> {
        match self {
            Self::Changed(_, _, _, _, _, _, classes, ..) | Self::Same(.., classes) => Some(classes),
            Self::WarmUp(..) => None,
        }
    }
}

impl Sequence {
    fn goals(&self) -> Vec<Goal> {
        let goals = self.goals.iter().enumerate();
        goals.map(|(index, goal)| goal.named(&format!("goal {index}"))).collect()
    }

    fn duration(&self, entry: &Entry) -> Span {
        let (Entry::Changed(_, at, ..) | Entry::Same(_, at, ..) | Entry::WarmUp(_, at, ..)) = entry;
        Span(self.durations_ns[*at])
    }
}

impl RecordedGoal {
    fn named(&self, name: &str) -> Goal {
        let Self(loss_ratio, exceed_ratio, width, initial, full, sum, preceding, expansion, fail) =
            *self;
        Goal {
            name: name.to_owned(),
            loss_ratio,
            exceed_ratio,
            width,
            initial_duration: Span(initial),
            final_duration: Span(full),
            duration_sum: Span(sum),
            preceding,
            expansion,
            fail_fast: fail,
        }
    }
}

fn recorded() -> Recorded {
    serde_json::from_str(RECORDED).expect("the script writes JSON of this shape")
}

/// What we make of a sequence's trials, entered one by one, beside what the package made of them.
struct Replay {
    ladder: Ladder,
    chains: Vec<Vec<Target>>,
    book: Book,
    bounds: Pairs,
    throughputs: Vec<Option<f64>>,
}

impl Replay {
    fn new(sequence: &Sequence) -> Self {
        let goals = sequence.goals();
        let widths: Vec<f64> = goals.iter().map(|goal| goal.width).collect();
        let ladder = Ladder::new(sequence.min_load, sequence.max_load, &widths);
        assert_eq!(ladder.top(), Rung(sequence.rungs), "{}", sequence.sort);
        let chains = goals.iter().map(|goal| goal.chain(&ladder)).collect();
        Self { ladder, chains, book: Book::default(), bounds: vec![], throughputs: vec![] }
    }

    fn enter(&mut self, entry: &Entry, duration: Span, place: &str) {
        let warm_up = entry.classes().is_none();
        let load = self.ladder.load(entry.rung());
        let ask = Ask { number: 1, load, duration, warm_up, goal: None };
        self.book.enter(entry.rung(), Trial { ask, measured: entry.measured() });
        let Some(classes) = entry.classes() else { return };
        assert_eq!(self.classes(entry.rung()), classes, "{place}");
        if let Entry::Changed(.., bounds, throughputs) = entry {
            self.bounds.clone_from(bounds);
            self.throughputs.clone_from(throughputs);
        }
        for (index, chain) in self.chains.iter().enumerate() {
            let criteria = &chain.last().unwrap().criteria;
            let Bounds { lower, upper } = self.book.bounds(criteria);
            assert_eq!([lower, upper].map(|b| b.map(|b| b.0)), self.bounds[index], "{place}");
            let throughput = lower.map(|rung| {
                self.ladder.load(rung) * (1.0 - self.book.conditional_loss(rung, criteria))
            });
            assert_close(throughput, self.throughputs[index], place);
        }
    }

    fn classes(&self, rung: Rung) -> String {
        let letter = |target: &Target| match self.book.class(rung, &target.criteria) {
            Class::Lower => 'L',
            Class::Upper => 'U',
            Class::Undecided => '?',
        };
        let goals = self.chains.iter().map(|chain| chain.iter().map(letter).collect::<String>());
        goals.collect::<Vec<_>>().join(" ")
    }

    /// The same through what a user of the search sees.
    fn compare_found(&self, found: &[GoalFound], place: &str) {
        for (index, goal) in found.iter().enumerate() {
            let loads = self.bounds[index].map(|b| b.map(|rung| self.ladder.load(Rung(rung))));
            assert_eq!([goal.lower, goal.upper].map(|b| b.map(|b| b.load)), loads, "{place}");
            assert_close(goal.conditional_throughput, self.throughputs[index], place);
        }
    }
}

/// Equal to the digits that the script writes.
fn assert_close(ours: Option<f64>, theirs: Option<f64>, place: &str) {
    let equal = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= theirs.abs() * 1e-10 + 1e-9,
        (ours, theirs) => ours == theirs,
    };
    assert!(equal, "{place}: throughput {ours:?}, of the package {theirs:?}");
}

#[test]
fn classes_bounds_and_throughputs_are_the_packages_after_each_trial() {
    let Recorded { searches, books } = recorded();
    assert_eq!((searches.len(), books.len()), (100, 20));
    for (number, sequence) in searches.iter().chain(&books).enumerate() {
        let mut replay = Replay::new(sequence);
        for (index, entry) in sequence.trials.iter().enumerate() {
            let place = format!("sequence {number} ({}), trial {index}", sequence.sort);
            replay.enter(entry, sequence.duration(entry), &place);
        }
    }
}

#[test]
fn every_load_and_duration_that_is_chosen_is_the_packages() {
    for (number, sequence) in recorded().searches.iter().enumerate() {
        let mut plan = Plan::new(sequence.goals(), sequence.min_load, sequence.max_load);
        plan.warm_up = Span(sequence.warm_up_ns);
        plan.timeout = Span(u64::MAX);
        let mut search = Search::new(plan).expect("the package accepted it");
        let mut replay = Replay::new(sequence);
        for (index, entry) in sequence.trials.iter().enumerate() {
            let place = format!("sequence {number} ({}), trial {index}", sequence.sort);
            let ask = search.ask().unwrap_or_else(|| panic!("{place}: we ended"));
            assert_eq!(
                (replay.ladder.below(ask.load), ask.duration),
                (entry.rung(), sequence.duration(entry)),
                "{place}"
            );
            search.record(entry.measured());
            replay.enter(entry, ask.duration, &place);
            if entry.classes().is_some() {
                replay.compare_found(&search.found().goals, &place);
            }
        }
        let place = format!("sequence {number} ({})", sequence.sort);
        assert_eq!(search.ask(), None, "{place}: the package ended");
        let found = search.found();
        assert_eq!(found.trials.len(), sequence.trials.len(), "{place}");
        let failed = |goal: &GoalFound| goal.goal.fail_fast && goal.end == End::MinLoadFails;
        assert_eq!(found.goals.iter().any(failed), sequence.ends == "min load fails", "{place}");
        assert!(found.goals.iter().all(|goal| goal.end != End::Running), "{place}");
    }
}
