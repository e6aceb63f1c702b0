//! `// req: …` marks in Rust code.

use std::fmt;

use super::spec::Id;
use crate::repo::Tree;
use crate::rust::{Source, is_test_path};

/// Folders in which marks count.
const FOLDERS: &[&str] = &["crates/", "conformance/", "fuzz/"];

/// A build target that holds tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// Unit tests of the library.
    Library,
    /// Unit tests of a program.
    Programs,
    /// A file or folder in `tests/`.
    Test(String),
}

/// A test, or all tests of a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    /// Folder of the package below `crates/`.
    pub(crate) package: String,
    pub(crate) target: Target,
    /// Modules and function as the test harness prints them; `None` means all.
    pub(crate) name: Option<String>,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        if let Target::Test(name) = &self.target {
            write!(f, "/tests/{name}")?;
        }
        match &self.name {
            Some(name) => write!(f, ": {name}"),
            None => Ok(()),
        }
    }
}

/// One id in one mark.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) id: Id,
    pub(super) path: String,
    pub(super) line: usize,
    /// The test that it stands on or in; `None` is product code.
    pub(super) test: Option<Test>,
}

/// Marks, and what is wrong with others: path, line, text.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) found: Vec<Mark>,
    pub(super) faults: Vec<(String, usize, String)>,
}

pub(super) fn collect(tree: &Tree) -> Marks {
    let mut marks = Marks::default();
    for (path, text) in tree.matching("", ".rs") {
        if FOLDERS.iter().any(|f| path.starts_with(f)) && text.contains("req:") {
            read_file(tree, path, text, &mut marks);
        }
    }
    marks
}

fn read_file(tree: &Tree, path: &str, text: &str, marks: &mut Marks) {
    let source = Source::new(text);
    let functions = source.functions();
    let regions = source.test_regions();
    let mut offset = 0;
    for (index, comment) in source.comments.split_inclusive('\n').enumerate() {
        let line = index + 1;
        let at = offset + (comment.len() - comment.trim_start().len());
        offset += comment.len();
        let Some(ids) = comment.trim().strip_prefix("// req:") else { continue };
        let function = functions.iter().find(|f| f.is_test && f.item.contains(&at));
        let in_test_code = is_test_path(path) || regions.iter().any(|r| r.contains(&at));
        if function.is_none() && in_test_code {
            let text = "the mark stands on no test; put it above #[test]".to_owned();
            marks.faults.push((path.to_owned(), line, text));
            continue;
        }
        let test = function.map(|function| {
            let mut modules = source.modules_around(function.body.start);
            modules.push(function.name.clone());
            locate(tree, path, modules)
        });
        for id in ids.split(',') {
            match id.trim().parse() {
                Ok(id) => {
                    let test = test.clone();
                    marks.found.push(Mark { id, path: path.to_owned(), line, test });
                }
                Err(problem) => marks.faults.push((path.to_owned(), line, problem)),
            }
        }
    }
}

/// The test whose inline modules and name are `inner` in the file at `path`.
pub(super) fn locate(tree: &Tree, path: &str, inner: Vec<String>) -> Test {
    let below = path.strip_prefix("crates/").unwrap_or(path);
    let (package, file) = below.split_once('/').unwrap_or((below, ""));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut parts: Vec<&str> = stem.split('/').collect();
    let has = |file: &str| tree.text(&format!("crates/{package}/{file}")).is_some();
    let target = match parts.first().copied() {
        Some("tests") => {
            parts.remove(0);
            let name = parts.first().map_or_else(String::new, |name| (*name).to_owned());
            parts.drain(..1.min(parts.len()));
            Target::Test(name)
        }
        _ => {
            parts.drain(..1.min(parts.len()));
            if parts == ["main"] || parts.first() == Some(&"bin") || !has("src/lib.rs") {
                Target::Programs
            } else {
                Target::Library
            }
        }
    };
    if matches!(parts.last().copied(), Some("lib" | "main" | "mod")) {
        parts.pop();
    }
    let modules = parts.into_iter().map(str::to_owned).chain(inner).collect::<Vec<_>>();
    let name = if modules.is_empty() { None } else { Some(modules.join("::")) };
    Test { package: package.to_owned(), target, name }
}
