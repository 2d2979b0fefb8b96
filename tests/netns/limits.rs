//! Do the service's limits hold, and exactly, at a running thruway? A policed circuit admits its
//! bandwidth, a gateway its packets a second, and FastPath none of the gateway's limits.

use serde_json::Value;

use crate::questions::ask;

/// Share by which a limit may be missed.
const EXACT: f64 = 0.005;
/// How often to try again on a machine that others keep busy: a pause that is longer than a bucket
/// lasts lets less through, and never more.
const TRIES: usize = 5;

/// Asks what a limit admits, until the machine lets the forwarder have its time.
fn limit(words: &[&str]) -> Value {
    let mut last = Value::Null;
    for _ in 0..TRIES {
        let words = [&["limits", "--medium", "veth", "--seconds", "4"], words].concat();
        last = ask(&words)[0]["result"].take();
        let error = last["error"].as_f64().unwrap();
        assert!(error < EXACT, "more than the limit passed: {last:#}");
        if error > -EXACT {
            break;
        }
        println!("again: {} {}", last["admitted"], last["verdict"]);
    }
    last
}

fn is_exact(found: &Value, rate: f64) {
    let value = |which: &str| found[which]["value"].as_f64().unwrap();
    assert!((value("rate") / rate - 1.0).abs() < 1e-6, "{found:#}");
    let error = value("admitted") / rate - 1.0;
    if found["verdict"]["kind"] != "ok" && error < -EXACT {
        println!("not judged, the machine is busy: {}", found["verdict"]);
        return;
    }
    assert!(value("offered") > rate, "{found:#}");
    assert!(error.abs() <= EXACT, "{found:#}");
}

#[test]
fn a_policed_circuit_admits_its_bandwidth_within_half_a_percent() {
    // A bucket of half a second rides out the pauses of a busy machine; it is empty after one at
    // twice the limit.
    let words = ["--way", "fastpath", "--size", "512", "--bandwidth", "50 Mbps"];
    let load = ["--burst-ms", "500", "--rate", "25000"];
    let found = limit(&[&words[..], &load].concat());
    // Policers count IP packets: 512 bytes without check sequence and Ethernet header are 494.
    is_exact(&found, 50e6 / (8.0 * 494.0));
    assert!(found["drops"]["policed"].as_u64().unwrap() > 0, "{found:#}");
}

#[test]
fn a_gateway_admits_its_packets_and_fastpath_knows_no_such_limit() {
    let load = ["--rate", "120000"];
    let small = [&["--way", "gateway", "--gateway", "ErGw1AZ"], &load[..]].concat();
    let found = limit(&small);
    is_exact(&found, 100_000.0);
    assert!(found["drops"]["gateway_packets"].as_u64().unwrap() > 0, "{found:#}");
    // The smallest gateway that has FastPath; its limits lie beyond this load.
    let past = [&["--way", "fastpath", "--gateway", "ErGw3AZ"], &load[..]].concat();
    let words = [&["limits", "--medium", "veth", "--seconds", "1"], &past[..]].concat();
    let found = ask(&words)[0]["result"].take();
    assert_eq!(found["limit"], "circuit of 10 Gbps", "{found:#}");
    let drops = found["drops"].as_object().unwrap();
    assert!(!drops.keys().any(|reason| reason.starts_with("gateway")), "{found:#}");
    let value = |which: &str| found[which]["value"].as_f64().unwrap();
    let free = value("admitted") > 110_000.0;
    assert!(free || found["verdict"]["kind"] != "at_max_load", "{found:#}");
}

#[test]
fn latency_past_the_gateway_is_compared_with_latency_through_it() {
    let words = ["compare", "--medium", "veth", "--figure", "latency", "--rate", "2000"];
    let ways = ["--way", "gateway", "--against-way", "fastpath", "--limits", "enforced"];
    let records = ask(&[&words[..], &ways, &["--pairs", "2", "--seconds", "0.3"]].concat());
    let figures: Vec<&str> =
        records.iter().map(|record| record["result"]["figure"].as_str().unwrap()).collect();
    assert_eq!(figures, ["latency p50", "latency p90", "latency p99"]);
    for record in &records {
        let result = &record["result"];
        assert_eq!((&result["a"], &result["b"]), (&"way fastpath".into(), &"way gateway".into()));
        let pair = |at: usize| {
            let pair = &result["pairs"][at];
            pair[1].as_f64().unwrap() - pair[0].as_f64().unwrap()
        };
        let (low, high) = (pair(0).min(pair(1)), pair(0).max(pair(1)));
        let [median, interval] = [0, 1].map(|at| &result["difference"][at]);
        assert_eq!(median["value"], f64::midpoint(low, high), "{result:#}");
        assert_eq!((&interval[0], &interval[1]), (&low.into(), &high.into()), "{result:#}");
    }
}
