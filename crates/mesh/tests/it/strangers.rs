//! What a peer who means no good can learn, and what it can make us spend.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_keys::{MailboxSecret, mailbox_proof};
use tortalk_mesh::{Command, Input, LinkAction, LinkId};
use tortalk_model::envelope::{Envelope, EnvelopeHeader};
use tortalk_model::{DeviceId, InstanceId, KeyId};
use tortalk_wire::{AckResult, ByeReason, Frame, MailboxProof, Mailboxes, RefusalReason};

use crate::person::START_MS;
use crate::puppet::{HASH, Puppet, Stage, as_frame, closed, dropped, frames, refused};

// req: GSP-24
#[test]
fn nobody_can_find_out_whose_contact_mailbox_it_is() {
    let mut friend = Puppet::new(1);
    let (mut stage, friends_link) = Stage::with_contact(&friend);
    let message = friend.text(&stage.person, "for Alice");
    let seen = friend.seal(&stage.person, &message);
    assert_eq!(stage.hand_over(friends_link, seen.as_bytes()).result, AckResult::Stored);
    let mut stranger = Puppet::new(2);
    let (link, _) = stage.link(&stranger, Role::Responder);
    let words = stranger.text(&stage.person, "is it you?");
    let sealed = stranger.seal(&stage.person, &words);
    let unknown_key =
        EnvelopeHeader { key_id: KeyId::from_bytes([9; 8]), ..sealed.header().clone() };
    let unknown_key = Envelope::build(&unknown_key, sealed.sealed()).expect("well-formed");
    let mut junk = sealed.as_bytes().to_vec();
    *junk.last_mut().expect("not empty") ^= 1;
    let not_for_me = refused(RefusalReason::NotForMe);
    for _ in 0..20 {
        for bytes in [seen.as_bytes(), sealed.as_bytes(), unknown_key.as_bytes(), &junk[..]] {
            assert_eq!(stage.hand_over(link, bytes).result, not_for_me);
        }
    }
}

// req: GSP-06, GSP-43
#[test]
fn one_bad_proof_is_the_last_that_is_looked_at() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    let (link, _) = stage.link(&puppet, Role::Responder);
    let mailbox = puppet.contact.public();
    let bad = MailboxProof { mailbox, signature: [0; 64] };
    let bad = Frame::Mailboxes(Mailboxes::new(vec![bad]).expect("one proof"));
    assert_eq!(closed(&stage.frame(link, bad.clone()), link), Some(ByeReason::Protocol));
    // It may send on until it reads the Bye: nothing comes of it.
    assert!(stage.frame(link, bad).is_empty());
    assert!(stage.frame(link, puppet.proofs(Role::Initiator)).is_empty());
    assert!(stage.frame(link, puppet.hello()).is_empty());
    assert!(stage.frame(link, Frame::Pull).is_empty());
    assert!(stage.frame(link, puppet.card_frame(START_MS)).is_empty());
    assert!(stage.send_text(&puppet, "not on this link").is_empty());
}

// req: LIM-06
#[test]
fn the_seventeenth_mailbox_is_not_verified() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let proof = |i: u8| {
        let secret = MailboxSecret::from_seed([i; 32]);
        let signature = mailbox_proof::sign(&secret, Role::Initiator, &HASH);
        MailboxProof { mailbox: secret.public(), signature: *signature.as_bytes() }
    };
    let sixteen = Mailboxes::new((0..16).map(proof).collect()).expect("sixteen");
    assert_eq!(closed(&stage.frame(link, Frame::Mailboxes(sixteen)), link), None);
    let one_more = Mailboxes::new(vec![proof(16)]).expect("one");
    let actions = stage.frame(link, Frame::Mailboxes(one_more));
    assert_eq!(closed(&actions, link), Some(ByeReason::Protocol));
}

// req: GSP-40
#[test]
fn the_same_card_is_shown_once_on_a_link() {
    for contact in [false, true] {
        let puppet = Puppet::new(1);
        let mut stage = Stage::new();
        if contact {
            stage.add(&puppet);
        }
        let (link, _) = stage.link(&puppet, Role::Responder);
        let cards = |actions: &[LinkAction]| {
            frames(actions).filter(|frame| matches!(frame, Frame::Card(_))).count()
        };
        let shown: usize = (0..50).map(|_| cards(&stage.frame(link, puppet.hello()))).sum();
        assert_eq!(shown, 1, "contact {contact}");
        let name = Command::SetOwnName { name: "Alice B.".into() };
        let (outcome, actions) = stage.person.command(name, stage.now);
        outcome.expect("a good name");
        assert_eq!(cards(&actions), 1, "a new card is shown");
    }
}

// req: GSP-29
#[test]
fn a_suite_of_a_later_version_is_no_fault() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for i in 0..12 {
        let message = puppet.text(&stage.person, &format!("{i}"));
        let good = puppet.seal(&stage.person, &message);
        let header = EnvelopeHeader { suite: 2, ..good.header().clone() };
        let later = Envelope::build(&header, good.sealed()).expect("well-formed");
        let ack = stage.hand_over(link, later.as_bytes());
        assert_eq!(ack.result, refused(RefusalReason::UnknownKey));
    }
    let message = puppet.text(&stage.person, "still linked");
    let good = puppet.seal(&stage.person, &message);
    assert_eq!(stage.hand_over(link, good.as_bytes()).result, AckResult::Stored);
}

// req: GSP-25
#[test]
fn what_was_dealt_with_is_a_duplicate_whatever_has_changed_since() {
    let mut puppet = Puppet::new(1);
    let carrier = Puppet::new(2);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.add(&carrier);
    let message = puppet.text(&stage.person, "hello");
    let envelope = puppet.seal(&stage.person, &message);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Stored);
    let identity = puppet.identity.public();
    let block = Command::SetBlocked { identity, blocked: true };
    stage.person.command(block, stage.now).0.expect("a contact to block");
    let link = stage.introduce(&carrier);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Duplicate);
    let allow = Command::SetBlocked { identity, blocked: false };
    stage.person.command(allow, stage.now).0.expect("a contact to let in");
    stage.person.forget_sealing_keys();
    stage.feed(Input::Started);
    let link = stage.introduce(&puppet);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Duplicate);
}

// req: GSP-05
#[test]
fn a_peer_that_started_anew_is_not_kept_out_by_its_dead_link() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    stage.add(&puppet);
    // By the initiators' ids alone the first link would stay.
    puppet.instance_id = InstanceId::from_bytes([0; 16]);
    let (first, _) = stage.link(&puppet, Role::Responder);
    stage.wait(Duration::from_secs(2));
    puppet.instance_id = InstanceId::from_bytes([0xff; 16]);
    let (second, actions) = stage.link(&puppet, Role::Responder);
    assert_eq!(closed(&actions, first), Some(ByeReason::Duplicate));
    assert_eq!(closed(&actions, second), None);
}

// req: GSP-42
#[test]
fn of_two_young_links_that_one_side_dialled_both_ends_keep_the_same() {
    // The two ends learn of the links in different orders.
    let survivor = |order: [u8; 2]| {
        let puppet = Puppet::new(1);
        let mut stage = Stage::new();
        let mut links = Vec::new();
        let mut lost = None;
        for hash in order {
            let (link, actions) = stage.link_with_hash(&puppet, Role::Responder, [hash; 64]);
            links.push((link, hash));
            let is_closed = |&&(link, _): &&(LinkId, u8)| closed(&actions, link).is_some();
            lost = links.iter().find(is_closed).map(|(_, hash)| *hash).or(lost);
        }
        lost.expect("one of them goes")
    };
    assert_eq!(survivor([1, 2]), survivor([2, 1]));
    assert_eq!(survivor([1, 2]), 2, "the lower handshake hash stays");
}

// req: LIM-10
#[test]
fn one_person_has_eight_links_at_most() {
    for contact in [false, true] {
        let mut puppet = Puppet::new(1);
        let mut stage = Stage::new();
        if contact {
            stage.add(&puppet);
        }
        for device in 0..20 {
            puppet.device_id = DeviceId::from_bytes([device; 8]);
            let (link, actions) = stage.link(&puppet, Role::Responder);
            assert_eq!(dropped(&actions, link), device >= 8, "contact {contact}, {device}");
        }
        // The same device again replaces its own.
        puppet.device_id = DeviceId::from_bytes([0; 8]);
        stage.wait(Duration::from_secs(6));
        let (link, actions) = stage.link(&puppet, Role::Responder);
        assert!(!dropped(&actions, link), "contact {contact}");
    }
}

#[test]
fn an_acceptance_is_not_forgotten_for_a_later_card() {
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    stage.frame(link, puppet.card_frame(START_MS + 5));
    stage.frame(link, as_frame(&puppet.card(START_MS + 9, false)));
    stage.wait(Duration::from_secs(1));
    stage.frame(link, puppet.card_frame(START_MS));
    stage.add(&puppet);
    let contact = stage.person.mesh.contact(&puppet.identity.public()).expect("a contact");
    let card = contact.card.as_deref().expect("the card that said so");
    assert_eq!(tortalk_keys::card::Card::parse(card).expect("valid").seq(), START_MS + 5);
}
