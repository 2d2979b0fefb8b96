//! The program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    thruway::cli::main()
}
