//! spec/carrying.md: what is given to others to be carried.

use core::time::Duration;

use tortalk_keys::MailboxSecret;
use tortalk_keys::link_auth::Role;
use tortalk_mesh::{
    Command, DeliveryState, Event, Input, LinkAction, LinkId, Read, RetiredMailbox,
};
use tortalk_model::entropy::Entropy;
use tortalk_model::envelope::{Envelope, EnvelopeHeader, purge_hash};
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{EnvelopeId, KeyId, MailboxKey, PurgeKey, UnixMillis};
use tortalk_wire::{
    Ack, AckResult, EnvelopeBytes, EnvelopeIds, Frame, Msg, RefusalReason, StampBytes,
};

use crate::person::{START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, ack, handed, refused};
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Alice, carol and bob: alice and bob know each other by their cards, carol is a
/// contact of both.
fn three() -> World {
    let mut world = World::new(&["alice", "carol", "bob"]);
    world.befriend(0, 1);
    world.befriend(1, 2);
    world.introduce(0, 2);
    world.pace = Duration::from_millis(500);
    world
}

/// Links two people for a while.
pub(crate) fn meet(world: &mut World, a: usize, b: usize) {
    world.connect(a, b);
    world.run();
    world.advance(5 * SECOND);
    world.cut_all();
}

pub(crate) fn carried(world: &World, person: usize) -> u64 {
    let carried = world.people[person].store.carried().expect("readable");
    carried.iter().map(|carried| carried.envelopes).sum()
}

/// The ids in the offers on a link.
pub(crate) fn offered(actions: &[LinkAction], link: LinkId) -> Vec<EnvelopeId> {
    let on_link = actions.iter().filter_map(|action| match action {
        LinkAction::Send(id, Frame::Have(ids)) if *id == link => Some(ids.as_slice().to_vec()),
        _ => None,
    });
    on_link.flatten().collect()
}

pub(crate) fn wanted(actions: &[LinkAction], link: LinkId) -> Vec<EnvelopeId> {
    let on_link = actions.iter().filter_map(|action| match action {
        LinkAction::Send(id, Frame::Want(ids)) if *id == link => Some(ids.as_slice().to_vec()),
        _ => None,
    });
    on_link.flatten().collect()
}

/// The envelopes handed over on a link.
pub(crate) fn handed_on(actions: &[LinkAction], link: LinkId) -> Vec<(Msg, EnvelopeId)> {
    let on_link = actions.iter().filter(|a| matches!(a, LinkAction::Send(id, _) if *id == link));
    handed(&on_link.cloned().collect::<Vec<_>>())
}

pub(crate) fn have(ids: &[EnvelopeId]) -> Frame {
    Frame::Have(EnvelopeIds::new(ids.to_vec()).expect("1 to 256"))
}

pub(crate) fn want(ids: &[EnvelopeId]) -> Frame {
    Frame::Want(EnvelopeIds::new(ids.to_vec()).expect("1 to 256"))
}

/// An envelope of somebody for somebody whom the person under test may not know.
pub(crate) fn foreign(n: u16, expires_at: u64) -> (Envelope, PurgeKey) {
    let key = PurgeKey::from_bytes(tortalk_model::hash::labelled(b"key", &[&n.to_be_bytes()]));
    let header = EnvelopeHeader {
        suite: SUITE_1,
        mailbox: MailboxKey::from_bytes([0x77; 32]),
        key_id: KeyId::from_bytes([1; 8]),
        expires_at: UnixMillis(expires_at).ceil_to_hour(),
        purge_hash: purge_hash(&key),
        ext: Vec::new(),
    };
    let sealed = vec![0; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
    (Envelope::build(&header, &sealed).expect("well-formed"), key)
}

pub(crate) fn with_ttl(envelope: &Envelope, ttl: u8) -> Frame {
    let envelope = EnvelopeBytes::from(envelope);
    Frame::Msg(Msg { ttl, stamp: StampBytes::from([9; 16]), envelope })
}

pub(crate) fn held_ttl(stage: &Stage, id: &EnvelopeId) -> Option<u8> {
    stage.person.store.envelope(id).expect("readable").map(|held| held.ttl)
}

/// The person knows bob, who is not here; carriers are linked contacts.
fn with_carriers(bob: &Puppet, carriers: &[Puppet]) -> (Stage, Vec<LinkId>) {
    let (mut stage, link) = Stage::with_contact(bob);
    stage.feed(Input::LinkDown { link });
    let links = carriers.iter().map(|carrier| {
        stage.add(carrier);
        stage.introduce(carrier)
    });
    let links = links.collect();
    stage.wait(3 * SECOND);
    (stage, links)
}

/// On which link an envelope was handed over.
fn taker(actions: &[LinkAction]) -> Option<LinkId> {
    actions.iter().find_map(|action| match action {
        LinkAction::Send(link, Frame::Msg(_)) => Some(*link),
        _ => None,
    })
}

pub(crate) fn acks(actions: &[LinkAction]) -> Vec<Ack> {
    let acks = actions.iter().filter_map(|action| match action {
        LinkAction::Send(_, Frame::Ack(ack)) => Some(*ack),
        _ => None,
    });
    acks.collect()
}

// req: CAR-09, CAR-16, CAR-18, CAR-24
#[test]
fn a_message_and_its_receipt_travel_by_a_common_contact() {
    let mut world = three();
    let id = world.send(0, 2, "by carol");
    meet(&mut world, 0, 1);
    assert_eq!(world.state(0, &id), DeliveryState::Handed { peers: 1 });
    assert_eq!(carried(&world, 1), 1);
    meet(&mut world, 1, 2);
    assert_eq!(world.people[2].received(), ["by carol"]);
    assert_eq!(carried(&world, 1), 1, "the message is purged, the receipt is on its way");
    meet(&mut world, 0, 1);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
    assert_eq!(carried(&world, 1), 0, "nothing is left");
}

// req: REQ-28
#[test]
fn what_is_carried_for_a_mailbox_that_was_replaced_still_arrives() {
    let mut world = three();
    let id = world.send(0, 2, "to the old mailbox");
    meet(&mut world, 0, 1);
    world.people[2].rekey(|keys, random| {
        let new = MailboxSecret::from_seed(random.bytes());
        let secret = core::mem::replace(&mut keys.contact_mailbox, new);
        let until = UnixMillis(START_MS + 6 * WEEK_MS);
        keys.retired_mailboxes.push(RetiredMailbox { secret, until });
    });
    world.restart(2);
    meet(&mut world, 1, 2);
    assert_eq!(world.people[2].received(), ["to the old mailbox"]);
    meet(&mut world, 0, 1);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
}

// req: CAR-24
#[test]
fn a_carrier_that_starts_anew_in_between_still_has_it() {
    let mut world = three();
    let id = world.send(0, 2, "kept");
    meet(&mut world, 0, 1);
    world.restart(1);
    meet(&mut world, 1, 2);
    world.restart(1);
    world.restart(0);
    meet(&mut world, 0, 1);
    assert_eq!(world.people[2].received(), ["kept"]);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
}

// req: CAR-09
#[test]
fn all_three_at_once_deliver_once() {
    let mut world = three();
    world.connect(0, 1);
    world.connect(1, 2);
    world.run();
    let ids: Vec<_> = (0..20).map(|n| world.send(0, 2, &format!("{n}"))).collect();
    world.advance(60 * SECOND);
    let mut received = world.people[2].received();
    received.sort_unstable();
    received.dedup();
    assert_eq!(received.len(), 20);
    assert_eq!(world.people[2].received().len(), 20);
    for id in &ids {
        assert_eq!(world.state(0, id), DeliveryState::Delivered);
    }
    assert_eq!(carried(&world, 1), 0);
}

// req: CAR-03, CAR-04, CAR-05, CAR-06, CAR-07, CAR-10
#[test]
fn copies_are_made_one_after_another_until_the_ttl_is_used_up() {
    let bob = Puppet::new(1);
    let carriers: Vec<_> = (2..8).map(Puppet::new).collect();
    let (mut stage, links) = with_carriers(&bob, &carriers);
    let actions = stage.send_text(&bob, "copies");
    assert!(handed(&actions).is_empty(), "nothing before a Want");
    let id = offered(&actions, links[0])[0];
    for link in &links {
        assert_eq!(offered(&actions, *link), [id]);
    }
    let mut ttl = held_ttl(&stage, &id).expect("held");
    let copies = ttl;
    let mut sent = handed(&stage.frame(links[0], want(&[id])));
    for link in &links[1..] {
        let more = handed(&stage.frame(*link, want(&[id])));
        assert!(more.is_empty(), "one at a time");
    }
    let mut takers = 0;
    let mut holder = links[0];
    while let Some((msg, _)) = sent.pop() {
        takers += 1;
        assert_eq!(msg.ttl, ttl - 1);
        assert_eq!(msg.stamp.len(), 16);
        assert_eq!(held_ttl(&stage, &id), Some(ttl), "not before it is stored");
        ttl -= 1;
        // Only the one who has it can answer.
        for link in links.iter().filter(|link| **link != holder) {
            assert!(stage.frame(*link, ack(id, AckResult::Stored)).is_empty());
        }
        let actions = stage.frame(holder, ack(id, AckResult::Stored));
        assert_eq!(held_ttl(&stage, &id), Some(ttl));
        sent = handed(&actions);
        holder = taker(&actions).unwrap_or(holder);
    }
    assert_eq!((ttl, takers), (0, copies));
}

// req: CAR-05
#[test]
fn a_duplicate_costs_no_copy() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2), Puppet::new(3)]);
    let id = offered(&stage.send_text(&bob, "twice"), links[0])[0];
    let ttl = held_ttl(&stage, &id);
    assert_eq!(handed(&stage.frame(links[0], want(&[id]))).len(), 1);
    stage.frame(links[0], ack(id, AckResult::Duplicate));
    assert_eq!(held_ttl(&stage, &id), ttl);
    assert!(handed(&stage.frame(links[0], want(&[id]))).is_empty(), "they have it");
    assert_eq!(handed(&stage.frame(links[1], want(&[id]))).len(), 1);
}

// req: CAR-08
#[test]
fn what_was_not_offered_is_not_given() {
    let bob = Puppet::new(1);
    let carriers = [Puppet::new(2), Puppet::new(3)];
    let (mut stage, links) = with_carriers(&bob, &carriers[..1]);
    let id = offered(&stage.send_text(&bob, "offered"), links[0])[0];
    // A contact to whom it was not offered: they have not asked for anything yet.
    stage.add(&carriers[1]);
    let (other, _) = stage.link(&carriers[1], Role::Responder);
    assert!(handed(&stage.frame(other, want(&[id]))).is_empty());
    assert!(handed(&stage.frame(links[0], want(&[EnvelopeId::from_bytes([1; 32])]))).is_empty());
    assert_eq!(handed(&stage.frame(links[0], want(&[id]))).len(), 1);
}

// req: CAR-33
#[test]
fn a_flood_of_wants_is_not_read() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    let id = offered(&stage.send_text(&bob, "patience"), links[0])[0];
    for _ in 0..64 {
        stage.frame(links[0], want(&[EnvelopeId::from_bytes([1; 32])]));
    }
    assert!(handed(&stage.frame(links[0], want(&[id]))).is_empty());
    stage.wait(SECOND);
    assert_eq!(handed(&stage.frame(links[0], want(&[id]))).len(), 1);
}

// req: CAR-02
#[test]
fn strangers_and_the_blocked_are_offered_nothing() {
    let bob = Puppet::new(1);
    let carol = Puppet::new(2);
    let (mut stage, links) = with_carriers(&bob, core::slice::from_ref(&carol));
    let stranger = stage.introduce(&Puppet::new(3));
    let actions = stage.send_text(&bob, "for contacts");
    let id = offered(&actions, links[0])[0];
    assert!(offered(&actions, stranger).is_empty());
    assert!(handed(&stage.frame(stranger, want(&[id]))).is_empty());
    let block = Command::SetBlocked { identity: carol.identity.public(), blocked: true };
    stage.person.command(block, stage.now).0.expect("a contact");
    assert!(handed(&stage.frame(links[0], want(&[id]))).is_empty());
    assert!(offered(&stage.send_text(&bob, "more"), links[0]).is_empty());
}

#[test]
fn what_is_for_somebody_blocked_goes_nowhere() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    let id = offered(&stage.send_text(&bob, "never mind"), links[0])[0];
    let blocked = |blocked| Command::SetBlocked { identity: bob.identity.public(), blocked };
    stage.person.command(blocked(true), stage.now).0.expect("a contact");
    assert!(handed(&stage.frame(links[0], want(&[id]))).is_empty());
    let (_, actions) = stage.person.command(blocked(false), stage.now);
    assert_eq!(handed(&actions).len(), 1, "and then it does");
}

// req: CAR-11
#[test]
fn an_offer_is_made_once_on_a_link_and_again_on_the_next() {
    let (bob, carol) = (Puppet::new(1), Puppet::new(2));
    let (mut stage, links) = with_carriers(&bob, core::slice::from_ref(&carol));
    let id = offered(&stage.send_text(&bob, "offered"), links[0])[0];
    let mut later = stage.wait(10 * SECOND);
    later.extend(stage.frame(links[0], Frame::Pull));
    later.extend(stage.wait(10 * SECOND));
    assert!(offered(&later, links[0]).is_empty());
    stage.feed(Input::LinkDown { link: links[0] });
    let (link, _) = stage.link(&carol, Role::Responder);
    assert_eq!(offered(&stage.frame(link, Frame::Pull), link), [id]);
}

// req: CAR-11
#[test]
fn what_is_not_held_any_more_is_not_offered() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    stage.send_text(&bob, "the first fills the bundle");
    let to = bob.identity.public();
    let send = Command::SendText { to, text: "second".into() };
    let (outcome, actions) = stage.person.command(send, stage.now);
    assert!(offered(&actions, links[0]).is_empty(), "it waits for the next bundle");
    let Ok(tortalk_mesh::Outcome::Queued { message_id, .. }) = outcome else { panic!("queued") };
    stage.person.command(Command::Cancel { message_id }, stage.now).0.expect("ours");
    assert!(offered(&stage.wait(SECOND), links[0]).is_empty());
}

// req: CAR-15
#[test]
fn a_recipient_who_is_here_comes_first() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    let to_bob = stage.introduce(&bob);
    stage.wait(10 * SECOND);
    // No answer within two seconds.
    let actions = stage.send_text(&bob, "no answer");
    assert_eq!(handed_on(&actions, to_bob).len(), 1);
    assert!(offered(&actions, links[0]).is_empty());
    let due = stage.person.mesh.next_deadline(stage.now);
    assert!(due <= stage.now.mono + 2 * SECOND, "the machine wants to be woken");
    assert!(offered(&stage.wait(Duration::from_millis(1999)), links[0]).is_empty());
    let id = handed_on(&actions, to_bob)[0].1;
    assert_eq!(offered(&stage.wait(Duration::from_millis(1)), links[0]), [id]);
    // Stored, and no receipt within two seconds of that.
    let second = handed(&stage.send_text(&bob, "no receipt"))[0].1;
    stage.wait(SECOND);
    stage.frame(to_bob, ack(second, AckResult::Stored));
    assert!(offered(&stage.wait(Duration::from_millis(1999)), links[0]).is_empty());
    assert_eq!(offered(&stage.wait(Duration::from_millis(1)), links[0]), [second]);
    // When the recipient leaves, nothing is waited for.
    let third = handed(&stage.send_text(&bob, "gone"))[0].1;
    let gone = stage.feed(Input::LinkDown { link: to_bob });
    let mut ids = offered(&gone, links[0]);
    ids.extend(offered(&stage.wait(SECOND), links[0]));
    assert_eq!(ids, [third]);
}

// req: CAR-15
#[test]
fn a_wanted_envelope_is_not_given_once_its_recipient_has_come() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    let id = offered(&stage.send_text(&bob, "first"), links[0])[0];
    let to_bob = stage.introduce(&bob);
    assert!(handed(&stage.frame(links[0], want(&[id]))).is_empty());
    assert_eq!(handed(&stage.wait(2 * SECOND)).len(), 1, "but if there is no receipt");
    let _ = to_bob;
}

// req: CAR-15
#[test]
fn two_people_who_are_linked_trouble_nobody_else() {
    let mut world = three();
    world.connect(0, 2);
    world.connect(0, 1);
    world.connect(2, 1);
    world.run();
    world.advance(60 * SECOND);
    let before = world.bytes;
    for n in 0..50 {
        world.send(0, 2, &format!("{n}"));
        world.run();
    }
    world.advance(10 * SECOND);
    assert_eq!(world.people[2].received().len(), 50);
    assert_eq!(carried(&world, 1), 0);
    let per_message = (world.bytes - before) / 50;
    // An envelope of the smallest bucket and one for the receipt, half as much again
    // for everything else.
    let envelope = 1120 + 512 + 16 + 89;
    assert!(per_message < 3 * envelope, "{per_message} bytes a message");
}

// req: CAR-17, CAR-06
#[test]
fn a_timed_try_goes_round_again_to_contacts_who_do_not_have_it() {
    let bob = Puppet::new(1);
    let carriers: Vec<_> = (2..9).map(Puppet::new).collect();
    let (mut stage, links) = with_carriers(&bob, &carriers[..5]);
    let id = offered(&stage.send_text(&bob, "again"), links[0])[0];
    let mut actions = Vec::new();
    for link in &links {
        actions.extend(stage.frame(*link, want(&[id])));
    }
    let mut takers = Vec::new();
    while let Some(link) = taker(&actions) {
        takers.push(link);
        actions = stage.frame(link, ack(id, AckResult::Stored));
    }
    assert_eq!(held_ttl(&stage, &id), Some(0));
    let mut again = stage.wait(HOUR);
    assert_eq!(held_ttl(&stage, &id), Some(2));
    let mut fresh = Vec::new();
    while let Some(link) = taker(&again) {
        fresh.push(link);
        again = stage.frame(link, ack(id, AckResult::Stored));
    }
    assert!(!fresh.is_empty() && fresh.len() <= 2);
    assert!(fresh.iter().all(|link| !takers.contains(link)), "{fresh:?} {takers:?}");
}

/// An origin with twenty contacts who know each other too.
#[test]
fn at_most_eight_hold_a_message_before_the_first_timed_try() {
    const CONTACTS: usize = 20;
    let names = vec!["somebody"; CONTACTS + 2];
    let mut world = World::new(&names);
    let bob = CONTACTS + 1;
    world.introduce(0, bob);
    for a in 0..=CONTACTS {
        let others: Vec<usize> = if a == 0 { (1..=CONTACTS).collect() } else { vec![a + 1, a + 2] };
        for b in others.into_iter().filter(|b| *b <= CONTACTS) {
            world.befriend(a, b);
            world.connect(a, b);
        }
    }
    world.run();
    let ids: Vec<_> = (0..6).map(|n| world.send(0, bob, &format!("{n}"))).collect();
    world.pace = Duration::from_secs(5);
    world.advance(Duration::from_secs(120));
    let mut most = 0;
    for id in &ids {
        let message = world.people[0].store.outgoing(id).expect("readable").expect("ours");
        let envelope = message.envelope_id.expect("sealed");
        let holds = |person: &&crate::person::Person| person.store.holds(&envelope).expect("ok");
        let holders = world.people.iter().filter(holds).count();
        assert!((4..=8).contains(&holders), "{holders} hold it");
        most = most.max(holders);
    }
    assert!(most > 4, "some began with three");
}

// req: CAR-18
#[test]
fn a_carrier_with_another_clock_makes_the_origin_seal_once_for_it() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2), Puppet::new(3)]);
    let id = offered(&stage.send_text(&bob, "in time"), links[0])[0];
    let before = stage.person.store.envelope(&id).expect("readable").expect("held");
    assert_eq!(handed(&stage.frame(links[0], want(&[id]))).len(), 1);
    let ahead = UnixMillis(START_MS + WEEK_MS + WEEK_MS / 2);
    let expired = |id, now| {
        let result = refused(RefusalReason::Expired);
        Frame::Ack(Ack { id, result, retry_after_s: 0, now })
    };
    let mut actions = stage.frame(links[0], expired(id, ahead));
    actions.extend(stage.wait(SECOND));
    let again = offered(&actions, links[0]);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0], id);
    let held = stage.person.store.envelope(&again[0]).expect("readable").expect("held");
    let (old, new) = (before.envelope.header().expires_at, held.envelope.header().expires_at);
    assert!(new > UnixMillis(old.0 + WEEK_MS), "{old} {new}");
    assert!(new <= ahead.saturating_add(Duration::from_millis(2 * WEEK_MS)));
    assert!(!stage.person.store.holds(&id).expect("readable"));
    let shown = stage
        .person
        .events
        .iter()
        .any(|event| matches!(event, Event::ClockDiffers { offset_ms, .. } if *offset_ms > 0));
    assert!(shown, "the user is told");
    // Another carrier has the opposite opinion: not within the hour.
    let id = again[0];
    assert_eq!(handed(&stage.frame(links[1], want(&[id]))).len(), 1);
    stage.frame(links[1], expired(id, UnixMillis(START_MS)));
    assert!(stage.person.store.holds(&id).expect("readable"));
}

// req: CAR-22
#[test]
fn a_full_carrier_is_asked_again_when_it_says() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    let id = offered(&stage.send_text(&bob, "later"), links[0])[0];
    assert_eq!(handed(&stage.frame(links[0], want(&[id]))).len(), 1);
    let quota = refused(RefusalReason::Quota);
    let full = Ack { id, result: quota, retry_after_s: 30, now: stage.now.wall };
    assert!(handed(&stage.frame(links[0], Frame::Ack(full))).is_empty());
    assert!(handed(&stage.wait(29 * SECOND)).is_empty());
    assert_eq!(handed(&stage.wait(SECOND)).len(), 1);
}

/// A contact who says STORED and drops it, one who offers what they do not have and
/// one who asks for what was not offered: the honest one gets it through.
#[test]
fn liars_cannot_keep_a_message_from_arriving() {
    let mut world = World::new(&["alice", "carol", "bob"]);
    world.befriend(0, 1);
    world.befriend(1, 2);
    world.introduce(0, 2);
    let id = world.send(0, 2, "past the liars");
    // The whole store of a first carrier is lost: it said STORED and has nothing.
    meet(&mut world, 0, 1);
    let envelope = world.people[0].store.outgoing(&id).expect("readable").expect("ours");
    let envelope = envelope.envelope_id.expect("sealed");
    world.people[1].forget_envelope(&envelope);
    world.restart(1);
    meet(&mut world, 1, 2);
    assert!(world.people[2].received().is_empty());
    // The origin goes on: with the recipient itself, whenever that comes.
    meet(&mut world, 0, 2);
    assert_eq!(world.people[2].received(), ["past the liars"]);
    assert_eq!(world.state(0, &id), DeliveryState::Delivered);
}

/// A burst of messages is offered in few frames.
#[test]
fn offers_go_in_bundles() {
    let bob = Puppet::new(1);
    let (mut stage, links) = with_carriers(&bob, &[Puppet::new(2)]);
    let mut frames = 0;
    let mut ids = Vec::new();
    for n in 0..600 {
        let actions = stage.send_text(&bob, &format!("{n}"));
        let more = offered(&actions, links[0]);
        frames += usize::from(!more.is_empty());
        ids.extend(more);
    }
    for _ in 0..10 {
        let more = offered(&stage.wait(Duration::from_millis(100)), links[0]);
        frames += usize::from(!more.is_empty());
        ids.extend(more);
    }
    assert_eq!((frames, ids.len()), (4, 600));
}
