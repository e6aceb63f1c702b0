//! Cards on links: who sees which, which one counts.

use core::time::Duration;

use tortalk_keys::MailboxSecret;
use tortalk_keys::card::Card;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, CommandError, Input, Keyring, LinkAction};
use tortalk_model::entropy::Entropy as _;
use tortalk_seal::{Body, SealingSecret};
use tortalk_testkit::Seeded;
use tortalk_wire::{ByeReason, Frame};

use crate::person::START_MS;
use crate::puppet::{Puppet, Stage, as_frame, closed, frames, handed};

fn cards(actions: &[LinkAction]) -> Vec<Card> {
    let cards = frames(actions).filter_map(|frame| match frame {
        Frame::Card(card) => Some(Card::parse(card.card.as_slice()).expect("a card of ours")),
        _ => None,
    });
    cards.collect()
}

// req: GSP-08
#[test]
fn strangers_get_the_intro_card_and_contacts_the_contact_card() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let shown = cards(&stage.frame(link, puppet.hello()));
    assert!(shown.len() == 1 && shown[0].contact().is_none());
    assert_eq!(shown[0].name(), "alice");
    let shown = cards(&stage.add(&puppet));
    assert!(shown.len() == 1 && shown[0].contact().is_some(), "sent on acceptance");
}

// req: GSP-09
#[test]
fn a_card_that_the_contact_holds_is_not_sent_again() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let (link, _) = stage.link(&puppet, Role::Responder);
    let Frame::Hello(mut hello) = puppet.hello() else { panic!("a hello") };
    let shown = cards(&stage.frame(link, Frame::Hello(hello.clone())));
    hello.your_card_seq = shown[0].seq();
    assert!(cards(&stage.frame(link, Frame::Hello(hello))).is_empty());
}

// req: GSP-11
#[test]
fn a_card_of_somebody_else_or_a_broken_one_closes_the_link() {
    let puppet = Puppet::new(1);
    let other = Puppet::new(2);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let actions = stage.frame(link, other.card_frame(START_MS + 1));
    assert_eq!(closed(&actions, link), Some(ByeReason::Protocol));
    let (mut stage, link) = Stage::with_contact(&puppet);
    let mut bytes = puppet.card(START_MS + 1, true).into_bytes();
    *bytes.last_mut().expect("not empty") ^= 1;
    let card = tortalk_wire::CardBytes::try_from(bytes.as_slice()).expect("within the limit");
    let actions = stage.frame(link, Frame::Card(tortalk_wire::Card { card }));
    assert_eq!(closed(&actions, link), Some(ByeReason::Protocol));
}

// req: LIM-07
#[test]
fn cards_beyond_two_a_second_are_not_looked_at() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, as_frame(&puppet.card(1, false)));
    stage.frame(link, as_frame(&puppet.card(2, false)));
    let named = stage.person.events.len();
    let broken = tortalk_wire::CardBytes::try_from(&[0][..]).expect("within the limit");
    let broken = Frame::Card(tortalk_wire::Card { card: broken });
    assert_eq!(closed(&stage.frame(link, broken.clone()), link), None, "not looked at");
    assert_eq!(stage.person.events.len(), named);
    stage.wait(Duration::from_secs(1));
    assert_eq!(closed(&stage.frame(link, broken), link), Some(ByeReason::Protocol));
}

// req: IDN-45, IDN-46
#[test]
fn a_card_from_far_ahead_replaces_only_if_its_owner_shows_it() {
    const HOUR_MS: u64 = 3_600_000;
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let held = |stage: &Stage, puppet: &Puppet| {
        let contact = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
        Card::parse(contact.card.as_deref().expect("a card")).expect("valid").seq()
    };
    let passed = |stage: &mut Stage, puppet: &mut Puppet, seq: u64| {
        let card = puppet.card(seq, true).into_bytes();
        let message = puppet.message(stage.person.identity(), Body::Card { card });
        let envelope = puppet.seal(&stage.person, &message);
        stage.hand_over(link, envelope.as_bytes());
    };
    assert_eq!(held(&stage, &puppet), START_MS);
    passed(&mut stage, &mut puppet, START_MS + 49 * HOUR_MS);
    assert_eq!(held(&stage, &puppet), START_MS);
    let card = puppet.card(START_MS + 49 * HOUR_MS, true).into_bytes();
    let import = Command::ImportCard { card, name: String::new() };
    assert_eq!(stage.person.command(import, stage.now).0, Err(CommandError::CardAhead));
    assert_eq!(held(&stage, &puppet), START_MS);
    passed(&mut stage, &mut puppet, START_MS + 47 * HOUR_MS);
    assert_eq!(held(&stage, &puppet), START_MS + 47 * HOUR_MS);
    passed(&mut stage, &mut puppet, START_MS + 1);
    assert_eq!(held(&stage, &puppet), START_MS + 47 * HOUR_MS, "older than the one at hand");
    stage.frame(link, puppet.card_frame(START_MS + 9999 * HOUR_MS));
    assert_eq!(held(&stage, &puppet), START_MS + 9999 * HOUR_MS, "the owner means it");
    stage.wait(Duration::from_secs(2));
    stage.frame(link, puppet.card_frame(START_MS + 9998 * HOUR_MS));
    assert_eq!(held(&stage, &puppet), START_MS + 9999 * HOUR_MS);
}

// req: IDN-44
#[test]
fn a_new_name_makes_new_cards_with_a_higher_sequence_even_if_the_clock_went_back() {
    let puppet = Puppet::new(1);
    let (mut stage, _) = Stage::with_contact(&puppet);
    let before = stage.person.mesh.own_contact_card().expect("cards").seq();
    stage.person.clock_offset_ms = -1_000_000_000;
    let (outcome, actions) =
        stage.person.command(Command::SetOwnName { name: "Alice B.".into() }, stage.now);
    outcome.expect("a good name");
    let shown = cards(&actions);
    assert_eq!(shown.len(), 1, "contacts who are linked see it at once");
    assert_eq!((shown[0].name(), shown[0].seq()), ("Alice B.", before + 1));
    stage.person.config.name = "Alice B.".into();
    stage.person.restart();
    stage.feed(Input::Started);
    assert_eq!(stage.person.mesh.own_contact_card().expect("cards").seq(), before + 1);
}

// req: IDN-44
#[test]
fn whatever_a_card_says_a_new_one_is_made_when_that_has_changed() {
    let mut stage = Stage::new();
    let seq = |stage: &Stage| stage.person.mesh.own_contact_card().expect("cards").seq();
    assert_eq!(seq(&stage), START_MS);
    stage.person.restart();
    stage.feed(Input::Started);
    assert_eq!(seq(&stage), START_MS, "nothing new");
    let changes: [fn(&mut Keyring, &mut Seeded); 5] = [
        |keys, random| keys.sealing[0].secret = SealingSecret::from_seed(random.bytes()),
        |keys, random| keys.intro_mailbox = MailboxSecret::from_seed(random.bytes()),
        |keys, random| keys.contact_mailbox = MailboxSecret::from_seed(random.bytes()),
        |keys, random| keys.deposit_key = random.bytes(),
        |keys, random| keys.contact_read_key = random.bytes(),
    ];
    for (i, change) in (1..).zip(changes) {
        stage.person.rekey(change);
        stage.feed(Input::Started);
        assert_eq!(seq(&stage), START_MS + i);
    }
}

#[test]
fn a_card_from_a_file_makes_a_contact_that_can_be_written_to() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let card = puppet.card(START_MS, true).into_bytes();
    let import = |card: Vec<u8>| Command::ImportCard { card, name: String::new() };
    let (outcome, _) = stage.person.command(import(card), stage.now);
    outcome.expect("a good card");
    let contact = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
    assert_eq!(contact.name, "the puppet");
    stage.send_text(&puppet, "sealed before we ever met");
    let link = stage.introduce(&puppet);
    let _ = link;
    let intro = puppet.card(START_MS, false).into_bytes();
    let (outcome, _) = stage.person.command(import(intro), stage.now);
    assert!(matches!(outcome, Err(CommandError::Card(_))));
    let (outcome, _) = stage.person.command(import(vec![1, 2, 3]), stage.now);
    assert!(matches!(outcome, Err(CommandError::Card(_))));
    let old = puppet.card(START_MS - 5, true).into_bytes();
    let (outcome, _) = stage.person.command(import(old), stage.now);
    assert_eq!(outcome, Err(CommandError::CardOutdated));
}

#[test]
fn a_message_waits_visibly_until_a_card_comes() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    assert!(handed(&stage.send_text(&puppet, "no key yet")).is_empty());
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, Frame::Pull);
    assert_eq!(handed(&stage.frame(link, puppet.card_frame(START_MS))).len(), 1);
}
