//! Files that a reader can hold in mind.

use crate::repo::Tree;
use crate::report::Report;

/// Lines of a Rust file: noted above the first, refused above the second.
const RUST_LINES: (usize, usize) = (400, 800);
/// Columns of a line of Rust.
const RUST_COLUMNS: usize = 100;
/// Bytes of any file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Lines of documents, by the beginning of their path.
const DOCUMENT_LINES: &[(&str, usize)] =
    &[("README.md", 100), ("CONTRIBUTING.md", 150), ("spec/", 500)];
/// Generated, so as long as it comes out.
const GENERATED: &[&str] = &["spec/COVERAGE.md"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    let mut long = Vec::new();
    for (path, text) in tree.matching("", ".rs") {
        let lines = text.lines().count();
        if lines > RUST_LINES.1 {
            let text = format!("{lines} lines, more than {}; split the file", RUST_LINES.1);
            report.fault(path, 0, text);
        } else if lines > RUST_LINES.0 {
            long.push(format!("{path} ({lines})"));
        }
        for (index, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > RUST_COLUMNS {
                let text = format!("{columns} columns, more than {RUST_COLUMNS}; break the line");
                report.fault(path, index + 1, text);
            }
        }
    }
    if !long.is_empty() {
        report.note(format!("longer than {} lines: {}", RUST_LINES.0, long.join(", ")));
    }
    for (path, text) in tree.matching("", ".md").filter(|(path, _)| !GENERATED.contains(path)) {
        let limit = DOCUMENT_LINES.iter().find(|(start, _)| path.starts_with(start));
        let lines = text.lines().count();
        if let Some((_, limit)) = limit
            && lines > *limit
        {
            report.fault(path, 0, format!("{lines} lines, more than {limit}; say it shorter"));
        }
    }
    for (path, bytes) in tree.sizes() {
        if bytes > FILE_BYTES_MAX {
            let text = format!("{bytes} bytes, more than {FILE_BYTES_MAX}; keep it out of git");
            report.fault(path, 0, text);
        }
    }
}
