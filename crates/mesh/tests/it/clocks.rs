//! Wall clocks that are wrong, and that are set while everything runs.

use core::time::Duration;

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{Command, DeliveryState, Input, Outcome};
use tortalk_model::{MessageId, UnixMillis};
use tortalk_wire::{AckResult, Frame};

use crate::person::{Person, START_MS, WEEK_MS};
use crate::puppet::{Puppet, Stage, ack, handed};
use crate::world::World;

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

// req: GSP-22, IDN-46
#[test]
fn two_people_talk_whatever_their_clocks_say() {
    for (alice, bob) in [(0, YEAR_MS), (0, -YEAR_MS), (YEAR_MS, -YEAR_MS), (-10 * YEAR_MS, 0)] {
        let people = vec![Person::with_clock("alice", 1, alice), Person::with_clock("bob", 2, bob)];
        let mut world = World::of(people);
        world.befriend(0, 1);
        world.connect(0, 1);
        world.run();
        let there = world.send(0, 1, "there");
        let back = world.send(1, 0, "and back");
        world.run();
        assert_eq!(world.people[1].received(), ["there"], "{alice} {bob}");
        assert_eq!(world.people[0].received(), ["and back"], "{alice} {bob}");
        assert_eq!(world.state(0, &there), DeliveryState::Delivered, "{alice} {bob}");
        assert_eq!(world.state(1, &back), DeliveryState::Delivered, "{alice} {bob}");
    }
}

// req: GSP-38
#[test]
fn a_clock_that_is_set_while_linked_stops_nothing() {
    for jump in [YEAR_MS, -YEAR_MS] {
        let mut world = World::pair();
        world.people[0].clock_offset_ms = jump;
        world.advance(Duration::from_secs(60));
        let there = world.send(0, 1, "there");
        let back = world.send(1, 0, "and back");
        world.run();
        assert_eq!(world.people[1].received(), ["there"], "{jump}");
        assert_eq!(world.people[0].received(), ["and back"], "{jump}");
        assert_eq!(world.state(0, &there), DeliveryState::Delivered, "{jump}");
        assert_eq!(world.state(1, &back), DeliveryState::Delivered, "{jump}");
    }
}

// req: GSP-32
#[test]
fn a_contact_whose_clock_is_behind_is_not_sent_everything_twice() {
    for offset in [-YEAR_MS, YEAR_MS] {
        let mut puppet = Puppet::new(1);
        puppet.not_before = UnixMillis(START_MS.saturating_add_signed(offset) - 1000);
        let mut stage = Stage::new();
        stage.add(&puppet);
        let (link, _) = stage.link(&puppet, Role::Responder);
        let now = UnixMillis(START_MS.saturating_add_signed(offset));
        stage.frame(link, puppet.proofs(Role::Initiator));
        stage.frame(link, puppet.hello_at(now, 256));
        stage.frame(link, puppet.card_frame(now.0));
        stage.frame(link, Frame::Pull);
        assert_eq!(handed(&stage.send_text(&puppet, "once")).len(), 1);
        assert!(handed(&stage.wait(Duration::from_secs(60))).is_empty(), "{offset}");
        stage.feed(Input::LinkDown { link });
        // But sealed again when its life in the contact's clock comes to an end.
        let pending = |stage: &Stage| {
            use tortalk_mesh::Read;
            let pending = stage.person.store.pending_for(&puppet.identity.public(), None, 9);
            pending.expect("readable")
        };
        let first = pending(&stage);
        stage.wait(Duration::from_secs(12 * 24 * 3600));
        assert_eq!(pending(&stage), first, "{offset}");
        stage.wait(Duration::from_secs(24 * 3600));
        assert_ne!(pending(&stage), first, "{offset}");
    }
}

// req: GSP-41
#[test]
fn a_clock_that_went_back_does_not_put_off_the_next_try() {
    let puppet = Puppet::new(1);
    for restart in [false, true] {
        let mut stage = Stage::new();
        stage.person.clock_offset_ms = YEAR_MS;
        stage.add(&puppet);
        let link = stage.introduce(&puppet);
        let sent = handed(&stage.send_text(&puppet, "did it arrive?"));
        stage.frame(link, ack(sent[0].1, AckResult::Stored));
        if restart {
            stage.feed(Input::LinkDown { link });
            stage.person.restart();
        }
        stage.person.clock_offset_ms = 0;
        let mut again = 0;
        if restart {
            stage.feed(Input::Started);
            let link = stage.introduce(&puppet);
            again += handed(&stage.frame(link, Frame::Pull)).len();
        }
        for _ in 0..25 {
            again += handed(&stage.wait(Duration::from_secs(3600))).len();
        }
        assert!(again >= 1, "restart {restart}");
    }
}

fn sent(stage: &mut Stage, puppet: &Puppet) -> MessageId {
    let command = Command::SendText { to: puppet.identity.public(), text: "hello?".into() };
    match stage.person.command(command, stage.now).0 {
        Ok(Outcome::Queued { message_id, .. }) => message_id,
        other => panic!("a text is queued, not {other:?}"),
    }
}

// req: GSP-37
#[test]
fn a_clock_that_is_wrong_for_a_moment_gives_nothing_up() {
    use tortalk_mesh::Read;
    let puppet = Puppet::new(1);
    let (mut stage, link) = Stage::with_contact(&puppet);
    stage.feed(Input::LinkDown { link });
    let id = sent(&mut stage, &puppet);
    let state = |stage: &Stage| {
        let message = stage.person.store.outgoing(&id).expect("readable").expect("ours");
        DeliveryState::of(&message)
    };
    stage.wait(Duration::from_secs(7200));
    stage.person.clock_offset_ms = YEAR_MS;
    for _ in 0..59 {
        stage.wait(Duration::from_secs(60));
    }
    assert_eq!(state(&stage), DeliveryState::Queued);
    stage.person.clock_offset_ms = 0;
    stage.wait(Duration::from_secs(60));
    let link = stage.introduce(&puppet);
    assert_eq!(handed(&stage.frame(link, Frame::Pull)).len(), 0, "it went with the first Pull");
    stage.person.restart();
    stage.now.wall = UnixMillis(START_MS + 53 * WEEK_MS);
    stage.feed(Input::Started);
    stage.wait(Duration::from_secs(60));
    assert_ne!(state(&stage), DeliveryState::NotConfirmed, "nor after a start with it");
    stage.wait(Duration::from_secs(3600));
    stage.wait(Duration::from_secs(60));
    assert_eq!(state(&stage), DeliveryState::NotConfirmed, "it has said so for an hour");
}
