//! Opening, closing, and what transactions promise.

use tortalk_mesh::{Read as _, Write};
use tortalk_seal::Body;
use tortalk_store::vault::ProfileKey;
use tortalk_store::{Store, StoreError};

use crate::world::{World, entropy, incoming, key, message_id, outgoing, person};

fn text(n: u8, text: &str) -> Write {
    Write::PutOutgoing(Box::new(outgoing(n, 0, text)))
}

#[test]
fn a_store_keeps_its_id_and_every_new_one_has_another() {
    let world = World::new();
    let id = world.store.store_id();
    assert_eq!(world.reopen().store.store_id(), id);
    assert_ne!(World::new().store.store_id(), id);
}

#[test]
fn what_is_there_is_not_made_again_and_what_is_not_is_not_opened() {
    let mut world = World::new();
    let path = world.path();
    world.write(&[text(1, "kept")]);
    let again = Store::create(&path, key(), entropy()).map(drop);
    assert_eq!(again, Err(StoreError::AlreadyThere { path: path.clone() }));
    assert!(world.reopen().store.outgoing(&message_id(1)).expect("a read").is_some());

    let dir = tempfile::tempdir().expect("a folder");
    for (name, content) in [("missing", None), ("empty", Some(""))] {
        let path = dir.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).expect("a file");
        }
        let opened = Store::open(&path, key(), entropy()).map(drop);
        assert_eq!(opened, Err(StoreError::NotThere { path: path.clone() }));
        assert_eq!(std::fs::read(&path).ok().map(|bytes| bytes.len()), content.map(str::len));
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
}

#[test]
fn an_interrupted_creation_is_completed() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("store.sqlite");
    // The tables are there, the store's id is not.
    let world = World::new();
    drop(world.store);
    std::fs::copy(world.dir.path().join("store.sqlite"), &path).expect("a copy");
    rusqlite::Connection::open(&path)
        .and_then(|c| c.execute("DELETE FROM meta", []))
        .expect("one row less");
    let opened = Store::open(&path, key(), entropy()).map(drop);
    assert_eq!(opened, Err(StoreError::NotThere { path: path.clone() }));
    Store::create(&path, key(), entropy()).expect("the rest of it");
    Store::open(&path, key(), entropy()).expect("a whole store");
}

#[test]
fn another_profiles_key_is_named_as_the_reason() {
    let world = World::new();
    let path = world.path();
    drop(world.store);
    let other = ProfileKey::from_bytes([1; 32]);
    let opened = Store::open(&path, other, entropy()).map(drop);
    assert_eq!(opened, Err(StoreError::WrongKey { path: path.clone() }));
    let line = opened.expect_err("another key").to_string();
    assert!(line.contains("key") && !line.contains('\n'), "{line}");
}

#[test]
fn writes_belong_into_transactions() {
    let mut world = World::new();
    assert_eq!(world.store.apply(&[text(1, "a")]), Err(StoreError::NoTransaction));
    assert_eq!(world.store.commit(), Err(StoreError::NoTransaction));
    assert_eq!(world.store.rollback(), Err(StoreError::NoTransaction));
    world.store.begin().expect("a transaction");
    assert_eq!(world.store.begin(), Err(StoreError::InTransaction));
    world.store.apply(&[text(1, "a")]).expect("a write");
    world.store.commit().expect("a commit");
    assert!(world.store.outgoing(&message_id(1)).expect("a read").is_some());
}

/// Half of what one input led to is never kept.
#[test]
fn after_a_write_that_failed_nothing_can_be_committed() {
    let mut world = World::new();
    world.store.begin().expect("a transaction");
    let impossible = incoming(2, 0, Body::Card { card: Vec::new() });
    let writes = [text(1, "half"), Write::PutIncoming(Box::new(impossible)), text(3, "rest")];
    assert_eq!(world.store.apply(&writes), Err(StoreError::Unstorable(0)));
    assert_eq!(world.store.apply(&[text(4, "more")]), Err(StoreError::Incomplete));
    assert_eq!(world.store.commit(), Err(StoreError::Incomplete));
    assert_eq!(world.store.outgoing(&message_id(1)), Ok(None));
    assert_eq!(world.store.search("half", None, None, 9), Ok(Vec::new()));
    // The store itself goes on.
    world.write(&[text(1, "whole")]);
    let world = world.reopen();
    assert_eq!(world.store.search("whole", None, None, 9).expect("a read").len(), 1);
    assert_eq!(world.store.search("half", None, None, 9), Ok(Vec::new()));
}

/// A person who got a number in a transaction that is gone gets a new one.
#[test]
fn people_of_a_rolled_back_transaction_are_nobody() {
    let mut world = World::new();
    world.store.begin().expect("a transaction");
    world.store.apply(&[text(1, "to person 0")]).expect("a write");
    world.store.rollback().expect("a rollback");
    world.write(&[Write::PutOutgoing(Box::new(outgoing(2, 1, "to person 1")))]);
    assert_eq!(world.store.history(Some(&person(0)), None, 9), Ok(Vec::new()));
    world.write(&[text(1, "to person 0")]);
    let world = world.reopen();
    for (n, with) in [(2, 1), (1, 0)] {
        let entries = world.store.history(Some(&person(with)), None, 9).expect("a read");
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].message_id, message_id(n));
    }
}

#[test]
fn a_store_can_go_to_the_thread_that_uses_it() {
    fn is_send<T: Send>() {}
    is_send::<Store>();
}
