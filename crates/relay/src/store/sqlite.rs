//! SQLite: one file, one writer at a time, readers beside it.
//!
//! Acknowledging moves one number. The bytes of what was acknowledged go later,
//! by ranges, while nobody waits.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::{Epoch, UnixMillis};
use tortalk_sqlite::{Erasure, Migration, Schema, StoreFault};

use super::{Backend, Group, StoreError, Writer};

mod group;
mod reader;
mod values;

pub use reader::SqliteReader;

/// The file in a relay's folder.
pub const STORE_FILE: &str = "relay.sqlite";

/// Pages in the write-ahead log before it is copied into the file: 32 MiB. A
/// relay writes much and waits for every copy.
const CHECKPOINT_PAGES: i64 = 8_192;
/// Pages that a writer keeps in memory, in KiB: the indexes of some hundred
/// thousand envelopes.
const CACHE_KIB: i64 = 16 * 1024;

const SCHEMA: Schema = Schema::new(
    "relay store",
    APPLICATION_ID,
    Erasure::Cells,
    &[Migration { number: 1, sql: include_str!("../../migrations/0001.sql") }],
);
/// The mark of the file: "toRl".
const APPLICATION_ID: u32 = 0x746f_526c;

/// A relay's database file.
#[derive(Debug, Clone)]
pub struct SqliteBackend {
    path: PathBuf,
}

impl SqliteBackend {
    /// Opens the database in `folder`, and makes it with a new epoch when it is
    /// missing.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened.
    pub fn open(folder: &Path, entropy: &mut dyn Entropy) -> Result<Self, StoreError> {
        let backend = Self { path: folder.join(STORE_FILE) };
        let connection = backend.connect()?;
        let epoch: [u8; 16] = entropy::array(entropy);
        connection
            .execute(
                "INSERT OR IGNORE INTO relay (one, epoch, bytes, mailboxes, first_seq, next_row)
                 VALUES (1, ?1, 0, 0, 1, 1)",
                [&epoch[..]],
            )
            .map_err(StoreFault::from)?;
        Ok(backend)
    }

    /// Gives the database a new epoch, as after a backup was put in its place.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened or written.
    pub fn renew_epoch(&self, entropy: &mut dyn Entropy) -> Result<Epoch, StoreError> {
        let epoch = Epoch::from_bytes(entropy::array(entropy));
        self.connect()?
            .execute("UPDATE relay SET epoch = ?1", [&epoch.as_bytes()[..]])
            .map_err(StoreFault::from)?;
        Ok(epoch)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        Ok(tortalk_sqlite::open(&self.path, &SCHEMA)?)
    }
}

impl Backend for SqliteBackend {
    type Writer = SqliteWriter;
    type Reader = SqliteReader;

    fn writer(&self) -> Result<SqliteWriter, StoreError> {
        let connection = self.connect()?;
        let tune = |pragma, value: i64| {
            connection.pragma_update_and_check(None, pragma, value, |_| Ok(()))
        };
        tune("wal_autocheckpoint", CHECKPOINT_PAGES).map_err(StoreFault::from)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(StoreFault::from)?;
        Ok(SqliteWriter { connection })
    }

    fn reader(&self) -> Result<SqliteReader, StoreError> {
        Ok(SqliteReader::new(self.connect()?))
    }
}

/// Writes to the database.
#[derive(Debug)]
pub struct SqliteWriter {
    connection: Connection,
}

impl Writer for SqliteWriter {
    fn group(&mut self) -> Result<Box<dyn Group + '_>, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreFault::from)?;
        Ok(Box::new(group::SqliteGroup::new(transaction)))
    }
}

/// The number of a time in the database. Times beyond what fits are the end of
/// time.
fn time(value: UnixMillis) -> i64 {
    i64::try_from(value.0).unwrap_or(i64::MAX)
}

/// One row of a query, if there is one.
fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let row = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(params, read).optional());
    Ok(row.map_err(StoreFault::from)?)
}

/// All rows of a query.
fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let rows = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(params, read)?.collect());
    Ok(rows.map_err(StoreFault::from)?)
}

/// How many rows a statement changed.
fn run(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<usize, StoreError> {
    let changed =
        connection.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
    Ok(changed.map_err(StoreFault::from)?)
}

fn totals(connection: &Connection) -> Result<super::Totals, StoreError> {
    let row = one(connection, "SELECT bytes, mailboxes, first_seq FROM relay", params![], |row| {
        Ok(super::Totals {
            bytes: values::number(row, 0)?,
            mailboxes: values::number(row, 1)?,
            first_seq: values::number(row, 2)?,
        })
    })?;
    Ok(row.ok_or(StoreFault::Damaged)?)
}
