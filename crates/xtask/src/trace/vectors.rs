//! The files in `spec/vectors/` and the tests that run them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::marks::{Test, locate};
use super::spec::Id;
use crate::repo::Tree;
use crate::rust::{Source, is_test_path};

/// One file of vectors.
#[derive(Debug, Default)]
pub(super) struct VectorFile {
    /// Ids of vectors with what they show.
    pub(super) vectors: Vec<(String, Vec<Id>)>,
    /// Tests that name the file.
    pub(super) runners: BTreeSet<Test>,
}

/// Files by path, and what is wrong with them: path, line, text.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    pub(super) files: BTreeMap<String, VectorFile>,
    pub(super) faults: Vec<(String, usize, String)>,
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    req: Vec<String>,
}

pub(super) fn collect(tree: &Tree) -> Vectors {
    let mut vectors = Vectors::default();
    for (path, text) in tree.matching("spec/vectors/", ".json") {
        let mut fault = |text: String| vectors.faults.push((path.to_owned(), 0, text));
        let file: File = match serde_json::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                fault(format!("{error}; write it with UPDATE_VECTORS=1"));
                continue;
            }
        };
        let mut entry = VectorFile { runners: runners(tree, path), ..VectorFile::default() };
        if entry.runners.is_empty() {
            fault("no test in crates/ names this file; run it in one or remove it".to_owned());
        }
        for row in file.vectors {
            if row.req.is_empty() {
                fault(format!("vector {} shows no requirement; name one in `req`", row.id));
            }
            let ids = row.req.iter().filter_map(|id| match id.parse() {
                Ok(id) => Some(id),
                Err(problem) => {
                    fault(format!("vector {}: {problem}", row.id));
                    None
                }
            });
            entry.vectors.push((row.id.clone(), ids.collect()));
        }
        vectors.files.insert(path.to_owned(), entry);
    }
    vectors
}

/// The tests in whose code the file's name stands as a string.
fn runners(tree: &Tree, path: &str) -> BTreeSet<Test> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let literal = format!("{name}\"");
    let mut found = BTreeSet::new();
    for (path, text) in tree.matching("crates/", ".rs") {
        // The kit and this program name files in their own examples.
        let ours = ["crates/testkit/", "crates/xtask/"].iter().any(|own| path.starts_with(own));
        if ours || !text.contains(&literal) {
            continue;
        }
        let source = Source::new(text);
        let regions = source.test_regions();
        let functions = source.functions();
        for (at, _) in text.match_indices(&literal) {
            let before = text[..at].chars().next_back();
            let in_comment = source.comments.as_bytes()[at] != b' ';
            let in_tests = is_test_path(path) || regions.iter().any(|r| r.contains(&at));
            if !matches!(before, Some('"' | '/')) || in_comment || !in_tests {
                continue;
            }
            let function = functions.iter().find(|f| f.is_test && f.body.contains(&at));
            let mut test = match function {
                Some(function) => {
                    let mut modules = source.modules_around(function.body.start);
                    modules.push(function.name.clone());
                    locate(tree, path, modules)
                }
                None => locate(tree, path, Vec::new()),
            };
            if function.is_none() {
                test.name = None;
            }
            found.insert(test);
        }
    }
    found
}
