//! What a relay's store has to answer, written down as plainly as it can be, and
//! random groups of wishes that show whether each store does (spec/relay.md).

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tempfile::TempDir;
use tortalk_model::{Envelope, Epoch, PurgeKey, UnixMillis};
use tortalk_relay::engine::{Batch, Registered};
use tortalk_relay::rules::config::Quotas;
use tortalk_relay::rules::quota::DepositKey;
use tortalk_relay::rules::sync::{Incoming, Outcome};
use tortalk_relay::store::memory::MemoryBackend;
use tortalk_relay::store::sqlite::SqliteBackend;
use tortalk_relay::store::{Backend, Reader, Writer};
use tortalk_rpc::{CardDrop, DepositRefusal, PutCard, PutCardResult};
use tortalk_testkit::Seeded;

use crate::support::{DAY, HOUR, Maker, Owner, START};

const OWNERS: u8 = 4;
const ENVELOPES: u8 = 40;
/// Two envelopes share each.
const PURGE_KEYS: u8 = 20;
/// Of the smallest envelope, with what a quota adds.
const COST: u64 = 1481 + 256;
/// Small enough to be used up: two unstamped envelopes and fourteen others for
/// one mailbox, twenty in all, and a place less than there are owners.
const QUOTAS: Quotas =
    Quotas { mailbox_bytes: 16 * COST, total_bytes: 20 * COST, mailboxes: OWNERS as u64 - 1 };

/// What happens in one group.
#[derive(Debug, Clone)]
enum Wish {
    Register(u8),
    Deposit { n: u8, stamped: bool },
    Acknowledge { owner: u8, up_to: u64 },
    Purge(u8),
    PutCard { owner: u8, seq: u64, blob: u8 },
    Sweep,
}

#[derive(Debug, Clone)]
enum Step {
    /// A group that is committed.
    Commit(Vec<Wish>),
    /// A group that is dropped.
    Drop(Vec<Wish>),
    Reopen,
    Later(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Registered(Registered),
    Deposited(Outcome),
    Put(PutCardResult, u64),
    Nothing,
}

#[derive(Debug, Clone)]
struct Letter {
    n: u8,
    stamped: bool,
    cost: u64,
    /// Purged: its id is remembered, and nothing else.
    purged: bool,
}

#[derive(Debug, Clone)]
struct Mailbox {
    until: UnixMillis,
    next_seq: u64,
    /// The owner holds all up to here.
    cursor: u64,
    letters: BTreeMap<u64, Letter>,
    card: Option<(u64, u8, UnixMillis)>,
}

impl Mailbox {
    fn held(&self) -> impl Iterator<Item = (u64, &Letter)> {
        let held = self.letters.range(self.cursor + 1..).filter(|(_, letter)| !letter.purged);
        held.map(|(seq, letter)| (*seq, letter))
    }

    fn bytes(&self, stamped: bool) -> u64 {
        self.held().filter(|(_, l)| l.stamped == stamped).map(|(_, l)| l.cost).sum()
    }
}

#[derive(Debug, Clone)]
struct Relay {
    mailboxes: BTreeMap<u8, Mailbox>,
    first_seq: u64,
}

/// The relay as it has to be, the time, and what the last group was answered.
#[derive(Debug, Clone)]
struct Expected {
    relay: Relay,
    now: UnixMillis,
    answers: Vec<Answer>,
}

impl Relay {
    fn bytes(&self) -> u64 {
        let held = self.mailboxes.values().flat_map(Mailbox::held);
        held.map(|(_, letter)| letter.cost).sum()
    }

    fn grant(&mut self, wish: &Wish, now: UnixMillis) -> Answer {
        match *wish {
            Wish::Register(owner) => Answer::Registered(self.register(owner, now)),
            Wish::Deposit { n, stamped } => Answer::Deposited(self.deposit(n, stamped, now)),
            Wish::Acknowledge { owner, up_to } => {
                if let Some(mailbox) = self.mailboxes.get_mut(&owner) {
                    mailbox.cursor = mailbox.cursor.max(up_to.min(mailbox.next_seq - 1));
                }
                Answer::Nothing
            }
            Wish::Purge(key) => {
                for mailbox in self.mailboxes.values_mut() {
                    let held = mailbox.letters.range_mut(mailbox.cursor + 1..);
                    held.filter(|(_, letter)| letter.n % PURGE_KEYS == key)
                        .for_each(|(_, letter)| letter.purged = true);
                }
                Answer::Nothing
            }
            Wish::PutCard { owner, seq, blob } => self.put_card(owner, (seq, blob, now)),
            Wish::Sweep => {
                self.sweep(now);
                Answer::Nothing
            }
        }
    }

    fn register(&mut self, owner: u8, now: UnixMillis) -> Registered {
        let until = now.saturating_add(DAY * 60);
        if let Some(mailbox) = self.mailboxes.get_mut(&owner) {
            mailbox.until = until;
            return Registered::Again(until);
        }
        if self.mailboxes.len() as u64 >= QUOTAS.mailboxes {
            return Registered::NoPlace;
        }
        let (next_seq, letters) = (self.first_seq, BTreeMap::new());
        let mailbox = Mailbox { until, next_seq, cursor: next_seq - 1, letters, card: None };
        self.mailboxes.insert(owner, mailbox);
        Registered::New(until)
    }

    fn deposit(&mut self, n: u8, stamped: bool, now: UnixMillis) -> Outcome {
        let cost = envelope(n).as_bytes().len() as u64 + 256;
        if self.bytes() + cost > QUOTAS.total_bytes {
            return Outcome::Refused(DepositRefusal::Busy);
        }
        let Some(mailbox) = self.mailboxes.get_mut(&(n % OWNERS)).filter(|m| m.until > now) else {
            return Outcome::Refused(DepositRefusal::NoRoom);
        };
        if mailbox.letters.values().any(|letter| letter.n == n) {
            return Outcome::Duplicate;
        }
        let strangers = QUOTAS.mailbox_bytes / 8;
        if stamped && mailbox.bytes(true) + cost > QUOTAS.mailbox_bytes - strangers {
            return Outcome::Refused(DepositRefusal::Full);
        }
        if !stamped && mailbox.bytes(false) + cost > strangers {
            return Outcome::Refused(DepositRefusal::NoRoom);
        }
        let letter = Letter { n, stamped, cost, purged: false };
        mailbox.letters.insert(mailbox.next_seq, letter);
        mailbox.next_seq += 1;
        Outcome::Stored
    }

    fn put_card(&mut self, owner: u8, card: (u64, u8, UnixMillis)) -> Answer {
        let (seq, blob, now) = card;
        let Some(mailbox) = self.mailboxes.get_mut(&owner).filter(|m| m.until > now) else {
            return Answer::Put(PutCardResult::Unregistered, 0);
        };
        match mailbox.card {
            Some((held, other, _)) if held > seq || held == seq && other != blob => {
                Answer::Put(PutCardResult::Old, held)
            }
            _ => {
                mailbox.card = Some(card);
                Answer::Put(PutCardResult::Stored, seq)
            }
        }
    }

    fn sweep(&mut self, now: UnixMillis) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.letters.retain(|_, letter| expires_at(letter.n).saturating_add(DAY) >= now);
            mailbox.card = mailbox.card.filter(|card| card.2.saturating_add(DAY * 60) >= now);
        }
        let first_seq = &mut self.first_seq;
        self.mailboxes.retain(|_, mailbox| {
            let lapsed = mailbox.until <= now && mailbox.held().next().is_none();
            if lapsed {
                *first_seq = (*first_seq).max(mailbox.next_seq);
            }
            !lapsed
        });
    }
}

struct Groups;

impl ReferenceStateMachine for Groups {
    type State = Expected;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Expected> {
        let relay = Relay { mailboxes: BTreeMap::new(), first_seq: 1 };
        Just(Expected { relay, now: START, answers: Vec::new() }).boxed()
    }

    fn transitions(expected: &Expected) -> BoxedStrategy<Step> {
        let highest = expected.relay.mailboxes.values().map(|m| m.next_seq).max().unwrap_or(1);
        let wishes = || prop::collection::vec(wish(highest), 1..8);
        prop_oneof![
            12 => wishes().prop_map(Step::Commit),
            2 => wishes().prop_map(Step::Drop),
            1 => Just(Step::Reopen),
            3 => (0..200u32).prop_map(|hours| Step::Later(HOUR * hours)),
            1 => (59..62u32).prop_map(|days| Step::Later(DAY * days)),
        ]
        .boxed()
    }

    fn apply(mut expected: Expected, step: &Step) -> Expected {
        let now = expected.now;
        match step {
            Step::Commit(wishes) => {
                let relay = &mut expected.relay;
                expected.answers = wishes.iter().map(|wish| relay.grant(wish, now)).collect();
            }
            Step::Drop(wishes) => {
                let mut relay = expected.relay.clone();
                expected.answers = wishes.iter().map(|wish| relay.grant(wish, now)).collect();
            }
            Step::Reopen => {}
            Step::Later(by) => expected.now = now.saturating_add(*by),
        }
        expected
    }
}

/// `highest` is above every sequence that was given.
fn wish(highest: u64) -> impl Strategy<Value = Wish> {
    let owner = || 0..OWNERS;
    prop_oneof![
        2 => owner().prop_map(Wish::Register),
        8 => (0..ENVELOPES, prop::bool::weighted(0.7))
            .prop_map(|(n, stamped)| Wish::Deposit { n, stamped }),
        2 => (owner(), 0..highest + 2)
            .prop_map(|(owner, up_to)| Wish::Acknowledge { owner, up_to }),
        2 => (0..PURGE_KEYS).prop_map(Wish::Purge),
        2 => (owner(), 1..5u64, 0..2u8)
            .prop_map(|(owner, seq, blob)| Wish::PutCard { owner, seq, blob }),
        1 => Just(Wish::Sweep),
    ]
}

/// A relay's store on a disk and one in memory.
struct Stores {
    folder: TempDir,
    sqlite: SqliteBackend,
    memory: MemoryBackend,
    epoch: Epoch,
}

impl StateMachineTest for Groups {
    type SystemUnderTest = Stores;
    type Reference = Self;

    fn init_test(_: &Expected) -> Stores {
        let folder = tempfile::tempdir().expect("a folder");
        let sqlite = open(&folder);
        let epoch = sqlite.reader().expect("a store").epoch().expect("no fault");
        Stores { folder, sqlite, memory: MemoryBackend::new(epoch), epoch }
    }

    fn apply(stores: Stores, expected: &Expected, step: Step) -> Stores {
        match step {
            Step::Commit(wishes) => {
                for answers in stores.grant(&wishes, expected.now, End::Commit) {
                    assert_eq!(answers, expected.answers);
                }
            }
            Step::Drop(wishes) => {
                for answers in stores.grant(&wishes, expected.now, End::Drop) {
                    assert_eq!(answers, expected.answers);
                }
            }
            Step::Reopen => {
                let Stores { folder, sqlite, memory, epoch } = stores;
                drop(sqlite);
                let sqlite = open(&folder);
                return Stores { folder, sqlite, memory, epoch };
            }
            Step::Later(_) => {}
        }
        stores
    }

    fn check_invariants(stores: &Stores, expected: &Expected) {
        check(&mut stores.sqlite.reader().expect("a store"), stores.epoch, &expected.relay);
        check(&mut stores.memory.reader().expect("a store"), stores.epoch, &expected.relay);
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Commit,
    Drop,
}

impl Stores {
    /// What each of the stores answers.
    fn grant(&self, wishes: &[Wish], now: UnixMillis, end: End) -> [Vec<Answer>; 2] {
        let mut writers: [Box<dyn Writer>; 2] = [
            Box::new(self.sqlite.writer().expect("a store")),
            Box::new(self.memory.writer().expect("a store")),
        ];
        writers.each_mut().map(|writer| {
            let group = writer.group().expect("a group");
            let mut batch = Batch::begin(group, now, QUOTAS).expect("a batch");
            let answers = wishes.iter().map(|wish| granted(&mut batch, wish)).collect();
            match end {
                End::Commit => drop(batch.commit().expect("a commit")),
                End::Drop => drop(batch),
            }
            answers
        })
    }
}

fn granted(batch: &mut Batch<'_>, wish: &Wish) -> Answer {
    match *wish {
        Wish::Register(i) => {
            let owner = owner(i);
            let key = DepositKey::from_bytes(owner.deposit_key);
            Answer::Registered(batch.register(&owner.mailbox(), Some(key)).expect("no fault"))
        }
        Wish::Deposit { n, stamped } => {
            let envelope = envelope(n);
            let stamp = if stamped { owner(n % OWNERS).stamp(&envelope) } else { vec![9; 16] };
            Answer::Deposited(batch.deposit(&Incoming { envelope, stamp }).expect("no fault"))
        }
        Wish::Acknowledge { owner: i, up_to } => {
            batch.acknowledge(&owner(i).mailbox(), up_to).expect("no fault");
            Answer::Nothing
        }
        Wish::Purge(key) => {
            batch.purge(&[purge_key(key)]).expect("no fault");
            Answer::Nothing
        }
        Wish::PutCard { owner: i, seq, blob } => {
            let put = PutCard { mailbox: owner(i).mailbox(), card: card(seq, blob) };
            let answer = batch.put_card(&put).expect("no fault");
            Answer::Put(answer.result, answer.seq)
        }
        Wish::Sweep => {
            batch.sweep().expect("no fault");
            Answer::Nothing
        }
    }
}

fn check(reader: &mut dyn Reader, epoch: Epoch, relay: &Relay) {
    assert_eq!(reader.epoch(), Ok(epoch));
    let totals = reader.totals().expect("no fault");
    let expected = (relay.bytes(), relay.mailboxes.len() as u64, relay.first_seq);
    assert_eq!((totals.bytes, totals.mailboxes, totals.first_seq), expected);
    for i in 0..OWNERS {
        let key = owner(i).mailbox();
        let mailbox = relay.mailboxes.get(&i);
        let held: Vec<(u64, Vec<u8>)> = mailbox
            .into_iter()
            .flat_map(Mailbox::held)
            .map(|(seq, letter)| (seq, envelope(letter.n).as_bytes().to_vec()))
            .collect();
        let first = held.first().map_or(0, |(seq, _)| *seq);
        for (after, count, bytes) in
            [(0, usize::MAX, usize::MAX), (first, usize::MAX, usize::MAX), (0, 2, 3_000), (0, 9, 9)]
        {
            let mut left = bytes;
            let expected: Vec<_> = held
                .iter()
                .filter(|(seq, _)| *seq > after)
                .take(count)
                .take_while(|(_, envelope)| {
                    let fits = envelope.len() <= left;
                    left = left.saturating_sub(envelope.len());
                    fits
                })
                .cloned()
                .collect();
            let queued = reader.queued(&key, after, count, bytes).expect("no fault");
            let queued: Vec<_> = queued.into_iter().map(|q| (q.seq, q.envelope.to_vec())).collect();
            assert_eq!(queued, expected, "owner {i}, after {after}, {count}, {bytes}");
        }
        let expected = mailbox.and_then(|mailbox| mailbox.card);
        let found = reader.card(&key).expect("no fault");
        let found = found.map(|stored| (stored.card, stored.put_at));
        assert_eq!(found, expected.map(|(seq, blob, at)| (card(seq, blob), at)), "owner {i}");
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    // req: RLY-15, RLY-17, RLY-18, RLY-36, RLY-42, RLY-44, RLY-49, RLY-55, RLY-57
    #[test]
    fn every_store_answers_as_the_oracle(sequential 1..30 => Groups);
}

fn open(folder: &TempDir) -> SqliteBackend {
    SqliteBackend::open(folder.path(), &mut Seeded::new(1)).expect("a folder of ours")
}

fn owner(i: u8) -> Owner {
    Owner::new(i + 1)
}

fn expires_at(n: u8) -> UnixMillis {
    START.saturating_add(HOUR * 12 * u32::from(n)).ceil_to_hour()
}

/// Equal numbers are equal envelopes; every fourth is larger than the others.
fn envelope(n: u8) -> Envelope {
    let mut maker = Maker::new(u64::from(n));
    maker.expires_at = expires_at(n);
    let bucket = if n % 4 == 3 { 1024 } else { 256 };
    maker.purged_by(owner(n % OWNERS).mailbox(), &purge_key(n % PURGE_KEYS), bucket)
}

fn purge_key(key: u8) -> PurgeKey {
    PurgeKey::from_bytes([key ^ 0x5c; 32])
}

fn card(seq: u64, blob: u8) -> CardDrop {
    let blob = vec![blob; 2048].try_into().expect("a length that blobs have");
    CardDrop { seq, blob, signature: [seq as u8; 64] }
}
