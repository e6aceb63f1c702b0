//! Changing one value in the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{entry, find, section_spans, table};
use crate::relays::{SECTION, key_text};
use crate::settings::read_text;
use crate::{Relay, RelayUrl, Settings, SettingsError};

/// A value to write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text; what needs it is escaped.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Why a value was not written. The file is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The file has a mistake already, or would have one with this value.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The section is written in a way that cannot be changed in one place.
    #[error(
        "settings.toml: [{section}] is written in a form that cannot be edited: set `{key}` by hand"
    )]
    Form {
        /// The section.
        section: String,
        /// The key.
        key: String,
    },
    /// The file could not be written.
    #[error("{}: cannot be written ({reason})", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// Sets one key in the file and leaves every other byte as it is: comments,
/// order and blank lines stay. The new file replaces the old one as a whole, so
/// that a crash leaves one or the other. Returns the new settings, with paths
/// as [`Settings::load`] gives them.
///
/// # Errors
///
/// See [`SetError`]. What is written is parsed first, and anything but exactly
/// this change is refused.
pub fn set(file: &Path, section: &str, key: &str, value: &Value) -> Result<Settings, SetError> {
    let _one_at_a_time = one_at_a_time();
    let old = read_text(file)?;
    write(file, &with_value(&old, section, key, value)?)
}

/// Writes the key of a relay beside its address, or both where the address
/// stands in `[server]`, and leaves every other byte as it is. Returns the new
/// settings as [`set`] does.
///
/// # Errors
///
/// See [`SetError`].
pub fn pin_relay(file: &Path, url: &RelayUrl, key: &[u8; 32]) -> Result<Settings, SetError> {
    let _one_at_a_time = one_at_a_time();
    let old = read_text(file)?;
    write(file, &with_key(&old, url, key)?)
}

/// Held from reading the file to replacing it, so that two changes of one
/// process do not undo each other: relays are pinned all at the same time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static EDITING: Mutex<()> = Mutex::new(());
    EDITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(file: &Path, new: &str) -> Result<Settings, SetError> {
    let settings = Settings::parse(new)?;
    replace(file, new.as_bytes()).map_err(|error| SetError::Unwritable {
        path: file.to_owned(),
        reason: error.kind().to_string(),
    })?;
    Ok(settings.in_folder(file.parent().unwrap_or_else(|| Path::new(""))))
}

/// The text with a relay's key added.
fn with_key(old: &str, url: &RelayUrl, key: &[u8; 32]) -> Result<String, SetError> {
    let mut wanted = Settings::parse(old)?;
    let before = table(old)?;
    let line = format!("key = \"{}\"", key_text(key));
    let ending = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let at = wanted.relays.iter().position(|relay| relay.url == *url);
    let new = match at {
        None => {
            let relay = Relay { url: url.clone(), key: Some(*key), insecure: false };
            wanted.relays.push(relay);
            let gap = if old.is_empty() || old.ends_with('\n') { "" } else { ending };
            format!("{old}{gap}{ending}[[relays]]{ending}url = \"{url}\"{ending}{line}{ending}")
        }
        Some(index) => {
            wanted.relays[index].key = Some(*key);
            let keys = entry(&before, index);
            match keys.and_then(|keys| keys.get("key")) {
                Some(present) => {
                    let span = present.span();
                    format!("{}\"{}\"{}", &old[..span.start], key_text(key), &old[span.end..])
                }
                None => {
                    let values = keys.into_iter().flat_map(|keys| keys.values());
                    let from = values.map(|value| value.span().end).max().unwrap_or(0);
                    let rest = old[from..].find('\n').map(|length| from + length + 1);
                    let at = rest.unwrap_or(old.len());
                    let gap = if rest.is_some() { "" } else { ending };
                    format!("{}{gap}{line}{ending}{}", &old[..at], &old[at..])
                }
            }
        }
    };
    let form = SetError::Form { section: SECTION.to_owned(), key: "key".to_owned() };
    if Settings::parse(&new).is_ok_and(|found| found == wanted) { Ok(new) } else { Err(form) }
}

/// The text with one value changed or added.
pub(crate) fn with_value(
    old: &str,
    section: &str,
    key: &str,
    value: &Value,
) -> Result<String, SetError> {
    Settings::parse(old)?;
    let before = table(old)?;
    let written = write_value(value);
    let new = match find(&before, section, key) {
        Some(present) => {
            let span = present.span();
            format!("{}{written}{}", &old[..span.start], &old[span.end..])
        }
        None => insert(old, &before, section, &format!("{key} = {written}")),
    };
    let form = || SetError::Form { section: section.to_owned(), key: key.to_owned() };
    // A mistake in the value is the caller's, with its own line.
    Settings::parse(&new).map_err(|error| match error {
        SettingsError::Syntax { .. } | SettingsError::OutsideOfSection { .. } => form(),
        other => SetError::Settings(other),
    })?;
    let after = table(&new)?;
    if only_change(&before, &after, section, key, &written) { Ok(new) } else { Err(form()) }
}

fn write_value(value: &Value) -> String {
    let value = match value {
        Value::Flag(flag) => toml::Value::Boolean(*flag),
        Value::Number(number) => toml::Value::Integer(*number),
        Value::Text(text) => toml::Value::String(text.clone()),
        Value::List(texts) => {
            toml::Value::Array(texts.iter().cloned().map(toml::Value::String).collect())
        }
    };
    value.to_string()
}

/// Adds a line at the end of its section, or a section at the end of the file.
fn insert(old: &str, table: &DeTable<'_>, section: &str, line: &str) -> String {
    let Some((header, last)) = section_spans(table, section) else {
        let gap = match old {
            "" => "",
            old if old.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        return format!("{old}{gap}[{section}]\n{line}\n");
    };
    let from = last.map_or(header.end, |last| last.end);
    let ending = if old.contains("\r\n") { "\r\n" } else { "\n" };
    match old[from..].find('\n') {
        Some(length) => {
            let at = from + length + 1;
            format!("{}{line}{ending}{}", &old[..at], &old[at..])
        }
        None => format!("{old}{ending}{line}{ending}"),
    }
}

/// Whether the two texts mean the same but for this one value.
fn only_change(
    before: &DeTable<'_>,
    after: &DeTable<'_>,
    section: &str,
    key: &str,
    written: &str,
) -> bool {
    let flat = |table: &DeTable<'_>| -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        for (name, keys) in table {
            let DeValue::Table(keys) = keys.get_ref() else {
                all.push((name.get_ref().to_string(), String::new(), meaning(keys.get_ref())));
                continue;
            };
            for (inner, value) in keys {
                if name.get_ref() != section || inner.get_ref() != key {
                    let value = meaning(value.get_ref());
                    all.push((name.get_ref().to_string(), inner.get_ref().to_string(), value));
                }
            }
        }
        all
    };
    let text = format!("v = {written}");
    let wanted = DeTable::parse(&text)
        .ok()
        .and_then(|table| table.get_ref().get("v").map(|value| meaning(value.get_ref())));
    let found = find(after, section, key).map(|value| meaning(value.get_ref()));
    flat(before) == flat(after) && found.is_some() && found == wanted
}

/// A value without its place in the file.
fn meaning(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(values) => {
            let parts: Vec<_> = values.iter().map(|value| meaning(value.get_ref())).collect();
            format!("{parts:?}")
        }
        DeValue::Table(keys) => {
            let pair = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                format!("{:?}={}", key.get_ref(), meaning(value.get_ref()))
            };
            let parts: Vec<_> = keys.iter().map(pair).collect();
            format!("{parts:?}")
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
    }
}

/// Puts new contents in a file's place: written beside it, synced, renamed.
fn replace(file: &Path, contents: &[u8]) -> io::Result<()> {
    // A link stays one; what it points to is replaced.
    let file = fs::canonicalize(file)?;
    let folder = file.parent().unwrap_or_else(|| Path::new("/"));
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".new");
    let beside = folder.join(name);
    let written = write_beside(&beside, &file, contents).and_then(|()| fs::rename(&beside, &file));
    if let Err(error) = written {
        let _leftover = fs::remove_file(&beside);
        return Err(error);
    }
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn write_beside(beside: &Path, file: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut new = options.open(beside)?;
    new.set_permissions(fs::metadata(file)?.permissions())?;
    new.write_all(contents)?;
    new.sync_all()
}
