//! The simulator, built in release form and run. It is a program of its own:
//! this one depends on no crate of ours.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::repo;

#[derive(Args)]
pub(crate) struct Options {
    /// What the simulator is given, for example `--seeds 300` or `--seed 7 --trace`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

#[derive(Args)]
pub(crate) struct TableOptions {
    /// What everything random in it depends on
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints the figures of the measured scenarios.
pub(crate) fn table(options: &TableOptions) -> Result<ExitCode, String> {
    simulate(&["--table", "--seed", &options.seed.to_string()])
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    simulate(&arguments)
}

/// Runs the simulator with these arguments; its exit code is ours.
pub(crate) fn simulate(arguments: &[&str]) -> Result<ExitCode, String> {
    let status = Command::new("cargo")
        .current_dir(repo::root()?)
        .args(["run", "--quiet", "--release", "--locked", "--package", "tortalk-sim", "--"])
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}
