//! The values of constants, computed from how they are written.
//!
//! Knows what our constants use: integers, the four operations, lists and their
//! elements, `Duration::from_…`, tuple structs of one number, other constants.

use std::fmt;

use crate::rust::is_word;

/// What a constant or a cell of a table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A plain number.
    Number(i128),
    /// A duration in milliseconds.
    Millis(i128),
    /// Several numbers in order.
    List(Vec<i128>),
    /// A label, its zero byte included.
    Bytes(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Millis(millis) if millis % 1000 == 0 => write!(f, "{} s", millis / 1000),
            Self::Millis(millis) => write!(f, "{millis} ms"),
            Self::List(numbers) => {
                let texts: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", texts.join(", "))
            }
            Self::Bytes(bytes) => write!(f, "{bytes:?}"),
        }
    }
}

/// The value of `text`; `named` knows the values of other constants by path.
pub(super) fn evaluate(text: &str, named: &dyn Fn(&str) -> Option<Value>) -> Result<Value, String> {
    let mut parser = Parser { rest: text.trim(), named };
    let value = parser.sum()?;
    if parser.rest.is_empty() { Ok(value) } else { Err(parser.stuck()) }
}

struct Parser<'a> {
    rest: &'a str,
    named: &'a dyn Fn(&str) -> Option<Value>,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Value, String> {
        let mut left = self.product()?;
        loop {
            if self.takes("+") {
                left = join(left, self.product()?, i128::checked_add)?;
            } else if self.takes("-") {
                left = join(left, self.product()?, i128::checked_sub)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Value, String> {
        let mut left = self.single()?;
        loop {
            if self.takes("*") {
                left = join(left, self.single()?, i128::checked_mul)?;
            } else if self.takes("/") {
                left = join(left, self.single()?, i128::checked_div)?;
            } else if let Some(rest) = self.rest.strip_prefix("as ") {
                self.rest = rest;
                self.word();
            } else {
                return Ok(left);
            }
        }
    }

    fn single(&mut self) -> Result<Value, String> {
        if self.takes("&") {
            return self.single();
        }
        if self.takes("(") {
            let value = self.sum()?;
            return self.expect(")").map(|()| value);
        }
        if self.takes("[") {
            return self.list();
        }
        let word = self.word();
        match word.bytes().next() {
            None => Err(self.stuck()),
            Some(b'0'..=b'9') => number(word).map(Value::Number),
            Some(_) if self.takes("(") => {
                let inner = self.sum()?;
                self.expect(")")?;
                call(word, inner)
            }
            Some(_) => {
                let value = (self.named)(word).ok_or_else(|| format!("{word} is not known"))?;
                if self.takes("[") { self.element(&value) } else { Ok(value) }
            }
        }
    }

    fn list(&mut self) -> Result<Value, String> {
        let mut numbers = Vec::new();
        while !self.takes("]") {
            match self.sum()? {
                Value::Number(number) => numbers.push(number),
                other => return Err(format!("{other} stands in a list of numbers")),
            }
            if !self.takes(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Value::List(numbers))
    }

    fn element(&mut self, of: &Value) -> Result<Value, String> {
        let at = self.sum()?;
        self.expect("]")?;
        match (of, &at) {
            (Value::List(numbers), Value::Number(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| numbers.get(at))
                .map(|number| Value::Number(*number))
                .ok_or_else(|| format!("no element {at}")),
            _ => Err(format!("{of} has no element {at}")),
        }
    }

    /// A number, or a path with its colons.
    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .bytes()
            .position(|byte| !is_word(byte) && byte != b':')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn takes(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(self.stuck()) }
    }

    fn stuck(&self) -> String {
        match self.rest.lines().next() {
            Some(rest) => format!("`{rest}` is not understood"),
            None => "something is missing at the end".to_owned(),
        }
    }
}

/// A number as Rust and protobuf write it: `65_536`, `0x8001`, `1u16`.
pub(super) fn number(word: &str) -> Result<i128, String> {
    let plain = word.replace('_', "");
    let bare = ["usize", "u8", "u16", "u32", "u64"]
        .iter()
        .find_map(|suffix| plain.strip_suffix(suffix))
        .unwrap_or(&plain);
    match bare.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => bare.parse(),
    }
    .map_err(|_| format!("`{word}` is no number"))
}

fn call(function: &str, inner: Value) -> Result<Value, String> {
    let name = function.rsplit("::").next().unwrap_or(function);
    match (name, inner) {
        ("from_secs", Value::Number(seconds)) => Ok(Value::Millis(seconds * 1000)),
        ("from_millis", Value::Number(millis)) => Ok(Value::Millis(millis)),
        // A tuple struct of one number, such as a code.
        (name, Value::Number(number)) if name.starts_with(char::is_uppercase) => {
            Ok(Value::Number(number))
        }
        (name, inner) => Err(format!("{name}({inner}) is not understood")),
    }
}

fn join(left: Value, right: Value, with: fn(i128, i128) -> Option<i128>) -> Result<Value, String> {
    match (&left, &right) {
        (Value::Number(a), Value::Number(b)) => with(*a, *b).map(Value::Number),
        (Value::Millis(a), Value::Millis(b)) => with(*a, *b).map(Value::Millis),
        _ => None,
    }
    .ok_or_else(|| format!("{left} and {right} do not go together"))
}
