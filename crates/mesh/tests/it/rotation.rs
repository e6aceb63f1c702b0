//! Other keys while links are up.

use tortalk_keys::MailboxSecret;
use tortalk_keys::card::Card;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{DeliveryState, Event, Keyring, LinkAction, SealingKey};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::envelope::key_id;
use tortalk_model::{KeyId, UnixMillis};
use tortalk_seal::SealingSecret;
use tortalk_testkit::Seeded;
use tortalk_wire::{AckResult, Frame, RefusalReason};

use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, closed, frames, refused};
use crate::world::World;

/// A further sealing key, valid from the start of the world.
fn add_key(keys: &mut Keyring, random: &mut Seeded) {
    keys.sealing.push(SealingKey {
        secret: SealingSecret::from_seed(random.bytes()),
        not_before: UnixMillis(START_MS - 1),
        not_after: UnixMillis(START_MS - 1 + 4 * WEEK_MS),
    });
}

/// The newest key that `person` holds of `of`.
fn key_held(world: &World, person: usize, of: usize) -> KeyId {
    let contact = world.people[person].mesh.contact(&world.identity(of)).expect("a contact");
    let card = Card::parse(contact.card.as_deref().expect("a card")).expect("checked before");
    key_id(&card.sealing_keys()[0].public[..])
}

fn shown(actions: &[LinkAction]) -> Vec<KeyId> {
    let cards = frames(actions).filter_map(|frame| match frame {
        Frame::Card(card) => Card::parse(card.card.as_slice()).ok(),
        _ => None,
    });
    cards.map(|card| key_id(&card.sealing_keys()[0].public[..])).collect()
}

// req: SEA-38, GSP-40
#[test]
fn a_rotation_keeps_the_link_and_the_other_seals_to_the_new_key() {
    let mut world = World::pair();
    let before = world.send(1, 0, "to the first key");
    world.run();
    world.people.iter_mut().for_each(|person| person.events.clear());
    // On its way while the key changes: sealed to the old one, opened with it.
    let meanwhile = world.send(1, 0, "meanwhile");
    let rotated = world.people[0].rotated(add_key);
    world.feed(0, vec![rotated]);
    let newest = world.people[0].keyring.sealing[1].secret.key_id();
    world.run();
    assert_eq!(key_held(&world, 1, 0), newest);
    let after = world.send(1, 0, "to the second key");
    let answer = world.send(0, 1, "from there too");
    world.run();
    for (person, id) in [(1, before), (1, meanwhile), (1, after), (0, answer)] {
        assert_eq!(world.state(person, &id), DeliveryState::Delivered);
    }
    assert_eq!(world.people[0].received(), ["meanwhile", "to the second key"]);
    assert_eq!(world.people[1].received(), ["from there too"]);
    assert_eq!(world.cables(), 1);
    for person in &world.people {
        let links = |event: &Event| matches!(event, Event::PeerUp { .. } | Event::PeerDown { .. });
        assert!(!person.events.iter().any(links), "the link is the one from before");
    }
}

#[test]
fn a_new_mailbox_for_contacts_is_proved_and_used_on_the_link_that_is_there() {
    let mut world = World::pair();
    let renewed = world.people[0].rotated(|keys, random| {
        keys.contact_mailbox = MailboxSecret::from_seed(random.bytes());
        keys.deposit_key = random.bytes();
        keys.contact_read_key = random.bytes();
    });
    world.feed(0, vec![renewed]);
    world.run();
    let sent = world.send(1, 0, "to the new mailbox");
    world.run();
    assert_eq!(world.state(1, &sent), DeliveryState::Delivered);
    assert_eq!(world.people[0].received(), ["to the new mailbox"]);
    assert_eq!(world.cables(), 1);
}

// req: GSP-07
#[test]
fn a_stranger_is_proved_no_new_mailbox_for_contacts() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.hello());
    let renewed = stage
        .person
        .rotated(|keys, random| keys.contact_mailbox = MailboxSecret::from_seed(random.bytes()));
    let actions = stage.feed(renewed);
    let public = stage.person.keyring.contact_mailbox.public();
    assert_eq!(closed(&actions, link), None);
    let mut proofs = frames(&actions).filter_map(|frame| match frame {
        Frame::Mailboxes(mailboxes) => Some(mailboxes.proofs()),
        _ => None,
    });
    assert!(proofs.all(|proofs| proofs.iter().all(|proof| proof.mailbox != public)));
}

// req: GSP-01
#[test]
fn a_new_card_leaves_only_when_it_is_stored() {
    let puppet = Puppet::new(1);
    let (mut stage, _) = Stage::with_contact(&puppet);
    stage.person.fails_next = true;
    let rotated = stage.person.rotated(add_key);
    assert!(stage.feed(rotated).is_empty(), "the disk did not take it");
    // The machine is built anew with the keys that are there now.
    stage.feed(tortalk_mesh::Input::Started);
    let (link, _) = stage.link(&puppet, Role::Responder);
    let newest = stage.person.keyring.sealing[1].secret.key_id();
    assert_eq!(shown(&stage.frame(link, puppet.hello())), [newest]);
}

// req: SEA-16, SEA-42, GSP-29
#[test]
fn a_key_that_is_kept_opens_and_one_that_is_erased_is_unknown() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let [kept, late] = ["to a key that is kept", "to a key that is erased"].map(|text| {
        let text = puppet.text(&stage.person, text);
        puppet.seal(&stage.person, &text)
    });
    let rotated = stage.person.rotated(add_key);
    let newest = stage.person.keyring.sealing[1].secret.key_id();
    assert_eq!(shown(&stage.feed(rotated)), [newest]);
    assert_eq!(stage.hand_over(link, kept.as_bytes()).result, AckResult::Stored);
    let erased = stage.person.rotated(|keys, _| {
        keys.sealing.remove(0);
    });
    assert!(shown(&stage.feed(erased)).is_empty(), "the card is as it was");
    let answer = stage.hand_over(link, late.as_bytes());
    assert_eq!(answer.result, refused(RefusalReason::UnknownKey));
    assert_eq!(stage.person.received(), ["to a key that is kept"]);
}
