//! What do records of every kind look like? Made up for tests, numbers of the size that a small
//! virtual machine has; no machine measured any of them, and each says so.

mod curves;
mod events;
mod noise;
mod search;
mod trials;

use std::collections::BTreeMap;

use super::record::{
    Calibration, Environment, Hiccup, Outcome, Quantity, Record, SCHEMA, Trial, Unit, Verdict,
    VerdictKind, outcome, trial,
};
use super::record::{LineRates, Scenario};

/// The sentence that every made-up record carries.
pub(crate) const MADE_UP: &str = "Made up for tests: no machine measured this.";

/// One record of every kind of outcome, and of every verdict.
pub(crate) fn records() -> Vec<Record> {
    let mut records = vec![calibration()];
    records.extend(curves::cost());
    records.extend(search::throughput());
    records.extend(curves::latency());
    records.extend(curves::loss());
    records.extend(events::all());
    records.extend(curves::scale());
    records.extend(curves::compare());
    records
}

/// Names and sentences that mean something to HTML, to a shell and to a terminal.
pub(crate) fn hostile() -> Record {
    let mut record = search::throughput().remove(0);
    let name = "</title><script>alert(1)</script>\"' onload=x & <b>\u{1b}[31m";
    record.scenario.name = name.to_owned();
    record.scenario.device = "<img src=x onerror=alert(2)>".to_owned();
    record.scenario.layout = "</svg><style>*{display:none}</style>".to_owned();
    record.environment.cpu = "<!-- & -->".to_owned();
    record.environment.more.insert("<i>key</i>".to_owned(), "]]><![CDATA[".to_owned());
    record.notes.push("<iframe src=//example.com></iframe>".to_owned());
    record.command.push("'; rm -rf \"$HOME\" <x>".to_owned());
    if let Outcome::Throughput(answer) = &mut record.result {
        answer.goals[0].name = "<g>NDR</g>".to_owned();
        answer.verdict = Verdict::new(VerdictKind::Contaminated, "a < b && c > d \"e\"");
    }
    record
}

/// A record with these parts and everything else as the others have it.
fn record(scenario: Scenario, trials: Vec<Trial>, result: Outcome) -> Record {
    let calibration = (scenario.medium != "memory").then(|| Calibration {
        sent: Quantity::rate(medium_rate(&scenario.medium)),
        received: Quantity::rate(medium_rate(&scenario.medium) * 0.98),
        null_forwarder: Some(Quantity::rate(medium_rate(&scenario.medium) * 0.62)),
        verdict: Verdict::ok(),
    });
    Record {
        schema: SCHEMA.to_owned(),
        run_id: "made-up-for-tests".to_owned(),
        started: "2000-01-01T00:00:00Z".to_owned(),
        version: "0.0.0".to_owned(),
        command: ["thruway", "bench", "--quick", "--seed", "7"].map(str::to_owned).to_vec(),
        seed: 7,
        environment: environment(),
        hiccup: Some(Hiccup {
            duration: Quantity::seconds(2.0),
            p50: Quantity::nanos(21.0),
            p999: Quantity::nanos(23_400.0),
            max: Quantity::nanos(272_000.0),
            long_gaps_per_second: 41.5,
        }),
        calibration,
        scenario,
        trials,
        result,
        notes: vec![
            MADE_UP.to_owned(),
            "Service limits are off, so that the table can be larger than the service allows."
                .to_owned(),
        ],
    }
}

/// What the medium carries without a forwarder, in frames a second.
fn medium_rate(medium: &str) -> f64 {
    match medium {
        "ring" => 9_400_000.0,
        "veth" => 1_620_000.0,
        _ => 410_000.0,
    }
}

fn environment() -> Environment {
    let more = [
        ("build", "release, lto thin, rustc 1.95.0"),
        ("mitigations", "spectre_v2: retpolines; mds: vulnerable"),
        ("peer kernel", "6.0.0-example"),
    ];
    Environment {
        cpu: "Example CPU 0000 @ 2.60GHz (made up)".to_owned(),
        cores: 2,
        tsc_hz: 2_600_000_000,
        kernel: "6.0.0-example".to_owned(),
        virtualization: Some("kvm".to_owned()),
        governor: None,
        clock_source: Some("tsc".to_owned()),
        huge_pages: Some("madvise".to_owned()),
        memory: 8 << 30,
        more: BTreeMap::from(more.map(|(key, value)| (key.to_owned(), value.to_owned()))),
    }
}

fn scenario(way: &str, medium: &str, size: u32, device: &str) -> Scenario {
    let nat = if way == "nat" { 65_536 } else { 0 };
    Scenario {
        name: format!("{way}/{medium}/{size}/1"),
        device: device.to_owned(),
        way: way.to_owned(),
        medium: medium.to_owned(),
        hand_over: "QinQ".to_owned(),
        frame_sizes: vec![size],
        genome: None,
        flows: 10_000,
        routes: 10_000,
        sessions: nat,
        workers: 1,
        direction: "to_azure".to_owned(),
        limits: "off".to_owned(),
        layout: "tester on core 0, worker 0 on core 1".to_owned(),
    }
}

/// The line rates of a medium for a frame size: 10 Gbit/s, and a circuit of that or what is given.
fn lines(medium: &str, size: u32, circuit: Option<f64>) -> LineRates {
    let nominal = |bits: f64| bits / (8.0 * f64::from(size + 20));
    LineRates {
        nominal: Some(Quantity::rate(nominal(10e9))),
        circuit: circuit.map(|bits| Quantity::rate(nominal(bits))),
        medium: (medium != "memory").then(|| Quantity::rate(medium_rate(medium))),
    }
}

fn calibration() -> Record {
    let lines = lines("veth", 64, Some(1e9));
    let mut scenario = scenario("forward", "veth", 64, "null");
    scenario.name = "calibration/veth/64".to_owned();
    let trials = vec![trials::Made::at(1_650_000.0).capacity(1_620_000.0).trial(1)];
    record(scenario, trials, Outcome::Calibration(outcome::Calibrated { lines }))
}
