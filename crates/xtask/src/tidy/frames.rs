//! What a frame means is decided in `wire`, `link` and `mesh` and nowhere else.
//! The simulator looks at frames to judge those three.

use super::product_sources;
use crate::repo::Tree;
use crate::report::Report;
use crate::rust::closing;

/// Crates that may match on frame types.
const MATCHERS: &[&str] = &["wire", "link", "mesh", "sim"];

/// Folders of crates that know the `Frame` of `wire`; elsewhere the word is
/// someone else's (egui has one too).
fn knows_wire(tree: &Tree, name: &str) -> bool {
    let text = tree.text(&format!("crates/{name}/Cargo.toml")).unwrap_or("");
    text.contains("tortalk-wire")
}

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for name in tree.crate_names() {
        if MATCHERS.contains(&name) || !knows_wire(tree, name) {
            continue;
        }
        for (path, source) in product_sources(tree, name) {
            let tests = source.test_regions();
            for (offset, _) in source.code.match_indices("Frame::") {
                let in_tests = tests.iter().any(|region| region.contains(&offset));
                if !in_tests && is_pattern(&source.code, offset) {
                    report.fault(
                        path,
                        source.line(offset),
                        "matches on a frame type; let link or mesh do it and return an event",
                    );
                }
            }
        }
    }
}

/// Whether the path at `offset` stands where a pattern stands.
fn is_pattern(code: &str, offset: usize) -> bool {
    let before = &code[..offset];
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return false;
    }
    let mut end = offset + "Frame::".len();
    let name = code[end..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(0);
    end += name;
    let gap = code[end..].len() - code[end..].trim_start().len();
    if code[end + gap..].starts_with(['(', '{']) {
        end = closing(code, end + gap);
    }
    let after = code[end..].trim_start();
    let arm = ["=>", "|", "if "].iter().any(|next| after.starts_with(next));
    let binding = after.starts_with('=') && !after.starts_with("==");
    arm || binding || in_matches_macro(before)
}

/// Whether the text ends inside the brackets of `matches!` behind the first comma.
fn in_matches_macro(before: &str) -> bool {
    before.rfind("matches!").is_some_and(|at| {
        let inside = &before[at..];
        let open = inside.matches('(').count();
        let closed = inside.matches(')').count();
        open > closed && inside.contains(',')
    })
}
