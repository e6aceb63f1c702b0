//! `cargo xtask mutants`: the faults that the conformance suite has to find.
//!
//! Without an option it compares what stands in three places: `deviate!(name)` in the
//! code, the generated list of names, and `conformance/mutants.toml`, which says for each
//! which cases have to fail. `--run` starts the programs with one fault after the other.

mod declared;
mod run;
mod sites;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::repo::{self, Tree};
use crate::report::{Outcome, Report};
use declared::Mutant;

/// Every name in the code, sorted, one a line; the programs refuse others.
const NAMES: &str = "crates/model/src/deviation/names.txt";
/// What each breaks, and who notices.
const DECLARED: &str = "conformance/mutants.toml";
/// What a program that can deviate has in it, and no other.
const MARKER: &str = "TORTALK_DEVIATION";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the list of names from the code
    #[arg(long)]
    write: bool,
    /// Fail when one of these programs can deviate
    #[arg(long, num_args = 1.., value_name = "FILE")]
    search: Vec<PathBuf>,
    /// Build the programs with their faults and run the named cases against each
    #[arg(long)]
    run: bool,
    #[command(flatten)]
    how: run::How,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let root = repo::root()?;
    if !options.search.is_empty() {
        return search(&options.search);
    }
    let tree = Tree::load(&root)?;
    let sites = sites::all(&tree);
    if options.write {
        let text: String = sites.keys().map(|name| format!("{name}\n")).collect();
        fs::write(root.join(NAMES), text).map_err(|error| format!("{NAMES}: {error}"))?;
    }
    let mutants = declared::read(&root.join(DECLARED))?;
    let mut report = Report::default();
    compare(&root, &sites, &mutants, &mut report)?;
    if options.run && report.is_clean() {
        return run::run(&root, &mutants, &options.how);
    }
    report.note(format!("{} mutants", mutants.len()));
    Ok(report.finish("mutants"))
}

/// Sites, names and declarations are the same set, and each name stands in one place.
fn compare(
    root: &Path,
    sites: &sites::Sites,
    mutants: &[Mutant],
    report: &mut Report,
) -> Outcome<()> {
    let listed = fs::read_to_string(root.join(NAMES)).map_err(|e| format!("{NAMES}: {e}"))?;
    let listed: Vec<&str> = listed.lines().collect();
    let found: Vec<&str> = sites.keys().map(String::as_str).collect();
    if listed != found {
        report.fault(NAMES, 1, "is not what the code says; run `cargo xtask mutants --write`");
    }
    for (name, places) in sites {
        for (path, line) in &places[1..] {
            report.fault(path, *line, format!("{name} stands somewhere else too"));
        }
        if !mutants.iter().any(|mutant| &mutant.name == name) {
            let (path, line) = &places[0];
            report.fault(path, *line, format!("{name} does not stand in {DECLARED}"));
        }
    }
    for mutant in mutants {
        if !sites.contains_key(&mutant.name) {
            report.fault(DECLARED, 1, format!("{} stands nowhere in the code", mutant.name));
        }
        if mutant.kills.is_empty() {
            report.fault(DECLARED, 1, format!("{} names no case that notices it", mutant.name));
        }
    }
    Ok(())
}

fn search(programs: &[PathBuf]) -> Outcome {
    for path in programs {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes()) {
            println!("{}: can deviate: it was built with the feature", path.display());
            return Ok(ExitCode::FAILURE);
        }
        println!("{}: cannot deviate", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
