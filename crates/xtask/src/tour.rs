//! `docs/protocol-tour.md`, made by a program that uses the crates: this one
//! depends on none of ours.

use std::process::{Command, ExitCode};

use crate::repo;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only compare what stands there with what the code makes
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    let mut command = Command::new("cargo");
    command.current_dir(repo::root()?).args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "tortalk-sim",
        "--example",
        "tour",
    ]);
    if options.check {
        command.args(["--", "--check"]);
    }
    let status = command.status().map_err(|error| format!("cargo does not start: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}
