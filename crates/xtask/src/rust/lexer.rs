//! Splits Rust text into code and comments.

use super::is_word;

/// The code and the comments of `text`, each as long as `text` with blanks in
/// place of what is not theirs. Line ends stand in both.
pub(super) fn split(text: &str) -> (String, String) {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, code: Vec::new(), comments: Vec::new() };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    let into = |bytes| String::from_utf8(bytes).expect("whole characters are kept or blanked");
    (into(lexer.code), into(lexer.comments))
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
}

/// Which of the two texts keeps a byte.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Code,
    Comment,
    Neither,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(b"//") {
            let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            self.take(end, Keep::Comment);
        } else if rest.starts_with(b"/*") {
            self.take(block_comment_len(rest), Keep::Comment);
        } else if let Some((open, len)) = self.raw_string() {
            self.literal(open, len);
        } else if rest[0] == b'"' {
            self.literal(1, string_len(rest));
        } else if rest[0] == b'\'' {
            match char_len(rest) {
                Some(len) => self.literal(1, len),
                None => self.take(1, Keep::Code),
            }
        } else {
            self.take(1, Keep::Code);
        }
    }

    /// Keeps the opening of a literal and its last quote, blanks what is between.
    fn literal(&mut self, open: usize, len: usize) {
        self.take(open, Keep::Code);
        if len > open {
            self.take(len - open - 1, Keep::Neither);
            self.take(1, Keep::Code);
        }
    }

    fn take(&mut self, len: usize, keep: Keep) {
        for &byte in &self.bytes[self.at..self.at + len] {
            let line_end = byte == b'\n';
            self.code.push(if keep == Keep::Code || line_end { byte } else { b' ' });
            self.comments.push(if keep == Keep::Comment || line_end { byte } else { b' ' });
        }
        self.at += len;
    }

    /// The lengths of the opening and of the whole of a raw string that starts here.
    fn raw_string(&self) -> Option<(usize, usize)> {
        if self.at > 0 && is_word(self.bytes[self.at - 1]) {
            return None;
        }
        let rest = &self.bytes[self.at..];
        let prefix = [b"r".as_slice(), b"br", b"cr"].into_iter().find(|p| rest.starts_with(p))?;
        let hashes = rest[prefix.len()..].iter().take_while(|&&b| b == b'#').count();
        let open = prefix.len() + hashes;
        if rest.get(open) != Some(&b'"') {
            return None;
        }
        let mut close = vec![b'"'];
        close.resize(1 + hashes, b'#');
        let body = &rest[open + 1..];
        let end = body.windows(close.len()).position(|window| window == close);
        Some((open + 1, end.map_or(rest.len(), |end| open + 1 + end + close.len())))
    }
}

fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a character literal, or `None` for a lifetime.
fn char_len(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|&b| b == b'\'')?;
        return Some(3 + end + 1);
    }
    let first = *rest.get(1)?;
    let width = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}
