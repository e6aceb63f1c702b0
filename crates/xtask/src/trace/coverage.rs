//! `spec/COVERAGE.md`: the trace as tables that a reader can follow.
//!
//! It names files and tests but no lines, so it changes only when what is
//! covered changes.

use std::collections::BTreeSet;
use std::fmt;

use super::exceptions::Kind;
use super::spec::{Id, Keyword, Requirement};
use super::{Links, Trace};
use crate::repo::Tree;
use crate::report::Report;

pub(super) const PATH: &str = "spec/COVERAGE.md";

/// Counts over all requirements.
pub(super) struct Summary {
    rows: [(&'static str, [usize; 3]); 4],
}

impl Summary {
    pub(super) fn of(trace: &Trace) -> Self {
        let count = |holds: &dyn Fn(&Id) -> bool| {
            let mut counts = [0; 3];
            for (_, requirement) in trace.spec.requirements.iter().filter(|(id, _)| holds(id)) {
                counts[column(requirement.keyword)] += 1;
            }
            counts
        };
        let excepted = |id: &Id, unobservable: bool| {
            let entry = trace.exceptions.entries.get(id);
            entry.is_some_and(|e| (e.kind == Kind::Unobservable) == unobservable)
        };
        Self {
            rows: [
                ("requirements", count(&|_| true)),
                ("with a test", count(&|id| trace.is_tested(id))),
                ("unobservable", count(&|id| excepted(id, true))),
                ("planned", count(&|id| excepted(id, false))),
            ],
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "|              | MUST (NOT) | SHOULD (NOT) | MAY |")?;
        write!(f, "|--------------|-----------:|-------------:|----:|")?;
        for (name, [must, should, may]) in &self.rows {
            write!(f, "\n| {name:<12} | {must:>10} | {should:>12} | {may:>3} |")?;
        }
        Ok(())
    }
}

const fn column(keyword: Keyword) -> usize {
    match keyword {
        Keyword::Must | Keyword::MustNot => 0,
        Keyword::Should | Keyword::ShouldNot => 1,
        Keyword::May => 2,
    }
}

/// The whole document.
pub(super) fn render(trace: &Trace) -> String {
    let mut text = format!(
        "# Coverage\n\nWritten by `cargo xtask trace --write`. Code: files with a mark. Tests: \
         package and test, or vectors in `spec/vectors/`.\n\n{}\n",
        Summary::of(trace)
    );
    let documents: BTreeSet<&str> =
        trace.spec.requirements.values().map(|r| r.path.as_str()).collect();
    for document in documents {
        let name = document.strip_prefix("spec/").unwrap_or(document);
        text.push_str(&format!("\n## [{name}]({name})\n\n| id | keyword | code | tests |\n"));
        text.push_str("|---|---|---|---|\n");
        for (id, requirement) in &trace.spec.requirements {
            if requirement.path == document {
                row(&mut text, trace, id, requirement);
            }
        }
    }
    text
}

fn row(text: &mut String, trace: &Trace, id: &Id, requirement: &Requirement) {
    let nothing = Links::default();
    let links = trace.links.get(id).unwrap_or(&nothing);
    let files: BTreeSet<&str> = links.code.iter().map(|(path, _)| path.as_str()).collect();
    let code = files.into_iter().map(|path| {
        let short = path.strip_prefix("crates/").unwrap_or(path);
        format!("`{short}`")
    });
    let mut tests: Vec<String> = links.tests.iter().map(|test| format!("`{test}`")).collect();
    for (path, vectors) in &links.vectors {
        let name = path.strip_prefix("spec/").unwrap_or(path);
        tests.push(format!("`{name}`: {}", vectors.ids.join(", ")));
    }
    if let Some(exception) = trace.exceptions.entries.get(id) {
        tests.push(match &exception.kind {
            Kind::Unobservable => "unobservable".to_owned(),
            Kind::Planned { area } => format!("planned: {area}"),
        });
    }
    let cell = |parts: Vec<String>| {
        if parts.is_empty() { "–".to_owned() } else { parts.join("<br>") }
    };
    let (code, tests) = (cell(code.collect()), cell(tests));
    text.push_str(&format!("| {id} | {} | {code} | {tests} |\n", requirement.keyword));
}

pub(super) fn check(tree: &Tree, table: &str, report: &mut Report) {
    if tree.text(PATH) != Some(table) {
        report.fault(PATH, 0, "is not what the tree says; run `cargo xtask trace --write`");
    }
}
