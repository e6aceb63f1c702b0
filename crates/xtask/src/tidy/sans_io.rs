//! Sans-IO crates are handed time, randomness and bytes; they reach for nothing.
//!
//! Clippy's `disallowed-methods` and `disallowed-types` hold the same line with
//! type information, but can be silenced where they fire. This scan cannot.

use super::{SANS_IO, product_sources};
use crate::repo::Tree;
use crate::report::Report;
use crate::rust::Source;

/// Names that do not stand in a sans-IO crate, and what to use in their place.
const WORDS: &[(&[&str], &str)] = &[
    (&["Instant", "SystemTime"], "take model::time values as arguments"),
    (&["TcpStream", "TcpListener", "UdpSocket"], "return bytes to the driver"),
    (&["HashMap", "HashSet", "RandomState"], "use BTreeMap or BTreeSet: same order every run"),
    (&["getrandom", "OsRng", "thread_rng"], "take &mut dyn Entropy as an argument"),
    (&["tokio", "async"], "return what to do and let the driver do it"),
    (&["println", "eprintln"], "return an event"),
];

/// Paths that do not stand in a sans-IO crate, by their beginning.
const PATHS: &[(&str, &str)] = &[
    ("std::fs", "leave files to the driver"),
    ("std::net::Tcp", "return bytes to the driver"),
    ("std::net::Udp", "return bytes to the driver"),
    ("std::thread", "leave threads to the driver"),
    ("std::process", "leave processes to the driver"),
    ("std::env", "take settings as arguments"),
    ("std::io", "work on byte slices"),
    ("rand::", "take &mut dyn Entropy as an argument"),
];

/// What each sans-IO crate's clippy.toml forbids at least.
const CLIPPY_ENTRIES: &[&str] = &[
    "allow-unwrap-in-tests = true",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::fs::File",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::collections::HashMap",
    "std::collections::HashSet",
];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let first = tree.text(&format!("crates/{}/clippy.toml", SANS_IO[0]));
    for name in tree.crate_names().into_iter().filter(|name| SANS_IO.contains(name)) {
        for (path, source) in product_sources(tree, name) {
            scan(path, &source, report);
        }
        let path = format!("crates/{name}/clippy.toml");
        let text = tree.text(&path).unwrap_or("");
        for entry in CLIPPY_ENTRIES.iter().filter(|entry| !text.contains(*entry)) {
            report.fault(&path, 0, format!("does not name {entry}; sans-IO crates forbid it"));
        }
        if Some(text) != first {
            let first = SANS_IO[0];
            report.fault(&path, 0, format!("differs from crates/{first}/clippy.toml; copy it"));
        }
    }
}

fn scan(path: &str, source: &Source<'_>, report: &mut Report) {
    let tests = source.test_regions();
    let mut fault = |offset: usize, what: &str, remedy: &str| {
        if !tests.iter().any(|region| region.contains(&offset)) {
            let text = format!("`{what}` in a sans-IO crate; {remedy}");
            report.fault(path, source.line(offset), text);
        }
    };
    for (offset, word) in source.words() {
        if let Some((_, remedy)) = WORDS.iter().find(|(words, _)| words.contains(&word)) {
            fault(offset, word, remedy);
        }
    }
    for (beginning, remedy) in PATHS {
        for (offset, _) in source.code.match_indices(beginning) {
            let before = &source.code[..offset];
            let before = before.strip_suffix("::").unwrap_or(before);
            let inside_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !inside_word {
                fault(offset, beginning, remedy);
            }
        }
        for (offset, import) in source.imports() {
            if import.starts_with(beginning) {
                fault(offset, beginning, remedy);
            }
        }
    }
}
