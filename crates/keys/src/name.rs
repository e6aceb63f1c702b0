//! What a person may call themselves in a card.

use tortalk_model::limits::NAME_BYTES_MAX;

/// Why text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// More than 64 bytes in UTF-8 (IDN-34).
    #[error("the name is {0} bytes long, at most {max}", max = NAME_BYTES_MAX)]
    TooLong(usize),
    /// Bytes that are not UTF-8 (IDN-35).
    #[error("the name is not UTF-8 text")]
    NotUtf8,
    /// A character that is invisible or moves others (IDN-36).
    #[error("the name contains U+{:04X}, which is not shown or moves what is", u32::from(*.0))]
    Forbidden(char),
}

/// Checks a name: at most 64 bytes, no character that is invisible, breaks the
/// line or changes the direction of writing. It may be empty.
///
/// # Errors
/// The first of [`NameError::TooLong`] and [`NameError::Forbidden`] that applies.
pub fn check(name: &str) -> Result<(), NameError> {
    // req: IDN-34
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(name.len()));
    }
    for character in name.chars() {
        // req: IDN-36
        if is_forbidden(character) && !tortalk_model::deviate!(skip_idn_36) {
            return Err(NameError::Forbidden(character));
        }
    }
    Ok(())
}

/// The characters that no name contains, as spec/identity.md lists them.
const fn is_forbidden(character: char) -> bool {
    matches!(
        character,
        '\u{0000}'..='\u{001f}' // control
            | '\u{007f}'..='\u{009f}' // control
            | '\u{00ad}' // soft hyphen
            | '\u{034f}' // combining grapheme joiner
            | '\u{061c}' // Arabic letter mark
            | '\u{115f}'..='\u{1160}' // Hangul fillers
            | '\u{17b4}'..='\u{17b5}' // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}' // Mongolian selectors and separator
            | '\u{200b}'..='\u{200f}' // zero width, direction marks
            | '\u{2028}'..='\u{202e}' // line and paragraph ends, embedding, override
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates, shaping
            | '\u{3164}' // Hangul filler
            | '\u{fe00}'..='\u{fe0e}' // variation selectors but the one of emoji
            | '\u{feff}' // byte order mark
            | '\u{ffa0}' // Hangul filler
            | '\u{fff0}'..='\u{fffb}' // annotation
            | '\u{1bca0}'..='\u{1bca3}' // shorthand format
            | '\u{1d173}'..='\u{1d17a}' // musical format
            | '\u{e0000}'..='\u{e0fff}' // tags, more variation selectors
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: IDN-34, IDN-36
    #[test]
    fn a_name_is_short_and_visible() {
        for name in ["", "Ada", "Ağrı Ü.", "名前", "א", "Zoë ❤️", &"x".repeat(64)] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
        assert_eq!(check(&"x".repeat(65)), Err(NameError::TooLong(65)));
        assert_eq!(check(&"ß".repeat(33)), Err(NameError::TooLong(66)));
        for forbidden in
            "\0\n\u{7f}\u{85}\u{ad}\u{200b}\u{200e}\u{202e}\u{2066}\u{feff}\u{e0041}".chars()
        {
            let name = format!("A{forbidden}b");
            assert_eq!(check(&name), Err(NameError::Forbidden(forbidden)), "{name:?}");
        }
        assert_eq!(
            NameError::Forbidden('\u{202e}').to_string(),
            "the name contains U+202E, which is not shown or moves what is"
        );
    }
}
