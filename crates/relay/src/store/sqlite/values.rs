//! Values of columns.

use rusqlite::types::Type;
use rusqlite::{Error, Row};
use tortalk_rpc::{CardBlob, CardDrop};

use crate::rules::quota::Class;
use crate::store::StoredCard;
use tortalk_model::UnixMillis;

/// A number that is never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| Error::IntegralValueOutOfRange(column, number))
}

/// Bytes of a fixed length.
pub(super) fn array<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    let bytes = row.get_ref(column)?.as_blob()?;
    bytes.try_into().map_err(|error| wrong(column, error))
}

/// A sequence or a cost as the database has it.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) const PURGED: i64 = 2;

pub(super) const fn class_number(class: Class) -> i64 {
    match class {
        Class::Stamped => 0,
        Class::Stranger => 1,
    }
}

pub(super) fn class(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Class>> {
    match row.get::<_, i64>(column)? {
        0 => Ok(Some(Class::Stamped)),
        1 => Ok(Some(Class::Stranger)),
        PURGED => Ok(None),
        other => Err(Error::IntegralValueOutOfRange(column, other)),
    }
}

/// The first eight bytes of a hash, for an index.
pub(super) fn prefix(hash: &[u8; 32]) -> i64 {
    i64::from_be_bytes(*hash.first_chunk().expect("8 bytes of 32"))
}

/// A card from `seq, blob, signature, put_at`.
pub(super) fn card(row: &Row<'_>) -> rusqlite::Result<StoredCard> {
    let blob: Vec<u8> = row.get(1)?;
    let blob = CardBlob::try_from(blob).map_err(|error| wrong(1, error))?;
    // An owner may use all 64 bits, so they are taken as they are.
    let seq = row.get::<_, i64>(0)?.cast_unsigned();
    let card = CardDrop { seq, blob, signature: array(row, 2)? };
    Ok(StoredCard { card, put_at: UnixMillis(number(row, 3)?) })
}

pub(super) fn wrong(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}
