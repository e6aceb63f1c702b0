//! What is written where, and with which colours.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ColorChoice;
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// For whom a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Sentences and tables.
    Human,
    /// One JSON object per line.
    Json,
}

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    colours: bool,
}

/// What a part of a line means to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A name or a heading.
    Strong,
    /// Of less importance.
    Faint,
    /// As it should be.
    Good,
    /// Not yet as it should be.
    Waiting,
    /// Wrong.
    Bad,
}

impl Output {
    pub(crate) fn new(format: Format, colours: ColorChoice) -> Self {
        let unwanted = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let colours = match colours {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => io::stdout().is_terminal() && !dumb && !unwanted("NO_COLOR"),
        };
        Self { format, colours }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) const fn has_colours(&self) -> bool {
        self.colours
    }

    /// A text with its style, where there are colours.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Waiting => "33",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Writes one line for people. Texts of others in it are clean already.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        self.raw(&format!("{line}\n"))
    }

    /// Writes one line for programs.
    pub(crate) fn object(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(&to_json(value))
    }

    /// Writes as it is.
    pub(crate) fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::output(&error))
    }
}

/// JSON without a character that does something to a terminal.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // These stand inside of strings only, where this is the same.
            '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Tells why a command failed, on standard error and for programs also on
/// standard output.
pub(crate) fn report(failure: &Failure, format: Format) {
    if failure.line.is_empty() {
        return;
    }
    if format == Format::Json {
        let error: Value = json!({ "error": { "kind": failure.kind, "message": failure.line } });
        // Nobody reads; the exit code says it too.
        let _gone = writeln!(io::stdout(), "{}", to_json(&error));
    }
    let _gone = writeln!(io::stderr(), "tortalk: {}", failure.line);
}

/// Warns on standard error and goes on.
pub(crate) fn warn(line: &str) {
    let _gone = writeln!(io::stderr(), "tortalk: {}", crate::text::one_line(line));
}

/// Whether the exit deserves a word.
pub(crate) fn code_of(result: &Result<(), Failure>) -> Exit {
    match result {
        Ok(()) => Exit::Done,
        Err(failure) => failure.exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_and_moves_no_cursor() {
        let text = "a\x1b\u{9b}\u{202e}\u{7f}b\"\\é";
        let safe = to_json(&json!({ "text": text }));
        assert!(!safe.contains(char::is_control), "{safe}");
        let value: Value = serde_json::from_str(&safe).expect("still JSON");
        assert_eq!(value["text"], text);
    }

    #[test]
    fn colours_are_left_out_where_there_are_none() {
        let with = Output { format: Format::Human, colours: true };
        let without = Output { format: Format::Human, colours: false };
        assert_eq!(without.paint(Style::Bad, "x"), "x");
        assert_eq!(with.paint(Style::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
