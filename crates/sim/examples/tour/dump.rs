//! Bytes with the names of their fields beside them.

use std::fmt::Write as _;

/// Bytes of a field on one line.
const PER_LINE: usize = 16;
/// A field longer than this is shown by its first line.
const WHOLE_MAX: usize = 64;

/// A drawing of some bytes, field by field.
pub(crate) struct Dump<'a> {
    bytes: &'a [u8],
    at: usize,
    text: String,
}

impl<'a> Dump<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let text = format!("{:>6}  {:<47}  field\n", "offset", "bytes");
        Self { bytes, at: 0, text }
    }

    /// The next field, by its length.
    pub(crate) fn field(mut self, len: usize, name: &str) -> Self {
        let field = &self.bytes[self.at..self.at + len];
        let shown = if len > WHOLE_MAX { PER_LINE } else { len };
        for (line, bytes) in field[..shown].chunks(PER_LINE).enumerate() {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = if line == 0 { name } else { "" };
            let row = format!("{:>6}  {:<47}  {name}", self.at + line * PER_LINE, digits.join(" "));
            self.line(row.trim_end());
        }
        if shown < len {
            self.line(&format!("{:>6}  … and {} bytes more", "", grouped(len - shown)));
        }
        self.at += len;
        self
    }

    /// The next field, which has to be these bytes.
    pub(crate) fn is(self, bytes: &[u8], name: &str) -> Self {
        let found = &self.bytes[self.at..self.at + bytes.len()];
        assert_eq!(found, bytes, "{name} stands at offset {}", self.at);
        self.field(bytes.len(), name)
    }

    /// The drawing. Every byte has a name by now.
    pub(crate) fn finish(self) -> String {
        assert_eq!(self.at, self.bytes.len(), "every byte belongs to a field");
        format!("```text\n{}```\n", self.text)
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a string takes everything");
    }
}

/// All digits of some bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
