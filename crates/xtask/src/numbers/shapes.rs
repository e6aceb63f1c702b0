//! The registry's rows of protobuf fields, of methods and of what is kept free.

use std::collections::BTreeSet;

use super::REGISTRY;
use super::consts::Constants;
use super::expr::{Value, number};
use super::proto::Protos;
use super::tables::{Table, bare};
use crate::report::Report;

/// What the tables of the registry listed so far.
pub(super) struct Shapes<'a> {
    protos: &'a Protos,
    messages: BTreeSet<String>,
    /// Service and method.
    methods: BTreeSet<(String, String)>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(protos: &'a Protos) -> Self {
        Self { protos, messages: BTreeSet::new(), methods: BTreeSet::new() }
    }

    /// Rows `message | fields | free from`, such as `Auth | 1 identity · 2 version | 3`.
    pub(super) fn check_fields(&mut self, table: &Table<'_>, report: &mut Report) {
        for row in &table.rows {
            let message = bare(table.cell(row, "message").unwrap_or(""));
            let said = table.cell(row, "fields").unwrap_or("");
            let held = self.fields_of(message);
            let text = match held {
                None => Some(format!("there is no message {message}; mend or remove the row")),
                Some(held) if held.0 != said => {
                    Some(format!("{message} has the fields {}; make them one", held.0))
                }
                // What was given and withdrawn is not given again, so more may be kept.
                Some(held) => match table.cell(row, "free from").unwrap_or("").parse::<i128>() {
                    Ok(free) if free > held.1 => None,
                    _ => Some(format!("{message} is not free from there; {} is its last", held.1)),
                },
            };
            if let Some(text) = text {
                report.fault(REGISTRY, row.line, text);
            }
            if !self.messages.insert(message.to_owned()) {
                report.fault(REGISTRY, row.line, format!("{message} stands twice; leave one"));
            }
        }
    }

    /// The fields of a message as a row lists them, and the last number.
    fn fields_of(&self, message: &str) -> Option<(String, i128)> {
        self.protos.messages.get(message)?;
        let of = |number: i128| (message.to_owned(), number);
        let fields: Vec<(i128, &str)> = self
            .protos
            .fields
            .range(of(0)..=of(i128::MAX))
            .map(|((_, number), (name, _))| (*number, name.as_str()))
            .collect();
        let last = fields.last().map_or(0, |(number, _)| *number);
        let texts: Vec<_> = fields.iter().map(|(n, name)| format!("{n} {name}")).collect();
        Some((if texts.is_empty() { "–".to_owned() } else { texts.join(" · ") }, last))
    }

    /// Rows `name | from | to | for`: no code lies in a range that is kept free.
    pub(super) fn check_reserved(
        &self,
        table: &Table<'_>,
        constants: &Constants,
        report: &mut Report,
    ) {
        for row in &table.rows {
            let name = table.cell(row, "name").unwrap_or("");
            let [from, to] =
                ["from", "to"].map(|end| number(bare(table.cell(row, end).unwrap_or(""))));
            let (Ok(from), Ok(to)) = (from, to) else { continue };
            let prefix = name.replace(' ', "_").to_ascii_uppercase() + "_";
            let mut given: Vec<(&str, i128)> = self
                .protos
                .values
                .iter()
                .filter(|(code, _)| code.starts_with(&prefix))
                .map(|(code, (value, _))| (code.as_str(), *value))
                .collect();
            if name == "body type" {
                let codes = constants.iter().filter(|(path, _)| path.contains("::BodyType::"));
                given.extend(codes.filter_map(|(path, _)| match constants.value(path) {
                    Ok(Value::Number(value)) => Some((path, value)),
                    _ => None,
                }));
            }
            for (code, value) in given {
                if (from..=to).contains(&value) {
                    let text = format!("{code} is {value} and lies in what is kept free; choose");
                    report.fault(REGISTRY, row.line, text);
                }
            }
        }
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
        for (message, (file, line)) in &self.protos.messages {
            if !self.messages.contains(message) {
                let text = format!("{message} has no row in {REGISTRY}; add one");
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
