//! The checks and measurements of the torTalk repository: `cargo xtask …`.
//!
//! This program reads the tree and reports on it. It never depends on a crate
//! of ours, so that a mistake in one of them cannot silence its own check.
#![forbid(unsafe_code)]

mod drop_checks;
mod fuzz;
mod mutants;
mod numbers;
mod repo;
mod report;
mod rust;
mod show;
mod sim;
mod tidy;
mod tour;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Checks and measurements of the torTalk repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Crate arrows, dependencies, sizes, words and crate roots
    Tidy(tidy::Options),
    /// Requirement ids in the spec against marks in code, tests and vectors
    Trace(trace::Options),
    /// Every number, label and code of the spec against `model` and `proto`
    Numbers(numbers::Options),
    /// Removes checks one requirement at a time and expects its test to fail
    DropChecks(drop_checks::Options),
    /// Many nodes and relays in virtual time, with faults drawn from seeds
    Sim(sim::Options),
    /// Writes docs/protocol-tour.md: one message through every layer
    Tour(tour::Options),
    /// Runs the fuzz targets and adds to the figures in docs/fuzzing.md
    Fuzz(fuzz::Options),
    /// The faults that the conformance suite has to find
    Mutants(mutants::Options),
    /// What torTalk claims, shown by running it
    #[command(subcommand)]
    Show(show::Show),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Tidy(options) => tidy::run(&options),
        Command::Trace(options) => trace::run(&options),
        Command::Numbers(options) => numbers::run(&options),
        Command::DropChecks(options) => drop_checks::run(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Tour(options) => tour::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Show(show) => show::run(&show),
    };
    match outcome {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::from(2)
        }
    }
}
