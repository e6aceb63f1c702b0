//! Testing a target: from the command line to the reports.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use conformance::case::{Profile, Role};
use conformance::features::Features;
use conformance::runner::{self, Options, Started};
use conformance::target::Program;
use conformance::verdict::Exit;
use conformance::{cases, probe, report};
use tokio::sync::Mutex;

use crate::{Acted, Cli, ProfileWord, RoleWord, usage};

/// How long a target may take to answer when it is asked what it is.
const ROLE_DEADLINE: Duration = Duration::from_secs(5);

pub(crate) async fn test(cli: &Cli) -> Acted {
    let reports = reports(&cli.report)?;
    let profile = profile(cli)?;
    let features = features(cli)?;
    let known_failing = match &cli.known_failing {
        Some(path) => known_failing(path)?,
        None => BTreeMap::new(),
    };
    let (address, process) = target(cli).await?;
    let role = match role_given(cli).or(features.role) {
        Some(role) => role,
        None => role_found(address).await?,
    };
    let options = Options {
        role,
        profile,
        globs: cli.run.clone(),
        known_failing,
        strict: cli.strict,
        only_profile: cli.only_profile,
        slow: cli.slow,
        seed: cli.seed,
        features,
        target: cli.target.clone().or_else(|| cli.spawn.clone()).unwrap_or_default(),
        again: again(cli, role),
        jobs: cli.jobs.clamp(1, 16),
        wrong_vector: cli.wrong_vector,
    };
    let shown = options.clone();
    let run = runner::run(address, process, options, |outcome| {
        println!("{}", report::lines(outcome, &shown));
    })
    .await;
    // The process is gone with the run; a folder that nobody asked for goes too.
    if let (Some(_), None) = (&cli.spawn, &cli.work) {
        let folder = own_folder();
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            eprintln!("conformance: {} stays: {error}", folder.display());
        }
    }
    println!("\n{}", report::claim(&run));
    for (kind, path) in reports {
        let text = match kind.as_str() {
            "html" => report::html(&run),
            "json" => format!("{:#}\n", report::json(&run)),
            "junit" => report::junit(&run),
            _ => report::tap(&run),
        };
        std::fs::write(&path, text).map_err(|error| usage(format!("{path}: {error}")))?;
    }
    Ok(run.exit)
}

async fn target(cli: &Cli) -> Result<(SocketAddr, Option<Started>), (Exit, String)> {
    match (&cli.target, &cli.spawn) {
        (Some(target), _) => Ok((resolve(target)?, None)),
        (None, Some(template)) => {
            let folder = cli.work.clone().unwrap_or_else(own_folder);
            let program = Arc::new(Program::new(template, &folder, Duration::from_secs(20)));
            let spawned = program
                .start(&serde_json::json!({}))
                .await
                .map_err(|error| (Exit::Unreachable, format!("--spawn: {error}")))?;
            let address = spawned.address;
            Ok((address, Some(Started { program, process: Arc::new(Mutex::new(spawned)) })))
        }
        (None, None) => Err(usage("which target? --target HOST:PORT or --spawn COMMAND")),
    }
}

fn resolve(target: &str) -> Result<SocketAddr, (Exit, String)> {
    let mut found =
        target.to_socket_addrs().map_err(|error| usage(format!("--target {target}: {error}")))?;
    found.next().ok_or_else(|| usage(format!("--target {target}: no address")))
}

pub(crate) fn role_given(cli: &Cli) -> Option<Role> {
    cli.role.map(|word| match word {
        RoleWord::Node => Role::Node,
        RoleWord::Relay => Role::Relay,
    })
}

async fn role_found(address: SocketAddr) -> Result<Role, (Exit, String)> {
    match probe::role(address, ROLE_DEADLINE).await {
        Ok(Some(role)) => {
            println!("{address} is a {}", role.word());
            Ok(role)
        }
        Ok(None) => {
            let text =
                format!("{address} speaks neither links nor HTTP/2; if it should, say --role");
            Err((Exit::Unreachable, text))
        }
        Err(error) => Err((Exit::Unreachable, format!("{address}: {error}"))),
    }
}

fn profile(cli: &Cli) -> Result<Profile, (Exit, String)> {
    match (cli.profile, &cli.spawn) {
        (Some(ProfileWord::Wire), _) | (None, None) => Ok(Profile::Wire),
        (None, Some(command)) if command.contains("{control}") => Ok(Profile::Shim),
        (Some(ProfileWord::Managed), Some(_)) | (None, Some(_)) => Ok(Profile::Managed),
        (Some(ProfileWord::Managed), None) => Err(usage("the profile managed needs --spawn")),
        (Some(ProfileWord::Shim), Some(command)) if command.contains("{control}") => {
            Ok(Profile::Shim)
        }
        (Some(ProfileWord::Shim), _) => Err(usage("the profile shim needs --spawn with {control}")),
    }
}

fn features(cli: &Cli) -> Result<Features, (Exit, String)> {
    let Some(path) = &cli.features else { return Ok(Features::default()) };
    let wrong = |text: String| usage(format!("{}: {text}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Features::read(&text).map_err(wrong)
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

/// The command that leads to the same target.
fn again(cli: &Cli, role: Role) -> String {
    let mut words = vec!["conformance".to_owned()];
    let mut option = |name: &str, value: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
        let quoted = if value.chars().all(plain) {
            value.to_owned()
        } else {
            format!("'{}'", value.replace('\'', "'\\''"))
        };
        words.push(format!("--{name} {quoted}"));
    };
    match (&cli.target, &cli.spawn) {
        (Some(target), _) => option("target", target),
        (None, Some(command)) => option("spawn", command),
        (None, None) => {}
    }
    option("role", role.word());
    if let Some(features) = &cli.features {
        option("features", &features.to_string_lossy());
    }
    if cli.profile == Some(ProfileWord::Shim) {
        option("profile", "shim");
    }
    if cli.slow {
        words.push("--slow".to_owned());
    }
    words.join(" ")
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
            if !["html", "json", "junit", "tap"].contains(&kind) {
                return Err(usage(format!("--report {word}: html, json, junit or tap")));
            }
            Ok((kind.to_owned(), path.to_owned()))
        })
        .collect()
}
