//! What stands at the root of every crate.

use super::SANS_IO;
use crate::repo::Tree;
use crate::report::Report;
use crate::rust::Source;

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let crates = tree.crate_names().into_iter().map(|name| (name, format!("crates/{name}")));
    let suite = tree.text("conformance/Cargo.toml").map(|_| ("conformance", "conformance".into()));
    for (name, folder) in crates.chain(suite) {
        let library = format!("{folder}/src/lib.rs");
        let program = format!("{folder}/src/main.rs");
        let more = format!("{folder}/src/bin/");
        let programs = tree.matching(&more, ".rs").map(|(path, _)| path.to_owned());
        for path in [library.clone(), program].into_iter().chain(programs) {
            let Some(text) = tree.text(&path) else { continue };
            let source = Source::new(text);
            let code: String = source.code.split_whitespace().collect();
            if !code.contains("#![forbid(unsafe_code)]") {
                report.fault(&path, 1, "no #![forbid(unsafe_code)]; add it to the crate's root");
            }
            if path == library {
                check_library(&path, &source, &code, report);
            }
        }
        check_lints(tree, name, &folder, report);
    }
}

fn check_library(path: &str, source: &Source<'_>, code: &str, report: &mut Report) {
    if !code.contains("#![deny(missing_docs)]") {
        report.fault(path, 1, "no #![deny(missing_docs)]; add it to the library's root");
    }
    let doc: String = source
        .comments
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| format!("{} ", line.trim_start_matches("//!")))
        .collect();
    if !doc.split(|c: char| !c.is_alphanumeric()).any(|word| word == "never") {
        report.fault(path, 1, "the crate's doc does not say what it never does; add that sentence");
    }
}

/// Every crate takes the workspace's lints over; a manifest without it has none.
fn check_lints(tree: &Tree, name: &str, folder: &str, report: &mut Report) {
    let path = format!("{folder}/Cargo.toml");
    let text = tree.text(&path).unwrap_or("");
    let inherits = text.contains("[lints]\nworkspace = true");
    if !inherits {
        let kind = if SANS_IO.contains(&name) { "sans-IO crate" } else { "crate" };
        report.fault(&path, 0, format!("{kind} without [lints] workspace = true; add it"));
    }
}
