//! Every prefix of the log that a store has written, opened again.
//!
//! A commit has ended with a sync, so what was on the disk by then is there. What
//! was written after it may be there in part, torn, or in another order.

use std::fs;
use std::path::Path;

use tortalk_model::entropy::Entropy;
use tortalk_model::{Envelope, EnvelopeId};
use tortalk_relay::engine::Sweep;
use tortalk_relay::rules::sync::{Incoming, Outcome};
use tortalk_relay::store::sqlite::{STORE_FILE, SqliteBackend};
use tortalk_relay::store::{Backend, Reader, Writer};
use tortalk_testkit::Seeded;

use crate::contract::{at, register};
use crate::support::{Maker, Owner, START};

/// A frame of the log: a header and a page.
const FRAME: usize = 24 + 4_096;
const LOG_HEADER: usize = 32;

/// What had been promised when the log had a length.
#[derive(Clone, Default)]
struct Promised {
    log: usize,
    /// Envelopes in order of sequence, with it.
    stored: Vec<(u64, EnvelopeId)>,
    purged: Vec<u64>,
    acknowledged: u64,
}

struct Recorded {
    database: Vec<u8>,
    log: Vec<u8>,
    promises: Vec<Promised>,
}

fn log_of(folder: &Path) -> Vec<u8> {
    fs::read(folder.join(format!("{STORE_FILE}-wal"))).unwrap_or_default()
}

/// Works with a store, and notes after each commit what was promised by then.
fn record(folder: &Path) -> Recorded {
    let backend = SqliteBackend::open(folder, &mut Seeded::new(1)).expect("an empty folder");
    // Kept open, so that nothing is copied out of the log at the end.
    let mut writer = backend.writer().expect("a store");
    let owner = Owner::new(1);
    let (mut maker, mut seeded) = (Maker::new(1), Seeded::new(2));
    register(&mut writer, &owner, START);
    let mut promised = Promised { log: log_of(folder).len(), ..Promised::default() };
    let mut promises = vec![promised.clone()];
    let mut keys = Vec::new();
    let (mut next, mut database) = (1, Vec::new());
    for i in 0..24 {
        let [count, act] = seeded.bytes();
        at(&mut writer, START, |batch| {
            for _ in 0..1 + count % 5 {
                let (envelope, key) = maker.with_purge_key(owner.mailbox());
                let incoming = Incoming { stamp: owner.stamp(&envelope), envelope };
                assert_eq!(batch.deposit(&incoming), Ok(Outcome::Stored));
                promised.stored.push((next, incoming.envelope.id()));
                keys.push((next, key));
                next += 1;
            }
            match act % 4 {
                0 => {
                    let up_to = promised.acknowledged + u64::from(act % 3);
                    batch.acknowledge(&owner.mailbox(), up_to).expect("no fault");
                    promised.acknowledged = up_to;
                }
                1 => {
                    let (seq, key) = &keys[usize::from(act) % keys.len()];
                    batch.purge(std::slice::from_ref(key)).expect("no fault");
                    promised.purged.push(*seq);
                }
                2 => assert!(matches!(batch.sweep(), Ok(Sweep::Done | Sweep::More))),
                _ => {}
            }
        });
        promised.log = log_of(folder).len();
        promises.push(promised.clone());
        if i == 0 {
            database = fs::read(folder.join(STORE_FILE)).expect("the file");
        }
    }
    assert_eq!(database, fs::read(folder.join(STORE_FILE)).expect("the file"), "not touched");
    Recorded { database, log: log_of(folder), promises }
}

/// Opens what a crash has left, and holds it against what was promised.
fn check(database: &[u8], log: &[u8], least: &Promised, most: &Promised, what: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(STORE_FILE), database).expect("our own folder");
    fs::write(folder.path().join(format!("{STORE_FILE}-wal")), log).expect("our own folder");
    let backend = SqliteBackend::open(folder.path(), &mut Seeded::new(3))
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    let owner = Owner::new(1);
    let mut reader = backend.reader().expect("a store");
    let held: Vec<(u64, EnvelopeId)> = reader
        .queued(&owner.mailbox(), 0, usize::MAX, usize::MAX)
        .expect("no fault")
        .into_iter()
        .map(|queued| (queued.seq, Envelope::id_of(&queued.envelope)))
        .collect();
    let must = |promised: &Promised, (seq, _): &&(u64, EnvelopeId)| {
        *seq > promised.acknowledged && !promised.purged.contains(seq)
    };
    for kept in least.stored.iter().filter(|kept| must(most, kept)) {
        assert!(held.contains(kept), "{what}: {kept:?} was promised and is lost");
    }
    for found in &held {
        assert!(most.stored.contains(found), "{what}: {found:?} was never stored");
        assert!(must(least, &found), "{what}: {found:?} was forgotten and is there");
    }
    let mut writer = backend.writer().expect("a store");
    let mut maker = Maker::new(99);
    let incoming = maker.stamped(&owner);
    let outcome = at(&mut writer, START, |batch| batch.deposit(&incoming).expect("no fault"));
    assert_eq!(outcome, Outcome::Stored, "{what}");
    let last = reader.queued(&owner.mailbox(), 0, usize::MAX, usize::MAX).expect("no fault");
    let (seq, promised) = (last.last().expect("one").seq, least.stored.last());
    assert!(promised.is_none_or(|(promised, _)| seq > *promised), "{what}: {seq} again");
    writer.group().expect("a group").commit().expect("a commit");
}

/// The last promise whose log was complete at a length, and the one after it.
fn around(promises: &[Promised], length: usize) -> (&Promised, &Promised) {
    let least = promises.iter().rposition(|promised| promised.log <= length).expect("the first");
    (&promises[least], promises.get(least + 1).unwrap_or(&promises[least]))
}

// req: RLY-22, RLY-36, RLY-42
#[test]
fn every_prefix_of_the_log_holds_what_was_promised_by_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let Recorded { database, log, promises } = record(folder.path());
    let first = promises[0].log;
    assert!(log.len() > first + 100 * FRAME, "{} bytes", log.len());
    let mut cuts: Vec<usize> = (first..=log.len())
        .step_by(FRAME)
        .flat_map(|cut| [cut, cut + 10, cut + FRAME / 2])
        .filter(|cut| *cut <= log.len())
        .collect();
    cuts.extend(promises.iter().flat_map(|promised| [promised.log - 1, promised.log]));
    for cut in cuts.into_iter().filter(|cut| *cut >= first) {
        let (least, most) = around(&promises, cut);
        check(&database, &log[..cut], least, most, &format!("{cut} bytes of the log"));
    }
}

// req: RLY-22, RLY-36, RLY-42
#[test]
fn writes_that_were_not_synced_may_be_missing_torn_or_out_of_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let Recorded { database, log, promises } = record(folder.path());
    let mut seeded = Seeded::new(5);
    for (i, pair) in promises.windows(2).enumerate() {
        let (least, most) = (&pair[0], &pair[1]);
        for _ in 0..6 {
            let mut left = log[..most.log].to_vec();
            for start in (least.log..most.log).step_by(FRAME) {
                let end = (start + FRAME).min(most.log);
                let [fate, at] = seeded.bytes();
                let middle = start + usize::from(at) * (end - start) / 256;
                match fate % 4 {
                    0 => left[start..end].fill(0),
                    1 => left[middle..end].fill(0),
                    2 => left[start..middle].fill(0xa5),
                    _ => {}
                }
            }
            check(&database, &left, least, most, &format!("the writes of commit {i}"));
        }
    }
}

// req: RLY-22
#[test]
fn a_copy_of_the_log_into_the_file_may_end_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let Recorded { database, log, promises } = record(folder.path());
    let last = promises.last().expect("some");
    // The same file after the copy.
    let copied = tempfile::tempdir().expect("a folder");
    let path = copied.path().join(STORE_FILE);
    fs::write(&path, &database).expect("our own folder");
    fs::write(copied.path().join(format!("{STORE_FILE}-wal")), &log).expect("our own folder");
    let connection = rusqlite::Connection::open(&path).expect("a database");
    let copy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let busy = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], copy).expect("no fault");
    assert_eq!(busy, 0);
    let after = fs::read(&path).expect("our own file");
    assert!(after.len() > database.len(), "the file has grown");
    let mut seeded = Seeded::new(6);
    for round in 0..40 {
        let mut mixed = after.clone();
        mixed.truncate(if round % 2 == 0 { after.len() } else { database.len() });
        for (page, bytes) in database.chunks(4_096).enumerate() {
            let [fate, at] = seeded.bytes();
            let torn = usize::from(at) * 16;
            match fate % 3 {
                0 => mixed[page * 4_096..][..bytes.len()].copy_from_slice(bytes),
                1 => mixed[page * 4_096..][..torn].copy_from_slice(&bytes[..torn]),
                _ => {}
            }
        }
        check(&mixed, &log, last, last, &format!("copy {round}"));
    }
    assert!(log.len() > LOG_HEADER);
}
