//! spec/gossip.md, rule by rule, with a puppet at the other end.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_keys::{IdentitySecret, mailbox_proof};
use tortalk_mesh::{Command, Input, LinkAction, Read};
use tortalk_model::envelope::Envelope;
use tortalk_model::{DeviceId, InstanceId, StoreId, UnixMillis};
use tortalk_seal::{Body, OpenError, SealingSecret, open};
use tortalk_wire::{AckResult, ByeReason, Frame, MailboxProof, Mailboxes, Push, RefusalReason};

use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{HASH, Puppet, Stage, ack, closed, dropped, frames, handed, msg, refused};

// req: GSP-03
#[test]
fn a_link_with_oneself_ends() {
    let mut stage = Stage::new();
    let mut puppet = Puppet::new(1);
    puppet.identity = IdentitySecret::from_seed(*stage.person.keyring.identity.seed());
    let (link, actions) = stage.link(&puppet, Role::Responder);
    assert!(dropped(&actions, link), "{actions:?}");
    let (link, actions) = stage.link(&puppet, Role::Initiator);
    assert_eq!(closed(&actions, link), Some(ByeReason::Policy));
}

// req: GSP-04
#[test]
fn whoever_is_blocked_is_not_let_in() {
    let mut stage = Stage::new();
    let puppet = Puppet::new(1);
    stage.add(&puppet);
    let (link, _) = stage.link(&puppet, Role::Responder);
    let identity = puppet.identity.public();
    let block = Command::SetBlocked { identity, blocked: true };
    let (_, actions) = stage.person.command(block, stage.now);
    assert_eq!(closed(&actions, link), Some(ByeReason::Policy), "the open link ends");
    stage.feed(Input::LinkDown { link });
    let (link, actions) = stage.link(&puppet, Role::Responder);
    assert_eq!(actions, [LinkAction::Drop(link)], "not a byte, not even who we are");
}

// req: GSP-05, GSP-34
#[test]
fn of_two_young_links_the_lower_initiator_stays_and_of_others_the_newer() {
    for (theirs, first_role, first_stays) in [
        ([0x00; 16], Role::Responder, true),
        ([0x00; 16], Role::Initiator, false),
        ([0xff; 16], Role::Responder, false),
        ([0xff; 16], Role::Initiator, true),
    ] {
        let mut stage = Stage::new();
        let mut puppet = Puppet::new(1);
        puppet.instance_id = InstanceId::from_bytes(theirs);
        let other_role =
            if first_role == Role::Responder { Role::Initiator } else { Role::Responder };
        let (first, _) = stage.link(&puppet, first_role);
        let (second, actions) = stage.link(&puppet, other_role);
        let loser = if first_stays { second } else { first };
        assert_eq!(
            closed(&actions, loser),
            Some(ByeReason::Duplicate),
            "{theirs:?} {first_role:?}"
        );
    }
    let mut stage = Stage::new();
    let mut puppet = Puppet::new(1);
    puppet.instance_id = InstanceId::from_bytes([0; 16]);
    let (first, _) = stage.link(&puppet, Role::Responder);
    stage.wait(Duration::from_secs(6));
    let (_, actions) = stage.link(&puppet, Role::Initiator);
    assert_eq!(closed(&actions, first), Some(ByeReason::Duplicate), "the newer stays");
    puppet.device_id = DeviceId::from_bytes([9; 8]);
    let (_, actions) = stage.link(&puppet, Role::Responder);
    assert!(!actions.iter().any(|action| matches!(action, LinkAction::Close(..))), "two devices");
}

// req: GSP-06
#[test]
fn a_proof_of_another_handshake_role_or_key_closes_the_link() {
    let puppet = Puppet::new(1);
    let signed =
        |role, hash: &[u8; 64]| *mailbox_proof::sign(&puppet.contact, role, hash).as_bytes();
    let mailbox = puppet.contact.public();
    let good = MailboxProof { mailbox, signature: signed(Role::Initiator, &HASH) };
    let bad = [
        MailboxProof { signature: signed(Role::Responder, &HASH), ..good.clone() },
        MailboxProof { signature: signed(Role::Initiator, &[0; 64]), ..good.clone() },
        MailboxProof { mailbox: puppet.intro.public(), ..good.clone() },
    ];
    let proofs = |proof: &MailboxProof| {
        Frame::Mailboxes(Mailboxes::new(vec![proof.clone()]).expect("one proof"))
    };
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    assert_eq!(closed(&stage.frame(link, proofs(&good)), link), None);
    for bad in &bad {
        let mut stage = Stage::new();
        let (link, _) = stage.link(&puppet, Role::Responder);
        assert_eq!(closed(&stage.frame(link, proofs(bad)), link), Some(ByeReason::Protocol));
    }
}

// req: GSP-07
#[test]
fn only_contacts_see_the_contact_mailbox() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let contact_mailbox = stage.person.keyring.contact_mailbox.public();
    let shown = |actions: &[LinkAction]| {
        let mut proofs = Vec::new();
        for frame in frames(actions) {
            if let Frame::Mailboxes(mailboxes) = frame {
                proofs.extend(mailboxes.proofs().iter().map(|proof| proof.mailbox));
            }
        }
        proofs
    };
    let (_, actions) = stage.link(&puppet, Role::Responder);
    let proofs = shown(&actions);
    assert!(!proofs.is_empty() && !proofs.contains(&contact_mailbox), "{proofs:?}");
    assert!(shown(&stage.add(&puppet)).contains(&contact_mailbox), "shown on acceptance");
    let (_, actions) = stage.link(&puppet, Role::Initiator);
    assert!(shown(&actions).contains(&contact_mailbox));
}

// req: GSP-10
#[test]
fn a_contact_with_a_new_store_gets_everything_again() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let sent = handed(&stage.send_text(&puppet, "once"));
    stage.frame(link, ack(sent[0].1, AckResult::Stored));
    stage.feed(Input::LinkDown { link });
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello());
    assert!(handed(&stage.frame(link, Frame::Pull)).is_empty(), "the same store has it");
    stage.feed(Input::LinkDown { link });
    puppet.store_id = StoreId::from_bytes([7; 16]);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello());
    assert_eq!(handed(&stage.frame(link, Frame::Pull)).len(), 1, "another store has not");
}

// req: GSP-12, GSP-35
#[test]
fn nothing_is_handed_over_without_a_pull_and_a_proof() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    assert!(handed(&stage.send_text(&puppet, "waits")).is_empty());
    let (link, actions) = stage.link(&puppet, Role::Responder);
    assert!(handed(&actions).is_empty());
    assert!(handed(&stage.frame(link, puppet.proofs(Role::Initiator))).is_empty(), "no pull yet");
    assert_eq!(handed(&stage.frame(link, Frame::Pull)).len(), 1);

    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    let (link, _) = stage.link(&puppet, Role::Responder);
    assert!(handed(&stage.frame(link, Frame::Pull)).is_empty());
    assert!(handed(&stage.send_text(&puppet, "no proof yet")).is_empty());
    assert_eq!(handed(&stage.frame(link, puppet.proofs(Role::Initiator))).len(), 1);
}

#[test]
fn a_pull_is_answered_by_push_messages_and_end() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    stage.send_text(&puppet, "one");
    stage.send_text(&puppet, "two");
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    let actions = stage.frame(link, Frame::Pull);
    let kinds: Vec<&Frame> = frames(&actions).collect();
    assert!(
        matches!(
            kinds[..],
            [Frame::Push(Push { count: 2 }), Frame::Msg(_), Frame::Msg(_), Frame::End,]
        ),
        "{kinds:?}"
    );
}

// req: GSP-13, GSP-14
#[test]
fn push_and_end_come_in_pairs() {
    let puppet = Puppet::new(1);
    let push = || Frame::Push(Push { count: 0 });
    let (mut stage, link) = Stage::with_contact(&puppet);
    assert_eq!(closed(&stage.frame(link, push()), link), None);
    assert_eq!(closed(&stage.frame(link, Frame::End), link), None);
    assert_eq!(closed(&stage.frame(link, push()), link), None);
    assert_eq!(closed(&stage.frame(link, push()), link), Some(ByeReason::Protocol));
    let (mut stage, link) = Stage::with_contact(&puppet);
    assert_eq!(closed(&stage.frame(link, Frame::End), link), Some(ByeReason::Protocol));
}

// req: GSP-44
#[test]
fn a_fault_stops_what_came_behind_it_and_nothing_before_it() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let [before, behind] = ["before", "behind"].map(|text| {
        let message = puppet.text(&stage.person, text);
        msg(&puppet.seal(&stage.person, &message))
    });
    // All three are there at once, and one commit makes them durable.
    let inputs = [before, Frame::End, behind].map(|frame| Input::Frame { link, frame });
    let (actions, _) = stage.person.step(inputs.into(), stage.now);
    assert_eq!(closed(&actions, link), Some(ByeReason::Protocol));
    let acks = frames(&actions).filter(|frame| matches!(frame, Frame::Ack(_)));
    assert_eq!(acks.count(), 1, "{actions:?}");
    assert_eq!(stage.person.received(), ["before"]);
}

// req: GSP-15
#[test]
fn an_ack_for_what_was_not_handed_over_is_no_evidence() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    stage.send_text(&puppet, "still here");
    let pending = stage.person.store.pending_for(&puppet.identity.public(), None, 9);
    let id = pending.expect("a readable store")[0];
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, ack(id, AckResult::Stored));
    stage.frame(link, puppet.proofs(Role::Initiator));
    let sent = handed(&stage.frame(link, Frame::Pull));
    assert_eq!(sent.len(), 1, "the premature Ack counted for nothing");
}

// req: GSP-16
#[test]
fn the_window_of_the_taker_holds_and_moves_with_its_acks() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.hello_at(UnixMillis(START_MS), 3));
    stage.frame(link, puppet.card_frame(START_MS));
    stage.frame(link, Frame::Pull);
    let mut sent = Vec::new();
    for i in 0..10 {
        sent.extend(handed(&stage.send_text(&puppet, &format!("{i}"))));
    }
    assert_eq!(sent.len(), 3);
    let mut seen = sent.len();
    while let Some((_, id)) = sent.pop() {
        let more = handed(&stage.frame(link, ack(id, AckResult::Stored)));
        assert!(more.len() <= 1);
        seen += more.len();
        sent.extend(more);
    }
    assert_eq!(seen, 10, "every envelope, once");
}

// req: GSP-17, GSP-18
#[test]
fn an_origin_keeps_two_or_three_copies_and_gives_the_recipient_none() {
    let puppet = Puppet::new(1);
    let (mut stage, _) = Stage::with_contact(&puppet);
    let mut ttls = Vec::new();
    for i in 0..40 {
        let sent = handed(&stage.send_text(&puppet, &format!("{i}")));
        assert_eq!((sent[0].0.ttl, sent[0].0.stamp.as_slice().len()), (0, 0));
        let held = stage.person.store.envelope(&sent[0].1).expect("readable").expect("held");
        ttls.push(held.ttl);
    }
    assert!(ttls.iter().all(|ttl| [2, 3].contains(ttl)), "{ttls:?}");
    assert!(ttls.contains(&2) && ttls.contains(&3), "{ttls:?}");
}

// req: GSP-20
#[test]
fn nobody_is_handed_one_envelope_twice() {
    let puppet = Puppet::new(1);
    for result in [AckResult::Stored, AckResult::Duplicate] {
        let (mut stage, link) = Stage::with_contact(&puppet);
        let sent = handed(&stage.send_text(&puppet, "once"));
        stage.frame(link, ack(sent[0].1, result));
        stage.feed(Input::LinkDown { link });
        let link = stage.introduce(&puppet);
        assert!(handed(&stage.frame(link, Frame::Pull)).is_empty());
    }
}

// req: GSP-19, GSP-21
#[test]
fn an_ack_does_not_stop_the_origin() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let sent = handed(&stage.send_text(&puppet, "did it arrive?"));
    stage.frame(link, ack(sent[0].1, AckResult::Stored));
    let hours = |stage: &mut Stage, hours: u64| {
        let mut sent = Vec::new();
        for _ in 0..hours * 60 {
            sent.extend(handed(&stage.wait(Duration::from_secs(60))));
        }
        sent
    };
    // One hour, then six, then days: nothing in between, whatever the peer says.
    for wait in [1, 6, 24, 24] {
        assert!(hours(&mut stage, wait - 1).is_empty(), "before {wait} h are over");
        let again = hours(&mut stage, 1);
        let again: Vec<_> = again.into_iter().chain(handed(&stage.wait(Duration::ZERO))).collect();
        assert_eq!(again.len(), 1, "after {wait} h");
        assert_eq!(again[0].1, sent[0].1, "the same envelope");
        stage.frame(link, ack(again[0].1, AckResult::Duplicate));
    }
}

// req: GSP-22
#[test]
fn a_contacts_key_is_judged_by_the_contacts_clock() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    // Our own clock is a year ahead: by it the puppet's key is long past.
    stage.person.clock_offset_ms = 52 * i64::try_from(WEEK_MS).expect("small");
    stage.add(&puppet);
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.proofs(Role::Initiator));
    stage.frame(link, puppet.card_frame(START_MS));
    stage.frame(link, Frame::Pull);
    assert!(handed(&stage.send_text(&puppet, "waits for a clock")).is_empty());
    let sent = handed(&stage.frame(link, puppet.hello()));
    assert_eq!(sent.len(), 1, "the contact's clock says that the key is valid");
    let envelope = Envelope::parse(sent[0].0.envelope.as_slice().to_vec()).expect("ours");
    let expires_at = envelope.header().expires_at.0;
    assert!((START_MS..=START_MS + 2 * WEEK_MS).contains(&expires_at), "in the contact's clock");
}

// req: GSP-30
#[test]
fn an_unknown_key_leads_to_sealing_again_for_the_newest() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let first = handed(&stage.send_text(&puppet, "for the old key"));
    puppet.sealing = SealingSecret::from_seed([0x77; 32]);
    stage.frame(link, puppet.card_frame(START_MS + 1));
    let again = handed(&stage.frame(link, ack(first[0].1, refused(RefusalReason::UnknownKey))));
    assert_eq!(again.len(), 1);
    let me = puppet.identity.public();
    let envelope = Envelope::parse(again[0].0.envelope.as_slice().to_vec()).expect("ours");
    let opened = open(&envelope, &puppet.sealing, &me).expect("sealed to the new key");
    let old = Envelope::parse(first[0].0.envelope.as_slice().to_vec()).expect("ours");
    assert!(matches!(open(&old, &puppet.sealing, &me), Err(OpenError::OtherKey)));
    assert_eq!(opened.body(), &Body::Text("for the old key".into()));
}

// req: GSP-32
#[test]
fn an_envelope_near_its_end_is_replaced_by_a_new_one_of_the_same_message() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let first = handed(&stage.send_text(&puppet, "nobody answers"));
    stage.feed(Input::LinkDown { link });
    stage.wait(Duration::from_secs(13 * 24 * 3600 + 3600));
    let link = stage.introduce(&puppet);
    let again = handed(&stage.frame(link, Frame::Pull));
    let _ = again;
    let pending = stage.person.store.pending_for(&puppet.identity.public(), None, 9);
    let pending = pending.expect("a readable store");
    assert_eq!(pending.len(), 1);
    assert_ne!(pending[0], first[0].1);
    let held = stage.person.store.envelope(&pending[0]).expect("readable").expect("held");
    let me = puppet.identity.public();
    let old = Envelope::parse(first[0].0.envelope.as_slice().to_vec()).expect("ours");
    let old = open(&old, &puppet.sealing, &me).expect("ours");
    let new = open(&held.envelope, &puppet.sealing, &me).expect("ours");
    assert_eq!(old.message_id(), new.message_id());
    assert_eq!(old.bytes(), new.bytes());
}
