//! The requirements in `spec/*.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::coverage;
use crate::repo::Tree;
use crate::report::Report;

/// `AREA-NN`: three capital letters, a number of at least two digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    area: String,
    number: u16,
}

impl Id {
    /// Whether both stand in one layer's numbering.
    pub(super) fn same_area(&self, other: &Self) -> bool {
        self.area == other.area
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.area, self.number)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no requirement id; write AREA-NN");
        let (area, digits) = text.split_once('-').ok_or_else(bad)?;
        let number: u16 = digits.parse().map_err(|_| bad())?;
        let id = Self { area: area.to_owned(), number };
        let capitals = area.len() == 3 && area.bytes().all(|b| b.is_ascii_uppercase());
        // Printing it again refuses `GSP-1`, `GSP-001` and `GSP-+1`.
        if capitals && number > 0 && id.to_string() == text { Ok(id) } else { Err(bad()) }
    }
}

/// The keywords of BCP 14 that the spec uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keyword {
    Must,
    MustNot,
    Should,
    ShouldNot,
    May,
}

impl Keyword {
    /// Whether a test or an exception is owed.
    pub(crate) const fn is_must(self) -> bool {
        matches!(self, Self::Must | Self::MustNot)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
        })
    }
}

/// One normative sentence.
#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) keyword: Keyword,
    /// The document.
    pub(crate) path: String,
    pub(crate) line: usize,
    /// The sentence with single blanks and without its id.
    pub(crate) sentence: String,
}

/// All requirements of all documents.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    pub(crate) requirements: BTreeMap<Id, Requirement>,
    /// Ids that stay listed so that nobody uses them again.
    pub(crate) withdrawn: BTreeMap<Id, (String, usize)>,
}

impl Spec {
    /// Reads `spec/**.md`, except what is generated.
    pub(crate) fn read(tree: &Tree, report: &mut Report) -> Self {
        let mut spec = Self::default();
        for (path, text) in tree.matching("spec/", ".md") {
            if path != coverage::PATH {
                for block in blocks(text) {
                    spec.add(path, &block, report);
                }
            }
        }
        spec
    }

    fn add(&mut self, path: &str, block: &Block, report: &mut Report) {
        let line = block.line;
        if let Some((id, sentence)) = split_id(&block.text, "**[", "]**") {
            match id.parse() {
                Ok(id) => self.add_requirement(id, path, line, sentence, report),
                Err(problem) => report.fault(path, line, problem),
            }
        } else if let Some((id, _)) = split_id(&block.text, "~~[", "]~~") {
            match id.parse() {
                Ok(id) => self.add_withdrawn(id, path, line, report),
                Err(problem) => report.fault(path, line, problem),
            }
        } else {
            if block.text.contains("**[") && block.text.contains("]**") {
                let text = "an id inside a paragraph; start a paragraph or list item with it";
                report.fault(path, line, text);
            }
            if let Some(word) = keywords(&block.text).first() {
                let text = format!("{word} without an id; give the sentence one or write it small");
                report.fault(path, line, text);
            }
        }
    }

    fn add_requirement(
        &mut self,
        id: Id,
        path: &str,
        line: usize,
        sentence: &str,
        report: &mut Report,
    ) {
        let found = keywords(sentence);
        let keyword = if let [Word::Keyword(keyword)] = found[..] {
            keyword
        } else {
            let words: Vec<_> = found.iter().map(ToString::to_string).collect();
            let text = match words.len() {
                0 => {
                    format!("{id} has no keyword; write MUST, MUST NOT, SHOULD, SHOULD NOT or MAY")
                }
                1 => format!("{id} says {}; write MUST, SHOULD or MAY", words[0]),
                _ => format!("{id} says {}; one keyword per id, split it", words.join(" and ")),
            };
            report.fault(path, line, text);
            // It stays known, so that its marks are not called unknown besides.
            Keyword::Must
        };
        if self.requirements.contains_key(&id) || self.withdrawn.contains_key(&id) {
            report.fault(path, line, format!("{id} is used already; take the next free number"));
            return;
        }
        let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
        let requirement = Requirement { keyword, path: path.to_owned(), line, sentence };
        self.requirements.insert(id, requirement);
    }

    fn add_withdrawn(&mut self, id: Id, path: &str, line: usize, report: &mut Report) {
        if self.requirements.contains_key(&id) {
            report.fault(path, line, format!("{id} is in use and withdrawn; decide"));
        }
        self.withdrawn.insert(id, (path.to_owned(), line));
    }
}

/// A paragraph, list item or table row.
struct Block {
    line: usize,
    text: String,
}

/// The blocks of a document without its drawings.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut drawing = false;
    let mut open = false;
    for (index, line) in document.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            drawing = !drawing;
            open = false;
            continue;
        }
        if drawing || trimmed.is_empty() {
            open = false;
            continue;
        }
        let (text, starts) = strip_marker(trimmed);
        if open && !starts {
            let block = blocks.last_mut().expect("open means that there is one");
            block.text.push('\n');
            block.text.push_str(text);
        } else {
            blocks.push(Block { line: index + 1, text: text.to_owned() });
        }
        open = !trimmed.starts_with('#') && !trimmed.starts_with('|');
    }
    blocks
}

/// The line without its list marker, and whether a block begins with it.
fn strip_marker(line: &str) -> (&str, bool) {
    let bullet = ["- ", "* ", "+ "].into_iter().find_map(|marker| line.strip_prefix(marker));
    let numbered = || {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() < line.len() { rest.strip_prefix(". ") } else { None }
    };
    match bullet.or_else(numbered) {
        Some(rest) => (rest.trim_start(), true),
        None => {
            let starts = ["#", "|", ">", "**[", "~~["].iter().any(|start| line.starts_with(start));
            (line, starts)
        }
    }
}

/// Splits `**[ID]** rest` into both.
fn split_id<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(open)?.split_once(close)
}

/// A capitalised word of BCP 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Keyword(Keyword),
    /// One that this spec does not use.
    Foreign(&'static str),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyword(keyword) => keyword.fmt(f),
            Self::Foreign(word) => f.write_str(word),
        }
    }
}

/// The words of BCP 14 in a text, those in code or quotation marks left out.
fn keywords(text: &str) -> Vec<Word> {
    let plain = without_spans(&without_spans(text, '`'), '"');
    let words: Vec<&str> =
        plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let negated = words.get(index + 1) == Some(&"NOT");
        found.push(match (*word, negated) {
            ("MUST", false) => Word::Keyword(Keyword::Must),
            ("MUST", true) => Word::Keyword(Keyword::MustNot),
            ("SHOULD", false) => Word::Keyword(Keyword::Should),
            ("SHOULD", true) => Word::Keyword(Keyword::ShouldNot),
            ("MAY", _) => Word::Keyword(Keyword::May),
            ("SHALL", _) => Word::Foreign("SHALL"),
            ("REQUIRED", _) => Word::Foreign("REQUIRED"),
            ("RECOMMENDED", _) => Word::Foreign("RECOMMENDED"),
            ("OPTIONAL", _) => Word::Foreign("OPTIONAL"),
            _ => continue,
        });
    }
    found
}

/// The text without what stands between pairs of `mark`.
fn without_spans(text: &str, mark: char) -> String {
    let parts: Vec<&str> = text.split(mark).collect();
    let last = parts.len() - 1;
    // An opening mark without its partner opens nothing.
    let kept = parts.iter().enumerate().filter(|(i, _)| i % 2 == 0 || *i == last);
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join(" ")
}
