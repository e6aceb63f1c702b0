//! The figures and proofs that torTalk claims, each by one command.
//!
//! They run the real program in real processes against real files. Nothing
//! here is a test with a time limit: each prints what it saw beside its limit,
//! and fails when a promise is broken or a limit is missed.

mod child;
mod crashes;
mod discovery;
mod disk;
mod kill;
mod latency;
mod namespace;
mod syncs;
mod table;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Args, Subcommand};

use crate::repo;

/// A sentence for the person who ran the command.
type Problem = String;

#[derive(Subcommand)]
pub(crate) enum Show {
    /// Kill -9 at random moments: nothing lost, nothing doubled
    Kill(kill::Options),
    /// Enter to "delivered", against the disk's own speed
    Latency(latency::Options),
    /// Start to first authenticated link, by beacon or by mDNS alone
    Discovery(discovery::Options),
    /// A completed sync between every write and every promise, under strace
    Syncs(syncs::Options),
    /// The power goes off at every moment: every store opens, whole, with all that was promised
    Crashes(crashes::Options),
}

#[derive(Args, Clone)]
pub(crate) struct Build {
    /// Use this program instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Break the program on purpose; the command must then fail
    #[arg(long, value_name = "HOW")]
    sabotage: Option<String>,
}

pub(crate) fn run(show: &Show) -> Result<ExitCode, Problem> {
    let holds = match show {
        Show::Kill(options) => kill::run(options)?,
        Show::Latency(options) => latency::run(options)?,
        Show::Discovery(options) => discovery::run(options)?,
        Show::Syncs(options) => syncs::run(options)?,
        Show::Crashes(options) => crashes::run(options)?,
    };
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A folder that is gone at the end, on the disk that the repository is on:
/// `/tmp` may be memory, and memory is always durable enough.
fn scratch(name: &str) -> Result<tempfile::TempDir, Problem> {
    let target = repo::root()?.join("target");
    std::fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(&target)
        .map_err(|error| format!("{}: {error}", target.display()))
}

impl Build {
    /// Builds the program in release form, with hooks for sabotage if asked for.
    fn program(&self) -> Result<child::Program, Problem> {
        let sabotage = self.sabotage.clone();
        if let Some(path) = &self.binary {
            return Ok(child::Program { path: path.clone(), sabotage });
        }
        let root = repo::root()?;
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&root);
        cargo.args(["build", "--release", "--locked", "--package", "tortalk-cli"]);
        if sabotage.is_some() {
            cargo.args(["--features", "sabotage"]);
        }
        let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
        if !status.success() {
            return Err("the program does not build".to_owned());
        }
        // The next build writes to the same place, perhaps another program; and a
        // broken one is never to be taken for a whole one.
        let built = root.join("target").join("release").join("tortalk");
        let name = if sabotage.is_some() { "tortalk-sabotage" } else { "tortalk" };
        let path = root.join("target").join("show").join(name);
        let copied = std::fs::create_dir_all(root.join("target").join("show"))
            .and_then(|()| std::fs::copy(&built, &path));
        copied.map_err(|error| format!("{}: {error}", built.display()))?;
        Ok(child::Program { path, sabotage })
    }
}
