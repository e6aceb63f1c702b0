//! A TOML text against a list of known names: what is unknown is reported with
//! the nearest known name, what is known is read with its type.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use crate::{Hint, SettingsError, relays};

/// Sections and the keys in them.
pub(crate) type Known = &'static [(&'static str, &'static [&'static str])];

/// Characters of the file's own words in a message.
const SHOWN_CHARS: usize = 40;

/// A parsed text and the mistakes found in it so far.
pub(crate) struct Document<'t> {
    text: &'t str,
    table: DeTable<'t>,
    mistakes: Vec<SettingsError>,
}

impl<'t> Document<'t> {
    /// Parses the text and looks for names that are not known.
    pub(crate) fn parse(text: &'t str, known: Known) -> Result<Self, SettingsError> {
        let table = table(text)?;
        let mut document = Self { text, table, mistakes: Vec::new() };
        document.look_for_unknown(known);
        document.look_at_relays(known);
        Ok(document)
    }

    /// How many entries a list of sections has.
    pub(crate) fn entries(&self, list: &str) -> usize {
        array(&self.table, list).map_or(0, |entries| entries.len())
    }

    /// Where an entry of the relays begins.
    pub(crate) fn entry_line(&self, index: usize) -> usize {
        let entry = array(&self.table, relays::LIST).and_then(|entries| entries.get(index));
        entry.map_or(1, |entry| line_of(self.text, entry.span().start))
    }

    /// Whether an entry of the relays has no such key, and none that is unknown
    /// either.
    pub(crate) fn lacks(&self, index: usize, key: &str) -> bool {
        entry(&self.table, index).is_some_and(|entry| {
            let mut keys = entry.keys().map(|key| &**key.get_ref());
            keys.all(|found| found != key && relays::KEYS.contains(&found))
        })
    }

    /// [`Document::read`] for an entry of the relays.
    pub(crate) fn read_entry<T>(
        &mut self,
        index: usize,
        key: &'static str,
        allowed: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Hint>,
    ) -> Option<T> {
        let value = entry(&self.table, index)?.get(key)?;
        let (result, mistake) = read_value(self.text, value, relays::SECTION, key, allowed, read);
        self.mistakes.extend(mistake);
        result
    }

    /// Notes a mistake.
    pub(crate) fn mistake(&mut self, mistake: SettingsError) {
        self.mistakes.push(mistake);
    }

    /// Ends the reading: the first mistake by line, if there is any.
    pub(crate) fn finish(self) -> Result<(), SettingsError> {
        match self.mistakes.into_iter().min_by_key(|mistake| mistake.line()) {
            Some(first) => Err(first),
            None => Ok(()),
        }
    }

    /// Reads one value, where it stands in the file. `read` gives `Err` with
    /// what may have been meant when the value is not `allowed`.
    pub(crate) fn read<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        allowed: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Hint>,
    ) -> Option<T> {
        let value = find(&self.table, section, key)?;
        let (result, mistake) = read_value(self.text, value, section, key, allowed, read);
        self.mistakes.extend(mistake);
        result
    }

    /// Unknown keys among the relays, and relays that are no list of sections.
    fn look_at_relays(&mut self, known: Known) {
        let Some((name, value)) = self.table.get_key_value(relays::LIST) else { return };
        let line = line_of(self.text, name.span().start);
        let entries = value.get_ref().as_array();
        let Some(entries) = entries.filter(|e| e.iter().all(|e| e.get_ref().is_table())) else {
            self.mistakes.push(SettingsError::RelaysNotAList { line });
            return;
        };
        for table in entries.iter().filter_map(|entry| entry.get_ref().as_table()) {
            let unknown = table.keys().filter(|key| !relays::KEYS.contains(&&**key.get_ref()));
            self.mistakes.extend(unknown.map(|key| SettingsError::UnknownKey {
                line: line_of(self.text, key.span().start),
                section: relays::SECTION,
                key: shown(key.get_ref()),
                hint: key_hint(key.get_ref(), relays::SECTION, known),
            }));
        }
    }

    fn look_for_unknown(&mut self, known: Known) {
        for (name, value) in self.table.iter().filter(|(name, _)| *name.get_ref() != relays::LIST) {
            let line = line_of(self.text, name.span().start);
            let is_table = value.get_ref().is_table();
            let section = known.iter().find(|(section, _)| *section == name.get_ref());
            let mistake = match (section, value.get_ref()) {
                (Some((section, keys)), DeValue::Table(table)) => {
                    let unknown = table.keys().filter(|key| !keys.contains(&&**key.get_ref()));
                    self.mistakes.extend(unknown.map(|key| SettingsError::UnknownKey {
                        line: line_of(self.text, key.span().start),
                        section,
                        key: shown(key.get_ref()),
                        hint: key_hint(key.get_ref(), section, known),
                    }));
                    continue;
                }
                (Some((section, _)), _) => {
                    SettingsError::NotASection { line, name: (*section).to_owned() }
                }
                (None, _) if is_table || value.get_ref().is_array() => {
                    let sections = known.iter().map(|(section, _)| *section).chain([relays::LIST]);
                    let hint = nearest(name.get_ref(), sections).map_or(Hint::None, |near| {
                        let list = near == relays::LIST;
                        Hint::SectionLike(if list { relays::SECTION } else { near })
                    });
                    SettingsError::UnknownSection { line, name: shown(name.get_ref()), hint }
                }
                (None, _) => {
                    let hint = key_hint(name.get_ref(), "", known);
                    SettingsError::OutsideOfSection { line, key: shown(name.get_ref()), hint }
                }
            };
            self.mistakes.push(mistake);
        }
    }
}

/// The text as a table, with the place of everything in it.
pub(crate) fn table(text: &str) -> Result<DeTable<'_>, SettingsError> {
    DeTable::parse(text).map(Spanned::into_inner).map_err(|error| SettingsError::Syntax {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        reason: error.message().replace(['\n', '\r'], " "),
    })
}

/// Reads one value; gives the mistake when it is not `allowed`.
fn read_value<T>(
    text: &str,
    value: &Spanned<DeValue<'_>>,
    section: &'static str,
    key: &'static str,
    allowed: &'static str,
    read: impl FnOnce(&DeValue<'_>) -> Result<T, Hint>,
) -> (Option<T>, Option<SettingsError>) {
    match read(value.get_ref()) {
        Ok(value) => (Some(value), None),
        Err(hint) => {
            let line = line_of(text, value.span().start);
            let found = describe(value.get_ref());
            (None, Some(SettingsError::Value { line, section, key, allowed, found, hint }))
        }
    }
}

/// The entries of a list of sections.
pub(crate) fn array<'a, 't>(table: &'a DeTable<'t>, list: &str) -> Option<&'a DeArray<'t>> {
    table.get(list)?.get_ref().as_array()
}

/// The keys of one entry of the relays.
pub(crate) fn entry<'a, 't>(table: &'a DeTable<'t>, index: usize) -> Option<&'a DeTable<'t>> {
    array(table, relays::LIST)?.get(index)?.get_ref().as_table()
}

/// A value in a section.
pub(crate) fn find<'a, 't>(
    table: &'a DeTable<'t>,
    section: &str,
    key: &str,
) -> Option<&'a Spanned<DeValue<'t>>> {
    match table.get(section)?.get_ref() {
        DeValue::Table(keys) => keys.get(key),
        _ => None,
    }
}

/// Where the keys of a section end, and where its header stands.
pub(crate) fn section_spans(
    table: &DeTable<'_>,
    section: &str,
) -> Option<(Range<usize>, Option<Range<usize>>)> {
    let (_, value) = table.get_key_value(section)?;
    let last = match value.get_ref() {
        DeValue::Table(keys) => keys.values().map(Spanned::span).max_by_key(|span| span.end),
        _ => None,
    };
    Some((value.span(), last))
}

/// The line of a byte, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// A whole number in a range.
pub(crate) fn integer(value: &DeValue<'_>, range: Range<u64>) -> Result<u64, Hint> {
    let number = |integer: &DeInteger<'_>| u64::from_str_radix(integer.as_str(), integer.radix());
    match value {
        DeValue::Integer(integer) => {
            number(integer).ok().filter(|number| range.contains(number)).ok_or(Hint::None)
        }
        _ => Err(Hint::None),
    }
}

/// `true` or `false`.
pub(crate) fn flag(value: &DeValue<'_>) -> Result<bool, Hint> {
    value.as_bool().ok_or(Hint::None)
}

/// Text that `read` accepts.
pub(crate) fn text<T>(
    value: &DeValue<'_>,
    read: impl FnOnce(&str) -> Result<T, Hint>,
) -> Result<T, Hint> {
    read(value.as_str().ok_or(Hint::None)?)
}

/// A list of texts that `read` accepts one by one.
pub(crate) fn list<T>(
    value: &DeValue<'_>,
    max: usize,
    read: impl Fn(&str) -> Result<T, Hint>,
) -> Result<Vec<T>, Hint> {
    let values = value.as_array().ok_or(Hint::None)?;
    if values.is_empty() || values.len() > max {
        return Err(Hint::None);
    }
    values.iter().map(|value| text(value.get_ref(), &read)).collect()
}

/// The nearest of some names, if one is near enough to be meant.
pub(crate) fn nearest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    // A comparison costs the product of the lengths.
    if name.chars().count() > SHOWN_CHARS {
        return None;
    }
    let plain = name.to_lowercase().replace(['-', ' ', '.'], "_");
    known
        .map(|candidate| (strsim::osa_distance(&plain, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// What an unknown key in a section may mean: a key that is known elsewhere, a
/// near one here, a near one elsewhere.
fn key_hint(key: &str, section: &str, known: Known) -> Hint {
    let known = || known.iter().copied().chain([(relays::SECTION, relays::KEYS)]);
    if let Some((other, _)) = known().find(|(_, keys)| keys.contains(&key)) {
        return Hint::BelongsIn(other);
    }
    let (here, elsewhere): (Vec<_>, Vec<_>) = known()
        .flat_map(|(section, keys)| keys.iter().map(move |key| (section, *key)))
        .partition(|(of, _)| *of == section);
    if let Some(key) = nearest(key, here.iter().map(|(_, key)| *key)) {
        return Hint::DidYouMean(key.to_owned());
    }
    nearest(key, elsewhere.iter().map(|(_, key)| *key))
        .and_then(|near| elsewhere.iter().find(|(_, key)| *key == near))
        .map_or(Hint::None, |&(section, key)| Hint::KeyElsewhere { key, section })
}

/// What stands in the file, for a message.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shown(text)),
        DeValue::Integer(integer) => shown(&integer.to_string()),
        DeValue::Float(float) => shown(&float.to_string()),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(values) if values.is_empty() => "an empty list".to_owned(),
        DeValue::Array(values) => {
            let parts: Vec<_> = values.iter().map(|value| part(value.get_ref())).collect();
            format!("[{}]", shown(&parts.join(", ")))
        }
        DeValue::Table(_) => "a section".to_owned(),
    }
}

fn part<'a>(value: &'a DeValue<'_>) -> Cow<'a, str> {
    match value {
        DeValue::String(text) => Cow::Borrowed(text),
        DeValue::Integer(integer) => Cow::Owned(integer.to_string()),
        _ => Cow::Borrowed("…"),
    }
}

/// The file's own words: printable, on one line and short.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
