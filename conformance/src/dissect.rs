//! Names the fields of what went over the wire, for people who read a report.
//!
//! It judges nothing: bytes that are no layout come out as far as they can be read,
//! and the rest as they are.

mod layouts;

use data_encoding::HEXLOWER;

#[allow(clippy::type_complexity)] // it is generated, and read here alone
mod table {
    include!(concat!(env!("OUT_DIR"), "/fields.rs"));
}

/// A run of bytes with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub at: usize,
    /// How many bytes.
    pub length: usize,
    /// How deep it lies in other fields.
    pub depth: usize,
    /// The field's name in `spec/` or `proto/`.
    pub name: String,
    /// What it says, where that is more than its bytes.
    pub value: String,
}

/// The parts of what a transcript says was sent or received, in order and without gaps.
#[must_use]
pub fn parts(what: &str, bytes: &[u8]) -> Vec<Part> {
    let mut walk = Walk { bytes, at: 0, end: bytes.len(), depth: 0, parts: Vec::new() };
    let word = what.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let is_frame = !what.contains("record") && frame_starts(bytes);
    if what.starts_with("handshake message") || what.starts_with("message ") {
        walk.handshake(what.starts_with("message 1"));
    } else if what.contains("records") {
        walk.records();
    } else if is_frame {
        walk.frames();
    } else if message(word).is_some() {
        walk.message(word);
    } else if what.contains("beacon") {
        walk.message("Beacon");
    }
    walk.rest("bytes");
    walk.parts
}

/// Whether bytes begin with a frame that fits into them.
fn frame_starts(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<6>() else { return false };
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let known = frame_name(u16::from_be_bytes([head[4], head[5]])).is_some();
    (2..=bytes.len() - 4).contains(&length) || known
}

type Fields = [(u64, &'static str, &'static str)];

fn message(name: &str) -> Option<&'static Fields> {
    table::MESSAGES.iter().find(|(known, _)| *known == name).map(|(_, fields)| *fields)
}

fn enum_word(kind: &str, value: u64) -> Option<&'static str> {
    let (_, values) = table::ENUMS.iter().find(|(name, _)| *name == kind)?;
    values.iter().find(|(number, _)| u64::try_from(*number) == Ok(value)).map(|(_, word)| *word)
}

/// The message of a frame type, as `proto/` names both: `FRAME_TYPE_MSG` is `Msg`.
fn frame_name(kind: u16) -> Option<String> {
    let word = enum_word("FrameType", u64::from(kind))?.strip_prefix("FRAME_TYPE_")?;
    let (first, rest) = word.split_at(1);
    (kind != 0).then(|| first.to_owned() + &rest.to_ascii_lowercase())
}

/// A cursor that gives names to what it passes.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    depth: usize,
    parts: Vec<Part>,
}

impl<'a> Walk<'a> {
    fn left(&self) -> &'a [u8] {
        &self.bytes[self.at..self.end]
    }

    fn push(&mut self, length: usize, name: &str, value: String) {
        let (at, depth) = (self.at, self.depth);
        self.parts.push(Part { at, length, depth, name: name.to_owned(), value });
        self.at += length;
    }

    /// So many bytes under a name; fewer where there are fewer, and then `None`.
    fn take(&mut self, length: usize, name: &str) -> Option<&'a [u8]> {
        let left = self.left();
        if left.len() < length {
            if !left.is_empty() {
                self.push(left.len(), name, format!("cut short: {} of {length} bytes", left.len()));
            }
            return None;
        }
        self.push(length, name, String::new());
        Some(&left[..length])
    }

    /// A big-endian number under a name.
    fn number(&mut self, length: usize, name: &str) -> Option<u64> {
        let bytes = self.take(length, name)?;
        let value = bytes.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        self.say(number_text(name, value));
        Some(value)
    }

    /// What the last part says.
    fn say(&mut self, value: String) {
        if let Some(last) = self.parts.last_mut() {
            last.value = value;
        }
    }

    fn rest(&mut self, name: &str) {
        let left = self.left().len();
        if left > 0 {
            self.push(left, name, String::new());
        }
    }

    /// Walks inside of the next `length` bytes, all of which have a name then.
    fn within(&mut self, length: usize, walk: impl FnOnce(&mut Self)) {
        let (end, depth) = (self.end, self.depth);
        self.end = self.at + length.min(self.left().len());
        self.depth += 1;
        walk(self);
        self.rest("more bytes");
        (self.end, self.depth) = (end, depth);
    }

    fn handshake(&mut self, first: bool) {
        self.number(2, "length");
        self.take(32, "share (X25519)");
        match (first, self.left().len().checked_sub(16)) {
            (true, _) => {
                if let Some(count) = self.number(1, "version count") {
                    for _ in 0..count {
                        if self.number(2, "version").is_none() {
                            break;
                        }
                    }
                }
            }
            (false, Some(payload)) => {
                self.take(payload, "version list, sealed");
                self.take(16, "tag");
            }
            (false, None) => {}
        }
    }

    fn records(&mut self) {
        while let Some(length) = self.number(2, "record length") {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.left().len());
            self.take(length, "record, sealed");
        }
    }

    fn frames(&mut self) {
        while !self.left().is_empty() {
            let Some(length) = self.number(4, "length") else { return };
            let Some(kind) = self.number(2, "type") else { return };
            let name = u16::try_from(kind).ok().and_then(frame_name);
            let critical = if kind < 0x8000 { "may be skipped" } else { "critical" };
            let word = name.clone().unwrap_or_else(|| format!("unknown, {critical}"));
            self.say(format!("0x{kind:04x} {word}"));
            let body = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(2);
            self.within(body, |walk| {
                if let Some(name) = name {
                    walk.message(&name);
                }
            });
        }
    }

    fn varint(&mut self, name: &str) -> Option<u64> {
        let left = self.left();
        let length = left.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
        let value = left[..length]
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| sum.wrapping_shl(7) | u64::from(byte & 0x7f));
        self.push(length, name, number_text(name, value));
        Some(value)
    }

    /// The fields of a protobuf message, by its name in `proto/`.
    fn message(&mut self, name: &str) {
        let fields = message(name).unwrap_or_default();
        while !self.left().is_empty() {
            let start = self.parts.len();
            let Some(tag) = self.varint("tag") else { return };
            let (number, wire) = (tag >> 3, tag & 7);
            let known = fields.iter().find(|(n, ..)| *n == number).copied();
            let (_, field, kind) = known.unwrap_or((number, "", ""));
            let field = if field.is_empty() { format!("field {number}") } else { field.to_owned() };
            self.parts[start].name.clone_from(&field);
            self.parts[start].value = format!("field {number}, wire type {wire}");
            match wire {
                0 => {
                    let Some(value) = self.varint(&field) else { return };
                    if let Some(word) = enum_word(kind, value) {
                        self.say(format!("{value} {word}"));
                    }
                    self.merge(start);
                }
                2 => {
                    let Some(length) = self.varint("length") else { return };
                    self.merge(start);
                    self.parts[start].value = format!("{length} bytes");
                    self.parts[start].name.clone_from(&field);
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    self.within(length, |walk| walk.inside(name, &field, kind));
                }
                1 => drop(self.take(8, &field)),
                5 => drop(self.take(4, &field)),
                _ => return,
            }
        }
    }

    /// Makes one part of two: tag and value of a small field.
    fn merge(&mut self, start: usize) {
        let tail = self.parts.split_off(start + 1);
        if let (Some(head), Some(last)) = (self.parts.last_mut(), tail.last()) {
            head.length += tail.iter().map(|part| part.length).sum::<usize>();
            head.value.clone_from(&last.value);
        }
    }

    /// The content of a field with a length.
    fn inside(&mut self, message_name: &str, field: &str, kind: &str) {
        match (message_name, field) {
            (_, "envelope") if kind.is_empty() => self.envelope(),
            ("Card", "card") => self.card(),
            (_, "authority" | "authorities") => self.authority(),
            _ if message(kind).is_some() => self.message(kind),
            _ => self.rest("…"),
        }
    }
}

/// A number, and as a time where it is one.
fn number_text(name: &str, value: u64) -> String {
    const TIMES: &[&str] = &[
        "now",
        "time",
        "store_until",
        "expires_at",
        "not_before",
        "not_after",
        "seq",
        "my_card_seq",
        "your_card_seq",
        "registered_until",
    ];
    // After 2020 in ms; a sequence may be any number.
    if TIMES.contains(&name) && (1_577_836_800_000..32_503_680_000_000).contains(&value) {
        format!("{value} = {}", utc(value))
    } else {
        value.to_string()
    }
}

/// Milliseconds since 1970 as a date in UTC.
#[must_use]
pub fn utc(ms: u64) -> String {
    let (seconds, days) = (ms / 1000 % 86_400, ms / 86_400_000);
    // Civil date of a day number; eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month_number) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = era * 400 + year + u64::from(month_number <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month_number:02}-{date:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Bytes as hexadecimal pairs, sixteen on a line.
#[must_use]
pub fn hex_lines(bytes: &[u8]) -> Vec<String> {
    let pairs = |chunk: &[u8]| {
        let pairs: Vec<String> = chunk.iter().map(|byte| HEXLOWER.encode(&[*byte])).collect();
        pairs.join(" ")
    };
    bytes.chunks(16).map(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Person;
    use crate::stack::frame::{Frame, raw};
    use crate::stack::v1;

    fn named<'a>(parts: &'a [Part], name: &str) -> &'a Part {
        parts.iter().find(|part| part.name == name).unwrap_or_else(|| panic!("{name}: {parts:?}"))
    }

    fn whole(parts: &[Part], length: usize) {
        let mut at = 0;
        for part in parts {
            assert_eq!(part.at, at, "{parts:?}");
            at += part.length;
        }
        assert_eq!(at, length);
    }

    #[test]
    fn frames_and_their_fields_have_names() {
        let bytes = Frame::Ack(v1::Ack {
            id: vec![7; 32],
            result: 3,
            reason: 2,
            retry_after_s: 60,
            now: 1_790_000_000_000,
        })
        .bytes();
        let found = parts("Ack", &bytes);
        whole(&found, bytes.len());
        assert_eq!(named(&found, "type").value, "0x8024 Ack");
        assert_eq!(named(&found, "result").value, "3 ACK_RESULT_REFUSED");
        assert_eq!(named(&found, "now").value, "1790000000000 = 2026-09-21 14:13:20Z");
        assert_eq!(named(&found, "id").value, "32 bytes");
    }

    #[test]
    fn cards_and_envelopes_are_walked() {
        let person = Person::published("ada");
        let card = person.card_bytes(1, 1_790_000_000_000);
        let bytes = Frame::Card(v1::Card { card }).bytes();
        let found = parts("Card, in clear:", &bytes);
        whole(&found, bytes.len());
        assert_eq!(named(&found, "name").value, "\"ada\"");
        assert_eq!(named(&found, "signature").length, 64);
        assert!(found.iter().all(|part| part.name != "more bytes"), "{found:?}");
    }

    #[test]
    fn no_bytes_make_it_fail() {
        let card =
            Frame::Card(v1::Card { card: Person::contact(1).card_bytes(1, 1_790_000_000_000) })
                .bytes();
        let envelope = Frame::Msg(v1::Msg { ttl: 1, stamp: vec![1], envelope: vec![1; 200] });
        for bytes in [card, envelope.bytes(), raw(0x0fff, b"later"), vec![0xff; 99]] {
            for end in 0..bytes.len().min(700) {
                for what in ["Card", "message 1", "message 2", "the fault, as records", "x"] {
                    let mut cut = bytes[..end].to_vec();
                    whole(&parts(what, &cut), end);
                    if let Some(last) = cut.last_mut() {
                        *last = !*last;
                    }
                    whole(&parts(what, &cut), end);
                }
            }
        }
    }
}
