//! The figures and proofs that torTalk claims, each by one command.
//!
//! They run the real program in real processes against real files. Nothing
//! here is a test with a time limit: each prints what it saw beside its limit,
//! and fails when a promise is broken or a limit is missed.

mod child;
mod crashes;
mod discovery;
mod disk;
mod distance;
mod hosts;
mod kill;
mod latency;
mod namespace;
mod random;
mod relay;
mod syncs;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Subcommand};

use crate::{repo, sim};

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
    /// First contact by an invite alone, twenty and forty days away, a reinstall: one relay
    Distance,
    /// From one network to another, the two people never online together
    Carried(hosts::carried::Options),
    /// Bytes on the wire per delivered message, and copies while somebody is away
    Bytes(hosts::bytes::Options),
    /// Delivery, latency, copies and bytes of networks, a village and a relay, in
    /// virtual time
    Simulation(sim::TableOptions),
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
        Show::Simulation(options) => return sim::table(options),
        Show::Crashes(options) => crashes::run(options)?,
        Show::Distance => distance::run()?,
        Show::Carried(options) => hosts::carried::run(options)?,
        Show::Bytes(options) => hosts::bytes::run(options)?,
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
        // A broken program is never to be taken for a whole one.
        let (name, features): (_, &[&str]) = match sabotage {
            Some(_) => ("tortalk-sabotage", &["--features", "sabotage"]),
            None => ("tortalk", &[]),
        };
        let path = build("tortalk-cli", "tortalk", name, features)?;
        Ok(child::Program { path, sabotage })
    }
}

/// Builds a program in release form and keeps it under `name`.
fn build(package: &str, binary: &str, name: &str, features: &[&str]) -> Result<PathBuf, Problem> {
    let root = repo::root()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root);
    cargo.args(["build", "--release", "--locked", "--package", package]).args(features);
    let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if !status.success() {
        return Err("the program does not build".to_owned());
    }
    // The next build writes to the same place, perhaps another program.
    let built = root.join("target").join("release").join(binary);
    let kept = root.join("target").join("show");
    let path = kept.join(name);
    let copied = std::fs::create_dir_all(&kept).and_then(|()| std::fs::copy(&built, &path));
    copied.map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(path)
}

/// A path as an argument of this program run again.
fn argument(path: &Path) -> String {
    path.display().to_string()
}
