//! What every store owes: written once, run against each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::{Epoch, MailboxKey, PurgeKey, UnixMillis};
use tortalk_relay::engine::{Batch, Registered};
use tortalk_relay::rules::config::Quotas;
use tortalk_relay::rules::quota::{Class, DepositKey, Mailbox};
use tortalk_relay::rules::sync::{Incoming, Outcome};
use tortalk_relay::store::memory::MemoryBackend;
use tortalk_relay::store::sqlite::SqliteBackend;
use tortalk_relay::store::{Backend, Reader, Totals, Writer};
use tortalk_testkit::Seeded;

use crate::support::{DAY, HOUR, Maker, Owner, START};

/// A store that makes writers and readers without saying of what type.
pub(crate) trait World: Sync {
    fn writer(&self) -> Box<dyn Writer>;
    fn reader(&self) -> Box<dyn Reader>;
}

struct Of<B>(B);

impl<B: Backend> World for Of<B> {
    fn writer(&self) -> Box<dyn Writer> {
        Box::new(self.0.writer().expect("a store"))
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(self.0.reader().expect("a store"))
    }
}

fn sqlite(folder: &TempDir) -> SqliteBackend {
    SqliteBackend::open(folder.path(), &mut Seeded::new(1)).expect("an empty folder")
}

/// Runs a test on an empty store of each kind.
pub(crate) fn on_each(test: impl Fn(&dyn World)) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, world) in [
        ("sqlite", &Of(sqlite(&folder)) as &dyn World),
        ("memory", &Of(MemoryBackend::new(Epoch::from_bytes([1; 16])))),
    ] {
        println!("{name}");
        test(world);
    }
}

/// Does something in one transaction at a time of the test's choice.
pub(crate) fn at<T>(
    writer: &mut dyn Writer,
    now: UnixMillis,
    act: impl FnOnce(&mut Batch<'_>) -> T,
) -> T {
    let group = writer.group().expect("a group");
    let mut batch = Batch::begin(group, now, Quotas::default()).expect("a batch");
    let done = act(&mut batch);
    batch.commit().expect("a commit");
    done
}

pub(crate) fn register(writer: &mut dyn Writer, owner: &Owner, now: UnixMillis) -> Registered {
    let key = DepositKey::from_bytes(owner.deposit_key);
    at(writer, now, |batch| batch.register(&owner.mailbox(), Some(key)).expect("no fault"))
}

pub(crate) fn queued(reader: &mut dyn Reader, mailbox: &MailboxKey, after: u64) -> Vec<u64> {
    let queued = reader.queued(mailbox, after, usize::MAX, usize::MAX).expect("no fault");
    queued.into_iter().map(|queued| queued.seq).collect()
}

// req: RLY-35
#[test]
fn of_two_interleaved_writers_the_smaller_sequence_is_never_committed_later() {
    const GROUPS: usize = 60;
    const SIZE: usize = 5;
    on_each(|world| {
        let owners = [Owner::new(1), Owner::new(2)];
        let mut writer = world.writer();
        for owner in &owners {
            register(&mut *writer, owner, START);
        }
        let running = AtomicBool::new(true);
        std::thread::scope(|scope| {
            // Somebody who follows a mailbox as owners do: it never looks back.
            let followers: Vec<_> = owners
                .iter()
                .map(|owner| {
                    let running = &running;
                    scope.spawn(move || {
                        let (mut reader, mut seen) = (world.reader(), Vec::new());
                        loop {
                            let last = !running.load(Ordering::SeqCst);
                            let after = seen.last().copied().unwrap_or(0);
                            seen.extend(queued(&mut *reader, &owner.mailbox(), after));
                            if last {
                                return seen;
                            }
                        }
                    })
                })
                .collect();
            let writers: Vec<_> = [10, 20]
                .into_iter()
                .map(|seed| {
                    let owners = &owners;
                    scope.spawn(move || {
                        let (mut writer, mut maker) = (world.writer(), Maker::new(seed));
                        for i in 0..GROUPS {
                            at(&mut *writer, START, |batch| {
                                for j in 0..SIZE {
                                    let incoming = maker.stamped(&owners[(i + j) % 2]);
                                    let outcome = batch.deposit(&incoming);
                                    assert_eq!(outcome, Ok(Outcome::Stored));
                                }
                            });
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.join().expect("a writer");
            }
            running.store(false, Ordering::SeqCst);
            let mut reader = world.reader();
            let mut all = 0;
            for (owner, follower) in owners.iter().zip(followers) {
                let seen = follower.join().expect("a follower");
                let held = queued(&mut *reader, &owner.mailbox(), 0);
                assert_eq!(seen, held, "who follows misses nothing");
                all += held.len();
            }
            assert_eq!(all, 2 * GROUPS * SIZE);
        });
    });
}

// req: RLY-35
#[test]
fn a_group_owns_the_mailboxes_that_it_looked_at() {
    on_each(|world| {
        let owner = Owner::new(1);
        let (mut first, mut maker) = (world.writer(), Maker::new(1));
        register(&mut *first, &owner, START);
        let mut group = first.group().expect("a group");
        let (id, mailbox) = group.find(&owner.mailbox()).expect("no fault").expect("registered");
        let envelope = maker.envelope(owner.mailbox());
        let other = maker.unstamped(&owner);
        std::thread::scope(|scope| {
            let (done, waiting) = mpsc::channel();
            let (owner, other) = (&owner, &other);
            scope.spawn(move || {
                let mut second = world.writer();
                at(&mut *second, START, |batch| batch.deposit(other).expect("no fault"));
                done.send(()).expect("the test waits");
            });
            let early = waiting.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "the second writer has not waited");
            let seq = mailbox.next_seq;
            group.insert(id, seq, Class::Stranger, 1, &envelope).expect("no fault");
            let after = Mailbox { next_seq: seq + 1, ..mailbox };
            group.save(id, &after).expect("no fault");
            group.commit().expect("a commit");
            waiting.recv().expect("the second writer comes after the first");
            let mut reader = world.reader();
            assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [seq, seq + 1]);
        });
    });
}

#[test]
fn a_group_that_is_dropped_never_happened() {
    on_each(|world| {
        let owner = Owner::new(1);
        let (mut writer, mut reader, mut maker) = (world.writer(), world.reader(), Maker::new(1));
        register(&mut *writer, &owner, START);
        let incoming = maker.stamped(&owner);
        let before = reader.totals();
        {
            let group = writer.group().expect("a group");
            let mut batch = Batch::begin(group, START, Quotas::default()).expect("a batch");
            assert_eq!(batch.deposit(&incoming), Ok(Outcome::Stored));
            batch.register(&Owner::new(2).mailbox(), None).expect("no fault");
        }
        assert_eq!(reader.totals(), before);
        assert_eq!(queued(&mut *reader, &owner.mailbox(), 0), [0u64; 0]);
        let again = at(&mut *writer, START, |batch| batch.deposit(&incoming));
        assert_eq!(again, Ok(Outcome::Stored), "it is no duplicate");
    });
}

// req: RLY-15
#[test]
fn what_is_held_or_remembered_is_known() {
    on_each(|world| {
        let owner = Owner::new(1);
        let (mut writer, mut maker) = (world.writer(), Maker::new(1));
        let writer = &mut *writer;
        register(writer, &owner, START);
        let (envelope, key) = maker.with_purge_key(owner.mailbox());
        let purged = Incoming { envelope, stamp: Vec::new() };
        let (held, acknowledged) = (maker.stamped(&owner), maker.stamped(&owner));
        at(writer, START, |batch| {
            for incoming in [&acknowledged, &purged, &held] {
                assert_eq!(batch.deposit(incoming), Ok(Outcome::Stored));
            }
            assert_eq!(batch.deposit(&held), Ok(Outcome::Duplicate), "in one group");
            batch.acknowledge(&owner.mailbox(), 1).expect("no fault");
            batch.purge(std::slice::from_ref(&key)).expect("no fault");
        });
        for _ in 0..2 {
            at(writer, START, |batch| {
                for incoming in [&acknowledged, &purged, &held] {
                    assert_eq!(batch.deposit(incoming), Ok(Outcome::Duplicate));
                }
                batch.sweep().expect("no fault");
            });
        }
        let late = maker.expires_at.saturating_add(DAY + HOUR);
        at(writer, late, |batch| batch.sweep().expect("no fault"));
        at(writer, late, |batch| {
            assert_eq!(batch.deposit(&held), Ok(Outcome::Stored), "forgotten after its expiry");
        });
    });
}

// req: RLY-37
#[test]
fn a_reader_keeps_to_order_and_bounds() {
    on_each(|world| {
        let owner = Owner::new(1);
        let (mut writer, mut reader, mut maker) = (world.writer(), world.reader(), Maker::new(1));
        register(&mut *writer, &owner, START);
        at(&mut *writer, START, |batch| {
            for _ in 0..5 {
                assert_eq!(batch.deposit(&maker.stamped(&owner)), Ok(Outcome::Stored));
            }
            let large = maker.of_bucket(owner.mailbox(), 4_096);
            let stamp = owner.stamp(&large);
            let incoming = Incoming { envelope: large, stamp };
            assert_eq!(batch.deposit(&incoming), Ok(Outcome::Stored));
        });
        let mailbox = owner.mailbox();
        let mut read = |after, count, bytes| -> Vec<u64> {
            let queued = reader.queued(&mailbox, after, count, bytes).expect("no fault");
            queued.into_iter().map(|queued| queued.seq).collect()
        };
        assert_eq!(read(0, 100, usize::MAX), [1, 2, 3, 4, 5, 6]);
        assert_eq!(read(2, 2, usize::MAX), [3, 4]);
        assert_eq!(read(0, 100, 3 * 1481), [1, 2, 3]);
        assert_eq!(read(0, 100, 3 * 1481 - 1), [1, 2]);
        assert_eq!(read(4, 100, 1481 + 5000), [5], "the large one does not fit");
        assert_eq!(read(6, 100, usize::MAX), [0u64; 0]);
    });
}

/// One of everything that clients can cause.
enum Step {
    Register(usize),
    Deposit(usize),
    Again(usize),
    Ack(usize, u64),
    Purge(usize),
    Sweep,
    Later(Duration),
}

fn draw(seeded: &mut Seeded) -> Step {
    let [kind, which, amount, _] = entropy::array::<4>(seeded as &mut dyn Entropy);
    let which = usize::from(which);
    match kind % 16 {
        0 => Step::Register(which),
        1..=8 => Step::Deposit(which),
        9 => Step::Again(which),
        10..=11 => Step::Ack(which, u64::from(amount % 16)),
        12 => Step::Purge(which),
        13..=14 => Step::Sweep,
        _ => Step::Later(HOUR * u32::from(amount)),
    }
}

/// Everything that can be seen of a store.
#[derive(Debug, PartialEq)]
struct Seen {
    outcomes: Vec<Outcome>,
    queues: BTreeMap<usize, Vec<u64>>,
    totals: Totals,
}

fn play(world: &dyn World, seed: u64) -> Vec<Seen> {
    let owners: Vec<Owner> = (1..=4).map(Owner::new).collect();
    let (mut writer, mut reader) = (world.writer(), world.reader());
    let (mut seeded, mut maker) = (Seeded::new(seed), Maker::new(seed));
    let (mut now, mut seen) = (START, Vec::new());
    let mut sent: Vec<(Incoming, PurgeKey)> = Vec::new();
    for _ in 0..40 {
        let mut outcomes = Vec::new();
        at(&mut *writer, now, |batch| {
            for _ in 0..6 {
                match draw(&mut seeded) {
                    Step::Register(i) => {
                        let owner = &owners[i % owners.len()];
                        let key = DepositKey::from_bytes(owner.deposit_key);
                        batch.register(&owner.mailbox(), Some(key)).expect("no fault");
                    }
                    Step::Deposit(i) => {
                        let owner = &owners[i % owners.len()];
                        maker.expires_at = now.saturating_add(HOUR * (i as u32)).ceil_to_hour();
                        let (envelope, key) = maker.with_purge_key(owner.mailbox());
                        let stamp = if i % 3 == 0 { Vec::new() } else { owner.stamp(&envelope) };
                        let incoming = Incoming { envelope, stamp };
                        outcomes.push(batch.deposit(&incoming).expect("no fault"));
                        sent.push((incoming, key));
                    }
                    Step::Again(i) if !sent.is_empty() => {
                        let (incoming, _) = &sent[i % sent.len()];
                        outcomes.push(batch.deposit(incoming).expect("no fault"));
                    }
                    Step::Purge(i) if !sent.is_empty() => {
                        let (_, key) = &sent[i % sent.len()];
                        batch.purge(std::slice::from_ref(key)).expect("no fault");
                    }
                    Step::Ack(i, up_to) => {
                        let owner = &owners[i % owners.len()];
                        batch.acknowledge(&owner.mailbox(), up_to * 3).expect("no fault");
                    }
                    Step::Sweep => {
                        batch.sweep().expect("no fault");
                    }
                    Step::Later(by) => now = now.saturating_add(by),
                    Step::Again(_) | Step::Purge(_) => {}
                }
            }
        });
        let queues = owners
            .iter()
            .enumerate()
            .map(|(i, owner)| (i, queued(&mut *reader, &owner.mailbox(), 0)))
            .collect();
        seen.push(Seen { outcomes, queues, totals: reader.totals().expect("no fault") });
    }
    seen
}

#[test]
fn all_stores_do_the_same_and_count_what_they_hold() {
    for seed in 0..30 {
        let folder = tempfile::tempdir().expect("a folder");
        let backend = sqlite(&folder);
        let ours = play(&Of(backend.clone()), seed);
        let memory = play(&Of(MemoryBackend::new(Epoch::from_bytes([1; 16]))), seed);
        for (i, (ours, memory)) in ours.iter().zip(&memory).enumerate() {
            assert_eq!(ours, memory, "seed {seed}, group {i}");
            let held: usize = ours.queues.values().map(Vec::len).sum();
            assert_eq!(ours.totals.bytes, held as u64 * (1481 + 256), "seed {seed}, group {i}");
        }
        let stored = ours.iter().flat_map(|seen| &seen.outcomes);
        assert!(stored.filter(|outcome| **outcome == Outcome::Stored).count() > 10);
    }
}

// req: RLY-69
#[test]
fn sqlite_keeps_what_was_committed_and_its_epoch() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner::new(1);
    let epoch = {
        let backend = sqlite(&folder);
        let mut writer = backend.writer().expect("a store");
        register(&mut writer, &owner, START);
        let incoming = Maker::new(1).stamped(&owner);
        at(&mut writer, START, |batch| batch.deposit(&incoming).expect("no fault"));
        backend.reader().expect("a store").epoch().expect("no fault")
    };
    let backend = SqliteBackend::open(folder.path(), &mut Seeded::new(2)).expect("opened again");
    let mut reader = backend.reader().expect("a store");
    assert_eq!(reader.epoch(), Ok(epoch), "an epoch is drawn once");
    assert_eq!(queued(&mut reader, &owner.mailbox(), 0), [1]);
    let renewed = backend.renew_epoch(&mut Seeded::new(3)).expect("no fault");
    assert_ne!(renewed, epoch);
    assert_eq!(reader.epoch(), Ok(renewed));
}
