//! spec/carrying.md: what is taken and held for others.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Input, LinkAction, Read};
use tortalk_model::EnvelopeId;
use tortalk_model::envelope::{Envelope, EnvelopeHeader};
use tortalk_model::limits::{SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_wire::{AckResult, Frame, RefusalReason};

use crate::carrying::{acks, foreign, handed_on, have, held_ttl, offered, want, wanted, with_ttl};
use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, ack, handed, msg, refused};
use crate::purging::purge;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

// req: CAR-01
#[test]
fn nothing_is_carried_for_strangers() {
    let mut stage = Stage::new();
    let (link, _) = stage.link(&Puppet::new(1), Role::Responder);
    let (envelope, _) = foreign(1, START_MS + WEEK_MS);
    let actions = stage.frame(link, with_ttl(&envelope, 2));
    assert_eq!(acks(&actions)[0].result, refused(RefusalReason::NotForMe));
    assert!(!stage.person.store.holds(&envelope.id()).expect("readable"));
    assert!(wanted(&stage.frame(link, have(&[envelope.id()])), link).is_empty());
}

// req: CAR-12, CAR-19, CAR-23
#[test]
fn a_carrier_stores_once_raises_its_ttl_and_never_lowers_it() {
    let (mut stage, link) = Stage::with_contact(&Puppet::new(1));
    let (envelope, _) = foreign(1, START_MS + WEEK_MS);
    let id = envelope.id();
    assert_eq!(wanted(&stage.frame(link, have(&[id])), link), [id]);
    for (ttl, result, then) in [
        (0, AckResult::Stored, 0),
        (2, AckResult::Duplicate, 2),
        (1, AckResult::Duplicate, 2),
        (255, AckResult::Duplicate, 6),
    ] {
        let acks = acks(&stage.frame(link, with_ttl(&envelope, ttl)));
        assert_eq!(acks[0].result, result, "ttl {ttl}");
        assert_eq!(held_ttl(&stage, &id), Some(then), "ttl {ttl}");
    }
    assert!(wanted(&stage.frame(link, have(&[id])), link).is_empty(), "it is here");
    let held = stage.person.store.envelope(&id).expect("readable").expect("held");
    assert_eq!((held.stamp, held.purge_key), (vec![9; 16], None));
    let (other, _) = foreign(2, START_MS + WEEK_MS);
    stage.frame(link, with_ttl(&other, 200));
    assert_eq!(held_ttl(&stage, &other.id()), Some(6));
}

// req: CAR-06
#[test]
fn nothing_goes_back_to_whoever_gave_it() {
    let givers = [Puppet::new(1), Puppet::new(2)];
    let (mut stage, link) = Stage::with_contact(&givers[0]);
    stage.add(&givers[1]);
    let other = stage.introduce(&givers[1]);
    stage.wait(SECOND);
    let (envelope, _) = foreign(1, START_MS + WEEK_MS);
    let mut actions = stage.frame(link, with_ttl(&envelope, 2));
    actions.extend(stage.wait(SECOND));
    assert!(offered(&actions, link).is_empty());
    assert_eq!(offered(&actions, other), [envelope.id()]);
    assert!(handed(&stage.frame(link, want(&[envelope.id()]))).is_empty());
}

// req: CAR-20, CAR-21, CAR-24
#[test]
fn carriers_judge_the_expiry_by_their_clock() {
    let (mut stage, link) = Stage::with_contact(&Puppet::new(1));
    let day = 24 * 3_600_000;
    for (n, expires_at, result) in [
        (1, START_MS - day - 3_600_000, refused(RefusalReason::Expired)),
        (2, START_MS - day, AckResult::Stored),
        (3, START_MS + 15 * day, AckResult::Stored),
        (4, START_MS + 15 * day + 1, refused(RefusalReason::Expired)),
    ] {
        let (envelope, _) = foreign(n, expires_at);
        let acks = acks(&stage.frame(link, with_ttl(&envelope, 2)));
        assert_eq!((acks[0].result, acks[0].now), (result, stage.now.wall), "{n}");
    }
    let id = foreign(3, START_MS + 15 * day).0.id();
    for _ in 0..15 * 24 {
        stage.wait(HOUR);
    }
    stage.wait(23 * HOUR);
    assert!(stage.person.store.holds(&id).expect("readable"), "a day of tolerance");
    stage.wait(2 * HOUR);
    stage.wait(HOUR);
    assert!(!stage.person.store.holds(&id).expect("readable"));
    assert_eq!(stage.person.store.carried(), Ok(vec![]));
}

// req: CAR-22
#[test]
fn a_giver_has_an_eighth_and_nobody_is_pushed_out() {
    let givers: Vec<_> = (1..=9).map(Puppet::new).collect();
    let (mut stage, _) = Stage::with_contact(&givers[0]);
    for (giver, puppet) in (0..).zip(&givers) {
        stage.add(puppet);
        let link = stage.introduce(puppet);
        let give = |n: u16| {
            let frame = with_ttl(&foreign(giver * 1000 + n, START_MS + WEEK_MS).0, 0);
            Input::Frame { link, frame }
        };
        let (actions, _) = stage.person.step((0..513).map(give).collect(), stage.now);
        let results: Vec<_> = acks(&actions).iter().map(|ack| ack.result).collect();
        let room = if giver < 8 { 512 } else { 0 };
        assert!(results[..room].iter().all(|result| *result == AckResult::Stored), "{giver}");
        assert_eq!(results[room..], vec![refused(RefusalReason::Quota); 513 - room], "{giver}");
        assert!(acks(&actions).last().expect("answered").retry_after_s > 0);
    }
    let first = foreign(0, START_MS + WEEK_MS).0.id();
    assert!(stage.person.store.holds(&first).expect("readable"));
    let carried = stage.person.store.carried().expect("readable");
    assert_eq!(carried.iter().map(|carried| carried.envelopes).sum::<u64>(), 4096);
    // A new start counts what is there, and room comes back with expiry.
    stage.person.restart();
    stage.feed(Input::Started);
    let link = stage.introduce(&givers[8]);
    let (envelope, _) = foreign(9999, START_MS + 3 * WEEK_MS / 2);
    assert!(wanted(&stage.frame(link, have(&[envelope.id()])), link).is_empty(), "no room");
    let acks_of = |actions: Vec<LinkAction>| acks(&actions)[0].result;
    let refusal = refused(RefusalReason::Quota);
    assert_eq!(acks_of(stage.frame(link, with_ttl(&envelope, 0))), refusal);
    for _ in 0..9 * 24 {
        stage.wait(HOUR);
    }
    assert_eq!(acks_of(stage.frame(link, with_ttl(&envelope, 0))), AckResult::Stored);
}

// req: CAR-22
#[test]
fn the_quota_counts_bytes_too() {
    let (mut stage, link) = Stage::with_contact(&Puppet::new(1));
    let large = |n: u16| {
        let (small, _) = foreign(n, START_MS + WEEK_MS);
        let sealed = vec![0; SUITE_1_ENC_BYTES + 65_536 + SUITE_1_TAG_BYTES];
        Envelope::build(small.header(), &sealed).expect("well-formed")
    };
    let give = |n| Input::Frame { link, frame: with_ttl(&large(n), 0) };
    let (actions, _) = stage.person.step((0..140).map(give).collect(), stage.now);
    let stored = acks(&actions).iter().filter(|ack| ack.result == AckResult::Stored).count();
    assert_eq!(stored, 8 * 1024 * 1024 / large(0).as_bytes().len());
}

// req: CAR-13, CAR-14
#[test]
fn an_envelope_is_wanted_of_one_at_a_time() {
    let givers: Vec<_> = (1..=3).map(Puppet::new).collect();
    let (mut stage, _) = Stage::with_contact(&givers[0]);
    let mut links = Vec::new();
    for giver in &givers {
        stage.add(giver);
        links.push(stage.introduce(giver));
    }
    let (envelope, _) = foreign(1, START_MS + WEEK_MS);
    let id = envelope.id();
    assert_eq!(wanted(&stage.frame(links[0], have(&[id])), links[0]), [id]);
    for link in &links[1..] {
        assert!(wanted(&stage.frame(*link, have(&[id])), *link).is_empty());
    }
    // It does not come in time: the next who offered it is asked.
    let due = stage.person.mesh.next_deadline(stage.now);
    assert!(due <= stage.now.mono + 10 * SECOND);
    stage.wait(9 * SECOND);
    let actions = stage.wait(SECOND);
    assert_eq!(wanted(&actions, links[1]), [id]);
    // That one leaves: the next.
    let actions = stage.feed(Input::LinkDown { link: links[1] });
    assert_eq!(wanted(&actions, links[2]), [id]);
    let acks = acks(&stage.frame(links[2], with_ttl(&envelope, 1)));
    assert_eq!(acks[0].result, AckResult::Stored);
    let actions = stage.feed(Input::LinkDown { link: links[2] });
    assert!(wanted(&actions, links[0]).is_empty(), "it has come");
}

// req: CAR-34
#[test]
fn offers_that_never_come_cost_bounded_memory_and_block_nobody() {
    let givers = [Puppet::new(1), Puppet::new(2)];
    let (mut stage, liar) = Stage::with_contact(&givers[0]);
    stage.add(&givers[1]);
    let honest = stage.introduce(&givers[1]);
    let (envelope, _) = foreign(1, START_MS + WEEK_MS);
    let id = envelope.id();
    stage.frame(liar, have(&[id]));
    let made_up =
        |n: u16| EnvelopeId::from_bytes(tortalk_model::hash::labelled(b"x", &[&n.to_be_bytes()]));
    let mut asked = 1;
    for frame in 0..40u16 {
        let ids: Vec<_> = (0..256).map(|n| made_up(frame * 256 + n)).collect();
        asked += wanted(&stage.frame(liar, have(&ids)), liar).len();
    }
    assert_eq!(asked, 4096);
    stage.frame(honest, have(&[id]));
    assert_eq!(wanted(&stage.wait(10 * SECOND), honest), [id]);
}

// req: CAR-33
#[test]
fn a_flood_of_offers_is_not_read() {
    let (mut stage, link) = Stage::with_contact(&Puppet::new(1));
    let mut answered = 0;
    for n in 0..200u16 {
        let id = foreign(n, START_MS + WEEK_MS).0.id();
        answered += wanted(&stage.frame(link, have(&[id])), link).len();
    }
    assert_eq!(answered, 64);
    stage.wait(SECOND);
    let (envelope, key) = foreign(300, START_MS + WEEK_MS);
    stage.frame(link, with_ttl(&envelope, 0));
    for _ in 0..64 {
        stage.frame(link, have(&[envelope.id()]));
    }
    stage.frame(link, purge(&[key]));
    assert!(stage.person.store.holds(&envelope.id()).expect("readable"), "one too many");
    // The three share one budget.
    for frame in [want(&[foreign(1, 0).0.id()]), purge(&[foreign(1, 0).1])] {
        stage.wait(SECOND);
        for _ in 0..64 {
            stage.frame(link, frame.clone());
        }
        let id = foreign(400, START_MS + WEEK_MS).0.id();
        assert!(wanted(&stage.frame(link, have(&[id])), link).is_empty());
    }
    stage.wait(SECOND);
    let id = foreign(500, START_MS + WEEK_MS).0.id();
    assert_eq!(wanted(&stage.frame(link, have(&[id])), link), [id]);
}

// req: CAR-09
#[test]
fn a_recipient_who_comes_is_handed_what_is_carried_whatever_its_ttl() {
    let (giver, mut bob) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, link) = Stage::with_contact(&giver);
    stage.add(&bob);
    let (small, _) = foreign(1, START_MS + WEEK_MS);
    let header = EnvelopeHeader { mailbox: bob.contact.public(), ..small.header().clone() };
    let envelope = Envelope::build(&header, small.sealed()).expect("well-formed");
    stage.frame(link, with_ttl(&envelope, 0));
    let (to_bob, _) = stage.link(&bob, Role::Responder);
    assert!(handed(&stage.frame(to_bob, Frame::Pull)).is_empty(), "not proved yet");
    let sent = handed(&stage.frame(to_bob, bob.proofs(Role::Initiator)));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0.ttl, sent[0].0.stamp.len()), (0, 0));
    stage.frame(to_bob, ack(envelope.id(), AckResult::Stored));
    assert!(handed(&stage.frame(to_bob, Frame::Pull)).is_empty(), "once");
    assert!(stage.person.store.holds(&envelope.id()).expect("readable"), "until it is purged");
    // And one that comes while the recipient is here goes on at once.
    let (next, _) = foreign(2, START_MS + WEEK_MS);
    let header = EnvelopeHeader { mailbox: bob.contact.public(), ..next.header().clone() };
    let next = Envelope::build(&header, next.sealed()).expect("well-formed");
    assert_eq!(handed_on(&stage.frame(link, with_ttl(&next, 0)), to_bob).len(), 1);
    let text = bob.text(&stage.person, "hi");
    let own = bob.seal(&stage.person, &text);
    assert_eq!(acks(&stage.frame(link, msg(&own)))[0].result, AckResult::Stored, "for us");
}
