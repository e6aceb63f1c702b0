//! `tortalk-shim`: the node and the relay with a control channel, as spec/annex-targets.md,
//! section 5, has it. It sets clocks, takes secrets and does what its client says: it is a
//! target of conformance tests, and no program for people.
#![forbid(unsafe_code)]

mod ask;
mod channel;
mod node;
mod relay;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The node or the relay as a target of conformance tests; never for people.
#[derive(Debug, Parser)]
#[command(name = "tortalk-shim", version)]
struct Arguments {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// A node; its settings stand in the profile's settings.toml
    Node(Node),
    /// A relay; `tortalk-relay init` makes its folder
    Relay(Box<Relay>),
}

#[derive(Debug, Args)]
struct Node {
    /// The profile's folder; a profile is made where there is none
    #[arg(long, value_name = "DIR")]
    profile: PathBuf,
    /// Whom a new profile accepts, and blocks: a folder with *.card and blocked.txt
    #[arg(long, value_name = "DIR")]
    cards: PathBuf,
    /// The socket that it listens on for its client
    #[arg(long, value_name = "SOCKET")]
    control: PathBuf,
}

#[derive(Debug, Args)]
struct Relay {
    #[command(flatten)]
    run: tortalk_relay::program::Run,
    /// The socket that it listens on for its client
    #[arg(long, value_name = "SOCKET")]
    control: PathBuf,
}

/// What ended the program, in a line.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tortalk-shim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(target: Target) -> Result<(), Failure> {
    #[cfg(feature = "deviations")]
    if let Ok(name) = std::env::var(tortalk_node::deviation::VARIABLE) {
        tortalk_node::deviation::choose(&name)?;
    }
    match target {
        Target::Node(options) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(node::run(&options.profile, &options.cards, &options.control))
        }
        Target::Relay(options) => relay::run(&options.run, &options.control),
    }
}
