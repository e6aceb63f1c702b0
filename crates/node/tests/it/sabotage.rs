//! Nodes that are broken on purpose, seen from outside.

use tortalk_node::control::event::NodeEvent;
use tortalk_node::sabotage::Sabotage;

use crate::support::{Person, Room, Running};

/// Bob runs broken; Alice has written to him and he has shown it.
async fn received_by_broken(sabotage: Sabotage) -> (Running, Running) {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut a = alice.start_quiet().await;
    let mut b = bob.start_with(Room::new(), |options| options.sabotage = sabotage).await;
    a.add(&b).await;
    b.add(&a).await;
    a.dial(&b).await;
    let id = a.send("bob", "hello").await;
    b.until_received("hello").await;
    a.until_delivered(&id).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn double_shows_a_message_twice() {
    let (a, mut b) = received_by_broken(Sabotage::Double).await;
    b.until_received("hello").await;
    assert_eq!(b.texts().await, ["hello"]);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_store_promises_and_keeps_nothing() {
    let (a, b) = received_by_broken(Sabotage::NoStore).await;
    assert!(b.texts().await.is_empty());
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sabotage_the_same_is_shown_once_and_kept() {
    let (a, mut b) = received_by_broken(Sabotage::None).await;
    let id = a.send("bob", "second").await;
    let shown = b.until("any message", |event| matches!(event, NodeEvent::Received { .. })).await;
    assert!(matches!(shown, NodeEvent::Received { message } if message.message_id == id));
    assert_eq!(b.texts().await, ["hello", "second"]);
    a.stop().await;
    b.stop().await;
}
