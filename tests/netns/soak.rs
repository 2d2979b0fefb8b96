//! Do memory and descriptors stay flat under traffic that does not end, and do the sums balance
//! all the while?
//!
//! ```text
//! SOAK_MINUTES=20 cargo test --release --test netns -- --ignored --nocapture soak
//! ```

use std::fs;
use std::time::Duration;

use thruway::control::api::Topic;
use thruway::io::clock;
use thruway::time::{Now, Span};

use crate::config::{Medium, Processes};
use crate::fixture::{FAST, GATEWAY, Net, SERVICE, Setup, with};
use crate::programs::{iperf3, ping_all, warm_up};

/// What one process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    rss_kib: u64,
    descriptors: usize,
}

fn held(net: &Net) -> Vec<Held> {
    let one = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let rss_kib = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let descriptors = fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
        Held { rss_kib, descriptors }
    };
    net.running.iter().map(|(process, _)| one(process.id())).collect()
}

/// One round of everything: short and long flows, many at once, in both directions.
///
/// Behind the NAT's sixteen addresses the one inside host has 16,128 TCP ports, and a connection
/// keeps its own for four minutes after its end: this is far from running dry.
fn round(net: &mut Net) {
    for address in [FAST, GATEWAY, SERVICE] {
        ping_all(net, address, &["-f", "-c", "300"]);
        for direction in [&[][..], &["-R"]] {
            iperf3(net, address, &[&["-n", "4M", "-P", "10"], direction].concat());
        }
        iperf3(net, address, &["-u", "-b", "20M", "-l", "1200", "-n", "2M"]);
    }
}

#[test]
#[ignore = "takes SOAK_MINUTES, 20 without"]
fn soak() {
    let minutes = std::env::var("SOAK_MINUTES").map_or(20, |text| text.parse().unwrap());
    let setup = Setup { medium: Medium::Tap, workers: 2, processes: Processes::Two };
    with(setup, &["ping", "iperf3"], |net| {
        [FAST, GATEWAY, SERVICE].iter().for_each(|address| warm_up(net, address));
        let start = clock::now();
        let whole = Span::secs(60 * minutes);
        // Tables fill until the first sessions have expired: from then on nothing may grow.
        let settled = start + Span(whole.0 / 3);
        let mut first: Option<Vec<Held>> = None;
        let mut told = Now(0);
        while clock::now() < start + whole {
            round(net);
            let (now, held) = (clock::now(), held(net));
            if now.since(told) > Span::secs(60) || now >= start + whole {
                told = now;
                println!("{:?} {held:?}", Duration::from(now.since(start)));
                for status in net.ask(Topic::Status) {
                    println!("  {}", status["accounts"]);
                }
            }
            if now < settled {
                continue;
            }
            let first = first.get_or_insert_with(|| held.clone());
            for (before, after) in first.iter().zip(&held) {
                assert_eq!(before.descriptors, after.descriptors, "descriptors leak");
                assert!(
                    after.rss_kib <= before.rss_kib + before.rss_kib / 20 + 4096,
                    "memory grows: {before:?}, then {after:?}",
                );
            }
        }
        assert!(first.is_some(), "SOAK_MINUTES was too short to see anything settle");
    });
}
