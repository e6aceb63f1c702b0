//! One line of text, typed at its end.

/// Bytes of a line; what is typed beyond is not taken.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an escape sequence that are looked at.
const SEQUENCE_BYTES_MAX: usize = 16;

/// What keys lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// The line is complete.
    Enter(String),
    /// Ctrl-C, or Ctrl-D on an empty line.
    Quit,
}

/// The line, and what has come of an unfinished character or key.
#[derive(Debug, Default)]
pub(super) struct Editor {
    text: String,
    character: Vec<u8>,
    escape: Escape,
    pasting: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Begun,
    /// After ESC and `O`: one byte more.
    OneMore,
    /// After ESC and `[`.
    Sequence(Vec<u8>),
}

impl Editor {
    /// What is typed so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Makes a line that was entered the current one again.
    pub(super) fn put_back(&mut self, text: String) {
        if self.text.is_empty() {
            self.text = text;
        }
    }

    /// Bytes from the terminal.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Action> {
        bytes.iter().filter_map(|&byte| self.byte(byte)).collect()
    }

    fn byte(&mut self, byte: u8) -> Option<Action> {
        match core::mem::take(&mut self.escape) {
            Escape::None => return self.key(byte),
            Escape::Begun => match byte {
                b'[' => self.escape = Escape::Sequence(Vec::new()),
                b'O' => self.escape = Escape::OneMore,
                0x1b => self.escape = Escape::Begun,
                // Alt-Enter is a new line in the text.
                b'\r' | b'\n' => self.push('\n'),
                _ => {}
            },
            Escape::OneMore => {}
            Escape::Sequence(mut sequence) => match byte {
                0x40..=0x7e => {
                    sequence.push(byte);
                    match &sequence[..] {
                        b"200~" => self.pasting = true,
                        b"201~" => self.pasting = false,
                        // Arrows and the like: typing goes on at the end.
                        _ => {}
                    }
                }
                0x20..=0x3f => {
                    if sequence.len() < SEQUENCE_BYTES_MAX {
                        sequence.push(byte);
                    }
                    self.escape = Escape::Sequence(sequence);
                }
                _ => {}
            },
        }
        None
    }

    fn key(&mut self, byte: u8) -> Option<Action> {
        if byte >= 0x80 {
            self.part_of_character(byte);
            return None;
        }
        self.character.clear();
        match byte {
            0x1b => self.escape = Escape::Begun,
            b'\r' | b'\n' if self.pasting => self.push('\n'),
            b'\r' | b'\n' => return Some(Action::Enter(core::mem::take(&mut self.text))),
            b'\t' => self.push(' '),
            0x03 => return Some(Action::Quit),
            0x04 if self.text.is_empty() => return Some(Action::Quit),
            0x08 | 0x7f => {
                self.text.pop();
            }
            // Ctrl-U
            0x15 => self.text.clear(),
            // Ctrl-W
            0x17 => {
                let kept = self.text.trim_end();
                let kept = kept.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                // A character of white space may have several bytes.
                let kept = (kept..=self.text.len()).find(|&at| self.text.is_char_boundary(at));
                self.text.truncate(kept.unwrap_or(0));
            }
            0x20..0x7f => self.push(char::from(byte)),
            _ => {}
        }
        None
    }

    fn part_of_character(&mut self, byte: u8) {
        self.character.push(byte);
        match core::str::from_utf8(&self.character) {
            Ok(text) => {
                let character = text.chars().next();
                self.character.clear();
                // Controls of the second block do nothing.
                if let Some(character) = character.filter(|c| !c.is_control()) {
                    self.push(character);
                }
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) => self.character.clear(),
        }
    }

    fn push(&mut self, character: char) {
        if self.text.len() + character.len_utf8() <= LINE_BYTES_MAX {
            self.text.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> (String, Vec<Action>) {
        let mut whole = Editor::default();
        let actions = whole.feed(bytes);
        let mut single = Editor::default();
        let one_by_one: Vec<Action> = bytes.iter().flat_map(|byte| single.feed(&[*byte])).collect();
        assert_eq!(actions, one_by_one);
        assert_eq!(whole.text, single.text);
        (whole.text, actions)
    }

    #[test]
    fn characters_and_corrections() {
        assert_eq!(typed("aé日\x7f".as_bytes()).0, "aé");
        assert_eq!(typed(b"one two \x17").0, "one ");
        assert_eq!(typed("日\u{3000}本\x17".as_bytes()).0, "日\u{3000}");
        assert_eq!(typed(b"one\x17\x17").0, "");
        assert_eq!(typed(b"one\x15two").0, "two");
        assert_eq!(typed(b"a\xffb\xc3c").0, "abc");
        assert_eq!(typed("a\u{9b}b".as_bytes()).0, "ab");
    }

    #[test]
    fn keys_without_a_meaning_leave_nothing_behind() {
        assert_eq!(typed(b"a\x1b[A\x1bOP\x1b[1;5C\x1bxb\x01").0, "ab");
    }

    #[test]
    fn enter_and_the_ends() {
        let enter = |text: &str| Action::Enter(text.to_owned());
        assert_eq!(typed(b"a\rb\n").1, [enter("a"), enter("b")]);
        assert_eq!(typed(b"a\x04").1, []);
        assert_eq!(typed(b"\x04").1, [Action::Quit]);
        assert_eq!(typed(b"a\x03").1, [Action::Quit]);
    }

    #[test]
    fn a_pasted_text_is_one_message() {
        assert_eq!(typed(b"\x1b[200~a\rb\x1b[201~c\r").1, [Action::Enter("a\nbc".to_owned())]);
    }
}
