//! The power goes off at every moment of a piece of work, and the stores are
//! opened again.
//!
//! Each store has a program that records itself working, makes of the record what
//! a disk may hold at every moment, and opens that: `tortalk_testkit::crash`. They
//! are examples of the crates whose stores they open, since this program builds on
//! none of ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::Problem;
use crate::repo;

#[derive(Args)]
pub(crate) struct Options {
    /// Whose store
    #[arg(long, value_enum, default_value = "both")]
    store: Which,
    /// Look at every N-th moment with every choice of what was lost, and at the
    /// others with three
    #[arg(long, value_name = "N", default_value_t = 4)]
    every: usize,
    /// Random choices at each of the former
    #[arg(long, value_name = "N", default_value_t = 8)]
    subsets: u64,
    /// What these depend on
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One moment and choice alone, as a failure names it: `812/without-3`
    #[arg(long, value_name = "CUT/CHOICE")]
    only: Option<String>,
    /// Lay what was left then into this new folder, to look at
    #[arg(long, value_name = "FOLDER", requires = "only")]
    keep: Option<String>,
    /// Break a promise on purpose; the command must then fail
    #[arg(long, value_enum, value_name = "HOW")]
    sabotage: Option<Sabotage>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Node,
    Relay,
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sabotage {
    /// Promise before the transaction
    EarlyPromise,
    /// No sync reaches the disk, as with `PRAGMA synchronous=OFF`
    NoSync,
}

/// Packages with the program that sweeps their store.
const SWEEPS: [(Which, &str, &str); 2] = [
    (Which::Node, "tortalk-store", "store_crashes"),
    (Which::Relay, "tortalk-relay", "relay_crashes"),
];

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let programs = build()?;
    let mut holds = None;
    for (store, _, example) in SWEEPS {
        if options.store != Which::Both && options.store != store {
            continue;
        }
        let start = Instant::now();
        let found = sweep(options, &programs.join(example))?;
        println!("{} s\n", start.elapsed().as_secs());
        // Of two broken stores both have to be found.
        holds = Some(match (holds, options.sabotage) {
            (Some(before), Some(_)) => before | found,
            (Some(before), None) => before & found,
            (None, _) => found,
        });
    }
    Ok(holds.unwrap_or(false))
}

/// Builds both programs at once, so that what they share is built once; the folder
/// in which they are.
fn build() -> Result<PathBuf, Problem> {
    let root = repo::root()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root).args(["build", "--release", "--locked"]);
    for (_, package, example) in SWEEPS {
        cargo.args(["--package", package, "--example", example]);
    }
    let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if !status.success() {
        return Err("the programs do not build".to_owned());
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(root.join(target).join("release").join("examples"))
}

/// Whether one store keeps its promises.
fn sweep(options: &Options, program: &Path) -> Result<bool, Problem> {
    let mut sweep = Command::new(program);
    let mut with = |name: &str, value: &str| {
        sweep.args([name, value]);
    };
    with("--every", &options.every.to_string());
    with("--subsets", &options.subsets.to_string());
    with("--seed", &options.seed.to_string());
    for (name, value) in [("--only", &options.only), ("--keep", &options.keep)] {
        if let Some(value) = value {
            with(name, value);
        }
    }
    match options.sabotage {
        Some(Sabotage::EarlyPromise) => with("--sabotage", "early-promise"),
        Some(Sabotage::NoSync) => with("--sabotage", "no-sync"),
        None => {}
    }
    let shown = program.display();
    let status = sweep.status().map_err(|error| format!("{shown}: {error}"))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(format!("{shown} could not find out: {status}")),
    }
}
