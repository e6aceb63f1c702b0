//! What can go wrong with the store.

use std::path::PathBuf;

use tortalk_sqlite::{OpenError, StoreFault};

/// Why the store did not do what it was asked to. Each prints as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be opened as a profile's database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No database at this path, or one that nothing was ever written to.
    #[error("{}: no messages are stored here: put a backup in its place", path.display())]
    NotThere {
        /// The file.
        path: PathBuf,
    },
    /// [`crate::Store::create`] on a database that is in use already.
    #[error("{}: there is a database already", path.display())]
    AlreadyThere {
        /// The file.
        path: PathBuf,
    },
    /// The database belongs to another profile, or its first row is damaged.
    #[error(
        "{}: does not open with this profile's key: put this profile's own database in its place",
        path.display()
    )]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// A row does not open, or says what cannot be: it was changed or moved.
    #[error("the database is damaged ({table} {row}): put a backup in its place")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's number; 0 where rows have none.
        row: i64,
    },
    /// The disk or the file is at fault.
    #[error(transparent)]
    Fault(#[from] StoreFault),
    /// A message body that cannot be written down: a mistake in torTalk.
    #[error("a message of {0} bytes cannot be stored: please report this")]
    Unstorable(usize),
    /// A write, commit or rollback without [`crate::Store::begin`].
    #[error("no transaction is open: please report this")]
    NoTransaction,
    /// [`crate::Store::begin`] twice.
    #[error("a transaction is open already: please report this")]
    InTransaction,
    /// A commit after a write that failed: nothing of it was kept.
    #[error("a write failed before, so nothing was kept")]
    Incomplete,
}

/// An error of a statement; not a `From`, so that no caller sees rusqlite.
pub(crate) fn sql(error: rusqlite::Error) -> StoreError {
    StoreError::Fault(StoreFault::of(&error))
}
