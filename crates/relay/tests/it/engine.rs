//! The rules on a store, with the time in the test's hands.

use tortalk_keys::relay_proof::card_drop;
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::relay::{CARD_LIFE, REGISTRATION_LIFE};
use tortalk_model::{MailboxKey, PurgeKey, UnixMillis};
use tortalk_relay::engine::{Batch, Registered, Sweep, check_card};
use tortalk_relay::rules::config::Quotas;
use tortalk_relay::rules::sync::{Incoming, Outcome};
use tortalk_relay::store::{Totals, Writer};
use tortalk_rpc::{CardBlob, CardDrop, DepositRefusal, PutCard, PutCardResult};

use crate::contract::{at, on_each, queued, register};
use crate::support::{DAY, HOUR, Maker, Owner, START};

const REFUSED: fn(DepositRefusal) -> Outcome = Outcome::Refused;

fn deposit(writer: &mut dyn Writer, now: UnixMillis, incoming: &Incoming) -> Outcome {
    at(writer, now, |batch| batch.deposit(incoming).expect("no fault"))
}

fn sweep_all(writer: &mut dyn Writer, now: UnixMillis) {
    while at(writer, now, |batch| batch.sweep().expect("no fault")) == Sweep::More {}
}

// req: RLY-14, RLY-18, RLY-19
#[test]
fn an_unknown_mailbox_and_a_full_one_are_refused_alike() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let mut writer = world.writer();
        let unknown = deposit(&mut *writer, START, &maker.unstamped(&owner));
        let unknown_stamped = deposit(&mut *writer, START, &maker.stamped(&owner));
        register(&mut *writer, &owner, START);
        for _ in 0..64 {
            let outcome = deposit(&mut *writer, START, &maker.unstamped(&owner));
            assert_eq!(outcome, Outcome::Stored);
        }
        let full = deposit(&mut *writer, START, &maker.unstamped(&owner));
        assert_eq!(full, REFUSED(DepositRefusal::NoRoom));
        assert_eq!([unknown, unknown_stamped], [full, full]);
        assert_eq!(deposit(&mut *writer, START, &maker.stamped(&owner)), Outcome::Stored);
    });
}

// req: RLY-14, RLY-24
#[test]
fn a_registration_ends_after_sixty_days_and_what_is_held_stays() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        let registered = register(&mut *writer, &owner, START);
        let end = START.saturating_add(REGISTRATION_LIFE);
        assert_eq!(registered, Registered::New(end));
        let before = UnixMillis(end.0 - 1);
        maker.expires_at = before.saturating_add(DAY * 14).ceil_to_hour();
        assert_eq!(deposit(&mut *writer, before, &maker.stamped(&owner)), Outcome::Stored);
        let late = deposit(&mut *writer, end, &maker.stamped(&owner));
        assert_eq!(late, REFUSED(DepositRefusal::NoRoom));
        sweep_all(&mut *writer, end);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [1], "nothing is taken away");
        let again = register(&mut *writer, &owner, end);
        assert_eq!(again, Registered::Again(end.saturating_add(REGISTRATION_LIFE)));
        assert_eq!(deposit(&mut *writer, end, &maker.stamped(&owner)), Outcome::Stored);
    });
}

// req: RLY-13, RLY-65
#[test]
fn a_relay_that_is_full_says_so_before_it_looks_at_the_mailbox() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let mut writer = world.writer();
        register(&mut *writer, &owner, START);
        let quotas = Quotas { total_bytes: 2 * (1481 + 256), ..Quotas::default() };
        let group = writer.group().expect("a group");
        let mut batch = Batch::begin(group, START, quotas).expect("a batch");
        let mut said = |incoming: &Incoming| batch.deposit(incoming).expect("no fault");
        assert_eq!(said(&maker.stamped(&owner)), Outcome::Stored);
        assert_eq!(said(&maker.stamped(&owner)), Outcome::Stored);
        let busy = REFUSED(DepositRefusal::Busy);
        assert_eq!(said(&maker.stamped(&owner)), busy);
        assert_eq!(said(&maker.unstamped(&Owner::new(9))), busy, "whether known or not");
    });
}

// req: RLY-32, RLY-62
#[test]
fn when_all_places_are_taken_those_that_have_one_keep_it() {
    on_each(|world| {
        let mut writer = world.writer();
        let quotas = Quotas { mailboxes: 2, ..Quotas::default() };
        let mut try_register = |i: u8| {
            let group = writer.group().expect("a group");
            let mut batch = Batch::begin(group, START, quotas).expect("a batch");
            let registered = batch.register(&Owner::new(i).mailbox(), None).expect("no fault");
            batch.commit().expect("a commit");
            registered
        };
        assert!(matches!(try_register(1), Registered::New(_)));
        assert!(matches!(try_register(2), Registered::New(_)));
        assert_eq!(try_register(3), Registered::NoPlace);
        assert!(matches!(try_register(1), Registered::Again(_)));
    });
}

// req: RLY-42
#[test]
fn what_is_acknowledged_is_gone_for_good_and_its_room_is_free() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        for i in 0..64 {
            let stamped = maker.stamped(&owner);
            let incoming = if i % 2 == 0 { stamped } else { maker.unstamped(&owner) };
            assert_eq!(deposit(&mut *writer, START, &incoming), Outcome::Stored);
        }
        let ack = |writer: &mut dyn Writer, up_to| {
            at(writer, START, |batch| batch.acknowledge(&owner.mailbox(), up_to).expect("ok"));
        };
        ack(&mut *writer, 60);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [61, 62, 63, 64]);
        ack(&mut *writer, 10);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0).len(), 4, "less says nothing");
        let totals = reader.totals().expect("no fault");
        assert_eq!(totals.bytes, 4 * (1481 + 256));
        for _ in 0..62 {
            let outcome = deposit(&mut *writer, START, &maker.unstamped(&owner));
            assert_eq!(outcome, Outcome::Stored, "thirty-two places were used, two are");
        }
        let full = deposit(&mut *writer, START, &maker.unstamped(&owner));
        assert_eq!(full, REFUSED(DepositRefusal::NoRoom));
        let unknown = Owner::new(7).mailbox();
        at(&mut *writer, START, |batch| batch.acknowledge(&unknown, 9).expect("no fault"));
    });
}

// req: RLY-44
#[test]
fn a_purge_key_forgets_what_it_opens_and_nothing_else() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        let keys: Vec<PurgeKey> = (0..3)
            .map(|_| {
                let (envelope, key) = maker.with_purge_key(owner.mailbox());
                let incoming = Incoming { envelope, stamp: Vec::new() };
                assert_eq!(deposit(&mut *writer, START, &incoming), Outcome::Stored);
                key
            })
            .collect();
        let purge = |writer: &mut dyn Writer, keys: &[PurgeKey]| {
            at(writer, START, |batch| batch.purge(keys).expect("no fault"));
        };
        purge(&mut *writer, &[PurgeKey::from_bytes([1; 32])]);
        // The commitment itself is no key.
        let hash = *purge_hash(&keys[0]).as_bytes();
        purge(&mut *writer, &[PurgeKey::from_bytes(hash)]);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [1, 2, 3]);
        purge(&mut *writer, &keys[1..2]);
        purge(&mut *writer, &keys[1..2]);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [1, 3]);
        assert_eq!(reader.totals().expect("no fault").bytes, 2 * (1481 + 256));
        purge(&mut *writer, &keys);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [0u64; 0]);
        assert_eq!(reader.totals().expect("no fault").bytes, 0);
        sweep_all(&mut *writer, START);
        assert_eq!(reader.totals().expect("no fault").bytes, 0);
    });
}

// req: RLY-24
#[test]
fn what_is_remembered_of_one_envelope_takes_no_other_with_it() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        let mut leave = |expires_at| {
            maker.expires_at = expires_at;
            let (envelope, key) = maker.with_purge_key(owner.mailbox());
            let incoming = Incoming { stamp: owner.stamp(&envelope), envelope };
            assert_eq!(deposit(&mut *writer, START, &incoming), Outcome::Stored);
            key
        };
        let soon = START.saturating_add(HOUR).ceil_to_hour();
        let late = START.saturating_add(DAY * 10).ceil_to_hour();
        let purged = leave(soon);
        leave(soon);
        at(&mut *world.writer(), START, |batch| {
            batch.purge(&[purged]).expect("no fault");
            batch.acknowledge(&owner.mailbox(), 2).expect("no fault");
        });
        sweep_all(&mut *world.writer(), START);
        // A store may put these where the first ones were.
        leave(late);
        leave(late);
        sweep_all(&mut *world.writer(), soon.saturating_add(DAY + HOUR));
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [3, 4]);
    });
}

// req: RLY-44
#[test]
fn one_key_purges_sixty_four_envelopes() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        let key = PurgeKey::from_bytes([4; 32]);
        for _ in 0..64 {
            let envelope = maker.purged_by(owner.mailbox(), &key, 256);
            let incoming = Incoming { envelope, stamp: Vec::new() };
            assert_eq!(deposit(&mut *writer, START, &incoming), Outcome::Stored);
        }
        at(&mut *writer, START, |batch| batch.purge(&[key]).expect("no fault"));
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [0u64; 0]);
    });
}

// req: RLY-55
#[test]
fn the_content_of_an_envelope_is_gone_a_day_after_its_expiry() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        assert_eq!(deposit(&mut *writer, START, &maker.stamped(&owner)), Outcome::Stored);
        let end = maker.expires_at.saturating_add(DAY);
        sweep_all(&mut *writer, end);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [1], "not before");
        sweep_all(&mut *writer, UnixMillis(end.0 + 1));
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [0u64; 0]);
        assert_eq!(reader.totals().expect("no fault").bytes, 0);
    });
}

// req: RLY-36, RLY-57
#[test]
fn a_mailbox_that_was_forgotten_gives_no_sequence_twice() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        for _ in 0..5 {
            assert_eq!(deposit(&mut *writer, START, &maker.stamped(&owner)), Outcome::Stored);
        }
        put_card(&mut *writer, START, &signed_card(&owner, 1, b"card"));
        at(&mut *writer, START, |batch| batch.acknowledge(&owner.mailbox(), 3).expect("ok"));
        let end = START.saturating_add(REGISTRATION_LIFE);
        sweep_all(&mut *writer, UnixMillis(end.0 - 1));
        assert_eq!(reader.totals().expect("no fault").mailboxes, 1, "not before its time");
        sweep_all(&mut *writer, end);
        let expected = Totals { bytes: 0, mailboxes: 0, first_seq: 6 };
        assert_eq!(reader.totals(), Ok(expected));
        assert_eq!(reader.card(&owner.mailbox()), Ok(None));
        register(&mut *writer, &owner, end);
        maker.expires_at = end.saturating_add(DAY).ceil_to_hour();
        assert_eq!(deposit(&mut *writer, end, &maker.stamped(&owner)), Outcome::Stored);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [6]);
    });
}

// req: RLY-66
#[test]
fn what_is_remembered_is_bounded() {
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let mut writer = world.writer();
        register(&mut *writer, &owner, START);
        // Purged ones: the owner never comes, so nothing moves its cursor.
        let mut purged = Vec::new();
        for _ in 0..11 {
            let some: Vec<_> = (0..100).map(|_| maker.with_purge_key(owner.mailbox())).collect();
            at(&mut *writer, START, |batch| {
                for (envelope, _) in &some {
                    let stamp = owner.stamp(envelope);
                    let incoming = Incoming { envelope: envelope.clone(), stamp };
                    assert_eq!(batch.deposit(&incoming), Ok(Outcome::Stored));
                }
                let keys: Vec<_> = some.iter().map(|(_, key)| key.clone()).collect();
                batch.purge(&keys).expect("no fault");
            });
            purged.extend(some.into_iter().map(|(envelope, _)| envelope));
        }
        let known = count_known(&mut *writer, &purged);
        assert_eq!(known, 1_024, "of 1,100");
    });
}

// req: RLY-66
#[test]
fn of_acknowledged_ones_the_newest_are_remembered() {
    const COUNT: u64 = 8_000;
    on_each(|world| {
        let (owner, mut maker) = (Owner::new(1), Maker::new(1));
        let mut writer = world.writer();
        register(&mut *writer, &owner, START);
        let (mut first, mut last) = (Vec::new(), Vec::new());
        at(&mut *writer, START, |batch| {
            for i in 0..COUNT {
                let incoming = maker.stamped(&owner);
                assert_eq!(batch.deposit(&incoming), Ok(Outcome::Stored));
                match i {
                    0..4 => first.push(incoming.envelope),
                    _ if i >= COUNT - 4 => last.push(incoming.envelope),
                    _ => {}
                }
            }
            batch.acknowledge(&owner.mailbox(), COUNT).expect("no fault");
        });
        sweep_all(&mut *writer, START);
        assert_eq!(count_known(&mut *writer, &last), 4);
        assert_eq!(count_known(&mut *writer, &first), 0);
    });
}

fn count_known(writer: &mut dyn Writer, envelopes: &[tortalk_model::Envelope]) -> usize {
    let mut group = writer.group().expect("a group");
    let known = |envelope: &&tortalk_model::Envelope| {
        group.knows(&envelope.id(), &envelope.header().purge_hash).expect("no fault")
    };
    envelopes.iter().filter(known).count()
}

fn signed_card(owner: &Owner, seq: u64, blob: &[u8]) -> PutCard {
    let signature = *card_drop::sign(&owner.secret, seq, blob).as_bytes();
    let blob = CardBlob::try_from(blob).expect("within the limit");
    PutCard { mailbox: owner.mailbox(), card: CardDrop { seq, blob, signature } }
}

fn put_card(writer: &mut dyn Writer, now: UnixMillis, put: &PutCard) -> (PutCardResult, u64) {
    let answer = at(writer, now, |batch| batch.put_card(put).expect("no fault"));
    (answer.result, answer.seq)
}

// req: RLY-48, RLY-49
#[test]
fn a_drop_takes_newer_cards_of_registered_mailboxes() {
    on_each(|world| {
        let owner = Owner::new(1);
        let (mut writer, mut reader) = (world.writer(), world.reader());
        let writer = &mut *writer;
        let unregistered = (PutCardResult::Unregistered, 0);
        assert_eq!(put_card(writer, START, &signed_card(&owner, 5, b"a")), unregistered);
        register(writer, &owner, START);
        let stored = |seq| (PutCardResult::Stored, seq);
        let old = (PutCardResult::Old, 5);
        assert_eq!(put_card(writer, START, &signed_card(&owner, 5, b"a")), stored(5));
        assert_eq!(put_card(writer, START, &signed_card(&owner, 5, b"a")), stored(5), "the same");
        assert_eq!(put_card(writer, START, &signed_card(&owner, 5, b"b")), old);
        assert_eq!(put_card(writer, START, &signed_card(&owner, 4, b"b")), old);
        let newest = signed_card(&owner, u64::MAX, b"c");
        assert_eq!(put_card(writer, START, &newest), stored(u64::MAX));
        let held = reader.card(&owner.mailbox()).expect("no fault").expect("a card");
        assert_eq!((held.card, held.put_at), (newest.card, START));
        let end = START.saturating_add(REGISTRATION_LIFE);
        assert_eq!(put_card(writer, end, &signed_card(&owner, 6, b"d")), unregistered);
    });
}

// req: RLY-51
#[test]
fn a_drop_is_emptied_after_sixty_days() {
    on_each(|world| {
        let owner = Owner::new(1);
        let (mut writer, mut reader) = (world.writer(), world.reader());
        register(&mut *writer, &owner, START);
        put_card(&mut *writer, START, &signed_card(&owner, 5, b"a"));
        let late = START.saturating_add(CARD_LIFE);
        register(&mut *writer, &owner, late.saturating_sub(HOUR));
        sweep_all(&mut *writer, late);
        assert!(reader.card(&owner.mailbox()).expect("no fault").is_some());
        sweep_all(&mut *writer, UnixMillis(late.0 + 1));
        assert_eq!(reader.card(&owner.mailbox()), Ok(None));
    });
}

// req: RLY-47
#[test]
fn a_card_has_the_signature_of_its_mailbox() {
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let good = signed_card(&owner, 5, b"a");
    assert!(check_card(&good).is_ok());
    let mut wrong = good.clone();
    wrong.mailbox = other.mailbox();
    assert!(check_card(&wrong).is_err());
    wrong = good.clone();
    wrong.card.seq = 6;
    assert!(check_card(&wrong).is_err());
    wrong = good;
    wrong.mailbox = MailboxKey::from_bytes([2; 32]);
    assert!(check_card(&wrong).is_err());
}
