//! Where `deviate!` stands in the code.

use std::collections::BTreeMap;

use crate::repo::Tree;
use crate::rust::Source;

/// Each name with its places: path and line.
pub(super) type Sites = BTreeMap<String, Vec<(String, usize)>>;

const CALL: &str = "deviate!(";

/// All of them in the sources of crates.
pub(super) fn all(tree: &Tree) -> Sites {
    let mut sites = Sites::new();
    for (path, text) in tree.texts() {
        if !path.starts_with("crates/") || !path.contains("/src/") || !path.ends_with(".rs") {
            continue;
        }
        // Neither comments nor texts count.
        let source = Source::new(text);
        for (line, code) in source.code.lines().enumerate() {
            for (at, _) in code.match_indices(CALL) {
                let rest = &code[at + CALL.len()..];
                let Some(end) = rest.find(')') else { continue };
                let place = (path.to_owned(), line + 1);
                sites.entry(rest[..end].to_owned()).or_default().push(place);
            }
        }
    }
    sites
}
