//! Everything that went over the wire in one case.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

/// So many lines are kept with all their bytes; floods need no more.
const LINES_WHOLE: usize = 1000;
/// So many are kept at all.
const LINES_MAX: usize = 5000;
/// Most bytes of a line after the first thousand.
const BYTES_LATER: usize = 256;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the suite.
    Sent,
    /// From the target.
    Received,
    /// A remark; no bytes.
    Note,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since the case began.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
    /// What it is, as far as the suite can tell.
    pub what: String,
    /// The bytes: of a handshake message as they travel, of a frame in clear.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// One line of text; long bytes are cut in the middle.
    #[must_use]
    pub fn line(&self) -> String {
        const MOST: usize = 48;
        let arrow = match self.direction {
            Direction::Sent => "→",
            Direction::Received => "←",
            Direction::Note => "·",
        };
        let mut hex = HEXLOWER.encode(&self.bytes[..self.bytes.len().min(MOST)]);
        if self.bytes.len() > MOST {
            hex.push_str(&format!("… ({} bytes)", self.bytes.len()));
        }
        format!("{arrow} {} {hex}", self.what)
    }
}

/// A transcript that the links of a case share.
#[derive(Debug, Clone)]
pub struct Log {
    start: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Default for Log {
    fn default() -> Self {
        Self { start: Instant::now(), entries: Arc::default() }
    }
}

impl Log {
    /// Adds a line.
    pub fn add(&self, direction: Direction, what: impl Into<String>, bytes: &[u8]) {
        let at = self.start.elapsed();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let count = entries.len();
        if count > LINES_MAX {
            return;
        }
        if count == LINES_MAX {
            let (direction, what) = (Direction::Note, "what follows is not kept".to_owned());
            entries.push(Entry { at, direction, what, bytes: Vec::new() });
            return;
        }
        let kept = if count < LINES_WHOLE { bytes.len() } else { BYTES_LATER.min(bytes.len()) };
        let bytes = &bytes[..kept];
        entries.push(Entry { at, direction, what: what.into(), bytes: bytes.to_vec() });
    }

    /// All lines so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
