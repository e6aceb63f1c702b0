//! Messages of a chain that did not come, and how they come after all.

use core::time::Duration;

use tortalk_mesh::{Command, DeliveryState, Event, LinkId};
use tortalk_model::{ChainId, Envelope, UnixMillis};
use tortalk_seal::{Body, Draft, ResendRequest, SignedMessage};
use tortalk_wire::AckResult;

use crate::person::START_MS;
use crate::puppet::{Puppet, Stage, ack, handed, msg};

const MINUTE: Duration = Duration::from_secs(60);

fn numbered(puppet: &Puppet, stage: &Stage, chain: u8, counter: u64) -> SignedMessage {
    let nonce = 16 * chain + u8::try_from(counter).expect("small");
    let draft = Draft {
        audience: stage.person.identity(),
        device_id: puppet.device_id,
        nonce: tortalk_model::Nonce::from_bytes([nonce; 16]),
        sent_at: UnixMillis(START_MS),
        chain_id: ChainId::from_bytes([chain; 8]),
        counter,
        body: Body::Text(format!("number {counter}")),
    };
    SignedMessage::sign(&puppet.identity, draft).expect("a text")
}

fn bring(stage: &mut Stage, link: LinkId, puppet: &mut Puppet, counter: u64) -> Vec<Body> {
    bring_in(stage, link, puppet, 3, counter)
}

fn bring_in(
    stage: &mut Stage,
    link: LinkId,
    puppet: &mut Puppet,
    chain: u8,
    counter: u64,
) -> Vec<Body> {
    let message = numbered(puppet, stage, chain, counter);
    let envelope = puppet.seal(&stage.person, &message);
    let actions = stage.frame(link, msg(&envelope));
    take(stage, link, puppet, &handed(&actions))
}

/// The puppet takes what it is handed, and says what it is.
fn take(
    stage: &mut Stage,
    link: LinkId,
    puppet: &Puppet,
    sent: &[(tortalk_wire::Msg, tortalk_model::EnvelopeId)],
) -> Vec<Body> {
    let mut bodies = Vec::new();
    for (msg, id) in sent {
        bodies.push(puppet.open(msg));
        stage.frame(link, ack(*id, AckResult::Stored));
    }
    bodies
}

fn wait(stage: &mut Stage, link: LinkId, puppet: &Puppet, time: Duration) -> Vec<Body> {
    let sent = handed(&stage.wait(time));
    take(stage, link, puppet, &sent)
}

fn told(stage: &Stage) -> Vec<u64> {
    let gaps = stage.person.events.iter().filter_map(|event| match event {
        Event::Gap { missing, .. } => Some(*missing),
        _ => None,
    });
    gaps.collect()
}

/// The place of a text that we send.
fn place(stage: &mut Stage, to: &Puppet, text: &str) -> (ChainId, u64) {
    let sent = handed(&stage.send_text(to, text));
    let envelope = Envelope::parse(sent[0].0.envelope.to_vec()).expect("ours");
    let opened = tortalk_seal::open(&envelope, &to.sealing, &to.identity.public());
    let opened = opened.expect("for the puppet");
    (opened.chain_id(), opened.counter())
}

// req: SEA-52
#[test]
fn texts_are_numbered_in_a_chain_for_each_contact() {
    let (mut bob, carol) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, link) = Stage::with_contact(&bob);
    let (chain, first) = place(&mut stage, &bob, "one");
    // A receipt takes no number.
    assert_eq!(bring(&mut stage, link, &mut bob, 1).len(), 1);
    stage.add(&carol);
    stage.introduce(&carol);
    let (other, number) = place(&mut stage, &carol, "to somebody else");
    assert_eq!((first, number), (1, 1));
    assert_eq!(place(&mut stage, &bob, "two"), (chain, 2));
    assert_eq!(place(&mut stage, &carol, "again"), (other, 2));
    assert_ne!(chain, other);
}

// req: DLV-21
#[test]
fn a_gap_is_shown_after_a_minute_with_its_exact_size_until_it_closes() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for counter in [1, 2, 6, 9] {
        bring(&mut stage, link, &mut puppet, counter);
    }
    stage.wait(MINUTE - Duration::from_millis(1));
    assert_eq!(told(&stage), [] as [u64; 0]);
    stage.wait(Duration::from_millis(1));
    assert_eq!(told(&stage), [5]);
    // It is known after a start too, and told to whoever listens then.
    stage.person.restart();
    stage.feed(tortalk_mesh::Input::Started);
    stage.wait(MINUTE);
    assert_eq!(told(&stage), [5, 5]);
    let link = stage.introduce(&puppet);
    for counter in [4, 3, 5, 7, 8] {
        bring(&mut stage, link, &mut puppet, counter);
    }
    assert_eq!(told(&stage), [5, 5, 4, 3, 2, 1, 0]);
    // What comes in time is no gap.
    bring(&mut stage, link, &mut puppet, 11);
    bring(&mut stage, link, &mut puppet, 10);
    stage.wait(10 * MINUTE);
    assert_eq!(told(&stage).len(), 7);
}

// req: DLV-23
#[test]
fn what_comes_late_of_an_earlier_chain_opens_no_gap() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    // Somebody starts anew between their messages, and those overtake each other;
    // the number 0 is in no chain.
    for (chain, counter) in [(3, 1), (3, 2), (4, 1), (3, 4), (9, 0), (4, 2), (3, 3), (4, 3)] {
        bring_in(&mut stage, link, &mut puppet, chain, counter);
    }
    stage.person.restart();
    stage.feed(tortalk_mesh::Input::Started);
    let link = stage.introduce(&puppet);
    bring_in(&mut stage, link, &mut puppet, 3, 5);
    stage.wait(MINUTE);
    assert_eq!(told(&stage), [] as [u64; 0]);
    // A gap of the newest one counts.
    bring_in(&mut stage, link, &mut puppet, 4, 6);
    stage.wait(MINUTE);
    assert_eq!(told(&stage), [2]);
}

fn asks(bodies: &[Body]) -> Vec<(u64, u64)> {
    let requests = bodies.iter().filter_map(|body| match body {
        Body::ResendRequest(request) => Some((request.from, request.to)),
        _ => None,
    });
    requests.collect()
}

// req: DLV-22
#[test]
fn what_is_missing_for_long_is_asked_for_once_an_hour() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for counter in [1, 4, 6] {
        bring(&mut stage, link, &mut puppet, counter);
    }
    let sent = wait(&mut stage, link, &puppet, 10 * MINUTE - Duration::from_millis(1));
    assert_eq!(asks(&sent), []);
    let sent = handed(&stage.wait(Duration::from_millis(1)));
    assert_eq!(asks(&take(&mut stage, link, &puppet, &sent)), [(2, 5)]);
    // Without a receipt the question stands; it is tried, and not made again.
    for _ in 0..12 {
        for (from, to) in asks(&wait(&mut stage, link, &puppet, 10 * MINUTE)) {
            assert_eq!((from, to), (2, 5), "the same message again");
        }
    }
    // With its receipt the next one follows.
    confirm_question(&mut stage, link, &mut puppet);
    let sent = wait(&mut stage, link, &puppet, 60 * MINUTE);
    assert_eq!(asks(&sent), [(2, 5)]);
}

/// The puppet confirms the resend request that is held for it.
fn confirm_question(stage: &mut Stage, link: LinkId, puppet: &mut Puppet) {
    use tortalk_mesh::Read as _;
    let chain = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
    let asked = chain.their_chain.as_ref().expect("a chain").asked.expect("asked");
    let message = stage.person.store.outgoing(&asked).expect("readable").expect("ours");
    let signature = tortalk_keys::Signature::from_bytes(message.signature);
    let signed = SignedMessage::from_stored(message.signed, signature).expect("ours");
    let entry = tortalk_seal::ReceiptEntry {
        message_id: asked,
        signed_hash: signed.signed_hash(),
        kind: tortalk_seal::ReceiptKind::Delivered,
    };
    let receipt = puppet.message(stage.person.identity(), Body::Receipt(vec![entry]));
    let envelope = puppet.seal(&stage.person, &receipt);
    stage.frame(link, msg(&envelope));
}

fn chain_of(stage: &Stage, puppet: &Puppet) -> ChainId {
    stage.person.mesh.contact(&puppet.identity.public()).expect("a contact").chain_id
}

fn ask(
    stage: &mut Stage,
    link: LinkId,
    puppet: &mut Puppet,
    chain_id: ChainId,
    (from, to): (u64, u64),
) -> Vec<String> {
    let body = Body::ResendRequest(ResendRequest { chain_id, from, to });
    let message = puppet.message(stage.person.identity(), body);
    let envelope = puppet.seal(&stage.person, &message);
    let sent = handed(&stage.frame(link, msg(&envelope)));
    let bodies = take(stage, link, puppet, &sent);
    let texts = bodies.into_iter().filter_map(|body| match body {
        Body::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

// req: DLV-17, DLV-19
#[test]
fn who_asks_gets_what_was_written_to_them_delivered_or_not() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let mut ids = Vec::new();
    for i in 1..=300 {
        let sent = handed(&stage.send_text(&puppet, &format!("{i}")));
        for (sent, id) in &sent {
            stage.frame(link, ack(*id, AckResult::Stored));
            if i % 2 == 0 {
                confirm(&mut stage, link, &mut puppet, sent);
            }
        }
        ids.push(sent.len());
    }
    assert!(ids.iter().all(|sent| *sent == 1));
    let chain_id = chain_of(&stage, &puppet);
    let texts = ask(&mut stage, link, &mut puppet, chain_id, (3, 6));
    let mut sorted = texts.clone();
    sorted.sort();
    assert_eq!(sorted, ["3", "4", "5", "6"]);
    // No sooner than ten minutes later again, and at most 256.
    assert!(ask(&mut stage, link, &mut puppet, chain_id, (3, 6)).is_empty());
    stage.wait(10 * MINUTE);
    let other = ChainId::from_bytes([9; 8]);
    assert!(ask(&mut stage, link, &mut puppet, other, (3, 6)).is_empty());
    stage.wait(10 * MINUTE);
    let texts = ask(&mut stage, link, &mut puppet, chain_id, (1, u64::MAX));
    assert_eq!(texts.len(), 256);
    // What was sent once more is done with when it is stored.
    let identity = puppet.identity.public();
    let history = stage.person.store.history(Some(&identity), None, 500).expect("readable");
    let delivered = history.iter().filter(|e| e.state == Some(DeliveryState::Delivered)).count();
    assert_eq!(delivered, 150);
    let cancelled = history.last().expect("the first").message_id;
    stage.person.command(Command::Cancel { message_id: cancelled }, stage.now).0.expect("ours");
    stage.wait(10 * MINUTE);
    assert!(ask(&mut stage, link, &mut puppet, chain_id, (1, 1)).is_empty(), "given up");
}

fn confirm(stage: &mut Stage, link: LinkId, puppet: &mut Puppet, sent: &tortalk_wire::Msg) {
    let envelope = tortalk_model::Envelope::parse(sent.envelope.to_vec()).expect("ours");
    let opened = tortalk_seal::open(&envelope, &puppet.sealing, &puppet.identity.public());
    let opened = opened.expect("for the puppet");
    let entry = tortalk_seal::ReceiptEntry {
        message_id: opened.message_id(),
        signed_hash: opened.signed_hash(),
        kind: tortalk_seal::ReceiptKind::Delivered,
    };
    let receipt = puppet.message(stage.person.identity(), Body::Receipt(vec![entry]));
    let envelope = puppet.seal(&stage.person, &receipt);
    stage.frame(link, msg(&envelope));
}

// req: DLV-18
#[test]
fn of_many_gaps_sixty_four_are_known() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for counter in (1..=150).step_by(2) {
        bring(&mut stage, link, &mut puppet, counter);
    }
    stage.wait(MINUTE);
    assert_eq!(told(&stage), [64]);
}

// req: DLV-20
#[test]
fn a_message_tried_in_vain_is_sealed_to_the_next_key_at_once() {
    for tried in [false, true] {
        let mut puppet = Puppet::new(1);
        let (mut stage, link) = Stage::with_contact(&puppet);
        let sent = handed(&stage.send_text(&puppet, "where are you?"));
        stage.frame(link, ack(sent[0].1, AckResult::Stored));
        stage.feed(tortalk_mesh::Input::LinkDown { link });
        if tried {
            stage.wait(61 * MINUTE);
        }
        // Another key, in a card that comes as a file.
        let next = Puppet::new(2);
        puppet.sealing = next.sealing;
        let card = puppet.card(START_MS + 9, true).into_bytes();
        let import = Command::ImportCard { card, name: String::new() };
        stage.person.command(import, stage.now).0.expect("a newer card");
        assert_eq!(held_key(&stage, &puppet) == puppet.sealing.key_id(), tried, "tried {tried}");
    }
}

fn held_key(stage: &Stage, puppet: &Puppet) -> tortalk_model::KeyId {
    use tortalk_mesh::Read as _;
    let identity = puppet.identity.public();
    let history = stage.person.store.history(Some(&identity), None, 9).expect("readable");
    let id = history[0].message_id;
    let message = stage.person.store.outgoing(&id).expect("readable").expect("ours");
    let envelope_id = message.envelope_id.expect("sealed");
    let held = stage.person.store.envelope(&envelope_id).expect("readable").expect("held");
    held.envelope.header().key_id
}
