//! Searches: one that went well, and one for each way in which it may not.

use super::outcome::{BoundStep, GoalAnswer, Throughput};
use super::trials::Made;
use super::{LineRates, Outcome, Quantity, Record, Scenario, Trial, Verdict, VerdictKind};
use super::{lines, record, scenario};

pub(super) fn throughput() -> Vec<Record> {
    let ok = scenario("fastpath", "veth", 64, "thruway");
    let kernel = Scenario { device: "kernel".to_owned(), ..ok.clone() };
    let noisy = scenario("gateway", "veth", 64, "thruway");
    let ring = scenario("fastpath", "ring", 64, "thruway");
    let mut policed = scenario("fastpath", "veth", 1518, "thruway");
    policed.limits = "enforce".to_owned();
    let null = scenario("forward", "veth", 64, "null");
    let nat = scenario("nat", "veth", 64, "thruway");
    vec![
        searched(ok, 1_004_000.0, 1_700_000.0, Noise::Some, Verdict::ok()),
        searched(kernel, 742_000.0, 1_700_000.0, Noise::Some, Verdict::ok()),
        searched(noisy, 655_000.0, 1_700_000.0, Noise::Much, contaminated()),
        searched(ring, 30e6, 9_400_000.0, Noise::None, generator()),
        searched(null, 1_010_000.0, 1_700_000.0, Noise::None, medium()),
        at_max_load(policed),
        unaccounted(nat),
    ]
}

fn contaminated() -> Verdict {
    let why = "Other work disturbed 11 of 34 trials, worker 0 waited up to 6.1 % of the time for \
               its core: end what else runs on core 1 and measure again.";
    Verdict::new(VerdictKind::Contaminated, why)
}

fn generator() -> Verdict {
    let why = "The generator sends 9.40 Mpps at most and the result is 99 % of that: the \
               forwarder may be faster. Give the generator a core of its own.";
    Verdict::new(VerdictKind::GeneratorBound, why)
}

fn medium() -> Verdict {
    let why = "A forwarder that does nothing carries 1.01 Mpps on veth, 1.00 times this result: \
               measure on `ring` or `memory`.";
    Verdict::new(VerdictKind::MediumBound, why)
}

/// How disturbed the machine is.
#[derive(Clone, Copy, PartialEq)]
enum Noise {
    None,
    Some,
    Much,
}

/// A search that halves between its bounds, each load once: not the real one, but of its shape.
fn searched(
    scenario: Scenario,
    capacity: f64,
    generator: f64,
    noise: Noise,
    verdict: Verdict,
) -> Record {
    let size = scenario.frame_sizes[0];
    let lines = lines(&scenario.medium, size, None);
    let max = lines.nominal.map_or(1e6, |rate| rate.value);
    let made = |rate: f64, seed: u64| {
        let made = Made::at(rate).capacity(capacity).generator(generator);
        let disturbed = match noise {
            Noise::None => false,
            Noise::Some => seed % 13 == 5,
            Noise::Much => seed % 3 == 1,
        };
        let share = (seed % 7) as f64;
        if disturbed { made.disturbed(0.013 + 0.008 * share) } else { made }.trial(seed)
    };
    let mut trials = vec![made(max, 1)];
    trials[0].purpose = "warm_up".to_owned();
    let mut steps = Vec::new();
    let mut goals: Vec<GoalAnswer> = Vec::new();
    for (name, loss_ratio) in [("NDR", 0.0), ("PDR", 0.005)] {
        let (mut low, mut high) = (goals.first().map_or(9_001.0, |ndr| bound(ndr.lower)), max);
        let mut load = generator.min(capacity).min(max) * 1.3;
        while (high - low) / high > 0.005 {
            let trial = made(load, trials.len() as u64 + 3);
            let frames = trial.frames;
            let missing = (frames.intended - frames.received) as f64;
            let fine = missing / frames.intended as f64 <= loss_ratio;
            if fine {
                low = load
            } else {
                high = load
            }
            trials.push(trial);
            steps.push(BoundStep {
                trial: u32::try_from(trials.len() - 1).expect("few"),
                goal: name.to_owned(),
                lower: (low > 9_001.0).then(|| Quantity::rate(low)),
                upper: (high < max).then(|| Quantity::rate(high)),
            });
            load = if low > 9_001.0 { (low * high).sqrt() } else { high * 0.85 };
        }
        goals.push(goal(name, loss_ratio, low, high));
    }
    let ndr_to_pdr = goals[0].lower.zip(goals[1].lower).map(|(n, p)| n.value / p.value);
    let answer = Throughput {
        preset: "quick".to_owned(),
        goals,
        steps,
        lines,
        ndr_to_pdr: ndr_to_pdr.map(Quantity::ratio),
        at_max_load: Some(Quantity::rate(capacity.min(generator) * 0.97)),
        verdict,
    };
    record(scenario, trials, Outcome::Throughput(answer))
}

fn bound(load: Option<Quantity>) -> f64 {
    load.map_or(0.0, |load| load.value)
}

fn goal(name: &str, loss_ratio: f64, low: f64, high: f64) -> GoalAnswer {
    GoalAnswer {
        name: name.to_owned(),
        loss_ratio,
        exceed_ratio: 0.5,
        width: 0.01,
        lower: Some(Quantity::rate(low)),
        upper: Some(Quantity::rate(high)),
        conditional: Some(Quantity::rate(low * (1.0 - loss_ratio / 2.0))),
        stopped: "done".to_owned(),
    }
}

/// The policer of a circuit lets everything through that may be offered.
fn at_max_load(scenario: Scenario) -> Record {
    let lines = lines("veth", 1518, Some(1e9));
    let max = lines.circuit.map_or(1e5, |rate| rate.value);
    let trials: Vec<Trial> = (0..12).map(|seed| Made::at(max).trial(seed * 40 + 8)).collect();
    let why = "The largest load that was to be tried, the circuit's 1 Gbit/s, passed: raise \
               `--max-load` to see more.";
    let goals = [("NDR", 0.0), ("PDR", 0.005)].map(|(name, loss_ratio)| GoalAnswer {
        upper: None,
        stopped: "at_max_load".to_owned(),
        ..goal(name, loss_ratio, max, max)
    });
    let answer = Throughput {
        preset: "quick".to_owned(),
        goals: goals.to_vec(),
        steps: Vec::new(),
        lines,
        ndr_to_pdr: Some(Quantity::ratio(1.0)),
        at_max_load: Some(Quantity::rate(max)),
        verdict: Verdict::new(VerdictKind::AtMaxLoad, why),
    };
    record(scenario, trials, Outcome::Throughput(answer))
}

/// Frames went missing and no load passed.
fn unaccounted(scenario: Scenario) -> Record {
    let mut trials: Vec<Trial> =
        [9_001.0, 9_001.0].map(|rate| Made::at(rate).capacity(4_000.0).trial(3)).to_vec();
    let why = "17 frames that were offered are neither received nor in any drop counter: the \
               result is invalid. Report it with this record.";
    for trial in &mut trials {
        trial.unaccounted = Some(17);
        trial.verdict = Verdict::new(VerdictKind::Unaccounted, why);
    }
    let answer = Throughput {
        preset: "quick".to_owned(),
        goals: vec![GoalAnswer {
            lower: None,
            conditional: None,
            stopped: "fails_at_min_load".to_owned(),
            ..goal("NDR", 0.0, 0.0, 9_001.0)
        }],
        steps: Vec::new(),
        lines: LineRates { circuit: None, ..lines("veth", 64, None) },
        ndr_to_pdr: None,
        at_max_load: None,
        verdict: Verdict::new(VerdictKind::Unaccounted, why),
    };
    record(scenario, trials, Outcome::Throughput(answer))
}
