//! How fast the store is, beside plain SQLite in the same run on the same disk.
//!
//! `cargo run --release -p tortalk-store --example store_speed`
//!
//! - a message and its envelope durable, one commit each: the store, and a loop
//!   that inserts two rows of the same sizes;
//! - opening 100,000 messages: the store with its search, and a loop that reads
//!   as many rows of the same size;
//! - a search through them, and the envelopes pending for a contact when 10,000
//!   are held, 9,900 of them stored by that contact already.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tortalk_mesh::{HeldEnvelope, OutgoingMessage, Purpose, Read as _, Write};
use tortalk_model::limits::{SUITE_1, SUITE_1_ENC_BYTES, SUITE_1_TAG_BYTES};
use tortalk_model::{
    Envelope, EnvelopeHeader, IdentityKey, KeyId, MailboxKey, MessageId, PurgeHash, PurgeKey,
    UnixMillis,
};
use tortalk_sqlite::{Erasure, Migration, Schema};
use tortalk_store::Store;
use tortalk_store::vault::ProfileKey;
use tortalk_testkit::Seeded;

const COMMITS: u32 = 500;
const MESSAGES: u32 = 100_000;
const ENVELOPES: u32 = 10_000;
/// What a row of each kind takes, sealed.
const MESSAGE_BYTES: usize = 400;
const ENVELOPE_BYTES: usize = 1_600;

const PLAIN: Schema = Schema::new(
    "speed test",
    0x7370_6565,
    Erasure::Pages,
    &[Migration {
        number: 1,
        sql: "CREATE TABLE message (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
              CREATE TABLE envelope (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",
    }],
);

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store_path = dir.path().join("store.sqlite");
    let plain_path = dir.path().join("plain.sqlite");

    // In turns, so that both meet the disk in the same mood.
    let mut store = Store::create(&store_path, key(), entropy())?;
    let plain = tortalk_sqlite::open(&plain_path, &PLAIN)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..COMMITS {
        let writes = sent(n);
        ours.push(timed(|| commit(&mut store, &writes))?);
        theirs.push(timed(|| plain_commit(&plain, n))?);
    }
    println!("message and envelope, one commit each ({COMMITS} times, p50 / p99):");
    report(&mut ours, &mut theirs);

    fill(&mut store, &plain)?;
    drop(store);
    let mut opened = vec![timed(|| open(&store_path).map(drop))?];
    let mut read = vec![timed(|| read_plain(&plain))?];
    println!("opening {MESSAGES} messages, and reading as many rows:");
    report(&mut opened, &mut read);

    let mut store = open(&store_path)?;
    for query in ["ten", "word nine", "w", "nowhere"] {
        let mut hits = 0;
        let took = timed(|| {
            hits = store.search(query, None, None, 50)?.len();
            Ok(())
        })?;
        println!("search for \"{query}\", {hits} shown: {:.1} ms", millis(took));
    }

    store.begin()?;
    for n in 0..ENVELOPES {
        let held = envelope(MESSAGES + n, Purpose::Receipt);
        let envelope_id = held.envelope.id();
        store.apply(&[Write::PutEnvelope(Box::new(held))])?;
        if n % 100 != 0 {
            store.apply(&[Write::HandedOver { peer: person(), envelope_id }])?;
        }
    }
    store.commit()?;
    let mut pending = 0;
    let took = timed(|| {
        pending = store.pending_for(&person(), None, 256)?.len();
        Ok(())
    })?;
    println!("pending for a contact, {pending} of {ENVELOPES} and more: {:.3} ms", millis(took));
    Ok(())
}

/// As many messages as the second part needs, in large commits.
fn fill(store: &mut Store, plain: &Connection) -> Result<(), Box<dyn Error>> {
    store.begin()?;
    plain.execute_batch("BEGIN")?;
    let mut insert = plain.prepare("INSERT INTO message (bytes) VALUES (?1)")?;
    for n in COMMITS..MESSAGES {
        store.apply(&[Write::PutOutgoing(Box::new(message(n)))])?;
        insert.execute([vec![n as u8; MESSAGE_BYTES]])?;
    }
    store.commit()?;
    plain.execute_batch("COMMIT")?;
    Ok(())
}

fn open(path: &Path) -> Result<Store, Box<dyn Error>> {
    Ok(Store::open(path, key(), entropy())?)
}

fn commit(store: &mut Store, writes: &[Write]) -> Result<(), Box<dyn Error>> {
    store.begin()?;
    store.apply(writes)?;
    store.commit()?;
    Ok(())
}

fn plain_commit(plain: &Connection, n: u32) -> Result<(), Box<dyn Error>> {
    plain.execute_batch("BEGIN IMMEDIATE")?;
    for (insert, len) in [
        ("INSERT INTO message (bytes) VALUES (?1)", MESSAGE_BYTES),
        ("INSERT INTO envelope (bytes) VALUES (?1)", ENVELOPE_BYTES),
    ] {
        plain.prepare_cached(insert)?.execute([vec![n as u8; len]])?;
    }
    plain.execute_batch("COMMIT")?;
    Ok(())
}

fn read_plain(plain: &Connection) -> Result<(), Box<dyn Error>> {
    let mut read = plain.prepare("SELECT id, bytes FROM message ORDER BY id")?;
    let mut rows = read.query([])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get::<_, Vec<u8>>(1)?.len();
    }
    assert!(bytes > 0, "there are rows");
    Ok(())
}

fn sent(n: u32) -> Vec<Write> {
    let held = envelope(n, Purpose::Message(message(n).message_id));
    let envelope_id = Some(held.envelope.id());
    let message = OutgoingMessage { envelope_id, ..message(n) };
    vec![Write::PutOutgoing(Box::new(message)), Write::PutEnvelope(Box::new(held))]
}

fn message(n: u32) -> OutgoingMessage {
    const NUMBERS: [&str; 10] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let number = NUMBERS[n as usize % 10];
    let text = format!("Message {n} says word {number}, and then some more that people say.");
    OutgoingMessage {
        message_id: MessageId::from_bytes(bytes32(b"message", n)),
        contact: person(),
        signed: [&[0; 116], text.as_bytes()].concat(),
        signature: [1; 64],
        body_type: tortalk_seal::BodyType::TEXT,
        counter: u64::from(n),
        text,
        written_at: UnixMillis(u64::from(n)),
        envelope_id: None,
        attempts: 0,
        next_try: Some(UnixMillis(u64::from(n))),
        evidence: Vec::new(),
    }
}

fn envelope(n: u32, purpose: Purpose) -> HeldEnvelope {
    let header = EnvelopeHeader {
        suite: SUITE_1,
        mailbox: MailboxKey::from_bytes([1; 32]),
        key_id: KeyId::from_bytes([2; 8]),
        expires_at: UnixMillis(3_600_000),
        purge_hash: PurgeHash::from_bytes(bytes32(b"purge", n)),
        ext: Vec::new(),
    };
    let sealed = [3; SUITE_1_ENC_BYTES + 256 + SUITE_1_TAG_BYTES];
    HeldEnvelope {
        envelope: Envelope::build(&header, &sealed).expect("a well-formed envelope"),
        contact: person(),
        purpose,
        ttl: 2,
        stamp: vec![4; 16],
        purge_key: Some(PurgeKey::from_bytes([5; 32])),
    }
}

fn person() -> IdentityKey {
    IdentityKey::from_bytes([6; 32])
}

fn bytes32(what: &[u8], n: u32) -> [u8; 32] {
    tortalk_model::hash::labelled(what, &[&n.to_be_bytes()])
}

fn key() -> ProfileKey {
    ProfileKey::from_bytes([7; 32])
}

fn entropy() -> Box<Seeded> {
    Box::new(Seeded::new(8))
}

fn timed(run: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

/// Ours, theirs, and how much longer ours takes.
fn report(ours: &mut [Duration], theirs: &mut [Duration]) {
    ours.sort();
    theirs.sort();
    let at = |sorted: &[Duration], part: usize| sorted[(sorted.len() - 1) * part / 100];
    for (who, sorted) in [("store", &*ours), ("plain", &*theirs)] {
        let (p50, p99) = (at(sorted, 50), at(sorted, 99));
        let total: Duration = sorted.iter().sum();
        let rate = sorted.len() as f64 / total.as_secs_f64();
        println!("  {who}: {:.2} / {:.2} ms, {rate:.0} a second", millis(p50), millis(p99));
    }
    let ratio = |part| at(ours, part).as_secs_f64() / at(theirs, part).as_secs_f64();
    println!("  ratio at p50: {:.2}", ratio(50));
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
