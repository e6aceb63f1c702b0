//! The rows of the registry, one by one, and what has none.

use std::collections::{BTreeMap, BTreeSet};

use super::consts::Constants;
use super::expr::Value;
use super::proto::Protos;
use super::shapes::Shapes;
use super::tables::{self, Row, Table, bare, is_none};
use super::{REGISTRY, documents};
use crate::repo::Tree;
use crate::report::Report;

pub(super) fn check(tree: &Tree, constants: &Constants, protos: &Protos, report: &mut Report) {
    let mut seen = Seen { constants, protos, named: BTreeMap::new(), report };
    let mut shapes = Shapes::new(protos);
    for (path, text) in documents(tree) {
        for table in Table::all(text) {
            if table.has("constant") {
                seen.check_constants(path, &table);
            } else if path == REGISTRY && table.has("message") && table.has("fields") {
                shapes.check_fields(&table, seen.report);
            } else if path == REGISTRY && table.has("from") && table.has("to") {
                shapes.check_reserved(&table, constants, seen.report);
            } else if path == REGISTRY && table.has("method") {
                shapes.check_methods(&table, seen.report);
            }
        }
    }
    seen.check_rest();
    shapes.check_rest(seen.report);
}

struct Seen<'a> {
    constants: &'a Constants,
    protos: &'a Protos,
    /// Constants that have a row, and where.
    named: BTreeMap<String, (String, usize)>,
    report: &'a mut Report,
}

impl Seen<'_> {
    fn check_constants(&mut self, path: &str, table: &Table<'_>) {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut free = Vec::new();
        for row in &table.rows {
            let constant = table.cell(row, "constant").unwrap_or("");
            let value = table.cell(row, "value").unwrap_or("");
            if is_none(constant) {
                free.push((row.line, value.to_owned()));
                continue;
            }
            if let Err(text) = self.check_row(path, table, row, bare(constant)) {
                self.report.fault(path, row.line, text);
            }
            taken.insert(value.to_owned());
        }
        for (line, value) in free {
            if !is_none(&value) && table.heading.contains('`') && taken.contains(&value) {
                self.report.fault(path, line, format!("{value} is kept free and given; choose"));
            }
        }
    }

    fn check_row(
        &mut self,
        path: &str,
        table: &Table<'_>,
        row: &Row<'_>,
        constant: &str,
    ) -> Result<(), String> {
        let place = (path.to_owned(), row.line);
        if let Some((other, line)) = self.named.insert(constant.to_owned(), place) {
            return Err(format!("{constant} has a row at {other}:{line} too; leave one"));
        }
        let name = bare(table.cell(row, "name").unwrap_or(""));
        if let Some((number, (file, line))) = self.protos.values.get(constant) {
            named_alike(name, constant)?;
            let said = tables::value(table.cell(row, "value").unwrap_or(""), "")?;
            return same(&said, &Value::Number(*number), constant, file, *line);
        }
        let Some(found) = self.constants.get(constant) else {
            return Err(format!("{constant} is no constant of ours; mend the name or the row"));
        };
        let held = self
            .constants
            .value(constant)
            .map_err(|why| format!("{constant} ({}:{}): {why}", found.file, found.line))?;
        let said = if constant.starts_with("label::") {
            named_alike(name, constant)?;
            Value::Bytes(format!("tortalk/v1/{name}\0"))
        } else {
            let unit = table.cell(row, "unit").filter(|cell| !is_none(cell)).unwrap_or("");
            let said = tables::value(table.cell(row, "value").unwrap_or(""), unit)?;
            match (said, &held) {
                // Seconds that the wire counts are a plain number in code.
                (Value::Millis(millis), Value::Number(_)) if unit == "s" => {
                    Value::Number(millis / 1000)
                }
                // A list of one is written like a number.
                (Value::Number(one), Value::List(_)) => Value::List(vec![one]),
                (said, _) => said,
            }
        };
        same(&said, &held, constant, &found.file, found.line)
    }

    /// What has no row and should have one.
    fn check_rest(&mut self) {
        for (path, constant) in self.constants.iter().filter(|(_, constant)| constant.owed) {
            if !self.named.contains_key(path) {
                let text = format!("{path} has no row in {REGISTRY}; add one");
                self.report.fault(&constant.file, constant.line, text);
            }
        }
        for (name, (_, (file, line))) in &self.protos.values {
            if !self.named.contains_key(name) {
                let text = format!("{name} has no row in {REGISTRY}; add one");
                self.report.fault(file, *line, text);
            }
        }
    }
}

fn same(said: &Value, held: &Value, name: &str, file: &str, line: usize) -> Result<(), String> {
    if said == held {
        return Ok(());
    }
    Err(format!("says {said}, and {name} is {held} ({file}:{line}); make them one"))
}

/// `sign/card` goes with `label::SIGN_CARD`, `Auth` with `FRAME_TYPE_AUTH`.
fn named_alike(name: &str, constant: &str) -> Result<(), String> {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
    };
    if letters(constant).ends_with(&letters(name)) && !name.is_empty() {
        Ok(())
    } else {
        Err(format!("`{name}` and {constant} are two names; mend one"))
    }
}
