//! The registry's rows of protobuf fields and of methods.

use std::collections::BTreeSet;

use super::REGISTRY;
use super::proto::Protos;
use super::tables::{Row, Table, bare, is_none};
use crate::report::Report;

/// What the tables of the registry listed so far.
pub(super) struct Shapes<'a> {
    protos: &'a Protos,
    /// Message and number.
    fields: BTreeSet<(String, i128)>,
    /// Message and the numbers kept free.
    free: Vec<(String, i128, i128)>,
    /// Service and method.
    methods: BTreeSet<(String, String)>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(protos: &'a Protos) -> Self {
        Self { protos, fields: BTreeSet::new(), free: Vec::new(), methods: BTreeSet::new() }
    }

    /// Rows `message | number | field`; without a field, numbers that are kept free.
    pub(super) fn check_fields(&mut self, table: &Table<'_>, report: &mut Report) {
        for row in &table.rows {
            if let Err(text) = self.check_field(table, row) {
                report.fault(REGISTRY, row.line, text);
            }
        }
    }

    fn check_field(&mut self, table: &Table<'_>, row: &Row<'_>) -> Result<(), String> {
        let [message, numbers, field] = ["message", "number", "field"]
            .map(|column| bare(table.cell(row, column).unwrap_or("")));
        if is_none(field) {
            // A message without fields has one row that says so.
            if is_none(numbers) {
                return Ok(());
            }
            let (from, to) =
                range(numbers).ok_or_else(|| format!("`{numbers}` is no range; write a..=b"))?;
            self.free.push((message.to_owned(), from, to));
            let of = |number: i128| (message.to_owned(), number);
            return match self.protos.fields.range(of(from)..=of(to)).next() {
                Some(((_, number), (name, _))) => {
                    Err(format!("{message} {number} is kept free and is {name}; choose"))
                }
                None => Ok(()),
            };
        }
        let number: i128 =
            numbers.parse().map_err(|_| format!("`{numbers}` is no number of a field; mend it"))?;
        let key = (message.to_owned(), number);
        let new = self.fields.insert(key.clone());
        match self.protos.fields.get(&key) {
            Some((name, _)) if name == field => {}
            Some((name, (file, line))) => {
                return Err(format!(
                    "{message} {number} is {name} ({file}:{line}), not {field}; make them one"
                ));
            }
            None => return Err(format!("{message} has no field {number}; mend or remove the row")),
        }
        if new { Ok(()) } else { Err(format!("{message} {number} stands twice; leave one")) }
    }

    /// Rows `method | kind` below a heading that names the service.
    pub(super) fn check_methods(&mut self, table: &Table<'_>, report: &mut Report) {
        let service = table.heading.split('`').nth(1).unwrap_or("");
        for row in &table.rows {
            let method = bare(table.cell(row, "method").unwrap_or(""));
            let kind = table.cell(row, "kind").unwrap_or("");
            let key = (service.to_owned(), method.to_owned());
            let text = match self.protos.methods.get(&key) {
                Some((held, _)) if *held == kind => None,
                Some((held, (file, line))) => {
                    Some(format!("{method} is {held} ({file}:{line}), not {kind}; make them one"))
                }
                None => Some(format!("`{service}` has no {method}; mend the row")),
            };
            if let Some(text) = text {
                report.fault(REGISTRY, row.line, text);
            }
            self.methods.insert(key);
        }
    }

    /// What stands in proto and in no row.
    pub(super) fn check_rest(&self, report: &mut Report) {
        for (key, (name, (file, line))) in &self.protos.fields {
            if !self.fields.contains(key) {
                let text = format!("{}.{name} has no row in {REGISTRY}; add one", key.0);
                report.fault(file, *line, text);
            }
        }
        for (message, numbers, (file, line)) in &self.protos.reserved {
            let covered = self.free.iter().any(|(of, from, to)| {
                of == message && from <= numbers.start() && numbers.end() <= to
            });
            if !covered {
                let text = format!("what {message} reserves has no row in {REGISTRY}; add one");
                report.fault(file, *line, text);
            }
        }
        for (key, (_, (file, line))) in &self.protos.methods {
            if !self.methods.contains(key) {
                let text = format!("{}.{} has no row in {REGISTRY}; add one", key.0, key.1);
                report.fault(file, *line, text);
            }
        }
    }
}

/// `6..=15` or one number.
fn range(text: &str) -> Option<(i128, i128)> {
    match text.split_once("..=") {
        Some((from, to)) => Some((from.trim().parse().ok()?, to.trim().parse().ok()?)),
        None => text.parse().ok().map(|one| (one, one)),
    }
}
