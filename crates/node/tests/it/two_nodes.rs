//! Two people find each other and talk.

use tortalk_node::control::event::NodeEvent;
use tortalk_node::control::protocol::{ErrorKind, Request, Response, Visible};

use crate::support::{Person, Room};

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_find_each_other_by_beacon_and_talk_both_ways() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let room = Room::new();
    let (mut a, mut b) = (alice.start(room).await, bob.start(room).await);
    a.until_peer_up().await;
    b.until_peer_up().await;
    a.until(
        "name",
        |event| matches!(event, NodeEvent::PeerNamed { own_name, .. } if own_name == "bob"),
    )
    .await;
    a.add(&b).await;
    b.until(
        "request",
        |event| matches!(event, NodeEvent::WantsContact { own_name, .. } if own_name == "alice"),
    )
    .await;
    b.add(&a).await;
    let id = a.send("bob", "hello bob").await;
    b.until_received("hello bob").await;
    a.until_delivered(&id).await;
    let id = b.send("alice", "hello alice").await;
    a.until_received("hello alice").await;
    b.until_delivered(&id).await;
    assert_eq!(a.texts().await, ["hello bob", "hello alice"]);
    assert_eq!(b.texts().await, ["hello bob", "hello alice"]);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_by_hand_is_enough_and_says_who_answered() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (a, b) = (alice.start_quiet().await, bob.start_quiet().await);
    let address = format!("127.0.0.1:{}", b.node.port());
    let dialled = a.ask(Request::Dial { address }).await;
    let Ok(Response::Dialled(dialled)) = dialled else { panic!("{dialled:?}") };
    assert_eq!(dialled.identity, b.status().await.identity);
    let nearby = a.nearby().await;
    assert_eq!(nearby.len(), 1);
    assert_eq!(nearby[0].identity, dialled.identity);
    assert_eq!(nearby[0].contact, None);

    let itself = format!("127.0.0.1:{}", a.node.port());
    let dialled = a.ask(Request::Dial { address: itself }).await;
    assert_eq!(dialled.map_err(|error| error.kind), Err(ErrorKind::NotReached));
    let dialled = a.ask(Request::Dial { address: "127.0.0.1".to_owned() }).await;
    assert_eq!(dialled.map_err(|error| error.kind), Err(ErrorKind::BadAddress));
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_somebody_who_is_away_arrives_when_they_come_back() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (mut a, mut b) = (alice.start_quiet().await, bob.start_quiet().await);
    a.add(&b).await;
    b.add(&a).await;
    a.dial(&b).await;
    a.until_contact_has_card().await;
    b.until_contact_has_card().await;
    let first = a.send("bob", "one").await;
    a.until_delivered(&first).await;
    b.stop().await;
    a.until("bob's going", |event| matches!(event, NodeEvent::PeerDown { .. })).await;

    let second = a.send("bob", "two").await;
    let third = a.send("bob", "three").await;
    a.stop().await;
    let mut a = alice.start_quiet().await;
    assert_eq!(a.texts().await, ["one", "two", "three"]);
    let states: Vec<_> = a.history().await.into_iter().filter_map(|m| m.state).collect();
    assert_eq!(states, ["delivered", "queued", "queued"]);

    let mut b = bob.start_quiet().await;
    assert_eq!(b.texts().await, ["one"]);
    b.dial(&a).await;
    b.until_received("two").await;
    b.until_received("three").await;
    a.until_all_delivered(&[&second, &third]).await;
    assert_eq!(b.texts().await, ["one", "two", "three"]);
    let evidence = match a.ask(Request::Message { id: second }).await {
        Ok(Response::Message { message }) => message.evidence,
        other => panic!("{other:?}"),
    };
    let kinds: Vec<_> = evidence.iter().map(|evidence| evidence.kind.as_str()).collect();
    assert_eq!(kinds, ["handed", "delivered"]);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_visible_to_contacts_only_does_not_answer_strangers() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (a, b) = (alice.start_quiet().await, bob.start_quiet().await);
    let set = Request::Visibility { value: Visible::Contacts };
    assert!(matches!(b.ask(set).await, Ok(Response::Done {})));
    let address = format!("127.0.0.1:{}", b.node.port());
    let turned_away = a.ask(Request::Dial { address: address.clone() }).await;
    assert_eq!(turned_away.map_err(|error| error.kind), Err(ErrorKind::NotReached));
    b.add(&a).await;
    assert!(matches!(a.ask(Request::Dial { address }).await, Ok(Response::Dialled(_))));
    b.stop().await;
    // It holds after the next start too.
    let profile = tortalk_node::profile::open(&bob.dir, None).unwrap();
    let visibility = profile.settings().network.visibility;
    assert_eq!(visibility, tortalk_settings::Visibility::Contacts);
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_meant_by_name_address_or_digits_and_errors_say_why() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (a, b) = (alice.start_quiet().await, bob.start_quiet().await);
    a.add(&b).await;
    let identity = b.status().await.identity;
    for who in ["BOB", &identity[..8], &identity, &b.address().await] {
        let found = a.ask(Request::Contact { who: who.to_owned() }).await;
        let Ok(Response::Contact { contact }) = found else { panic!("{who}: {found:?}") };
        assert_eq!(contact.identity, identity);
    }
    let me = a.address().await;
    let send = |to: &str, text: &str| Request::Send { to: to.to_owned(), text: text.to_owned() };
    let long = "x".repeat(70_000);
    for (request, kind) in [
        (send("carol", "hi"), ErrorKind::UnknownWho),
        (send("mesh:zz", "hi"), ErrorKind::BadAddress),
        (send(&me, "hi"), ErrorKind::NotAContact),
        (send("bob", ""), ErrorKind::TextEmpty),
        (send("bob", &long), ErrorKind::TextTooLong),
        (
            Request::Add { address: me.clone(), name: String::new(), text: String::new() },
            ErrorKind::Yourself,
        ),
        (Request::SafetyNumber { who: me.clone() }, ErrorKind::Yourself),
        (Request::Rename { who: "bob".into(), name: "\u{7}".into() }, ErrorKind::BadName),
        (Request::Import { card: "AAAA".into(), name: String::new() }, ErrorKind::BadCard),
        (Request::Import { card: "?".into(), name: String::new() }, ErrorKind::BadCard),
        (Request::Message { id: "00".repeat(32) }, ErrorKind::NoSuchMessage),
        (Request::Cancel { id: "x".into() }, ErrorKind::NoSuchMessage),
    ] {
        let refused = a.ask(request.clone()).await.expect_err("no");
        assert_eq!(refused.kind, kind, "{request:?}: {}", refused.message);
        let what_to_do = refused.message.contains([':', ';']);
        assert!(what_to_do && !refused.message.contains('\n'), "{}", refused.message);
    }
    let block = a.ask(Request::Block { who: "bob".into() }).await;
    assert!(matches!(block, Ok(Response::Contact { contact }) if contact.standing == "blocked"));
    assert_eq!(a.ask(send("bob", "hi")).await.unwrap_err().kind, ErrorKind::Blocked);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_from_a_file_is_enough_to_write_to_somebody() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (mut a, mut b) = (alice.start_quiet().await, bob.start_quiet().await);
    let card = match b.ask(Request::OwnCard).await {
        Ok(Response::OwnCard(own)) => own.card,
        other => panic!("{other:?}"),
    };
    let imported = a.ask(Request::Import { card, name: String::new() }).await;
    let Ok(Response::Contact { contact }) = imported else { panic!("{imported:?}") };
    assert_eq!((contact.name.as_str(), contact.has_card), ("bob", true));
    b.add(&a).await;
    let id = a.send("bob", "sealed before we met").await;
    a.dial(&b).await;
    b.until_received("sealed before we met").await;
    a.until_delivered(&id).await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_late_for_a_nodes_events_misses_nobody_who_came_before() {
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (mut a, b) = (alice.start_quiet().await, bob.start_quiet().await);
    a.dial(&b).await;
    let identity = b.status().await.identity;
    assert_eq!(a.nearby().await.len(), 1, "the link is up, and nobody listened");
    let mut events = a.node.events();
    let first = events.next().await.expect("the node runs").event;
    assert!(matches!(first, NodeEvent::Ready { .. }), "{first:?}");
    a.events = events;
    let up = a.until("peer_up", |event| matches!(event, NodeEvent::PeerUp { .. })).await;
    assert!(matches!(up, NodeEvent::PeerUp { identity: who, .. } if who == identity));
    // They are given once; whoever asks again is told of what comes from then on.
    a.events = a.node.events();
    b.stop().await;
    a.until("peer_down", |event| {
        assert!(!matches!(event, NodeEvent::PeerUp { .. }), "it was told of already");
        matches!(event, NodeEvent::PeerDown { .. })
    })
    .await;
    a.stop().await;
}
