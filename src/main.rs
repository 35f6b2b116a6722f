//! Environment and arguments in, exit code out; no decision.

use std::process::ExitCode;

use roadstead::{cli, sys};

fn main() -> ExitCode {
    let variables = sys::environment::variables();
    ExitCode::from(cli::main(&sys::environment::arguments(), variables))
}
