//! What the program does besides testing a target.

use std::io::Write;
use std::path::Path;

use conformance::case::Role;
use conformance::runner::{self, matches};
use conformance::target::write_cards;
use conformance::uncovered::{self, Coverage};
use conformance::vectors::program;
use conformance::verdict::Exit;
use conformance::{cases, nulls, spec, steady};

use crate::{Acted, Cli, VectorsOf, usage};

pub(crate) fn cards(out: &Path) -> Acted {
    let paths = write_cards(out).map_err(|e| usage(format!("{}: {e}", out.display())))?;
    paths.iter().for_each(|path| println!("{}", path.display()));
    Ok(Exit::Passed)
}

pub(crate) async fn vectors(of: &VectorsOf) -> Acted {
    if of.answer {
        return answer();
    }
    if let Some(command) = &of.program {
        let tally = program::run(command).await.map_err(|text| (Exit::Unreachable, text))?;
        tally.differing.iter().for_each(|line| println!("{line}"));
        println!("{}", tally.summary());
        return Ok(tally.exit());
    }
    match runner::self_check(false) {
        Ok(count) => {
            println!("{count} vectors, none differs");
            Ok(Exit::Passed)
        }
        Err(differing) => {
            differing.iter().for_each(|line| println!("{line}"));
            Ok(Exit::SelfCheck)
        }
    }
}

/// Answers questions from standard input until it ends.
fn answer() -> Acted {
    for line in std::io::stdin().lines() {
        let line = line.map_err(|error| usage(error.to_string()))?;
        let answer = program::answer(&line).map_err(usage)?;
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{answer}").and_then(|()| out.flush());
        written.map_err(|error| usage(error.to_string()))?;
    }
    Ok(Exit::Passed)
}

pub(crate) async fn null_targets(only: &str) -> Acted {
    let allowed = nulls::allowed(nulls::ALLOWED).map_err(|text| (Exit::SelfCheck, text))?;
    let (mut ran, mut unexpected) = (0, 0);
    for null in nulls::NULLS.iter().filter(|null| matches(only, null.name)) {
        let found = nulls::run(null).await.map_err(|e| (Exit::Unreachable, e.to_string()))?;
        let may = allowed.get(null.name).map(Vec::as_slice).unwrap_or_default();
        let wrong: Vec<_> =
            found.passed.iter().filter(|id| !may.iter().any(|m| m == *id)).collect();
        println!(
            "{:<20} {:>4} cases, {} passed, {:.1} s: {}",
            null.name,
            found.cases,
            found.passed.len(),
            found.took.as_secs_f64(),
            null.about
        );
        for id in &wrong {
            println!("  {id} passes, and may not: its oracle is too weak");
        }
        for id in may.iter().filter(|id| !found.passed.contains(&id.as_str())) {
            println!("  {id} does not pass any more: take it out of null-targets.toml");
        }
        unexpected += wrong.len();
        ran += 1;
    }
    println!("{ran} null targets, {unexpected} unexpected passes");
    Ok(match (ran, unexpected) {
        (0, _) => Exit::NothingSelected,
        (_, 0) => Exit::Passed,
        _ => Exit::Failed,
    })
}

pub(crate) fn steady(runs: u64, busy: u64, arguments: &[String]) -> Acted {
    let program = std::env::current_exe().map_err(|error| usage(error.to_string()))?;
    let found = steady::run(&program, runs, busy, arguments, |line| println!("{line}"));
    found.map_err(|error| usage(format!("steady: {error}")))
}

pub(crate) fn list(cli: &Cli) -> Acted {
    let role = crate::testing::role_given(cli);
    let wanted = |id: &str| cli.run.is_empty() || cli.run.iter().any(|glob| matches(glob, id));
    let mut count = 0;
    for case in cases::all() {
        if !wanted(case.id) || role.is_some_and(|role| role != case.role) {
            continue;
        }
        let (profile, level) = (case.profile.word(), case.level().word());
        let slow = if case.slow { "slow " } else { "" };
        let role = if case.role == Role::Node { "node " } else { "relay" };
        println!(
            "{:<36} {role} {:<7} {level:<7} {profile:<8} {slow}{}",
            case.id, case.req, case.about
        );
        count += 1;
    }
    Ok(if count == 0 { Exit::NothingSelected } else { Exit::Passed })
}

pub(crate) fn explain(id: &str) -> Acted {
    let all = cases::all();
    let chosen: Vec<_> = all.iter().filter(|case| case.id == id || case.req == id).collect();
    let req = chosen.first().map_or(id, |case| case.req);
    let found = spec::requirement(req)
        .ok_or_else(|| usage(format!("{id} is neither a case nor a requirement; see --list")))?;
    println!("{} ({}, {})\n  {}", found.id, found.document, found.level.word(), found.sentence);
    for case in &chosen {
        let (version, profile) = (case.version, case.profile.word());
        println!("{} (version {version}, {profile})\n  {}", case.id, case.about);
    }
    if chosen.is_empty() {
        let reasons = uncovered::reasons(uncovered::REASONS).unwrap_or_default();
        match reasons.into_iter().find(|(known, _)| known == id) {
            Some((_, reason)) => println!("no case: {}: {}", reason.kind, reason.why),
            None => println!("no case yet"),
        }
    }
    Ok(Exit::Passed)
}

pub(crate) fn requirements(cli: &Cli) -> Acted {
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
