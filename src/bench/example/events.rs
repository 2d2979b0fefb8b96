//! What happens at a moment: a burst, an overload, a failure, sessions that open.

use super::noise::Noise;
use super::outcome::{
    Burst, Churn, ChurnRun, Failover, FailoverRun, LimitAnswer, Recovery, Sessions,
};
use super::trial::Gap;
use super::trials::{Made, count};
use super::{Outcome, Quantity, Record, Unit, Verdict};
use super::{record, scenario};

pub(super) fn all() -> Vec<Record> {
    vec![burst(), recovery(), failover(), sessions(), limits(), churn()]
}

fn burst() -> Record {
    let mut noise = Noise::new(3);
    let mut one = || 4_096 + count(260.0 * noise.normal().abs());
    let bursts: Vec<u64> = (0..50).map(|_| one()).collect();
    let mean = bursts.iter().sum::<u64>() as f64 / 50.0;
    let (rate, throughput) = (1_620_000.0, 998_000.0);
    let implied = mean / rate;
    let answer = Burst {
        burst_rate: Quantity::rate(rate),
        throughput: Quantity::rate(throughput),
        bursts,
        mean: Quantity { value: mean, unit: Unit::Frames },
        implied_buffer: Quantity::seconds(implied),
        corrected_buffer: Quantity::seconds(implied * (rate - throughput) / rate),
        limit_reached: true,
        verdict: Verdict::ok(),
    };
    record(scenario("fastpath", "veth", 64, "thruway"), Vec::new(), Outcome::Burst(answer))
}

fn recovery() -> Record {
    let overload = Made::at(1_500_000.0).capacity(1_000_000.0).purpose("overload").lasting(10.0);
    let relief = Made::at(500_000.0).capacity(1_000_000.0).purpose("relief").lasting(5.0);
    let answer = Recovery {
        overload: Quantity::rate(1_500_000.0),
        relief: Quantity::rate(500_000.0),
        to_last_loss: Quantity::seconds(0.0021),
        to_usual_latency: Some(Quantity::seconds(0.0087)),
        verdict: Verdict::ok(),
    };
    let trials = vec![overload.trial(8), relief.trial(48)];
    record(scenario("gateway", "veth", 64, "thruway"), trials, Outcome::Recovery(answer))
}

fn failover() -> Record {
    let mut noise = Noise::new(9);
    let mut runs = Vec::new();
    for number in 0..10 {
        let cut = number % 2 == 0;
        let direction = if number % 4 < 2 { "to_azure" } else { "to_onprem" };
        let outage = if cut { 0.0031 } else { 0.912 } * (1.0 + 0.03 * noise.normal());
        let buffered = number == 7;
        let by_gap = if buffered { outage * 1.06 } else { outage };
        let begin = 0.000_4 + 0.000_2 * noise.share();
        let gap = |begin: f64, length: f64| Gap {
            stream: 0,
            begin: Quantity::seconds(begin),
            length: Quantity::seconds(length),
            frames: count(length * 100_000.0),
        };
        let mut gaps = vec![gap(begin, by_gap)];
        if number == 3 {
            gaps.push(gap(1.31, 0.021));
        }
        runs.push(FailoverRun {
            event: if cut { "link cut" } else { "edge killed" }.to_owned(),
            direction: direction.to_owned(),
            by_loss: Quantity::seconds(if number == 3 { outage + 0.021 } else { outage }),
            by_time: Quantity::seconds(by_gap + 0.000_02),
            by_gap: Quantity::seconds(by_gap),
            agreement: match number {
                3 => "More was lost than the longest gap holds: a second gap followed at 1.31 s.",
                7 => "Less was lost than the gap holds: frames waited, for 55 ms at most.",
                _ => "A clean cut: the three methods agree within two frames.",
            }
            .to_owned(),
            by_flow: [0.0, 0.41, 0.98, 1.0].map(|share| Quantity::seconds(share * by_gap)),
            gaps,
            duplicates: 0,
            reordered: if number == 3 { 12 } else { 0 },
            sessions: Some((1_000, if cut { 1_000 } else { 998 })),
        });
    }
    let expected = [
        "BFD at 300 ms times 3 finds a dead link in 900 ms (RFC 5880).",
        "Without BFD, BGP's hold time of 180 s has to run out (RFC 4271).",
    ];
    let answer = Failover { runs, expected: expected.map(str::to_owned).to_vec() };
    record(scenario("nat", "veth", 64, "thruway"), Vec::new(), Outcome::Failover(answer))
}

fn sessions() -> Record {
    let per_second = |value: f64| Quantity { value, unit: Unit::SessionsPerSecond };
    let answer = Sessions {
        establishment: Some(per_second(412_000.0)),
        tear_down: Some(per_second(1_900_000.0)),
        capacity: vec![
            (64_512, 64_512),
            (258_048, 258_048),
            (1_032_192, 1_032_192),
            (4_128_768, 4_128_768),
            (16_515_072, 15_728_640),
        ],
        all_new: Some(Quantity::rate(388_000.0)),
        all_open: Some(Quantity::rate(871_000.0)),
        verdict: Verdict::ok(),
    };
    record(scenario("nat", "ring", 64, "thruway"), Vec::new(), Outcome::Sessions(answer))
}

fn limits() -> Record {
    let answer = LimitAnswer {
        limit: "packets a second of ErGw1AZ".to_owned(),
        rate: Quantity::rate(100_000.0),
        offered: Quantity::rate(120_000.0),
        admitted: Quantity::rate(99_998.0),
        error: -0.000_02,
        bucket: Quantity { value: 5_001.0, unit: Unit::Frames },
        drops: [("gateway_packets".to_owned(), 44_999)].into(),
        verdict: Verdict::ok(),
    };
    record(scenario("gateway", "veth", 64, "thruway"), Vec::new(), Outcome::Limits(answer))
}

fn churn() -> Record {
    let updates = |value: f64| Quantity { value, unit: Unit::UpdatesPerSecond };
    let run = |value| ChurnRun {
        updates: updates(value),
        lost: (0, 0),
        unsent: (0, 0),
        compared: 20_480,
        differing: 0,
    };
    let answer = Churn {
        load: Quantity::rate(3_800_000.0),
        throughput: Some(Quantity::rate(5_430_000.0)),
        updates: updates(412_000.0),
        runs: vec![run(398_000.0), run(412_000.0), run(425_000.0)],
        verdict: Verdict::ok(),
    };
    record(scenario("fastpath", "ring", 64, "thruway"), Vec::new(), Outcome::Churn(answer))
}
