//! Just enough of Rust's surface to look at source without a compiler.
//!
//! A [`Source`] splits a file into two texts of the same length and the same
//! lines: `code`, in which comments and the insides of literals are blanks, and
//! `comments`, in which everything else is. So a word in a string or a comment
//! is never taken for code, and offsets mean the same in all three.

mod items;
mod lexer;

use std::ops::Range;

pub(crate) use items::{Function, body_start};

/// A Rust file, taken apart.
pub(crate) struct Source<'a> {
    /// The file as it stands.
    pub(crate) text: &'a str,
    /// Only code; quotes of literals are kept.
    pub(crate) code: String,
    /// Only comments, with their slashes.
    pub(crate) comments: String,
}

impl<'a> Source<'a> {
    /// Takes a file apart.
    pub(crate) fn new(text: &'a str) -> Self {
        let (code, comments) = lexer::split(text);
        Self { text, code, comments }
    }

    /// The line of an offset, counted from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// Every identifier and keyword with its offset.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        words(&self.code)
    }

    /// Where the code is compiled for tests only.
    pub(crate) fn test_regions(&self) -> Vec<Range<usize>> {
        items::test_regions(&self.code)
    }

    /// Names of modules in files of their own that only tests compile.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        items::test_modules(&self.code)
    }

    /// All functions with a body, in order, nested ones included.
    pub(crate) fn functions(&self) -> Vec<Function> {
        items::functions(&self.code)
    }

    /// Names of the inline modules around an offset, outermost first.
    pub(crate) fn modules_around(&self, offset: usize) -> Vec<String> {
        items::inline_modules(&self.code)
            .into_iter()
            .filter(|(_, body)| body.contains(&offset))
            .map(|(name, _)| name)
            .collect()
    }

    /// Every path that the file imports, groups written out:
    /// `use std::{fs, io::Read}` gives `std::fs` and `std::io::Read`.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
        items::imports(&self.code)
    }
}

/// Every identifier and keyword of blanked code with its offset.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = code.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_word(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &code[start..at]))
    })
}

/// Whether a byte can stand in an identifier; all of non-ASCII counts.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The offset just behind the bracket that closes the one at `open`, or the end.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return offset + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Whether only tests compile this file, judged by where it stands.
pub(crate) fn is_test_path(path: &str) -> bool {
    let below_crate = path.splitn(3, '/').nth(2).unwrap_or(path);
    below_crate.ends_with("tests.rs") && below_crate.rsplit('/').next() == Some("tests.rs")
        || below_crate.split('/').any(|part| matches!(part, "tests" | "benches"))
}

#[cfg(test)]
mod tests;
