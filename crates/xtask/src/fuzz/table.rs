//! The table in docs/fuzzing.md: read, added to, written again.

use std::collections::BTreeMap;

use super::session::Run;

const HEAD: &str = "| target | executions | minutes | edges | inputs | bytes | crashes |";
const RULE: &str = "|---|---:|---:|---:|---:|---:|---:|";

/// What stands about one target.
#[derive(Debug, Clone, Default, PartialEq)]
struct Row {
    /// Of all runs together.
    executions: u64,
    /// Of all runs together.
    minutes: f64,
    /// Of the last run, as the next two.
    edges: u64,
    inputs: u64,
    bytes: u64,
    /// All that were ever found.
    crashes: u64,
}

/// The figures and the text around them.
#[derive(Debug)]
pub(super) struct Table {
    before: String,
    rows: BTreeMap<String, Row>,
    after: String,
}

impl Table {
    /// Reads the whole document.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (before, rest) =
            text.split_once(HEAD).ok_or("docs/fuzzing.md has no table: it was there once")?;
        let mut rows = BTreeMap::new();
        let mut after = String::new();
        let mut inside = true;
        for line in rest.trim_start_matches('\n').lines() {
            inside &= line.starts_with('|');
            if !inside {
                after.push_str(line);
                after.push('\n');
            } else if let Some((name, row)) = read_row(line)? {
                rows.insert(name, row);
            }
        }
        Ok(Self { before: before.to_owned(), rows, after })
    }

    /// Adds a run. Executions and minutes are of all runs, the rest of this one.
    pub(super) fn add(&mut self, name: &str, run: &Run) {
        let row = self.rows.entry(name.to_owned()).or_default();
        row.executions += run.executions;
        row.minutes += run.minutes;
        row.edges = run.edges;
        row.inputs = run.inputs;
        row.bytes = run.bytes;
        row.crashes = run.crashes;
    }

    /// The whole document, with the targets that there are.
    pub(super) fn to_text(&self, known: &[String]) -> String {
        let mut text = format!("{}{HEAD}\n{RULE}\n", self.before);
        let mut all = Row::default();
        for name in known {
            let row = self.rows.get(name).cloned().unwrap_or_default();
            text.push_str(&write_row(&format!("`{name}`"), &row));
            all.executions += row.executions;
            all.minutes += row.minutes;
            all.inputs += row.inputs;
            all.bytes += row.bytes;
            all.crashes += row.crashes;
        }
        text.push_str(&write_row("all", &all).replace(" | 0 | ", " | | "));
        text.push_str(&self.after);
        text
    }
}

fn write_row(name: &str, row: &Row) -> String {
    let Row { executions, minutes, edges, inputs, bytes, crashes } = row;
    format!("| {name} | {executions} | {minutes:.1} | {edges} | {inputs} | {bytes} | {crashes} |\n")
}

/// A target's row; `None` for what is none.
fn read_row(line: &str) -> Result<Option<(String, Row)>, String> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let Some(name) = cells[0].strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
        return Ok(None);
    };
    let bad = || format!("docs/fuzzing.md: the row of {name} cannot be read");
    let number = |at: usize| cells.get(at).and_then(|cell| cell.parse().ok()).ok_or_else(bad);
    let minutes = cells.get(2).and_then(|cell| cell.parse().ok()).ok_or_else(bad)?;
    let row = Row {
        executions: number(1)?,
        minutes,
        edges: number(3)?,
        inputs: number(4)?,
        bytes: number(5)?,
        crashes: number(6)?,
    };
    Ok(Some((name.to_owned(), row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_and_the_text_around_stays() {
        let text = format!("# Head\n\n{HEAD}\n{RULE}\n| all | 0 | 0 | 0 | 0 | 0 | 0 |\n\nTail.\n");
        let known = ["a".to_owned(), "b".to_owned()];
        let run = Run {
            executions: 5,
            minutes: 1.5,
            edges: 7,
            inputs: 2,
            bytes: 30,
            crashes: 1,
            crashed: false,
        };
        let mut table = Table::parse(&text).expect("a document");
        table.add("a", &run);
        let once = table.to_text(&known);
        let mut table = Table::parse(&once).expect("its own text");
        table.add("a", &Run { edges: 9, ..run });
        let twice = table.to_text(&known);
        assert!(twice.starts_with("# Head\n\n| target"));
        assert!(twice.contains("| `a` | 10 | 3.0 | 9 | 2 | 30 | 1 |\n| `b` | 0 | 0.0 | 0 |"));
        assert!(twice.ends_with("| all | 10 | 3.0 | | 2 | 30 | 1 |\n\nTail.\n"), "{twice}");
        assert!(Table::parse("nothing").is_err());
        assert!(Table::parse(&twice.replace("| 10 |", "| x |")).is_err());
    }
}
