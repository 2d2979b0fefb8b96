//! Which load does the forwarder carry, and how sure is that? A search asks, trials answer.

use super::{Plan, Runner, forwarding_rate};
use crate::bench::error::BenchError;
use crate::bench::record::outcome::{BoundStep, GoalAnswer, Throughput};
use crate::bench::record::{Quantity, Trial, Verdict, VerdictKind};
use crate::bench::search::{
    Ask, End, Found, GoalFound, Measured, Method, Plan as SearchPlan, Preset, Progress, Search,
};
use crate::time::Span;

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// The goals.
    pub preset: Preset,
    /// How loads are chosen.
    pub method: Method,
    /// When to give up.
    pub timeout: Span,
}

/// The least load that is tried, in frames a second; CSIT's, enough for a latency histogram.
const MIN_LOAD: f64 = 9_001.0;
/// Under this NDR over PDR says that the machine is noisy.
const STEADY: f64 = 0.9;

/// Searches.
///
/// # Errors
/// When a trial cannot be run, or the medium is slower than the least load.
pub fn search(runner: &mut Runner<'_>, how: How) -> Result<Throughput, BenchError> {
    let max = runner.bed().max_rate();
    let mut plan = SearchPlan::new(how.preset.goals(), MIN_LOAD.min(max / 10.0), max);
    (plan.method, plan.timeout) = (how.method, how.timeout);
    let mut search = Search::new(plan).map_err(|bad| BenchError::Asked(bad.to_string()))?;
    let (mut verdicts, mut at_max) = (Vec::new(), None);
    let mut steps: Vec<BoundStep> = Vec::new();
    while let Some(ask) = search.ask() {
        let trial = one(runner, &ask)?;
        search.record(measured(&trial));
        if !ask.warm_up {
            if ask.load >= max * 0.999 {
                at_max = Some(Quantity::rate(forwarding_rate(&trial)));
            }
            verdicts.push((ask.load, trial.verdict));
        }
        let progress = search.progress();
        note_steps(&mut steps, &progress, how.preset, runner.len());
        runner.say(&standing(&progress, how.preset), Some(progress.left));
    }
    let found = search.found();
    let verdict = judge(&found, &verdicts);
    Ok(Throughput {
        preset: how.preset.name().to_owned(),
        goals: found.goals.iter().map(answer).collect(),
        lines: runner.bed().lines(),
        steps,
        ndr_to_pdr: found.steadiness().map(Quantity::ratio),
        at_max_load: at_max,
        verdict,
    })
}

/// Notes each goal's bounds where the last trial moved them.
fn note_steps(steps: &mut Vec<BoundStep>, progress: &Progress, preset: Preset, trials: usize) {
    for (goal, at) in preset.goals().iter().zip(&progress.goals) {
        let step = BoundStep {
            trial: u32::try_from(trials.saturating_sub(1)).unwrap_or(u32::MAX),
            goal: goal.name.clone(),
            lower: at.lower.map(Quantity::rate),
            upper: at.upper.map(Quantity::rate),
        };
        let last = steps.iter().rfind(|own| own.goal == step.goal);
        if last.is_none_or(|own| (own.lower, own.upper) != (step.lower, step.upper)) {
            steps.push(step);
        }
    }
}

/// The rate that the strictest goal with an answer found, in frames a second.
pub fn rate(throughput: &Throughput) -> Option<f64> {
    throughput.goals.iter().find_map(|goal| goal.conditional.map(|rate| rate.value))
}

fn one(runner: &mut Runner<'_>, ask: &Ask) -> Result<Trial, BenchError> {
    let purpose = if ask.warm_up { "warm_up".to_owned() } else { format!("search {}", ask.number) };
    let plan = Plan::constant(purpose, ask.load, ask.duration);
    // A warm-up proves nothing, so a disturbed one is as good.
    let ran = if ask.warm_up { runner.once(&plan)? } else { runner.run(&plan)? };
    Ok(ran.trial)
}

fn measured(trial: &Trial) -> Measured {
    let frames = &trial.frames;
    Measured {
        intended: frames.intended,
        offered: frames.offered,
        received: frames.received,
        duration: nanoseconds(trial.elapsed.value),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a trial")]
fn nanoseconds(seconds: f64) -> Span {
    Span((seconds * 1e9) as u64)
}

fn standing(progress: &Progress, preset: Preset) -> String {
    let rate = |value: Option<f64>| value.map_or("?".to_owned(), |v| Quantity::rate(v).to_string());
    let goals = preset.goals();
    let each: Vec<String> = goals
        .iter()
        .zip(&progress.goals)
        .map(|(goal, at)| format!("{} {} .. {}", goal.name, rate(at.lower), rate(at.upper)))
        .collect();
    each.join(", ")
}

fn answer(found: &GoalFound) -> GoalAnswer {
    GoalAnswer {
        name: found.goal.name.clone(),
        loss_ratio: found.goal.loss_ratio,
        exceed_ratio: found.goal.exceed_ratio,
        width: found.goal.width,
        lower: found.lower.map(|bound| Quantity::rate(bound.load)),
        upper: found.upper.map(|bound| Quantity::rate(bound.load)),
        conditional: found.conditional_throughput.map(Quantity::rate),
        stopped: word(found.end).to_owned(),
    }
}

fn word(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::AtMaxLoad => "at_max_load",
        End::MinLoadFails => "fails_at_min_load",
        End::TimedOut => "timeout",
        End::Abandoned => "abandoned",
        End::Running => "running",
    }
}

/// The verdict of the whole: of most trials around the bounds, since those decided; then what the
/// search as such says.
fn judge(found: &Found, verdicts: &[(f64, Verdict)]) -> Verdict {
    let bounds = found.goals.iter().flat_map(|goal| [goal.lower, goal.upper]).flatten();
    let loads: Vec<f64> = bounds.map(|bound| bound.load).collect();
    let near = |load: f64| loads.iter().any(|bound| (load / bound - 1.0).abs() < 0.02);
    let decisive: Vec<&Verdict> =
        verdicts.iter().filter(|(load, _)| near(*load)).map(|(_, verdict)| verdict).collect();
    let mut worst: Option<(usize, &Verdict)> = None;
    for verdict in &decisive {
        let same = decisive.iter().filter(|other| other.kind == verdict.kind).count();
        if verdict.kind != VerdictKind::Ok && worst.is_none_or(|(most, _)| same > most) {
            worst = Some((same, verdict));
        }
    }
    if let Some((many, verdict)) = worst
        && 2 * many > decisive.len()
    {
        return verdict.clone();
    }
    if found.goals.iter().all(|goal| goal.end == End::AtMaxLoad) && !found.goals.is_empty() {
        let why = "the largest load passed: the forwarder may be faster than the generator";
        return Verdict::new(VerdictKind::AtMaxLoad, why);
    }
    match found.steadiness() {
        Some(share) if share < STEADY => Verdict::new(
            VerdictKind::Contaminated,
            format!(
                "NDR is {:.0} % of PDR: the machine is noisy, and the loss-free rate says more \
                 about its stalls than about the forwarder",
                100.0 * share
            ),
        ),
        _ => Verdict::ok(),
    }
}
