//! Functions, modules, imports and test-only regions in blanked code.

use std::ops::Range;

use super::{closing, is_word, words};

/// A function with a body, or a test whose body a macro writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name, without modules.
    pub(crate) name: String,
    /// From behind whatever precedes the item, so attributes and the comments
    /// among them are inside, up to the end of the body.
    pub(crate) item: Range<usize>,
    /// The body with its braces.
    pub(crate) body: Range<usize>,
    /// Whether an attribute makes it a test.
    pub(crate) is_test: bool,
}

pub(super) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut words = words(code).peekable();
    while let Some((offset, word)) = words.next() {
        if word != "fn" {
            continue;
        }
        let Some(&(name_at, name)) = words.peek() else { break };
        // A function pointer type has no name.
        if code[offset + 2..name_at].contains(|c: char| !c.is_whitespace()) {
            continue;
        }
        let start = code[..offset].rfind([';', '{', '}']).map_or(0, |at| at + 1);
        let attributes: String = code[start..offset].split_whitespace().collect();
        let is_test = ["#[test]", "::test]", "::test("].iter().any(|a| attributes.contains(a));
        let behind = name_at + name.len();
        let body = match body_start(code, behind) {
            Some(open) => open..closing(code, open),
            // A macro such as `prop_state_machine!` writes the body.
            None if is_test => {
                let end = code[behind..].find(';').map_or(code.len(), |at| behind + at);
                end..end
            }
            None => continue,
        };
        found.push(Function { name: name.to_owned(), item: start..body.end, body, is_test });
    }
    found
}

/// Where the block opens that follows, unless a semicolon comes first.
pub(crate) fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while at < code.len() {
        match code.as_bytes()[at] {
            b'{' => return Some(at),
            b';' => return None,
            b'(' | b'[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    None
}

pub(super) fn inline_modules(code: &str) -> Vec<(String, Range<usize>)> {
    named_modules(code)
        .into_iter()
        .filter_map(|(name, end)| {
            let open = end + code[end..].find(|c: char| !c.is_whitespace())?;
            (code.as_bytes()[open] == b'{').then(|| (name, open..closing(code, open)))
        })
        .collect()
}

/// Every `mod name` with the offset behind the name.
fn named_modules(code: &str) -> Vec<(String, usize)> {
    let all: Vec<_> = words(code).collect();
    all.windows(2)
        .filter(|pair| {
            let (offset, word) = pair[0];
            word == "mod" && code[offset + 3..pair[1].0].trim().is_empty()
        })
        .map(|pair| (pair[1].1.to_owned(), pair[1].0 + pair[1].1.len()))
        .collect()
}

pub(super) fn test_regions(code: &str) -> Vec<Range<usize>> {
    let mut regions = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[") {
        let start = from + found;
        let mut end = closing(code, start + 1);
        let attribute: String = code[start..end].split_whitespace().collect();
        from = end;
        if attribute != "#[cfg(test)]" && !attribute.starts_with("#[cfg(all(test,") {
            continue;
        }
        // Further attributes belong to the same item.
        while code[end..].trim_start().starts_with("#[") {
            let open = end + code[end..].find('[').expect("just seen");
            end = closing(code, open);
        }
        end = item_end(code, end);
        regions.push(start..end);
        from = end;
    }
    regions
}

fn item_end(code: &str, from: usize) -> usize {
    let mut at = from;
    while at < code.len() {
        match code.as_bytes()[at] {
            b'{' => return closing(code, at),
            b';' => return at + 1,
            b'(' | b'[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    code.len()
}

pub(super) fn test_modules(code: &str) -> Vec<String> {
    test_regions(code)
        .into_iter()
        .filter(|region| code[region.clone()].trim_end().ends_with(';'))
        .flat_map(|region| named_modules(&code[region]))
        .map(|(name, _)| name)
        .collect()
}

pub(super) fn imports(code: &str) -> Vec<(usize, String)> {
    words(code)
        .filter(|&(_, word)| word == "use")
        .filter_map(|(offset, _)| {
            let start = offset + "use".len();
            let end = start + code[start..].find(';')?;
            Some((offset, write_out(&code[start..end])))
        })
        .flat_map(|(offset, paths)| paths.into_iter().map(move |path| (offset, path)))
        .collect()
}

/// Writes the groups of one import out.
fn write_out(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![path.split_whitespace().collect()];
    };
    let prefix: String = tree[..open].split_whitespace().collect();
    let inside = &tree[open + 1..closing(tree, open).saturating_sub(1).max(open + 1)];
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts
        .into_iter()
        .filter(|part| part.bytes().any(is_word))
        .flat_map(write_out)
        .map(|path| format!("{prefix}{path}"))
        .collect()
}
