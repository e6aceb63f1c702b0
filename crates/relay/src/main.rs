//! The program `tortalk-relay`.
#![forbid(unsafe_code)]

// Under the fuzzer hashes stand in for signatures and seals.
#[cfg(fuzzing)]
compile_error!("a program for people is never built with cfg(fuzzing)");

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use tortalk_keys::RelaySecret;
use tortalk_relay::env::{Clock, OsEntropy};
use tortalk_relay::key_file;
use tortalk_relay::program::{self, Failure, say};
use tortalk_relay::store::sqlite::SqliteBackend;
use tortalk_sqlite::DirLock;
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command};

mod args;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "deviations")]
    if let Err(error) = deviate() {
        eprintln!("tortalk-relay: {error}");
        return ExitCode::from(2);
    }
    let done = match arguments.command {
        Command::Init(folder) => init(&folder.data),
        Command::Key(folder) => show_key(&folder.data),
        Command::Restored(folder) => restored(&folder.data),
        Command::Run(run) => {
            start_logs(run.verbose);
            program::run(&run, Clock::system(), |_| Ok(()))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tortalk-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does wrong what the environment names, for the conformance suite.
#[cfg(feature = "deviations")]
fn deviate() -> Result<(), Failure> {
    use tortalk_model::deviation::{VARIABLE, choose};
    let Ok(name) = std::env::var(VARIABLE) else { return Ok(()) };
    Ok(choose(&name)?)
}

fn init(folder: &Path) -> Result<(), Failure> {
    print_key(&key_file::create(folder, &mut OsEntropy)?)
}

fn show_key(folder: &Path) -> Result<(), Failure> {
    print_key(&key_file::read(folder)?)
}

fn print_key(secret: &RelaySecret) -> Result<(), Failure> {
    Ok(say(&format!("key {}", secret.public()))?)
}

// req: RLY-69
fn restored(folder: &Path) -> Result<(), Failure> {
    key_file::read(folder)?;
    let _lock = DirLock::acquire(folder)?;
    SqliteBackend::open(folder, &mut OsEntropy)?.renew_epoch(&mut OsEntropy)?;
    Ok(say("new epoch")?)
}

/// What this relay does goes to standard error. Libraries stay silent: they log
/// addresses.
fn start_logs(verbose: bool) {
    let level = if verbose { "debug" } else { "info" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("off,tortalk_relay={level}")))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
}
