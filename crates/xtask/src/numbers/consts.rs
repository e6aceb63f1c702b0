//! The constants of our crates, by the path that the registry gives them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::expr::{Value, evaluate};
use crate::repo::Tree;
use crate::rust::{Source, body_start, closing, is_test_path, words};

/// Where the constants stand that all have a row.
pub(super) const LIMITS: &str = "crates/model/src/limits.rs";
const RELAY_LIMITS: &str = "crates/model/src/limits/relay.rs";
const LABELS: &str = "crates/model/src/hash.rs";

/// Paths in the registry that begin so stand anywhere in the crate behind it.
const CRATES: &[(&str, &str)] = &[
    ("keys", "crates/keys/src/"),
    ("link", "crates/link/src/"),
    ("mesh", "crates/mesh/src/"),
    ("node", "crates/node/src/"),
    ("relay_program", "crates/relay/src/"),
    ("rpc", "crates/rpc/src/"),
    ("seal", "crates/seal/src/"),
    ("wire", "crates/wire/src/"),
];

/// Types in whose `impl` every number is one of the protocol's.
const CODES: &[(&str, &str)] = &[("seal", "BodyType")];

/// A constant or a variant with a number of its own.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) file: String,
    pub(super) line: usize,
    /// Whether the registry owes it a row.
    pub(super) owed: bool,
    expression: String,
}

/// All constants by path: `OFFERS_MAX`, `relay::WINDOW_MAX`, `label::SEAL`,
/// `seal::BodyType::TEXT`.
#[derive(Debug, Default)]
pub(super) struct Constants {
    by_path: BTreeMap<String, Constant>,
    /// Values that were computed, so that each is computed once.
    known: RefCell<BTreeMap<String, Result<Value, String>>>,
}

impl Constants {
    pub(super) fn read(tree: &Tree) -> Self {
        let mut constants = Self::default();
        for (prefix, file) in [("", LIMITS), ("relay::", RELAY_LIMITS), ("label::", LABELS)] {
            if let Some(text) = tree.text(file) {
                constants.add_file(prefix, file, text);
            }
        }
        for (name, folder) in CRATES {
            for (file, text) in tree.matching(folder, ".rs") {
                if !is_test_path(file) {
                    constants.add_file(&format!("{name}::"), file, text);
                }
            }
        }
        constants
    }

    pub(super) fn get(&self, path: &str) -> Option<&Constant> {
        self.by_path.get(path)
    }

    /// All of them in order of their path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Constant)> {
        self.by_path.iter().map(|(path, constant)| (path.as_str(), constant))
    }

    /// What a constant is worth, or why that could not be found out.
    pub(super) fn value(&self, path: &str) -> Result<Value, String> {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let constant = self.by_path.get(path).ok_or_else(|| format!("{path} is not known"))?;
        // Stands until the value does, so that a circle ends.
        let circle = Err(format!("{path} needs itself"));
        self.known.borrow_mut().insert(path.to_owned(), circle);
        let value = match label_of(&constant.expression) {
            Some(label) => Ok(Value::Bytes(label)),
            None => evaluate(&constant.expression, &|name| self.seen_from(path, name)),
        };
        self.known.borrow_mut().insert(path.to_owned(), value.clone());
        value
    }

    /// The value of `name` as the constant at `path` may write it.
    fn seen_from(&self, path: &str, name: &str) -> Option<Value> {
        let last = name.rsplit("::").next().unwrap_or(name);
        let around = path.rsplit_once("::").map_or("", |(around, _)| around);
        let mut places: Vec<String> = vec![name.to_owned()];
        if !around.is_empty() {
            places.push(format!("{around}::{last}"));
            places.push(format!("{}::{last}", around.split("::").next().unwrap_or(around)));
        }
        places.push(last.to_owned());
        let place = places.into_iter().find(|p| self.by_path.contains_key(p) && p != path)?;
        self.value(&place).ok()
    }

    fn add_file(&mut self, prefix: &str, file: &str, text: &str) {
        let source = Source::new(text);
        let tests = source.test_regions();
        let blocks = named_blocks(&source.code);
        let all: Vec<(usize, &str)> = source.words().collect();
        for (index, &(offset, word)) in all.iter().enumerate() {
            if word != "const" || tests.iter().any(|region| region.contains(&offset)) {
                continue;
            }
            let Some(&(name_at, name)) = all.get(index + 1) else { continue };
            if name == "fn" || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
                continue;
            }
            let Some((from, to)) = initializer(&source.code, name_at + name.len()) else {
                continue;
            };
            let owner = blocks.iter().rev().find(|block| block.2.contains(&offset));
            let owner = owner.filter(|block| block.0 == "impl").map(|block| block.1);
            let public = index > 0 && all[index - 1].1 == "pub";
            let (path, owed) = match owner {
                Some(owner) => {
                    let code = CODES
                        .iter()
                        .any(|(at, of)| prefix.strip_suffix("::") == Some(*at) && owner == *of);
                    (format!("{prefix}{owner}::{name}"), public && code)
                }
                None => {
                    let model = ["", "relay::", "label::"].contains(&prefix);
                    // The list of all labels is none itself.
                    let table = prefix == "label::" && name == "ALL";
                    (format!("{prefix}{name}"), public && model && !table)
                }
            };
            let expression = text[from..to].trim().to_owned();
            let line = source.line(offset);
            self.add(path, Constant { file: file.to_owned(), line, owed, expression });
        }
        for (kind, name, body) in &blocks {
            if *kind == "enum" {
                self.add_variants(&format!("{prefix}{name}"), file, &source, body.clone());
            }
        }
    }

    /// The variants that have a number of their own: `Delivered = 1`.
    fn add_variants(
        &mut self,
        path: &str,
        file: &str,
        source: &Source<'_>,
        body: std::ops::Range<usize>,
    ) {
        let mut at = body.start + 1;
        for part in source.code[at..body.end.saturating_sub(1).max(at)].split(',') {
            if let Some((name, number)) = part.split_once('=') {
                let last = words(name).last().map(|(_, word)| word);
                let plain = number.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if let (Some(name), true) = (last, plain) {
                    let line = source.line(at + part.find('=').unwrap_or(0));
                    let expression = number.trim().to_owned();
                    let file = file.to_owned();
                    self.add(
                        format!("{path}::{name}"),
                        Constant { file, line, owed: false, expression },
                    );
                }
            }
            at += part.len() + 1;
        }
    }

    fn add(&mut self, path: String, constant: Constant) {
        self.by_path.entry(path).or_insert(constant);
    }
}

/// Blocks of `impl` and `enum`: which, the type's name, the body.
fn named_blocks(code: &str) -> Vec<(&'static str, &str, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    for (offset, word) in words(code) {
        let Some(kind) = ["impl", "enum"].into_iter().find(|kind| *kind == word) else { continue };
        let Some(open) = body_start(code, offset + word.len()) else { continue };
        let head = &code[offset + word.len()..open];
        let head = head.rsplit(" for ").next().unwrap_or(head);
        // What stands in angle brackets names no type of this block.
        let name = words(head)
            .filter(|(at, _)| head[..*at].matches('<').count() == head[..*at].matches('>').count())
            .map(|(_, word)| word)
            .last();
        if let Some(name) = name {
            found.push((kind, name, open..closing(code, open)));
        }
    }
    found
}

/// Where the value stands of a constant whose name ends at `from`.
fn initializer(code: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    let mut equals = None;
    while at < code.len() {
        match code.as_bytes()[at] {
            b'=' if equals.is_none() => {
                equals = Some(at + 1);
                at += 1;
            }
            b';' => return equals.map(|start| (start, at)),
            b'(' | b'[' | b'{' => at = closing(code, at),
            b'}' | b')' => return None,
            _ => at += 1,
        }
    }
    None
}

/// The text of `b"…\0"`.
fn label_of(expression: &str) -> Option<String> {
    let inside = expression.strip_prefix("b\"")?.strip_suffix('"')?;
    Some(inside.replace("\\0", "\0"))
}
