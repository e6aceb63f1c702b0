//! Fields with a length.

use tortalk_wire::{BodyError, BoundedBytes, FieldFault};

/// An authority's layout, 5..=68 bytes, unchecked but for its length.
pub type AuthorityBytes = BoundedBytes<5, 68>;

/// A field of exactly the length that its type has.
pub(crate) fn fixed<'a, T: TryFrom<&'a [u8]>>(
    message: &'static str,
    field: &'static str,
    bytes: &'a [u8],
) -> Result<T, BodyError> {
    T::try_from(bytes).map_err(|_| fault(message, field, FieldFault::Length(bytes.len())))
}

/// A field that is empty or of exactly the length that its type has.
pub(crate) fn optional<'a, T: TryFrom<&'a [u8]>>(
    message: &'static str,
    field: &'static str,
    bytes: &'a [u8],
) -> Result<Option<T>, BodyError> {
    if bytes.is_empty() { Ok(None) } else { fixed(message, field, bytes).map(Some) }
}

/// A field of a length within the limits of its type.
pub(crate) fn bounded<T: TryFrom<Vec<u8>>>(
    message: &'static str,
    field: &'static str,
    bytes: Vec<u8>,
) -> Result<T, BodyError> {
    let found = bytes.len();
    T::try_from(bytes).map_err(|_| fault(message, field, FieldFault::Length(found)))
}

/// A number that fits into 16 bits.
pub(crate) fn u16_of(
    message: &'static str,
    field: &'static str,
    number: u32,
) -> Result<u16, BodyError> {
    u16::try_from(number).map_err(|_| fault(message, field, FieldFault::Range(number.into())))
}

/// A message that has to be there.
pub(crate) fn present<T>(
    message: &'static str,
    field: &'static str,
    value: Option<T>,
) -> Result<T, BodyError> {
    value.ok_or_else(|| fault(message, field, FieldFault::Length(0)))
}

pub(crate) const fn fault(
    message: &'static str,
    field: &'static str,
    fault: FieldFault,
) -> BodyError {
    BodyError { message, field, fault }
}
