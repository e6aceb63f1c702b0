//! What a relay's database holds after the power went off, at every moment of a
//! piece of work: whole groups, and every one that was promised (RLY-22, RLY-33,
//! RLY-50). What was acknowledged stays gone (RLY-42), and no sequence of a
//! mailbox is given twice (RLY-36).
//!
//! `cargo xtask show crashes --store relay`; `tortalk_testkit::crash` says how.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use tortalk_keys::relay_proof::card_drop;
use tortalk_keys::{MailboxSecret, stamp};
use tortalk_model::entropy::Entropy;
use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{
    Envelope, EnvelopeHeader, EnvelopeId, Epoch, KeyId, MailboxKey, PurgeHash, PurgeKey,
    UnixMillis, hash,
};
use tortalk_relay::engine::{Batch, Registered};
use tortalk_relay::rules::config::Quotas;
use tortalk_relay::rules::quota::DepositKey;
use tortalk_relay::rules::sync::{Incoming, Outcome};
use tortalk_relay::store::sqlite::{STORE_FILE, SqliteBackend, SqliteReader, SqliteWriter};
use tortalk_relay::store::{Backend, Reader, StoreError, Writer};
use tortalk_rpc::{CardBlob, CardDrop, PutCard, PutCardResult};
use tortalk_testkit::crash::{self, Diary, NOTHING, Problem, Subject};
use tortalk_testkit::{Seeded, hex};

fn main() -> ExitCode {
    crash::main::<Relay>()
}

struct Relay;

const OWNERS: u8 = 3;
const COMMITS: u64 = 44;
/// Until here a few minutes pass from one commit to the next; then so long that
/// every registration has ended.
const ABSENT_FROM: u64 = 34;
const START: UnixMillis = UnixMillis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The most envelopes that one group takes here.
const GROUP: u64 = 8;
/// What a check's envelope is made from.
const PROBE: u64 = u64::MAX;

/// An open store, with a writer and a reader as a relay has them.
struct Open {
    writer: SqliteWriter,
    reader: SqliteReader,
}

impl Open {
    fn new(folder: &Path, seed: u64) -> Result<Self, StoreError> {
        let backend = SqliteBackend::open(folder, &mut Seeded::new(seed))?;
        Ok(Self { writer: backend.writer()?, reader: backend.reader()? })
    }
}

impl Subject for Relay {
    const NAME: &'static str = "relay";

    fn work(folder: &Path, diary: &mut Diary) -> Result<(), Problem> {
        let mut open = None;
        diary.commit(
            &mut open,
            |open| {
                *open = Some(Open::new(folder, WORK).map_err(said)?);
                Ok(())
            },
            |open| content(open.as_mut().ok_or("no store")?),
        )?;
        let mut open = open.ok_or("no store")?;
        let mut given = BTreeMap::new();
        for k in 1..COMMITS {
            match k % 16 {
                // A copy of the log into the file, as SQLite makes one by itself
                // when the log is long. The log begins anew then.
                7 => copy_log(folder)?,
                // The last one to close it removes the log.
                15 => {
                    drop(open);
                    open = Open::new(folder, WORK).map_err(said)?;
                }
                _ => {}
            }
            diary.commit(&mut open, |open| group(&mut open.writer, k), content)?;
            ascending(&mut open.reader, &mut given)?;
        }
        let totals = open.reader.totals().map_err(said)?;
        // Otherwise the work does not show what it is for.
        if totals.first_seq <= 1 || totals.bytes == 0 || totals.mailboxes < u64::from(OWNERS) {
            return Err(format!("no mailbox was forgotten and came back: {totals:?}"));
        }
        Ok(())
    }

    fn check(folder: &Path) -> Result<String, Problem> {
        let mut open = Open::new(folder, CHECK).map_err(said)?;
        let fresh = open.reader.epoch().map_err(said)? == epoch_of(CHECK);
        // A store that had no epoch yet has nothing else either.
        let before = content(&mut open)?;
        probe(&mut open)?;
        drop(open);
        let mailbox = owner(0).public();
        let backend = SqliteBackend::open(folder, &mut Seeded::new(CHECK + 1)).map_err(said)?;
        let mut reader = backend.reader().map_err(said)?;
        let held = reader.queued(&mailbox, 0, usize::MAX, usize::MAX).map_err(said)?;
        let envelope = envelope(&mailbox, PROBE, late());
        if held.last().is_none_or(|last| Envelope::id_of(&last.envelope) != envelope.id()) {
            return Err("takes no new envelope".into());
        }
        drop(reader);
        contradictions(folder)?;
        Ok(if fresh { NOTHING.to_owned() } else { before })
    }
}

const WORK: u64 = 1;
const CHECK: u64 = 2;

fn epoch_of(seed: u64) -> Epoch {
    Epoch::from_bytes(Seeded::new(seed).bytes())
}

fn said(error: impl std::fmt::Display) -> Problem {
    error.to_string()
}

fn owner(n: u8) -> MailboxSecret {
    MailboxSecret::from_seed([n + 1; 32])
}

fn deposit_key(n: u8) -> [u8; 32] {
    [n ^ 0x5c; 32]
}

/// The relay's clock at commit `k`.
fn now(k: u64) -> UnixMillis {
    let absent = if k < ABSENT_FROM { Duration::ZERO } else { DAY * 61 };
    START.saturating_add(MINUTE * u32::try_from(k * 7).unwrap_or(0) + absent)
}

/// Behind everything that happens.
fn late() -> UnixMillis {
    now(COMMITS).saturating_add(DAY)
}

/// The envelope with this number.
fn envelope(mailbox: &MailboxKey, number: u64, now: UnixMillis) -> Envelope {
    let header = EnvelopeHeader {
        suite: SUITE_1,
        mailbox: *mailbox,
        key_id: KeyId::from_bytes([7; 8]),
        expires_at: now.saturating_add(DAY * 10).ceil_to_hour(),
        purge_hash: purge_hash(&purge_key(number)),
        ext: Vec::new(),
    };
    // Every seventh is of a larger bucket, so that it takes several pages.
    let bucket = if number % 7 == 3 { 8_192 } else { 256 };
    let mut sealed = vec![0; SUITE_1_ENC_BYTES + bucket + SUITE_1_TAG_BYTES];
    Seeded::new(number).fill(&mut sealed);
    Envelope::build(&header, &sealed).expect("a well-formed envelope")
}

/// For whom envelope `i` of commit `k` is.
fn to(k: u64, i: u64) -> u8 {
    ((k + i) % u64::from(OWNERS)) as u8
}

/// What may have been sent, by the names under which it is remembered.
static SENT: LazyLock<Vec<(EnvelopeId, PurgeHash)>> = LazyLock::new(|| {
    let numbers = (0..COMMITS).flat_map(|k| (0..GROUP).map(move |i| (k, i)));
    let sent = numbers.map(|(k, i)| {
        let envelope = envelope(&owner(to(k, i)).public(), k * GROUP + i, now(k));
        (envelope.id(), envelope.header().purge_hash)
    });
    sent.collect()
});

fn purge_key(number: u64) -> PurgeKey {
    PurgeKey::from_bytes(hash::labelled(b"purge", &[&number.to_be_bytes()]))
}

/// One group commit of what clients may want at once.
fn group(writer: &mut SqliteWriter, k: u64) -> Result<(), Problem> {
    let group = writer.group().map_err(said)?;
    let mut batch = Batch::begin(group, now(k), Quotas::default()).map_err(said)?;
    let who = (k % u64::from(OWNERS)) as u8;
    let mailbox = owner(who).public();
    // Everybody registers at first, and again when they come back.
    if k < 4 || k % 10 == 1 || k >= ABSENT_FROM + 4 {
        let key = Some(DepositKey::from_bytes(deposit_key(who)));
        let done = batch.register(&mailbox, key).map_err(said)?;
        if done == Registered::NoPlace {
            return Err("no place for a mailbox".into());
        }
    }
    for i in 0..(k * 5) % (GROUP + 1) {
        let to = to(k, i);
        let envelope = envelope(&owner(to).public(), k * GROUP + i, now(k));
        let stamp = match i % 4 {
            3 => Vec::new(),
            _ => stamp(&deposit_key(to), &envelope.id()).to_vec(),
        };
        let outcome = batch.deposit(&Incoming { envelope, stamp }).map_err(said)?;
        if outcome == Outcome::Duplicate {
            return Err("an envelope that was never sent is a duplicate".into());
        }
    }
    match k % 4 {
        0 => batch.acknowledge(&mailbox, k).map_err(said)?,
        1 => batch.purge(&[purge_key((k - 1) * GROUP), purge_key(k * GROUP)]).map_err(said)?,
        2 => {
            let _more = batch.sweep().map_err(said)?;
        }
        _ => put_card(&mut batch, who, k)?,
    }
    batch.commit().map(drop).map_err(said)
}

fn put_card(batch: &mut Batch<'_>, who: u8, k: u64) -> Result<(), Problem> {
    let (secret, bytes) = (owner(who), vec![k as u8; 3_000]);
    let signature = *card_drop::sign(&secret, k, &bytes).as_bytes();
    let card = CardDrop { seq: k, blob: CardBlob::try_from(bytes).map_err(said)?, signature };
    let answer = batch.put_card(&PutCard { mailbox: secret.public(), card }).map_err(said)?;
    match answer.result {
        PutCardResult::Stored | PutCardResult::Unregistered => Ok(()),
        other => Err(format!("a card was not taken: {other:?}")),
    }
}

/// Registers an owner and deposits for them. The sequence is above every one
/// that the mailbox has given.
fn probe(open: &mut Open) -> Result<(), Problem> {
    let (mailbox, now) = (owner(0).public(), late());
    let mut group = open.writer.group().map_err(said)?;
    let next = match group.find(&mailbox).map_err(said)? {
        Some((_, known)) => known.next_seq,
        None => group.totals().map_err(said)?.first_seq,
    };
    let mut batch = Batch::begin(group, now, Quotas::default()).map_err(said)?;
    batch.register(&mailbox, Some(DepositKey::from_bytes(deposit_key(0)))).map_err(said)?;
    let envelope = envelope(&mailbox, PROBE, now);
    let stamp = stamp(&deposit_key(0), &envelope.id()).to_vec();
    let outcome = batch.deposit(&Incoming { envelope, stamp }).map_err(said)?;
    batch.commit().map_err(said)?;
    let held = open.reader.queued(&mailbox, 0, usize::MAX, usize::MAX).map_err(said)?;
    match (outcome, held.last()) {
        (Outcome::Stored, Some(last)) if last.seq >= next => Ok(()),
        other => Err(format!("a new envelope became {:?}", other.0)),
    }
}

/// No mailbox gives a sequence twice, not even when it was forgotten meanwhile.
fn ascending(
    reader: &mut SqliteReader,
    given: &mut BTreeMap<(u8, u64), [u8; 32]>,
) -> Result<(), Problem> {
    for n in 0..OWNERS {
        let held = reader.queued(&owner(n).public(), 0, usize::MAX, usize::MAX).map_err(said)?;
        for queued in held {
            let id = *Envelope::id_of(&queued.envelope).as_bytes();
            if given.insert((n, queued.seq), id).is_some_and(|before| before != id) {
                return Err(format!("sequence {} was given twice", queued.seq));
            }
        }
    }
    Ok(())
}

/// A hash over everything that the store knows.
fn content(open: &mut Open) -> Result<String, Problem> {
    let text = read(open).map_err(said)?;
    Ok(hex::encode(hash::labelled(b"content", &[text.as_bytes()])))
}

fn read(open: &mut Open) -> Result<String, StoreError> {
    let mut text = String::new();
    let mut add = |part: &dyn std::fmt::Debug| text.push_str(&format!("{part:?}\n"));
    add(&open.reader.epoch()?);
    add(&open.reader.totals()?);
    let mut known = Vec::new();
    // Dropped without a commit, a group has done nothing.
    let mut group = open.writer.group()?;
    for n in 0..OWNERS {
        let mailbox = owner(n).public();
        let queued = open.reader.queued(&mailbox, 0, usize::MAX, usize::MAX)?;
        for queued in queued {
            add(&(queued.seq, hash::labelled(b"envelope", &[&queued.envelope])));
        }
        add(&open.reader.card(&mailbox)?);
        if let Some((_, known)) = group.find(&mailbox)? {
            add(&known);
            add(&known.deposit_key.as_ref().map(DepositKey::as_bytes));
        }
    }
    for (id, purge) in SENT.iter() {
        known.push(group.knows(id, purge)?);
    }
    add(&known);
    Ok(text)
}

fn copy_log(folder: &Path) -> Result<(), Problem> {
    let other = rusqlite::Connection::open(folder.join(STORE_FILE)).map_err(said)?;
    let copied: (i64, i64, i64) = other
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .map_err(said)?;
    match copied {
        (0, all, done) if all == done => Ok(()),
        _ => Err(format!("the log was not copied: {copied:?}")),
    }
}

/// What the database's own check finds, indexes included, which opening it
/// passes over.
fn contradictions(folder: &Path) -> Result<(), Problem> {
    let other = rusqlite::Connection::open(folder.join(STORE_FILE)).map_err(said)?;
    let verdict: String =
        other.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(said)?;
    if verdict == "ok" { Ok(()) } else { Err(format!("contradicts itself: {verdict}")) }
}
