//! The program `conformance`; see `README.md` beside it.
#![forbid(unsafe_code)]

mod commands;
mod testing;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use conformance::mutants;
use conformance::verdict::Exit;

/// Tells a torTalk program what it got wrong, from outside.
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes: 0 passed, 1 failed, 3 inconclusive, 4 unreachable or sanity \
failed, 5 the suite itself, 6 nothing selected or nothing ran, 64 wrong arguments.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the target listens
    #[arg(long, value_name = "HOST:PORT")]
    target: Option<String>,
    /// Starts the target: {port}, {dir}, {cards}, {settings} and {control} are replaced
    #[arg(long, value_name = "COMMAND", conflicts_with = "target")]
    spawn: Option<String>,
    /// Where the folders of --spawn lie; a new folder each time by default
    #[arg(long, value_name = "DIR", requires = "spawn")]
    work: Option<PathBuf>,
    /// Starts so many targets and tests them at once, each with a part of the cases
    #[arg(long, default_value_t = 1, requires = "spawn")]
    jobs: usize,
    /// What the target is; found out when not given
    #[arg(long)]
    role: Option<RoleWord>,
    /// What the suite may do with it; managed with --spawn, shim with
    /// its {control}
    #[arg(long)]
    profile: Option<ProfileWord>,
    /// Only cases whose id matches; `*` is any text
    #[arg(long, value_name = "GLOB")]
    run: Vec<String>,
    /// Lists the cases
    #[arg(long)]
    list: bool,
    /// Prints what a case or requirement is about
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// Counts the MUSTs: with a case, without one for a reason, and without both
    #[arg(long)]
    requirements: bool,
    /// Prints which mutants of this repository's programs which cases notice
    #[arg(long)]
    mutants: bool,
    /// Checks uncovered.toml and uncovered.lock
    #[arg(long)]
    uncovered: bool,
    /// With --uncovered: takes out of the lock what has a case now, and puts these ids in
    #[arg(long, value_name = "ID", num_args = 0.., requires = "uncovered")]
    bless: Option<Vec<String>>,
    /// What the target says of itself (annex-targets.md, section 6)
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Cases that are known to fail: one id a line, `#` begins a reason
    #[arg(long, value_name = "FILE")]
    known_failing: Option<PathBuf>,
    /// A SHOULD counts like a MUST
    #[arg(long)]
    strict: bool,
    /// Only cases that need the whole of --profile, and no less
    #[arg(long, requires = "profile")]
    only_profile: bool,
    /// Runs cases that wait more than 5 s, too
    #[arg(long)]
    slow: bool,
    /// Of the choices that cases make
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes a report: html=FILE, json=FILE, junit=FILE or tap=FILE
    #[arg(long, value_name = "KIND=FILE")]
    report: Vec<String>,
    /// For the suite's own tests: one vector says something else than it should
    #[arg(long, hide = true)]
    wrong_vector: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the contact cards that a node imports before it is tested
    Cards {
        /// The folder
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Runs spec/vectors
    Vectors(VectorsOf),
    /// Runs everything against targets that implement nothing: no case may pass there
    NullTargets {
        /// Only those whose name matches
        #[arg(long, value_name = "GLOB", default_value = "*")]
        only: String,
    },
    /// Runs the suite again and again, with other seeds and while the machine is busy, and
    /// compares the verdicts
    Steady {
        /// How many runs
        #[arg(long, default_value_t = 10)]
        runs: u64,
        /// In how many of them all cores are kept busy
        #[arg(long, default_value_t = 5)]
        busy: u64,
        /// The arguments of each run
        #[arg(last = true, required = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct VectorsOf {
    /// Against the suite's own stack
    #[arg(long = "self")]
    own: bool,
    /// Against a program that reads questions from its input and answers them, line by line
    #[arg(long = "impl", value_name = "COMMAND")]
    program: Option<String>,
    /// Be such a program, with the suite's own stack
    #[arg(long)]
    answer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleWord {
    Node,
    Relay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileWord {
    Wire,
    Managed,
    Shim,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let fine = !error.use_stderr();
            // Nobody reads what could not be printed.
            let _printed = error.print();
            return ExitCode::from(if fine { 0 } else { Exit::Usage.code() });
        }
    };
    match act(cli).await {
        Ok(exit) => ExitCode::from(exit.code()),
        Err((exit, text)) => {
            eprintln!("conformance: {text}");
            ExitCode::from(exit.code())
        }
    }
}

type Acted = Result<Exit, (Exit, String)>;

fn usage(text: impl Into<String>) -> (Exit, String) {
    (Exit::Usage, text.into())
}

async fn act(cli: Cli) -> Acted {
    match &cli.command {
        Some(Command::Cards { out }) => return commands::cards(out),
        Some(Command::Vectors(of)) => return commands::vectors(of).await,
        Some(Command::NullTargets { only }) => return commands::null_targets(only).await,
        Some(Command::Steady { runs, busy, arguments }) => {
            return commands::steady(*runs, *busy, arguments);
        }
        None => {}
    }
    if let Some(id) = &cli.explain {
        return commands::explain(id);
    }
    if cli.mutants {
        let declared =
            mutants::declared(mutants::DECLARED).map_err(|text| (Exit::SelfCheck, text))?;
        print!("{}", mutants::table(&conformance::cases::all(), &declared));
        return Ok(Exit::Passed);
    }
    if cli.requirements || cli.uncovered {
        return commands::requirements(&cli);
    }
    if cli.list {
        return commands::list(&cli);
    }
    testing::test(&cli).await
}
