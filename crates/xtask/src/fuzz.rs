//! `cargo xtask fuzz`: runs the fuzz targets for a while, adds what they did to
//! docs/fuzzing.md, and keeps the smallest inputs that reach as much.
//!
//! It installs nothing: what is missing is said with the command that brings it.

mod session;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;

use crate::repo;
use crate::report::Outcome;
use session::{Programs, Session};
use table::Table;

/// The version of cargo-fuzz that is known to do.
const CARGO_FUZZ: &str = "0.13.1";
/// Where the figures stand.
const FIGURES: &str = "docs/fuzzing.md";

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES")]
    minutes: f64,
    /// Only this target; may be given several times
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// How many targets run at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    at_a_time: u8,
    /// Write the first inputs from spec/vectors into fuzz/corpus, and run nothing
    #[arg(long)]
    seeds: bool,
    /// Run the programs as they were built before
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let root = repo::root()?;
    if options.seeds {
        return write_seeds(&root);
    }
    let duration = Duration::try_from_secs_f64(options.minutes * 60.0)
        .map_err(|_| format!("{} minutes cannot be run", options.minutes))?;
    let known = targets(&root)?;
    let chosen = if options.targets.is_empty() { known.clone() } else { options.targets.clone() };
    if let Some(unknown) = chosen.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no target {unknown}: there are {}", known.join(", ")));
    }
    if !options.no_build {
        look_for_tools()?;
        build(&root, &chosen)?;
    }
    let programs = Programs::find(&root)?;
    let figures = Mutex::new(());
    let waiting = Mutex::new(chosen.into_iter());
    let next = || waiting.lock().ok().and_then(|mut names| names.next());
    let work = || -> Result<usize, String> {
        let mut crashed = 0;
        while let Some(name) = next() {
            let run = Session::new(&root, &programs, &name).run(duration)?;
            crashed += usize::from(run.crashed);
            let _one_at_a_time = figures.lock();
            let path = root.join(FIGURES);
            let text = fs::read_to_string(&path).map_err(|e| format!("{FIGURES}: {e}"))?;
            let mut table = Table::parse(&text)?;
            table.add(&name, &run);
            let written = fs::write(&path, table.to_text(&known));
            written.map_err(|e| format!("{FIGURES}: {e}"))?;
        }
        Ok(crashed)
    };
    let results: Vec<Result<usize, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.at_a_time).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("a worker died".to_owned())))
            .collect()
    });
    let crashed: usize = results.into_iter().sum::<Result<usize, String>>()?;
    if crashed > 0 {
        println!("{crashed} targets crashed: see fuzz/crashes, and fuzz/README.md for what to do");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The targets, by their programs' files.
fn targets(root: &Path) -> Outcome<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let read = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = read.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some(path.file_stem()?.to_str()?.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn look_for_tools() -> Result<(), String> {
    let starts = |program: &str, argument: &str| {
        Command::new(program).args(argument.split(' ')).output().is_ok_and(|o| o.status.success())
    };
    if !starts("cargo", "fuzz --version") {
        return Err(format!(
            "cargo-fuzz is missing: cargo install cargo-fuzz --version {CARGO_FUZZ} --locked"
        ));
    }
    if !starts("c++", "--version") {
        return Err("a C++ compiler is missing, for libFuzzer: install g++ or clang".to_owned());
    }
    Ok(())
}

/// Builds with debug assertions and checked arithmetic, and without a sanitizer:
/// there is no unsafe code of ours, and with one half as much is tried.
fn build(root: &Path, chosen: &[String]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["fuzz", "build", "--sanitizer", "none"]);
    command.args(["--features", "libfuzzer"]);
    if let [one] = chosen {
        command.arg(one);
    }
    let status = command.status().map_err(|e| format!("cargo does not start: {e}"))?;
    if status.success() { Ok(()) } else { Err("the targets do not build".to_owned()) }
}

fn write_seeds(root: &Path) -> Outcome {
    let folder: PathBuf = root.join("fuzz");
    let status = Command::new("cargo")
        .current_dir(&folder)
        .args(["run", "--quiet", "--locked", "--example", "seeds", "--", "corpus"])
        .status()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
