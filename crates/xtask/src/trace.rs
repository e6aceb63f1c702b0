//! `cargo xtask trace`: every requirement of the spec and what proves it.
//!
//! ```text
//! spec/*.md        **[GSP-12]** A node MUST …        what is required
//! crates/**.rs     // req: GSP-12                    where it is done, which test shows it
//! spec/vectors/    "req": ["GSP-12"]                 cases that a test runs
//! spec/exceptions.toml                               what is not tested, and why
//! spec/requirements.lock                             the sentence that the tests were read against
//! spec/COVERAGE.md                                   all of it in tables, generated
//! ```

mod coverage;
mod exceptions;
mod lock;
mod marks;
mod references;
mod spec;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::repo::{self, Tree};
use crate::report::{Outcome, Report};
use exceptions::Exceptions;
use lock::Lock;
#[cfg(test)]
use marks::locate;
pub(crate) use marks::{Target, Test};
pub(crate) use spec::Id;
use spec::Spec;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write spec/COVERAGE.md instead of comparing it
    #[arg(long)]
    write: bool,
    /// Record the sentences of these requirements as read again with their tests
    #[arg(long, num_args = 0.., value_name = "ID")]
    bless: Option<Vec<Id>>,
    /// With --bless: all requirements
    #[arg(long, requires = "bless")]
    all: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let root = repo::root()?;
    let tree = Tree::load(&root)?;
    let mut report = Report::default();
    let trace = Trace::collect(&tree, &mut report);
    let mut lock = Lock::read(&tree, &mut report);
    if let Some(ids) = &options.bless {
        lock.bless(&trace.spec, ids, options.all)?;
        write(&root, lock::PATH, &lock.to_text())?;
    }
    lock.check(&trace.spec, &mut report);
    trace.check(&mut report);
    references::check(&trace, &tree, &mut report);
    let table = coverage::render(&trace);
    if options.write {
        write(&root, coverage::PATH, &table)?;
    } else {
        coverage::check(&tree, &table, &mut report);
    }
    println!("{}", coverage::Summary::of(&trace));
    Ok(report.finish("trace"))
}

fn write(root: &Path, path: &str, text: &str) -> Outcome<()> {
    fs::write(root.join(path), text).map_err(|e| format!("cannot write {path}: {e}"))
}

/// Everything that the tree says about requirements.
pub(crate) struct Trace {
    spec: Spec,
    exceptions: Exceptions,
    links: BTreeMap<Id, Links>,
}

/// What points at one requirement.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Marks in code: path and line.
    pub(crate) code: BTreeSet<(String, usize)>,
    /// Tests with a mark.
    pub(crate) tests: BTreeSet<Test>,
    /// Vectors by file, and the test that runs the file.
    pub(crate) vectors: BTreeMap<String, VectorLinks>,
}

/// Vectors of one file for one requirement.
#[derive(Debug, Default)]
pub(crate) struct VectorLinks {
    /// Ids within the file.
    pub(crate) ids: Vec<String>,
    /// Tests that run the file; empty is reported as a fault.
    pub(crate) runners: BTreeSet<Test>,
}

impl Links {
    /// Whether a test of any kind fails when the requirement is broken.
    pub(crate) fn is_tested(&self) -> bool {
        !self.tests.is_empty() || self.vectors.values().any(|v| !v.runners.is_empty())
    }
}

impl Trace {
    /// Reads spec, marks, vectors and exceptions.
    pub(crate) fn collect(tree: &Tree, report: &mut Report) -> Self {
        let spec = Spec::read(tree, report);
        let exceptions = Exceptions::read(tree, report);
        let mut links: BTreeMap<Id, Links> = BTreeMap::new();
        let mut known = |id: &Id, path: &str, line: usize| {
            if spec.withdrawn.contains_key(id) {
                report.fault(path, line, format!("{id} is withdrawn; remove the mark"));
            } else if !spec.requirements.contains_key(id) {
                report.fault(
                    path,
                    line,
                    format!("{id} is not in the spec; write it or mend the id"),
                );
            }
        };
        let marks = marks::collect(tree);
        for mark in marks.found {
            known(&mark.id, &mark.path, mark.line);
            let links = links.entry(mark.id).or_default();
            match mark.test {
                Some(test) => links.tests.insert(test),
                None => links.code.insert((mark.path, mark.line)),
            };
        }
        let vectors = vectors::collect(tree);
        for (path, file) in vectors.files {
            for (id, req) in &file.vectors {
                for req in req {
                    known(req, &path, 0);
                    let links = links.entry(req.clone()).or_default();
                    let entry = links.vectors.entry(path.clone()).or_default();
                    entry.ids.push(id.clone());
                    entry.runners.extend(file.runners.iter().cloned());
                }
            }
        }
        for (path, line, text) in marks.faults.into_iter().chain(vectors.faults) {
            report.fault(&path, line, text);
        }
        Self { spec, exceptions, links }
    }

    /// What points at a requirement.
    pub(crate) fn links(&self) -> &BTreeMap<Id, Links> {
        &self.links
    }

    fn is_tested(&self, id: &Id) -> bool {
        self.links.get(id).is_some_and(Links::is_tested)
    }

    /// Every MUST has a test or an exception, and no exception is idle.
    fn check(&self, report: &mut Report) {
        for (id, requirement) in &self.spec.requirements {
            if requirement.keyword.is_must()
                && !self.is_tested(id)
                && !self.exceptions.entries.contains_key(id)
            {
                report.fault(
                    &requirement.path,
                    requirement.line,
                    format!(
                        "{id} has no test; mark one with `// req: {id}` or give the reason in {}",
                        exceptions::PATH
                    ),
                );
            }
        }
        for (id, exception) in &self.exceptions.entries {
            let problem = match self.spec.requirements.get(id) {
                None => format!("{id} is not in the spec; remove the exception"),
                Some(_) if self.is_tested(id) => format!("{id} has a test; remove the exception"),
                Some(r) if !r.keyword.is_must() => {
                    format!("{id} is no MUST and needs no test; remove the exception")
                }
                Some(_) => continue,
            };
            report.fault(exceptions::PATH, exception.line, problem);
        }
        let musts = self.spec.requirements.values().filter(|r| r.keyword.is_must()).count();
        let unobservable = self.exceptions.unobservable();
        if unobservable * 20 > musts {
            report.fault(
                exceptions::PATH,
                0,
                format!(
                    "{unobservable} of {musts} MUSTs are unobservable, more than 5 %; \
                     find what shows them"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests;
