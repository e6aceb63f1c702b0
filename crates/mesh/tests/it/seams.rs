//! Where carrying, relays, requests and removal meet.

use core::time::Duration;

use tortalk_keys::MailboxSecret;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, DeliveryState, Event, Evidence, Input, LinkId, Read, RetiredMailbox};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::{EnvelopeId, MessageId, UnixMillis};
use tortalk_seal::{Body, ResendRequest};
use tortalk_wire::{AckResult, Frame, RefusalReason};

use crate::carrying::{foreign, handed_on, with_ttl};
use crate::person::{Person, START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, ack, as_frame, handed, msg, proofs_of, refused};
use crate::relay_net::Net;
use crate::relays_first_contact::ask;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn held_by(person: &Person, id: &MessageId) -> Option<EnvelopeId> {
    person.store.outgoing(id).expect("readable").expect("ours").envelope_id
}

fn holds_for(person: &Person, other: &Puppet) -> usize {
    person.store.pending_for(&other.identity.public(), None, 9999).expect("readable").len()
}

/// Bob gets other secrets, as when he has removed somebody.
fn renew(net: &mut Net, person: usize) {
    let renewed = net.world.people[person].rotated(|keys, random| {
        let new = MailboxSecret::from_seed(random.bytes());
        let secret = core::mem::replace(&mut keys.contact_mailbox, new);
        let until = UnixMillis(START_MS + 6 * WEEK_MS);
        keys.retired_mailboxes.push(RetiredMailbox { secret, until });
        keys.deposit_key = random.bytes();
        keys.contact_read_key = random.bytes();
    });
    net.world.feed(person, vec![renewed]);
    net.run();
}

// req: REQ-27, RLC-02
#[test]
fn those_who_stay_learn_the_relays_of_the_new_mailbox_too() {
    let mut net = Net::pair([&[1], &[0]], 2);
    renew(&mut net, 1);
    net.advance(5 * SECOND);
    let new = net.world.people[1].keyring.contact_mailbox.public();
    let id = net.world.send(0, 1, "where to?");
    net.run();
    assert_eq!(net.world.people[1].received(), ["where to?"]);
    assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
    let held = net.world.people[0].mesh.contact(&net.world.identity(1)).expect("a contact");
    let card = tortalk_keys::card::Card::parse(held.card.as_deref().expect("one")).expect("good");
    assert_eq!(card.contact_mailbox(), Some(new));
    assert_eq!(card.contact().expect("for contacts").relays, [net.relays[0].address.clone()]);
}

// req: REQ-27
#[test]
fn contacts_who_are_away_learn_that_the_relays_are_others() {
    let mut net = Net::pair([&[2], &[0]], 3);
    net.world.people[1].config.relays = vec![net.relays[1].address.clone()];
    net.restart(1);
    net.advance(5 * SECOND);
    net.world.send(0, 1, "to the new relay");
    net.run();
    assert_eq!(net.world.people[1].received(), ["to the new relay"]);
}

// req: RLC-13
#[test]
fn what_waits_for_an_old_relay_goes_to_the_one_in_the_newer_card() {
    let mut net = Net::pair([&[], &[0]], 2);
    net.relays[0].manners.unreachable = true;
    net.break_connections(0);
    net.world.send(0, 1, "wherever you are");
    net.run();
    net.world.people[1].config.relays = vec![net.relays[1].address.clone()];
    net.restart(1);
    net.introduce(0, 1);
    net.run();
    assert_eq!(net.world.people[1].received(), ["wherever you are"]);
    net.relays[0].manners.unreachable = false;
    net.connect_again();
    net.advance(120 * SECOND);
    assert!(net.relays[0].left.is_empty(), "Bob is not there any more");
}

// req: REQ-33
#[test]
fn a_request_that_was_tried_again_leaves_nothing_behind_when_it_is_accepted() {
    let mut world = World::new(&["alice", "bob"]);
    world.connect(0, 1);
    world.run();
    let (alice, bob) = (world.identity(0), world.identity(1));
    let add = |identity, text: &str| Command::AddContact {
        identity,
        name: String::new(),
        invite: None,
        text: text.to_owned(),
    };
    world.command(0, add(bob, "we met")).expect("a new contact");
    world.run();
    world.advance(2 * HOUR);
    let id = world.people[0].mesh.contact(&bob).expect("a contact").requested.expect("asked");
    let message = world.people[0].store.outgoing(&id).expect("readable").expect("ours");
    assert!(message.attempts > 0);
    world.cut_all();
    let accept = Command::AcceptRequest { identity: alice, name: String::new() };
    world.command(1, accept).expect("an open request");
    // The accept comes in somebody's hands, with no card before it.
    let ids = world.people[1].store.pending_for(&alice, None, 9).expect("readable");
    let held = world.people[1].store.envelope(&ids[0]).expect("readable").expect("held");
    let carrier = Puppet::new(7);
    let mut stage = Stage { person: world.people.remove(0), now: world.now, next_link: 1000 };
    stage.add(&carrier);
    let link = stage.introduce(&carrier);
    assert_eq!(stage.hand_over(link, held.envelope.as_bytes()).result, AckResult::Stored);
    let message = stage.person.store.outgoing(&id).expect("readable").expect("ours");
    assert_eq!(DeliveryState::of(&message), DeliveryState::Delivered);
    let left = stage.person.store.pending_for(&bob, None, 9).expect("readable");
    let held = left.iter().filter_map(|id| stage.person.store.envelope(id).expect("readable"));
    let of_request = held.filter(|held| held.purpose == tortalk_mesh::Purpose::Message(id));
    assert_eq!(of_request.count(), 0, "it is answered");
}

// req: REQ-33
#[test]
fn an_accept_does_not_confirm_words_that_never_left() {
    let mut world = World::new(&["alice", "bob"]);
    world.connect(0, 1);
    world.run();
    let (alice, bob) = (world.identity(0), world.identity(1));
    let add = |text: &str| Command::AddContact {
        identity: bob,
        name: String::new(),
        invite: None,
        text: text.to_owned(),
    };
    world.command(0, add("hello")).expect("a new contact");
    world.run();
    world.cut_all();
    world.advance(SECOND);
    world.command(0, add("it is me, from the ferry")).expect("a contact");
    let second = world.people[0].mesh.contact(&bob).expect("a contact").requested.expect("asked");
    let accept = Command::AcceptRequest { identity: alice, name: String::new() };
    world.command(1, accept).expect("an open request");
    // The accept of the first comes by relay or carrier, before any card.
    let ids = world.people[1].store.pending_for(&alice, None, 9).expect("readable");
    let held = world.people[1].store.envelope(&ids[0]).expect("readable").expect("held");
    let carrier = Puppet::new(7);
    let bobs = world.people.pop().expect("bob");
    let mut stage = Stage { person: world.people.remove(0), now: world.now, next_link: 1000 };
    stage.add(&carrier);
    let link = stage.introduce(&carrier);
    assert_eq!(stage.hand_over(link, held.envelope.as_bytes()).result, AckResult::Stored);
    assert!(bobs.store.incoming(&second).expect("readable").is_none());
    let message = stage.person.store.outgoing(&second).expect("readable").expect("ours");
    assert_ne!(DeliveryState::of(&message), DeliveryState::Delivered);
    let id = message.envelope_id.expect("it is sealed");
    assert!(stage.person.store.holds(&id).expect("readable"), "and goes on its way");
}

// req: REQ-33, RLC-20
#[test]
fn an_accept_confirms_the_request_that_it_names_and_no_other() {
    let mut net = Net::new(&[("alice", &[0]), ("bob", &[1])], 2);
    let (alice, bob) = (net.world.identity(0), net.world.identity(1));
    let requested = |net: &Net| {
        net.world.people[0].mesh.contact(&bob).expect("a contact").requested.expect("asked")
    };
    ask(&mut net, 0, 1, "hello");
    net.run();
    let first = requested(&net);
    // Bob has read that; the next words wait at his relay.
    net.leave(1);
    ask(&mut net, 0, 1, "it is me, from the ferry");
    net.run();
    let second = requested(&net);
    assert_eq!(net.world.state(0, &second), DeliveryState::AtRelay);
    let accept = Command::AcceptRequest { identity: alice, name: String::new() };
    net.world.command(1, accept).expect("an open request");
    let store = &net.world.people[1].store;
    let ids = store.pending_for(&alice, None, 9).expect("readable");
    let accept = store.envelope(&ids[0]).expect("readable").expect("held").envelope;
    net.relays[0].plant(accept.header().mailbox, accept.as_bytes().to_vec());
    net.run();
    assert!(net.world.people[0].mesh.contact(&bob).expect("a contact").card.is_some(), "it came");
    assert_eq!(net.world.state(0, &second), DeliveryState::AtRelay, "Bob has not seen it");
    net.advance(5 * SECOND);
    net.come_back(1);
    net.run();
    assert_eq!(net.world.state(0, &second), DeliveryState::Delivered);
    let heard =
        |event: &&Event| matches!(event, Event::Received(message) if message.message_id == second);
    assert_eq!(net.world.people[1].events.iter().filter(heard).count(), 1);
    let names_it = match proof_of(&net, &second) {
        Body::ContactAccept { request, .. } => request == second,
        Body::Receipt(entries) => entries.iter().any(|entry| entry.message_id == second),
        _ => false,
    };
    assert!(names_it, "the evidence is about these words");
    assert_eq!(net.world.state(0, &first), DeliveryState::Cancelled);
}

/// What the recipient signed that says a message of Alice's has arrived.
fn proof_of(net: &Net, id: &MessageId) -> Body {
    let message = net.world.people[0].store.outgoing(id).expect("readable").expect("ours");
    let proof = message.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Receipt { proof, .. } => Some(proof),
        _ => None,
    });
    let (bytes, signature) = proof.expect("a receipt").split_last_chunk::<64>().expect("signed");
    let signature = tortalk_keys::Signature::from_bytes(*signature);
    let signed = tortalk_seal::SignedMessage::from_stored(bytes.to_vec(), signature);
    signed.expect("it verifies").fields().body.clone()
}

// req: GSP-19
#[test]
fn sealing_again_puts_no_timed_try_off() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let sent = handed(&stage.send_text(&puppet, "are you there?"));
    stage.frame(link, ack(sent[0].1, AckResult::Stored));
    stage.feed(Input::LinkDown { link });
    stage.wait(61 * Duration::from_secs(60));
    // Another key: the message is sealed to it, and was acknowledged before.
    puppet.sealing = Puppet::new(2).sealing;
    let card = puppet.card(START_MS + 9, true).into_bytes();
    let import = Command::ImportCard { card, name: String::new() };
    stage.person.command(import, stage.now).0.expect("a newer card");
    let identity = puppet.identity.public();
    let history = stage.person.store.history(Some(&identity), None, 9).expect("readable");
    let id = history[0].message_id;
    assert_ne!(held_by(&stage.person, &id), Some(sent[0].1), "sealed again");
    let message = stage.person.store.outgoing(&id).expect("readable").expect("ours");
    let next = message.next_try.expect("it is tried again");
    assert!(next <= stage.now.wall.saturating_add(6 * HOUR), "{next:?}, now {:?}", stage.now.wall);
}

fn bring(stage: &mut Stage, link: LinkId, puppet: &mut Puppet, text: &str, at: u64) -> AckResult {
    let message = puppet.request(&stage.person, text, at);
    let envelope = puppet.seal_for_intro(&stage.person, &message);
    stage.hand_over(link, envelope.as_bytes()).result
}

// req: REQ-32
#[test]
fn a_stranger_who_asks_on_and_on_makes_us_hold_no_more() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.person.set_request_receipts(true);
    stage.person.rebuild();
    stage.feed(Input::Started);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, Frame::Pull);
    let mut stored = 0;
    for n in 0..1200 {
        let text = format!("{n}");
        stored += usize::from(
            bring(&mut stage, link, &mut puppet, &text, START_MS + n) == AckResult::Stored,
        );
        stage.wait(SECOND);
    }
    assert!((19..=21).contains(&stored), "{stored} in twenty minutes");
    assert!(holds_for(&stage.person, &puppet) <= 4);
    let quota = refused(RefusalReason::Quota);
    bring(&mut stage, link, &mut puppet, "and again", START_MS + 9998);
    assert_eq!(bring(&mut stage, link, &mut puppet, "again", START_MS + 9999), quota);
}

// req: RLC-10
#[test]
fn a_request_without_a_place_comes_in_when_there_is_one() {
    let mut net = Net::new(&[("bob", &[0])], 1);
    let intro = net.world.people[0].keyring.intro_mailbox.public();
    for n in 0..17 {
        let mut stranger = Puppet::new(100 + n);
        let bob = &net.world.people[0];
        let message = stranger.request(bob, "hello", START_MS);
        let envelope = stranger.seal_for_intro(bob, &message);
        net.relays[0].plant(intro, envelope.as_bytes().to_vec());
    }
    net.run();
    assert_eq!(net.world.people[0].mesh.requests().count(), 16);
    let who = net.world.people[0].mesh.requests().next().expect("a request").identity;
    net.world.command(0, Command::DeclineRequest { identity: who }).expect("a request");
    net.run();
    net.advance(2 * SECOND);
    assert_eq!(net.world.people[0].mesh.requests().count(), 16);
    assert!(net.world.people[0].store.unopened().expect("readable").is_empty());
}

// req: REQ-20
#[test]
fn the_card_of_somebody_who_asks_accepts_them() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, Frame::Pull);
    assert_eq!(bring(&mut stage, link, &mut puppet, "hello", START_MS), AckResult::Stored);
    let card = puppet.card(START_MS, true).into_bytes();
    let import = Command::ImportCard { card, name: String::new() };
    let (outcome, actions) = stage.person.command(import, stage.now);
    outcome.expect("a good card");
    assert_eq!(stage.person.mesh.requests().count(), 0);
    assert!(stage.person.store.requests().expect("readable").is_empty());
    let bodies: Vec<Body> = handed(&actions).iter().map(|(msg, _)| puppet.open(msg)).collect();
    assert!(matches!(bodies[..], [Body::ContactAccept { .. }]), "{bodies:?}");
}

// req: DLV-19
#[test]
fn who_asks_again_and_again_and_takes_nothing_makes_us_hold_one_answer() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for n in 0..3 {
        let sent = handed(&stage.send_text(&puppet, &format!("{n}")));
        stage.frame(link, ack(sent[0].1, AckResult::Stored));
        let envelope = tortalk_model::Envelope::parse(sent[0].0.envelope.to_vec()).expect("ours");
        let opened = tortalk_seal::open(&envelope, &puppet.sealing, &puppet.identity.public())
            .expect("good");
        let entry = tortalk_seal::ReceiptEntry {
            message_id: opened.message_id(),
            signed_hash: opened.signed_hash(),
            kind: tortalk_seal::ReceiptKind::Delivered,
        };
        let receipt = puppet.message(stage.person.identity(), Body::Receipt(vec![entry]));
        let envelope = puppet.seal(&stage.person, &receipt);
        stage.frame(link, msg(&envelope));
    }
    assert_eq!(holds_for(&stage.person, &puppet), 0);
    let chain_id =
        stage.person.mesh.contact(&puppet.identity.public()).expect("a contact").chain_id;
    for _ in 0..5 {
        let body = Body::ResendRequest(ResendRequest { chain_id, from: 1, to: 3 });
        let message = puppet.message(stage.person.identity(), body);
        let envelope = puppet.seal(&stage.person, &message);
        let sent = handed(&stage.frame(link, msg(&envelope)));
        assert!(
            sent.iter().filter(|(msg, _)| matches!(puppet.open(msg), Body::Text(_))).count() == 3
        );
        // The receipt of the question is taken, the answer is not.
        for (sent, id) in sent {
            if matches!(puppet.open(&sent), Body::Receipt(_)) {
                stage.frame(link, ack(id, AckResult::Stored));
            }
        }
        stage.wait(601 * SECOND);
    }
    assert_eq!(holds_for(&stage.person, &puppet), 3);
}

// req: CAR-09
#[test]
fn a_stranger_who_asks_is_given_nothing_that_is_carried() {
    let (giver, mut stranger) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, link) = Stage::with_contact(&giver);
    let (envelope, _) = foreign(1, START_MS + WEEK_MS);
    // It is for a mailbox that the stranger can prove.
    let text = stranger_mail(&mut stranger);
    stage.frame(link, with_ttl(&envelope, 2));
    stage.frame(link, with_ttl(&text, 2));
    let (link, _) = stage.link(&stranger, Role::Responder);
    stage.frame(link, proofs_of([&stranger.intro, &stranger.contact], Role::Initiator));
    stage.frame(link, stranger.hello());
    stage.frame(link, as_frame(&stranger.card(START_MS, false)));
    assert_eq!(bring(&mut stage, link, &mut stranger, "hello", START_MS), AckResult::Stored);
    let actions = stage.frame(link, Frame::Pull);
    assert!(handed_on(&actions, link).is_empty(), "it shows who is our contact");
}

/// An envelope of somebody for the puppet.
fn stranger_mail(puppet: &mut Puppet) -> tortalk_model::Envelope {
    let author = tortalk_keys::IdentitySecret::from_seed([0x33; 32]);
    let draft = tortalk_seal::Draft {
        audience: puppet.identity.public(),
        device_id: puppet.device_id,
        nonce: tortalk_model::Nonce::from_bytes([4; 16]),
        sent_at: UnixMillis(START_MS),
        chain_id: tortalk_model::ChainId::from_bytes([4; 8]),
        counter: 1,
        body: Body::Text("carried".into()),
    };
    let signed = tortalk_seal::SignedMessage::sign(&author, draft).expect("a text");
    let key = puppet.sealing.public();
    let recipient = tortalk_seal::Recipient { mailbox: puppet.contact.public(), key };
    let mut random = tortalk_testkit::Seeded::new(9);
    let sealed = tortalk_seal::seal(
        &signed,
        &recipient,
        UnixMillis(START_MS + WEEK_MS).ceil_to_hour(),
        &mut random,
    );
    sealed.expect("a good key").envelope
}

#[test]
fn no_secret_is_shown_for_debugging() {
    let puppet = Puppet::new(1);
    let (stage, _) = Stage::with_contact(&puppet);
    let contact = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
    // The card holds the deposit key and the read key.
    let shown = format!("{contact:?}");
    assert!(!shown.contains(&format!("{:?}", [1_u8; 32]).replace(['[', ']'], "")), "{shown}");
    let mut net = Net::new(&[("alice", &[0])], 1);
    let proof = net.relays[0].proofs.iter().find(|proof| proof.deposit_key.is_some());
    let shown = format!("{:?}", proof.expect("one for contacts"));
    let key = format!("{:?}", net.world.people[0].keyring.deposit_key);
    assert!(!shown.contains(&key), "{shown}");
    net.run();
}

// req: RLC-15
#[test]
fn one_contact_whose_relay_is_dead_does_not_hold_up_the_others() {
    let people: [(&str, &[usize]); 3] = [("alice", &[]), ("bob", &[0]), ("carol", &[1])];
    let mut net = Net::new(&people, 2);
    net.introduce(0, 1);
    net.introduce(0, 2);
    net.relays[0].manners.unreachable = true;
    net.break_connections(0);
    let texts: Vec<String> = (0..4100).map(|n| n.to_string()).collect();
    net.world.send_all(0, 1, &texts);
    net.run();
    let id = net.world.send(0, 2, "and you?");
    net.run();
    assert_eq!(net.world.people[2].received(), ["and you?"]);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    // What had no place before has one when there is room.
    net.relays[0].manners.unreachable = false;
    net.connect_again();
    net.run();
    net.advance(2 * SECOND);
    assert_eq!(net.world.people[1].received().len(), texts.len());
}
