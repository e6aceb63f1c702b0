//! The test vectors of `spec/vectors`, run against any implementation.
//!
//! [`FILES`] is compiled in, so that a copy of the program is enough. An
//! implementation is whatever answers `(object, input)` with a verdict:
//! [`own`] is this suite's own stack.

pub mod own;
pub mod program;

use serde_json::{Map, Value};

/// Object and content of each file.
pub const FILES: &[(&str, &str)] = &[
    ("beacon", include_str!("../../spec/vectors/beacon.json")),
    ("body", include_str!("../../spec/vectors/body.json")),
    ("card", include_str!("../../spec/vectors/card.json")),
    ("drop", include_str!("../../spec/vectors/drop.json")),
    ("envelope", include_str!("../../spec/vectors/envelope.json")),
    ("frame", include_str!("../../spec/vectors/frame.json")),
    ("invite", include_str!("../../spec/vectors/invite.json")),
    ("link", include_str!("../../spec/vectors/link.json")),
    ("proof", include_str!("../../spec/vectors/proof.json")),
    ("relay", include_str!("../../spec/vectors/relay.json")),
    ("rpc", include_str!("../../spec/vectors/rpc.json")),
    ("sealed", include_str!("../../spec/vectors/sealed.json")),
];

/// One vector.
#[derive(Debug, Clone)]
pub struct Vector {
    /// Which file.
    pub object: &'static str,
    /// Its name there.
    pub id: String,
    /// What it shows.
    pub req: Vec<String>,
    /// What goes in.
    pub input: Value,
    /// `ok` or a class.
    pub expect: String,
    /// What comes out, where something is computed.
    pub output: Option<Value>,
}

/// What an implementation said: `ok` or a class, and what it computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// `ok` or a class of refusal.
    pub verdict: String,
    /// The fields that it computed; those that a vector does not name are ignored.
    pub output: Map<String, Value>,
}

/// All vectors, in the order of the files.
///
/// # Panics
/// Never on the files of this repository: a test reads them all.
#[must_use]
pub fn all() -> Vec<Vector> {
    let mut all = Vec::new();
    for (object, text) in FILES {
        let file: Value = serde_json::from_str(text).expect("the files are JSON");
        for vector in file["vectors"].as_array().expect("with a list of vectors") {
            let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
            let req = vector["req"].as_array().map(Vec::as_slice).unwrap_or_default();
            all.push(Vector {
                object,
                id: text("id"),
                req: req.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                input: vector["input"].clone(),
                expect: text("expect"),
                output: vector.get("output").cloned(),
            });
        }
    }
    all
}

/// What differs between a vector and an answer; `None` when nothing does.
#[must_use]
pub fn difference(vector: &Vector, answer: &Answer) -> Option<String> {
    if vector.expect != answer.verdict {
        return Some(format!("expected {}, got {}", vector.expect, answer.verdict));
    }
    let expected = vector.output.as_ref().and_then(Value::as_object)?;
    for (name, value) in expected {
        match answer.output.get(name) {
            Some(got) if got == value => {}
            Some(got) => return Some(format!("{name}: expected {value}, got {got}")),
            None => return Some(format!("{name}: expected {value}, got nothing")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_stack_agrees_with_every_vector() {
        let vectors = all();
        assert!(vectors.len() > 500, "only {} vectors", vectors.len());
        let mut wrong = Vec::new();
        for vector in &vectors {
            let answer = own::answer(vector.object, &vector.input);
            if let Some(difference) = difference(vector, &answer) {
                wrong.push(format!("{}/{}: {difference}", vector.object, vector.id));
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }
}
