//! Against a real relay.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tortalk_keys::relay_proof::card_drop;
use tortalk_mesh::RelayAction;
use tortalk_mesh::relay::{CardDrop, CardPutResult, PullEnd, RelayDown, RelayInput};
use tortalk_model::limits::relay::WINDOW_MAX;

use super::support::{Bench, Owner, PATIENCE, QUICK, TestRelay, common};
use crate::relays::pin;

#[tokio::test]
async fn an_envelope_goes_in_with_a_receipt_and_comes_out_once() {
    let relay = TestRelay::start().await;
    let (key, owner) = (relay.address.key(), Owner::new(1));
    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    bench.pull(&relay.address, &owner).await;
    let (envelope, _) = owner.envelope();
    bench.deposit(key, &envelope, &owner.stamp(&envelope));
    // The receipt and the envelope come on streams of their own.
    let (mut stored, mut pulled) = (None, None);
    while stored.is_none() || pulled.is_none() {
        match bench.next().await {
            RelayInput::Stored { receipt, .. } => stored = Some(receipt),
            RelayInput::Pulled { seq, envelope, mailbox, .. } => {
                assert_eq!(mailbox, owner.mailbox());
                pulled = Some((seq, envelope));
            }
            other => panic!("{other:?}"),
        }
    }
    let (seq, bytes) = pulled.unwrap();
    assert_eq!(bytes, envelope.as_bytes());
    let receipt = stored.unwrap();
    super::support::verify(&key, &receipt);
    assert_eq!(receipt.ids, [envelope.id()]);
    bench.relays.apply(RelayAction::Ack { relay: key, mailbox: owner.mailbox(), up_to: seq });
    // Twice is once.
    bench.deposit(key, &envelope, &owner.stamp(&envelope));
    assert_eq!(bench.stored(key, 1).await, [envelope.id()]);
    let (next, _) = owner.envelope();
    bench.deposit(key, &next, &[]);
    let both = [bench.next().await, bench.next().await];
    assert!(both.iter().any(|input| matches!(input, RelayInput::Stored { .. })));
    assert!(both.iter().any(|input| {
        matches!(input, RelayInput::Pulled { envelope, .. } if envelope == next.as_bytes())
    }));
    // What was acknowledged before the end does not come again; the rest does.
    bench.relays.apply(RelayAction::Disconnect(key));
    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    bench.pull(&relay.address, &owner).await;
    assert_eq!(bench.pulled().await.1, next.id());
}

#[tokio::test]
async fn an_envelope_for_nobody_there_is_refused_with_the_clock_of_the_relay() {
    let relay = TestRelay::start().await;
    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    let (envelope, _) = Owner::new(1).envelope();
    bench.deposit(relay.address.key(), &envelope, &[]);
    match bench.next().await {
        RelayInput::Refused { envelope_id, reason, now, .. } => {
            assert_eq!(envelope_id, envelope.id());
            assert_eq!(reason, tortalk_mesh::relay::DepositRefusal::NoRoom);
            assert!(now.0.abs_diff(crate::handle::unix_now()) < 60_000);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn cards_are_put_and_read_and_envelopes_purged() {
    let relay = TestRelay::start().await;
    let (key, owner) = (relay.address.key(), Owner::new(1));
    let mailbox = owner.mailbox();
    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    let put = |seq: u64, blob: &[u8]| {
        let signature = *card_drop::sign(&owner.secret, seq, blob).as_bytes();
        CardDrop { seq, blob: blob.to_vec(), signature }
    };
    bench.relays.apply(RelayAction::GetCard { relay: key, mailbox });
    assert!(matches!(bench.next().await, RelayInput::CardFound { drop: None, .. }));
    let newer = put(7, b"newer");
    bench.relays.apply(RelayAction::PutCard { relay: key, mailbox, drop: newer.clone() });
    let result = |input| match input {
        RelayInput::CardPut { result, .. } => result,
        other => panic!("{other:?}"),
    };
    assert_eq!(result(bench.next().await), CardPutResult::Unregistered);
    bench.pull(&relay.address, &owner).await;
    bench.relays.apply(RelayAction::PutCard { relay: key, mailbox, drop: newer.clone() });
    assert_eq!(result(bench.next().await), CardPutResult::Stored);
    bench.relays.apply(RelayAction::PutCard { relay: key, mailbox, drop: put(6, b"older") });
    assert_eq!(result(bench.next().await), CardPutResult::Old { seq: 7 });
    bench.relays.apply(RelayAction::GetCard { relay: key, mailbox });
    match bench.next().await {
        RelayInput::CardFound { drop, mailbox: of, .. } => {
            assert_eq!((drop, of), (Some(newer), mailbox));
        }
        other => panic!("{other:?}"),
    }

    bench.relays.apply(RelayAction::StopPull { relay: key, mailbox });
    let ((purged, purge_key), (kept, _)) = (owner.envelope(), owner.envelope());
    bench.deposit(key, &purged, &owner.stamp(&purged));
    assert_eq!(bench.stored(key, 1).await, [purged.id()]);
    bench.relays.apply(RelayAction::Purge { relay: key, keys: vec![purge_key] });
    // Nothing answers a purge, so it is looked for until it has happened.
    bench.deposit(key, &kept, &owner.stamp(&kept));
    assert_eq!(bench.stored(key, 1).await, [kept.id()]);
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "it was not purged");
        bench.pull(&relay.address, &owner).await;
        let first = bench.pulled().await.1;
        bench.relays.apply(RelayAction::StopPull { relay: key, mailbox });
        if first == kept.id() {
            break;
        }
        // Its other envelope may be on its way.
        while !bench.is_quiet(Duration::from_millis(50)).await {}
    }
}

#[tokio::test]
async fn a_relay_that_was_killed_is_connected_with_again() {
    let relay = TestRelay::start().await;
    let (address, owner) = (relay.address.clone(), Owner::new(1));
    let mut bench = Bench::up(common(QUICK), &address).await;
    bench.pull(&address, &owner).await;
    let (folder, socket) = relay.kill().await;
    assert_eq!(bench.down().await, RelayDown::Unreachable);
    // An order of before is not carried over.
    bench.relays.apply(RelayAction::GetCard { relay: address.key(), mailbox: owner.mailbox() });
    // It is not told again and again that nobody answers.
    assert!(bench.is_quiet(QUICK.wait_max * 3).await);
    let relay = TestRelay::start_at(folder, socket, None).await;
    assert!(matches!(bench.next().await, RelayInput::Up { .. }));
    bench.pull(&address, &owner).await;
    let (envelope, _) = owner.envelope();
    bench.deposit(address.key(), &envelope, &owner.stamp(&envelope));
    let both = [bench.next().await, bench.next().await];
    assert!(both.iter().any(|input| matches!(input, RelayInput::Stored { .. })));
    assert!(both.iter().any(|input| matches!(input, RelayInput::Pulled { .. })));
    drop(relay);
}

#[tokio::test]
async fn the_newer_stream_of_a_mailbox_takes_its_place() {
    let relay = TestRelay::start().await;
    let owner = Owner::new(1);
    let mut first = Bench::up(common(QUICK), &relay.address).await;
    first.pull(&relay.address, &owner).await;
    let mut second = Bench::up(common(QUICK), &relay.address).await;
    second.pull(&relay.address, &owner).await;
    match first.next().await {
        RelayInput::PullEnded { mailbox, why, .. } => {
            assert_eq!((mailbox, why), (owner.mailbox(), PullEnd::Superseded));
        }
        other => panic!("{other:?}"),
    }
    // The connection is up still.
    first
        .relays
        .apply(RelayAction::GetCard { relay: relay.address.key(), mailbox: owner.mailbox() });
    assert!(matches!(first.next().await, RelayInput::CardFound { .. }));
}

#[tokio::test]
async fn more_than_a_window_goes_both_ways_a_window_at_a_time() {
    let relay = TestRelay::start().await;
    let (key, owner) = (relay.address.key(), Owner::new(1));
    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    bench.pull(&relay.address, &owner).await;
    bench.relays.apply(RelayAction::StopPull { relay: key, mailbox: owner.mailbox() });
    let envelopes: Vec<_> = (0..300).map(|_| owner.envelope().0).collect();
    for envelope in &envelopes {
        bench.deposit(key, envelope, &owner.stamp(envelope));
    }
    let mut stored = bench.stored(key, 300).await;
    stored.sort_unstable();
    let mut sent: Vec<_> = envelopes.iter().map(tortalk_model::Envelope::id).collect();
    sent.sort_unstable();
    assert_eq!(stored, sent);

    bench.pull(&relay.address, &owner).await;
    let mut pulled = Vec::new();
    for _ in 0..WINDOW_MAX {
        pulled.push(bench.pulled().await);
    }
    assert!(bench.is_quiet(Duration::from_millis(300)).await);
    let up_to = pulled[99].0;
    bench.relays.apply(RelayAction::Ack { relay: key, mailbox: owner.mailbox(), up_to });
    for _ in WINDOW_MAX..300 {
        pulled.push(bench.pulled().await);
    }
    assert!(pulled.is_sorted_by(|a, b| a.0 < b.0));
    let mut ids: Vec<_> = pulled.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    assert_eq!(ids, sent);
}

#[tokio::test]
async fn what_was_acknowledged_last_counts_when_the_node_ends() {
    let relay = TestRelay::start().await;
    let (key, owner) = (relay.address.key(), Owner::new(1));
    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    bench.pull(&relay.address, &owner).await;
    let ((one, _), (two, _)) = (owner.envelope(), owner.envelope());
    for envelope in [&one, &two] {
        bench.deposit(key, envelope, &owner.stamp(envelope));
    }
    let mut last = 0;
    let mut waiting = 4;
    while waiting > 0 {
        match bench.next().await {
            RelayInput::Stored { receipt, .. } => waiting -= receipt.ids.len(),
            RelayInput::Pulled { seq, .. } => (last, waiting) = (seq, waiting - 1),
            other => panic!("{other:?}"),
        }
    }
    let ack = RelayAction::Ack { relay: key, mailbox: owner.mailbox(), up_to: last };
    bench.relays.apply(ack);
    let Bench { relays, inputs, mut gone } = bench;
    let began = Instant::now();
    drop((relays, inputs));
    timeout(PATIENCE, gone.recv()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    let mut bench = Bench::up(common(QUICK), &relay.address).await;
    bench.pull(&relay.address, &owner).await;
    assert!(bench.is_quiet(Duration::from_millis(200)).await);
}

#[tokio::test]
async fn a_relay_without_a_pinned_key_shows_its_own() {
    let relay = TestRelay::start().await;
    let learned = pin::learn(&common(QUICK), &relay.address.authority()).await;
    assert_eq!(learned, Ok(relay.address.clone()));
}
