//! A contact who is removed, and what those who stay get.

use core::time::Duration;

use tortalk_keys::card::Card;
use tortalk_keys::{MailboxSecret, link_auth::Role};
use tortalk_mesh::{Command, DeliveryState, Event, Input, Keyring, RequestId, RetiredMailbox};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::{MailboxKey, UnixMillis};
use tortalk_seal::Body;
use tortalk_testkit::Seeded;
use tortalk_wire::{AckResult, Frame, RefusalReason};

use crate::person::START_MS;
use crate::puppet::{Puppet, Stage, frames, handed, refused};
use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Other secrets for contacts; the old mailbox is used for some days.
fn renew(keys: &mut Keyring, random: &mut Seeded) {
    let contact = MailboxSecret::from_seed(random.bytes());
    let secret = core::mem::replace(&mut keys.contact_mailbox, contact);
    let until = UnixMillis(START_MS + 44 * 24 * 3_600_000);
    keys.retired_mailboxes.push(RetiredMailbox { secret, until });
    keys.deposit_key = random.bytes();
    keys.contact_read_key = random.bytes();
}

/// The removal as a driver does it: the secrets are made already.
fn remove(world: &mut World, person: usize, whom: usize) {
    let identity = world.identity(whom);
    let keyring = world.people[person].rotated(renew);
    let remove = Input::Command(RequestId(7), Command::RemoveContact { identity });
    world.feed(person, vec![remove, keyring]);
    world.run();
}

/// The mailbox in the card that `person` holds of `of`.
fn mailbox_held(world: &World, person: usize, of: usize) -> Option<MailboxKey> {
    let contact = world.people[person].mesh.contact(&world.identity(of))?;
    Card::parse(contact.card.as_deref()?).expect("checked before").contact_mailbox()
}

// req: REQ-25, REQ-26
#[test]
fn who_is_removed_is_a_stranger_and_knows_nothing_of_use() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    world.befriend(0, 1);
    world.befriend(0, 2);
    world.connect(0, 1);
    world.connect(0, 2);
    world.run();
    let kept = world.send(0, 1, "before");
    world.run();
    world.cut_all();
    let lost = world.send(0, 1, "never");
    world.connect(0, 2);
    world.run();
    let old = world.people[0].keyring.contact_mailbox.public();
    remove(&mut world, 0, 1);
    let new = world.people[0].keyring.contact_mailbox.public();
    assert_eq!(world.state(0, &lost), DeliveryState::Cancelled);
    assert_eq!(world.state(0, &kept), DeliveryState::Delivered);
    let bob = world.identity(1);
    let gone = |event: &Event| *event == Event::ContactRemoved { identity: bob };
    assert!(world.people[0].events.iter().any(gone));
    assert_eq!(world.people[0].store.history(Some(&bob), None, 9).expect("readable").len(), 2);
    assert_eq!(mailbox_held(&world, 2, 0), Some(new));
    // Bob believes what he believed; nothing of his comes in, and nothing goes out.
    world.restart(0);
    world.connect(1, 0);
    world.run();
    let text = world.send(1, 0, "are you there?");
    world.run();
    assert_ne!(world.state(1, &text), DeliveryState::Delivered);
    assert_eq!(mailbox_held(&world, 1, 0), Some(old));
    assert!(world.people[0].mesh.contact(&bob).is_none());
    assert!(world.people[0].received().is_empty());
    // Carol goes on as before, in the new mailbox.
    world.connect(2, 0);
    world.run();
    let text = world.send(2, 0, "still here");
    world.run();
    assert_eq!(world.state(2, &text), DeliveryState::Delivered);
    let again = world.command(0, Command::RemoveContact { identity: bob });
    assert_eq!(again, Err(tortalk_mesh::CommandError::NotAContact));
}

// req: REQ-27
#[test]
fn those_who_are_away_get_the_new_card_sealed() {
    let (away, removed) = (Puppet::new(1), Puppet::new(2));
    let mut stage = Stage::new();
    for puppet in [&away, &removed] {
        stage.add(puppet);
        let link = stage.introduce(puppet);
        stage.feed(Input::LinkDown { link });
    }
    let identity = removed.identity.public();
    let keyring = stage.person.rotated(renew);
    let remove = Input::Command(RequestId(7), Command::RemoveContact { identity });
    stage.person.step(vec![remove, keyring], stage.now);
    stage.person.restart();
    stage.feed(Input::Started);
    let (link, _) = stage.link(&away, Role::Responder);
    stage.frame(link, away.proofs(Role::Initiator));
    let sent = handed(&stage.frame(link, Frame::Pull));
    let own = stage.person.mesh.own_contact_card().expect("a card").as_bytes().to_vec();
    let card = Card::parse(&own).expect("ours");
    assert_eq!(card.contact_mailbox(), Some(stage.person.keyring.contact_mailbox.public()));
    assert_eq!(sent.len(), 1);
    assert_eq!(away.open(&sent[0].0), Body::Card { card: own });
    // The one who was removed gets nothing of the kind.
    let (link, actions) = stage.link(&removed, Role::Responder);
    let mut actions = actions;
    actions.extend(stage.frame(link, removed.proofs(Role::Initiator)));
    actions.extend(stage.frame(link, removed.hello()));
    actions.extend(stage.frame(link, Frame::Pull));
    assert!(handed(&actions).is_empty());
    for frame in frames(&actions) {
        if let Frame::Card(card) = frame {
            assert!(Card::parse(card.card.as_slice()).expect("ours").contact().is_none());
        }
        if let Frame::Mailboxes(mailboxes) = frame {
            assert_eq!(mailboxes.proofs().len(), 1, "the one for strangers");
        }
    }
}

// req: REQ-28
#[test]
fn what_was_sealed_for_the_old_mailbox_comes_in_for_forty_four_days() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let text = puppet.text(&stage.person, "by the old card");
    let early = puppet.seal(&stage.person, &text);
    let text = puppet.text(&stage.person, "by the old card, much later");
    let late = puppet.seal(&stage.person, &text);
    let keyring = stage.person.rotated(renew);
    stage.feed(keyring);
    let (link, actions) = stage.link(&puppet, Role::Responder);
    let proved = |actions: &[tortalk_mesh::LinkAction]| {
        let proofs = frames(actions).filter_map(|frame| match frame {
            Frame::Mailboxes(mailboxes) => Some(mailboxes.proofs().len()),
            _ => None,
        });
        proofs.max()
    };
    assert_eq!(proved(&actions), Some(3), "both, and the one for strangers");
    assert_eq!(stage.hand_over(link, early.as_bytes()).result, AckResult::Stored);
    stage.feed(Input::LinkDown { link });
    for _ in 0..45 {
        stage.wait(DAY);
    }
    let (link, actions) = stage.link(&puppet, Role::Responder);
    assert_eq!(proved(&actions), Some(2));
    let expired = stage.hand_over(link, late.as_bytes()).result;
    assert_eq!(expired, refused(RefusalReason::Expired), "it is nobody's any more");
}
