//! What stands on the terminal: messages, and below them the line being typed.
//!
//! A message whose state changes is drawn again in its place, with everything
//! below it. That needs to know how many rows everything takes. Where that is
//! not known, the change is appended instead.

use unicode_width::UnicodeWidthChar as _;

use crate::text;

/// Entries that can still be drawn again.
const ENTRIES_MAX: usize = 200;
const PROMPT: &str = "> ";

/// The screen.
#[derive(Debug)]
pub(super) struct Screen {
    columns: usize,
    rows: usize,
    entries: Vec<Entry>,
    typed: String,
}

#[derive(Debug)]
struct Entry {
    id: Option<String>,
    lines: Vec<String>,
}

impl Screen {
    pub(super) const fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, entries: Vec::new(), typed: String::new() }
    }

    /// Draws lines above the one being typed.
    pub(super) fn print(&mut self, id: Option<&str>, lines: Vec<String>) -> String {
        let drawn = format!("\r\x1b[J{}{}", joined(&lines), self.prompt_line());
        self.entries.push(Entry { id: id.map(str::to_owned), lines });
        if self.entries.len() > ENTRIES_MAX {
            self.entries.remove(0);
        }
        drawn
    }

    /// Draws the lines of an entry anew, or `appended` where its place is not
    /// known or not on the screen any more.
    pub(super) fn replace(&mut self, id: &str, lines: Vec<String>, appended: String) -> String {
        let found = self.entries.iter().rposition(|entry| entry.id.as_deref() == Some(id));
        let place = found.and_then(|index| Some((index, self.rows_from(index)?)));
        match place {
            Some((index, rows)) if rows < self.rows => {
                self.entries[index].lines = lines;
                let below: String =
                    self.entries[index..].iter().map(|entry| joined(&entry.lines)).collect();
                format!("\r\x1b[{rows}A\x1b[J{below}{}", self.prompt_line())
            }
            _ => self.print(None, vec![appended]),
        }
    }

    /// Draws the line being typed.
    pub(super) fn prompt(&mut self, typed: &str) -> String {
        typed.clone_into(&mut self.typed);
        format!("\r\x1b[J{}", self.prompt_line())
    }

    /// The terminal has another size. It has moved what stands on it, so nothing
    /// of that has a known place any more.
    pub(super) fn resize(&mut self, columns: usize, rows: usize) -> String {
        (self.columns, self.rows) = (columns, rows);
        self.entries.clear();
        format!("\r\x1b[J{}", self.prompt_line())
    }

    /// Takes the line being typed away.
    pub(super) fn leave(&mut self) -> String {
        "\r\x1b[J".to_owned()
    }

    /// Rows from an entry to the line being typed.
    fn rows_from(&self, index: usize) -> Option<usize> {
        let lines = self.entries[index..].iter().flat_map(|entry| &entry.lines);
        lines.map(|line| rows_of(line, self.columns)).sum()
    }

    /// The end of what is typed, on exactly one row.
    fn prompt_line(&self) -> String {
        // Some terminals draw a character wider than it says.
        let mut left = self.columns.saturating_sub(PROMPT.len() + 4);
        let mut shown: Vec<char> = Vec::new();
        for c in text::one_line(&self.typed.replace('\n', "⏎")).chars().rev() {
            let width = c.width().unwrap_or(0).max(1);
            if width > left {
                break;
            }
            left -= width;
            shown.push(c);
        }
        let shown: String = shown.into_iter().rev().collect();
        format!("{PROMPT}{shown}")
    }
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

/// Rows that a line takes, its colours not counted; `None` where terminals
/// differ.
fn rows_of(line: &str, columns: usize) -> Option<usize> {
    let mut plain = String::with_capacity(line.len());
    let mut in_colour = false;
    for c in line.chars() {
        match c {
            '\x1b' => in_colour = true,
            'm' if in_colour => in_colour = false,
            c if !in_colour => plain.push(c),
            _ => {}
        }
    }
    text::columns(&plain)?;
    let (mut rows, mut at) = (1, 0);
    for width in plain.chars().filter_map(|c| c.width()) {
        // What does not fit whole goes to the next row.
        if at + width > columns {
            rows += 1;
            at = 0;
        }
        at += width;
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of a terminal as the screen uses.
    struct Paper {
        columns: usize,
        rows: Vec<String>,
        row: usize,
        column: usize,
    }

    impl Paper {
        fn new(columns: usize) -> Self {
            Self { columns, rows: vec![String::new()], row: 0, column: 0 }
        }

        fn take(&mut self, drawn: &str) {
            let mut rest = drawn;
            while let Some(c) = rest.chars().next() {
                if let Some(after) = rest.strip_prefix("\x1b[J") {
                    self.rows.truncate(self.row + 1);
                    let kept: String = self.rows[self.row].chars().take(self.column).collect();
                    self.rows[self.row] = kept;
                    rest = after;
                } else if let Some(after) = rest.strip_prefix("\x1b[") {
                    let end = after.find('A').expect("the only other sequence");
                    self.row -= after[..end].parse::<usize>().expect("rows");
                    rest = &after[end + 1..];
                } else {
                    rest = &rest[c.len_utf8()..];
                    match c {
                        '\r' => self.column = 0,
                        '\n' => self.next_row(),
                        c => {
                            if self.column == self.columns {
                                self.next_row();
                                self.column = 0;
                            }
                            self.rows[self.row].push(c);
                            self.column += 1;
                        }
                    }
                }
            }
        }

        fn next_row(&mut self) {
            self.row += 1;
            if self.rows.len() == self.row {
                self.rows.push(String::new());
            }
        }
    }

    fn lines(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn a_changed_state_is_drawn_in_its_place_also_when_rows_change() {
        let (mut screen, mut paper) = (Screen::new(10, 24), Paper::new(10));
        paper.take(&screen.print(Some("a"), lines("0123456 [q]")));
        paper.take(&screen.print(None, lines("other")));
        paper.take(&screen.prompt("hel"));
        assert_eq!(paper.rows, ["0123456 [q", "]", "other", "> hel"]);
        paper.take(&screen.replace("a", lines("0123456 []"), "+".into()));
        assert_eq!(paper.rows, ["0123456 []", "other", "> hel"]);
        paper.take(&screen.replace("a", lines("0123456 [delivered]"), "+".into()));
        assert_eq!(paper.rows, ["0123456 [d", "elivered]", "other", "> hel"]);
        paper.take(&screen.leave());
        assert_eq!(paper.rows, ["0123456 [d", "elivered]", "other", ""]);
    }

    #[test]
    fn what_has_no_known_place_is_appended() {
        let (mut screen, mut paper) = (Screen::new(20, 3), Paper::new(20));
        paper.take(&screen.print(Some("a"), lines("first [q]")));
        paper.take(&screen.print(None, lines("second")));
        paper.take(&screen.print(None, lines("third")));
        // Its row has left the screen.
        paper.take(&screen.replace("a", lines("first [d]"), "+ first".into()));
        assert_eq!(paper.rows, ["first [q]", "second", "third", "+ first", "> "]);
        assert!(screen.replace("b", lines("x"), "+ b".into()).contains("+ b"));
        screen.print(Some("c"), lines("e\u{301} [q]"));
        assert!(screen.replace("c", lines("x"), "+ c".into()).contains("+ c"));
        screen.print(Some("d"), lines("x"));
        screen.resize(30, 3);
        assert!(screen.replace("d", lines("y"), "+ d".into()).contains("+ d"));
    }

    #[test]
    fn what_is_typed_takes_one_row() {
        let (mut screen, mut paper) = (Screen::new(12, 24), Paper::new(12));
        paper.take(&screen.prompt("0123456789abc\ndef\x1b"));
        assert_eq!(paper.rows, ["> c⏎def\u{fffd}"]);
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(rows_of("\x1b[31mabc\x1b[0m", 3), Some(1));
        assert_eq!(rows_of("日本", 3), Some(2));
        assert_eq!(rows_of("", 3), Some(1));
    }
}
