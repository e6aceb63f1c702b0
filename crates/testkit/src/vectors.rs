//! The files in `spec/vectors/`: one JSON file per object of the spec.
//!
//! A test generates its vectors, hands them to [`check`] with a function that
//! runs one of them, and the file is compared with what was generated. With
//! `UPDATE_VECTORS=1` in the environment the file is written first. What runs is
//! always what the *file* says, because that is what other implementations read.
//!
//! ```no_run
//! use tortalk_testkit::vectors::{Outcome, Vector, Verdict, check};
//!
//! let vectors = vec![
//!     Vector::ok("pair", &["CNV-03"], "two bytes").hex("bytes", [0, 1]),
//!     Vector::refused("one-byte", &["CNV-04"], "a byte is missing", Verdict::Decode)
//!         .hex("bytes", [0]),
//! ];
//! check("pair.json", "a big-endian u16", vectors, |vector| {
//!     match <[u8; 2]>::try_from(vector.bytes("bytes")) {
//!         Ok(_) => Outcome::ok(),
//!         Err(_) => Verdict::Decode.into(),
//!     }
//! });
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hex;

/// What an implementation must say about a vector: `ok`, or the layer that must
/// refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Accepted.
    Ok,
    /// The bytes are not the layout.
    Decode,
    /// The bytes were parsed and break a rule.
    Rule,
    /// A signature, proof or stamp is not valid.
    Signature,
    /// The seal does not open.
    Seal,
    /// It opened and is meant for somebody else.
    Audience,
    /// Valid, and refused by choice.
    Policy,
}

/// What running a vector gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Accepted, or the layer that refused.
    pub verdict: Verdict,
    /// What was computed, compared only when the vector has an `output`.
    pub output: BTreeMap<String, Value>,
}

impl Outcome {
    /// Accepted; add computed fields with [`Outcome::hex`] and its like.
    pub const fn ok() -> Self {
        Self { verdict: Verdict::Ok, output: BTreeMap::new() }
    }

    /// Adds bytes to the output.
    #[must_use]
    pub fn hex(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.value(name, hex::encode(bytes))
    }

    /// Adds any JSON value to the output.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.output.insert(name.to_owned(), value.into());
        self
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, output: BTreeMap::new() }
    }
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Unique within the file; never reused for another case.
    pub id: String,
    /// The requirements that the case tests.
    pub req: Vec<String>,
    /// What the case shows, in a sentence.
    pub comment: String,
    /// Named inputs; bytes are lower-case hexadecimal text.
    pub input: BTreeMap<String, Value>,
    /// What must come out.
    pub expect: Verdict,
    /// What must be computed, for cases that compute something.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output: BTreeMap<String, Value>,
}

impl Vector {
    /// A case that must be accepted.
    pub fn ok(id: &str, req: &[&str], comment: &str) -> Self {
        Self::refused(id, req, comment, Verdict::Ok)
    }

    /// A case that must be refused at the layer `expect`.
    pub fn refused(id: &str, req: &[&str], comment: &str, expect: Verdict) -> Self {
        Self {
            id: id.to_owned(),
            req: req.iter().map(|&req| req.to_owned()).collect(),
            comment: comment.to_owned(),
            input: BTreeMap::new(),
            expect,
            output: BTreeMap::new(),
        }
    }

    /// Adds bytes to the input.
    #[must_use]
    pub fn hex(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.value(name, hex::encode(bytes))
    }

    /// Adds text to the input.
    #[must_use]
    pub fn text(self, name: &str, text: &str) -> Self {
        self.value(name, text)
    }

    /// Adds a number to the input.
    ///
    /// # Panics
    /// Over 2^53 − 1, which not every JSON reader takes exactly: use
    /// [`Vector::hex`] for such values.
    #[must_use]
    pub fn number(self, name: &str, number: u64) -> Self {
        assert!(number < 1 << 53, "{name} = {number} is no exact JSON number everywhere");
        self.value(name, number)
    }

    /// Adds any JSON value to the input.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.input.insert(name.to_owned(), value.into());
        self
    }

    /// Adds bytes to what must be computed.
    #[must_use]
    pub fn gives_hex(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.gives(name, hex::encode(bytes))
    }

    /// Adds any JSON value to what must be computed.
    #[must_use]
    pub fn gives(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.output.insert(name.to_owned(), value.into());
        self
    }

    /// The bytes of an input.
    ///
    /// # Panics
    /// When it is absent or not hexadecimal text.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.str(name))
    }

    /// The `N` bytes of an input.
    ///
    /// # Panics
    /// When it is absent, not hexadecimal text, or of another length.
    pub fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        hex::array(self.str(name))
    }

    /// The text of an input.
    ///
    /// # Panics
    /// When it is absent or not text.
    pub fn str(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_else(|| panic!("{}: `{name}` is no text", self.id))
    }

    /// The number of an input.
    ///
    /// # Panics
    /// When it is absent or not a whole number.
    pub fn u64(&self, name: &str) -> u64 {
        self.get(name).as_u64().unwrap_or_else(|| panic!("{}: `{name}` is no number", self.id))
    }

    fn get(&self, name: &str) -> &Value {
        self.input.get(name).unwrap_or_else(|| panic!("{}: no input `{name}`", self.id))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    object: String,
    about: String,
    vectors: Vec<Vector>,
}

/// Writes (`UPDATE_VECTORS=1`) or compares `spec/vectors/<file_name>`, then runs
/// every vector of the file.
///
/// The file's `object` is `file_name` without its ending; `about` is a sentence
/// that says how to run its vectors.
///
/// # Panics
/// When two ids are the same, when fewer vectors are negative than positive,
/// when the file is not what was generated, and with the list of all vectors
/// whose outcome is not the expected one.
pub fn check(
    file_name: &str,
    about: &str,
    generated: Vec<Vector>,
    run: impl Fn(&Vector) -> Outcome,
) {
    let path = directory().join(file_name);
    let update = std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1");
    check_at(&path, about, generated, run, update);
}

/// The folder of the vector files.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors")
}

fn check_at(
    path: &Path,
    about: &str,
    generated: Vec<Vector>,
    run: impl Fn(&Vector) -> Outcome,
    update: bool,
) {
    let object = path.file_stem().and_then(|stem| stem.to_str()).expect("a file name").to_owned();
    assert_well_formed(&generated);
    let generated = File { object, about: about.to_owned(), vectors: generated };
    let text = serde_json::to_string_pretty(&sorted(
        serde_json::to_value(&generated).expect("a file of plain values"),
    ))
    .expect("a file of plain values")
        + "\n";
    if update {
        std::fs::write(path, &text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
    let found = std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}; UPDATE_VECTORS=1 writes it", path.display())
    });
    let file: File = serde_json::from_str(&found)
        .unwrap_or_else(|error| panic!("{} is no vector file: {error}", path.display()));
    let mut faults = run_all(&file.vectors, run);
    if found != text {
        faults.push_str(&difference(&file, &generated));
    }
    assert!(faults.is_empty(), "{}:\n{faults}", path.display());
}

fn assert_well_formed(vectors: &[Vector]) {
    let mut ids = BTreeSet::new();
    for vector in vectors {
        assert!(ids.insert(&vector.id), "two vectors are called `{}`", vector.id);
        assert!(!vector.req.is_empty(), "`{}` tests no requirement", vector.id);
    }
    let positive = vectors.iter().filter(|vector| vector.expect == Verdict::Ok).count();
    let negative = vectors.len() - positive;
    assert!(negative >= positive, "{positive} positive vectors, only {negative} negative ones");
}

fn run_all(vectors: &[Vector], run: impl Fn(&Vector) -> Outcome) -> String {
    let mut faults = String::new();
    for vector in vectors {
        let outcome = run(vector);
        if outcome.verdict != vector.expect {
            let (id, want, got) = (&vector.id, vector.expect, outcome.verdict);
            writeln!(faults, "  {id}: expected {want:?}, got {got:?}").expect("a String grows");
        } else if !vector.output.is_empty() && outcome.output != vector.output {
            let (id, want, got) = (&vector.id, &vector.output, &outcome.output);
            writeln!(faults, "  {id}: expected {want:?}, got {got:?}").expect("a String grows");
        }
    }
    faults
}

fn difference(file: &File, generated: &File) -> String {
    let by_id = |file: &File| -> BTreeMap<String, Vector> {
        file.vectors.iter().map(|vector| (vector.id.clone(), vector.clone())).collect()
    };
    let (old, new) = (by_id(file), by_id(generated));
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut text = String::from("  the file is not what is generated (UPDATE_VECTORS=1 writes it)");
    for id in ids.into_iter().filter(|&id| old.get(id) != new.get(id)) {
        write!(text, "\n  {id} differs").expect("a String grows");
    }
    text
}

/// The same value with the names of every object in order, whatever features
/// the JSON library was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
