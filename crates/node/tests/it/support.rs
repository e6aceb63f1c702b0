//! People with profiles in temporary folders, and nodes that run on them.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tortalk_model::UnixMillis;
use tortalk_node::control::event::{EventLine, NodeEvent};
use tortalk_node::control::protocol::{
    Address, MessageLine, NearbyLine, Queued, Request, RequestError, Response, Status,
};
use tortalk_node::discovery::beacon::Groups;
use tortalk_node::entropy::OsEntropy;
use tortalk_node::profile::{self, Argon2Cost, NewProfile};
use tortalk_node::{Events, Handle, Node, NodeOptions};

/// Nothing here takes longer, also on a machine that is busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Somebody with a profile.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    _root: TempDir,
    pub(crate) dir: PathBuf,
}

/// Where beacons go in one test: no other test hears them.
#[derive(Clone, Copy)]
pub(crate) struct Room(Groups);

impl Room {
    pub(crate) fn new() -> Self {
        // The port stays unlikely to be anybody's while the test runs.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        Self(Groups { port: socket.local_addr().unwrap().port(), ..Groups::PROTOCOL })
    }
}

impl Person {
    pub(crate) fn new(name: &'static str) -> Self {
        Self::deep(name, "profile")
    }

    /// A profile so many folders down as `path` says.
    pub(crate) fn deep(name: &'static str, path: &str) -> Self {
        let root = TempDir::new().unwrap();
        let dir = root.path().join(path);
        std::fs::create_dir_all(dir.parent().unwrap()).unwrap();
        let new = NewProfile {
            dir: &dir,
            name,
            passphrase: None,
            cost: Argon2Cost::DEFAULT,
            person: None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let now = UnixMillis(u64::try_from(now).unwrap());
        drop(profile::create(&new, now, &mut OsEntropy).unwrap());
        Self { name, _root: root, dir }
    }

    /// Runs with beacons on loopback.
    pub(crate) async fn start(&self, room: Room) -> Running {
        self.start_with(room, |_| {}).await
    }

    /// Runs without looking for anybody.
    pub(crate) async fn start_quiet(&self) -> Running {
        self.start_with(Room::new(), |options| {
            options.settings.as_mut().unwrap().network.beacons = false;
        })
        .await
    }

    pub(crate) async fn start_with(
        &self,
        room: Room,
        change: impl FnOnce(&mut NodeOptions),
    ) -> Running {
        let profile = profile::open(&self.dir, None).unwrap();
        let mut settings = profile.settings().clone();
        settings.network.interfaces = Some(vec!["lo".to_owned()]);
        let mut options =
            NodeOptions { settings: Some(settings), groups: room.0, ..NodeOptions::default() };
        change(&mut options);
        let node = Node::start(profile, options).await.unwrap();
        let handle = node.handle();
        let events = handle.events();
        Running { name: self.name, node, handle, events }
    }
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) node: Node,
    pub(crate) handle: Handle,
    pub(crate) events: Events,
}

impl Running {
    pub(crate) async fn ask(&self, request: Request) -> Result<Response, RequestError> {
        tokio::time::timeout(DEADLINE, self.handle.request(request)).await.expect("an answer")
    }

    pub(crate) async fn address(&self) -> String {
        match self.ask(Request::Address).await {
            Ok(Response::Address(Address { address, .. })) => address,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn status(&self) -> Status {
        match self.ask(Request::Status).await {
            Ok(Response::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn nearby(&self) -> Vec<NearbyLine> {
        match self.ask(Request::Nearby).await {
            Ok(Response::Nearby { people }) => people,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn add(&self, other: &Self) {
        let (name, text) = (other.name.to_owned(), String::new());
        let add = Request::Add { address: other.address().await, name, text };
        assert!(matches!(self.ask(add).await, Ok(Response::Contact { .. })));
    }

    pub(crate) async fn dial(&self, other: &Self) {
        let address = SocketAddr::from(([127, 0, 0, 1], other.node.port())).to_string();
        let dialled = self.ask(Request::Dial { address }).await;
        assert!(matches!(dialled, Ok(Response::Dialled(_))), "{dialled:?}");
    }

    pub(crate) async fn send(&self, to: &str, text: &str) -> String {
        match self.ask(Request::Send { to: to.to_owned(), text: text.to_owned() }).await {
            Ok(Response::Queued(Queued { message_id, .. })) => message_id,
            other => panic!("{other:?}"),
        }
    }

    /// The whole history, oldest first.
    pub(crate) async fn history(&self) -> Vec<MessageLine> {
        let history = Request::History { with: None, before: None, limit: Some(500), search: None };
        match self.ask(history).await {
            Ok(Response::History { mut messages }) => {
                messages.reverse();
                messages
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn texts(&self) -> Vec<String> {
        let said = self.history().await.into_iter().filter(|message| !message.request);
        said.filter_map(|message| message.text).collect()
    }

    /// Takes events until one is what is waited for.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&NodeEvent) -> bool,
    ) -> NodeEvent {
        let mut seen = Vec::new();
        let waiting = async {
            loop {
                match self.events.next().await {
                    Some(EventLine { event, .. }) if wanted(&event) => return event,
                    Some(EventLine { event, .. }) => seen.push(event),
                    None => panic!("{}: ended while waiting for {what}", self.name),
                }
            }
        };
        match tokio::time::timeout(DEADLINE, waiting).await {
            Ok(event) => event,
            Err(_) => panic!("{}: no {what}; there was {seen:#?}", self.name),
        }
    }

    pub(crate) async fn until_received(&mut self, text: &str) {
        self.until(&format!("message {text:?}"), |event| {
            matches!(event, NodeEvent::Received { message }
                if message.text.as_deref() == Some(text))
        })
        .await;
    }

    pub(crate) async fn until_delivered(&mut self, id: &str) {
        self.until_all_delivered(&[id]).await;
    }

    /// Until each of these is delivered, in whatever order.
    pub(crate) async fn until_all_delivered(&mut self, ids: &[&str]) {
        let mut waited_for: Vec<&str> = ids.to_vec();
        self.until("delivery", |event| {
            if let NodeEvent::State { message_id, state, .. } = event
                && state == "delivered"
            {
                waited_for.retain(|id| id != message_id);
            }
            waited_for.is_empty()
        })
        .await;
    }

    pub(crate) async fn until_peer_up(&mut self) {
        self.until("peer", |event| matches!(event, NodeEvent::PeerUp { .. })).await;
    }

    /// Until both have each other's contact card and can write.
    pub(crate) async fn until_contact_has_card(&mut self) {
        self.until(
            "contact card",
            |event| matches!(event, NodeEvent::Contact { contact } if contact.has_card),
        )
        .await;
    }

    pub(crate) async fn stop(self) {
        tokio::time::timeout(DEADLINE, self.node.stop()).await.expect("an end").unwrap();
    }
}
