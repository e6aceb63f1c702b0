//! Rows that were changed or moved behind the store's back.

use rusqlite::Connection;
use tortalk_mesh::{Evidence, OwnCardBytes, Purpose, Read as _, Write};
use tortalk_model::UnixMillis;
use tortalk_seal::Body;
use tortalk_store::{Store, StoreError};

use crate::world::{
    World, contact, entropy, envelope, held, incoming, key, message_id, outgoing, person,
    purge_key, request,
};

/// Two rows in every table.
fn filled() -> World {
    let mut world = World::new();
    for n in [1, 2] {
        let evidence = Evidence::Handed { peer: person(n), at: UnixMillis(1) };
        world.write(&[
            Write::PutOwnCards(OwnCardBytes { intro: vec![1], contact: vec![2] }),
            Write::PutContact(Box::new(contact(n, "someone"))),
            Write::PutRequest(Box::new(request(n, n, "text"))),
            Write::PutOutgoing(Box::new(outgoing(n, n, "text"))),
            Write::AddEvidence { message_id: message_id(n), evidence },
            Write::PutEnvelope(Box::new(held(n, n, Purpose::Receipt))),
            Write::Seen {
                envelope_id: envelope(n).id(),
                until: UnixMillis(n.into()),
                purge_key: Some(purge_key(n)),
            },
            Write::PutIncoming(Box::new(incoming(n + 2, n, Body::Text("text".into())))),
            Write::PutUnopened { envelope: Box::new(envelope(n)), until: UnixMillis(9) },
        ]);
    }
    // Somebody who is no contact.
    world.write(&[Write::PutOutgoing(Box::new(outgoing(9, 3, "text")))]);
    world
}

/// Everything that can be asked about the second row of each table.
fn read_all(store: &Store) -> Result<(), StoreError> {
    store.contacts()?;
    store.requests()?;
    store.own_cards()?;
    store.outgoing(&message_id(2))?;
    store.incoming(&message_id(4))?;
    store.envelope(&envelope(2).id())?;
    store.purge_key(&envelope(2).id())?;
    store.unopened_envelope(&envelope(2).id())?;
    store.history(None, None, 9)?;
    store.unread()?;
    store.search("text", None, None, 9)?;
    Ok(())
}

/// What reading says after `sql` was run on the closed file.
fn after(sql: &str) -> Result<(), StoreError> {
    after_change(|connection| connection.execute_batch(sql).expect("a change"))
}

fn after_change(change: impl FnOnce(&Connection)) -> Result<(), StoreError> {
    let world = filled();
    let path = world.path();
    read_all(&world.store).expect("all is well so far");
    let dir = world.dir;
    drop(world.store);
    change(&Connection::open(&path).expect("the file"));
    let outcome = Store::open(&path, key(), entropy()).and_then(|store| read_all(&store));
    drop(dir);
    outcome
}

fn assert_damaged(table: &str, outcome: Result<(), StoreError>) {
    match outcome {
        Err(error @ StoreError::Damaged { table: found, .. }) => {
            assert_eq!(found, table);
            let line = error.to_string();
            assert!(line.contains(table) && !line.contains('\n') && line.contains(": "), "{line}");
        }
        other => panic!("{table}: {other:?}"),
    }
}

const SEALED: [(&str, &str); 11] = [
    ("meta", "name = 'cards'"),
    ("person", "id = 2"),
    ("contact", "id = 2"),
    ("request", "id = 2"),
    ("message", "id = 3"),
    ("outgoing", "message = 3"),
    ("incoming", "message = 4"),
    ("evidence", "id = 2"),
    ("envelope", "id = 2"),
    ("seen", "until = 2"),
    ("unopened", "id = 2"),
];

#[test]
fn changed_bytes_are_damage_of_that_table() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |sealed| sealed[0] ^= 1,
        |sealed| sealed[24] ^= 1,
        |sealed| *sealed.last_mut().expect("not empty") ^= 0x80,
        |sealed| sealed.truncate(39),
        |sealed| sealed.push(0),
        Vec::clear,
    ];
    for (table, row) in SEALED {
        for change in changes {
            let outcome = after_change(|connection| {
                let query = format!("SELECT sealed FROM {table} WHERE {row}");
                let mut sealed =
                    connection.query_row(&query, [], |row| row.get(0)).expect("the row");
                change(&mut sealed);
                let update = format!("UPDATE {table} SET sealed = ?1 WHERE {row}");
                assert_eq!(connection.execute(&update, [sealed]), Ok(1));
            });
            assert_damaged(table, outcome);
        }
    }
}

#[test]
fn values_that_changed_places_are_damage() {
    for (table, row) in SEALED {
        let id = row.split_once(' ').expect("a column and its value").0;
        let swap = format!(
            "CREATE TEMP TABLE kept AS SELECT {id} AS id, sealed FROM {table};
             UPDATE {table} SET sealed =
                (SELECT sealed FROM kept WHERE kept.id != {table}.{id} ORDER BY kept.id LIMIT 1)"
        );
        match after(&swap) {
            // The first of the two rows that changed places is looked at first.
            Err(StoreError::WrongKey { .. }) => assert_eq!(table, "meta"),
            outcome => assert_damaged(table, outcome),
        }
    }
}

#[test]
fn columns_in_clear_are_bound_to_what_is_sealed() {
    for (table, sql) in [
        ("person", "UPDATE person SET tag = zeroblob(16) WHERE id = 2"),
        ("contact", "UPDATE contact SET id = 9 WHERE id = 2"),
        ("contact", "UPDATE contact SET person = 3 WHERE id = 2"),
        ("request", "UPDATE request SET person = 3 WHERE id = 2"),
        ("message", "UPDATE message SET person = 1 WHERE id = 3"),
        ("message", "UPDATE message SET number = 9 WHERE id = 3"),
        ("message", "UPDATE message SET message_id = randomblob(32) WHERE id = 3"),
        ("outgoing", "UPDATE outgoing SET retry_at = 5 WHERE message = 3"),
        ("outgoing", "UPDATE outgoing SET waiting_for = 1 WHERE message = 3"),
        ("incoming", "UPDATE incoming SET unread_from = 1 WHERE message = 4"),
        ("evidence", "UPDATE evidence SET tag = zeroblob(16) WHERE id = 2"),
        ("envelope", "UPDATE envelope SET person = 1 WHERE id = 2"),
        ("envelope", "UPDATE envelope SET carried = 1 WHERE id = 2"),
        ("envelope", "UPDATE envelope SET spreads = 0 WHERE id = 2"),
        ("envelope", "UPDATE envelope SET size = 1 WHERE id = 2"),
        ("envelope", "UPDATE envelope SET mailbox = zeroblob(16) WHERE id = 2"),
        ("envelope", "UPDATE envelope SET purge = zeroblob(16) WHERE id = 2"),
        ("envelope", "UPDATE envelope SET forget_at = NULL WHERE id = 2"),
        ("unopened", "UPDATE unopened SET forget_at = 8 WHERE id = 2"),
    ] {
        assert_damaged(table, after(sql));
    }
}

#[test]
fn rows_that_must_be_there_are_missed() {
    let gone = "DELETE FROM evidence; DELETE FROM outgoing WHERE message = 3";
    assert_damaged("outgoing", after(gone));
    assert_damaged("incoming", after("DELETE FROM incoming WHERE message = 4"));
}

#[test]
fn a_file_that_is_no_database_is_refused_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("store.sqlite");
    std::fs::write(&path, [b'x'; 8192]).expect("a file");
    let opened = Store::open(&path, key(), entropy()).map(drop);
    let error = opened.expect_err("not a database");
    assert!(matches!(error, StoreError::Open(_)), "{error:?}");
    assert!(!error.to_string().contains('\n'), "{error}");
}
