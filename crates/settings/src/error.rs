//! What can be wrong with the file.

use std::fmt;
use std::path::PathBuf;

/// A mistake in `settings.toml`. Each prints as one line; where several are in
/// the file, the one nearest to its beginning is reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The text is not TOML.
    #[error("settings.toml line {line}: {reason}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// No such section.
    #[error("settings.toml line {line}: unknown section [{name}]{hint}")]
    UnknownSection {
        /// The line, counted from 1.
        line: usize,
        /// As it stands in the file.
        name: String,
        /// What may have been meant.
        hint: Hint,
    },
    /// A section's name with something else than keys in it.
    #[error(
        "settings.toml line {line}: `{name}` must be a section: write [{name}] on a line of its own"
    )]
    NotASection {
        /// The line, counted from 1.
        line: usize,
        /// The section.
        name: String,
    },
    /// A key before the first section.
    #[error("settings.toml line {line}: `{key}` stands outside of a section{hint}")]
    OutsideOfSection {
        /// The line, counted from 1.
        line: usize,
        /// As it stands in the file.
        key: String,
        /// Where it belongs.
        hint: Hint,
    },
    /// No such key in this section.
    #[error("settings.toml line {line}: unknown key `{key}` in [{section}]{hint}")]
    UnknownKey {
        /// The line, counted from 1.
        line: usize,
        /// The section.
        section: &'static str,
        /// As it stands in the file.
        key: String,
        /// What may have been meant.
        hint: Hint,
    },
    /// A value of the wrong type, or outside of what is allowed.
    #[error(
        "settings.toml line {line}: `{key}` in [{section}] must be {allowed}, not {found}{hint}"
    )]
    Value {
        /// The line, counted from 1.
        line: usize,
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is allowed.
        allowed: &'static str,
        /// What stands there, cut short.
        found: String,
        /// What may have been meant.
        hint: Hint,
    },
    /// The relays are something else than a list of sections.
    #[error(
        "settings.toml line {line}: relays are a list: write [[relays]] on a line of its own above \
         each"
    )]
    RelaysNotAList {
        /// The line, counted from 1.
        line: usize,
    },
    /// A relay that is nowhere.
    #[error("settings.toml line {line}: `url` is missing in [[relays]]; say where the relay is")]
    RelayWithoutUrl {
        /// The line of the relay, counted from 1.
        line: usize,
    },
    /// A relay without TLS that is not on this machine.
    #[error(
        "settings.toml line {line}: `url` in [[relays]] is without TLS: write https://, or add \
         `insecure = true` if others may listen"
    )]
    RelayInTheClear {
        /// The line of the relay, counted from 1.
        line: usize,
    },
    /// The same host and port as a relay above it.
    #[error("settings.toml line {line}: this relay stands above already; leave one of them out")]
    RelayTwice {
        /// The line of the relay, counted from 1.
        line: usize,
    },
    /// More relays than a card can name.
    #[error("settings.toml line {line}: more than {max} relays; leave some out")]
    TooManyRelays {
        /// The line of the first that is too many, counted from 1.
        line: usize,
        /// How many there may be.
        max: usize,
    },
    /// The file is not text.
    #[error("settings.toml line {line}: not UTF-8 text; save the file as UTF-8")]
    NotText {
        /// The line of the first bad byte, counted from 1.
        line: usize,
    },
    /// The file is far larger than settings can be.
    #[error("settings.toml: larger than {max} bytes; is this the right file?")]
    TooLarge {
        /// The largest that is read.
        max: u64,
    },
    /// The file does not exist.
    #[error("{}: no such file; an empty one stands for all defaults", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("{}: cannot be read ({reason})", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl SettingsError {
    /// The line in the file, counted from 1, where the mistake has one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. }
            | Self::UnknownSection { line, .. }
            | Self::NotASection { line, .. }
            | Self::OutsideOfSection { line, .. }
            | Self::UnknownKey { line, .. }
            | Self::Value { line, .. }
            | Self::RelaysNotAList { line }
            | Self::RelayWithoutUrl { line }
            | Self::RelayInTheClear { line }
            | Self::RelayTwice { line }
            | Self::TooManyRelays { line, .. }
            | Self::NotText { line } => Some(*line),
            Self::TooLarge { .. } | Self::Missing { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// What a mistake may have been meant to be. Prints nothing, or the end of the
/// line from its semicolon on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Nothing known is near.
    None,
    /// The nearest known key, or the nearest value.
    DidYouMean(String),
    /// The nearest known section.
    SectionLike(&'static str),
    /// The nearest known key, which is in another section.
    KeyElsewhere {
        /// The key.
        key: &'static str,
        /// Its section.
        section: &'static str,
    },
    /// The key is known, in another section.
    BelongsIn(&'static str),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::DidYouMean(name) => write!(f, "; did you mean `{name}`?"),
            Self::SectionLike(name) => write!(f, "; did you mean [{name}]?"),
            Self::KeyElsewhere { key, section } => {
                write!(f, "; did you mean `{key}` in [{section}]?")
            }
            Self::BelongsIn(section) => write!(f, "; it belongs in [{section}]"),
        }
    }
}
