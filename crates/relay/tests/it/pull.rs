//! Fetching, over a socket.

use std::time::Duration;

use tonic::Code;
use tortalk_model::limits::relay::REGISTRATION_LIFE;
use tortalk_model::{Envelope, Epoch};
use tortalk_rpc::{AuthorityBytes, PullAck, PullAnswer, PullEndReason, PullStep, v1};

use crate::support::client::{PullStream, Said, deposit, fetch, proof, register};
use crate::support::{Maker, Options, Owner, START, TestRelay, ids};

async fn leave(test: &TestRelay, owner: &Owner, maker: &mut Maker, count: usize) -> Vec<Envelope> {
    let envelopes: Vec<Envelope> = (0..count).map(|_| maker.envelope(owner.mailbox())).collect();
    let items: Vec<_> = envelopes.iter().map(|e| (e.clone(), owner.stamp(e))).collect();
    let said = deposit(test, &items).await;
    assert!(said.iter().all(|(_, said)| *said == Said::Stored));
    envelopes
}

/// Sends a proof on a new stream and returns how the relay ends it.
async fn refused(test: &TestRelay, step: impl FnOnce([u8; 32]) -> PullStep) -> Code {
    let mut client = test.client().await;
    let mut stream = PullStream::challenge(&mut client).await.expect("a stream is taken");
    stream.send(step(stream.challenge)).await;
    stream.next().await.expect_err("no proof").code()
}

// req: RLY-03, RLY-27, RLY-29, RLY-30, RLY-31
#[tokio::test]
async fn only_the_owner_opens_a_mailbox() {
    let test = TestRelay::start().await;
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let good = |challenge| proof(&owner, test.key, &test.authority, challenge);

    let mut client = test.client().await;
    let first = PullStream::challenge(&mut client).await.expect("a stream is taken");
    let second = PullStream::challenge(&mut client).await.expect("a stream is taken");
    assert_ne!(first.challenge, second.challenge);
    let of_other_stream = refused(&test, |_| PullStep::Proof(good(first.challenge))).await;
    assert_eq!(of_other_stream, Code::Unauthenticated);

    let code = refused(&test, |challenge| {
        let mut proof = good(challenge);
        proof.mailbox = other.mailbox();
        PullStep::Proof(proof)
    });
    assert_eq!(code.await, Code::Unauthenticated);
    let code = refused(&test, |challenge| {
        let mut proof = good(challenge);
        proof.deposit_key = Some([1; 32]);
        PullStep::Proof(proof)
    });
    assert_eq!(code.await, Code::Unauthenticated);
    let code = refused(&test, |challenge| {
        let elsewhere = tortalk_keys::relay::Authority::new(
            tortalk_keys::relay::RelayHost::Name("relay.example".to_owned()),
            1,
        );
        let elsewhere = elsewhere.expect("valid");
        PullStep::Proof(proof(&owner, test.key, &elsewhere, challenge))
    });
    assert_eq!(code.await, Code::FailedPrecondition);
    let code = refused(&test, |challenge| {
        let mut proof = good(challenge);
        proof.authority = AuthorityBytes::try_from(&[3; 9][..]).expect("within the limit");
        PullStep::Proof(proof)
    });
    assert_eq!(code.await, Code::InvalidArgument);
    let ack = PullAck { epoch: Epoch::from_bytes([0; 16]), up_to: 0 };
    assert_eq!(refused(&test, |_| PullStep::Ack(ack)).await, Code::InvalidArgument);

    let stream = PullStream::open(&test, &mut client, &owner).await;
    assert_eq!(stream.close().await, (Vec::new(), PullEndReason::Closed));
    test.stop().await;
}

// req: RLY-29
#[tokio::test]
async fn a_proof_of_wrong_lengths_is_refused() {
    let test = TestRelay::start().await;
    let owner = Owner::new(1);
    type Edit = fn(&mut v1::PullProof);
    let edits: [Edit; 7] = [
        |proof| proof.mailbox.push(0),
        |proof| proof.client_nonce.truncate(31),
        |proof| proof.authority.clear(),
        |proof| proof.consumer.push(0),
        |proof| proof.deposit_key[0] ^= 1,
        |proof| proof.deposit_key.truncate(31),
        |proof| proof.signature.truncate(63),
    ];
    for (i, edit) in edits.into_iter().enumerate() {
        let mut client = test.client().await;
        let mut stream = PullStream::challenge(&mut client).await.expect("a stream is taken");
        let step = PullStep::Proof(proof(&owner, test.key, &test.authority, stream.challenge));
        let mut request = v1::PullRequest::from(step);
        if let Some(v1::pull_request::Step::Proof(proof)) = &mut request.step {
            edit(proof);
        }
        let requests = stream.requests.as_ref().expect("open");
        requests.send(request).await.expect("the stream is open");
        let expected = if i == 4 { Code::Unauthenticated } else { Code::InvalidArgument };
        assert_eq!(stream.next().await.expect_err("no proof").code(), expected, "edit {i}");
    }
    let mut client = test.client().await;
    let mut stream = PullStream::challenge(&mut client).await.expect("a stream is taken");
    let requests = stream.requests.as_ref().expect("open");
    requests.send(v1::PullRequest { step: None }).await.expect("the stream is open");
    assert_eq!(stream.next().await.expect_err("no step").code(), Code::InvalidArgument);
    test.stop().await;
}

// req: RLY-37
#[tokio::test]
async fn queued_envelopes_come_first_and_live_ones_after_them_each_once() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let mut all = leave(&test, &owner, &mut maker, 10).await;
    let mut client = test.client().await;
    let mut stream = PullStream::open(&test, &mut client, &owner).await;
    let mut found = stream.envelopes(10).await;
    for _ in 0..5 {
        all.extend(leave(&test, &owner, &mut maker, 3).await);
        found.extend(stream.envelopes(3).await);
        stream.ack(found.last().expect("some").0).await;
    }
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(found.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids(&all));
    assert_eq!(stream.close().await, (Vec::new(), PullEndReason::Closed));
    test.stop().await;
}

// req: RLY-37
#[tokio::test]
async fn nothing_is_missed_that_is_stored_while_a_stream_opens() {
    let test = TestRelay::start().await;
    let owner = Owner::new(1);
    register(&test, &owner).await;
    let mut maker = Maker::new(1);
    for _ in 0..15 {
        let mut client = test.client().await;
        let (envelopes, mut stream) = tokio::join!(
            leave(&test, &owner, &mut maker, 3),
            PullStream::open(&test, &mut client, &owner)
        );
        let found = stream.envelopes(3).await;
        assert_eq!(found.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids(&envelopes));
        stream.ack(found[2].0).await;
        assert_eq!(stream.close().await, (Vec::new(), PullEndReason::Closed));
    }
    test.stop().await;
}

// req: RLY-38
#[tokio::test]
async fn at_most_256_envelopes_are_unacknowledged() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    leave(&test, &owner, &mut maker, 300).await;
    let mut client = test.client().await;
    let mut stream = PullStream::open(&test, &mut client, &owner).await;
    let found = stream.envelopes(256).await;
    let early = tokio::time::timeout(Duration::from_millis(200), stream.envelopes(1)).await;
    assert!(early.is_err(), "a 257th came");
    stream.ack(found[9].0).await;
    assert_eq!(stream.envelopes(10).await.len(), 10);
    let early = tokio::time::timeout(Duration::from_millis(200), stream.envelopes(1)).await;
    assert!(early.is_err(), "one more than was acknowledged");
    stream.ack(found[255].0).await;
    assert_eq!(stream.envelopes(34).await.len(), 34);
    test.stop().await;
}

// req: RLY-38
#[tokio::test]
async fn at_most_4_mib_are_unacknowledged() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let items: Vec<_> = (0..80)
        .map(|_| maker.of_bucket(owner.mailbox(), 65_536))
        .map(|envelope| (envelope.clone(), owner.stamp(&envelope)))
        .collect();
    deposit(&test, &items).await;
    let mut client = test.client().await;
    let mut stream = PullStream::open(&test, &mut client, &owner).await;
    let mut found = stream.envelopes(60).await;
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(300), stream.envelopes(1)).await
    {
        found.extend(more);
    }
    assert!(found.len() * 66_761 <= 4 * 1024 * 1024, "{} came", found.len());
    stream.ack(found.last().expect("some").0).await;
    stream.envelopes(80 - found.len()).await;
    test.stop().await;
}

// req: RLY-41
#[tokio::test]
async fn an_acknowledgement_of_what_was_not_sent_or_of_another_epoch_ends_the_stream() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    leave(&test, &owner, &mut maker, 2).await;
    for wrong in 0..2 {
        let mut client = test.client().await;
        let mut stream = PullStream::open(&test, &mut client, &owner).await;
        let last = stream.envelopes(2).await[1].0;
        let ack = match wrong {
            0 => PullAck { epoch: stream.epoch, up_to: last + 1 },
            _ => PullAck { epoch: Epoch::from_bytes([0xee; 16]), up_to: last },
        };
        stream.send(PullStep::Ack(ack)).await;
        let status = stream.end().await.expect_err("not in order");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    fetch(&test, &owner, 2).await;
    test.stop().await;
}

// req: RLY-42
#[tokio::test]
async fn what_is_acknowledged_never_comes_again_and_the_rest_does() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    register(&test, &owner).await;
    let envelopes = leave(&test, &owner, &mut maker, 9).await;
    let mut client = test.client().await;
    let mut stream = PullStream::open(&test, &mut client, &owner).await;
    let found = stream.envelopes(9).await;
    stream.ack(found[3].0).await;
    assert_eq!(stream.close().await.1, PullEndReason::Closed);
    let folder = test.stop().await;
    let test = TestRelay::with(Options { folder: Some(folder), ..Options::default() }).await;
    let rest = fetch(&test, &owner, 5).await;
    assert_eq!(rest, found[4..]);
    assert_eq!(rest.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids(&envelopes[4..]));
    assert_eq!(fetch(&test, &owner, 0).await, []);
    test.stop().await;
}

// req: RLY-34
#[tokio::test]
async fn a_newer_stream_of_the_mailbox_ends_the_older_one() {
    let test = TestRelay::start().await;
    let (owner, mut maker) = (Owner::new(1), Maker::new(1));
    let (mut first, mut second) = (test.client().await, test.client().await);
    let mut older = PullStream::open(&test, &mut first, &owner).await;
    let mut newer = PullStream::open(&test, &mut second, &owner).await;
    let (_, reason) = older.end().await.expect("an end in order");
    assert_eq!(reason, PullEndReason::Superseded);
    let envelopes = leave(&test, &owner, &mut maker, 1).await;
    assert_eq!(newer.envelopes(1).await[0].1, envelopes[0].id());
    test.stop().await;
}

// req: RLY-33, RLY-39
#[tokio::test]
async fn an_unknown_mailbox_looks_like_an_empty_one() {
    let test = TestRelay::start().await;
    let (known, unknown) = (Owner::new(1), Owner::new(2));
    register(&test, &known).await;
    let mut opened = Vec::new();
    for owner in [&known, &unknown] {
        let mut client = test.client().await;
        let mut stream = PullStream::challenge(&mut client).await.expect("a stream is taken");
        let proof = proof(owner, test.key, &test.authority, stream.challenge);
        stream.send(PullStep::Proof(proof)).await;
        let PullAnswer::Opened { registered_until } = stream.next().await.expect("opened") else {
            panic!("something else than the opening")
        };
        let ahead = registered_until.0 - START.saturating_add(REGISTRATION_LIFE).0;
        assert!(ahead < 60_000, "{ahead} ms");
        opened.push(stream.close().await);
    }
    assert_eq!(opened[0], opened[1]);
    // The registration was durable: mail is taken without another word.
    let folder = test.stop().await;
    let test = TestRelay::with(Options { folder: Some(folder), ..Options::default() }).await;
    leave(&test, &unknown, &mut Maker::new(1), 1).await;
    test.stop().await;
}

// req: RLY-32
#[tokio::test]
async fn a_relay_without_places_serves_those_that_have_one() {
    let options =
        Options { edit: Some(|config| config.quotas.mailboxes = 1), ..Options::default() };
    let test = TestRelay::with(options).await;
    let (first, second) = (Owner::new(1), Owner::new(2));
    register(&test, &first).await;
    let step = |challenge| PullStep::Proof(proof(&second, test.key, &test.authority, challenge));
    assert_eq!(refused(&test, step).await, Code::ResourceExhausted);
    register(&test, &first).await;
    test.stop().await;
}

// req: RLY-28
#[tokio::test(start_paused = true)]
async fn a_stream_without_a_proof_ends() {
    let test = TestRelay::start().await;
    let mut client = test.client().await;
    let mut stream = PullStream::challenge(&mut client).await.expect("a stream is taken");
    let started = tokio::time::Instant::now();
    let status = stream.next().await.expect_err("no proof");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(9) && waited < Duration::from_secs(15), "{waited:?}");
    test.stop().await;
}
