//! Words that do not belong into a tree that is finished and anyone's.

use crate::repo::Tree;
use crate::report::Report;
use crate::rust::is_word;

/// Marks of unfinished work. Cut in two here, so that this file passes.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimplem", "ented!("),
    concat!("db", "g!("),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Hosts of package registries: the tree names packages, cargo knows where they are.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("docs", ".rs"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb.deb", "ian.org"),
];

/// Where the inputs of the fuzz targets lie.
const INPUTS: &[&str] = &["fuzz/corpus/", "fuzz/crashes/"];

/// The line that cargo writes into Cargo.lock for each package.
pub(super) const LOCK_SOURCE: &str =
    concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"");

pub(super) fn check(tree: &Tree, report: &mut Report) {
    // What a fuzzer made is nobody's words.
    let made = |path: &str| INPUTS.iter().any(|folder| path.starts_with(folder));
    for (path, text) in tree.texts().filter(|(path, _)| !made(path)) {
        let is_lock = path == "Cargo.lock" || path.ends_with("/Cargo.lock");
        for (index, line) in text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
                report.fault(path, index + 1, format!("`{word}`; finish it or open an issue"));
            }
            for start in MACHINE_PATHS.iter().filter(|start| has_path(line, start)) {
                report.fault(
                    path,
                    index + 1,
                    format!("`{start}` is one machine's; make it relative"),
                );
            }
            let standard = is_lock && line == LOCK_SOURCE;
            for host in HOSTS.iter().filter(|host| !standard && line.contains(*host)) {
                report.fault(
                    path,
                    index + 1,
                    format!("names the host {host}; leave it to the tool"),
                );
            }
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).map(|at| line.as_bytes()[at]);
        let after = line.as_bytes().get(at + word.len());
        let ends_itself = word.ends_with('(');
        !before.is_some_and(is_word) && (ends_itself || !after.copied().is_some_and(is_word))
    })
}

/// Whether an absolute path begins so; `a/home/b` and `~/home/` do not.
fn has_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.~*}/)".contains(c))
    })
}
