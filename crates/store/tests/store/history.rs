//! What a person asks.

use tortalk_mesh::{DeliveryState, Evidence, Write};
use tortalk_model::UnixMillis;
use tortalk_seal::{Body, BodyType, ReceiptKind};
use tortalk_store::{Direction, HistoryEntry};

use crate::world::{World, envelope, incoming, message_id, outgoing, person};

fn from(n: u8, who: u8, body: Body) -> Write {
    Write::PutIncoming(Box::new(incoming(n, who, body)))
}

fn to(n: u8, who: u8, text: &str) -> Write {
    Write::PutOutgoing(Box::new(outgoing(n, who, text)))
}

fn ids(entries: &[HistoryEntry]) -> Vec<u8> {
    let number = |entry: &HistoryEntry| (0..100).find(|n| message_id(*n) == entry.message_id);
    entries.iter().map(|entry| number(entry).expect("one of ours")).collect()
}

fn conversation() -> World {
    let mut world = World::new();
    world.write(&[
        to(1, 0, "Shall we meet at the harbour?"),
        from(2, 0, Body::Text("Yes, at the old HARBOUR.".into())),
        from(3, 1, Body::ContactRequest { card: vec![1], text: "Met you at the harbour".into() }),
        from(4, 0, Body::Card { card: vec![1] }),
        from(5, 0, Body::Unknown { body_type: BodyType(99), bytes: vec![1] }),
        to(6, 1, "Who are you?"),
    ]);
    world
}

#[test]
fn pages_go_back_in_time_and_leave_out_what_nobody_sees() {
    let world = conversation();
    let all = world.store.history(None, None, 10).expect("a read");
    assert_eq!(ids(&all), [6, 5, 3, 2, 1]);
    let page = world.store.history(None, None, 2).expect("a read");
    assert_eq!(ids(&page), [6, 5]);
    let page = world.store.history(None, Some(page[1].row), 2).expect("a read");
    assert_eq!(ids(&page), [3, 2]);
    assert_eq!(ids(&world.store.history(Some(&person(0)), None, 2).expect("a read")), [5, 2]);
    assert_eq!(ids(&world.store.history(Some(&person(1)), None, 9).expect("a read")), [6, 3]);
    assert_eq!(world.store.history(Some(&person(2)), None, 9), Ok(Vec::new()));
}

#[test]
fn search_narrows_by_person_and_row() {
    let world = conversation().reopen();
    let found = |words, with: Option<u8>, before| {
        let with = with.map(person);
        ids(&world.store.search(words, with.as_ref(), before, 9).expect("a read"))
    };
    assert_eq!(found("harb", None, None), [3, 2, 1]);
    assert_eq!(found("harbour meet", None, None), [1]);
    assert_eq!(found("harb", Some(0), None), [2, 1]);
    assert_eq!(found("harb", None, Some(3)), [2, 1]);
    assert_eq!(found("harb", Some(2), None), [0u8; 0]);
    assert_eq!(ids(&world.store.search("harb", None, None, 1).expect("a read")), [3]);
}

#[test]
fn an_entry_shows_what_its_evidence_allows() {
    let mut world = conversation();
    let state = |world: &World| {
        let entry = world.store.message(&message_id(1)).expect("a read").expect("a message");
        assert_eq!(entry.direction, Direction::Outgoing);
        entry.state
    };
    assert_eq!(state(&world), Some(DeliveryState::WaitingForKey));
    let (message_id, at) = (message_id(1), UnixMillis(5));
    world.write(&[Write::SealedIn { message_id, envelope_id: envelope(1).id() }]);
    assert_eq!(state(&world), Some(DeliveryState::Queued));
    for n in [1, 2, 2] {
        let evidence = Evidence::Handed { peer: person(n), at: UnixMillis(u64::from(n)) };
        world.write(&[Write::AddEvidence { message_id, evidence }]);
    }
    assert_eq!(state(&world), Some(DeliveryState::Handed { peers: 2 }));
    let evidence = Evidence::Receipt { kind: ReceiptKind::Delivered, at, proof: vec![7; 200] };
    world.write(&[Write::AddEvidence { message_id, evidence: evidence.clone() }]);
    let world = world.reopen();
    assert_eq!(state(&world), Some(DeliveryState::Delivered));
    let entry = world.store.message(&message_id).expect("a read").expect("a message");
    assert_eq!(entry.evidence.len(), 3);
    assert_eq!(entry.evidence[2], evidence);
}

#[test]
fn unread_counts_what_people_see_until_it_is_read() {
    let mut world = conversation();
    let mut unread = world.store.unread().expect("a read");
    unread.sort_by_key(|(_, count)| *count);
    assert_eq!(unread, [(person(1), 1), (person(0), 2)]);
    world.write(&[Write::MarkRead(message_id(2)), Write::MarkRead(message_id(3))]);
    let world = world.reopen();
    assert_eq!(world.store.unread(), Ok(vec![(person(0), 1)]));
    let entry = world.store.message(&message_id(2)).expect("a read").expect("a message");
    assert!(entry.read);
}
