//! What does a packet cost in memory? Run it when the machine is quiet:
//! `cargo test --release --test measure -- --ignored --nocapture`.
#![allow(unreachable_pub, reason = "modules of a test binary")]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/traffic.rs"]
mod traffic;

use bench::{Bench, without_limits};
use thruway::io::clock;
use thruway::io::sys::tsc::ticks;
use traffic::{SMALL, mix};

/// Turns of 64 frames in one measurement, and measurements.
const TURNS: usize = 2_000;
const RUNS: usize = 15;

#[test]
#[ignore = "a measurement: it wants a quiet machine and a release build"]
fn packets_a_second_by_way() {
    let mut bench = Bench::new(&without_limits());
    let traffic = mix(&mut bench, SMALL);
    println!("64-byte frames, batches of 64, hot; median [least..most] of {RUNS} runs");
    for own in &traffic {
        let mut results: Vec<(u64, u64)> = Vec::new();
        for _ in 0..RUNS {
            let (mut spent_ticks, mut spent_ns, mut left) = (0, 0, 0);
            for _ in 0..TURNS {
                own.frames.iter().for_each(|frame| bench.push(own.port, frame));
                let (start, at) = (ticks(), clock::now());
                bench.turn();
                spent_ns += clock::now().since(at).0;
                spent_ticks += ticks() - start;
                left += bench.drain(|_, _| {});
            }
            assert_eq!(left, TURNS * own.frames.len(), "{}: not everything left", own.name);
            let packets = u64::try_from(left).expect("small");
            results.push((spent_ticks / packets, packets * 1_000_000 / spent_ns.max(1)));
        }
        results.sort_unstable();
        let (median, rate) = results[RUNS / 2];
        let (least, most) = (results[0].0, results[RUNS - 1].0);
        println!("{:<24} {median:>5} ticks [{least}..{most}]  {rate:>6} kpps", own.name);
    }
}
