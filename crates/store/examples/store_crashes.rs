//! What a profile's database holds after the power went off, at every moment of a
//! piece of work: whole transactions, and every one that was promised (GSP-01,
//! GSP-28).
//!
//! `cargo xtask show crashes --store node`; `tortalk_testkit::crash` says how.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use tortalk_mesh::{
    Evidence, OutgoingMessage, OwnCardBytes, Purpose, Read as _, RegisteredMailbox, Write,
};
use tortalk_model::hash;
use tortalk_model::{EnvelopeId, MailboxKey, UnixMillis};
use tortalk_seal::{Body, ReceiptKind};
use tortalk_store::{Store, StoreError};
use tortalk_testkit::crash::{self, Diary, NOTHING, Problem, Subject};
use tortalk_testkit::hex;

#[allow(dead_code, reason = "made for the tests, which use all of it")]
#[path = "../tests/store/world.rs"]
mod world;

use world::{
    HOUR, address, bytes32, carried, contact, entropy, envelope, held, incoming, key, message_id,
    outgoing, person, purge_key, request,
};

fn main() -> ExitCode {
    crash::main::<Node>()
}

struct Node;

const PEOPLE: u8 = 5;
/// Messages and envelopes bear the number of the commit that made them; what
/// comes in bulk the numbers from here on.
const BULK: u8 = 80;
const NUMBERS: u8 = 120;
const COMMITS: u8 = 52;
/// The first numbers of what is beside the talk: envelopes that are carried, that
/// have arrived and are not opened, people who ask, and what they say.
const CARRIED: u8 = 52;
const ARRIVED: u8 = 180;
const UNOPENED: u8 = 120;
const STRANGER: u8 = 60;
const ASKED: u8 = 130;
/// What a check adds.
const PROBE: u8 = 250;
/// Some rows take several pages.
const LONG: usize = 5_000;

impl Subject for Node {
    const NAME: &'static str = "node";

    fn work(folder: &Path, diary: &mut Diary) -> Result<(), Problem> {
        let path = path(folder);
        let mut store = None;
        diary.commit(
            &mut store,
            |store| {
                *store = Some(Store::create(&path, key(), entropy()).map_err(said)?);
                Ok(())
            },
            |store| content(store.as_ref().ok_or("no store")?),
        )?;
        let mut store = store.ok_or("no store")?;
        for n in 1..COMMITS {
            match n % 26 {
                // A copy of the log into the file, as SQLite makes one by itself
                // when the log is long. The log begins anew then.
                9 | 18 => copy_log(&path)?,
                // The last one to close it removes the log.
                25 => {
                    drop(store);
                    store = Store::open(&path, key(), entropy()).map_err(said)?;
                }
                _ => {}
            }
            diary.commit(
                &mut store,
                |store| commit(store, &writes(n)).map_err(said),
                |store| content(store),
            )?;
        }
        Ok(())
    }

    fn check(folder: &Path) -> Result<String, Problem> {
        let path = path(folder);
        let (mut store, before) = match Store::open(&path, key(), entropy()) {
            Ok(store) => {
                let before = content(&store)?;
                (store, before)
            }
            // The profile is made again then.
            Err(StoreError::NotThere { .. }) => {
                let store = Store::create(&path, key(), entropy()).map_err(said)?;
                (store, NOTHING.to_owned())
            }
            Err(error) => return Err(said(error)),
        };
        let newest = |store: &Store| -> Result<_, Problem> {
            let newest = store.history(None, None, 1).map_err(said)?.pop();
            Ok(newest.map_or((0, None), |entry| (entry.row, Some(entry.message_id))))
        };
        let (last, _) = newest(&store)?;
        commit(&mut store, &probe()).map_err(said)?;
        drop(store);
        let store = Store::open(&path, key(), entropy()).map_err(said)?;
        let (row, found) = newest(&store)?;
        if found != Some(message_id(PROBE)) || row <= last {
            return Err("takes no new message".into());
        }
        drop(store);
        contradictions(&path)?;
        Ok(before)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("store.sqlite")
}

fn said(error: impl std::fmt::Display) -> Problem {
    error.to_string()
}

fn commit(store: &mut Store, writes: &[Write]) -> Result<(), StoreError> {
    store.begin()?;
    store.apply(writes)?;
    store.commit()
}

fn probe() -> [Write; 2] {
    let message = outgoing(PROBE, PROBE, "after the crash");
    [
        Write::PutContact(Box::new(contact(PROBE, "somebody new"))),
        Write::PutOutgoing(Box::new(message)),
    ]
}

/// What belongs together in commit `n`, as the machine would write it.
fn writes(n: u8) -> Vec<Write> {
    let mut writes = talk(n);
    writes.extend(beside(n));
    writes
}

/// What goes on beside the talk: carrying, requests and relays. Each part begins
/// something in one commit and ends it, or goes on with it, in a later one.
fn beside(n: u8) -> Vec<Write> {
    let who = n % PEOPLE;
    let until = UnixMillis((u64::from(n) + 30) * HOUR);
    let carried_in = |n: u8| id(CARRIED + n / 2);
    let ended = n % 8 < 4;
    let mut writes = Vec::new();
    match n % 4 {
        0 => {
            writes.push(Write::PutEnvelope(Box::new(carried(CARRIED + n / 2, who))));
            if ended && n >= 4 {
                writes.push(Write::DropEnvelope(carried_in(n - 4)));
            }
        }
        1 => {
            let envelope_id = id(ARRIVED + n);
            let purge_key = Some(purge_key(n));
            writes.push(Write::Seen { envelope_id, until, purge_key });
            writes.push(Write::OwePurge { peer: person(who), envelope_id });
        }
        2 => {
            let asked = request(ASKED + n, STRANGER + who, "may I?");
            writes.push(Write::PutRequest(Box::new(asked)));
            let envelope_id = carried_in(n - 2);
            writes.push(Write::LeftAtRelay(envelope_id));
            writes.push(Write::SetTtl { envelope_id, ttl: 1 });
            if ended && n >= 4 {
                let message_id = message_id(ASKED + n - 4);
                writes.push(Write::DropRequest(person(STRANGER + (n - 4) % PEOPLE)));
                writes.push(Write::Declined { message_id, until });
            }
        }
        _ => {
            let (peer, envelope_id) = (person((n - 2) % PEOPLE), id(ARRIVED + n - 2));
            writes.push(Write::PurgeTold { peer, envelope_id });
            let mailbox = MailboxKey::from_bytes(bytes32("mailbox", n));
            let relay = address(n).key();
            writes.push(Write::PutOwnRelays(vec![RegisteredMailbox { relay, mailbox }]));
            writes.push(Write::PutAdoptedRelays(vec![address(n), address(n + 1)]));
            let envelope = Box::new(envelope(UNOPENED + n));
            writes.push(Write::PutUnopened { envelope, until });
            if ended && n >= 4 {
                writes.push(Write::DropUnopened(id(UNOPENED + n - 4)));
            }
        }
    }
    writes
}

fn talk(n: u8) -> Vec<Write> {
    let who = n % PEOPLE;
    let text = format!("message {n} about the harbour");
    let at = |hours: u8| UnixMillis((u64::from(n) + u64::from(hours)) * HOUR);
    match n % 8 {
        // A message that was written and sealed.
        0 | 3 => sent(n, who, &text),
        // A message that came, and the receipt for it.
        1 | 4 => received(n, who, Body::Text(text)),
        // A long one.
        6 => received(n, who, Body::Text("long and longer ".repeat(LONG / 16))),
        // The receipt for the message that was sent in commit `n` - 2.
        2 | 5 => {
            let message_id = message_id(n - 2);
            let kind = ReceiptKind::Delivered;
            let proof = vec![n; 200];
            let evidence = Evidence::Receipt { kind, at: at(0), proof };
            vec![
                Write::AddEvidence { message_id, evidence },
                Write::NextTry { message_id, attempts: 1, at: None },
                Write::DropEnvelope(id(n - 2)),
                Write::Seen { envelope_id: id(n), until: at(3), purge_key: None },
            ]
        }
        _ if n.is_multiple_of(3) => bulk(n),
        _ => vec![
            Write::PutContact(Box::new(contact(who, &format!("somebody {n}")))),
            Write::PutOwnCards(OwnCardBytes { intro: vec![n; 200], contact: vec![n; 900] }),
            Write::HandedOver { peer: person((n - 3) % PEOPLE), envelope_id: id(n - 3) },
            Write::AddEvidence {
                message_id: message_id(n - 4),
                evidence: Evidence::Handed { peer: person(who), at: at(0) },
            },
            Write::MarkRead(message_id(n - 3)),
            Write::Expire { before: UnixMillis(u64::from(n.saturating_sub(20)) * HOUR) },
        ],
    }
}

/// The id of envelope `n`. A check asks for all of them.
fn id(n: u8) -> EnvelopeId {
    static IDS: LazyLock<Vec<EnvelopeId>> =
        LazyLock::new(|| (0..=u8::MAX).map(|n| envelope(n).id()).collect());
    IDS[usize::from(n)]
}

fn sent(n: u8, to: u8, text: &str) -> Vec<Write> {
    let next_try = Some(UnixMillis(u64::from(n) * HOUR));
    let message = OutgoingMessage { next_try, ..outgoing(n, to, text) };
    vec![
        Write::PutContact(Box::new(contact(to, "somebody"))),
        Write::PutOutgoing(Box::new(message)),
        Write::PutEnvelope(Box::new(held(n, to, Purpose::Message(message_id(n))))),
        Write::SealedIn { message_id: message_id(n), envelope_id: id(n) },
    ]
}

fn received(n: u8, from: u8, body: Body) -> Vec<Write> {
    let (until, at) = (UnixMillis(u64::from(n + 2) * HOUR), UnixMillis(u64::from(n) * HOUR));
    let (message_id, kind) = (message_id(n), ReceiptKind::Delivered);
    vec![
        Write::Seen { envelope_id: id(n + 120), until, purge_key: None },
        Write::PutIncoming(Box::new(incoming(n, from, body))),
        Write::PutEnvelope(Box::new(held(n, from, Purpose::Receipt))),
        Write::ReceiptMade { message_id, kind, at },
    ]
}

/// Many messages at once, as after a day away.
fn bulk(n: u8) -> Vec<Write> {
    (BULK..NUMBERS)
        .filter(|number| number % 3 == n % 3 || n > COMMITS / 2)
        .flat_map(|number| received(number, number % PEOPLE, Body::Text("many".repeat(40))))
        .collect()
}

/// A hash over everything that the store answers.
fn content(store: &Store) -> Result<String, Problem> {
    read(store)
        .map(|text| hex::encode(hash::labelled(b"content", &[text.as_bytes()])))
        .map_err(said)
}

fn read(store: &Store) -> Result<String, StoreError> {
    let mut text = format!("{:?}", store.store_id());
    let mut add = |part: &dyn std::fmt::Debug| text.push_str(&format!("{part:?}\n"));
    add(&store.contacts()?);
    add(&store.own_cards()?);
    add(&store.history(None, None, usize::MAX)?);
    add(&store.unread()?);
    add(&store.search("harbour", None, None, usize::MAX)?.len());
    add(&store.due(UnixMillis(u64::MAX), usize::MAX)?);
    add(&store.next_due()?);
    for asked in store.requests()? {
        add(&(&asked, asked.name.as_str(), asked.card.as_slice(), asked.text.as_str()));
    }
    for carried in store.carried()? {
        add(&carried);
    }
    add(&store.own_relays()?);
    add(&store.adopted_relays()?);
    for id in store.unopened()? {
        add(&store.unopened_envelope(&id)?.map(|envelope| envelope.as_bytes().to_vec()));
    }
    for who in (0..PEOPLE).map(person) {
        for (id, key) in store.owed_purges(&who, usize::MAX)? {
            add(&(id, key.as_bytes()));
        }
        add(&store.waiting_for_key(&who)?);
        add(&store.pending_for(&who, None, usize::MAX)?);
    }
    for n in 0..NUMBERS {
        add(&store.outgoing(&message_id(n))?);
        add(&store.incoming(&message_id(n))?);
        add(&store.declined(&message_id(ASKED + n))?);
        add(&[store.seen(&id(n))?, store.seen(&id(n + NUMBERS))?]);
        add(&store.purge_key(&id(n + NUMBERS))?.map(|key| *key.as_bytes()));
        add(&(store.is_left_at_relay(&id(n))?, store.handed_to(&id(n))?));
        if let Some(held) = store.envelope(&id(n))? {
            let purge_key = held.purge_key.as_ref().map_or(&[][..], |key| key.as_bytes());
            let bytes = [held.envelope.as_bytes(), purge_key, &held.stamp];
            add(&(held.contact, held.purpose, held.ttl, hash::labelled(b"envelope", &bytes)));
        }
    }
    Ok(text)
}

fn copy_log(path: &Path) -> Result<(), Problem> {
    let other = rusqlite::Connection::open(path).map_err(said)?;
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
fn contradictions(path: &Path) -> Result<(), Problem> {
    let other = rusqlite::Connection::open(path).map_err(said)?;
    let verdict: String =
        other.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(said)?;
    let dangling = other.prepare("PRAGMA foreign_key_check").and_then(|mut check| check.exists([]));
    match dangling {
        Ok(false) if verdict == "ok" => Ok(()),
        Ok(_) => Err(format!("contradicts itself: {verdict}")),
        Err(error) => Err(said(error)),
    }
}
