//! `cargo xtask tidy`: the shape of the repository.
//!
//! Each rule is a function over the [`Tree`] that adds to the [`Report`]. What
//! is allowed stands as data at the top of the rule's file, so that a change of
//! the rules is a change of a table that a reviewer sees.

mod arrows;
mod blind;
mod frames;
mod fuzzing;
mod lock;
mod roots;
mod sans_io;
mod sizes;
mod words;

use std::collections::BTreeMap;

use crate::repo::{self, Tree};
use crate::report::{Outcome, Report};
use crate::rust::{Source, is_test_path};

#[derive(clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options) -> Outcome {
    let tree = Tree::load(&repo::root()?)?;
    let mut report = Report::default();
    check(&tree, &mut report);
    Ok(report.finish("tidy"))
}

fn check(tree: &Tree, report: &mut Report) {
    arrows::check(tree, report);
    blind::check(tree, report);
    sans_io::check(tree, report);
    frames::check(tree, report);
    fuzzing::check(tree, report);
    sizes::check(tree, report);
    words::check(tree, report);
    roots::check(tree, report);
    lock::check(tree, report);
}

/// The crates that are machines without sockets, clocks, files or OS randomness.
const SANS_IO: &[&str] = &["model", "keys", "seal", "wire", "link", "mesh"];

/// Which section of a manifest names a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Normal,
    Dev,
    Build,
}

/// One dependency in one manifest.
#[derive(Debug)]
struct Dependency {
    /// The package's name, not what it may be called here.
    package: String,
    section: Section,
    line: usize,
}

/// All dependencies of a manifest, those for single platforms included.
fn dependencies(text: &str) -> Result<Vec<Dependency>, String> {
    let manifest: toml::Table = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let mut found = Vec::new();
    let mut read = |table: &toml::Table| {
        for (key, section) in [
            ("dependencies", Section::Normal),
            ("dev-dependencies", Section::Dev),
            ("build-dependencies", Section::Build),
        ] {
            let Some(entries) = table.get(key).and_then(toml::Value::as_table) else { continue };
            for (name, value) in entries {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                let line = dependency_line(text, key, name);
                found.push(Dependency { package: package.to_owned(), section, line });
            }
        }
    };
    read(&manifest);
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    for platform in platforms.into_iter().flat_map(|t| t.values()) {
        if let Some(table) = platform.as_table() {
            read(table);
        }
    }
    Ok(found)
}

/// The line that names a dependency in a section, or 0.
fn dependency_line(text: &str, section: &str, name: &str) -> usize {
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim_end().trim_end_matches(']').ends_with(section)
                && !line.contains(&format!("-{section}"));
        } else if inside {
            let key = line.split(['=', '.']).next().unwrap_or("").trim();
            if key.trim_matches('"') == name {
                return index + 1;
            }
        }
    }
    0
}

/// The Rust files of a crate's `src` that are not only for tests, taken apart,
/// with a look-up of the regions inside them that are.
fn product_sources<'a>(tree: &'a Tree, name: &str) -> Vec<(&'a str, Source<'a>)> {
    let prefix = format!("crates/{name}/src/");
    let mut sources: BTreeMap<&str, Source<'_>> = tree
        .texts()
        .filter(|(path, _)| path.starts_with(&prefix) && path.ends_with(".rs"))
        .filter(|(path, _)| !is_test_path(path))
        .map(|(path, text)| (path, Source::new(text)))
        .collect();
    let test_only: Vec<String> = sources
        .iter()
        .flat_map(|(path, source)| {
            let folder = module_folder(path);
            source.test_modules().into_iter().map(move |module| format!("{folder}{module}"))
        })
        .collect();
    sources.retain(|path, _| {
        !test_only.iter().any(|module| {
            path.strip_prefix(module.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    });
    sources.into_iter().collect()
}

/// The folder in which the modules lie that a file declares, with a slash.
fn module_folder(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => format!("{folder}/"),
        _ => format!("{stem}/"),
    }
}

#[cfg(test)]
mod tests;
