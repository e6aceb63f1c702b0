//! Nothing gets stuck: whatever the order in which links, proofs, cards and
//! answers come, what can be handed over is handed over, and once.

use core::time::Duration;

use tortalk_keys::MailboxSecret;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, DeliveryState, Input, Outcome, Read};
use tortalk_model::{DeviceId, StoreId, UnixMillis};
use tortalk_seal::{Body, SealingSecret, open};
use tortalk_wire::{AckResult, Frame, RefusalReason};

use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, ack, handed, msg, proofs_of, refused};
use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

// req: GSP-10
#[test]
fn a_new_store_is_noticed_whenever_the_hello_comes() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let sent = handed(&stage.send_text(&puppet, "once"));
    stage.frame(link, ack(sent[0].1, AckResult::Stored));
    stage.feed(Input::LinkDown { link });
    puppet.store_id = StoreId::from_bytes([7; 16]);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    assert!(handed(&stage.frame(link, Frame::Pull)).is_empty());
    assert_eq!(handed(&stage.frame(link, puppet.hello())).len(), 1, "the Hello comes last");
}

// req: GSP-10
#[test]
fn the_store_that_somebody_showed_before_they_were_a_contact_counts() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let link = stage.introduce(&puppet);
    stage.add(&puppet);
    let sent = handed(&stage.send_text(&puppet, "for the first store"));
    stage.frame(link, ack(sent[0].1, AckResult::Stored));
    stage.feed(Input::LinkDown { link });
    puppet.store_id = StoreId::from_bytes([7; 16]);
    let link = stage.introduce(&puppet);
    let pending = stage.person.store.pending_for(&puppet.identity.public(), None, 9);
    assert_eq!(pending.expect("readable"), [sent[0].1], "and for the second");
    let _ = link;
}

// req: GSP-30
#[test]
fn a_card_that_comes_after_the_refusal_leads_to_sealing_again() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let first = handed(&stage.send_text(&puppet, "for the old key"));
    puppet.sealing = SealingSecret::from_seed([0x77; 32]);
    let unknown = refused(RefusalReason::UnknownKey);
    assert!(handed(&stage.frame(link, ack(first[0].1, unknown))).is_empty(), "no other key yet");
    let mut again = handed(&stage.frame(link, puppet.card_frame(START_MS + 1)));
    if again.iter().any(|(_, id)| *id == first[0].1) {
        again = handed(&stage.frame(link, ack(first[0].1, unknown)));
    }
    assert_eq!(again.len(), 1);
    let envelope = tortalk_model::Envelope::parse(again[0].0.envelope.to_vec()).expect("ours");
    let opened = open(&envelope, &puppet.sealing, &puppet.identity.public()).expect("the new key");
    assert_eq!(opened.body(), &Body::Text("for the old key".into()));
}

// req: GSP-39
#[test]
fn a_contact_with_a_new_mailbox_gets_what_was_sealed_for_the_old_one() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let waited = handed(&stage.send_text(&puppet, "acknowledged"));
    stage.frame(link, ack(waited[0].1, AckResult::Stored));
    stage.feed(Input::LinkDown { link });
    for i in 0..300 {
        stage.send_text(&puppet, &format!("{i}"));
    }
    puppet.contact = MailboxSecret::from_seed([0x66; 32]);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello());
    stage.frame(link, Frame::Pull);
    let mut waiting = handed(&stage.frame(link, puppet.card_frame(START_MS + 1)));
    let mut texts = Vec::new();
    while let Some((msg, id)) = waiting.pop() {
        let envelope = tortalk_model::Envelope::parse(msg.envelope.to_vec()).expect("ours");
        assert_eq!(envelope.header().mailbox, puppet.contact.public());
        let me = puppet.identity.public();
        let opened = open(&envelope, &puppet.sealing, &me).expect("for the puppet");
        texts.push(opened.message_id());
        waiting.extend(handed(&stage.frame(link, ack(id, AckResult::Stored))));
    }
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 300, "each, once");
    // What the old mailbox is said to have comes at its next try.
    let again = handed(&stage.wait(Duration::from_secs(3600)));
    let envelope = tortalk_model::Envelope::parse(again[0].0.envelope.to_vec()).expect("ours");
    assert_eq!(envelope.header().mailbox, puppet.contact.public());
}

// req: GSP-35
#[test]
fn a_mailbox_that_is_not_proved_holds_nothing_else_up() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    // No key is valid when the card with the new mailbox comes, so everything
    // stays sealed for the old one.
    for i in 0..600 {
        stage.send_text(&puppet, &format!("{i}"));
    }
    let old = core::mem::replace(&mut puppet.contact, MailboxSecret::from_seed([0x66; 32]));
    puppet.not_before = UnixMillis(START_MS + WEEK_MS);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello());
    stage.frame(link, Frame::Pull);
    assert!(handed(&stage.frame(link, puppet.card_frame(START_MS + 1))).is_empty());
    // Now it is: a new text is behind six hundred that cannot go.
    stage.frame(link, puppet.hello_at(UnixMillis(START_MS + WEEK_MS), 256));
    assert_eq!(handed(&stage.send_text(&puppet, "new")).len(), 1);
    // And with the old mailbox proved these go too.
    let sent = stage.frame(link, proofs_of([&old], Role::Initiator));
    assert_eq!(handed(&sent).len(), 255, "the window");
}

#[test]
fn what_was_refused_does_not_come_again_on_the_same_link() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let sent = handed(&stage.send_text(&puppet, "refused"));
    stage.frame(link, ack(sent[0].1, refused(RefusalReason::NotForMe)));
    let text = puppet.text(&stage.person, "hi");
    let envelope = puppet.seal(&stage.person, &text);
    let receipt = handed(&stage.frame(link, msg(&envelope)));
    assert!(receipt.len() == 1 && receipt[0].1 != sent[0].1, "the receipt alone");
    assert!(handed(&stage.frame(link, ack(receipt[0].1, AckResult::Stored))).is_empty());
    assert!(handed(&stage.frame(link, Frame::Pull)).is_empty());
    stage.feed(Input::LinkDown { link });
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    assert_eq!(handed(&stage.frame(link, Frame::Pull)).len(), 1, "the next link is another try");
}

// req: GSP-16
#[test]
fn a_message_that_is_given_up_still_fills_the_window_until_its_ack() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello_at(UnixMillis(START_MS), 1));
    stage.frame(link, puppet.card_frame(START_MS));
    stage.frame(link, Frame::Pull);
    let to = puppet.identity.public();
    let send = Command::SendText { to, text: "first".into() };
    let (outcome, actions) = stage.person.command(send, stage.now);
    let Ok(Outcome::Queued { message_id, .. }) = outcome else { panic!("queued") };
    let first = handed(&actions);
    let cancel = Command::Cancel { message_id };
    stage.person.command(cancel, stage.now).0.expect("a message of ours");
    assert!(handed(&stage.send_text(&puppet, "second")).is_empty(), "the window is one");
    assert_eq!(handed(&stage.frame(link, ack(first[0].1, AckResult::Stored))).len(), 1);
}

// req: GSP-16
#[test]
fn the_window_counts_bytes_too() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let long = "x".repeat(60_000);
    let mut sent = Vec::new();
    for _ in 0..80 {
        sent.extend(handed(&stage.send_text(&puppet, &long)));
    }
    let len = sent[0].0.envelope.as_slice().len();
    assert_eq!(sent.len(), 4 * 1024 * 1024 / len);
    let mut seen = sent.len();
    while let Some((_, id)) = sent.pop() {
        let more = handed(&stage.frame(link, ack(id, AckResult::Stored)));
        seen += more.len();
        sent.extend(more);
    }
    assert_eq!(seen, 80, "every envelope, once");
}

#[test]
fn of_two_devices_the_one_that_is_ready_gets_it() {
    let puppet = Puppet::new(1);
    let mut second = Puppet::new(1);
    second.device_id = DeviceId::from_bytes([9; 8]);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let (first_link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(first_link, puppet.hello());
    stage.frame(first_link, puppet.card_frame(START_MS));
    stage.frame(first_link, Frame::Pull);
    let link = stage.introduce(&second);
    assert_eq!(handed(&stage.send_text(&puppet, "to whoever can")).len(), 1);
    let _ = link;
}

// req: GSP-19
#[test]
fn the_hour_counts_from_the_first_acknowledgement_however_late_that_is() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    stage.send_text(&puppet, "nobody is there");
    for _ in 0..14 {
        stage.wait(DAY);
    }
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    let sent = handed(&stage.frame(link, Frame::Pull));
    assert_eq!(sent.len(), 1);
    stage.frame(link, ack(sent[0].1, AckResult::Stored));
    assert!(handed(&stage.wait(Duration::from_secs(3599))).is_empty());
    assert_eq!(handed(&stage.wait(Duration::from_secs(1))).len(), 1);
}

// req: DLV-02
#[test]
fn a_cancelled_message_is_not_sealed_when_a_key_comes() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let to = puppet.identity.public();
    let send = Command::SendText { to, text: "never mind".into() };
    let (outcome, _) = stage.person.command(send, stage.now);
    let Ok(Outcome::Queued { message_id, state }) = outcome else { panic!("queued") };
    assert_eq!(state, DeliveryState::WaitingForKey);
    let cancel = Command::Cancel { message_id };
    stage.person.command(cancel, stage.now).0.expect("a message of ours");
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, Frame::Pull);
    assert!(handed(&stage.frame(link, puppet.card_frame(START_MS))).is_empty());
    let pending = stage.person.store.pending_for(&to, None, 9).expect("readable");
    assert!(pending.is_empty());
}

// req: GSP-21
#[test]
fn what_is_not_confirmed_is_not_handed_over_any_more() {
    let puppet = Puppet::new(1);
    let to = puppet.identity.public();
    for has_key in [true, false] {
        let mut stage = Stage::new();
        stage.add(&puppet);
        if has_key {
            let link = stage.introduce(&puppet);
            stage.feed(Input::LinkDown { link });
        }
        let send = Command::SendText { to, text: "hello?".into() };
        let (outcome, _) = stage.person.command(send, stage.now);
        let Ok(Outcome::Queued { message_id, .. }) = outcome else { panic!("queued") };
        for _ in 0..92 {
            stage.wait(DAY);
        }
        let message = stage.person.store.outgoing(&message_id).expect("readable").expect("ours");
        assert_eq!(DeliveryState::of(&message), DeliveryState::NotConfirmed, "key {has_key}");
        let mut later = Puppet::new(1);
        later.not_before = UnixMillis(START_MS + 13 * WEEK_MS);
        let (link, _) = stage.link(&later, Role::Responder);
        stage.frame(link, later.proofs(Role::Initiator));
        stage.frame(link, later.hello_at(stage.now.wall, 256));
        stage.frame(link, Frame::Pull);
        let sent = handed(&stage.frame(link, later.card_frame(stage.now.wall.0)));
        assert!(sent.is_empty(), "key {has_key}");
        let pending = stage.person.store.pending_for(&to, None, 9).expect("readable");
        assert!(pending.is_empty(), "key {has_key}");
    }
}

#[test]
fn what_was_on_its_way_on_a_dead_link_goes_over_the_one_that_is_up() {
    let mut world = World::pair();
    let dead = world.cable_ids()[0];
    world.advance(Duration::from_secs(60));
    world.silence(dead);
    let id = world.send(0, 1, "into nothing");
    world.run();
    world.connect(1, 0);
    world.run();
    assert!(world.people[1].received().is_empty(), "it is on its way on the other link");
    world.advance(Duration::from_secs(10));
    assert_eq!(world.people[1].received(), ["into nothing"]);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
}
