//! The torTalk command line.
//!
//! Every command talks to a node: to the one that runs on the profile, or to one
//! that it starts in its own process for as long as it takes. It knows nothing
//! that a node does not tell, and never shows a character of others that would
//! move the cursor.
#![forbid(unsafe_code)]

// Under the fuzzer hashes stand in for signatures and seals.
#[cfg(fuzzing)]
compile_error!("a program for people is never built with cfg(fuzzing)");

mod args;
mod chat;
mod commands;
mod context;
mod demo;
mod doctor;
mod exit;
mod output;
mod passphrase;
mod qr;
mod session;
mod text;
mod when;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

use args::{Cli, Command, Global};
use context::Context;
use exit::{Exit, Failure};
use output::Format;

fn main() -> ExitCode {
    let cli = match Cli::try_parse().and_then(checked) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let format = if cli.global.json { Format::Json } else { Format::Human };
    #[cfg(feature = "deviations")]
    if let Err(failure) = deviate() {
        output::report(&failure, format);
        return failure.exit.into();
    }
    let result = run(cli);
    if let Err(failure) = &result {
        output::report(failure, format);
    }
    output::code_of(&result).into()
}

/// What the parser cannot check: it looks for an option of every command only
/// where the command's own options stand.
fn checked(cli: Cli) -> Result<Cli, clap::Error> {
    if matches!(&cli.command, Command::Run(run) if run.until_eof) && !cli.global.json {
        let line = "--until-eof goes with --json only: add that or leave both out";
        return Err(Cli::command().error(ErrorKind::MissingRequiredArgument, line));
    }
    Ok(cli)
}

fn run(cli: Cli) -> Result<(), Failure> {
    log(&cli.global, matches!(cli.command, Command::Run(_)));
    if let Command::Completions { shell } = cli.command {
        return commands::completions(shell);
    }
    let context = Context::new(&cli.global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::world(format!("no threads can be started ({error})")))?;
    let result = runtime.block_on(commands::run(&context, cli.command));
    // A thread that still reads standard input would hold us up.
    runtime.shutdown_background();
    result
}

/// Does wrong what the environment names, for the conformance suite.
#[cfg(feature = "deviations")]
fn deviate() -> Result<(), Failure> {
    use tortalk_node::deviation::{VARIABLE, choose};
    let Ok(name) = std::env::var(VARIABLE) else { return Ok(()) };
    choose(&name).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// A wrong command line in one line; help and version as they are.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Whoever closed the output has read enough.
        let _gone = error.print();
        return Exit::Done.into();
    }
    let json = std::env::args_os().any(|argument| argument == "--json");
    let format = if json { Format::Json } else { Format::Human };
    let failure = Failure::new(Exit::Usage, usage_line(error));
    output::report(&failure, format);
    failure.exit.into()
}

fn usage_line(error: &clap::Error) -> String {
    let help = match used_command() {
        Some(name) => format!("see `tortalk {name} --help`"),
        None => "see `tortalk --help`".to_owned(),
    };
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return format!("a command is missing: {help}");
    }
    // The parts of the message are paragraphs; what is behind `Usage` is help.
    let text = error.to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or_default();
    let said = said.split("\n\nFor more information").next().unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().collect();
    let line = words.join(" ").replace(" tip: ", "; ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line}: {help}")
}

/// The first argument that is a command; it may be one's value, which only
/// makes the hint less good.
fn used_command() -> Option<String> {
    let command = Cli::command();
    std::env::args().skip(1).find(|argument| command.find_subcommand(argument).is_some())
}

/// Shows what the libraries log on standard error: warnings while a node runs,
/// nothing in other commands, more with each `-v`.
fn log(global: &Global, runs: bool) {
    let verbose = global.verbose;
    let colours = match global.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => std::io::stderr().is_terminal(),
    };
    let level = match (verbose, runs) {
        (0, false) => "off",
        (0, true) => "tortalk_node=warn",
        (1, _) => "tortalk_node=info",
        (2, _) => "tortalk_node=debug,info",
        _ => "trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(verbose > 1)
        .init();
}
