//! What `proto/` says, as far as the registry repeats it.

use std::collections::BTreeMap;

use super::expr::number;
use crate::repo::Tree;

/// Where something stands: file and line.
pub(super) type Place = (String, usize);

/// Enum values, fields and methods of all files.
#[derive(Debug, Default)]
pub(super) struct Protos {
    /// Values of enums by name, with their number; zeros are left out.
    pub(super) values: BTreeMap<String, (i128, Place)>,
    /// The prefix of each enum's values: `FRAME_TYPE_`.
    pub(super) prefixes: Vec<String>,
    /// Fields by message and number.
    pub(super) fields: BTreeMap<(String, i128), (String, Place)>,
    /// Messages, those without fields too.
    pub(super) messages: BTreeMap<String, Place>,
    /// Methods by service and name, with how many requests and responses.
    pub(super) methods: BTreeMap<(String, String), (&'static str, Place)>,
}

impl Protos {
    pub(super) fn read(tree: &Tree) -> Self {
        let mut protos = Self::default();
        for (path, text) in tree.matching("proto/", ".proto") {
            protos.add_file(path, text);
        }
        protos
    }

    fn add_file(&mut self, path: &str, text: &str) {
        // Open blocks, innermost last. A oneof's fields are those of its message.
        let mut open: Vec<(String, String)> = Vec::new();
        for (line, statement) in statements(text) {
            let place = (path.to_owned(), line);
            let words: Vec<&str> = statement
                .split(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c))
                .filter(|word| !word.is_empty())
                .collect();
            let first = words.first().copied().unwrap_or("");
            if statement.ends_with('{') {
                let kind = if ["message", "enum", "service", "oneof"].contains(&first) {
                    first
                } else {
                    "other"
                };
                let name = match (kind, open.last()) {
                    ("oneof", Some((_, around))) => around.clone(),
                    _ => words.get(1).copied().unwrap_or("").to_owned(),
                };
                if kind == "message" {
                    self.messages.insert(name.clone(), place.clone());
                }
                if kind == "enum" {
                    self.prefixes.push(prefix(&name));
                }
                open.push((kind.to_owned(), name));
            } else if statement == "}" {
                open.pop();
            } else if let Some((kind, name)) = open.last() {
                match kind.as_str() {
                    "enum" => self.add_value(&words, place),
                    "message" | "oneof" if first == "reserved" => {}
                    "message" | "oneof" => self.add_field(name, &statement, place),
                    "service" => self.add_method(name, &statement, &words, place),
                    _ => {}
                }
            }
        }
    }

    fn add_value(&mut self, words: &[&str], place: Place) {
        if let [name, digits] = words
            && let Ok(value) = number(digits)
            && value != 0
        {
            self.values.insert((*name).to_owned(), (value, place));
        }
    }

    fn add_field(&mut self, message: &str, statement: &str, place: Place) {
        let Some((left, right)) = statement.split_once('=') else { return };
        let name = left.split_whitespace().last().unwrap_or("");
        let digits: String = right.trim().chars().take_while(char::is_ascii_digit).collect();
        if let Ok(number) = digits.parse() {
            self.fields.insert((message.to_owned(), number), (name.to_owned(), place));
        }
    }

    fn add_method(&mut self, service: &str, statement: &str, words: &[&str], place: Place) {
        let Some(("rpc", name)) = words.first().copied().zip(words.get(1)) else { return };
        let (request, response) = statement.split_once("returns").unwrap_or((statement, ""));
        let kind = match (request.contains("stream "), response.contains("stream ")) {
            (false, false) => "unary",
            (false, true) => "down",
            (true, false) => "up",
            (true, true) => "both ways",
        };
        let key = (service.to_owned(), (*name).to_owned());
        self.methods.insert(key, (kind, place));
    }
}

/// `FrameType` gives `FRAME_TYPE_`.
fn prefix(name: &str) -> String {
    let mut prefix = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix + "_"
}

/// What ends in `;`, `{` or `}`, without comments and line ends, with the line on
/// which it begins.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut start = 0;
    for (index, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or("");
        for letter in line.chars() {
            if current.trim().is_empty() {
                start = index + 1;
            }
            current.push(letter);
            if "{};".contains(letter) {
                let statement = current.trim().trim_end_matches(';').to_owned();
                if !statement.is_empty() {
                    found.push((start, statement));
                }
                current.clear();
            }
        }
        current.push(' ');
    }
    found
}
