//! Runs the suite against one mutant after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::{env, fs};

use serde::Deserialize;

use super::MARKER;
use super::declared::{Mutant, Target};
use crate::report::Outcome;

/// Where the programs lie that can deviate, apart from those for people.
const FOLDER: &str = "target/show/mutants";
/// What `--matrix` writes.
const MATRIX: &str = "docs/mutants.md";

#[derive(clap::Args)]
pub(crate) struct How {
    /// Only mutants of this program
    #[arg(long)]
    target: Option<Target>,
    /// Only this mutant; may be given several times
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// How many run at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Run all cases against each, and write docs/mutants.md
    #[arg(long, requires = "run")]
    matrix: bool,
}

/// One case's verdict, as the suite's JSON has it.
#[derive(Deserialize)]
struct Case {
    id: String,
    verdict: String,
}

#[derive(Deserialize)]
struct Verdicts {
    cases: Vec<Case>,
}

/// A mutant and the cases that failed against it.
struct Row<'a> {
    mutant: &'a Mutant,
    failed: BTreeSet<String>,
}

pub(super) fn run(root: &Path, mutants: &[Mutant], how: &How) -> Outcome {
    let chosen: Vec<&Mutant> = mutants
        .iter()
        .filter(|mutant| how.target.is_none_or(|target| target == mutant.target))
        .filter(|mutant| how.name.is_empty() || how.name.contains(&mutant.name))
        .collect();
    if chosen.is_empty() {
        return Err("no mutant was chosen".to_owned());
    }
    let suite = Suite::build(root)?;
    for target in [Target::Node, Target::Relay] {
        healthy(&suite, target, &chosen)?;
    }
    let waiting = Mutex::new(chosen.iter());
    let next = || waiting.lock().ok().and_then(|mut left| left.next().copied());
    let work = || -> Outcome<Vec<Row<'_>>> {
        let mut rows = Vec::new();
        while let Some(mutant) = next() {
            let cases = if how.matrix { &[][..] } else { &mutant.kills };
            let mut failed = suite.failing(mutant.target, Some(&mutant.name), cases)?;
            // What ran out of time on a busy machine decided nothing: it is asked again.
            for _ in 0..2 {
                let open: Vec<String> =
                    mutant.kills.iter().filter(|case| !failed.contains(*case)).cloned().collect();
                if open.is_empty() {
                    break;
                }
                failed.extend(suite.failing(mutant.target, Some(&mutant.name), &open)?);
            }
            let is_killer = |case: &&String| failed.contains(*case);
            let (killers, fooled): (Vec<&String>, Vec<&String>) =
                mutant.kills.iter().partition(is_killer);
            let survived = if fooled.is_empty() { "" } else { "; SURVIVED " };
            let Mutant { name, req, .. } = mutant;
            println!("{name} [{req}] killed by {}{survived}{}", list(&killers), list(&fooled));
            rows.push(Row { mutant, failed });
        }
        Ok(rows)
    };
    let mut rows = Vec::new();
    std::thread::scope(|scope| -> Outcome<()> {
        let workers: Vec<_> = (0..how.jobs).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            rows.extend(worker.join().map_err(|_| "a worker died".to_owned())??);
        }
        Ok(())
    })?;
    rows.sort_by(|a, b| a.mutant.name.cmp(&b.mutant.name));
    if how.matrix {
        let before = fs::read_to_string(root.join(MATRIX)).unwrap_or_default();
        let written = fs::write(root.join(MATRIX), matrix(&rows, &before, mutants));
        written.map_err(|error| format!("{MATRIX}: {error}"))?;
    }
    let killed = |row: &&Row<'_>| row.mutant.kills.iter().all(|case| row.failed.contains(case));
    let count = rows.iter().filter(killed).count();
    println!("{} mutants, {count} killed by every case that is named for them", rows.len());
    Ok(if count == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(cases: &[&String]) -> String {
    let words: Vec<&str> = cases.iter().map(|case| case.as_str()).collect();
    words.join(" ")
}

/// Without a fault every named case has to pass, or a kill says nothing.
fn healthy(suite: &Suite, target: Target, chosen: &[&Mutant]) -> Outcome<()> {
    let named: BTreeSet<&String> =
        chosen.iter().filter(|m| m.target == target).flat_map(|m| &m.kills).collect();
    if named.is_empty() {
        return Ok(());
    }
    let cases: Vec<String> = named.into_iter().cloned().collect();
    let failed = suite.failing(target, None, &cases)?;
    if failed.is_empty() {
        println!("without a fault all {} named cases of the {} pass", cases.len(), target.word());
        return Ok(());
    }
    let failed: Vec<String> = failed.into_iter().collect();
    Err(format!("without a fault these do not pass: {}", failed.join(" ")))
}

/// The suite and the programs that can deviate.
struct Suite {
    root: PathBuf,
    programs: PathBuf,
}

impl Suite {
    fn build(root: &Path) -> Outcome<Self> {
        let cargo = |arguments: &[&str]| -> Outcome<()> {
            let status = Command::new("cargo").current_dir(root).args(arguments).status();
            let status = status.map_err(|error| format!("cargo does not start: {error}"))?;
            if status.success() { Ok(()) } else { Err("the programs do not build".to_owned()) }
        };
        cargo(&["build", "--locked", "-p", "conformance"])?;
        // The program with a control channel is a node and a relay in one, and shows the most.
        let features = "tortalk-shim/deviations,tortalk-relay/deviations";
        let programs = ["-p", "tortalk-shim", "-p", "tortalk-relay"];
        cargo(&[&["build", "--locked"], &programs[..], &["--features", features]].concat())?;
        let built = env::var_os("CARGO_TARGET_DIR");
        let built = built.map_or_else(|| root.join("target"), PathBuf::from);
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| format!("{FOLDER}: {error}"))?;
        for name in ["conformance", "tortalk-shim", "tortalk-relay"] {
            let copied = fs::copy(built.join("debug").join(name), folder.join(name));
            copied.map_err(|error| format!("{FOLDER}/{name}: {error}"))?;
        }
        Ok(Self { root: root.to_owned(), programs: folder })
    }

    /// The cases that fail: of these, or of all without a slow one when there are none.
    fn failing(
        &self,
        target: Target,
        fault: Option<&str>,
        cases: &[String],
    ) -> Outcome<BTreeSet<String>> {
        let report = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let template = match target {
            Target::Node => {
                "conformance/targets/shim.sh node {port} {dir} {cards} {settings} {control}"
            }
            Target::Relay => "conformance/targets/shim.sh relay {port} {dir} {settings} {control}",
        };
        let mut command = Command::new(self.programs.join("conformance"));
        command.current_dir(&self.root).args(["--role", target.word(), "--spawn", template]);
        command.arg("--report").arg(format!("json={}", report.path().display()));
        if !cases.is_empty() {
            command.arg("--slow");
        }
        for case in cases {
            command.args(["--run", case]);
        }
        command
            .env("SHIM", self.programs.join("tortalk-shim"))
            .env("RELAY", self.programs.join("tortalk-relay"))
            .env_remove(MARKER)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(name) = fault {
            command.env(MARKER, name);
        }
        let status = command.status().map_err(|error| format!("the suite: {error}"))?;
        let text = fs::read_to_string(report.path()).map_err(|error| error.to_string())?;
        let name = fault.unwrap_or("no fault");
        let verdicts: Verdicts = serde_json::from_str(&text)
            .map_err(|_| format!("{name}: the suite ended with {status} and no report"))?;
        let not_passed = |case: &&Case| match fault {
            Some(_) => case.verdict == "fail",
            None => case.verdict != "pass",
        };
        Ok(verdicts.cases.iter().filter(not_passed).map(|case| case.id.clone()).collect())
    }
}

/// The whole table: what was seen now, and before that of mutants that were not chosen.
fn matrix(rows: &[Row<'_>], before: &str, declared: &[Mutant]) -> String {
    let mut text = String::from(
        "# Mutants\n\n\
         What `cargo xtask mutants --run --matrix` saw: programs in which one check is left \
         out or one duty is not done, and the cases of the conformance suite that failed \
         against each, those that wait long apart. The cases in bold are named for it in \
         [conformance/mutants.toml](../conformance/mutants.toml), and CI runs those.\n\n\
         | mutant | requirement | program | cases that fail |\n|---|---|---|---|\n",
    );
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    let mut waiting = Vec::new();
    for mutant in declared {
        let name = mutant.name.as_str();
        let start = format!("| `{name}` |");
        if let Some(row) = rows.iter().find(|row| row.mutant.name == name) {
            lines.insert(name, line(row));
        } else if let Some(line) = before.lines().find(|line| line.starts_with(&start)) {
            lines.insert(name, line.to_owned());
        } else {
            waiting.push(format!("`{name}`"));
        }
    }
    for line in lines.values() {
        text += &format!("{line}\n");
    }
    let killed = lines.values().filter(|line| !line.ends_with("|  |")).count();
    text += &format!("\n{} mutants, {killed} killed.\n", lines.len());
    if !waiting.is_empty() {
        text += &format!("\nNot run against all cases yet: {}.\n", waiting.join(", "));
    }
    text
}

fn line(row: &Row<'_>) -> String {
    let Row { mutant, failed } = row;
    let bold = |case: &String| {
        if mutant.kills.contains(case) { format!("**{case}**") } else { case.clone() }
    };
    let cases: Vec<String> = failed.iter().map(bold).collect();
    let (name, req, target) = (&mutant.name, &mutant.req, mutant.target.word());
    format!("| `{name}` | {req} | {target} | {} |", cases.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_keeps_what_was_not_run_again() {
        let mutant = |name: &str| Mutant {
            name: name.to_owned(),
            req: "ENV-04".to_owned(),
            target: Target::Node,
            kills: vec!["a.b".to_owned()],
        };
        let declared = [mutant("one"), mutant("two"), mutant("three")];
        let failed = ["a.b".to_owned(), "c.d".to_owned()].into();
        let first = matrix(&[Row { mutant: &declared[0], failed }], "", &declared);
        assert!(first.contains("| `one` | ENV-04 | node | **a.b**, c.d |\n"), "{first}");
        assert!(first.ends_with("Not run against all cases yet: `two`, `three`.\n"), "{first}");
        let failed = BTreeSet::new();
        let second = matrix(&[Row { mutant: &declared[1], failed }], &first, &declared[..2]);
        assert!(second.contains("| `one` | ENV-04 | node | **a.b**, c.d |\n"), "{second}");
        assert!(second.ends_with("\n2 mutants, 1 killed.\n"), "{second}");
    }
}
