//! What happened, a line each: hashed as it goes, its end kept.

use core::fmt::{self, Write as _};
use std::collections::VecDeque;

use tortalk_model::hash;

use crate::time::Moment;

const LABEL: &[u8] = b"tortalk-sim/trace\0";
/// Lines that are kept for a report.
const LAST: usize = 50;

/// A text of one line for each thing that happened.
///
/// Two runs of one seed have the same text, byte for byte, and so the same hash.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: [u8; 32],
    lines: u64,
    last: VecDeque<String>,
    /// Everything, where it was asked for.
    whole: Option<String>,
}

impl Trace {
    pub(crate) fn new(keep: Keep) -> Self {
        let whole = match keep {
            Keep::Last => None,
            Keep::Whole => Some(String::new()),
        };
        Self { whole, ..Self::default() }
    }

    pub(crate) fn note(&mut self, at: Moment, line: fmt::Arguments<'_>) {
        let mut text = if self.last.len() >= LAST {
            self.last.pop_front().unwrap_or_default()
        } else {
            String::new()
        };
        text.clear();
        write!(text, "{at} {line}").expect("a string takes all");
        self.hash = hash::labelled(LABEL, &[&self.hash, text.as_bytes()]);
        self.lines += 1;
        if let Some(whole) = &mut self.whole {
            whole.push_str(&text);
            whole.push('\n');
        }
        self.last.push_back(text);
    }

    /// The hash over all lines, in hex: 16 digits are enough to tell runs apart.
    pub(crate) fn hash(&self) -> String {
        self.hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    pub(crate) fn take_whole(&mut self) -> Option<String> {
        self.whole.take()
    }
}

/// How much of a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Its hash and its last lines.
    #[default]
    Last,
    /// All of it.
    Whole,
}
