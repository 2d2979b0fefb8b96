//! How much TCP do programs get through a forwarder? Two hosts with the kernel's own TCP and iperf3,
//! offloads on as they come, and one of three forwarders between them.
//!
//! | forwarder | what it does |
//! |---|---|
//! | thruway | both sides of a Microsoft peering in one process: NAT, two tags pushed and popped |
//! | the kernel | a router between veth pairs, nft masquerade |
//! | null | a thread that moves frames from one port to the other as they are |
//!
//! iperf3 is the machine's; everything else is made for the run. The forwarder has a core of its
//! own, and polls; sender and receiver share the other, as generator and sink do elsewhere.

mod lab;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::error::BenchError;
use super::medium::Cores;
use super::record::Scenario;
use crate::lab::{LabError, Netns, Process};
use lab::Hosts;

/// What carries frames between hosts and forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Medium {
    /// TAP devices in the hosts' namespaces.
    Tap,
    /// veth pairs, with packet ports at the ends of thruway or the null forwarder.
    Veth,
}

/// What is between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Forwarder {
    /// This program.
    Thruway,
    /// The kernel, on veth whatever the medium.
    Kernel,
    /// A forwarder that does nothing else.
    Null,
}

impl Medium {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Medium::Tap => "tap",
            Medium::Veth => "veth",
        }
    }
}

impl Forwarder {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Forwarder::Thruway => "thruway",
            Forwarder::Kernel => "kernel",
            Forwarder::Null => "null",
        }
    }

    /// What it stands on when `medium` is wished for.
    pub const fn medium(self, medium: Medium) -> Medium {
        match self {
            Forwarder::Kernel => Medium::Veth,
            Forwarder::Thruway | Forwarder::Null => medium,
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// What is between the hosts.
    pub forwarder: Forwarder,
    /// On what.
    pub medium: Medium,
    /// How long data flows, in seconds; a second before that does not count.
    pub seconds: u32,
    /// The service's host sends, not on-premises.
    pub reverse: bool,
}

/// What one run gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Bits a second of payload that arrived.
    pub bits_per_second: f64,
    /// Segments that were sent again.
    pub retransmits: u64,
}

/// How long programs may take to start and to end.
const SOON: Duration = Duration::from_secs(10);

/// Makes hosts and forwarder, lets TCP flow and takes everything away.
///
/// # Errors
/// When iperf3 or nft is missing, or the forwarder cannot be had: what, and the way out.
pub fn run(how: &How) -> Result<Found, BenchError> {
    let cores = cores()?;
    // The programs that are started here keep to the tester's core.
    cores.pin_tester().map_err(|why| refused(how.forwarder, &why))?;
    let hosts = Hosts::new(how, &cores)?;
    hosts.wait_until_known(SOON)?;
    let server = iperf3(&hosts.service, &["-s", "-1", "--forceflush", "-B", lab::SERVICE])?;
    server.wait_line("iperf3 to listen", SOON, |line| line.contains("listening"))?;
    let seconds = how.seconds.to_string();
    let mut words = vec!["-J", "-c", lab::SERVICE, "-C", "cubic", "-O", "1", "-t", &seconds];
    words.extend(how.reverse.then_some("-R"));
    let client = iperf3(&hosts.onprem, &words)?;
    client.wait(Duration::from_secs(u64::from(how.seconds)) + SOON)?;
    hosts.check()?;
    found(&client.lines().join("\n")).map_err(|why| refused(how.forwarder, &why))
}

fn cores() -> Result<Cores, BenchError> {
    Cores::share(1).map_err(|why| BenchError::Asked(why.to_string()))
}

fn iperf3(netns: &Netns, words: &[&str]) -> Result<Process, BenchError> {
    let mut command = Command::new("iperf3");
    command.args(words);
    Process::spawn(netns, command).map_err(|error| match error {
        LabError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            BenchError::Asked(
                "the program iperf3 is not installed, and it is what sends and receives here: \
                 install it (Debian and Ubuntu: apt-get install iperf3)"
                    .to_owned(),
            )
        }
        other => other.into(),
    })
}

/// What iperf3's report says.
fn found(report: &str) -> Result<Found, String> {
    let report: Value =
        serde_json::from_str(report).map_err(|why| format!("iperf3 gave no report: {why}"))?;
    if let Some(why) = report["error"].as_str() {
        return Err(format!("iperf3 says: {why}"));
    }
    let end = &report["end"];
    let bits_per_second = end["sum_received"]["bits_per_second"].as_f64();
    Ok(Found {
        bits_per_second: bits_per_second.ok_or("iperf3's report has no rate")?,
        retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
    })
}

fn refused(forwarder: Forwarder, why: &dyn std::fmt::Display) -> BenchError {
    BenchError::Device { device: forwarder.word().to_owned(), why: why.to_string() }
}

/// What a record says of a run.
pub fn record(how: &How) -> Scenario {
    let medium = how.forwarder.medium(how.medium).word();
    Scenario {
        name: format!("tcp/nat/{medium}"),
        device: how.forwarder.word().to_owned(),
        way: "nat".to_owned(),
        medium: medium.to_owned(),
        hand_over: "QinQ".to_owned(),
        frame_sizes: vec![1518],
        genome: None,
        flows: 1,
        routes: 1,
        sessions: 1,
        workers: 1,
        direction: if how.reverse { "to_onprem" } else { "to_azure" }.to_owned(),
        limits: "off".to_owned(),
        layout: cores().map_or_else(|why| why.to_string(), |cores| cores.words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_iperf3_is_read() {
        let report = r#"{"end": {"sum_sent": {"retransmits": 7, "bits_per_second": 3e9},
            "sum_received": {"bits_per_second": 2.5e9}}}"#;
        assert_eq!(found(report), Ok(Found { bits_per_second: 2.5e9, retransmits: 7 }));
        let failed = found(r#"{"error": "unable to connect"}"#).unwrap_err();
        assert!(failed.contains("unable to connect"));
        assert!(found("iperf3: no such option").unwrap_err().contains("no report"));
    }
}
