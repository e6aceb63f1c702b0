use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::super::peer::Peer;
use super::*;
use crate::env::Clock;

async fn both() -> (Sender<u8>, Outbox<u8>, Arc<Semaphore>) {
    let places = Arc::new(Semaphore::new(1));
    let place = Arc::clone(&places).acquire_owned().await.expect("one is free");
    let peer = Peer::new([127, 0, 0, 1].into(), &[], &Clock::system());
    let (sender, outbox) = outbox((place, peer.call()));
    (sender, outbox, places)
}

// req: RLY-63
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_a_minute_is_let_go_with_what_waits() {
    let (sender, mut outbox, _places) = both().await;
    let room = Arc::new(Semaphore::new(WAITING_MAX + 1));
    let started = Instant::now();
    let mut sent = 0;
    while sender.send(1, room.clone().acquire_owned().await.ok()).await.is_ok() {
        sent += 1;
    }
    assert_eq!(sent, WAITING_MAX);
    assert_eq!(started.elapsed(), Duration::from_secs(60));
    assert_eq!(room.available_permits(), WAITING_MAX + 1, "what waited takes no room any more");
    let status = outbox.next().await.expect("one status").expect_err("no message");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(outbox.next().await.is_none());
}

#[tokio::test]
async fn messages_come_before_the_status_and_a_good_end_has_none() {
    let (sender, mut outbox, _places) = both().await;
    sender.send(1, None).await.expect("there is room");
    sender.fail(Status::invalid_argument("why"));
    assert_eq!(outbox.next().await.expect("a message").expect("no status"), 1);
    let status = outbox.next().await.expect("one status").expect_err("no message");
    assert_eq!(status.code(), Code::InvalidArgument);

    let (sender, mut outbox, _places) = both().await;
    sender.send(2, None).await.expect("there is room");
    drop(sender);
    assert_eq!(outbox.next().await.expect("a message").expect("no status"), 2);
    assert!(outbox.next().await.is_none());
}

#[tokio::test]
async fn a_place_is_free_when_the_client_has_let_go() {
    let (sender, outbox, places) = both().await;
    drop(sender);
    assert_eq!(places.available_permits(), 0, "what was sent may still wait");
    drop(outbox);
    assert_eq!(places.available_permits(), 1);
}
