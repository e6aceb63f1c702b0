//! What can be wrong with a store, and what to do about it.

use rusqlite::{Error, ErrorCode, ffi};

/// A fault of the place where the data lies. Each prints as one line that says
/// what to do.
///
/// [`StoreFault::of`] is total: what is neither the disk's nor the file's fault
/// is [`StoreFault::Internal`], a mistake in torTalk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// The disk is full. What was committed stays.
    #[error("the disk is full: free some space and try again")]
    Full,
    /// The file system is read-only, or the file belongs to someone else.
    #[error("the disk or file cannot be written: make it writable and try again")]
    ReadOnly,
    /// The file is not a database, or its contents contradict themselves.
    #[error("the database is damaged: move the file away, or put a backup in its place")]
    Damaged,
    /// Another process holds the database.
    #[error("the database is in use by another program: close that and try again")]
    Busy,
    /// The disk did not do what it was asked to.
    #[error("the disk reported an error: look into the system log and save a copy of the folder")]
    Io,
    /// A mistake in torTalk: the statement, not the store, is at fault.
    #[error("an error in torTalk itself: please report what you did")]
    Internal,
}

impl StoreFault {
    /// The fault behind an error of `rusqlite`.
    ///
    /// A value that does not have the type or range that a `STRICT` schema and
    /// this program gave it counts as damage, and so does a statement that does
    /// not fit the tables in the file: each one fits those that its program
    /// made. A broken constraint is the caller's and gives
    /// [`StoreFault::Internal`].
    pub fn of(error: &Error) -> Self {
        match error {
            Error::SqliteFailure(failure, Some(text))
                if failure.code == ErrorCode::Unknown && text.starts_with("no such ") =>
            {
                Self::Damaged
            }
            Error::SqliteFailure(failure, _) => Self::of_failure(failure),
            Error::SqlInputError { .. }
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => Self::Damaged,
            _ => Self::Internal,
        }
    }

    /// The fault behind an error of the file system.
    pub fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly,
            ErrorKind::WouldBlock | ErrorKind::ResourceBusy => Self::Busy,
            _ => Self::Io,
        }
    }

    fn of_failure(failure: &ffi::Error) -> Self {
        match failure.extended_code {
            // Growing the shared-memory file is where a full disk shows first.
            ffi::SQLITE_IOERR_SHMSIZE => return Self::Full,
            ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA => {
                return Self::Damaged;
            }
            ffi::SQLITE_IOERR_NOMEM => return Self::Internal,
            // The file was moved or removed while it was open.
            ffi::SQLITE_READONLY_DBMOVED => return Self::Io,
            _ => {}
        }
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged,
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed => Self::Busy,
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::NoLargeFileSupport => {
                Self::Io
            }
            _ => Self::Internal,
        }
    }
}

impl From<&Error> for StoreFault {
    fn from(error: &Error) -> Self {
        Self::of(error)
    }
}

impl From<Error> for StoreFault {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreFault {
        StoreFault::of(&Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn codes_name_their_fault() {
        for (code, fault) in [
            (ffi::SQLITE_FULL, StoreFault::Full),
            (ffi::SQLITE_IOERR_SHMSIZE, StoreFault::Full),
            (ffi::SQLITE_READONLY, StoreFault::ReadOnly),
            (ffi::SQLITE_READONLY_DIRECTORY, StoreFault::ReadOnly),
            (ffi::SQLITE_READONLY_DBMOVED, StoreFault::Io),
            (ffi::SQLITE_CORRUPT, StoreFault::Damaged),
            (ffi::SQLITE_CORRUPT_INDEX, StoreFault::Damaged),
            (ffi::SQLITE_NOTADB, StoreFault::Damaged),
            (ffi::SQLITE_IOERR_SHORT_READ, StoreFault::Damaged),
            (ffi::SQLITE_BUSY, StoreFault::Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, StoreFault::Busy),
            (ffi::SQLITE_LOCKED, StoreFault::Busy),
            (ffi::SQLITE_IOERR_FSYNC, StoreFault::Io),
            (ffi::SQLITE_CANTOPEN, StoreFault::Io),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, StoreFault::Internal),
            (ffi::SQLITE_NOMEM, StoreFault::Internal),
        ] {
            assert_eq!(failure(code), fault, "code {code}");
        }
    }

    #[test]
    fn every_fault_is_one_line() {
        for fault in [
            StoreFault::Full,
            StoreFault::ReadOnly,
            StoreFault::Damaged,
            StoreFault::Busy,
            StoreFault::Io,
            StoreFault::Internal,
        ] {
            let line = fault.to_string();
            assert!(!line.contains('\n') && line.contains(": "), "{line}");
        }
    }
}
