//! Opening a database file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Erasure, Migration, Schema, StoreFault};

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages in the write-ahead log before it is copied into the file: 4 MiB.
const CHECKPOINT_PAGES: i64 = 1_000;
/// The log is reused from its beginning and not cut at a checkpoint, unless one
/// transaction made it longer than this. Closing removes it. (Filling it with
/// zeros beforehand was measured and gains nothing.)
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Up to this many pages the whole file is checked when it is opened (32 MiB,
/// some tens of milliseconds); above, only the beginning of every table.
const CHECKED_PAGES_MAX: i64 = 8_192;
/// The smallest page that a database can have.
const PAGE_BYTES_MIN: u64 = 512;
/// Statements kept compiled per connection.
const STATEMENTS_KEPT: usize = 64;

/// Why a database was not opened. Nothing was changed, except that migrations
/// before a failing one stay applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A newer program has written it.
    #[error(
        "the {what} was written by a newer torTalk (schema {found}, this one knows {known}): \
         update torTalk"
    )]
    Newer {
        /// The word for the database.
        what: &'static str,
        /// The schema number in the file.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// Another program's database, or another kind of ours.
    #[error("{}: not the database of a {what}: choose another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The word for the database.
        what: &'static str,
    },
    /// The place is at fault.
    #[error("{}: {fault}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: StoreFault,
    },
    /// A migration does not run: a mistake in torTalk. The file stays at the
    /// version before it.
    #[error("{}: migration {number} failed ({reason}): please report this", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// The migration.
        number: u32,
        /// What SQLite said.
        reason: String,
    },
}

/// Opens the database at `path`, makes it when it is missing, and applies the
/// migrations that it lacks.
///
/// A new file is readable by its owner alone, whatever the umask; an existing
/// one is made so. Commits on the connection are durable when they return.
///
/// # Errors
///
/// See [`OpenError`]. Whether the file is ours is looked at before the first
/// byte of it is changed.
pub fn open(path: &Path, schema: &Schema) -> Result<Connection, OpenError> {
    let fault =
        |fault: StoreFault| OpenError::Fault { path: path.to_owned(), fault: at_open(fault) };
    let sql = |error: rusqlite::Error| fault(StoreFault::of(&error));

    // An absolute path cannot be taken for a `file:` URI.
    let path = &std::path::absolute(path).map_err(|error| fault(StoreFault::of_io(&error)))?;
    prepare_file(path).map_err(fault)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    // SQLite falls back to reading alone without a word.
    if connection.is_readonly("main").map_err(sql)? {
        return Err(fault(StoreFault::ReadOnly));
    }

    restrict(&connection).map_err(sql)?;
    let found = recognise(&connection, path, schema)?;
    restrict_existing(path).map_err(|error| fault(StoreFault::of_io(&error)))?;
    configure(&connection, schema.erasure).map_err(sql)?;
    check_cheaply(&connection).map_err(fault)?;
    migrate(&mut connection, path, schema, found)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sql)?;
    Ok(connection)
}

/// Reads the whole database and checks that it agrees with itself. Takes about
/// a second per gigabyte.
///
/// # Errors
///
/// [`StoreFault::Damaged`] where it does not.
pub fn check(connection: &Connection) -> Result<(), StoreFault> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreFault::of(&error))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreFault::Damaged) }
}

/// Makes the file, empty, or sees that the one there can be a database.
fn prepare_file(path: &Path) -> Result<(), StoreFault> {
    let io = |error: io::Error| StoreFault::of_io(&error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            // A umask can have taken the owner's rights too.
            let metadata = file.metadata().map_err(io)?;
            restrict_mode(&metadata, |mode| file.set_permissions(mode)).map_err(io)?;
            file.sync_all().and_then(|()| sync_dir(path)).map_err(io)
        }
        // Not opened here: closing a second descriptor of a file drops the locks
        // that SQLite holds on it in this process.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::metadata(path).map_err(io)?;
            // SQLite would take what is left of a header for an empty file and
            // write over it.
            if metadata.len() > 0 && metadata.len() < PAGE_BYTES_MIN {
                return Err(StoreFault::Damaged);
            }
            Ok(())
        }
        Err(error) => Err(io(error)),
    }
}

/// Takes the rights of others away from a file that is known to be ours, and
/// from what SQLite keeps beside it.
fn restrict_existing(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::metadata(&name) {
            Ok(metadata) => restrict_mode(&metadata, |mode| fs::set_permissions(&name, mode))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn restrict_mode(
    metadata: &fs::Metadata,
    set: impl FnOnce(fs::Permissions) -> io::Result<()>,
) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o777 == 0o600 {
        return Ok(());
    }
    set(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict_mode(
    _: &fs::Metadata,
    _: impl FnOnce(fs::Permissions) -> io::Result<()>,
) -> io::Result<()> {
    Ok(())
}

/// A new name is durable when its folder is.
fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if cfg!(unix) => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

/// What protects against a file that was made by someone else. Changes nothing
/// in the file.
fn restrict(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        // A misspelt column in double quotes is an error, not a string.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    // A page that fails to be read from a map is a signal, not an error.
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(())).or_else(no_rows)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

/// What is done to open a file is the same for every file: where that fails in a
/// way that no disk or other process causes, it is the file.
const fn at_open(fault: StoreFault) -> StoreFault {
    match fault {
        StoreFault::Internal => StoreFault::Damaged,
        fault => fault,
    }
}

/// Whether the file is ours, and its schema number. Only reads.
fn recognise(connection: &Connection, path: &Path, schema: &Schema) -> Result<u32, OpenError> {
    let fault =
        |fault: StoreFault| OpenError::Fault { path: path.to_owned(), fault: at_open(fault) };
    let number = |sql: &str| -> Result<i64, OpenError> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(|error| fault((&error).into()))
    };
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    let mark = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let empty = objects == 0 && mark == 0 && version == 0;
    if !empty && mark != i64::from(schema.application_id) {
        return Err(OpenError::Foreign { path: path.to_owned(), what: schema.what });
    }
    let found = u32::try_from(version).map_err(|_| fault(StoreFault::Damaged))?;
    if found > schema.version() {
        return Err(OpenError::Newer { what: schema.what, found, known: schema.version() });
    }
    Ok(found)
}

/// How our files are written.
fn configure(connection: &Connection, erasure: Erasure) -> rusqlite::Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        // A file system without shared memory between processes.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            None,
        ));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Elsewhere than on macOS these two do nothing; there fsync alone does not
    // reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Sorting may spill rows: never to a file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let erase = match erasure {
        Erasure::Pages => "ON",
        Erasure::Cells => "FAST",
    };
    for (pragma, value) in [
        ("secure_delete", erase.to_owned()),
        ("wal_autocheckpoint", CHECKPOINT_PAGES.to_string()),
        ("journal_size_limit", LOG_BYTES_KEPT.to_string()),
    ] {
        connection.pragma_update_and_check(None, pragma, value, |_| Ok(()))?;
    }
    Ok(())
}

fn check_cheaply(connection: &Connection) -> Result<(), StoreFault> {
    let sql = |error: rusqlite::Error| StoreFault::of(&error);
    let pages: i64 =
        connection.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(sql)?;
    if pages <= CHECKED_PAGES_MAX {
        return check(connection);
    }
    let mut names = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")
        .map_err(sql)?;
    let names = names
        .query_map([], |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(sql)?;
    for name in names {
        let quoted = name.replace('"', "\"\"");
        // Not through an index, which would be read in the table's place.
        let first = format!("SELECT 1 FROM \"{quoted}\" NOT INDEXED LIMIT 1");
        connection.prepare(&first).and_then(|mut first| first.exists([])).map_err(sql)?;
    }
    Ok(())
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    schema: &Schema,
    found: u32,
) -> Result<(), OpenError> {
    let missing = schema.migrations.iter().filter(|migration| migration.number > found);
    let mut switched = false;
    for migration in missing {
        let failed = |error: rusqlite::Error| match StoreFault::of(&error) {
            // A migration that does not fit its file is a mistake until shown
            // otherwise: the file has just passed its check.
            StoreFault::Internal | StoreFault::Damaged => OpenError::Migration {
                path: path.to_owned(),
                number: migration.number,
                reason: one_line(&error),
            },
            fault => OpenError::Fault { path: path.to_owned(), fault },
        };
        if !switched {
            // Rebuilding a table drops the old one, which must not cascade. The
            // references are checked before each commit instead.
            connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
            switched = true;
        }
        apply(connection, schema, migration).map_err(failed)?;
    }
    Ok(())
}

fn apply(
    connection: &mut Connection,
    schema: &Schema,
    migration: &Migration,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version >= i64::from(migration.number) {
        return transaction.rollback();
    }
    transaction.execute_batch(migration.sql)?;
    if transaction.is_autocommit() {
        return Err(rusqlite::Error::InvalidQuery); // it ended its own transaction
    }
    if transaction.prepare("PRAGMA foreign_key_check")?.exists([])? {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            Some("a reference to a missing row".to_owned()),
        ));
    }
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", migration.number)?;
    transaction.commit()
}

fn one_line(error: &rusqlite::Error) -> String {
    match error {
        // Its own text repeats the whole SQL.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string().replace(['\n', '\r'], " "),
    }
}

/// Some pragmas answer with a row only where the build supports them.
fn no_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}
