//! spec/delivery.md: states from evidence, receipts on both sides.

use core::time::Duration;

use tortalk_keys::card::Card;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, DeliveryState, Event, Evidence, Input, LinkId, Outcome, Read};
use tortalk_model::envelope::Envelope;
use tortalk_model::{ChainId, EnvelopeId, MessageId, SignedHash};
use tortalk_seal::{Body, BodyType, OpenedMessage, ReceiptEntry, ReceiptKind, ResendRequest, open};
use tortalk_wire::{AckResult, Frame, Msg, RefusalReason};

use crate::person::{Person, START_MS};
use crate::puppet::{Puppet, Stage, ack, handed, msg, refused};
use crate::world::World;

/// A text of the person to the puppet, with what the puppet opened.
fn sent(stage: &mut Stage, puppet: &Puppet, text: &str) -> (OpenedMessage, EnvelopeId) {
    let actions = stage.send_text(puppet, text);
    let (msg, id) = handed(&actions).pop().expect("handed over at once");
    (opened(&msg, puppet), id)
}

fn opened(msg: &Msg, puppet: &Puppet) -> OpenedMessage {
    let envelope = Envelope::parse(msg.envelope.as_slice().to_vec()).expect("an envelope");
    open(&envelope, &puppet.sealing, &puppet.identity.public()).expect("for the puppet")
}

fn state(person: &Person, id: &MessageId) -> DeliveryState {
    let message = person.store.outgoing(id).expect("readable").expect("ours");
    DeliveryState::of(&message)
}

fn entry(message: &OpenedMessage, kind: ReceiptKind) -> ReceiptEntry {
    let (message_id, signed_hash) = (message.message_id(), message.signed_hash());
    ReceiptEntry { message_id, signed_hash, kind }
}

/// Hands over a receipt of `puppet`, and the acknowledgement's result.
fn receipt(stage: &mut Stage, link: LinkId, puppet: &mut Puppet, entry: ReceiptEntry) -> AckResult {
    let receipt = puppet.message(stage.person.identity(), Body::Receipt(vec![entry]));
    let envelope = puppet.seal(&stage.person, &receipt);
    stage.hand_over(link, envelope.as_bytes()).result
}

// req: DLV-01, DLV-02, DLV-03, DLV-04, DLV-13
#[test]
fn each_state_has_its_evidence_and_survives_a_restart() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let (message, envelope_id) = sent(&mut stage, &puppet, "hello");
    let id = message.message_id();
    assert_eq!(state(&stage.person, &id), DeliveryState::Queued, "sent is not handed");
    stage.frame(link, ack(envelope_id, AckResult::Stored));
    assert_eq!(state(&stage.person, &id), DeliveryState::Handed { peers: 1 });
    receipt(&mut stage, link, &mut puppet, entry(&message, ReceiptKind::Delivered));
    assert_eq!(state(&stage.person, &id), DeliveryState::Delivered);
    receipt(&mut stage, link, &mut puppet, entry(&message, ReceiptKind::Read));
    assert_eq!(state(&stage.person, &id), DeliveryState::Read);
    stage.person.restart();
    assert_eq!(state(&stage.person, &id), DeliveryState::Read);
    let stored = stage.person.store.outgoing(&id).expect("readable").expect("ours");
    let proofs = stored
        .evidence
        .iter()
        .filter(|evidence| matches!(evidence, Evidence::Receipt { proof, .. } if proof.len() > 64));
    assert_eq!(proofs.count(), 2, "both receipts, with their signatures");
}

// req: DLV-03
#[test]
fn a_refusal_is_no_evidence() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let (message, envelope_id) = sent(&mut stage, &puppet, "hello");
    stage.frame(link, ack(envelope_id, refused(RefusalReason::NotForMe)));
    assert_eq!(state(&stage.person, &message.message_id()), DeliveryState::Queued);
}

// req: DLV-05
#[test]
fn a_receipt_of_somebody_else_is_ignored() {
    let puppet = Puppet::new(1);
    let (mut stage, _) = Stage::with_contact(&puppet);
    let (message, _) = sent(&mut stage, &puppet, "hello");
    let mut other = Puppet::new(2);
    stage.add(&other);
    let link = stage.introduce(&other);
    receipt(&mut stage, link, &mut other, entry(&message, ReceiptKind::Delivered));
    assert_eq!(state(&stage.person, &message.message_id()), DeliveryState::Queued);
}

// req: DLV-06
#[test]
fn a_receipt_for_other_words_is_ignored() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let (message, _) = sent(&mut stage, &puppet, "hello");
    let wrong = ReceiptEntry {
        signed_hash: SignedHash::from_bytes([0; 32]),
        ..entry(&message, ReceiptKind::Delivered)
    };
    receipt(&mut stage, link, &mut puppet, wrong);
    assert_eq!(state(&stage.person, &message.message_id()), DeliveryState::Queued);
    receipt(&mut stage, link, &mut puppet, entry(&message, ReceiptKind::Delivered));
    assert_eq!(state(&stage.person, &message.message_id()), DeliveryState::Delivered);
}

// req: DLV-07
#[test]
fn who_is_no_contact_any_more_gets_no_receipt() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let envelope = puppet.seal(&stage.person, &message);
    let identity = puppet.identity.public();
    // The message and the block come in one batch: the receipt is made at its end.
    let msg = {
        let bytes = tortalk_wire::EnvelopeBytes::from(&envelope);
        Frame::Msg(Msg { ttl: 0, stamp: tortalk_wire::StampBytes::default(), envelope: bytes })
    };
    let block = Command::SetBlocked { identity, blocked: true };
    let inputs =
        vec![Input::Frame { link, frame: msg }, Input::Command(tortalk_mesh::RequestId(77), block)];
    let (actions, _) = stage.person.step(inputs, stage.now);
    assert!(handed(&actions).is_empty());
    let pending = stage.person.store.pending_for(&identity, None, 9).expect("readable");
    assert!(pending.is_empty());
}

// req: DLV-08, DLV-14
#[test]
fn a_receipt_is_neither_answered_nor_sealed_again() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let (message, _) = sent(&mut stage, &puppet, "hello");
    let body = Body::Receipt(vec![entry(&message, ReceiptKind::Delivered)]);
    let answer = puppet.message(stage.person.identity(), body);
    let envelope = puppet.seal(&stage.person, &answer);
    let msg = Msg {
        ttl: 0,
        stamp: tortalk_wire::StampBytes::default(),
        envelope: tortalk_wire::EnvelopeBytes::from(&envelope),
    };
    let actions = stage.frame(link, Frame::Msg(msg));
    assert!(handed(&actions).is_empty(), "no receipt for a receipt");
    // Our own receipt, refused for its key: gone.
    let text = puppet.text(&stage.person, "hi");
    let envelope = puppet.seal(&stage.person, &text);
    let msg = Msg {
        ttl: 0,
        stamp: tortalk_wire::StampBytes::default(),
        envelope: tortalk_wire::EnvelopeBytes::from(&envelope),
    };
    let actions = stage.frame(link, Frame::Msg(msg));
    let (_, receipt_id) = handed(&actions).pop().expect("our receipt");
    let actions = stage.frame(link, ack(receipt_id, refused(RefusalReason::UnknownKey)));
    assert!(handed(&actions).is_empty());
    assert!(stage.person.store.envelope(&receipt_id).expect("readable").is_none());
}

// req: DLV-09
#[test]
fn a_duplicate_brings_its_receipt_back_every_ten_minutes() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let hand = |stage: &mut Stage, puppet: &mut Puppet| {
        let envelope = puppet.seal(&stage.person, &message);
        let msg = Msg {
            ttl: 0,
            stamp: tortalk_wire::StampBytes::default(),
            envelope: tortalk_wire::EnvelopeBytes::from(&envelope),
        };
        handed(&stage.frame(link, Frame::Msg(msg))).len()
    };
    assert_eq!(hand(&mut stage, &mut puppet), 1, "the receipt");
    assert_eq!(hand(&mut stage, &mut puppet), 0, "too soon");
    stage.wait(Duration::from_secs(599));
    assert_eq!(hand(&mut stage, &mut puppet), 0, "too soon");
    stage.wait(Duration::from_secs(1));
    assert_eq!(hand(&mut stage, &mut puppet), 1, "again");
}

// req: DLV-10
#[test]
fn reading_is_told_only_when_switched_on() {
    for on in [false, true] {
        let mut world = World::pair();
        world.people[1].set_read_receipts(on);
        world.cut_all();
        world.connect(0, 1);
        world.run();
        let id = world.send(0, 1, "hello");
        world.run();
        world.command(1, Command::MarkRead { message_id: id }).expect("a message of theirs");
        world.run();
        let expected = if on { DeliveryState::Read } else { DeliveryState::Delivered };
        assert_eq!(world.state(0, &id), expected);
    }
}

// req: DLV-11
#[test]
fn a_body_of_a_later_version_is_stored_and_confirmed_unless_it_is_critical() {
    for (number, confirmed) in [(0x0700, true), (0x8700, false)] {
        let mut puppet = Puppet::new(1);
        let (mut stage, link) = Stage::with_contact(&puppet);
        let body = Body::Unknown { body_type: BodyType(number), bytes: vec![1, 2, 3] };
        let message = puppet.message(stage.person.identity(), body.clone());
        let envelope = puppet.seal(&stage.person, &message);
        let msg = Msg {
            ttl: 0,
            stamp: tortalk_wire::StampBytes::default(),
            envelope: tortalk_wire::EnvelopeBytes::from(&envelope),
        };
        let actions = stage.frame(link, Frame::Msg(msg));
        assert_eq!(handed(&actions).len(), usize::from(confirmed), "{number:04x}");
        let stored = stage.person.store.incoming(&message.message_id()).expect("readable");
        assert_eq!(stored.expect("stored either way").body, body);
    }
}

// req: DLV-11
#[test]
fn receipts_that_are_due_together_share_one_envelope() {
    let mut world = World::pair();
    world.cut_all();
    for i in 0..100 {
        world.send(0, 1, &format!("{i}"));
    }
    let before = world.bytes;
    world.connect(0, 1);
    world.run();
    let bytes = world.bytes - before;
    assert_eq!(world.people[1].received().len(), 100);
    // 100 messages of 1.5 KiB and a handful of receipts, not 100.
    assert!(bytes < 100 * 1500 + 60_000, "{bytes} bytes");
}

#[test]
fn a_cancelled_message_is_not_sent_and_says_so() {
    let mut world = World::pair();
    world.cut_all();
    let id = world.send(0, 1, "never mind");
    let outcome = world.command(0, Command::Cancel { message_id: id });
    assert_eq!(outcome, Ok(Outcome::Done));
    assert_eq!(world.state(0, &id), DeliveryState::Cancelled);
    world.connect(0, 1);
    world.run();
    assert!(world.people[1].received().is_empty());
}

// req: GSP-21
#[test]
fn after_ninety_days_without_a_receipt_it_is_not_confirmed() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let (message, _) = sent(&mut stage, &puppet, "hello?");
    stage.feed(Input::LinkDown { link });
    let id = message.message_id();
    for _ in 0..89 {
        stage.wait(Duration::from_secs(24 * 3600));
        assert_ne!(state(&stage.person, &id), DeliveryState::NotConfirmed);
    }
    for _ in 0..3 {
        stage.wait(Duration::from_secs(24 * 3600));
    }
    assert_eq!(state(&stage.person, &id), DeliveryState::NotConfirmed);
    let (_, actions) = stage.link(&puppet, Role::Responder);
    assert!(handed(&actions).is_empty());
}

/// What the puppet's envelope makes the person hand over.
fn answers(stage: &mut Stage, link: LinkId, puppet: &mut Puppet, body: Body) -> usize {
    let message = puppet.message(stage.person.identity(), body);
    let envelope = puppet.seal(&stage.person, &message);
    handed(&stage.frame(link, msg(&envelope))).len()
}

// req: SEA-37, DLV-11, DLV-09, DLV-10
#[test]
fn an_unknown_critical_body_is_never_confirmed() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.person.set_read_receipts(true);
    stage.feed(Input::Started);
    let link = {
        let _ = link;
        stage.introduce(&puppet)
    };
    let body = Body::Unknown { body_type: BodyType(0x8700), bytes: vec![1] };
    let message = puppet.message(stage.person.identity(), body);
    for _ in 0..2 {
        let envelope = puppet.seal(&stage.person, &message);
        assert!(handed(&stage.frame(link, msg(&envelope))).is_empty());
        assert!(handed(&stage.frame(link, msg(&envelope))).is_empty());
        stage.wait(Duration::from_secs(600));
    }
    let read = Command::MarkRead { message_id: message.message_id() };
    let (outcome, actions) = stage.person.command(read, stage.now);
    outcome.expect("a message of theirs");
    assert!(handed(&actions).is_empty());
}

// req: DLV-11, DLV-09
#[test]
fn cards_and_acceptances_are_confirmed_and_not_shown() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let card = puppet.card(START_MS + 7, true).into_bytes();
    let range = ResendRequest { chain_id: ChainId::from_bytes([3; 8]), from: 1, to: 2 };
    for body in [
        Body::Card { card: card.clone() },
        Body::ContactAccept { request: MessageId::from_bytes([1; 32]), card },
        Body::ResendRequest(range),
    ] {
        let message = puppet.message(stage.person.identity(), body);
        let first = puppet.seal(&stage.person, &message);
        assert_eq!(handed(&stage.frame(link, msg(&first))).len(), 1, "the receipt");
        let again = puppet.seal(&stage.person, &message);
        assert_eq!(stage.hand_over(link, again.as_bytes()).result, AckResult::Duplicate);
    }
    let shown = |event: &Event| matches!(event, Event::Received(_));
    assert!(!stage.person.events.iter().any(shown));
    let contact = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
    let held = Card::parse(contact.card.as_deref().expect("a card")).expect("valid");
    assert_eq!(held.seq(), START_MS + 7);
}

// req: DLV-09, DLV-11
#[test]
fn a_request_from_a_contact_is_shown_and_confirmed_once() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let card = puppet.card(START_MS + 7, true).into_bytes();
    let body = Body::ContactRequest { card, text: "hello?".into() };
    let request = puppet.message(stage.person.identity(), body);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let envelope = puppet.seal(&stage.person, &request);
        answers.extend(handed(&stage.frame(link, msg(&envelope))));
    }
    let answers: Vec<_> = answers.iter().map(|(msg, _)| puppet.open(msg)).collect();
    let is_receipt = |body: &&Body| matches!(body, Body::Receipt(_));
    assert_eq!(answers.iter().filter(is_receipt).count(), 1);
    let is_accept = |body: &&Body| matches!(body, Body::ContactAccept { .. });
    assert_eq!(answers.iter().filter(is_accept).count(), 1, "who asks lacks our card");
    let shown = |event: &&Event| matches!(event, Event::Received(_));
    assert_eq!(stage.person.events.iter().filter(shown).count(), 1);
}

// req: DLV-02, DLV-13
#[test]
fn a_receipt_that_says_read_before_delivered_takes_nothing_back() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let (message, _) = sent(&mut stage, &puppet, "hello");
    let id = message.message_id();
    let read = entry(&message, ReceiptKind::Read);
    let delivered = entry(&message, ReceiptKind::Delivered);
    let body = Body::Receipt(vec![read, delivered, read, delivered]);
    assert_eq!(answers(&mut stage, link, &mut puppet, body), 0);
    let told: Vec<DeliveryState> = stage
        .person
        .events
        .iter()
        .filter_map(|event| match event {
            Event::StateChanged { message_id, state, .. } if *message_id == id => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(told, [DeliveryState::Queued, DeliveryState::Read]);
    let stored = stage.person.store.outgoing(&id).expect("readable").expect("ours");
    assert_eq!(stored.evidence.len(), 2, "both kinds are kept");
}
