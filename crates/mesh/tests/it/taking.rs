//! spec/gossip.md section 6: what a taker checks, in its order.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, Input, LinkAction, Read, Visibility};
use tortalk_model::envelope::{Envelope, EnvelopeHeader};
use tortalk_model::{EnvelopeId, UnixMillis};
use tortalk_seal::{Body, SealingSecret};
use tortalk_wire::{AckResult, ByeReason, EnvelopeBytes, Frame, Msg, RefusalReason, StampBytes};

use crate::person::{Person, START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, closed, dropped, handed, refused};

// req: GSP-28
#[test]
fn a_good_message_is_stored_and_shown() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let envelope = puppet.seal(&stage.person, &message);
    let ack = stage.hand_over(link, envelope.as_bytes());
    assert_eq!((ack.id, ack.result), (envelope.id(), AckResult::Stored));
    assert_eq!(stage.person.received(), ["hello"]);
    stage.person.restart();
    let stored = stage.person.store.incoming(&message.message_id()).expect("readable");
    assert_eq!(stored.expect("it was said to be stored").body, Body::Text("hello".into()));
}

// req: GSP-23
#[test]
fn what_is_no_envelope_is_refused_by_the_id_of_its_bytes() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let good = puppet.seal(&stage.person, &message);
    let mut unknown_layout = good.as_bytes().to_vec();
    unknown_layout[0] = 9;
    let mut trailing = good.as_bytes().to_vec();
    trailing.push(0);
    for bytes in [vec![1], unknown_layout, trailing, good.as_bytes()[..1000].to_vec()] {
        let ack = stage.hand_over(link, &bytes);
        assert_eq!(ack.result, refused(RefusalReason::Malformed));
        assert_eq!(ack.id, Envelope::id_of(&bytes));
    }
    assert_eq!(stage.hand_over(link, good.as_bytes()).result, AckResult::Stored);
}

// req: LIM-08
#[test]
fn a_peer_that_brings_rubbish_again_and_again_is_left() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let rubbish = |i: u8| {
        let envelope = EnvelopeBytes::try_from(&[0, i][..]).expect("within the limit");
        Frame::Msg(Msg { ttl: 0, stamp: StampBytes::default(), envelope })
    };
    for i in 0..8 {
        assert_eq!(closed(&stage.frame(link, rubbish(i)), link), None);
    }
    assert_eq!(closed(&stage.frame(link, rubbish(8)), link), Some(ByeReason::Protocol));
}

// req: LIM-08
#[test]
fn a_contact_is_not_blamed_for_what_it_carries() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    for envelope in changed_envelopes(12, |i| {
        let message = puppet.text(&stage.person, &format!("{i}"));
        puppet.seal(&stage.person, &message)
    }) {
        let ack = stage.hand_over(link, envelope.as_bytes());
        assert_eq!(ack.result, refused(RefusalReason::Malformed));
    }
    let message = puppet.text(&stage.person, "hello");
    let good = puppet.seal(&stage.person, &message);
    assert_eq!(stage.hand_over(link, good.as_bytes()).result, AckResult::Stored);
}

// req: LIM-08
#[test]
fn a_stranger_is_left_who_brings_what_does_not_open() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let bad = changed_envelopes(9, |i| {
        let message = puppet.text(&stage.person, &format!("{i}"));
        puppet.seal_for_intro(&stage.person, &message)
    });
    let frame = |envelope: &Envelope| {
        let envelope = EnvelopeBytes::from(envelope);
        Frame::Msg(Msg { ttl: 0, stamp: StampBytes::default(), envelope })
    };
    for envelope in &bad[..8] {
        assert_eq!(closed(&stage.frame(link, frame(envelope)), link), None);
        stage.wait(Duration::from_secs(1));
    }
    assert_eq!(closed(&stage.frame(link, frame(&bad[8])), link), Some(ByeReason::Protocol));
}

/// Good envelopes, each with a byte changed inside the seal: they do not open.
fn changed_envelopes(count: usize, mut good: impl FnMut(usize) -> Envelope) -> Vec<Envelope> {
    let changed = (0..count).map(|i| {
        let envelope = good(i);
        let mut sealed = envelope.sealed().to_vec();
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        Envelope::build(envelope.header(), &sealed).expect("well-formed")
    });
    changed.collect()
}

// req: GSP-24
#[test]
fn an_envelope_for_another_mailbox_is_refused() {
    let mut puppet = Puppet::new(1);
    let (mut stage, contact_link) = Stage::with_contact(&puppet);
    let (link, _) = stage.link(&Puppet::new(2), Role::Responder);
    let message = puppet.text(&stage.person, "hello");
    let good = puppet.seal(&stage.person, &message);
    let header = EnvelopeHeader { mailbox: puppet.contact.public(), ..good.header().clone() };
    let other = Envelope::build(&header, good.sealed()).expect("well-formed");
    let ack = stage.hand_over(link, other.as_bytes());
    assert_eq!(ack.result, refused(RefusalReason::NotForMe));
    assert_eq!(stage.hand_over(contact_link, good.as_bytes()).result, AckResult::Stored);
}

// req: GSP-25, GSP-33
#[test]
fn an_envelope_is_dealt_with_once_even_after_a_restart() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let envelope = puppet.seal(&stage.person, &message);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Stored);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Duplicate);
    stage.person.restart();
    stage.feed(Input::Started);
    let link = stage.introduce(&puppet);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Duplicate);
    assert!(stage.person.store.seen(&envelope.id()).expect("readable"));
    assert_eq!(stage.person.received(), ["hello"]);
}

// req: LIM-09
#[test]
fn strangers_have_a_budget_of_openings() {
    let mut puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let mut results = Vec::new();
    for i in 0..12 {
        let message = puppet.text(&stage.person, &format!("{i}"));
        let envelope = puppet.seal_for_intro(&stage.person, &message);
        results.push(stage.hand_over(link, envelope.as_bytes()).result);
    }
    assert_eq!(results[..8], [refused(RefusalReason::NotForMe); 8], "opened: no contact");
    assert_eq!(results[8..], [refused(RefusalReason::Busy); 4], "not opened");
    stage.wait(Duration::from_secs(1));
    let message = puppet.text(&stage.person, "later");
    let envelope = puppet.seal_for_intro(&stage.person, &message);
    let later = stage.hand_over(link, envelope.as_bytes());
    assert_eq!(later.result, refused(RefusalReason::NotForMe));
}

// req: LIM-11
#[test]
fn strangers_who_use_up_their_budgets_leave_contacts_served() {
    let mut puppet = Puppet::new(1);
    let (mut stage, from_contact) = Stage::with_contact(&puppet);
    for seed in 2..=10 {
        let mut stranger = Puppet::new(seed);
        let (link, _) = stage.link(&stranger, Role::Responder);
        for i in 0..10 {
            let message = stranger.text(&stage.person, &format!("{i}"));
            let envelope = stranger.seal_for_intro(&stage.person, &message);
            stage.hand_over(link, envelope.as_bytes());
        }
        let message = puppet.text(&stage.person, "hello");
        let envelope = puppet.seal_for_intro(&stage.person, &message);
        let ack = stage.hand_over(from_contact, envelope.as_bytes());
        assert_eq!(ack.result, AckResult::Stored);
    }
}

// req: LIM-09
#[test]
fn all_strangers_together_have_a_budget_too() {
    let mut stage = Stage::new();
    let mut opened = 0;
    for seed in 1..=12 {
        let mut puppet = Puppet::new(seed);
        let (link, _) = stage.link(&puppet, Role::Responder);
        for i in 0..8 {
            let message = puppet.text(&stage.person, &format!("{i}"));
            let envelope = puppet.seal_for_intro(&stage.person, &message);
            let ack = stage.hand_over(link, envelope.as_bytes());
            opened += u32::from(ack.result == refused(RefusalReason::NotForMe));
        }
    }
    assert_eq!(opened, 64);
}

// req: GSP-36
#[test]
fn a_stranger_who_brings_what_is_known_does_not_make_us_open_it() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let envelope = puppet.seal_for_intro(&stage.person, &message);
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Stored);
    let (link, _) = stage.link(&Puppet::new(2), Role::Responder);
    for _ in 0..20 {
        // More than the budget of openings: none of it is used.
        assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Duplicate);
    }
}

// req: GSP-29
#[test]
fn an_unknown_key_is_said_to_be_unknown() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let other = SealingSecret::from_seed([9; 32]);
    let until = UnixMillis(START_MS + WEEK_MS);
    let envelope = puppet.seal_to(&stage.person, &message, other.public(), until);
    let ack = stage.hand_over(link, envelope.as_bytes());
    assert_eq!(ack.result, refused(RefusalReason::UnknownKey));
}

#[test]
fn what_does_not_open_is_malformed() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let mut bytes = puppet.seal(&stage.person, &message).into_bytes();
    *bytes.last_mut().expect("not empty") ^= 1;
    assert_eq!(stage.hand_over(link, &bytes).result, refused(RefusalReason::Malformed));
    // Somebody else's words, sealed again for us.
    let carol = Puppet::new(3);
    let words = puppet.message(carol.identity.public(), Body::Text("for Carol".into()));
    let envelope = puppet.seal(&stage.person, &words);
    let ack = stage.hand_over(link, envelope.as_bytes());
    assert_eq!(ack.result, refused(RefusalReason::Malformed));
    assert!(stage.person.received().is_empty());
}

// req: GSP-26
#[test]
fn words_of_somebody_who_is_no_contact_are_refused_whoever_brings_them() {
    let puppet = Puppet::new(1);
    let mut mallory = Puppet::new(2);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = mallory.text(&stage.person, "let me in");
    let envelope = mallory.seal(&stage.person, &message);
    let ack = stage.hand_over(link, envelope.as_bytes());
    assert_eq!(ack.result, refused(RefusalReason::NotForMe));
    let identity = mallory.identity.public();
    stage.add(&mallory);
    let block = Command::SetBlocked { identity, blocked: true };
    stage.person.command(block, stage.now).0.expect("a contact to block");
    let ack = stage.hand_over(link, envelope.as_bytes());
    assert_eq!(ack.result, refused(RefusalReason::NotForMe), "blocked looks the same");
    let allow = Command::SetBlocked { identity, blocked: false };
    stage.person.command(allow, stage.now).0.expect("a contact to let in");
    assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Stored);
}

// req: GSP-27
#[test]
fn a_message_sealed_again_is_not_shown_again() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let first = puppet.seal(&stage.person, &message);
    let second = puppet.seal(&stage.person, &message);
    assert_ne!(first.id(), second.id());
    assert_eq!(stage.hand_over(link, first.as_bytes()).result, AckResult::Stored);
    assert_eq!(stage.hand_over(link, second.as_bytes()).result, AckResult::Duplicate);
    assert_eq!(stage.person.received(), ["hello"]);
}

// req: GSP-31
#[test]
fn nothing_for_oneself_is_refused_because_of_time() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let key = stage.person.keyring.sealing[0].secret.public().clone();
    for (i, expires_at) in
        [0, START_MS - 60 * WEEK_MS, START_MS + 500 * WEEK_MS].into_iter().enumerate()
    {
        let message = puppet.text(&stage.person, &format!("{i}"));
        let envelope = puppet.seal_to(&stage.person, &message, &key, UnixMillis(expires_at));
        assert_eq!(stage.hand_over(link, envelope.as_bytes()).result, AckResult::Stored);
    }
}

// req: GSP-33
#[test]
fn a_seen_envelope_is_forgotten_after_its_expiry_and_a_day() {
    let mut puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    let message = puppet.text(&stage.person, "hello");
    let envelope = puppet.seal(&stage.person, &message);
    stage.hand_over(link, envelope.as_bytes());
    stage.wait(Duration::from_millis(WEEK_MS));
    assert!(stage.person.store.seen(&envelope.id()).expect("readable"), "a day of tolerance");
    stage.wait(Duration::from_secs(27 * 3600));
    stage.wait(Duration::from_secs(3601));
    assert!(!stage.person.store.seen(&envelope.id()).expect("readable"));
}

// req: LIM-05
#[test]
fn links_with_strangers_are_limited_and_contacts_are_not() {
    let mut stage = Stage::new();
    for seed in 1..=64 {
        let (link, actions) = stage.link(&Puppet::new(seed), Role::Responder);
        assert!(!dropped(&actions, link));
    }
    let (link, actions) = stage.link(&Puppet::new(65), Role::Responder);
    assert!(dropped(&actions, link), "one too many");
    let friend = Puppet::new(66);
    stage.add(&friend);
    let (link, actions) = stage.link(&friend, Role::Responder);
    assert!(!dropped(&actions, link));
}

// req: LIM-06
#[test]
fn a_peer_proves_sixteen_mailboxes_and_no_more() {
    use tortalk_keys::{MailboxSecret, mailbox_proof};
    let puppet = Puppet::new(1);
    let mut stage = Stage::new();
    let (link, _) = stage.link(&puppet, Role::Responder);
    let proof = |i: u8| {
        let secret = MailboxSecret::from_seed([i; 32]);
        let signature = mailbox_proof::sign(&secret, Role::Initiator, &crate::puppet::HASH);
        let mailbox = secret.public();
        tortalk_wire::MailboxProof { mailbox, signature: *signature.as_bytes() }
    };
    let frame = |range: core::ops::Range<u8>| {
        let proofs = range.map(proof).collect();
        Frame::Mailboxes(tortalk_wire::Mailboxes::new(proofs).expect("up to sixteen"))
    };
    assert_eq!(closed(&stage.frame(link, frame(0..16)), link), None);
    assert_eq!(closed(&stage.frame(link, frame(0..16)), link), None, "the same again");
    assert_eq!(closed(&stage.frame(link, frame(16..17)), link), Some(ByeReason::Protocol));
}

// req: DSC-23
#[test]
fn visibility_decides_whom_we_answer() {
    let cases = [
        (Visibility::Everyone, false, true),
        (Visibility::Contacts, false, false),
        (Visibility::Contacts, true, true),
        (Visibility::Nobody, false, false),
        (Visibility::Nobody, true, false),
    ];
    for (visibility, is_contact, answered) in cases {
        let mut stage = Stage::of(Person::with_visibility("alice", 1, visibility));
        let puppet = Puppet::new(1);
        if is_contact {
            stage.add(&puppet);
        }
        let (link, actions) = stage.link(&puppet, Role::Responder);
        assert_eq!(actions.contains(&LinkAction::Admit(link)), answered, "{visibility:?}");
        assert_eq!(dropped(&actions, link), !answered, "{visibility:?} {is_contact}");
    }
}

#[test]
fn a_frame_on_a_link_that_is_gone_does_nothing() {
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    assert!(stage.frame(link, Frame::Pull).is_empty());
    assert!(
        stage
            .frame(link, crate::puppet::ack(EnvelopeId::from_bytes([0; 32]), AckResult::Stored))
            .is_empty()
    );
    assert!(handed(&stage.send_text(&puppet, "waits")).is_empty());
}
