//! `thruway run`: a circuit from a configuration file, until SIGINT or SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result};

use super::{Source, output};
use crate::control::supervisor::{self, Options};

/// Run a circuit from a configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to run
    #[command(flatten)]
    pub source: Source,
    /// Worker threads, 1 to 64; without it what the file says, or one for each core but one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: Option<u8>,
    /// Keep workers polling when they are idle
    #[arg(long)]
    pub poll: bool,
    /// Where the API listens
    #[arg(long, value_name = "PATH")]
    pub api: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the file has mistakes or thruway cannot start.
pub fn main(args: &Args) -> Result<ExitCode> {
    super::log_to_stderr();
    let model = super::load(&args.source.file)?;
    let options = Options {
        role: args.source.role,
        workers: args.workers,
        poll: args.poll,
        api: args.api.clone(),
    };
    // Packets flow whether or not anybody reads it.
    let ready = |running: &supervisor::Running| drop(output::line(running.ready_line()));
    supervisor::run(&model, &options, ready).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}
