//! What the tests of this crate share: a schema and a way to fill it.

use std::path::Path;

use rusqlite::Connection;
use tortalk_sqlite::{Erasure, Migration, Schema};

/// The mark of the test schema.
pub(crate) const MARK: u32 = 0x7465_7374;

/// Two notes tables in two steps.
pub(crate) const SCHEMA: Schema = Schema::new(
    "profile",
    MARK,
    Erasure::Pages,
    &[
        Migration {
            number: 1,
            sql: "CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
        },
        Migration {
            number: 2,
            sql: "ALTER TABLE note ADD COLUMN tag TEXT; CREATE INDEX note_tag ON note (tag);",
        },
    ],
);

/// The first step alone: what an older program knows.
pub(crate) const OLD: Schema = Schema::new(
    "profile",
    MARK,
    Erasure::Pages,
    &[Migration {
        number: 1,
        sql: "CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
    }],
);

/// Inserts one note of `bytes` bytes in a transaction of its own.
pub(crate) fn insert(connection: &Connection, bytes: u32) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO note (body, tag) VALUES (randomblob(?1), hex(randomblob(8)))",
            [bytes],
        )
        .map(|_| ())
}

/// The number of notes.
pub(crate) fn count(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM note", [], |row| row.get(0)).unwrap()
}

/// Every byte of every file below a folder, by name.
pub(crate) fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}
