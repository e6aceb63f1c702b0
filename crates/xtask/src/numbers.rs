//! `cargo xtask numbers`: the spec against `model` and `proto`.
//!
//! `spec/registry.md` is the one list of numbers. A table with a column
//! `constant` is read here: every row against the constant that it names, and
//! every constant, label, enum value, field and method against the rows. What
//! the spec names in capitals has to be one of them.

mod consts;
mod expr;
mod names;
mod proto;
mod rows;
mod shapes;
mod tables;

use crate::repo::{self, Tree};
use crate::report::{Outcome, Report};
use consts::Constants;
use proto::Protos;

#[derive(clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options) -> Outcome {
    let tree = Tree::load(&repo::root()?)?;
    let mut report = Report::default();
    check(&tree, &mut report);
    Ok(report.finish("numbers"))
}

/// Where everything has its row.
const REGISTRY: &str = "spec/registry.md";

/// Written by a program, not by us.
const GENERATED: &[&str] = &["spec/COVERAGE.md"];

fn check(tree: &Tree, report: &mut Report) {
    let constants = Constants::read(tree);
    let protos = Protos::read(tree);
    rows::check(tree, &constants, &protos, report);
    names::check(tree, &constants, &protos, report);
}

/// The documents of the spec.
fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.matching("spec/", ".md").filter(|(path, _)| !GENERATED.contains(path))
}

#[cfg(test)]
mod tests;
