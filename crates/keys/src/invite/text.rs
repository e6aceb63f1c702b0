//! An invite as text, and what can go wrong when people copy text.

use data_encoding::{BASE32_NOPAD, DecodeKind};
use tortalk_model::limits::INVITE_TEXT_BYTES_MAX;

use super::{Invite, InviteError};

/// What every address begins with.
pub(super) const SCHEME: &str = "mesh:";

pub(super) fn parse(text: &str) -> Result<Invite, InviteError> {
    // req: IDN-15
    if text.len() > INVITE_TEXT_BYTES_MAX {
        return Err(InviteError::TextTooLong);
    }
    // req: IDN-13, IDN-14
    let text: String =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    // req: IDN-16
    if !text.starts_with(SCHEME) {
        return Err(not_an_address(&text));
    }
    let digits = &text[SCHEME.len()..];
    let end = digits.find(|c| !matches!(c, 'a'..='z' | '2'..='7')).unwrap_or(digits.len());
    // req: IDN-17
    if end < digits.len() {
        return Err(foreign(&digits[..end], &digits[end..]));
    }
    decode(digits)
}

/// What a character means that is not in the alphabet: more text behind a whole
/// address, or a typing error inside one.
fn foreign(before: &str, rest: &str) -> InviteError {
    match (decode(before), rest.chars().next()) {
        (Ok(_) | Err(InviteError::Trailing), _) | (_, None) => InviteError::Trailing,
        (Err(_), Some(character)) => InviteError::Character(character),
    }
}

/// A scheme that was cut short itself is still an address whose rest is missing.
fn not_an_address(text: &str) -> InviteError {
    if !text.is_empty() && SCHEME.starts_with(text) {
        InviteError::Truncated
    } else {
        InviteError::NotAnAddress
    }
}

/// Decodes characters of the alphabet, in lower case.
fn decode(digits: &str) -> Result<Invite, InviteError> {
    let digits = digits.to_ascii_uppercase();
    let error = match BASE32_NOPAD.decode(digits.as_bytes()) {
        Ok(bytes) => return Invite::parse(&bytes),
        Err(error) => error,
    };
    // Not the text of any bytes. What can be read of it says what happened.
    // req: IDN-17
    match (error.kind, Invite::parse(&decode_loosely(&digits))) {
        (DecodeKind::Length, Ok(_)) => Err(InviteError::Trailing),
        (_, Ok(_)) => Err(InviteError::Checksum),
        (_, Err(error)) => Err(error),
    }
}

/// The bytes that are whole in the text, whatever the bits after them are.
fn decode_loosely(digits: &str) -> Vec<u8> {
    let whole_bytes = digits.len() * 5 / 8;
    let mut loose = BASE32_NOPAD.specification();
    loose.check_trailing_bits = false;
    let loose = loose.encoding().expect("base32 that ignores trailing bits is an encoding");
    let needed = (whole_bytes * 8).div_ceil(5);
    loose.decode(&digits.as_bytes()[..needed]).unwrap_or_default()
}
