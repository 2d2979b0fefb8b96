//! The search itself: whose wish is granted next, and when is there none left?

use super::book::{Book, Bounds};
use super::estimate;
use super::found::{Bound, End, Found, GoalFound};
use super::goal::{Goal, Target};
use super::halving;
use super::ladder::{Ladder, Rung};
use super::opening::{Next, Opening};
use super::plan::{BadPlan, Method, Plan};
use super::pursuit::{Pursuit, Wish};
use super::trial::{Ask, Measured, Trial};
use crate::time::Span;

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    plan: Plan,
    ladder: Ladder,
    /// Of each goal, the easiest target first.
    chains: Vec<Vec<Target>>,
    book: Book,
    phase: Phase,
    /// None once the search is over.
    pending: Option<Pending>,
    elapsed: Span,
}

#[derive(Clone, Debug)]
enum Phase {
    WarmUp,
    Opening(Opening, Rung),
    Goals { pursuits: Vec<Pursuit>, shared: i64 },
    Halving { last: Option<Rung> },
    Over(End),
}

/// The trial to make now.
#[derive(Clone, Copy, Debug)]
struct Pending {
    ask: Ask,
    rung: Rung,
    wish: Option<Wish>,
}

/// How far a search is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Trials made, the warm-up too.
    pub trials: usize,
    /// What they took.
    pub elapsed: Span,
    /// About what is left, at most what the timeout leaves.
    pub left: Span,
    /// Of each goal, in the order of the plan.
    pub goals: Vec<Standing>,
}

/// How far a goal is: bounds in frames a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The highest load that passes, below all that fail.
    pub lower: Option<f64>,
    /// The lowest load that fails.
    pub upper: Option<f64>,
}

impl Search {
    /// Prepares a search; nothing is tried yet.
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn new(plan: Plan) -> Result<Self, BadPlan> {
        plan.check()?;
        let widths: Vec<f64> = plan.goals.iter().map(|goal| goal.width).collect();
        let ladder = Ladder::new(plan.min_load, plan.max_load, &widths);
        let chains: Vec<Vec<Target>> = plan.goals.iter().map(|goal| goal.chain(&ladder)).collect();
        let mut search = Self {
            plan,
            ladder,
            chains,
            book: Book::default(),
            phase: Phase::WarmUp,
            pending: None,
            elapsed: Span::ZERO,
        };
        if search.plan.warm_up == Span::ZERO {
            search.warmed_up();
        }
        search.pending = search.choose();
        Ok(search)
    }

    /// The trial to make now, the same until it is recorded; none when the search is over.
    pub fn ask(&self) -> Option<Ask> {
        self.pending.map(|pending| pending.ask)
    }

    /// Takes the counts of the trial to make now; nothing when the search is over.
    pub fn record(&mut self, mut measured: Measured) {
        let Some(Pending { ask, rung, wish }) = self.pending.take() else { return };
        // Trials that took no time would never be enough of them.
        measured.duration = measured.duration.max(ask.duration);
        self.elapsed.0 = self.elapsed.0.saturating_add(measured.duration.0);
        let trial = Trial { ask, measured };
        self.book.enter(rung, trial);
        self.follow(rung, &trial, wish);
        self.pending = self.choose();
    }

    /// Makes all trials, and tells after each how far the search is.
    ///
    /// # Errors
    /// What `measure` failed with; the trial remains the next one, and all before it are kept.
    pub fn run<E>(
        &mut self,
        mut measure: impl FnMut(Ask) -> Result<Measured, E>,
        mut progress: impl FnMut(&Progress),
    ) -> Result<(), E> {
        while let Some(ask) = self.ask() {
            self.record(measure(ask)?);
            progress(&self.progress());
        }
        Ok(())
    }

    /// What was found up to now.
    pub fn found(&self) -> Found {
        let goals = self.plan.goals.iter().zip(&self.chains);
        Found {
            goals: goals.map(|(goal, chain)| self.goal_found(goal.clone(), last(chain))).collect(),
            trials: self.book.trials().to_vec(),
            elapsed: self.elapsed,
        }
    }

    /// How far the search is.
    pub fn progress(&self) -> Progress {
        let load = |rung: Option<Rung>| rung.map(|rung| self.ladder.load(rung));
        let standing = |chain: &Vec<Target>| {
            let bounds = self.book.bounds(&last(chain).criteria);
            Standing { lower: load(bounds.lower), upper: load(bounds.upper) }
        };
        Progress {
            trials: self.book.trials().len(),
            elapsed: self.elapsed,
            left: self.left(),
            goals: self.chains.iter().map(standing).collect(),
        }
    }

    fn follow(&mut self, rung: Rung, trial: &Trial, wish: Option<Wish>) {
        match &mut self.phase {
            Phase::WarmUp => self.warmed_up(),
            Phase::Opening(opening, next) => match opening.next(&self.ladder, rung, trial) {
                Next::Try(rung) => *next = rung,
                Next::Begin(low, high) => {
                    let pursuit = |chain: &Vec<_>| Pursuit::new(chain.clone(), low, high);
                    let pursuits = self.chains.iter().map(pursuit).collect();
                    self.phase = Phase::Goals { pursuits, shared: high.above(low) };
                }
            },
            Phase::Goals { pursuits, shared } => {
                if let (Some(goal), Some(wish)) = (trial.ask.goal, wish) {
                    *shared = pursuits[goal].granted(&wish, &self.book).unwrap_or(wish.width);
                }
            }
            Phase::Halving { last } => *last = Some(rung),
            Phase::Over(_) => {}
        }
    }

    fn warmed_up(&mut self) {
        self.phase = match self.plan.method {
            Method::MlrSearch => Phase::Opening(Opening::new(&self.chains), self.ladder.top()),
            Method::Bisection => Phase::Halving { last: None },
        };
    }

    fn choose(&mut self) -> Option<Pending> {
        if !matches!(self.phase, Phase::Over(_)) && self.elapsed >= self.plan.timeout {
            self.phase = Phase::Over(End::TimedOut);
        }
        let next = match &mut self.phase {
            Phase::WarmUp => Some(self.pending(self.ladder.top(), self.plan.warm_up, None)),
            Phase::Opening(opening, rung) => {
                let (rung, duration) = (*rung, opening.duration());
                Some(self.pending(rung, duration, None))
            }
            Phase::Goals { .. } => self.grant(),
            Phase::Halving { last } => {
                let last = *last;
                self.halve(last)
            }
            Phase::Over(_) => None,
        };
        if next.is_none() && !matches!(self.phase, Phase::Over(_)) {
            self.phase = Phase::Over(End::Done);
        }
        next
    }

    /// The wish that is granted.
    fn grant(&mut self) -> Option<Pending> {
        let Phase::Goals { pursuits, shared } = &mut self.phase else { return None };
        let mut best: Option<(usize, Wish)> = None;
        for (goal, pursuit) in pursuits.iter_mut().enumerate() {
            let wish = pursuit.wish(&self.book, &self.ladder, *shared);
            let criteria = &last(&self.chains[goal]).criteria;
            match wish {
                Some(wish) if best.is_none_or(|(_, best)| wish.precedes(&best)) => {
                    best = Some((goal, wish));
                }
                None if self.plan.goals[goal].fail_fast
                    && self.book.bounds(criteria).lower.is_none() =>
                {
                    self.phase = Phase::Over(End::Abandoned);
                    return None;
                }
                _ => {}
            }
        }
        let (goal, wish) = best?;
        let pending = self.pending(wish.rung, wish.duration, Some(goal));
        Some(Pending { wish: Some(wish), ..pending })
    }

    fn halve(&mut self, tried: Option<Rung>) -> Option<Pending> {
        for (index, chain) in self.chains.iter().enumerate() {
            let goal = last(chain);
            if let Some(rung) = halving::next(&self.book, &self.ladder, goal, tried) {
                return Some(self.pending(rung, goal.criteria.duration, Some(index)));
            }
            let failed = self.book.bounds(&goal.criteria).lower.is_none();
            if failed && self.plan.goals[index].fail_fast {
                self.phase = Phase::Over(End::Abandoned);
                return None;
            }
        }
        None
    }

    fn pending(&self, rung: Rung, duration: Span, goal: Option<usize>) -> Pending {
        let ask = Ask {
            number: self.book.trials().len() + 1,
            load: self.ladder.load(rung),
            duration,
            warm_up: matches!(self.phase, Phase::WarmUp),
            goal,
        };
        Pending { ask, rung, wish: None }
    }

    fn goal_found(&self, goal: Goal, target: &Target) -> GoalFound {
        let bounds = self.book.bounds(&target.criteria);
        let bound = |rung: Rung| Bound {
            load: self.ladder.load(rung),
            tally: self.book.tally(rung, &target.criteria),
        };
        let throughput = |rung: Rung| {
            let loss = self.book.conditional_loss(rung, &target.criteria);
            self.ladder.load(rung) * (1.0 - loss)
        };
        GoalFound {
            goal,
            lower: bounds.lower.map(bound),
            upper: bounds.upper.map(bound),
            conditional_throughput: bounds.lower.map(throughput),
            end: self.end(bounds, target.width),
        }
    }

    fn end(&self, bounds: Bounds, width: i64) -> End {
        let narrow = bounds.width().is_some_and(|found| found <= width);
        match (bounds, &self.phase) {
            (Bounds { lower: Some(lower), .. }, _) if lower == self.ladder.top() => End::AtMaxLoad,
            (Bounds { upper: Some(Rung(0)), .. }, _) => End::MinLoadFails,
            _ if narrow => End::Done,
            (_, Phase::Over(end)) => *end,
            _ => End::Running,
        }
    }

    fn left(&self) -> Span {
        let ahead = |targets: &[Target]| estimate::ahead(targets, &self.book);
        let seconds: Vec<f64> = match &self.phase {
            Phase::Over(_) => return Span::ZERO,
            Phase::Goals { pursuits, .. } => pursuits.iter().map(|p| ahead(p.ahead())).collect(),
            Phase::Halving { .. } => self.chains.iter().map(|c| ahead(&[*last(c)])).collect(),
            _ => self.chains.iter().map(|chain| ahead(chain)).collect(),
        };
        let asked: u64 = self.book.trials().iter().map(|trial| trial.ask.duration.0).sum();
        let overhead = if asked == 0 { 1.0 } else { self.elapsed.0 as f64 / asked as f64 };
        let most = Span(self.plan.timeout.0.saturating_sub(self.elapsed.0));
        estimate::together(&seconds, overhead).min(most)
    }
}

/// The goal itself, at the end of the chain of its targets.
fn last(chain: &[Target]) -> &Target {
    chain.last().expect("a chain ends with its goal")
}
