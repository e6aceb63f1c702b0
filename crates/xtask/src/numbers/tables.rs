//! The tables of the spec, and the numbers in their cells.

use super::expr::{Value, number};

/// A table of a Markdown file.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// The heading above it.
    pub(super) heading: &'a str,
    columns: Vec<&'a str>,
    pub(super) rows: Vec<Row<'a>>,
}

/// One row below the header.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) line: usize,
    cells: Vec<&'a str>,
}

impl<'a> Table<'a> {
    /// All tables of a file that have a header.
    pub(super) fn all(text: &'a str) -> Vec<Self> {
        let mut tables: Vec<Self> = Vec::new();
        let (mut heading, mut inside, mut fenced) = ("", false, false);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("```") {
                fenced = !fenced;
            }
            if fenced || !line.starts_with('|') {
                inside = false;
                if line.starts_with('#') && !fenced {
                    heading = line.trim_start_matches('#').trim();
                }
                continue;
            }
            let cells = cells(line);
            let ruler = cells.iter().all(|cell| cell.bytes().all(|b| b"-: ".contains(&b)));
            match tables.last_mut().filter(|_| inside) {
                Some(_) if ruler => {}
                Some(table) => table.rows.push(Row { line: index + 1, cells }),
                None => tables.push(Table { heading, columns: cells, rows: Vec::new() }),
            }
            inside = true;
        }
        tables
    }

    /// Whether the header has a column of this name.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// What stands in a row below a column.
    pub(super) fn cell(&self, row: &Row<'a>, column: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|name| *name == column)?;
        row.cells.get(at).copied()
    }
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.strip_prefix('|').unwrap_or(line);
    line.strip_suffix('|').unwrap_or(line).split('|').map(str::trim).collect()
}

/// The text of a cell without its backticks.
pub(super) fn bare(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// Whether a cell says that there is nothing.
pub(super) fn is_none(cell: &str) -> bool {
    matches!(cell, "" | "–" | "-" | "—")
}

/// What a value says with its unit: `67,017` and `bytes`, `256, 512`, `0x8001`,
/// `14` and `d`. The unit may stand behind the number too: `64 KiB`.
pub(super) fn value(cell: &str, unit: &str) -> Result<Value, String> {
    let parts: Vec<&str> = bare(cell).split(", ").collect();
    let mut values = Vec::new();
    for part in &parts {
        let mut words = part.split_whitespace();
        let digits = words.next().unwrap_or("");
        let unit = words.next().unwrap_or(unit);
        values.push(in_unit(number(&thousands(digits)?)?, unit)?);
    }
    if let [one] = &values[..] {
        return Ok(one.clone());
    }
    values
        .into_iter()
        .map(|value| match value {
            Value::Number(number) => Ok(number),
            other => Err(format!("{other} stands in a list of numbers")),
        })
        .collect::<Result<_, _>>()
        .map(Value::List)
}

/// Takes the commas between thousands out, and no others.
fn thousands(digits: &str) -> Result<String, String> {
    let mut groups = digits.split(',');
    let first = groups.next().unwrap_or("");
    let well = groups.clone().count() == 0
        || (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    if well { Ok(digits.replace(',', "")) } else { Err(format!("`{digits}` is no number")) }
}

fn in_unit(number: i128, unit: &str) -> Result<Value, String> {
    Ok(match unit {
        "" | "bytes" | "count" | "number" | "per s" => Value::Number(number),
        "KiB" => Value::Number(number * 1024),
        "MiB" => Value::Number(number * 1024 * 1024),
        "ms" => Value::Millis(number),
        "s" => Value::Millis(number * 1000),
        "min" => Value::Millis(number * 60_000),
        "h" => Value::Millis(number * 3_600_000),
        "d" | "days" => Value::Millis(number * 86_400_000),
        other => return Err(format!("`{other}` is no unit that the tables use")),
    })
}
