//! What is switched off under the fuzzer, and where the fuzz targets stand.

use super::lock::check_reasons;
use crate::repo::Tree;
use crate::report::Report;
use crate::rust::Source;

/// The only files that may ask for `cfg(fuzzing)`: there cryptography gives way
/// to hashes, and private layouts have a door. No other build has any of it.
const FILES: &[&str] = &[
    // These refuse to be built with it.
    "crates/cli/src/main.rs",
    "crates/relay/src/main.rs",
    "crates/keys/src/lib.rs",
    "crates/keys/src/public.rs",
    "crates/keys/src/secret.rs",
    "crates/link/src/lib.rs",
    "crates/link/src/resolver.rs",
    "crates/seal/src/hpke.rs",
    "crates/seal/src/lib.rs",
    "crates/store/src/lib.rs",
];
/// The module behind it in each of those crates.
const MODULE: &str = "/src/fuzzing.rs";

/// Lines of a fuzz target: what it does stands in fuzz/src.
const TARGET_LINES: usize = 20;

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.matching("crates/", ".rs").filter(|(_, text)| text.contains("fuzzing"))
    {
        let source = Source::new(text);
        for (offset, _) in source.words().filter(|(_, word)| *word == "fuzzing") {
            if asks(&source, offset) && !FILES.contains(&path) {
                let text = "`cfg(fuzzing)` outside its files; see FILES in tidy/fuzzing.rs";
                report.fault(path, source.line(offset), text);
            }
        }
    }
    for (path, _) in tree.matching("crates/", MODULE) {
        let library = path.replace(MODULE, "/src/lib.rs");
        let behind = tree.text(&library).is_some_and(|text| {
            text.contains("#[cfg(fuzzing)]\npub mod fuzzing;\n")
                && text.matches("mod fuzzing;").count() == 1
        });
        if !behind || !FILES.contains(&library.as_str()) {
            report.fault(path, 1, "it is in every build; put #[cfg(fuzzing)] before its `mod`");
        }
    }
    for (path, text) in tree.matching("fuzz/fuzz_targets/", ".rs") {
        let lines = text.lines().count();
        if lines > TARGET_LINES {
            let text = format!("{lines} lines, more than {TARGET_LINES}; move it to fuzz/src");
            report.fault(path, 0, text);
        }
    }
    check_reasons("fuzz/Cargo.toml", "[dependencies]", tree, report);
    check_versions(tree, report);
}

/// Whether a word stands inside `cfg(…)`, `cfg!(…)` or `cfg_attr(…)`.
fn asks(source: &Source<'_>, offset: usize) -> bool {
    let line_start = source.code[..offset].rfind('\n').map_or(0, |at| at + 1);
    source.code[line_start..offset].contains("cfg")
}

/// What is fuzzed is what is used: a library has no version in fuzz/Cargo.lock
/// that it does not have in Cargo.lock.
fn check_versions(tree: &Tree, report: &mut Report) {
    let versions = |path| packages(tree.text(path).unwrap_or(""));
    let used = versions("Cargo.lock");
    for (line, name, version) in versions("fuzz/Cargo.lock") {
        let known = used.iter().any(|(_, other, _)| *other == name);
        if known && !used.iter().any(|(_, other, found)| *other == name && *found == version) {
            let text = format!(
                "{name} {version} is in no program; in fuzz/, cargo update {name} --precise …"
            );
            report.fault("fuzz/Cargo.lock", line, text);
        }
    }
}

/// Line, name and version of every package in a lock file.
fn packages(text: &str) -> Vec<(usize, &str, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).enumerate();
    pairs
        .filter_map(|(at, pair)| {
            let name = pair[0].strip_prefix("name = ")?;
            let version = pair[1].strip_prefix("version = ")?;
            Some((at + 1, name.trim_matches('"'), version.trim_matches('"')))
        })
        .collect()
}
