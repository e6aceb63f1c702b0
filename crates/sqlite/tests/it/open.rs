//! Making, opening, refusing and bringing up to date.

use crate::common::{MARK, OLD, SCHEMA, count, insert, snapshot};
use rusqlite::Connection;
use tortalk_sqlite::{Erasure, Migration, OpenError, Schema, StoreFault, check, open};

fn pragma(connection: &Connection, name: &str) -> String {
    connection
        .query_row(&format!("PRAGMA {name}"), [], |row| {
            row.get::<_, rusqlite::types::Value>(0).map(|value| match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
        })
        .unwrap()
}

#[test]
fn a_connection_keeps_its_promises() {
    let dir = tempfile::tempdir().unwrap();
    let connection = open(&dir.path().join("a.sqlite"), &SCHEMA).unwrap();
    for (name, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("fullfsync", "1"),
        ("checkpoint_fullfsync", "1"),
        ("foreign_keys", "1"),
        ("trusted_schema", "0"),
        ("cell_size_check", "1"),
        ("mmap_size", "0"),
        ("secure_delete", "1"),
        ("temp_store", "2"),
        ("busy_timeout", "5000"),
        ("wal_autocheckpoint", "1000"),
        ("application_id", &MARK.to_string()),
        ("user_version", "2"),
    ] {
        assert_eq!(pragma(&connection, name), value, "{name}");
    }
    // A misspelt name in double quotes is no string.
    assert!(connection.prepare("SELECT \"tga\" FROM note").is_err());
    // The schema cannot be written by hand.
    assert!(connection.execute("DELETE FROM sqlite_schema", []).is_err());
}

#[test]
fn cells_alone_are_erased_where_that_is_chosen() {
    const RELAY: Schema = Schema::new(
        "relay store",
        7,
        Erasure::Cells,
        &[Migration { number: 1, sql: "CREATE TABLE a (b INTEGER) STRICT;" }],
    );
    let dir = tempfile::tempdir().unwrap();
    let connection = open(&dir.path().join("a.sqlite"), &RELAY).unwrap();
    assert_eq!(pragma(&connection, "secure_delete"), "2");
}

#[test]
fn rows_outlive_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let first = open(&path, &SCHEMA).unwrap();
    insert(&first, 100).unwrap();
    // A second connection beside it, as another thread would have.
    let second = open(&path, &SCHEMA).unwrap();
    insert(&second, 100).unwrap();
    drop((first, second));
    let again = open(&path, &SCHEMA).unwrap();
    assert_eq!(count(&again), 2);
    assert_eq!(check(&again), Ok(()));
}

#[test]
fn a_path_is_never_a_uri() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file:a.sqlite?mode=memory");
    drop(open(&path, &SCHEMA).unwrap());
    assert!(path.exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    insert(&connection, 10).unwrap();
    for name in ["a.sqlite", "a.sqlite-wal", "a.sqlite-shm"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
    drop(connection);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    drop(open(&path, &SCHEMA).unwrap());
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn an_older_file_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let old = open(&path, &OLD).unwrap();
    old.execute("INSERT INTO note (body) VALUES (x'01')", []).unwrap();
    drop(old);
    let new = open(&path, &SCHEMA).unwrap();
    assert_eq!(pragma(&new, "user_version"), "2");
    assert_eq!(count(&new), 1);
    insert(&new, 5).unwrap();
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    let before = snapshot(dir.path());
    let error = open(&path, &SCHEMA).unwrap_err();
    assert_eq!(error, OpenError::Newer { what: "profile", found: 7, known: 2 });
    assert_eq!(
        error.to_string(),
        "the profile was written by a newer torTalk (schema 7, this one knows 2): update torTalk"
    );
    assert!(before == snapshot(dir.path()), "a refused file was changed");
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("unmarked.sqlite", "CREATE TABLE a (b)"),
        ("marked.sqlite", "PRAGMA application_id = 77"),
        ("numbered.sqlite", "PRAGMA user_version = 1"),
    ] {
        let path = dir.path().join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let rights = std::fs::metadata(&path).unwrap().permissions();
        let error = open(&path, &SCHEMA).unwrap_err();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions(), rights, "{name}");
        assert_eq!(
            error.to_string(),
            format!("{}: not the database of a profile: choose another path", path.display())
        );
        assert!(before == std::fs::read(&path).unwrap(), "{name} was changed");
    }
}

#[test]
fn an_empty_file_is_a_start_that_was_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(count(&open(&path, &SCHEMA).unwrap()), 0);
}

#[test]
fn a_migration_that_fails_half_way_leaves_the_version_before_it() {
    const STEP_1: Migration =
        Migration { number: 1, sql: "CREATE TABLE note (id INTEGER PRIMARY KEY) STRICT;" };
    const BAD: [&str; 4] = [
        // A misspelt column, as late as it can be.
        "CREATE TABLE more (id INTEGER) STRICT;\nINSERT INTO more (di) VALUES (1);",
        // The second statement fails.
        "CREATE TABLE more (id INTEGER) STRICT; INSERT INTO note VALUES ('not a number');",
        // A row that refers to nothing.
        "CREATE TABLE more (id INTEGER REFERENCES note (id)) STRICT; INSERT INTO more VALUES (9);",
        // It must not end the transaction that it stands in.
        "CREATE TABLE more (id INTEGER) STRICT; ROLLBACK;",
    ];
    for sql in BAD {
        let migrations: &'static [Migration] = vec![STEP_1, Migration { number: 2, sql }].leak();
        let bad = Schema::new("profile", MARK, Erasure::Pages, migrations);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sqlite");
        let error = open(&path, &bad).unwrap_err();
        assert!(matches!(error, OpenError::Migration { number: 2, .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");

        let good = Schema::new("profile", MARK, Erasure::Pages, &[STEP_1]);
        let connection = open(&path, &good).unwrap();
        assert_eq!(pragma(&connection, "user_version"), "1");
        assert!(connection.prepare("SELECT * FROM more").is_err(), "half a migration stayed");
    }
}

#[test]
fn rebuilding_a_table_does_not_cascade() {
    const STEPS: &[Migration] = &[
        Migration {
            number: 1,
            sql: "CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT;
                  CREATE TABLE b (a INTEGER REFERENCES a (id) ON DELETE CASCADE) STRICT;
                  INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);",
        },
        Migration {
            number: 2,
            sql: "CREATE TABLE a2 (id INTEGER PRIMARY KEY, c TEXT) STRICT;
                  INSERT INTO a2 (id) SELECT id FROM a;
                  DROP TABLE a; ALTER TABLE a2 RENAME TO a;",
        },
    ];
    let dir = tempfile::tempdir().unwrap();
    let schema = Schema::new("profile", MARK, Erasure::Pages, STEPS);
    let connection = open(&dir.path().join("a.sqlite"), &schema).unwrap();
    assert_eq!(pragma(&connection, "foreign_keys"), "1");
    let left: i64 = connection.query_row("SELECT count(*) FROM b", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

#[test]
fn a_lock_that_does_not_end_is_reported_as_busy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let first = open(&path, &SCHEMA).unwrap();
    let second = open(&path, &SCHEMA).unwrap();
    second.busy_timeout(std::time::Duration::ZERO).unwrap();
    first.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = insert(&second, 1).unwrap_err();
    assert_eq!(StoreFault::of(&error), StoreFault::Busy);
}

#[test]
fn a_missing_folder_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none").join("a.sqlite");
    let error = open(&path, &SCHEMA).unwrap_err();
    assert_eq!(error, OpenError::Fault { path, fault: StoreFault::Io });
}

const CHILD_FILE: &str = "TORTALK_TEST_OPEN_FILE";

/// Not a test of its own: the process with another umask in the test below.
#[test]
fn make_in_a_child() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    insert(&open(path.as_ref(), &SCHEMA).unwrap(), 1).unwrap();
}

#[cfg(unix)]
#[test]
fn the_umask_changes_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    for umask in ["000", "777"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sqlite");
        let done = std::process::Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" open::make_in_a_child --exact")])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD_FILE, &path)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "umask {umask}");
        assert_eq!(count(&open(&path, &SCHEMA).unwrap()), 1);
    }
}
