//! spec/relaying.md, cards in drops: putting ours, reading those of contacts.

use core::time::Duration;

use tortalk_keys::card::{Card, CardKind};
use tortalk_keys::{MailboxSecret, relay_proof};
use tortalk_mesh::relay::CardDrop;
use tortalk_mesh::{Command, DeliveryState, Keyring, SealingKey};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::{IdentityKey, UnixMillis};
use tortalk_seal::SealingSecret;
use tortalk_seal::card_drop::{self, Expected};
use tortalk_testkit::Seeded;

use crate::person::{START_MS, WEEK_MS};
use crate::relay_net::Net;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn held_card(net: &Net, person: usize, of: IdentityKey) -> Card {
    let contact = net.world.people[person].mesh.contact(&of).expect("a contact");
    Card::parse(contact.card.as_deref().expect("a card")).expect("checked before")
}

fn own_seq(net: &Net, person: usize) -> u64 {
    net.world.people[person].mesh.own_contact_card().expect("a card").seq()
}

/// A further key from this day of the world on, for four weeks.
fn key_from(day: u64) -> impl Fn(&mut Keyring, &mut Seeded) {
    move |keys, random| {
        let not_before = START_MS + day * DAY.as_millis() as u64;
        keys.sealing.push(SealingKey {
            secret: SealingSecret::from_seed(random.bytes()),
            not_before: UnixMillis(not_before),
            not_after: UnixMillis(not_before + 4 * WEEK_MS),
        });
    }
}

/// Bob has a new key since day 20, Alice has heard nothing and it is day 22.
fn after_three_weeks() -> Net {
    let mut net = Net::pair([&[], &[0]], 1);
    net.world.pace = Duration::from_secs(3600);
    net.advance(20 * DAY);
    let rotated = net.world.people[1].rotated(key_from(20));
    net.world.feed(1, vec![rotated]);
    net.run();
    net
}

// req: RLC-05
#[test]
fn each_mailbox_has_its_card_in_its_drop_sealed_under_its_read_key() {
    let mut net = Net::pair([&[], &[0]], 1);
    let check = |net: &Net| {
        let keys = &net.world.people[1].keyring;
        let seq = own_seq(net, 1);
        for (secret, read_key, other_key, kind) in [
            (&keys.intro_mailbox, keys.intro_read_key, keys.contact_read_key, CardKind::Intro),
            (&keys.contact_mailbox, keys.contact_read_key, keys.intro_read_key, CardKind::Contact),
        ] {
            let mailbox = secret.public();
            let drop = net.relays[0].mailboxes[&mailbox].card.clone().expect("a card");
            assert_eq!(drop.seq, seq);
            let identity = net.world.identity(1);
            let expected = Expected { identity, kind, mailbox, seq, read_key: &read_key };
            let card = card_drop::open(&drop.blob, &expected).expect("a card");
            assert_eq!((card.kind(), card.identity()), (kind, identity));
            let other = Expected { read_key: &other_key, ..expected };
            assert!(card_drop::open(&drop.blob, &other).is_err());
        }
    };
    check(&net);
    net.world.command(1, Command::SetOwnName { name: "Robert".into() }).expect("a name");
    net.run();
    check(&net);
    // A mailbox that was retired is fetched, and its drop is not written again.
    let old = net.world.people[1].keyring.contact_mailbox.public();
    let changed = net.world.people[1].rotated(|keys, random| {
        let new = MailboxSecret::from_seed(random.bytes());
        let old = core::mem::replace(&mut keys.contact_mailbox, new);
        let until = UnixMillis(START_MS + WEEK_MS);
        keys.retired_mailboxes.push(tortalk_mesh::RetiredMailbox { secret: old, until });
        keys.contact_read_key = random.bytes();
    });
    let before = net.relays[0].mailboxes[&old].cards_put;
    net.world.feed(1, vec![changed]);
    net.run();
    check(&net);
    assert!(net.has_stream(1, 0, old));
    assert_eq!(net.relays[0].mailboxes[&old].cards_put, before);
    net.world.send(0, 1, "to the old mailbox");
    net.run();
    assert_eq!(net.world.people[1].received(), ["to the old mailbox"]);
    net.world.pace = Duration::from_secs(3600);
    net.advance(8 * DAY);
    assert!(!net.has_stream(1, 0, old), "a week is over");
}

// req: RLC-06
#[test]
fn a_relay_that_has_a_newer_card_makes_us_sign_a_newer_one_unless_it_is_absurd() {
    let mut net = Net::new(&[("alice", &[0])], 1);
    let before = own_seq(&net, 0);
    let newer = START_MS + 3_600_000;
    net.relays[0].manners.says_old = Some(newer);
    net.world.command(0, Command::SetOwnName { name: "Alice".into() }).expect("a name");
    net.run();
    assert!(own_seq(&net, 0) > newer && newer > before);
    let card = net.world.people[0].keyring.contact_mailbox.public();
    assert_eq!(net.relays[0].mailboxes[&card].card.as_ref().expect("put").seq, own_seq(&net, 0));
    net.relays[0].manners.says_old = Some(u64::MAX);
    let before = own_seq(&net, 0);
    net.world.command(0, Command::SetOwnName { name: "Alicia".into() }).expect("a name");
    net.run();
    assert_eq!(own_seq(&net, 0), before + 1);
}

// req: RLC-07
#[test]
fn cards_are_signed_again_before_drops_forget_them() {
    let mut net = Net::new(&[("alice", &[0]), ("bob", &[])], 1);
    net.world.pace = Duration::from_secs(3600);
    let before = [own_seq(&net, 0), own_seq(&net, 1)];
    net.advance(29 * DAY);
    assert_eq!([own_seq(&net, 0), own_seq(&net, 1)], before);
    net.advance(2 * DAY);
    assert!(own_seq(&net, 0) > before[0]);
    assert_eq!(own_seq(&net, 1), before[1], "who has no relay has no drop");
    let mailbox = net.world.people[0].keyring.intro_mailbox.public();
    let put = net.relays[0].mailboxes[&mailbox].card.as_ref().expect("a card");
    assert_eq!(put.seq, own_seq(&net, 0));
}

// req: RLC-18
#[test]
fn a_contacts_card_is_read_when_its_key_is_about_to_end() {
    let mut net = after_three_weeks();
    let bob = net.world.identity(1);
    assert!(net.relays[0].cards_asked.is_empty(), "eight days are left");
    assert!(held_card(&net, 0, bob).seq() < own_seq(&net, 1));
    net.advance(DAY + DAY);
    assert_eq!(held_card(&net, 0, bob).seq(), own_seq(&net, 1));
    assert_eq!(net.relays[0].cards_asked.len(), 1, "once is enough");
    net.advance(8 * DAY);
    let id = net.world.send(0, 1, "the first key is over");
    net.run();
    assert_eq!(net.world.people[1].received(), ["the first key is over"]);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
}

// req: RLC-18
#[test]
fn a_message_that_waits_for_a_key_has_the_drop_read_at_once_and_then_hourly() {
    let mut net = Net::pair([&[], &[0]], 1);
    net.world.pace = Duration::from_secs(3600);
    net.advance(20 * DAY);
    // Bob's key is as old as Alice thinks; the drop is read in vain.
    net.advance(9 * DAY);
    let reads = net.relays[0].cards_asked.len();
    assert!((24 * 4..24 * 12).contains(&reads), "{reads} reads in eight days");
    net.world.pace = SECOND;
    let id = net.world.send(0, 1, "waiting");
    assert_eq!(net.world.state(0, &id), DeliveryState::WaitingForKey);
    net.run();
    assert_eq!(net.relays[0].cards_asked.len(), reads + 1, "at once");
    let rotated = net.world.people[1].rotated(key_from(29));
    net.world.feed(1, vec![rotated]);
    net.run();
    net.advance(76 * 60 * SECOND);
    assert_eq!(net.world.people[1].received(), ["waiting"]);
    assert_eq!(net.world.state(0, &id), DeliveryState::AtRelay);
}

// req: RLY-52, RLC-19
#[test]
fn a_drop_that_is_not_the_contacts_own_is_refused() {
    let refused = |spoil: fn(&Net, CardDrop) -> CardDrop| {
        let mut net = after_three_weeks();
        let bob = net.world.identity(1);
        let mailbox = net.world.people[1].keyring.contact_mailbox.public();
        let drop = net.relays[0].mailboxes[&mailbox].card.clone().expect("a card");
        let spoilt = spoil(&net, drop);
        net.relays[0].mailboxes.get_mut(&mailbox).expect("known").card = Some(spoilt);
        let before = held_card(&net, 0, bob).seq();
        net.advance(2 * DAY);
        let refused = held_card(&net, 0, bob).seq() == before;
        assert_eq!(net.relays[0].cards_asked.len() > 10, refused, "asked again and again");
        refused
    };
    assert!(!refused(|_, drop| drop));
    assert!(refused(|_, drop| CardDrop { signature: [0; 64], ..drop }));
    assert!(refused(|_, mut drop| {
        drop.blob[100] ^= 1;
        drop
    }));
    // Signed by the mailbox, and with another sequence than its card.
    assert!(refused(|net, drop| signed(net, drop.seq + 1, drop.blob)));
    // Signed by the mailbox, and somebody else's card.
    assert!(refused(|net, drop| {
        let bob = &net.world.people[1].keyring;
        let alice = net.world.people[0].mesh.own_contact_card().expect("a card");
        let mailbox = bob.contact_mailbox.public();
        let blob =
            card_drop::seal(alice, &mailbox, &bob.contact_read_key, &mut Seeded::new(drop.seq));
        signed(net, alice.seq(), blob)
    }));
}

/// A drop that Bob's mailbox key signed.
fn signed(net: &Net, seq: u64, blob: Vec<u8>) -> CardDrop {
    let secret = &net.world.people[1].keyring.contact_mailbox;
    let signature = *relay_proof::card_drop::sign(secret, seq, &blob).as_bytes();
    CardDrop { seq, blob, signature }
}

// req: RLC-19
#[test]
fn when_one_relay_has_a_wrong_card_the_next_is_asked_at_once() {
    let mut net = Net::pair([&[], &[0, 1]], 2);
    net.world.pace = Duration::from_secs(3600);
    net.advance(20 * DAY);
    let rotated = net.world.people[1].rotated(key_from(20));
    net.world.feed(1, vec![rotated]);
    net.run();
    let bob = &net.world.people[1].keyring;
    let (mailbox, read_key) = (bob.contact_mailbox.public(), bob.contact_read_key);
    // Bob's own card, and the one for strangers.
    let intro = {
        let intro = bob.intro_mailbox.public();
        let drop = net.relays[0].mailboxes[&intro].card.clone().expect("a card");
        let expected = Expected {
            identity: net.world.identity(1),
            kind: CardKind::Intro,
            mailbox: intro,
            seq: drop.seq,
            read_key: &bob.intro_read_key,
        };
        card_drop::open(&drop.blob, &expected).expect("a card")
    };
    let blob = card_drop::seal(&intro, &mailbox, &read_key, &mut Seeded::new(5));
    let wrong = signed(&net, intro.seq(), blob);
    net.relays[0].mailboxes.get_mut(&mailbox).expect("known").card = Some(wrong);
    let bob = net.world.identity(1);
    while net.relays[0].cards_asked.is_empty() {
        net.advance(Duration::from_secs(3600));
    }
    assert_eq!(held_card(&net, 0, bob).seq(), own_seq(&net, 1));
    assert_eq!((net.relays[0].cards_asked.len(), net.relays[1].cards_asked.len()), (1, 1));
}
