//! What is measured along an axis: cost, latency, loss, scale, pairs.

use super::noise::Noise;
use super::outcome::{
    Abreast, Compare, Cost, CostSpread, LatencyAnswer, LatencyPoint, LossCurve, LossPoint, Scale,
    ScalePoint,
};
use super::trials::{self, Made};
use super::{Outcome, Quantity, Record, Scenario, Trial, Verdict, VerdictKind};
use super::{lines, medium_rate, record, scenario};

pub(super) fn cost() -> Vec<Record> {
    let cold = scenario("fastpath", "memory", 64, "thruway");
    let nat = scenario("nat", "memory", 64, "thruway");
    vec![costs(cold, 46.2, Some(66.4)), costs(nat, 78.9, None), abreast()]
}

fn abreast() -> Record {
    let scenario = scenario("gateway", "memory", 64, "thruway");
    let mut record = costs(Scenario { workers: 2, ..scenario }, 52.0, None);
    if let Outcome::Cost(answer) = &mut record.result {
        let ratios = vec![1.91, 1.93, 1.94, 1.92, 1.93];
        let rate = Quantity::rate(96_500_000.0);
        answer.abreast = Some(Abreast { workers: 2, rate, ratio: 1.93, ratios });
    }
    record
}

fn costs(scenario: Scenario, hot: f64, cold: Option<f64>) -> Record {
    let spread = |ticks: f64| {
        let mut noise = Noise::new(11);
        let mut run = || ticks * (1.0 + 0.012 * noise.normal().abs());
        let runs: Vec<f64> = (0..15).map(|_| (run() * 100.0).round() / 100.0).collect();
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let rate = Quantity::rate(2.6e9 / sorted[7]);
        CostSpread { ticks: Quantity::ticks(sorted[7]), runs, rate }
    };
    let cold = cold.map(spread);
    let answer = Cost { hot: spread(hot), cold, abreast: None, verdict: Verdict::ok() };
    record(scenario, Vec::new(), Outcome::Cost(answer))
}

pub(super) fn latency() -> Vec<Record> {
    let scenario = scenario("fastpath", "veth", 64, "thruway");
    let throughput = 998_000.0;
    let mut points = Vec::new();
    let mut all = Vec::new();
    for (index, share) in [0.1, 0.5, 0.9, 1.0_f64].into_iter().enumerate() {
        let rate = throughput * share;
        let mut noise = Noise::new(index as u64 + 1);
        let median = 1_400.0 * (1.0 + 3.0 * share.powi(6));
        let purpose = format!("latency {:.0} %", share * 100.0);
        let mut trial = Made::at(rate).purpose(&purpose).lasting(5.0).with_latency().trial(2);
        let samples = trial.frames.received;
        let intended = trials::latency(samples, median, 0.7 + 0.7 * share, &mut noise);
        let actual = trials::latency(samples, median * 0.97, 0.5 + 0.3 * share, &mut noise);
        let verdict = if share < 1.0 { Verdict::ok() } else { late() };
        trial.verdict = verdict.clone();
        all.push(trial);
        points.push(LatencyPoint { share, rate: Quantity::rate(rate), intended, actual, verdict });
    }
    vec![record(scenario, all, Outcome::Latency(LatencyAnswer { points }))]
}

fn late() -> Verdict {
    let why = "At 100 % the generator was late: the 99.9th percentile of its lateness is 31 us, \
               more than 10 us.";
    Verdict::new(VerdictKind::GeneratorBound, why)
}

pub(super) fn loss() -> Vec<Record> {
    let scenario = scenario("fastpath", "veth", 512, "thruway");
    let lines = lines("veth", 512, Some(5e9));
    let (max, capacity) = (1_620_000.0, 962_000.0);
    let mut points = Vec::new();
    let mut all: Vec<Trial> = Vec::new();
    for tenths in (5..=10_u32).rev() {
        let share = f64::from(tenths) / 10.0;
        let mut made = Made::at(max * share).capacity(capacity).purpose("loss");
        if tenths == 8 {
            made = made.disturbed(0.031);
        }
        let trial = made.trial(u64::from(tenths) * 40 + 8);
        let frames = trial.frames;
        points.push(LossPoint {
            share,
            rate: trial.intended_rate,
            forwarded: Quantity::rate(frames.received as f64),
            loss_ratio: (frames.intended - frames.received) as f64 / frames.intended as f64,
            verdict: trial.verdict.clone(),
        });
        all.push(trial);
    }
    vec![record(scenario, all, Outcome::Loss(LossCurve { points, lines }))]
}

pub(super) fn scale() -> Vec<Record> {
    let memory = scenario("fastpath", "memory", 64, "thruway");
    let veth = scenario("fastpath", "veth", 64, "thruway");
    let mut workers = scenario("nat", "ring", 64, "thruway");
    workers.name = "nat/ring/64/1-4".to_owned();
    let ticks = [(1.0, "1", 41.0), (1e4, "10 k", 46.0), (1e5, "100 k", 51.0), (1e6, "1 M", 58.0)];
    let by_routes = ticks.map(|(at, label, ticks)| ScalePoint {
        at,
        label: label.to_owned(),
        value: Quantity::ticks(ticks),
        range: (ticks * 0.985, ticks * 1.04),
        lines: None,
        verdict: Verdict::ok(),
    });
    let by_size = [64, 128, 256, 512, 1024, 1280, 1518].map(|size| {
        let value = 1_004_000.0 - 140.0 * f64::from(size);
        let bound = size == 1280;
        ScalePoint {
            at: f64::from(size),
            label: size.to_string(),
            value: Quantity::rate(value),
            range: (value * 0.995, value * 1.004),
            lines: Some(lines("veth", size, Some(10e9 / 2.0))),
            verdict: if bound { disturbed() } else { Verdict::ok() },
        }
    });
    let by_worker = [(1.0, 3.1e6), (2.0, 5.9e6), (3.0, 8.2e6), (4.0, 9.1e6)].map(|(at, value)| {
        let bound = value > 0.9 * medium_rate("ring");
        ScalePoint {
            at,
            label: format!("{at}"),
            value: Quantity::rate(value),
            range: (value * 0.99, value * 1.01),
            lines: Some(lines("ring", 64, None)),
            verdict: if bound { generator() } else { Verdict::ok() },
        }
    });
    let of = |axis: &str, figure: &str, points: &[ScalePoint]| {
        let (axis, figure) = (axis.to_owned(), figure.to_owned());
        Outcome::Scale(Scale { axis, figure, points: points.to_vec() })
    };
    vec![
        record(memory, Vec::new(), of("routes", "cost", &by_routes)),
        record(veth, Vec::new(), of("frame size", "throughput", &by_size)),
        record(workers, Vec::new(), of("workers", "throughput", &by_worker)),
    ]
}

fn disturbed() -> Verdict {
    let why = "At 1280 bytes other work took 1.9 % of the machine's time (limit 0.5 %).";
    Verdict::new(VerdictKind::Contaminated, why)
}

fn generator() -> Verdict {
    let why = "With 4 workers the result is 97 % of what the generator can send: give it a core \
               of its own.";
    Verdict::new(VerdictKind::GeneratorBound, why)
}

pub(super) fn compare() -> Vec<Record> {
    let other = scenario("fastpath", "veth", 64, "thruway");
    let mut same = scenario("gateway", "veth", 64, "thruway");
    same.name = "gateway/veth/64/1 twice".to_owned();
    vec![
        record(other, Vec::new(), pairs("kernel", "thruway", 742_000.0, 1.352, "improvement")),
        record(same, Vec::new(), pairs("thruway (first)", "thruway", 655_000.0, 1.001, "equal")),
    ]
}

/// Twenty pairs that drift together.
fn pairs(a: &str, b: &str, figure: f64, ratio: f64, decision: &str) -> Outcome {
    let mut noise = Noise::new(5);
    let mut drift = 0.0;
    let pairs: Vec<(f64, f64)> = (0..20)
        .map(|_| {
            drift = 0.9 * drift + 0.01 * noise.normal();
            let mut one =
                |ratio: f64| (figure * ratio * (1.0 + drift + 0.008 * noise.normal())).round();
            (one(1.0), one(ratio))
        })
        .collect();
    Outcome::Compare(Compare {
        difference: None,
        a: a.to_owned(),
        b: b.to_owned(),
        figure: "frames/s at max load".to_owned(),
        pairs,
        ratio,
        interval: (ratio * 0.994, ratio * 1.007),
        p_value: if decision == "equal" { 0.41 } else { 0.000_002 },
        margin: 0.02,
        decision: decision.to_owned(),
        verdict: Verdict::ok(),
    })
}
