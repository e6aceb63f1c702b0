//! Sealed columns: which purpose they are sealed for and what they are bound to.

use tortalk_model::bytes::Writer;
use tortalk_model::entropy::{self, Entropy};
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::vault::ProfileKey;

/// A table with a sealed column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Meta,
    Person,
    Contact,
    Request,
    Message,
    Outgoing,
    Incoming,
    Evidence,
    Envelope,
    Seen,
    Unopened,
}

impl Table {
    /// The purpose that keeps this table's seals apart from all others.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Meta => "store/meta",
            Self::Person => "store/person",
            Self::Contact => "store/contact",
            Self::Request => "store/request",
            Self::Message => "store/message",
            Self::Outgoing => "store/outgoing",
            Self::Incoming => "store/incoming",
            Self::Evidence => "store/evidence",
            Self::Envelope => "store/envelope",
            Self::Seen => "store/seen",
            Self::Unopened => "store/unopened",
        }
    }

    /// The word for it in messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Person => "person",
            Self::Contact => "contact",
            Self::Request => "request",
            Self::Message => "message",
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Evidence => "evidence",
            Self::Envelope => "envelope",
            Self::Seen => "seen",
            Self::Unopened => "unopened",
        }
    }

    /// What is said when a row of this table cannot be right.
    pub(crate) const fn damaged(self, row: i64) -> StoreError {
        StoreError::Damaged { table: self.name(), row }
    }
}

/// The place of a sealed value: its table, its row, and the row's other columns.
///
/// Associated data: the row's number as u64, then the columns in the order of
/// the table: numbers as u64, bytes of fixed length as they are, and what may be
/// missing with a byte 0 or 1 in front.
pub(crate) struct Place {
    table: Table,
    row: i64,
    context: Writer,
}

impl Place {
    pub(crate) fn new(table: Table, row: i64) -> Self {
        Self { table, row, context: Writer::with_capacity(64).u64(row.cast_unsigned()) }
    }

    pub(crate) fn number(self, column: i64) -> Self {
        Self { context: self.context.u64(column.cast_unsigned()), ..self }
    }

    pub(crate) fn maybe(self, column: Option<i64>) -> Self {
        match column {
            None => Self { context: self.context.u8(0), ..self },
            Some(number) => Self { context: self.context.u8(1), ..self }.number(number),
        }
    }

    pub(crate) fn bytes(self, column: &[u8]) -> Self {
        Self { context: self.context.raw(column), ..self }
    }

    /// Seals what goes into this place.
    pub(crate) fn seal(
        &self,
        key: &ProfileKey,
        entropy: &mut dyn Entropy,
        plaintext: &[u8],
    ) -> Vec<u8> {
        let nonce = entropy::array(entropy);
        key.seal(self.table.purpose(), self.context.as_slice(), plaintext, nonce)
    }

    /// Opens and reads what lies in this place.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it does not open or is not the layout.
    pub(crate) fn open<T>(
        &self,
        key: &ProfileKey,
        sealed: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, crate::rows::NotARow>,
    ) -> Result<T, StoreError> {
        let plaintext = key
            .open(self.table.purpose(), self.context.as_slice(), sealed)
            .map(Zeroizing::new)
            .map_err(|_| self.table.damaged(self.row))?;
        read(&plaintext).map_err(|_| self.table.damaged(self.row))
    }
}
