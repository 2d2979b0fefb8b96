//! The command line: one file a command.

pub mod bench;
pub mod check;
pub mod client;
pub mod demo;
pub mod dissect;
pub mod fuzz_traffic;
mod output;
mod processor;
pub mod replay;
pub mod run;
pub mod show;
mod signals;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use miette::Result;
use tracing_subscriber::EnvFilter;

use crate::config;
use crate::lab;
use crate::model::{Model, Role};
use output::{CLOSED_CODE, Closed, complain};

/// An open ExpressRoute on one Linux host.
#[derive(Debug, Parser)]
#[command(name = "thruway", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a lab in network namespaces and prove what the circuit does
    Demo(demo::Args),
    /// Run a circuit from a configuration file
    Run(run::Args),
    /// Check a configuration file and say what it means
    Check(check::Args),
    /// Send captures through the pipeline, with time from the capture: same input, same output
    Replay(replay::Args),
    /// Show a capture as the parser of the data plane sees it, beside etherparse and your own
    Dissect(dissect::Args),
    /// Show the state of a running thruway
    Show(show::Args),
    /// Measure a forwarder: how fast, how sure, and what was the limit
    Bench(Box<bench::Args>),
    /// Send hostile frames out of an interface of your lab, to try the device behind it
    FuzzTraffic(Box<fuzz_traffic::Args>),
}

/// A configuration file and the part of it that this process takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Source {
    /// The configuration file
    pub file: PathBuf,
    /// Which sides of the circuits this process is: provider, microsoft or all
    #[arg(long, default_value = "all")]
    pub role: Role,
}

/// Reads a configuration file; advice goes to stderr.
///
/// # Errors
/// When it has mistakes: all of them, each at its line.
pub(crate) fn load(file: &Path) -> Result<Model> {
    let loaded = config::load(file)?;
    for advice in loaded.advice {
        complain(format_args!("{advice:?}"));
    }
    Ok(loaded.model)
}

/// Logs state changes to stderr; RUST_LOG chooses how much.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that cannot be written must not end what it is about.
    log.log_internal_errors(false).init();
}

/// Runs the command and reports its errors as sentences.
pub fn main() -> ExitCode {
    if let Some(complaint) = processor::complaint() {
        complain(complaint);
        return ExitCode::FAILURE;
    }
    // First of all: a lab's process that comes up after its lab has gone ends here.
    if let Err(error) = lab::die_with_parent() {
        complain(error);
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(args) => demo::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Replay(args) => replay::main(&args),
        Command::Dissect(args) => dissect::main(&args),
        Command::Show(args) => show::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::FuzzTraffic(args) => fuzz_traffic::main(&args),
    };
    match done {
        Ok(code) => code,
        Err(report) if report.downcast_ref::<Closed>().is_some() => ExitCode::from(CLOSED_CODE),
        Err(report) => {
            complain(format_args!("{report:?}"));
            ExitCode::FAILURE
        }
    }
}
