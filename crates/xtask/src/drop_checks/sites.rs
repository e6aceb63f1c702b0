//! Checks in code: the `if` directly below a mark.

use std::fmt;
use std::ops::Range;

use crate::repo::Tree;
use crate::rust::{Source, body_start, words};

/// One check that can be taken out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    pub(super) path: String,
    /// The line of the mark.
    line: usize,
    /// Where the condition starts and ends in the file.
    start: usize,
    end: usize,
    /// Whether the condition binds names, so that it takes no brackets.
    binds: bool,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        write!(f, "{short}:{}", self.line)
    }
}

impl Site {
    fn condition(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// The check below the mark on a line, if what stands there is one.
pub(super) fn below(tree: &Tree, path: &str, line: usize) -> Option<Site> {
    let text = tree.text(path)?;
    let source = Source::new(text);
    let from: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let (at, first) = words(source.code.get(from..)?).next()?;
    let start = from + at + first.len();
    // A bracket or an attribute before the first word is not an `if` statement.
    if first != "if" || !source.code[from..from + at].trim().is_empty() {
        return None;
    }
    let open = body_start(&source.code, start)?;
    let end = source.code[..open].trim_end().len();
    let binds = words(&source.code[start..end]).any(|(_, word)| word == "let");
    Some(Site { path: path.to_owned(), line, start, end, binds })
}

/// The file's text with these conditions never true.
pub(super) fn without(text: &str, sites: &[&Site]) -> String {
    let mut result = text.to_owned();
    let mut sites: Vec<_> = sites.to_vec();
    sites.sort_by_key(|site| std::cmp::Reverse(site.start));
    sites.dedup_by_key(|site| site.start);
    for site in sites {
        let condition = text[site.condition()].trim_start();
        let never = if site.binds {
            format!(" false && {condition}")
        } else {
            format!(" false && ({condition})")
        };
        result.replace_range(site.condition(), &never);
    }
    result
}
