//! spec/carrying.md section 6: forgetting what has arrived.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{DeliveryState, Input, LinkAction, LinkId, Read};
use tortalk_model::PurgeKey;
use tortalk_wire::{AckResult, Frame, PurgeKeys};

use crate::carrying::{carried, foreign, have, meet, offered, want};
use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, ack, handed, msg};
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn purge(keys: &[PurgeKey]) -> Frame {
    Frame::Purge(PurgeKeys::new(keys.to_vec()).expect("1 to 256"))
}

/// The purge keys sent on a link.
fn purged(actions: &[LinkAction], link: LinkId) -> Vec<PurgeKey> {
    let on_link = actions.iter().filter_map(|action| match action {
        LinkAction::Send(id, Frame::Purge(keys)) if *id == link => Some(keys.as_slice().to_vec()),
        _ => None,
    });
    on_link.flatten().collect()
}

// req: CAR-25, CAR-28, CAR-31
#[test]
fn a_purge_goes_back_over_the_carriers() {
    // alice – carol – dave – bob, each linked with the next.
    let mut world = World::new(&["alice", "carol", "dave", "bob"]);
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        world.befriend(a, b);
    }
    world.introduce(0, 3);
    let id = world.send(0, 3, "over two");
    meet(&mut world, 0, 1);
    meet(&mut world, 1, 2);
    assert_eq!((carried(&world, 1), carried(&world, 2)), (1, 1));
    // All at once now: the purge runs back as far as there are links.
    world.connect(1, 2);
    world.run();
    world.connect(2, 3);
    world.run();
    world.advance(5 * SECOND);
    assert_eq!(world.people[3].received(), ["over two"]);
    let envelope = world.people[0].store.outgoing(&id).expect("readable").expect("ours");
    let envelope = envelope.envelope_id.expect("sealed");
    for carrier in [1, 2] {
        assert!(!world.people[carrier].store.holds(&envelope).expect("readable"), "{carrier}");
    }
    meet(&mut world, 0, 1);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered, "the receipt was carried too");
}

// req: CAR-35
#[test]
fn who_was_away_is_told_on_the_next_link() {
    let mut world = World::new(&["alice", "carol", "bob"]);
    world.pace = SECOND;
    world.befriend(0, 1);
    world.befriend(1, 2);
    world.introduce(0, 2);
    let id = world.send(0, 2, "two ways");
    meet(&mut world, 0, 1);
    assert_eq!(carried(&world, 1), 1);
    // The message arrives by a link of its own while carol is away.
    meet(&mut world, 0, 2);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
    world.restart(0);
    assert_eq!(carried(&world, 1), 1, "carol does not know");
    meet(&mut world, 0, 1);
    assert_eq!(carried(&world, 1), 0);
}

// req: CAR-28, CAR-29, CAR-32
#[test]
fn only_the_right_key_of_a_contact_purges() {
    let (giver, other) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, link) = Stage::with_contact(&giver);
    stage.add(&other);
    let second = stage.introduce(&other);
    let stranger = stage.introduce(&Puppet::new(3));
    let (envelope, key) = foreign(1, START_MS + WEEK_MS);
    let id = envelope.id();
    stage.frame(link, msg(&envelope));
    stage.frame(second, purge(&[PurgeKey::from_bytes([1; 32]), foreign(2, 0).1]));
    assert!(stage.person.store.holds(&id).expect("readable"), "a wrong key");
    stage.frame(stranger, purge(core::slice::from_ref(&key)));
    assert!(stage.person.store.holds(&id).expect("readable"), "a stranger");
    let mut actions = stage.frame(second, purge(&[key.clone(), key.clone()]));
    actions.extend(stage.wait(SECOND));
    assert!(!stage.person.store.holds(&id).expect("readable"));
    assert_eq!(purged(&actions, link), [key], "the giver is told");
    assert_eq!(purged(&actions, second), [], "the teller is not");
    assert_eq!(stage.person.store.carried(), Ok(vec![]));
}

// req: CAR-26
#[test]
fn whoever_offers_or_brings_what_is_purged_is_told() {
    let (giver, late) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, link) = Stage::with_contact(&giver);
    let (envelope, key) = foreign(1, START_MS + WEEK_MS);
    stage.frame(link, msg(&envelope));
    stage.frame(link, purge(core::slice::from_ref(&key)));
    stage.person.restart();
    stage.feed(Input::Started);
    stage.add(&late);
    let link = stage.introduce(&late);
    stage.wait(SECOND);
    let keys = purged(&stage.frame(link, have(&[envelope.id()])), link);
    assert_eq!(keys, core::slice::from_ref(&key));
    stage.wait(SECOND);
    let mut actions = stage.frame(link, msg(&envelope));
    actions.extend(stage.wait(SECOND));
    assert_eq!(purged(&actions, link), [key]);
    assert!(!stage.person.store.holds(&envelope.id()).expect("readable"));
}

// req: CAR-25, CAR-26
#[test]
fn a_recipient_tells_carriers_and_not_the_sender() {
    let (mut alice, carol) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, from_alice) = Stage::with_contact(&alice);
    stage.add(&carol);
    let from_carol = stage.introduce(&carol);
    stage.wait(SECOND);
    let text = alice.text(&stage.person, "hello");
    let envelope = alice.seal(&stage.person, &text);
    let mut actions = stage.frame(from_alice, msg(&envelope));
    actions.extend(stage.wait(SECOND));
    assert!(purged(&actions, from_alice).is_empty(), "the sender gets a receipt");
    for frame in [msg(&envelope), have(&[envelope.id()])] {
        let mut actions = stage.frame(from_carol, frame);
        actions.extend(stage.wait(SECOND));
        let keys = purged(&actions, from_carol);
        assert_eq!(keys.len(), 1);
        assert!(envelope.is_purged_by(&keys[0]));
    }
}

// req: CAR-30
#[test]
fn a_purge_key_is_no_receipt() {
    let (bob, carol) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, link) = Stage::with_contact(&bob);
    stage.feed(Input::LinkDown { link });
    stage.add(&carol);
    let link = stage.introduce(&carol);
    stage.wait(3 * SECOND);
    let id = offered(&stage.send_text(&bob, "still ours"), link)[0];
    stage.frame(link, want(&[id]));
    stage.frame(link, ack(id, AckResult::Stored));
    let held = stage.person.store.envelope(&id).expect("readable").expect("held");
    stage.frame(link, purge(&[held.purge_key.expect("ours")]));
    assert!(stage.person.store.holds(&id).expect("readable"), "only a receipt ends it");
    let (link, _) = stage.link(&bob, Role::Responder);
    stage.frame(link, bob.proofs(Role::Initiator));
    assert_eq!(handed(&stage.frame(link, Frame::Pull)).len(), 1);
}

// req: CAR-27
#[test]
fn an_origin_with_a_receipt_tells_who_carries() {
    let mut world = World::new(&["alice", "carol", "bob"]);
    world.befriend(0, 1);
    world.befriend(1, 2);
    world.introduce(0, 2);
    let id = world.send(0, 2, "both ways");
    world.connect(0, 1);
    world.run();
    world.advance(5 * SECOND);
    assert_eq!(carried(&world, 1), 1);
    world.connect(0, 2);
    world.run();
    world.advance(5 * SECOND);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
    assert_eq!(carried(&world, 1), 0, "carol was told by alice");
}
