//! spec/gossip.md section 1: what goes out together with what is stored, and
//! what happens when storing fails.

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{
    Command, DeliveryState, Event, Input, LinkAction, Mesh, Outcome, Read, Ready, RequestId, Write,
};
use tortalk_seal::{Body, ReceiptEntry, ReceiptKind};
use tortalk_wire::{AckResult, Frame};

use crate::person::START_MS;
use crate::puppet::{Puppet, Stage, ack, frames, handed, msg};

/// What the machine answers to one input, applied to the store but for nothing
/// else: the driver's commit would follow.
fn ready_of(stage: &mut Stage, input: Input) -> Ready {
    stage.person.store.begin().expect("a transaction");
    let ready = stage.person.mesh.handle(input, stage.now, &stage.person.store).expect("readable");
    stage.person.store.apply(&ready.writes).expect("writable");
    stage.person.store.commit().expect("a commit");
    ready
}

fn settled(stage: &mut Stage) -> Ready {
    stage.person.store.begin().expect("a transaction");
    let ready = stage.person.mesh.settle(stage.now, &stage.person.store).expect("readable");
    stage.person.store.apply(&ready.writes).expect("writable");
    stage.person.store.commit().expect("a commit");
    ready
}

// req: GSP-01
#[test]
fn what_goes_out_comes_together_with_what_it_stands_on() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);

    // A text: answer, state and first sending with the message and its envelope.
    let send = Command::SendText { to: puppet.identity.public(), text: "hello".into() };
    let ready = ready_of(&mut stage, Input::Command(RequestId(900), send));
    let wrote = |ready: &Ready, wanted: fn(&Write) -> bool| ready.writes.iter().any(wanted);
    assert!(wrote(&ready, |write| matches!(write, Write::PutOutgoing(_))));
    assert!(wrote(&ready, |write| matches!(write, Write::PutEnvelope(_))));
    let Ok(Outcome::Queued { message_id, .. }) = ready.answers[0].outcome else {
        panic!("queued");
    };
    let (_, envelope_id) = handed(&ready.links).pop().expect("handed over at once");
    assert!(matches!(ready.events[..], [Event::StateChanged { .. }]));
    assert!(handed(&settled(&mut stage).links).is_empty());

    // An acknowledgement: the state with its evidence.
    let ready =
        ready_of(&mut stage, Input::Frame { link, frame: ack(envelope_id, AckResult::Stored) });
    assert!(wrote(&ready, |write| matches!(write, Write::AddEvidence { .. })));
    assert!(wrote(&ready, |write| matches!(write, Write::HandedOver { .. })));
    let handed_to = DeliveryState::Handed { peers: 1 };
    assert!(matches!(ready.events[..], [Event::StateChanged { state, .. }] if state == handed_to));

    // A message for us: acknowledgement and showing with the message.
    let text = puppet.text(&stage.person, "hi");
    let envelope = puppet.seal(&stage.person, &text);
    let ready = ready_of(&mut stage, Input::Frame { link, frame: msg(&envelope) });
    assert!(wrote(&ready, |write| matches!(write, Write::PutIncoming(_))));
    assert!(wrote(&ready, |write| matches!(write, Write::Seen { .. })));
    assert!(matches!(ready.events[..], [Event::Received(_)]));
    assert!(matches!(ready.links[..], [LinkAction::Send(_, Frame::Ack(_))]));

    // Its receipt: with the note that it was made.
    let ready = settled(&mut stage);
    assert_eq!(handed(&ready.links).len(), 1);
    assert!(wrote(&ready, |write| matches!(write, Write::ReceiptMade { .. })));
    assert!(wrote(&ready, |write| matches!(write, Write::PutEnvelope(_))));

    // A receipt for us: the state with the proof.
    let stored = stage.person.store.outgoing(&message_id).expect("readable").expect("ours");
    let signed_hash = tortalk_model::SignedHash::from_bytes(tortalk_model::hash::labelled(
        tortalk_model::hash::label::SIGNED_HASH,
        &[&stored.signed],
    ));
    let entry = ReceiptEntry { message_id, signed_hash, kind: ReceiptKind::Delivered };
    let receipt = puppet.message(stage.person.identity(), Body::Receipt(vec![entry]));
    let envelope = puppet.seal(&stage.person, &receipt);
    let ready = ready_of(&mut stage, Input::Frame { link, frame: msg(&envelope) });
    assert!(wrote(&ready, |write| matches!(write, Write::AddEvidence { .. })));
    let delivered = DeliveryState::Delivered;
    assert!(matches!(ready.events[..], [Event::StateChanged { state, .. }] if state == delivered));
}

/// Everything of a batch is made ready and then the disk fails: nothing of it
/// leaves, the transaction is taken back, the machine is built anew.
fn fail(stage: &mut Stage, inputs: Vec<Input>) -> Ready {
    stage.person.store.begin().expect("a transaction");
    let mut all = Ready::default();
    for input in inputs {
        let ready =
            stage.person.mesh.handle(input, stage.now, &stage.person.store).expect("readable");
        stage.person.store.apply(&ready.writes).expect("writable");
        all.merge(ready);
    }
    let ready = stage.person.mesh.settle(stage.now, &stage.person.store).expect("readable");
    stage.person.store.apply(&ready.writes).expect("writable");
    all.merge(ready);
    stage.person.store.rollback().expect("taken back");
    stage.person.rebuild();
    stage.feed(Input::Started);
    all
}

// req: GSP-02
#[test]
fn after_a_failed_commit_everything_goes_on_from_the_store() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let first = handed(&stage.send_text(&puppet, "before"));
    let theirs = puppet.text(&stage.person, "theirs");
    let envelope = puppet.seal(&stage.person, &theirs);
    let send = Command::SendText { to: puppet.identity.public(), text: "never was".into() };
    let name = Command::SetOwnName { name: "never was".into() };
    let other = Puppet::new(2);
    let add = Command::AddContact {
        identity: other.identity.public(),
        name: "other".into(),
        invite: None,
        text: String::new(),
    };
    let lost = fail(
        &mut stage,
        vec![
            Input::Frame { link, frame: ack(first[0].1, AckResult::Stored) },
            Input::Frame { link, frame: msg(&envelope) },
            Input::Command(RequestId(900), send),
            Input::Command(RequestId(901), name),
            Input::Command(RequestId(902), add),
        ],
    );
    let mut acks = frames(&lost.links).filter(|frame| matches!(frame, Frame::Ack(_)));
    assert!(acks.next().is_some() && handed(&lost.links).len() == 2, "there was much to lose");
    assert!(stage.person.mesh.contact(&other.identity.public()).is_none());
    assert!(stage.person.mesh.nearby().is_empty(), "the links ended with the machine");

    // The peer got no answer and hands over again; what waited for us goes again.
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello());
    let again = handed(&stage.frame(link, Frame::Pull));
    assert_eq!(again.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [first[0].1]);
    let actions = stage.frame(link, msg(&envelope));
    assert!(
        frames(&actions)
            .any(|frame| matches!(frame, Frame::Ack(ack) if ack.result == AckResult::Stored))
    );
    assert_eq!(handed(&actions).len(), 1, "and the receipt is made");
    assert_eq!(stage.person.received(), ["theirs"]);
    let card = stage.person.mesh.own_contact_card().expect("cards");
    assert_eq!((card.name(), card.seq()), ("alice", START_MS));

    // The chain has no gap: the number of the text that never was is free.
    let next = handed(&stage.send_text(&puppet, "after"));
    let opened = tortalk_seal::open(
        &tortalk_model::Envelope::parse(next[0].0.envelope.to_vec()).expect("ours"),
        &puppet.sealing,
        &puppet.identity.public(),
    );
    assert_eq!(opened.expect("for the puppet").counter(), 2);
}

// req: GSP-02
#[test]
fn a_failure_at_any_input_loses_and_doubles_nothing() {
    let mut puppet = Puppet::new(1);
    for failing in 0..6 {
        let (mut stage, mut link) = Stage::with_contact(&puppet);
        let texts: Vec<_> = (0..3).map(|i| puppet.text(&stage.person, &format!("{i}"))).collect();
        let sealed: Vec<_> = texts.iter().map(|text| puppet.seal(&stage.person, text)).collect();
        for (i, envelope) in sealed.iter().chain(&sealed).enumerate() {
            if i == failing {
                fail(&mut stage, vec![Input::Frame { link, frame: msg(envelope) }]);
                link = stage.introduce(&puppet);
            }
            let ack = stage.hand_over(link, envelope.as_bytes());
            let expected = if i < 3 { AckResult::Stored } else { AckResult::Duplicate };
            assert_eq!(ack.result, expected, "{failing} {i}");
        }
        assert_eq!(stage.person.received(), ["0", "1", "2"]);
    }
}

#[test]
fn a_machine_of_the_same_store_is_the_same_machine() {
    let puppet = Puppet::new(1);
    let (mut stage, _) = Stage::with_contact(&puppet);
    stage.send_text(&puppet, "hello");
    let config = stage.person.config.clone();
    let entropy = Box::new(tortalk_testkit::Seeded::new(9));
    let keyring = stage.person.keyring.clone();
    let rebuilt = Mesh::new(keyring, config, entropy, &stage.person.store).expect("readable");
    let identity = puppet.identity.public();
    assert_eq!(rebuilt.contact(&identity), stage.person.mesh.contact(&identity));
    assert_eq!(
        rebuilt.own_contact_card().map(tortalk_keys::card::Card::as_bytes),
        stage.person.mesh.own_contact_card().map(tortalk_keys::card::Card::as_bytes)
    );
}
