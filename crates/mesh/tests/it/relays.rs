//! spec/relaying.md: own relays, fetching, leaving envelopes, states.

use core::time::Duration;

use tortalk_mesh::relay::{DepositRefusal, PullEnd, RelayInput};
use tortalk_mesh::relaying::StorageProof;
use tortalk_mesh::{Command, DeliveryState, Event, Evidence, Read};
use tortalk_model::{EnvelopeId, MessageId};

use crate::relay_net::Net;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn evidence(net: &Net, person: usize, id: &MessageId) -> Vec<Evidence> {
    let message = net.world.people[person].store.outgoing(id).expect("readable");
    message.expect("a message of ours").evidence
}

fn envelope_of(net: &Net, person: usize, id: &MessageId) -> EnvelopeId {
    let message = net.world.people[person].store.outgoing(id).expect("readable");
    message.expect("ours").envelope_id.expect("sealed")
}

// req: RLC-01, RLC-02, RLC-04, RLC-12, RLY-26, RLY-40, DLV-15, DLV-16
#[test]
fn people_who_are_never_linked_talk_through_one_relay() {
    let mut net = Net::pair([&[0], &[0]], 1);
    let bob_keys = net.world.people[1].keyring.clone();
    let named = net.world.people[1].mesh.own_contact_card().expect("a card");
    let named = named.contact().expect("a contact card").relays.clone();
    assert_eq!(named, [net.relays[0].address.clone()]);
    for proof in &net.relays[0].proofs {
        let for_contacts = net.world.people.iter().any(|person| {
            proof.mailbox == person.keyring.contact_mailbox.public()
                && proof.deposit_key == Some(person.keyring.deposit_key)
        });
        assert_eq!(proof.deposit_key.is_some(), for_contacts, "strangers have no stamps");
    }
    // Bob is away.
    let relay = net.relays[0].key();
    net.relays[0].manners.deaf = true;
    net.restart(1);
    net.relays[0].manners.unreachable = true;
    net.restart(1);
    net.relays[0].manners.unreachable = false;
    let id = net.world.send(0, 1, "over the relay");
    net.run();
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    assert_eq!(net.relays[0].left.last().map(|left| left.2), Some(true), "with its stamp");
    let [Evidence::AtRelay { relay: at, proof, .. }] = &evidence(&net, 0, &id)[..] else {
        panic!("one piece of evidence");
    };
    assert_eq!(*at, relay);
    let proof = StorageProof::parse(proof).expect("the layout");
    assert_eq!(proof.envelope_id, envelope_of(&net, 0, &id));
    assert!(proof.holds_for(&relay));
    assert!(!proof.holds_for(&tortalk_keys::RelaySecret::from_seed([9; 32]).public()));
    net.world.restart(0);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay, "it is stored");
    net.restart(0);
    // Bob is back.
    net.relays[0].manners.deaf = false;
    net.connect_again();
    net.run();
    assert_eq!(net.world.people[1].received(), ["over the relay"]);
    assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
    assert_eq!(net.relays[0].held(), 0, "acknowledged");
    let answer = net.world.send(1, 0, "so it is");
    net.run();
    assert_eq!(net.world.people[0].received(), ["so it is"]);
    assert_eq!(net.world.state(1, &answer), DeliveryState::Delivered);
    assert!(net.relays[0].mailboxes.contains_key(&bob_keys.intro_mailbox.public()));
}

// req: RLY-40
#[test]
fn an_owner_who_dies_before_acknowledging_gets_it_again_and_shows_it_once() {
    // Alice has no relay, so no receipt makes her purge anything.
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.deaf = true;
    net.world.send(0, 1, "once");
    net.run();
    assert_eq!(net.world.people[1].received(), ["once"]);
    assert_eq!(net.relays[0].held(), 1);
    net.relays[0].manners.deaf = false;
    net.restart(1);
    assert_eq!(net.world.people[1].received(), ["once"]);
    assert_eq!(net.relays[0].held(), 0);
}

// req: RLY-40
#[test]
fn what_the_disk_did_not_take_is_not_acknowledged() {
    let mut net = Net::pair([&[0], &[0]], 1);
    net.relays[0].manners.unreachable = true;
    net.restart(1);
    net.relays[0].manners.unreachable = false;
    net.world.send(0, 1, "not lost");
    net.run();
    let acks = net.relays[0].acks.len();
    // Bob's disk fails at whatever comes first, and again, until it is the text.
    for _ in 0..4 {
        net.world.people[1].fails_next = true;
        net.connect_again();
        net.run();
    }
    net.world.people[1].fails_next = false;
    let taken = net.world.people[1].received().len();
    assert_eq!(taken == 0, net.relays[0].acks.len() == acks);
    net.restart(1);
    assert_eq!(net.world.people[1].received(), ["not lost"]);
    assert_eq!(net.relays[0].held(), 0);
}

// req: RLC-14
#[test]
fn nothing_is_left_at_a_relay_while_the_recipient_is_linked_and_answers() {
    let mut net = Net::pair([&[0], &[0]], 1);
    let cable = net.world.connect(0, 1);
    net.run();
    let id = net.world.send(0, 1, "directly");
    net.run();
    assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
    net.advance(120 * SECOND);
    assert!(net.relays[0].left.is_empty(), "neither the text nor its receipt");
    // Now the link is dead and nobody knows.
    net.world.silence(cable);
    let id = net.world.send(0, 1, "into the void");
    net.run();
    net.advance(SECOND);
    assert!(net.relays[0].left.is_empty(), "the link has its time");
    net.advance(SECOND);
    assert_eq!(net.relays[0].left.len(), 1);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    net.advance(2 * SECOND);
    assert_eq!(net.relays[0].left.len(), 2, "Bob's receipt, which tried the link as well");
    assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
}

// req: RLC-15
#[test]
fn the_second_relay_has_its_turn_after_a_minute() {
    let mut net = Net::pair([&[], &[0, 1]], 2);
    net.relays[0].manners.unreachable = true;
    net.relays[0].manners.silent = true;
    net.break_connections(0);
    let id = net.world.send(0, 1, "one of the two");
    net.run();
    net.advance(59 * SECOND);
    assert!(net.relays[1].left.is_empty());
    assert_eq!(net.world.state(0, &id), DeliveryState::Queued);
    net.advance(SECOND);
    assert_eq!(net.relays[1].left.len(), 1);
    assert_eq!(net.world.people[1].received(), ["one of the two"]);
    // Bob's receipt cannot come: Alice has no relay.
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    // An hour later it is tried at both.
    net.relays[0].manners.unreachable = false;
    net.relays[0].manners.silent = false;
    net.connect_again();
    net.advance(HOUR + 120 * SECOND);
    assert_eq!(net.relays[0].left.len(), 1);
    assert_eq!(net.relays[1].left.len(), 2);
    assert_eq!(net.world.people[1].received(), ["one of the two"]);
}

// req: RLC-28, RLC-16
#[test]
fn a_relay_that_does_not_answer_has_not_taken_it() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.silent = true;
    let id = net.world.send(0, 1, "anybody there?");
    net.run();
    let (left, key) = (net.relays[0].left.len(), net.relays[0].key());
    net.world.people[0].events.clear();
    let down = |net: &Net| {
        let events = net.world.people[0].events.iter();
        events.filter(|e| matches!(e, Event::RelayDown { relay, .. } if *relay == key)).count()
    };
    net.advance(59 * SECOND);
    assert!(net.is_connected(0, 0));
    assert_eq!(down(&net), 0, "it has its time");
    net.advance(SECOND);
    assert_eq!(down(&net), 1);
    assert!(!net.is_connected(0, 0));
    assert_eq!(net.world.state(0, &id), DeliveryState::Queued);
    net.relays[0].manners.silent = false;
    net.advance(59 * SECOND);
    assert_eq!(net.relays[0].left.len(), left, "not at once");
    net.advance(2 * SECOND);
    assert_eq!(net.relays[0].left.len(), left + 1);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
}

// req: RLC-28
#[test]
fn a_relay_that_answers_all_but_one_does_not_keep_that_one() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.silent = true;
    let first = net.world.send(0, 1, "one");
    net.run();
    net.relays[0].manners.silent = false;
    for n in 0..13 {
        net.advance(5 * SECOND);
        net.world.send(0, 1, &format!("and {n}"));
        net.run();
    }
    assert_eq!(net.world.state(0, &first), DeliveryState::Queued);
    net.advance(60 * SECOND);
    assert_eq!(net.world.state(0, &first), DeliveryState::AtRelay);
}

// req: RLC-28
#[test]
fn a_slow_line_is_not_a_silent_relay() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.silent = true;
    let ids = ["one", "two", "three"].map(|text| net.world.send(0, 1, text));
    net.run();
    let stored: Vec<_> = net.relays[0].left.iter().map(|(_, id, _)| *id).collect();
    let stored = &stored[stored.len() - 3..];
    for (envelope, id) in stored.iter().zip(&ids) {
        net.advance(50 * SECOND);
        let (relay, time) = (net.relays[0].key(), net.world.now.wall);
        let receipt = net.relays[0].receipt(time, vec![*envelope]);
        net.feed(0, vec![RelayInput::Stored { relay, receipt }]);
        assert_eq!(net.world.state(0, id), DeliveryState::AtRelay);
    }
}

// req: RLC-16, RLC-24
#[test]
fn a_relay_that_has_no_room_is_asked_again_later_and_the_next_one_at_once() {
    for reason in [DepositRefusal::Full, DepositRefusal::NoRoom, DepositRefusal::Busy] {
        let mut net = Net::pair([&[], &[0, 1]], 2);
        net.relays[0].manners.refuses = Some((reason, 300));
        net.relays[1].manners.refuses = Some((reason, 0));
        let id = net.world.send(0, 1, "where there is room");
        net.run();
        assert_eq!((net.relays[0].left.len(), net.relays[1].left.len()), (1, 1), "at once");
        net.advance(59 * SECOND);
        assert_eq!(net.relays[1].left.len(), 1);
        net.advance(SECOND);
        assert_eq!(net.relays[1].left.len(), 2, "no hint is a minute");
        net.advance(239 * SECOND);
        assert_eq!(net.relays[0].left.len(), 1);
        assert_eq!(net.world.state(0, &id), DeliveryState::Queued, "a refusal is no evidence");
        net.relays[0].manners.refuses = None;
        net.advance(SECOND);
        assert_eq!(net.relays[0].left.len(), 2);
        assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    }
}

// req: RLC-17, RLC-25
#[test]
fn a_refusal_for_expiry_seals_again_by_the_relays_clock_and_for_it_alone() {
    const DAY_MS: i64 = 24 * 3_600_000;
    for offset in [20 * DAY_MS, -365 * DAY_MS] {
        refused_for_expiry(offset);
    }
}

fn refused_for_expiry(offset: i64) {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].clock_offset_ms = offset;
    let id = net.world.send(0, 1, "another time");
    let before = envelope_of(&net, 0, &id);
    net.run();
    assert_eq!(net.relays[0].left.len(), 2);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    assert_eq!(envelope_of(&net, 0, &id), before, "the other ways are not touched");
    let [Evidence::AtRelay { proof, .. }] = &evidence(&net, 0, &id)[..] else {
        panic!("one piece of evidence");
    };
    let proof = StorageProof::parse(proof).expect("the layout");
    assert_ne!(proof.envelope_id, before);
    assert!(proof.holds_for(&net.relays[0].key()));
    let told = |event: &Event| match event {
        Event::RelayClockDiffers { offset_ms, .. } => *offset_ms == offset,
        _ => false,
    };
    assert!(net.world.people[0].events.iter().any(told));
    assert_eq!(net.world.people[1].received(), ["another time"]);
    // A relay that refuses whatever comes gets no third one.
    let refuses = Some((DepositRefusal::Expiry, 0));
    net.relays[0].manners.refuses = refuses;
    net.relays[0].left.clear();
    net.world.send(0, 1, "never");
    net.run();
    net.advance(120 * SECOND);
    assert_eq!(net.relays[0].left.len(), 2);
}

// req: RLC-03
#[test]
fn own_relays_stay_in_the_card_over_restarts_until_they_leave_the_settings() {
    let mut net = Net::new(&[("alice", &[1, 0, 2, 3, 4])], 5);
    let card = |net: &Net| {
        let card = net.world.people[0].mesh.own_contact_card().expect("a card");
        card.contact().expect("a contact card").relays.clone()
    };
    let address = |net: &Net, n: usize| net.relays[n].address.clone();
    let first_four = [1, 0, 2, 3].map(|n| address(&net, n));
    assert_eq!(card(&net), first_four, "in the order of the settings, at most four");
    assert_eq!(net.world.people[0].mesh.relays_for_invite(), first_four[..2]);
    // None of them answers any more.
    for relay in &mut net.relays {
        relay.manners.unreachable = true;
    }
    let seq = net.world.people[0].mesh.own_contact_card().expect("a card").seq();
    net.restart(0);
    assert_eq!(card(&net), first_four);
    assert_eq!(net.world.people[0].mesh.own_contact_card().expect("a card").seq(), seq);
    let fewer = vec![address(&net, 4), address(&net, 0)];
    net.world.people[0].config.relays = fewer;
    net.restart(0);
    assert_eq!(card(&net), [address(&net, 0)], "never registered at the other");
}

// req: RLC-11
#[test]
fn streams_are_opened_again_with_waits() {
    let mut net = Net::pair([&[], &[0]], 1);
    let mailbox = net.world.people[1].keyring.contact_mailbox.public();
    net.advance(120 * SECOND);
    net.end_stream(1, 0, mailbox, PullEnd::Again);
    assert!(net.has_stream(1, 0, mailbox), "it had lived: at once");
    net.end_stream(1, 0, mailbox, PullEnd::Again);
    assert!(!net.has_stream(1, 0, mailbox), "it ended young");
    net.advance(5 * SECOND);
    assert!(net.has_stream(1, 0, mailbox));
    net.end_stream(1, 0, mailbox, PullEnd::Superseded);
    net.advance(59 * SECOND);
    assert!(!net.has_stream(1, 0, mailbox), "somebody else fetches it");
    net.advance(SECOND);
    assert!(net.has_stream(1, 0, mailbox));
    net.world.send(0, 1, "still there");
    net.run();
    assert_eq!(net.world.people[1].received(), ["still there"]);
}

// req: RLC-21
#[test]
fn relays_of_others_are_let_go_of_and_are_not_too_many_at_a_time() {
    let people: Vec<(String, Vec<usize>)> =
        (0..20).map(|n| (format!("friend {n}"), vec![n])).collect();
    let mut all: Vec<(&str, &[usize])> = vec![("alice", &[])];
    all.extend(people.iter().map(|(name, own)| (name.as_str(), &own[..])));
    let mut net = Net::new(&all, 20);
    for n in 1..=20 {
        net.introduce(0, n);
    }
    assert_eq!(net.connections_of(0), 0, "nothing is wanted anywhere");
    // Nobody answers, so every connection lasts.
    for relay in &mut net.relays {
        relay.manners.unreachable = true;
    }
    let ids: Vec<_> = (1..=20).map(|n| net.world.send(0, n, "hello")).collect();
    net.run();
    assert_eq!(net.connections_of(0), 16);
    // Those that have no place yet would answer.
    for n in 0..20 {
        net.relays[n].manners.unreachable = net.is_connected(0, n);
    }
    net.advance(70 * SECOND);
    let left = net.relays.iter().filter(|relay| !relay.left.is_empty()).count();
    assert_eq!(left, 4, "they get the places of those that do not");
    for relay in &mut net.relays {
        relay.manners.unreachable = false;
    }
    for _ in 0..3 {
        net.advance(61 * SECOND);
        net.connect_again();
        net.run();
        assert!(net.connections_of(0) <= 16);
    }
    for id in &ids {
        assert_eq!(net.world.state(0, id), DeliveryState::AtRelay);
    }
    net.advance(62 * SECOND);
    assert_eq!(net.connections_of(0), 0, "let go of");
    let again = net.world.send(0, 1, "once more");
    net.run();
    assert_eq!(net.world.state(0, &again), DeliveryState::AtRelay, "connected with at once");
}

// req: RLC-20
#[test]
fn a_receipt_that_came_another_way_has_the_relay_forget() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.unreachable = true;
    net.restart(1);
    net.relays[0].manners.unreachable = false;
    let id = net.world.send(0, 1, "twice on its way");
    net.run();
    assert_eq!((net.world.state(0, &id), net.relays[0].held()), (DeliveryState::AtRelay, 1));
    // They meet while Alice is connected to the relay still.
    net.world.connect(0, 1);
    net.run();
    assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
    assert_eq!((net.relays[0].purged.len(), net.relays[0].held()), (1, 0));
}

// req: RLC-26
#[test]
fn what_a_relay_may_forget_is_gathered() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.unreachable = true;
    net.restart(1);
    net.relays[0].manners.unreachable = false;
    for _ in 0..5 {
        let id = net.world.send(0, 1, "twice on its way");
        net.run();
        assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
        net.world.connect(0, 1);
        net.run();
        assert_eq!(net.world.state(0, &id), DeliveryState::Delivered);
        net.world.cut_all();
        net.run();
    }
    assert_eq!((net.relays[0].purges, net.relays[0].purged.len()), (1, 1), "one call at first");
    net.advance(2 * SECOND);
    assert_eq!((net.relays[0].purges, net.relays[0].purged.len()), (2, 5), "then the rest");
    assert_eq!(net.relays[0].held(), 0);
}

#[test]
fn a_relay_says_when_it_comes_and_goes() {
    let mut net = Net::new(&[("alice", &[0])], 1);
    let relay = net.relays[0].key();
    let up = |event: &Event| *event == Event::RelayUp { relay };
    assert!(net.world.people[0].events.iter().any(up));
    net.relays[0].manners.other_key = true;
    net.break_connections(0);
    let why = tortalk_mesh::relay::RelayDown::OtherKey;
    let down = |event: &Event| *event == Event::RelayDown { relay, why };
    assert!(net.world.people[0].events.iter().any(down));
    // A stream is proved once, whatever the relay asks.
    net.relays[0].manners.other_key = false;
    net.connect_again();
    net.run();
    let mailbox = net.world.people[0].keyring.intro_mailbox.public();
    assert!(net.has_stream(0, 0, mailbox));
    net.feed(0, vec![RelayInput::Challenged { relay, mailbox, challenge: [1; 32] }]);
    assert!(net.world.people[0].relay_actions.is_empty());
    net.relays[0].manners.other_key = true;
    net.break_connections(0);
    // What a relay says that is not connected, or not known, is nothing.
    let stranger = tortalk_keys::RelaySecret::from_seed([9; 32]).public();
    for relay in [relay, stranger] {
        let mailbox = net.world.people[0].keyring.intro_mailbox.public();
        net.feed(
            0,
            vec![
                RelayInput::Challenged { relay, mailbox, challenge: [1; 32] },
                RelayInput::Pulled { relay, mailbox, seq: 1, envelope: vec![1, 2, 3] },
            ],
        );
        assert!(net.world.people[0].relay_actions.is_empty());
    }
}

// req: RLC-22
#[test]
fn two_relays_that_agree_correct_a_clock_and_one_does_not() {
    const DAY_MS: i64 = 24 * 3_600_000;
    for (wrong, corrected) in [(vec![0], false), (vec![0, 1], true)] {
        let mut net = Net::pair([&[0, 1, 2], &[3]], 4);
        // By Alice's clock Bob's key ends in three days; the relays are ten days on.
        net.world.pace = HOUR;
        net.advance(HOUR * 24 * 25);
        for n in wrong {
            net.relays[n].clock_offset_ms = 10 * DAY_MS;
        }
        net.relays[2].manners.unreachable = true;
        net.relays[3].manners.unreachable = true;
        net.restart(0);
        let id = net.world.send(0, 1, "whose clock?");
        let waits = net.world.state(0, &id) == DeliveryState::WaitingForKey;
        assert_eq!(waits, corrected);
    }
}

// req: RLC-13
#[test]
fn envelopes_are_left_where_the_newest_card_says_and_nowhere_else() {
    let mut net = Net::pair([&[], &[0]], 2);
    let moved = vec![net.relays[1].address.clone()];
    net.world.people[1].config.relays = moved;
    net.restart(1);
    let id = net.world.send(0, 1, "to the old relay");
    net.run();
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
    assert_eq!((net.relays[0].left.len(), net.relays[1].left.len()), (1, 0));
    net.introduce(0, 1);
    net.world.send(0, 1, "to the new one");
    net.run();
    net.advance(120 * SECOND);
    assert_eq!((net.relays[0].left.len(), net.relays[1].left.len()), (1, 1));
    assert_eq!(net.world.people[1].received(), ["to the new one"]);
    // An hour later the first one, too, is where Bob is.
    net.advance(HOUR);
    assert_eq!(net.relays[0].left.len(), 1);
    assert_eq!(net.world.people[1].received(), ["to the new one", "to the old relay"]);
}

// req: RLC-23
#[test]
fn who_carries_something_leaves_it_at_the_relays_of_a_contact_after_a_minute() {
    let mut net = Net::new(&[("alice", &[]), ("bob", &[0]), ("carol", &[])], 1);
    // Alice's card of Bob is from before he had a relay.
    let mut without = Net::new(&[("alice", &[]), ("bob", &[])], 0);
    let old = without.world.people[1].mesh.own_contact_card().expect("a card").as_bytes().to_vec();
    without.run();
    let import = Command::ImportCard { card: old, name: "bob".into() };
    net.world.command(0, import).expect("a contact");
    let alice = net.world.people[0].mesh.own_contact_card().expect("a card").as_bytes().to_vec();
    let import = Command::ImportCard { card: alice, name: "alice".into() };
    net.world.command(1, import).expect("a contact");
    net.introduce(0, 2);
    net.introduce(1, 2);
    net.world.connect(0, 2);
    net.run();
    let id = net.world.send(0, 1, "by Carol's hand");
    net.run();
    net.advance(2 * SECOND);
    assert_eq!(net.world.state(0, &id), DeliveryState::Handed { peers: 1 });
    net.advance(50 * SECOND);
    assert!(net.relays[0].left.is_empty());
    net.advance(10 * SECOND);
    assert_eq!(net.relays[0].left.len(), 1);
    assert!(net.relays[0].left[0].2, "with its stamp");
    assert_eq!(net.world.people[1].received(), ["by Carol's hand"]);
}
