//! How people who do not know each other become contacts.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use tortalk_keys::Signature;
use tortalk_keys::card::Card;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{
    Command, CommandError, ContactRequest, DeliveryState, Event, Evidence, LinkId, Read as _,
    RequestSource, Standing,
};
use tortalk_model::envelope::Envelope;
use tortalk_model::{IdentityKey, MessageId};
use tortalk_seal::{Body, ReceiptKind, SignedMessage};
use tortalk_wire::{Ack, AckResult, Frame, RefusalReason};

use crate::person::{Person, START_MS};
use crate::puppet::{Puppet, Stage, handed, refused};
use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn add(identity: IdentityKey, text: &str) -> Command {
    Command::AddContact { identity, name: String::new(), invite: None, text: text.to_owned() }
}

/// Two who are linked and have never heard of each other.
fn strangers() -> World {
    let mut world = World::new(&["alice", "bob"]);
    world.connect(0, 1);
    world.run();
    world
}

fn asked(person: &Person) -> Vec<ContactRequest> {
    person.store.requests().expect("readable")
}

/// The request that a person made last.
fn request_of(world: &World, from: usize, to: usize) -> MessageId {
    let contact = world.people[from].mesh.contact(&world.identity(to)).expect("a contact");
    contact.requested.expect("it was made")
}

fn accept(world: &mut World, person: usize, whom: usize) {
    let identity = world.identity(whom);
    let accept = Command::AcceptRequest { identity, name: String::new() };
    world.command(person, accept).expect("an open request");
    world.run();
}

fn texts_pass(world: &mut World) {
    let (there, back) = (world.send(0, 1, "there"), world.send(1, 0, "and back"));
    world.run();
    assert_eq!(world.state(0, &there), DeliveryState::Delivered);
    assert_eq!(world.state(1, &back), DeliveryState::Delivered);
}

// req: REQ-01, REQ-07, REQ-19, REQ-20, REQ-33, DLV-07
#[test]
fn who_is_added_is_asked_and_the_acceptance_is_the_receipt() {
    for text in ["we met on the ferry", ""] {
        let mut world = strangers();
        let bob = world.identity(1);
        world.command(0, add(bob, text)).expect("a new contact");
        world.run();
        let id = request_of(&world, 0, 1);
        assert_eq!(world.state(0, &id), DeliveryState::Handed { peers: 1 }, "{text}");
        // Whatever happens to the process, the question stays.
        world.restart(1);
        let open = asked(&world.people[1]);
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].name.as_str(), open[0].text.as_str()), ("alice", text));
        assert_eq!(Card::parse(&open[0].card).expect("checked").identity(), world.identity(0));
        assert!(world.people[1].mesh.contact(&world.identity(0)).is_none());
        world.connect(0, 1);
        world.run();
        assert_eq!(world.state(0, &id), DeliveryState::Handed { peers: 1 }, "no receipt by itself");
        accept(&mut world, 1, 0);
        assert_eq!(world.state(0, &id), DeliveryState::Delivered);
        assert!(asked(&world.people[1]).is_empty());
        proves_acceptance(&world, &id);
        texts_pass(&mut world);
        let first = world.people[1].store.incoming(&id).expect("readable").expect("kept");
        assert!(matches!(first.body, Body::ContactRequest { text: said, .. } if said == text));
        // Nothing is left to be done for either.
        world.restart(0);
        assert!(held(&world, 0).is_empty() && held(&world, 1).is_empty());
    }
}

/// The evidence is the other's signed acceptance.
fn proves_acceptance(world: &World, id: &MessageId) {
    let message = world.people[0].store.outgoing(id).expect("readable").expect("ours");
    let proof = message.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Receipt { kind: ReceiptKind::Delivered, proof, .. } => Some(proof),
        _ => None,
    });
    let (bytes, signature) = proof.expect("a receipt").split_last_chunk::<64>().expect("signed");
    let signature = Signature::from_bytes(*signature);
    let accept = SignedMessage::from_stored(bytes.to_vec(), signature).expect("it verifies");
    assert_eq!(accept.fields().sender, world.identity(1));
    let named =
        matches!(accept.fields().body, Body::ContactAccept { request, .. } if request == *id);
    assert!(named, "the accept of this request");
}

/// Envelopes that a person holds for the other.
fn held(world: &World, person: usize) -> Vec<Envelope> {
    let store = &world.people[person].store;
    let ids = store.pending_for(&world.identity(1 - person), None, 99).expect("readable");
    let held = ids.iter().filter_map(|id| store.envelope(id).expect("readable"));
    held.map(|held| held.envelope).collect()
}

// req: REQ-03, REQ-04, REQ-05, REQ-06, REQ-08
#[test]
fn a_request_is_strangers_mail_until_there_is_another_way() {
    let mut world = strangers();
    world.cut_all();
    let (bob, bobs_intro) = (world.identity(1), world.people[1].keyring.intro_mailbox.public());
    world.command(0, add(bob, "hello?")).expect("a new contact");
    let id = request_of(&world, 0, 1);
    assert_eq!(world.state(0, &id), DeliveryState::WaitingForKey);
    // Linked for a moment: Bob's card for strangers is seen, and no more.
    world.connect(0, 1);
    world.run_until(|world| world.state(0, &id) != DeliveryState::WaitingForKey);
    world.cut_all();
    let store = &world.people[0].store;
    let message = store.outgoing(&id).expect("readable").expect("ours");
    let envelope_id = message.envelope_id.expect("it is sealed");
    let first = store.envelope(&envelope_id).expect("readable").expect("held");
    assert_eq!(first.envelope.header().mailbox, bobs_intro);
    assert_eq!((first.ttl, first.stamp.len()), (0, 0));
    // It is tried again like any message.
    assert!(message.next_try.is_some());
    // Bob's card comes as a file.
    let card = world.people[1].mesh.own_contact_card().expect("a card").as_bytes().to_vec();
    world.command(0, Command::ImportCard { card, name: String::new() }).expect("his card");
    let message = world.people[0].store.outgoing(&id).expect("readable").expect("ours");
    let envelope_id = message.envelope_id.expect("it is sealed");
    let second = world.people[0].store.envelope(&envelope_id).expect("readable").expect("held");
    let bobs_contact = world.people[1].keyring.contact_mailbox.public();
    assert_eq!(second.envelope.header().mailbox, bobs_contact);
    assert!(second.ttl >= 2 && second.stamp.len() == 16);
    assert_eq!(world.people[0].store.envelope(&first.envelope.id()).expect("readable"), None);
    // Once Bob has added Alice it is delivered as her words.
    let alice = world.identity(0);
    world.command(1, add(alice, "")).expect("a contact");
    world.connect(0, 1);
    world.run();
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
    texts_pass(&mut world);
}

// req: REQ-05, REQ-08
#[test]
fn a_request_goes_to_its_addressee_alone_however_often_it_is_tried() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    world.befriend(0, 2);
    world.connect(0, 2);
    world.connect(0, 1);
    world.run();
    let bob = world.identity(1);
    world.command(0, add(bob, "hello")).expect("a new contact");
    world.run();
    let id = request_of(&world, 0, 1);
    world.cut_all();
    world.connect(0, 2);
    for _ in 0..3 {
        world.advance(Duration::from_secs(7 * 3600));
        let message = world.people[0].store.outgoing(&id).expect("readable").expect("ours");
        let held = world.people[0].store.envelope(&message.envelope_id.expect("sealed"));
        assert_eq!(held.expect("readable").expect("held").ttl, 0);
        assert_eq!(world.state(0, &id), DeliveryState::Handed { peers: 1 });
    }
    let message = world.people[0].store.outgoing(&id).expect("readable").expect("ours");
    assert!(message.attempts >= 2, "it is tried like any message");
}

// req: REQ-02
#[test]
fn one_request_is_open_and_a_new_text_takes_the_place_of_the_old() {
    let mut world = strangers();
    let bob = world.identity(1);
    world.command(0, add(bob, "")).expect("a new contact");
    world.run();
    let first = request_of(&world, 0, 1);
    world.command(0, add(bob, "")).expect("a contact");
    world.run();
    assert_eq!(request_of(&world, 0, 1), first);
    world.advance(Duration::from_secs(60));
    world.command(0, add(bob, "it is me")).expect("a contact");
    world.run();
    let second = request_of(&world, 0, 1);
    assert_eq!(world.state(0, &first), DeliveryState::Cancelled);
    let open = asked(&world.people[1]);
    assert_eq!((open.len(), open[0].text.as_str()), (1, "it is me"));
    accept(&mut world, 1, 0);
    assert_eq!(world.state(0, &second), DeliveryState::Delivered);
}

// req: REQ-24
#[test]
fn two_who_ask_each_other_both_accept() {
    let mut world = strangers();
    let (alice, bob) = (world.identity(0), world.identity(1));
    world.command(0, add(bob, "hello bob")).expect("a new contact");
    world.command(1, add(alice, "hello alice")).expect("a new contact");
    world.run();
    for (from, to) in [(0, 1), (1, 0)] {
        let contact = world.people[from].mesh.contact(&world.identity(to)).expect("a contact");
        assert!(contact.card.is_some());
        assert!(asked(&world.people[from]).is_empty());
    }
    texts_pass(&mut world);
}

// req: REQ-24
#[test]
fn a_contact_that_lost_everything_gets_our_card_for_asking() {
    let mut puppet = Puppet::new(1);
    let (mut stage, _) = Stage::with_contact(&puppet);
    // Reinstalled: nobody is its contact, so it proves no contact mailbox to us.
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, Frame::Pull);
    let request = puppet.request(&stage.person, "it is me again", START_MS);
    let envelope = puppet.seal_for_intro(&stage.person, &request);
    let answers = handed(&stage.frame(link, crate::puppet::msg(&envelope)));
    let own = stage.person.mesh.own_contact_card().expect("a card").as_bytes().to_vec();
    let bodies: Vec<Body> = answers.iter().map(|(msg, _)| puppet.open(msg)).collect();
    let accept = Body::ContactAccept { request: request.message_id(), card: own };
    assert!(bodies.contains(&accept), "{bodies:?}");
}

/// Hands over a message in the mailbox for strangers.
fn bring(stage: &mut Stage, link: LinkId, puppet: &mut Puppet, message: &SignedMessage) -> Ack {
    let envelope = puppet.seal_for_intro(&stage.person, message);
    stage.hand_over(link, envelope.as_bytes())
}

// req: REQ-11, REQ-12, REQ-13, GSP-26
#[test]
fn a_stranger_can_ask_and_nothing_else() {
    let (mut puppet, mut other) = (Puppet::new(1), Puppet::new(2));
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let me = stage.person.identity();
    let card = puppet.card(START_MS, true).into_bytes();
    let not_for_me = refused(RefusalReason::NotForMe);
    for body in [
        Body::Text("buy this".into()),
        Body::ContactAccept { request: MessageId::from_bytes([1; 32]), card: card.clone() },
        Body::Card { card: card.clone() },
        Body::Receipt(vec![tortalk_seal::ReceiptEntry {
            message_id: MessageId::from_bytes([1; 32]),
            signed_hash: tortalk_model::SignedHash::from_bytes([1; 32]),
            kind: ReceiptKind::Delivered,
        }]),
    ] {
        let message = puppet.message(me, body);
        assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, not_for_me);
    }
    stage.wait(Duration::from_secs(2));
    // A card for strangers, somebody else's, and none at all.
    let intro = puppet.card(START_MS, false).into_bytes();
    let others = other.card(START_MS, true).into_bytes();
    for card in [intro, others, vec![7; 100]] {
        let message = puppet.message(me, Body::ContactRequest { card, text: String::new() });
        let ack = bring(&mut stage, link, &mut puppet, &message);
        assert_eq!(ack.result, refused(RefusalReason::Malformed));
    }
    stage.wait(Duration::from_secs(2));
    // Somebody else's request, however good, is theirs to bring.
    let message = other.request(&stage.person, "for you", START_MS);
    assert_eq!(bring(&mut stage, link, &mut other, &message).result, not_for_me);
    // The mailbox of contacts is closed to it, whoever brings it.
    let contact = Puppet::new(3);
    stage.add(&contact);
    let contacts_link = stage.introduce(&contact);
    let message = other.request(&stage.person, "hello", START_MS);
    let envelope = other.seal(&stage.person, &message);
    assert_eq!(stage.hand_over(contacts_link, envelope.as_bytes()).result, not_for_me);
    assert!(asked(&stage.person).is_empty());
    // After all that an honest one comes in.
    let message = puppet.request(&stage.person, "hello", START_MS);
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Stored);
    assert_eq!(asked(&stage.person).len(), 1);
}

// req: REQ-14, REQ-15, REQ-16
#[test]
fn a_newer_request_replaces_and_an_older_one_changes_nothing() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let say = |puppet: &mut Puppet, stage: &mut Stage, text, at| {
        let message = puppet.request(&stage.person, text, at);
        bring(stage, link, puppet, &message).result
    };
    assert_eq!(say(&mut puppet, &mut stage, "second", START_MS + 2), AckResult::Stored);
    assert_eq!(say(&mut puppet, &mut stage, "first", START_MS + 1), AckResult::Duplicate);
    assert_eq!(asked(&stage.person)[0].text, "second");
    let quota = refused(RefusalReason::Quota);
    assert_eq!(say(&mut puppet, &mut stage, "third", START_MS + 3), quota, "too soon");
    stage.wait(Duration::from_secs(60));
    assert_eq!(say(&mut puppet, &mut stage, "third", START_MS + 3), AckResult::Stored);
    let open = asked(&stage.person);
    assert_eq!((open.len(), open[0].text.as_str()), (1, "third"));
    // The same message in another envelope is the same request.
    stage.wait(Duration::from_secs(60));
    let message = puppet.request(&stage.person, "fourth", START_MS + 4);
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Stored);
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Duplicate);
    let told = stage.person.events.iter().filter(|e| matches!(e, Event::ContactRequest(_)));
    assert_eq!(told.count(), 3);
}

fn stranger_asks(stage: &mut Stage, seed: u64, address: IpAddr) -> AckResult {
    let mut puppet = Puppet::new(seed);
    let link = stage.link_from(&puppet, address);
    let message = puppet.request(&stage.person, "hello", START_MS);
    let ack = bring(stage, link, &mut puppet, &message);
    if ack.result != AckResult::Stored {
        assert_eq!(ack.retry_after_s, 3600);
    }
    stage.feed(tortalk_mesh::Input::LinkDown { link });
    stage.wait(Duration::from_secs(1));
    ack.result
}

// req: REQ-16, REQ-17
#[test]
fn strangers_have_thirty_two_places_and_an_address_two_of_them() {
    let mut stage = Stage::new();
    let quota = refused(RefusalReason::Quota);
    let address = |n: u8| IpAddr::from(Ipv4Addr::new(192, 0, 2, n));
    assert_eq!(stranger_asks(&mut stage, 1, address(1)), AckResult::Stored);
    assert_eq!(stranger_asks(&mut stage, 2, address(1)), AckResult::Stored);
    assert_eq!(stranger_asks(&mut stage, 3, address(1)), quota);
    // The same address written as one of version 6.
    let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into();
    assert_eq!(stranger_asks(&mut stage, 3, mapped), quota);
    for n in 2..=16 {
        let seed = u64::from(n) * 10;
        assert_eq!(stranger_asks(&mut stage, seed, address(n)), AckResult::Stored);
        assert_eq!(stranger_asks(&mut stage, seed + 1, address(n)), AckResult::Stored);
    }
    assert_eq!(asked(&stage.person).len(), 32);
    assert_eq!(stranger_asks(&mut stage, 999, address(99)), quota);
    // Who has a place keeps it for what is newer; the machine may start anew.
    stage.wait(Duration::from_secs(60));
    stage.person.rebuild();
    stage.feed(tortalk_mesh::Input::Started);
    let mut first = Puppet::new(1);
    let link = stage.link_from(&first, address(1));
    let message = first.request(&stage.person, "once more", START_MS + 1);
    assert_eq!(bring(&mut stage, link, &mut first, &message).result, AckResult::Stored);
    assert_eq!(stranger_asks(&mut stage, 999, address(99)), quota);
    // A decision makes room.
    let decline = Command::DeclineRequest { identity: first.identity.public() };
    stage.person.command(decline, stage.now).0.expect("an open request");
    assert_eq!(stranger_asks(&mut stage, 999, address(99)), AckResult::Stored);
    let sources = asked(&stage.person);
    assert_eq!(sources.last().expect("the newest").source, RequestSource::Address(address(99)));
}

// req: REQ-22
#[test]
fn a_declined_request_is_forgotten_and_does_not_come_back() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let message = puppet.request(&stage.person, "hello", START_MS);
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Stored);
    let identity = puppet.identity.public();
    stage.person.command(Command::DeclineRequest { identity }, stage.now).0.expect("one is open");
    assert!(asked(&stage.person).is_empty());
    assert!(stage.person.store.contacts().expect("readable").is_empty());
    // Sealed again, now and long after, by a requester that knows of nothing.
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Duplicate);
    stage.person.restart();
    stage.feed(tortalk_mesh::Input::Started);
    for _ in 0..80 {
        stage.wait(DAY);
    }
    let (link, _) = stage.link(&puppet, Role::Responder);
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Duplicate);
    for _ in 0..14 {
        stage.wait(DAY);
    }
    assert!(!stage.person.store.declined(&message.message_id()).expect("readable"));
    // Another question is another question.
    let again = puppet.request(&stage.person, "please", START_MS + 1);
    assert_eq!(bring(&mut stage, link, &mut puppet, &again).result, AckResult::Stored);
    let nobody = Command::DeclineRequest { identity: Puppet::new(5).identity.public() };
    let refused = stage.person.command(nobody, stage.now).0;
    assert_eq!(refused, Err(CommandError::NoSuchRequest));
}

// req: REQ-23
#[test]
fn a_question_that_nobody_answers_is_forgotten_after_ninety_days() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let message = puppet.request(&stage.person, "hello", START_MS);
    bring(&mut stage, link, &mut puppet, &message);
    for _ in 0..90 {
        stage.wait(DAY);
        assert_eq!(asked(&stage.person).len(), 1);
    }
    stage.wait(DAY);
    assert!(asked(&stage.person).is_empty());
}

// req: REQ-09
#[test]
fn who_is_blocked_cannot_ask_contact_or_not() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let message = puppet.request(&stage.person, "hello", START_MS);
    bring(&mut stage, link, &mut puppet, &message);
    let identity = puppet.identity.public();
    let block = |blocked| Command::SetBlocked { identity, blocked };
    stage.person.command(block(true), stage.now).0.expect("anybody can be blocked");
    assert!(asked(&stage.person).is_empty());
    let contact = stage.person.mesh.contact(&identity).expect("known as blocked");
    assert_eq!(contact.standing, Standing::Unwanted);
    assert!(identity.to_string().starts_with(&contact.name), "not by a name of their choice");
    // Not even a link comes about; and of one that is blocked on it nothing is taken.
    stage.person.rebuild();
    stage.feed(tortalk_mesh::Input::Started);
    let (link, actions) = stage.link(&puppet, Role::Responder);
    assert!(crate::puppet::dropped(&actions, link));
    let text = Command::SendText { to: identity, text: "x".into() };
    assert_eq!(stage.person.command(text, stage.now).0, Err(CommandError::NotAContact));
    // Let in again they are a stranger as before, who may ask.
    stage.person.command(block(false), stage.now).0.expect("it is undone");
    assert!(stage.person.store.contacts().expect("readable").is_empty());
    let (link, _) = stage.link(&puppet, Role::Responder);
    let message = puppet.request(&stage.person, "sorry", START_MS + 1);
    assert_eq!(bring(&mut stage, link, &mut puppet, &message).result, AckResult::Stored);
    let stranger = Command::SetBlocked { identity: stage.person.identity(), blocked: true };
    assert_eq!(stage.person.command(stranger, stage.now).0, Err(CommandError::Yourself));
}

// req: REQ-09
#[test]
fn a_blocked_persons_request_in_somebody_elses_hands_is_refused() {
    // Blocked people have no link; a link with another identity is all they have.
    let (mut blocked, friend) = (Puppet::new(1), Puppet::new(2));
    let mut stage = Stage::new();
    stage.add(&friend);
    let link = stage.introduce(&friend);
    let identity = blocked.identity.public();
    let block = Command::SetBlocked { identity, blocked: true };
    stage.person.command(block, stage.now).0.expect("anybody can be blocked");
    let message = blocked.request(&stage.person, "hello", START_MS);
    let ack = bring(&mut stage, link, &mut blocked, &message);
    assert_eq!(ack.result, refused(RefusalReason::NotForMe));
}

// req: REQ-19
#[test]
fn a_receipt_before_the_decision_is_for_those_who_switched_it_on() {
    let mut world = strangers();
    world.people[1].set_request_receipts(true);
    world.restart(1);
    world.connect(0, 1);
    world.run();
    let bob = world.identity(1);
    world.command(0, add(bob, "hello")).expect("a new contact");
    world.run();
    let id = request_of(&world, 0, 1);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
    assert_eq!(asked(&world.people[1]).len(), 1, "and it waits for its answer");
    accept(&mut world, 1, 0);
    texts_pass(&mut world);
}

#[test]
fn adding_somebody_who_asks_is_accepting_and_the_words_go_along() {
    let mut world = strangers();
    let (alice, bob) = (world.identity(0), world.identity(1));
    world.command(0, add(bob, "hello")).expect("a new contact");
    world.run();
    world.command(1, add(alice, "hello yourself")).expect("accepted");
    world.run();
    assert_eq!(world.state(0, &request_of_stored(&world)), DeliveryState::Delivered);
    assert_eq!(world.people[0].received(), ["hello yourself"]);
    let long = "x".repeat(1025);
    let refused = world.command(0, add(bob, &long));
    assert_eq!(refused, Err(CommandError::RequestTooLong { len: 1025, limit: 1024 }));
    let identity = bob;
    let nobody = Command::AcceptRequest { identity, name: String::new() };
    assert_eq!(world.command(0, nobody), Err(CommandError::NoSuchRequest));
}

/// The one request in Alice's history.
fn request_of_stored(world: &World) -> MessageId {
    let history = world.people[0].store.history(None, None, 99).expect("readable");
    let request = history.iter().find(|e| matches!(e.body, Body::ContactRequest { .. }));
    request.expect("it is shown").message_id
}
