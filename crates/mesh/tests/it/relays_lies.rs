//! Relays that lie, and envelopes that do not open (yet).

use core::time::Duration;

use tortalk_keys::relay::{RelayAddress, RelayHost};
use tortalk_mesh::relay::RelayInput;
use tortalk_mesh::{DeliveryState, Event, Keyring, Read, SealingKey};
use tortalk_model::envelope::Envelope;
use tortalk_model::limits::relay::UNOPENED_MAX;
use tortalk_model::{EnvelopeId, UnixMillis};
use tortalk_seal::SealingSecret;

use crate::person::{START_MS, WEEK_MS};
use crate::puppet::Puppet;
use crate::relay_net::Net;

const SECOND: Duration = Duration::from_secs(1);

fn envelope_of(net: &Net, person: usize, id: &tortalk_model::MessageId) -> EnvelopeId {
    let message = net.world.people[person].store.outgoing(id).expect("readable");
    message.expect("ours").envelope_id.expect("sealed")
}

/// Bob with relay 0, who has the puppet among his contacts.
fn bob_and_a_puppet() -> (Net, Puppet) {
    let mut net = Net::pair([&[], &[0]], 1);
    let puppet = Puppet::new(7);
    let card = puppet.card(START_MS, true).into_bytes();
    let import = tortalk_mesh::Command::ImportCard { card, name: "puppet".into() };
    net.world.command(1, import).expect("a contact");
    (net, puppet)
}

/// A sealing key that Bob may have later.
fn later_key() -> SealingKey {
    SealingKey {
        secret: SealingSecret::from_seed([0x6b; 32]),
        not_before: UnixMillis(START_MS - 1),
        not_after: UnixMillis(START_MS - 1 + 4 * WEEK_MS),
    }
}

fn add_later_key(keys: &mut Keyring) {
    keys.sealing.push(later_key());
}

fn sealed_to_later_key(net: &Net, puppet: &mut Puppet, text: &str) -> Envelope {
    let bob = &net.world.people[1];
    let message = puppet.text(bob, text);
    let expires_at = UnixMillis(START_MS + WEEK_MS);
    puppet.seal_to(bob, &message, later_key().secret.public(), expires_at)
}

fn kept(net: &Net) -> Vec<EnvelopeId> {
    net.world.people[1].store.unopened().expect("readable")
}

// req: RLY-26, DLV-15
#[test]
fn a_forged_receipt_changes_nothing() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.unreachable = true;
    net.restart(1);
    net.relays[0].manners.unreachable = false;
    net.relays[0].manners.forges = true;
    let id = net.world.send(0, 1, "who says so?");
    net.run();
    assert_eq!(net.relays[0].left.len(), 1);
    assert_eq!(net.world.state(0, &id), DeliveryState::Queued);
    // The relay's own signature, over other words.
    net.relays[0].manners.forges = false;
    let (relay, envelope) = (net.relays[0].key(), envelope_of(&net, 0, &id));
    let mut receipt = net.relays[0].receipt(UnixMillis(START_MS), vec![envelope]);
    receipt.store_until = UnixMillis(receipt.store_until.0 + 1);
    net.feed(0, vec![RelayInput::Stored { relay, receipt }]);
    assert_eq!(net.world.state(0, &id), DeliveryState::Queued);
    let receipt = net.relays[0].receipt(UnixMillis(START_MS), vec![envelope]);
    net.feed(0, vec![RelayInput::Stored { relay, receipt }]);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
}

// req: DLV-15
#[test]
fn a_receipt_for_what_was_never_left_there_changes_nothing() {
    let mut net = Net::pair([&[0], &[1]], 2);
    net.relays[1].manners.unreachable = true;
    net.restart(1);
    net.break_connections(1);
    let id = net.world.send(0, 1, "not there");
    net.run();
    let envelope = envelope_of(&net, 0, &id);
    // Alice's own relay is up and signs well, and was never asked.
    let (relay, receipt) = {
        let relay = &net.relays[0];
        (relay.key(), relay.receipt(UnixMillis(START_MS), vec![envelope]))
    };
    net.feed(0, vec![RelayInput::Stored { relay, receipt: receipt.clone() }]);
    // The other one was to be asked, and is not up.
    let relay = net.relays[1].key();
    net.feed(0, vec![RelayInput::Stored { relay, receipt }]);
    assert_eq!(net.world.state(0, &id), DeliveryState::Queued);
}

#[test]
fn nothing_is_left_with_whoever_has_another_key() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.relays[0].manners.other_key = true;
    net.world.send(0, 1, "not for you");
    net.run();
    net.advance(90 * SECOND);
    assert!(net.relays[0].left.is_empty());
    assert_eq!(net.connections_of(0), 1, "it is wanted still");
}

// req: RLC-12
#[test]
fn envelopes_that_come_twice_and_out_of_order_are_shown_once() {
    let mut net = Net::pair([&[0], &[0]], 1);
    net.relays[0].manners.repeats = true;
    let texts: Vec<String> = (0..20).map(|n| format!("message {n}")).collect();
    let ids = net.world.send_all(0, 1, &texts);
    net.run();
    assert_eq!(net.world.people[1].received(), texts);
    for id in &ids {
        assert_eq!(net.world.state(0, id), DeliveryState::Delivered);
    }
    assert!(net.relays[0].acks.is_sorted() || net.relays[0].acks.len() > 1);
    assert_eq!(net.relays[0].held(), 0, "the largest number was acknowledged");
}

// req: RLC-08
#[test]
fn what_is_of_no_use_is_acknowledged_and_nothing_else() {
    let (mut net, mut puppet) = bob_and_a_puppet();
    let mut stranger = Puppet::new(8);
    let bob = &net.world.people[1];
    let (mailbox, intro) =
        (bob.keyring.contact_mailbox.public(), bob.keyring.intro_mailbox.public());
    let from_stranger = stranger.text(bob, "let me in");
    let from_stranger = stranger.seal(bob, &from_stranger);
    let for_strangers = puppet.text(bob, "the wrong door");
    let elsewhere = puppet.seal_for_intro(bob, &for_strangers);
    let good = puppet.text(bob, "good");
    let good = puppet.seal(bob, &good);
    let mut broken = good.as_bytes().to_vec();
    *broken.last_mut().expect("not empty") ^= 1;
    for bytes in [
        b"no envelope".to_vec(),
        broken,
        elsewhere.as_bytes().to_vec(),
        from_stranger.as_bytes().to_vec(),
        good.as_bytes().to_vec(),
    ] {
        if bytes != good.as_bytes() {
            net.junk.insert(Envelope::id_of(&bytes));
        }
        net.relays[0].plant(mailbox, bytes);
    }
    net.run();
    assert_eq!(net.world.people[1].received(), ["good"]);
    assert_eq!((net.relays[0].held(), kept(&net).len()), (0, 0));
    // A contact may use the other door as well; a stranger's text is nothing.
    let text = stranger.text(&net.world.people[1], "and here?");
    let from_stranger = stranger.seal_for_intro(&net.world.people[1], &text);
    net.junk.insert(from_stranger.id());
    net.relays[0].plant(intro, from_stranger.as_bytes().to_vec());
    net.relays[0].plant(intro, elsewhere.as_bytes().to_vec());
    net.run();
    assert_eq!(net.world.people[1].received(), ["good", "the wrong door"]);
}

// req: RLC-10, RLY-40
#[test]
fn what_cannot_be_opened_is_kept_until_a_key_opens_it() {
    let (mut net, mut puppet) = bob_and_a_puppet();
    let mailbox = net.world.people[1].keyring.contact_mailbox.public();
    let message = puppet.text(&net.world.people[1], "twice");
    let (key, expires_at) = (later_key(), UnixMillis(START_MS + WEEK_MS));
    for _ in 0..2 {
        // The same message in two envelopes, as after a sealing again.
        let bob = &net.world.people[1];
        let envelope = puppet.seal_to(bob, &message, key.secret.public(), expires_at);
        net.relays[0].plant(mailbox, envelope.as_bytes().to_vec());
    }
    net.run();
    assert_eq!(net.relays[0].held(), 0, "it is Bob's now");
    assert_eq!(kept(&net).len(), 2);
    net.restart(1);
    assert_eq!(kept(&net).len(), 2, "no key yet");
    assert!(net.world.people[1].received().is_empty());
    let rotated = net.world.people[1].rotated(|keys, _| add_later_key(keys));
    net.world.feed(1, vec![rotated]);
    net.run();
    assert_eq!(net.world.people[1].received(), ["twice"], "shown once");
    assert!(kept(&net).is_empty());
    // And at a start: the key came from a backup meanwhile.
    let (mut net, mut puppet) = bob_and_a_puppet();
    let envelope = sealed_to_later_key(&net, &mut puppet, "after a start");
    net.relays[0].plant(mailbox, envelope.as_bytes().to_vec());
    net.run();
    net.world.people[1].rekey(|keys, _| add_later_key(keys));
    net.restart(1);
    assert_eq!(net.world.people[1].received(), ["after a start"]);
    assert!(kept(&net).is_empty());
}

// req: RLC-10
#[test]
fn what_cannot_be_opened_is_kept_within_bounds_and_not_for_ever() {
    let (mut net, mut puppet) = bob_and_a_puppet();
    let bob = &net.world.people[1].keyring;
    let (mailbox, intro) = (bob.contact_mailbox.public(), bob.intro_mailbox.public());
    // The oldest come through the mailbox for contacts, one through the other.
    let mut ids = Vec::new();
    let first = sealed_to_later_key(&net, &mut puppet, "text");
    for n in 0..UNOPENED_MAX + 2 {
        // Other bytes are another envelope; without a key nobody can tell.
        let mut bytes = first.as_bytes().to_vec();
        let end = bytes.len() - 8;
        bytes[end..].copy_from_slice(&(n as u64).to_be_bytes());
        let into = if n == 5 { intro } else { mailbox };
        bytes[3..35].copy_from_slice(into.as_bytes());
        ids.push(Envelope::id_of(&bytes));
        net.relays[0].plant(into, bytes);
        if n < 2 {
            net.junk.insert(ids[n]);
        }
    }
    net.junk.extend([ids[0], ids[5]]);
    net.run();
    let kept_now = kept(&net);
    assert_eq!(kept_now.len(), UNOPENED_MAX);
    for gone in [5, 0] {
        assert!(!kept_now.contains(&ids[gone]), "{gone}: strangers first, then the oldest");
    }
    assert!(kept_now.contains(&ids[1]));
    net.world.pace = Duration::from_secs(3600);
    net.advance(Duration::from_secs(9 * 24 * 3600));
    assert!(kept(&net).is_empty(), "expired");
}

// req: RLC-09
#[test]
fn strangers_mail_is_opened_within_their_budget_and_contacts_mail_at_once() {
    let (mut net, mut puppet) = bob_and_a_puppet();
    let bob = &net.world.people[1].keyring;
    let (mailbox, intro) = (bob.contact_mailbox.public(), bob.intro_mailbox.public());
    for n in 0..100 {
        let text = puppet.text(&net.world.people[1], &format!("{n}"));
        let for_strangers = puppet.seal_for_intro(&net.world.people[1], &text);
        net.relays[0].plant(intro, for_strangers.as_bytes().to_vec());
    }
    let text = puppet.text(&net.world.people[1], "the right door");
    let envelope = puppet.seal(&net.world.people[1], &text);
    net.relays[0].plant(mailbox, envelope.as_bytes().to_vec());
    net.run();
    let received = net.world.people[1].received();
    assert_eq!(received.len(), 65);
    assert!(received.contains(&"the right door".to_owned()));
    assert_eq!(kept(&net).len(), 36);
    assert_eq!(net.relays[0].held(), 0);
    net.advance(2 * SECOND);
    let shown = |event: &&Event| matches!(event, Event::Received(_));
    let all = net.world.people[1].events.iter().filter(shown).count();
    assert_eq!((all, kept(&net).len()), (101, 0));
}

#[test]
fn a_contact_who_names_a_wrong_address_keeps_nobody_from_a_relay() {
    let mut net = Net::pair([&[], &[0]], 1);
    // The puppet says that Bob's relay is somewhere else.
    let puppet = Puppet::new(7);
    let key = net.relays[0].key();
    let host = RelayHost::Name("elsewhere.example".into());
    let wrong = RelayAddress::new(host, 1, key).expect("an address");
    let card = puppet.card_with_relays(START_MS, vec![wrong]).into_bytes();
    let import = tortalk_mesh::Command::ImportCard { card, name: "puppet".into() };
    net.world.command(0, import).expect("a contact");
    let identity = puppet.identity.public();
    let text = "you first".to_owned();
    net.world.command(0, tortalk_mesh::Command::SendText { to: identity, text }).expect("a text");
    net.run();
    let id = net.world.send(0, 1, "and you");
    for _ in 0..4 {
        net.advance(11 * SECOND);
        net.connect_again();
        net.run();
    }
    assert_eq!(net.world.people[1].received(), ["and you"]);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
}
