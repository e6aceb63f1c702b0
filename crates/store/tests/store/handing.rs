//! Envelopes: who has them, and what has been dealt with.

use tortalk_mesh::{Purpose, Read as _, Write};
use tortalk_model::{EnvelopeId, UnixMillis};

use crate::world::{HOUR, World, envelope, held, message_id, person};

fn put(n: u8, to: u8) -> Write {
    Write::PutEnvelope(Box::new(held(n, to, Purpose::Message(message_id(n)))))
}

fn handed(n: u8, to: u8) -> Write {
    Write::HandedOver { peer: person(to), envelope_id: id(n) }
}

fn id(n: u8) -> EnvelopeId {
    envelope(n).id()
}

fn pending(world: &World, to: u8) -> Vec<EnvelopeId> {
    world.store.pending_for(&person(to), None, 99).expect("a read")
}

#[test]
fn what_the_recipient_stored_is_not_pending_and_what_a_carrier_stored_is() {
    let mut world = World::new();
    world.write(&[put(3, 0), put(1, 0), put(2, 1), handed(3, 0), handed(1, 1)]);
    let world = world.reopen();
    assert_eq!(pending(&world, 0), [id(1)]);
    assert_eq!(pending(&world, 1), [id(2)]);
}

#[test]
fn handing_over_again_is_for_one_envelope_and_forgetting_for_all_of_a_peer() {
    let mut world = World::new();
    let all: Vec<_> = [1, 2, 3].into_iter().flat_map(|n| [put(n, 0), handed(n, 0)]).collect();
    world.write(&all);
    world.write(&[put(4, 1), handed(4, 1)]);
    assert_eq!(pending(&world, 0), []);
    world.write(&[Write::HandOverAgain { peer: person(0), envelope_id: id(2) }]);
    assert_eq!(pending(&world, 0), [id(2)]);
    world.write(&[Write::ForgetHandedOver { peer: person(0) }]);
    assert_eq!(pending(&world, 0), [id(1), id(2), id(3)]);
    assert_eq!(pending(&world, 1), []);
}

#[test]
fn an_envelope_that_is_put_again_keeps_its_place_and_who_has_it() {
    let mut world = World::new();
    world.write(&[put(1, 0), put(2, 0), put(3, 0), handed(2, 0)]);
    world.write(&[put(2, 0), put(1, 0)]);
    assert_eq!(pending(&world, 0), [id(1), id(3)]);
}

#[test]
fn an_envelope_that_was_dropped_leaves_nothing_behind() {
    let mut world = World::new();
    world.write(&[put(1, 0), handed(1, 0), Write::DropEnvelope(id(1))]);
    assert_eq!(world.store.envelope(&id(1)), Ok(None));
    world.write(&[put(1, 0)]);
    assert_eq!(pending(&world, 0), [id(1)]);
}

#[test]
fn receipts_expire_and_messages_wait() {
    let mut world = World::new();
    world.write(&[put(1, 0), Write::PutEnvelope(Box::new(held(2, 0, Purpose::Receipt)))]);
    world.write(&[Write::Expire { before: UnixMillis(2 * HOUR) }]);
    assert_eq!(pending(&world, 0), [id(1), id(2)]);
    world.write(&[Write::Expire { before: UnixMillis(2 * HOUR + 1) }]);
    assert_eq!(pending(&world, 0), [id(1)]);
}

#[test]
fn what_was_seen_is_remembered_for_the_longest_time_named() {
    let mut world = World::new();
    let seen =
        |until| Write::Seen { envelope_id: id(1), until: UnixMillis(until), purge_key: None };
    world.write(&[seen(10), seen(5), Write::Expire { before: UnixMillis(10) }]);
    assert_eq!(world.store.seen(&id(1)), Ok(true));
    world.write(&[Write::Expire { before: UnixMillis(11) }]);
    assert_eq!(world.store.seen(&id(1)), Ok(false));
}
