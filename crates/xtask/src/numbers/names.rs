//! Names in capitals in the spec's text: each is a label, a code or a constant.

use std::collections::BTreeSet;

use super::consts::Constants;
use super::proto::Protos;
use super::{REGISTRY, documents};
use crate::repo::Tree;
use crate::report::Report;
use crate::rust::words;

/// Names that others gave: statuses of gRPC, an event of Tor, an option of sockets.
const OF_OTHERS: &[&str] = &[
    "ALREADY_EXISTS",
    "CLOCK_SKEW",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "TCP_NODELAY",
];

/// What stands in brackets behind these is a value of the enum.
const BRACKETS: &[(&str, char, &str)] =
    &[("REFUSED(", ')', "REFUSAL_REASON_"), ("Bye{", '}', "BYE_REASON_")];

pub(super) fn check(tree: &Tree, constants: &Constants, protos: &Protos, report: &mut Report) {
    let mut known: BTreeSet<&str> = OF_OTHERS.iter().copied().collect();
    for (path, _) in constants.iter() {
        known.insert(path.rsplit("::").next().unwrap_or(path));
    }
    for name in protos.values.keys() {
        known.insert(name);
        known
            .extend(protos.prefixes.iter().filter_map(|prefix| name.strip_prefix(prefix.as_str())));
    }
    let zeros: Vec<String> = protos.prefixes.iter().map(|p| format!("{p}UNSPECIFIED")).collect();
    known.extend(zeros.iter().map(String::as_str));
    for (path, text) in documents(tree) {
        for (index, line) in text.lines().enumerate() {
            // The rows of the registry are checked more closely elsewhere.
            if path == REGISTRY && line.starts_with('|') {
                continue;
            }
            for (_, word) in words(line) {
                if is_name(word) && !known.contains(word) {
                    report.fault(
                        path,
                        index + 1,
                        format!("{word} is no label, code or constant; mend the name"),
                    );
                }
            }
            for (start, end, prefix) in BRACKETS {
                for (at, _) in line.match_indices(start) {
                    let inside = &line[at + start.len()..];
                    let inside = &inside[..inside.find(*end).unwrap_or(inside.len())];
                    if !protos.values.contains_key(&format!("{prefix}{inside}")) {
                        report.fault(
                            path,
                            index + 1,
                            format!("{start}{inside}{end} is nothing that proto knows; mend it"),
                        );
                    }
                }
            }
        }
    }
}

/// Capitals with a line between them.
fn is_name(word: &str) -> bool {
    word.contains('_')
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.ends_with(|c: char| c.is_ascii_alphanumeric())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
