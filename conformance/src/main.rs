//! The program `conformance`; see `README.md` beside it.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use conformance::case::{Profile, Role};
use conformance::runner::{self, Options, Started};
use conformance::target::{Program, write_cards};
use conformance::uncovered::Coverage;
use conformance::verdict::Exit;
use conformance::{cases, report, spec, uncovered};
use tokio::sync::Mutex;

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
    /// What the target is
    #[arg(long, default_value = "node")]
    role: RoleWord,
    /// What the suite may do with it; managed with --spawn
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
    /// Checks uncovered.toml and uncovered.lock
    #[arg(long)]
    uncovered: bool,
    /// With --uncovered: takes out of the lock what has a case now, and puts these ids in
    #[arg(long, value_name = "ID", num_args = 0.., requires = "uncovered")]
    bless: Option<Vec<String>>,
    /// Cases that are known to fail: one id a line, `#` begins a reason
    #[arg(long, value_name = "FILE")]
    known_failing: Option<PathBuf>,
    /// A SHOULD counts like a MUST
    #[arg(long)]
    strict: bool,
    /// Runs cases that wait more than 5 s, too
    #[arg(long)]
    slow: bool,
    /// Of the choices that cases make
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes a report: json=FILE, junit=FILE or tap=FILE
    #[arg(long, value_name = "KIND=FILE")]
    report: Vec<String>,
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
    Vectors {
        /// Against the suite's own stack
        #[arg(long = "self", required = true)]
        own: bool,
    },
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
    match cli.command {
        Some(Command::Cards { out }) => {
            let paths = write_cards(&out).map_err(|e| usage(format!("{}: {e}", out.display())))?;
            paths.iter().for_each(|path| println!("{}", path.display()));
            return Ok(Exit::Passed);
        }
        Some(Command::Vectors { own: _ }) => {
            return match runner::self_check() {
                Ok(count) => {
                    println!("{count} vectors, none differs");
                    Ok(Exit::Passed)
                }
                Err(differing) => {
                    differing.iter().for_each(|line| println!("{line}"));
                    Ok(Exit::SelfCheck)
                }
            };
        }
        None => {}
    }
    if let Some(id) = &cli.explain {
        return explain(id);
    }
    if cli.requirements || cli.uncovered {
        return requirements(&cli);
    }
    let options = options(&cli)?;
    if cli.list {
        let chosen = runner::selected(&options);
        for case in &chosen {
            let (profile, level) = (case.profile.word(), case.level().word());
            println!("{:<36} {:<7} {:<7} {profile:<8} {}", case.id, case.req, level, case.about);
        }
        return Ok(if chosen.is_empty() { Exit::NothingSelected } else { Exit::Passed });
    }
    test(&cli, options).await
}

fn explain(id: &str) -> Acted {
    let all = cases::all();
    let chosen: Vec<_> = all.iter().filter(|case| case.id == id || case.req == id).collect();
    let req = chosen.first().map_or(id, |case| case.req);
    let found = spec::requirement(req)
        .ok_or_else(|| usage(format!("{id} is neither a case nor a requirement; see --list")))?;
    println!("{} ({}, {})\n  {}", found.id, found.document, found.level.word(), found.sentence);
    for case in &chosen {
        println!(
            "{} (version {}, {})\n  {}",
            case.id,
            case.version,
            case.profile.word(),
            case.about
        );
    }
    if chosen.is_empty() {
        println!("no case yet");
    }
    Ok(Exit::Passed)
}

fn requirements(cli: &Cli) -> Acted {
    let lock = uncovered::lock(uncovered::LOCK);
    let coverage = Coverage::of(&cases::all(), uncovered::REASONS, &lock)
        .map_err(|text| (Exit::SelfCheck, text))?;
    if cli.requirements {
        println!("{}", coverage.table());
    }
    if !cli.uncovered {
        return Ok(Exit::Passed);
    }
    if let Some(ids) = &cli.bless {
        let blessed = coverage.blessed(&lock, ids);
        let path = Path::new("conformance/uncovered.lock");
        std::fs::write(path, blessed.text()).map_err(|error| {
            usage(format!("{}: {error}; run in the repository", path.display()))
        })?;
        let (before, after) = (lock.ids.len(), blessed.ids.len());
        println!("{}: {before} ids before, {after} now, {} open", path.display(), blessed.open);
        return Ok(Exit::Passed);
    }
    coverage.faults.iter().for_each(|line| println!("{line}"));
    if !coverage.stale.is_empty() {
        let ids = coverage.stale.join(" ");
        println!("uncovered.lock: not needed there any more: {ids}; `--uncovered --bless`");
    }
    let held = coverage.faults.is_empty() && coverage.stale.is_empty();
    println!("{} of the lock, {} open", lock.ids.len(), coverage.open().len());
    Ok(if held { Exit::Passed } else { Exit::Failed })
}

fn options(cli: &Cli) -> Result<Options, (Exit, String)> {
    let profile = match (cli.profile, &cli.spawn) {
        (Some(ProfileWord::Wire), _) | (None, None) => Profile::Wire,
        (Some(ProfileWord::Managed), Some(_)) | (None, Some(_)) => Profile::Managed,
        (Some(ProfileWord::Managed), None) => {
            return Err(usage("the profile managed needs --spawn"));
        }
        (Some(ProfileWord::Shim), Some(command)) if command.contains("{control}") => Profile::Shim,
        (Some(ProfileWord::Shim), _) => {
            return Err(usage("the profile shim needs --spawn with {control}"));
        }
    };
    let role = match cli.role {
        RoleWord::Node => Role::Node,
        RoleWord::Relay => Role::Relay,
    };
    let known_failing = match &cli.known_failing {
        Some(path) => known_failing(path)?,
        None => BTreeMap::new(),
    };
    let globs = cli.run.clone();
    Ok(Options {
        role,
        profile,
        globs,
        known_failing,
        strict: cli.strict,
        slow: cli.slow,
        seed: cli.seed,
    })
}

fn known_failing(path: &Path) -> Result<BTreeMap<String, String>, (Exit, String)> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage(format!("{}: {error}", path.display())))?;
    let all = cases::all();
    let mut known = BTreeMap::new();
    for line in text.lines() {
        let (id, reason) = line.split_once('#').unwrap_or((line, ""));
        let (id, reason) = (id.trim(), reason.trim());
        if id.is_empty() {
            continue;
        }
        if !all.iter().any(|case| case.id == id) {
            return Err(usage(format!("{}: there is no case {id}", path.display())));
        }
        known.insert(id.to_owned(), reason.to_owned());
    }
    Ok(known)
}

fn resolve(target: &str) -> Result<SocketAddr, (Exit, String)> {
    let mut found =
        target.to_socket_addrs().map_err(|error| usage(format!("--target {target}: {error}")))?;
    found.next().ok_or_else(|| usage(format!("--target {target}: no address")))
}

async fn test(cli: &Cli, options: Options) -> Acted {
    let reports = reports(&cli.report)?;
    let (address, process) = match (&cli.target, &cli.spawn) {
        (Some(target), _) => (resolve(target)?, None),
        (None, Some(template)) => {
            let folder = cli.work.clone().unwrap_or_else(own_folder);
            let patience = Duration::from_secs(20);
            let program = Arc::new(Program::new(template, &folder, patience));
            let spawned = program
                .start(&serde_json::json!({}))
                .await
                .map_err(|error| (Exit::Unreachable, format!("--spawn: {error}")))?;
            let address = spawned.address;
            (address, Some(Started { program, process: Arc::new(Mutex::new(spawned)) }))
        }
        (None, None) => return Err(usage("which target? --target HOST:PORT or --spawn COMMAND")),
    };
    let seed = options.seed;
    let run = runner::run(address, process, options, |outcome| {
        println!("{}", report::lines(outcome, seed));
    })
    .await;
    // The process is gone with the run; a folder that nobody asked for goes too.
    if let (Some(_), None) = (&cli.spawn, &cli.work) {
        let folder = own_folder();
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            eprintln!("conformance: {} stays: {error}", folder.display());
        }
    }
    println!("{}", report::claim(&run));
    for (kind, path) in reports {
        let text = match kind.as_str() {
            "json" => format!("{:#}\n", report::json(&run)),
            "junit" => report::junit(&run),
            _ => report::tap(&run),
        };
        std::fs::write(&path, text).map_err(|error| usage(format!("{path}: {error}")))?;
    }
    Ok(run.exit)
}

/// Where a target's folders lie when no place was named.
fn own_folder() -> PathBuf {
    std::env::temp_dir().join(format!("conformance-{}", std::process::id()))
}

fn reports(words: &[String]) -> Result<Vec<(String, String)>, (Exit, String)> {
    words
        .iter()
        .map(|word| {
            let (kind, path) =
                word.split_once('=').ok_or_else(|| usage(format!("--report {word}: KIND=FILE")))?;
            if !["json", "junit", "tap"].contains(&kind) {
                return Err(usage(format!("--report {word}: json, junit or tap")));
            }
            Ok((kind.to_owned(), path.to_owned()))
        })
        .collect()
}
