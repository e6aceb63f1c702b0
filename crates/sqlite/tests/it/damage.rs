//! Bytes that flip and files that end early: reported, never a panic.

use crate::common::{SCHEMA, insert};
use proptest::prelude::*;
use rusqlite::Connection;
use tortalk_sqlite::{OpenError, StoreFault, check, open};

const PAGE: usize = 4096;

/// A database of about 40 pages as one file, without a log.
fn sample() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    for _ in 0..300 {
        insert(&connection, 400).unwrap();
    }
    insert(&connection, 20_000).unwrap();
    connection.execute("DELETE FROM note WHERE id BETWEEN 100 AND 150", []).unwrap();
    drop(connection);
    std::fs::read(path).unwrap()
}

/// Reads and writes everything that the schema has.
fn work(connection: &Connection) -> rusqlite::Result<()> {
    let mut rows = connection.prepare("SELECT id, body, tag FROM note ORDER BY tag")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (_, _, _): (i64, Vec<u8>, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
    }
    drop(rows);
    insert(connection, 400)?;
    connection.execute("DELETE FROM note WHERE id % 3 = 0", []).map(|_| ())
}

/// What opening and using these bytes gives: `None` when nothing was noticed.
fn outcome(bytes: &[u8]) -> Option<StoreFault> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    std::fs::write(&path, bytes).unwrap();
    match open(&path, &SCHEMA) {
        Ok(connection) => work(&connection).err().map(StoreFault::from),
        Err(OpenError::Fault { fault, .. }) => Some(fault),
        // A flip in the header can make it another's or a later one.
        Err(OpenError::Foreign { .. } | OpenError::Newer { .. }) => Some(StoreFault::Damaged),
        // One in the text of the schema can make a migration fail.
        Err(OpenError::Migration { .. }) => Some(StoreFault::Damaged),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_file_passes() {
    assert_eq!(outcome(&sample()), None);
}

#[test]
fn what_is_no_database_is_damaged() {
    for bytes in [&b"identity = 1\n"[..], &[0u8; 5000], &[0xffu8; 100]] {
        assert_eq!(outcome(bytes), Some(StoreFault::Damaged));
    }
}

#[test]
fn a_file_that_ends_early_is_damaged() {
    let whole = sample();
    for length in [1, 16, 99, 100, 512, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE, whole.len() - PAGE] {
        assert_eq!(outcome(&whole[..length]), Some(StoreFault::Damaged), "{length} bytes");
    }
}

#[test]
fn a_page_of_zeros_or_noise_is_damaged() {
    let whole = sample();
    let mut noticed = 0;
    let pages = whole.len() / PAGE;
    for page in 0..pages {
        for fill in [0x00, 0xff, 0x5a] {
            let mut bytes = whole.clone();
            bytes[page * PAGE..(page + 1) * PAGE].fill(fill);
            match outcome(&bytes) {
                Some(StoreFault::Damaged) => noticed += 1,
                None => {} // an unused page, or the middle of a long value
                other => panic!("page {page}: {other:?}"),
            }
        }
    }
    assert!(noticed > pages * 2, "{noticed} of {} noticed", pages * 3);
}

#[test]
fn the_whole_check_finds_what_the_statements_do_not_touch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    std::fs::write(&path, sample()).unwrap();
    let connection = open(&path, &SCHEMA).unwrap();
    let page: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'note_tag'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(connection);
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from(page - 1).unwrap() * PAGE;
    bytes[start + 8..start + 40].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    // Opened past the check at opening, as a file over its bound would be.
    let connection = Connection::open(&path).unwrap();
    assert_eq!(check(&connection), Err(StoreFault::Damaged));
    drop(connection);
    assert_eq!(
        open(&path, &SCHEMA).unwrap_err(),
        OpenError::Fault { path, fault: StoreFault::Damaged }
    );
}

#[test]
fn a_file_over_the_bound_of_the_whole_check_opens_and_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    connection.execute("INSERT INTO note (body) VALUES (zeroblob(36000000))", []).unwrap();
    insert(&connection, 10).unwrap();
    let page: usize = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'note'", [], |row| {
            row.get::<_, u32>(0)
        })
        .map(|page| page.try_into().unwrap())
        .unwrap();
    drop(connection);
    assert_eq!(crate::common::count(&open(&path, &SCHEMA).unwrap()), 2);

    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(page - 1) * PAGE..][..64].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        open(&path, &SCHEMA).unwrap_err(),
        OpenError::Fault { path, fault: StoreFault::Damaged }
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn flipped_bytes_are_damage_or_nothing(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..24),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(sample);
        let mut bytes = SAMPLE.clone();
        for (index, mask) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= mask;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let fault = outcome(&bytes);
        prop_assert!(matches!(fault, None | Some(StoreFault::Damaged)), "{:?}", fault);
    }
}
