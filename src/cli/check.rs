//! `thruway check`: is the file right, and what does it mean?

use std::process::ExitCode;

use miette::{IntoDiagnostic, Result};

use super::{Source, output};
use crate::compile;

/// Check a configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to check
    #[command(flatten)]
    pub source: Source,
}

/// Runs the command.
///
/// # Errors
/// When the file has mistakes, or nobody reads the answer.
pub fn main(args: &Args) -> Result<ExitCode> {
    let model = super::load(&args.source.file)?.for_role(args.source.role).into_diagnostic()?;
    let compiled = compile::compile(&model, 1).into_diagnostic()?;
    for advice in &compiled.advice {
        output::line(format_args!("note: {advice}"))?;
    }
    let routes: usize = compiled.vrfs.iter().map(|vrf| vrf.routes.len()).sum();
    output::line(format_args!(
        "{} is right: {} circuits, {} VNets, {} ports, {} routing domains with {routes} routes",
        args.source.file.display(),
        model.circuits.len(),
        model.vnets.len(),
        model.ports.len(),
        compiled.vrfs.len(),
    ))?;
    Ok(ExitCode::SUCCESS)
}
