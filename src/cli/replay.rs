//! `thruway replay`: captures through the pipeline, with time from the capture.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;

use super::{Source, output, show};
use crate::replay::{self, Input, Options};

/// Send captures through the pipeline.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to run
    #[command(flatten)]
    pub source: Source,
    /// A capture and the port by which its frames come in; may be given several times
    #[arg(long = "in", value_name = "PORT=FILE", required = true)]
    pub inputs: Vec<Input>,
    /// The folder for what leaves: PORT.pcapng for each port that sends
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Workers, 1 to 64; they change nothing about what leaves
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: usize,
    /// Most frames of a batch, 1 to 64; it changes nothing about what leaves
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl FromStr for Input {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((port, file)) if !port.is_empty() && !file.is_empty() => {
                Ok(Self { port: port.to_owned(), file: file.into() })
            }
            _ => Err("write it as PORT=FILE, as in ce-1=ce-1.pcapng"),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the file has mistakes, or a capture cannot be read or written.
pub fn main(args: &Args) -> Result<ExitCode> {
    let model = super::load(&args.source.file)?;
    let options = Options {
        role: args.source.role,
        workers: args.workers,
        batch: args.batch,
        ..Options::default()
    };
    let outcome = replay::files(&model, options, &args.inputs, &args.out).into_diagnostic()?;
    let verdicts = serde_json::to_value(&outcome.verdicts).into_diagnostic()?;
    if args.json {
        let skipped = outcome.skipped.iter().map(|(input, skipped)| {
            json!({
                "port": input.port,
                "file": input.file,
                "link": skipped.link,
                "packets": skipped.packets,
            })
        });
        let skipped: Vec<_> = skipped.collect();
        output::line(format_args!("{:#}", json!({ "verdicts": verdicts, "skipped": skipped })))?;
    } else {
        output::print(show::render(&verdicts))?;
        for (input, skipped) in &outcome.skipped {
            output::line(format_args!("{}: {skipped}", input.file.display()))?;
        }
    }
    if !outcome.verdicts.accounts.balanced {
        return Err(miette!(
            help = "please report it with the captures",
            "the accounts do not balance: a packet was lost without a name"
        ));
    }
    match outcome.broken.into_iter().next() {
        Some(error) => Err(error).into_diagnostic(),
        None => Ok(ExitCode::SUCCESS),
    }
}
