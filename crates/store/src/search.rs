//! Finding messages by their words, in memory.
//!
//! Texts lie sealed on disk, so no index can lie there without saying what is
//! in them. Opening 100,000 messages takes about half a second, going through
//! them in memory a few milliseconds (`examples/store_speed.rs`). So they are opened
//! once, when the store is, and kept in the form in which they are compared:
//!
//! - a word is a run of letters and digits; it is put down in lower case with a
//!   space in front, and all else is left out;
//! - scripts that put no spaces between words count each character as a word.
//!
//! A query word is put down in the same way and then sought as it is. So it is
//! found at the start of words, and what punctuation or script made into
//! several words must occur in one piece.

use zeroize::Zeroizing;

/// Bytes that one block holds, unless a single text is longer. A block never
/// grows past what it began with, so no copies of texts are left behind.
const BLOCK_BYTES: usize = 256 * 1024;

/// The texts of all messages that people see.
#[derive(Default)]
pub(crate) struct SearchIndex {
    blocks: Vec<Block>,
    /// What was added since the last commit: gone after a rollback.
    pending: Vec<(Entry, Zeroizing<String>)>,
}

struct Block {
    texts: Zeroizing<String>,
    entries: Vec<(Entry, usize)>,
}

/// Which message a text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) row: i64,
    pub(crate) person: i64,
}

impl SearchIndex {
    /// Adds a message that is stored by the open transaction.
    pub(crate) fn add(&mut self, entry: Entry, text: &str) {
        self.pending.push((entry, normalise(text)));
    }

    /// The open transaction was committed.
    pub(crate) fn commit(&mut self) {
        for (entry, text) in std::mem::take(&mut self.pending) {
            self.keep(entry, &text);
        }
    }

    /// The open transaction never was.
    pub(crate) fn rollback(&mut self) {
        self.pending.clear();
    }

    /// Rows with all words of `query`, newest first. None for a query without
    /// a letter or digit.
    pub(crate) fn find<'a, F: Fn(Entry) -> bool>(
        &'a self,
        query: &str,
        wanted: F,
    ) -> impl Iterator<Item = i64> + use<'a, F> {
        let mut words: Vec<_> =
            query.split_whitespace().map(normalise).filter(|word| !word.is_empty()).collect();
        // The longest is the rarest.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let pending = self.pending.iter().rev().map(|(entry, text)| (*entry, text.as_str()));
        pending
            .chain(self.blocks.iter().rev().flat_map(Block::newest_first))
            .filter(move |(entry, text)| {
                !words.is_empty()
                    && wanted(*entry)
                    && words.iter().all(|word| text.contains(word.as_str()))
            })
            .map(|(entry, _)| entry.row)
    }

    fn keep(&mut self, entry: Entry, text: &str) {
        let fits = |block: &&mut Block| block.texts.capacity() - block.texts.len() >= text.len();
        let block = match self.blocks.last_mut().filter(fits) {
            Some(block) => block,
            None => {
                let capacity = BLOCK_BYTES.max(text.len());
                let texts = Zeroizing::new(String::with_capacity(capacity));
                self.blocks.push(Block { texts, entries: Vec::new() });
                self.blocks.last_mut().expect("pushed just now")
            }
        };
        block.texts.push_str(text);
        block.entries.push((entry, block.texts.len()));
    }
}

impl Block {
    fn newest_first(&self) -> impl Iterator<Item = (Entry, &str)> {
        (0..self.entries.len()).rev().map(|i| {
            let start = i.checked_sub(1).map_or(0, |before| self.entries[before].1);
            let (entry, end) = self.entries[i];
            (entry, &self.texts[start..end])
        })
    }
}

/// The words of a text as they are kept and sought.
fn normalise(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 2 + 8));
    let mut inside = false;
    for character in text.chars() {
        if is_accent(character) {
            continue;
        }
        if !character.is_alphanumeric() {
            inside = false;
            continue;
        }
        let alone = is_unspaced(character);
        if alone || !inside {
            out.push(' ');
        }
        inside = !alone;
        // The small sigma has another form at the end of words.
        let lower = if character == 'ς' { 'σ' } else { character };
        out.extend(lower.to_lowercase().filter(|c| !is_accent(*c)));
    }
    out
}

/// Marks that belong to the letter before them: no end of a word.
const fn is_accent(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// Characters of scripts that are written without spaces.
const fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Burmese
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{3040}'..='\u{30ff}' // Kana
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Han
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[&str]) -> SearchIndex {
        let mut index = SearchIndex::default();
        for (row, text) in (1..).zip(texts) {
            index.add(Entry { row, person: row % 2 }, text);
        }
        index.commit();
        index
    }

    fn found(index: &SearchIndex, query: &str) -> Vec<i64> {
        index.find(query, |_| true).collect()
    }

    #[test]
    fn all_words_must_begin_somewhere_newest_first() {
        let index = index(&["The quick brown fox", "a quicker FOX trot", "prefix only"]);
        assert_eq!(found(&index, "quick"), [2, 1]);
        assert_eq!(found(&index, "fox qui"), [2, 1]);
        assert_eq!(found(&index, "brown fox"), [1]);
        assert_eq!(found(&index, "fix"), [0i64; 0]);
        assert_eq!(found(&index, "ox"), [0i64; 0]);
        assert_eq!(found(&index, "quick cat"), [0i64; 0]);
        assert_eq!(found(&index, " ?! "), [0i64; 0]);
        assert_eq!(index.find("fox", |entry| entry.person == 1).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn case_punctuation_and_accents_do_not_hide_words() {
        let index = index(&["ÄRGER beim e-Mail-Lesen", "ΟΔΟΣ", "cafe\u{301} noir", "İstanbul"]);
        assert_eq!(found(&index, "ärger"), [1]);
        assert_eq!(found(&index, "E-MAIL"), [1]);
        assert_eq!(found(&index, "mail"), [1]);
        assert_eq!(found(&index, "οδος"), [2]);
        assert_eq!(found(&index, "cafe"), [3]);
        assert_eq!(found(&index, "istan"), [4]);
    }

    #[test]
    fn scripts_without_spaces_are_found_inside() {
        let index = index(&["我们明天见面吧", "明日また会いましょう"]);
        assert_eq!(found(&index, "明天"), [1]);
        assert_eq!(found(&index, "天明"), [0i64; 0]);
        assert_eq!(found(&index, "会い"), [2]);
    }

    #[test]
    fn no_match_runs_from_one_message_into_the_next() {
        let index = index(&["one", "two"]);
        assert_eq!(found(&index, "one-two"), [0i64; 0]);
    }

    #[test]
    fn what_is_rolled_back_is_not_found() {
        let mut index = index(&["kept"]);
        index.add(Entry { row: 2, person: 0 }, "kept for now");
        assert_eq!(found(&index, "kept"), [2, 1]);
        index.rollback();
        assert_eq!(found(&index, "kept"), [1]);
    }

    #[test]
    fn texts_of_any_size_go_into_blocks() {
        let long = "word ".repeat(BLOCK_BYTES / 4);
        let mut index = SearchIndex::default();
        for (row, text) in [(1, "first"), (2, long.as_str()), (3, "last")] {
            index.add(Entry { row, person: 0 }, text);
            index.commit();
        }
        assert_eq!(found(&index, "word"), [2]);
        assert_eq!(found(&index, "first"), [1]);
        assert_eq!(found(&index, "last"), [3]);
        assert!(index.blocks.iter().all(|block| block.texts.len() <= block.texts.capacity()));
        assert_eq!(index.blocks.len(), 3);
    }
}
