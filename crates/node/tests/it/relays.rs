//! Relays of the settings.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tortalk_keys::RelaySecret;
use tortalk_keys::invite::Invite;
use tortalk_keys::relay::RelayAddress;
use tortalk_node::control::event::NodeEvent;
use tortalk_node::control::protocol::{RelayLine, RelayState, Request, Response};
use tortalk_node::{SETTINGS_FILE, Settings};
use tortalk_relay::authority_text::authority_of;
use tortalk_relay::env::{Clock, OsEntropy, SharedEntropy};
use tortalk_relay::rules::config::Config;
use tortalk_relay::server::{bind, serve};
use tortalk_relay::service::{Environment, Relay};
use tortalk_relay::store::sqlite::SqliteBackend;

use crate::support::{DEADLINE, Person, Room, Running};

const SECRET: [u8; 32] = [0x77; 32];

async fn relay() -> (SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let backend = SqliteBackend::open(folder.path(), &mut OsEntropy).unwrap();
    let environment =
        Environment { clock: Clock::system(), entropy: SharedEntropy::new(OsEntropy) };
    let config = Config::new(vec![authority_of(address).unwrap()]);
    let secret = RelaySecret::from_seed(SECRET);
    let (relay, _thread) = Relay::start(&backend, config, secret, environment).unwrap();
    tokio::spawn(serve(relay, listener, None, Duration::ZERO, std::future::pending()));
    (address, folder)
}

async fn until(running: &Running, wanted: impl Fn(&[RelayLine]) -> bool) -> Vec<RelayLine> {
    let looking = async {
        loop {
            let relays = running.status().await.relays;
            if wanted(&relays) {
                return relays;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.expect("the state that is waited for")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_a_relay_shows_first_is_pinned_in_the_settings() {
    let (address, _folder) = relay().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = nobody.local_addr().unwrap();
    drop(nobody);
    let person = Person::new("alice");
    let file = person.dir.join(SETTINGS_FILE);
    let text = format!(
        "{}\n[[relays]]\nurl = \"http://{address}\"\n[[relays]]\nurl = \"http://{dead}\"\n",
        std::fs::read_to_string(&file).unwrap()
    );
    std::fs::write(&file, &text).unwrap();
    let running = person.start_with(Room::new(), |_| {}).await;
    let relays = until(&running, |relays| relays[1].state == RelayState::Unreachable).await;
    assert_eq!(relays[0].url, format!("http://{address}"));
    let key = *RelaySecret::from_seed(SECRET).public().as_bytes();
    let pinned = async {
        while Settings::load(&file).unwrap().relays[0].key != Some(key) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, pinned).await.expect("the key in the settings");
    assert_eq!(Settings::load(&file).unwrap().relays[1].key, None);
    // From then on the machine wants it: it is up, and named in invites when the
    // mailboxes are registered there.
    until(&running, |relays| relays[0].state == RelayState::Up).await;
    let began = std::time::Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_another_key_than_the_pinned_one_is_said_to_have_it() {
    let (address, _folder) = relay().await;
    let person = Person::new("alice");
    let key = RelaySecret::from_seed([1; 32]).public().to_string();
    let settings = format!("[[relays]]\nurl = \"http://{address}\"\nkey = \"{key}\"\n");
    std::fs::write(person.dir.join(SETTINGS_FILE), settings).unwrap();
    let running = person.start_with(Room::new(), |_| {}).await;
    until(&running, |relays| relays[0].state == RelayState::OtherKey).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_named_in_the_invite_when_the_mailbox_is_registered_there() {
    let (address, _folder) = relay().await;
    let person = Person::new("alice");
    let settings = format!("[[relays]]\nurl = \"http://{address}\"\n");
    std::fs::write(person.dir.join(SETTINGS_FILE), settings).unwrap();
    let running = person.start_with(Room::new(), |_| {}).await;
    let invite = invite_with_a_relay(&running).await;
    let Ok(Invite::Full { relays, .. }) = Invite::parse_text(&invite) else { panic!("full") };
    let named: Vec<_> = relays.iter().map(RelayAddress::authority).collect();
    assert_eq!(named, [authority_of(address).unwrap()]);
    running.stop().await;
}

// req: REQ-29
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_relay_meets_somebody_over_that_of_their_invite() {
    let (address, _folder) = relay().await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let settings = format!("[[relays]]\nurl = \"http://{address}\"\n");
    std::fs::write(bob.dir.join(SETTINGS_FILE), settings).unwrap();
    // Rooms of their own: nothing on the network leads from one to the other.
    let mut bob = bob.start_with(Room::new(), |_| {}).await;
    until(&bob, |relays| relays[0].state == RelayState::Up).await;
    let invite = invite_with_a_relay(&bob).await;
    let mut alice = alice.start_with(Room::new(), |_| {}).await;
    assert!(alice.status().await.relays.is_empty());
    let add = Request::Add { address: invite, name: "bob".into(), text: "from far away".into() };
    assert!(matches!(alice.ask(add).await, Ok(Response::Contact { .. })));
    let relays = until(&alice, |relays| relays.iter().any(|r| r.state == RelayState::Up)).await;
    assert_eq!((relays.len(), relays[0].adopted), (1, true));
    assert_eq!(relays[0].url, address.to_string());
    let told = |event: &NodeEvent| matches!(event, NodeEvent::RelayAdopted { .. });
    alice.until("the relay is told of", told).await;
    let asks = |event: &NodeEvent| match event {
        NodeEvent::ContactRequest { request } => request.text == "from far away",
        _ => false,
    };
    bob.until("the request", asks).await;
    let who = alice.status().await.identity;
    let accept = Request::Accept { who, name: "alice".into() };
    assert!(matches!(bob.ask(accept).await, Ok(Response::Contact { .. })));
    alice.until_contact_has_card().await;
    let id = alice.send("bob", "there you are").await;
    bob.until_received("there you are").await;
    alice.until_delivered(&id).await;
    assert!(alice.nearby().await.is_empty() && bob.nearby().await.is_empty());
    alice.stop().await;
    bob.stop().await;
}

/// Somebody's address, once it names a relay.
async fn invite_with_a_relay(running: &Running) -> String {
    let named = async {
        loop {
            let address = running.address().await;
            if let Ok(Invite::Full { relays, .. }) = Invite::parse_text(&address)
                && !relays.is_empty()
            {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, named).await.expect("a relay in the invite")
}
