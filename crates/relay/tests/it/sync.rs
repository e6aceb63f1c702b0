//! Leaving envelopes, over a socket.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tonic::Code;
use tortalk_model::limits::ENVELOPE_BYTES_MAX;
use tortalk_model::limits::relay::EXPIRY_AHEAD_MAX;
use tortalk_model::{Envelope, EnvelopeId};
use tortalk_rpc::{DepositRefusal, v1};

use crate::support::client::{PullStream, Said, SyncStream, deposit, fetch, register, said_in};
use crate::support::{DAY, HOUR, Maker, Options, Owner, START, TestRelay, ids};

const NO_ROOM: Said = Said::Refused(DepositRefusal::NoRoom);

// req: RLY-02, RLY-21, RLY-23
#[tokio::test]
async fn each_envelope_is_answered_under_its_own_id_with_a_receipt() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    let envelopes: Vec<Envelope> = (0..200).map(|_| maker.envelope(owner.mailbox())).collect();
    for envelope in &envelopes {
        stream.send(envelope, &owner.stamp(envelope)).await;
    }
    stream.close();
    let (mut said, mut receipts) = (BTreeMap::new(), 0);
    // `answer` verifies each receipt under the relay's key.
    while let Some(answer) = stream.answer().await.expect("no error") {
        receipts += usize::from(answer.receipt.is_some());
        for (id, outcome) in said_in(&answer) {
            assert_eq!(said.insert(id, outcome), None, "answered twice");
        }
    }
    let expected: BTreeMap<EnvelopeId, Said> =
        envelopes.iter().map(|envelope| (envelope.id(), Said::Stored)).collect();
    assert_eq!(said, expected);
    assert!(receipts < 200, "a receipt covers what one commit did");
    let again: Vec<_> = envelopes.iter().map(|e| (e.clone(), owner.stamp(e))).collect();
    let again = deposit(&test, &again).await;
    assert!(again.iter().all(|(_, said)| *said == Said::Duplicate));
    let found = fetch(&test, &owner, 200).await;
    assert_eq!(found.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids(&envelopes));
    test.stop().await;
}

// req: RLY-15
#[tokio::test]
async fn a_copy_on_another_stream_is_a_duplicate_even_when_it_was_fetched() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let envelope = maker.envelope(owner.mailbox());
    let item = [(envelope.clone(), owner.stamp(&envelope))];
    let id = envelope.id();
    assert_eq!(deposit(&test, &item).await, [(id, Said::Stored)]);
    assert_eq!(deposit(&test, &item).await, [(id, Said::Duplicate)]);
    fetch(&test, &owner, 1).await;
    assert_eq!(deposit(&test, &item).await, [(id, Said::Duplicate)]);
    assert_eq!(fetch(&test, &owner, 0).await, []);
    test.stop().await;
}

// req: RLY-14, RLY-18, RLY-19, RLY-20
#[tokio::test]
async fn nothing_in_an_answer_tells_an_unknown_mailbox_from_a_full_one() {
    let test = TestRelay::start().await;
    let (owner, unknown, mut maker) = (Owner::new(1), Owner::new(2), Maker::new(1));
    register(&test, &owner).await;
    let mut items = Vec::new();
    for _ in 0..64 {
        items.push((maker.envelope(owner.mailbox()), Vec::new()));
    }
    assert!(deposit(&test, &items).await.iter().all(|(_, said)| *said == Said::Stored));
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    let mut answers = Vec::new();
    for mailbox in [owner.mailbox(), unknown.mailbox()] {
        let envelope = maker.envelope(mailbox);
        stream.send(&envelope, &[]).await;
        let mut answer = stream.answer().await.expect("no error").expect("an answer");
        assert!(answer.now >= START && answer.now < START.saturating_add(HOUR));
        assert_eq!(answer.refusals[0].id, envelope.id());
        answer.refusals[0].id = EnvelopeId::from_bytes([0; 32]);
        answer.now = START;
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    test.stop().await;
}

// req: RLY-12, RLY-20
#[tokio::test]
async fn an_expiry_that_is_past_or_too_far_is_refused_with_the_time() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    for expires_at in
        [START.saturating_sub(DAY * 2), START.saturating_add(EXPIRY_AHEAD_MAX + HOUR * 2)]
    {
        maker.expires_at = expires_at.ceil_to_hour();
        let envelope = maker.envelope(owner.mailbox());
        stream.send(&envelope, &owner.stamp(&envelope)).await;
        let answer = stream.answer().await.expect("no error").expect("an answer");
        let expected = [(envelope.id(), Said::Refused(DepositRefusal::Expiry))];
        assert_eq!(said_in(&answer), expected);
        assert!(answer.now >= START);
    }
    test.stop().await;
}

// req: RLY-11
#[tokio::test]
async fn eight_mistakes_are_answered_and_the_ninth_ends_the_stream() {
    let test = TestRelay::start().await;
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    for i in 0..8 {
        stream.send_raw(&[i; 100], &[]).await;
        let said = stream.outcomes(1).await;
        let id = Envelope::id_of(&[i; 100]);
        assert_eq!(said, [(id, Said::Refused(DepositRefusal::Malformed))]);
    }
    stream.send_raw(&[9; 100], &[]).await;
    assert_eq!(stream.status().await, Code::InvalidArgument);
    test.stop().await;
}

// req: RLY-10
#[tokio::test]
async fn a_request_of_wrong_lengths_ends_the_stream_after_the_answers_that_are_due() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    for (stamp, envelope) in [
        (Vec::new(), Vec::new()),
        (Vec::new(), vec![1; ENVELOPE_BYTES_MAX + 1]),
        (vec![0; 65], vec![1; 100]),
        (Vec::new(), vec![1; 300_000]),
    ] {
        let mut client = test.client().await;
        let mut stream = SyncStream::open(&mut client, test.key).await;
        let good = maker.envelope(owner.mailbox());
        stream.send(&good, &owner.stamp(&good)).await;
        stream.send_message(v1::SyncRequest { stamp, envelope }).await;
        assert_eq!(stream.outcomes(1).await, [(good.id(), Said::Stored)]);
        assert_eq!(stream.status().await, Code::InvalidArgument);
    }
    test.stop().await;
}

// req: RLY-16, RLY-17
#[tokio::test]
async fn contacts_have_room_that_strangers_cannot_take() {
    let options = Options {
        edit: Some(|config| config.quotas.mailbox_bytes = 16 * (1481 + 256)),
        ..Options::default()
    };
    let test = TestRelay::with(options).await;
    let (owner, other, mut maker) = (Owner::new(1), Owner::new(2), Maker::new(1));
    register(&test, &owner).await;
    let mut items = Vec::new();
    for _ in 0..3 {
        let envelope = maker.envelope(owner.mailbox());
        let stamp = other.stamp(&envelope);
        items.push((envelope, stamp));
    }
    let strangers = deposit(&test, &items).await;
    let said: Vec<Said> = strangers.into_iter().map(|(_, said)| said).collect();
    assert_eq!(said, [Said::Stored, Said::Stored, NO_ROOM], "an eighth of sixteen");
    let items: Vec<_> = (0..15)
        .map(|_| maker.envelope(owner.mailbox()))
        .map(|envelope| (envelope.clone(), owner.stamp(&envelope)))
        .collect();
    let contacts = deposit(&test, &items).await;
    let said: Vec<Said> = contacts.into_iter().map(|(_, said)| said).collect();
    assert_eq!(said[..14], [Said::Stored; 14]);
    assert_eq!(said[14], Said::Refused(DepositRefusal::Full));
    test.stop().await;
}

// req: RLY-22
#[tokio::test]
async fn what_was_answered_is_in_the_file() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    let file = test.folder.path().join(tortalk_relay::store::sqlite::STORE_FILE);
    for _ in 0..20 {
        let envelope = maker.envelope(owner.mailbox());
        stream.send(&envelope, &owner.stamp(&envelope)).await;
        assert_eq!(stream.outcomes(1).await, [(envelope.id(), Said::Stored)]);
        let reader = rusqlite::Connection::open(&file).expect("the relay's file");
        let sql = "SELECT count(*) FROM content WHERE bytes = ?1";
        let held: i64 = reader
            .query_row(sql, [envelope.as_bytes()], |row| row.get(0))
            .expect("another process can read it");
        assert_eq!(held, 1);
    }
    test.stop().await;
}

// req: RLY-25
#[tokio::test]
async fn many_streams_at_once_get_all_their_answers() {
    let test = TestRelay::start().await;
    let owner = Owner::new(1);
    register(&test, &owner).await;
    let (done, mut finished) = mpsc::channel(8);
    for i in 0..8 {
        let mut client = test.client().await;
        let (key, done) = (test.key, done.clone());
        tokio::spawn(async move {
            let (owner, mut maker) = (Owner::new(1), Maker::new(100 + i));
            let mut stream = SyncStream::open(&mut client, key).await;
            let envelopes: Vec<Envelope> =
                (0..700).map(|_| maker.envelope(owner.mailbox())).collect();
            // More than any window before the first answer is read.
            for envelope in &envelopes {
                stream.send(envelope, &owner.stamp(envelope)).await;
            }
            let said = stream.outcomes(700).await;
            assert!(said.iter().all(|(_, said)| *said == Said::Stored));
            done.send(ids(&envelopes)).await.expect("the test waits");
        });
    }
    let mut all = Vec::new();
    for _ in 0..8 {
        all.extend(finished.recv().await.expect("no stream panics"));
    }
    let found = fetch(&test, &owner, all.len()).await;
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "sequences ascend");
    let mut found: Vec<EnvelopeId> = found.into_iter().map(|(_, id)| id).collect();
    found.sort();
    all.sort();
    assert_eq!(found, all);
    test.stop().await;
}

#[tokio::test]
async fn a_relay_that_stops_answers_what_it_took() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let mut client = test.client().await;
    let mut stream = SyncStream::open(&mut client, test.key).await;
    let envelope = maker.envelope(owner.mailbox());
    stream.send(&envelope, &owner.stamp(&envelope)).await;
    assert_eq!(stream.outcomes(1).await, [(envelope.id(), Said::Stored)]);
    let mut pulling = test.client().await;
    let mut pull = PullStream::open(&test, &mut pulling, &owner).await;
    let folder = test.stop().await;
    assert_eq!(stream.status().await, Code::Unavailable);
    let (_, reason) = pull.end().await.expect("an end in order");
    assert_eq!(reason, tortalk_rpc::PullEndReason::Drain);
    let options = Options { folder: Some(folder), ..Options::default() };
    let test = TestRelay::with(options).await;
    assert_eq!(fetch(&test, &owner, 1).await, [(1, envelope.id())]);
    test.stop().await;
}
