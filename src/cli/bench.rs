//! `thruway bench`: how fast is a forwarder, how sure is that, and what was the limit?

mod ask;
mod churned;
mod log;
mod scaled;
mod standard;
mod tcp;
mod versus;
mod wanted;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use miette::{IntoDiagnostic, Result};

use crate::bench::medium::Cores;
use crate::bench::progress::Planned;
use crate::bench::report;
use crate::bench::scenario::Way;
use crate::bench::search::Preset;
use crate::bench::selftest;
use crate::bench::trial::RealClock;
use crate::lab;
use crate::time::Span;
use log::Log;
use wanted::Wanted;

/// Measure a forwarder: this one, the kernel, or whatever is between two interfaces
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// One question; without it, the standard set of them
    #[command(subcommand)]
    question: Option<Question>,
    /// The standard set in two minutes
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    output: Output,
}

/// Where results go.
#[derive(Clone, Debug, clap::Args)]
struct Output {
    /// Add the results to this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a report with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the results as JSON lines instead of a table
    #[arg(long)]
    json: bool,
}

/// One question.
#[derive(Clone, Debug, Subcommand)]
enum Question {
    /// What can generator, sink and medium do with nothing between them?
    Calibrate(Asked),
    /// What does a packet cost? In memory, with generator and sink left out
    Cost(Asked),
    /// Which load does it carry? NDR and PDR by MLRsearch, or RFC 2544
    Throughput(Searched),
    /// How long does a frame take, at shares of the throughput?
    Latency(Searched),
    /// How much is lost at each load? RFC 2544 26.3
    Loss(Asked),
    /// Does a limit of the service admit what it should? Policer and gateway, with limits enforced
    Limits(Limited),
    /// How many route changes a second does the table take while it forwards?
    Churn(Churned),
    /// How long a burst passes without loss? RFC 2544 26.4 and RFC 9004
    Burst(Searched),
    /// How long does it suffer from an overload? RFC 2544 26.5
    Recovery(Searched),
    /// How long does traffic stop when a link is cut? RFC 6201, three methods
    Failover(Repeated),
    /// How fast are NAT sessions opened, and how many can there be? RFC 9693
    Sessions(Asked),
    /// How does a figure move along an axis?
    Scale(Scaled),
    /// Which of two is faster, and is that certain?
    Compare(Compared),
    /// How much TCP do programs get through, with offloads? iperf3 through NAT, against a peer
    Tcp(tcp::Talked),
    /// Write one HTML file from results
    Report(Reported),
    /// Does the tester tell the truth on this machine? Faults that it must find
    Selftest,
}

/// What most questions take.
#[derive(Clone, Debug, clap::Args)]
struct Asked {
    #[command(flatten)]
    wanted: Wanted,
    /// Seconds of each trial
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    #[command(flatten)]
    output: Output,
}

/// Questions that search.
#[derive(Clone, Debug, clap::Args)]
struct Searched {
    #[command(flatten)]
    asked: Asked,
    /// Goals of the search: csit, quick, smoke, rfc2544 or tst009
    #[arg(long, default_value = "csit")]
    preset: Preset,
    /// Halve as RFC 2544 does instead of MLRsearch
    #[arg(long)]
    bisect: bool,
    /// A rate in frames a second that stands for the throughput, where it is known
    #[arg(long)]
    throughput: Option<f64>,
    /// Repeats, of bursts
    #[arg(long, default_value_t = 50)]
    repeats: usize,
    /// Seconds after which a search ends with the bounds that it has
    #[arg(long, default_value_t = 1200, value_parser = clap::value_parser!(u64).range(1..))]
    at_most: u64,
}

/// A limit under a load above it.
#[derive(Clone, Debug, clap::Args)]
struct Limited {
    #[command(flatten)]
    asked: Asked,
    /// Frames a second; a fifth above the limit without it
    #[arg(long)]
    rate: Option<f64>,
}

/// Routes that change under load.
#[derive(Clone, Debug, clap::Args)]
struct Churned {
    #[command(flatten)]
    asked: Asked,
    /// Frames a second; without it 70 % of the throughput, which is searched for
    #[arg(long)]
    load: Option<f64>,
    /// Goals of that search
    #[arg(long, default_value = "smoke")]
    preset: Preset,
    /// Seconds after which the search ends with the bounds that it has
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    at_most: u64,
    /// Pairs of a trial with changes and one without
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
}

/// Questions that repeat an event.
#[derive(Clone, Debug, clap::Args)]
struct Repeated {
    #[command(flatten)]
    asked: Asked,
    /// Frames a second
    #[arg(long, default_value_t = 10_000.0)]
    rate: f64,
    /// How often
    #[arg(long, default_value_t = 10)]
    repeats: usize,
}

/// A figure along an axis.
#[derive(Clone, Debug, clap::Args)]
struct Scaled {
    #[command(flatten)]
    searched: Searched,
    /// routes, flows, sessions (of NAT), sizes or workers
    #[arg(long, default_value = "routes")]
    axis: scaled::Axis,
    /// Places on it, with commas; the usual ones without
    #[arg(long, value_delimiter = ',')]
    at: Vec<u64>,
}

/// Two of them.
#[derive(Clone, Debug, clap::Args)]
struct Compared {
    #[command(flatten)]
    asked: Asked,
    /// The other: kernel, thruway, thruway-xdp, testpmd, testpmd-xdp, null, itself, or the path of another build
    #[arg(long, default_value = "kernel")]
    peer: String,
    /// Compare two ways through the same forwarder instead: --way with this one
    #[arg(long, value_name = "WAY", conflicts_with = "peer")]
    against_way: Option<Way>,
    /// What is compared: rate (at the largest load), or latency (p50, p90, p99 at --rate)
    #[arg(long, value_enum, default_value = "rate")]
    figure: Figure,
    /// Frames a second, of latency
    #[arg(long, default_value_t = 20_000.0)]
    rate: f64,
    /// Pairs before the first judgement
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// Pairs after which it is left at inconclusive
    #[arg(long, default_value_t = 60)]
    most_pairs: usize,
    /// Differences up to this share do not matter
    #[arg(long, default_value_t = 0.02)]
    margin: f64,
    /// Share of its ticks that a busy loop adds to the peer, in memory: is it found?
    #[arg(long, default_value_t = 0.0)]
    handicap: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Figure {
    /// Frames a second at the largest load; in memory ticks a packet.
    Rate,
    /// Latency from due time.
    Latency,
}

/// Results to report.
#[derive(Clone, Debug, clap::Args)]
struct Reported {
    /// Files of results
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where to write
    #[arg(short, long, default_value = "report.html")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When something cannot be measured here: what, and the way out.
pub fn main(args: &Args) -> Result<ExitCode> {
    match &args.question {
        Some(Question::Report(reported)) => {
            let len = report::files(&reported.files, &reported.output).into_diagnostic()?;
            println!("{}: {len} results", reported.output.display());
            Ok(ExitCode::SUCCESS)
        }
        Some(Question::Selftest) => {
            lab::prepare().into_diagnostic()?;
            selftest()
        }
        Some(question) => {
            lab::prepare().into_diagnostic()?;
            let mut log = Log::open(question.output(), question.plan())?;
            ask::one(question, &mut log)?;
            log.close()
        }
        None => {
            lab::prepare().into_diagnostic()?;
            let mut log = Log::open(&args.output, standard::plan(args.quick))?;
            standard::run(args.quick, &mut log)?;
            log.close()
        }
    }
}

/// Puts the tester's claims about itself to the test; exit code 1 when one does not hold.
fn selftest() -> Result<ExitCode> {
    let cores = Cores::share(1).into_diagnostic()?;
    cores.pin_tester().into_diagnostic()?;
    let clock = RealClock::calibrate();
    let mut claims = selftest::faults::all(&clock, SELFTEST_RATE).into_diagnostic()?;
    claims.extend(selftest::verdicts::all(clock, SELFTEST_RATE, cores.tester).into_diagnostic()?);
    for claim in &claims {
        let word = if claim.passed { "ok  " } else { "FAIL" };
        println!("{word} {}: {}", claim.claim, claim.measured);
    }
    let held = claims.iter().filter(|claim| claim.passed).count();
    println!("{held} of {} claims hold", claims.len());
    Ok(if held == claims.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Frames a second that every machine's tester can send over a wire in memory.
const SELFTEST_RATE: f64 = 1e6;

impl Question {
    fn asked(&self) -> Option<&Asked> {
        match self {
            Question::Calibrate(asked)
            | Question::Cost(asked)
            | Question::Loss(asked)
            | Question::Sessions(asked) => Some(asked),
            Question::Throughput(own)
            | Question::Latency(own)
            | Question::Burst(own)
            | Question::Recovery(own) => Some(&own.asked),
            Question::Limits(own) => Some(&own.asked),
            Question::Churn(own) => Some(&own.asked),
            Question::Failover(own) => Some(&own.asked),
            Question::Scale(own) => Some(&own.searched.asked),
            Question::Compare(own) => Some(&own.asked),
            Question::Tcp(_) | Question::Report(_) | Question::Selftest => None,
        }
    }

    /// One question, and how long it may take.
    fn plan(&self) -> Vec<Planned> {
        if let Question::Tcp(own) = self {
            return own.plan();
        }
        let Some(asked) = self.asked() else { return Vec::new() };
        let wanted = &asked.wanted;
        let name = match (&wanted.cable.tx, &wanted.cable.rx) {
            (Some(tx), Some(rx)) => format!("{} between {tx} and {rx}", wanted.cable.name),
            _ => format!("{} on {}", wanted.way, wanted.medium),
        };
        vec![Planned { name, expected: Span::secs(60) }]
    }

    fn output(&self) -> &Output {
        const NONE: &Output = &Output { out: None, html: None, json: false };
        match self {
            Question::Tcp(own) => &own.output,
            _ => self.asked().map_or(NONE, |asked| &asked.output),
        }
    }
}
