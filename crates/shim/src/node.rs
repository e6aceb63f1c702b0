//! The node as a target.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tortalk_node::control::protocol::{
    ErrorKind, MessageLine, Request, RequestError, RequestedLine, Response, Status,
};
use tortalk_node::entropy::OsEntropy;

use tortalk_node::profile::{self, Argon2Cost, NewProfile, PersonSeeds, Profile};
use tortalk_node::{Clock, Control, Handle, Network, Node, NodeOptions, SETTINGS_FILE, UnixMillis};

use crate::Failure;
use crate::ask::{Answer, Ask, Hex32, Refusal};
use crate::channel::{self, Target};

/// What a contact is called whose name nobody has said.
const NAMELESS: &str = "Added";

/// Runs a node until a signal asks for the end.
///
/// # Errors
/// What failed, in a line.
pub(crate) async fn run(profile: &Path, cards: &Path, control: &Path) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // It is there when the node takes its first connection.
    let listener = channel::listen(control)?;
    let places = Places { profile: profile.to_owned(), cards: cards.to_owned() };
    let fresh = !profile::exists(profile);
    if fresh {
        places.make(None).await?;
    }
    let clock = Clock::system();
    let node = places.start(&clock).await?;
    let mut person = Person { places, clock, node, fresh };
    tokio::select! {
        served = channel::serve(&listener, &mut person) => served?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(person.node.stop().await?)
}

/// Where things are.
struct Places {
    profile: PathBuf,
    cards: PathBuf,
}

impl Places {
    /// Makes a profile, with whom it accepts and blocks.
    async fn make(&self, person: Option<&PersonSeeds>) -> Result<(), Failure> {
        let cost = Argon2Cost::DEFAULT;
        let new = NewProfile { dir: &self.profile, name: "Target", passphrase: None, cost, person };
        let profile = profile::create(&new, now(), &mut OsEntropy)?;
        let options =
            NodeOptions { network: Network::Off, control: Control::Off, ..NodeOptions::default() };
        let node = Node::start(profile, options).await?;
        let met = self.meet(&node.handle()).await;
        node.stop().await?;
        met
    }

    async fn meet(&self, handle: &Handle) -> Result<(), Failure> {
        for entry in fs::read_dir(&self.cards)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "card") {
                let card = fs::read_to_string(&path)?;
                handle.request(Request::Import { card, name: String::new() }).await?;
            }
        }
        for who in fs::read_to_string(self.cards.join("blocked.txt"))?.lines() {
            handle.request(Request::Block { who: who.to_owned() }).await?;
        }
        Ok(())
    }

    async fn start(&self, clock: &Clock) -> Result<Node, Failure> {
        let profile: Profile = profile::open(&self.profile, None)?;
        let control = Control::Off;
        let options = NodeOptions { control, clock: clock.clone(), ..NodeOptions::default() };
        Ok(Node::start(profile, options).await?)
    }

    /// Removes everything but the settings.
    fn clear(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.profile)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else if entry.file_name() != SETTINGS_FILE {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The time before there is a node.
fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// A node and the person who uses it, in one.
struct Person {
    places: Places,
    clock: Clock,
    node: Node,
    /// It was made at this start, and has done nothing yet.
    fresh: bool,
}

impl Target for Person {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Hello => {
                let status = self.status().await?;
                let (name, role) = ("tortalk", "node");
                return Ok(json!({"name": name, "version": status.version, "role": role,
                    "identity": status.identity}));
            }
            Ask::IdentityImport { seed, intro, contact, sealing } => {
                return self.become_another(&[seed, intro, contact, sealing]).await;
            }
            _ => self.fresh = false,
        }
        match ask {
            Ask::ClockSet { unix_ms } => {
                self.clock.set_wall(UnixMillis(unix_ms));
                self.caught_up().await
            }
            Ask::ClockAdvance { ms } => {
                self.clock.advance(ms);
                self.caught_up().await
            }
            Ask::CardExport => match self.ask(Request::OwnCard).await? {
                Response::OwnCard(own) => Ok(json!({"card": hex(&own.card)?})),
                _ => Err(Refusal::Unsupported),
            },
            Ask::ContactsAdd { invite, text } => {
                let name = NAMELESS.to_owned();
                self.done(Request::Add { address: invite, name, text }).await
            }
            Ask::ContactsImport { card } => {
                let bytes = HEXLOWER.decode(card.as_bytes());
                let bytes = bytes.map_err(|error| Refusal::Refused(error.to_string()))?;
                let card = BASE64.encode(&bytes);
                self.done(Request::Import { card, name: String::new() }).await
            }
            Ask::ContactsRemove { identity } => self.done(Request::Remove { who: identity }).await,
            Ask::ContactsBlock { identity } => self.done(Request::Block { who: identity }).await,
            Ask::ContactsUnblock { identity } => {
                self.done(Request::Unblock { who: identity }).await
            }
            Ask::RequestsList => self.requests().await,
            Ask::RequestsAccept { identity } => {
                self.done(Request::Accept { who: identity, name: String::new() }).await
            }
            Ask::RequestsDecline { identity } => {
                self.done(Request::Decline { who: identity }).await
            }
            Ask::Send { identity, text } => {
                match self.ask(Request::Send { to: identity, text }).await? {
                    Response::Queued(queued) => Ok(json!({"message_id": queued.message_id})),
                    _ => Err(Refusal::Unsupported),
                }
            }
            Ask::State { message_id } => self.state(message_id).await,
            Ask::Cancel { message_id } => self.done(Request::Cancel { id: message_id }).await,
            Ask::Inbox { identity } => self.inbox(identity).await,
            Ask::Missing { identity } => {
                match self.ask(Request::Contact { who: identity }).await? {
                    Response::Contact { contact } => Ok(json!({"count": contact.missing})),
                    _ => Err(Refusal::Unsupported),
                }
            }
            Ask::Counters => self.counters().await,
            Ask::Hello | Ask::IdentityImport { .. } | Ask::Unknown => Err(Refusal::Unsupported),
        }
    }
}

impl Person {
    /// Another person from now on, with nothing of the one before.
    async fn become_another(&mut self, seeds: &[Hex32; 4]) -> Answer {
        if !self.fresh {
            return Err(Refusal::Refused("it is somebody already, who has done something".into()));
        }
        let failed = |error: Failure| Refusal::Refused(error.to_string());
        let [identity, intro, contact, sealing] = seeds.each_ref().map(|seed| seed.0);
        let seeds = PersonSeeds { identity, intro, contact, sealing };
        self.node.handle().stop();
        self.node.wait().await.map_err(|error| failed(error.into()))?;
        self.places.clear().map_err(|error| failed(error.into()))?;
        self.places.make(Some(&seeds)).await.map_err(failed)?;
        self.node = self.places.start(&self.clock).await.map_err(failed)?;
        self.fresh = false;
        Ok(json!({"identity": self.status().await?.identity}))
    }

    async fn ask(&self, request: Request) -> Result<Response, Refusal> {
        self.node.handle().request(request).await.map_err(refusal)
    }

    async fn done(&self, request: Request) -> Answer {
        self.ask(request).await.map(|_| json!({}))
    }

    async fn status(&self) -> Result<Box<Status>, Refusal> {
        match self.ask(Request::Status).await? {
            Response::Status(status) => Ok(status),
            _ => Err(Refusal::Unsupported),
        }
    }

    /// Answers when everything is done that became due: each request brings the node up to
    /// the moment first, and behind the first of them its keys are looked at.
    async fn caught_up(&self) -> Answer {
        self.status().await?;
        self.status().await?;
        Ok(json!({}))
    }

    async fn requests(&self) -> Answer {
        let Response::Requests { requests } = self.ask(Request::Requests).await? else {
            return Err(Refusal::Unsupported);
        };
        let line = |line: &RequestedLine| {
            let RequestedLine { identity, own_name, text, .. } = line;
            json!({"identity": identity, "name": own_name, "text": text})
        };
        Ok(json!({"requests": requests.iter().map(line).collect::<Vec<Value>>()}))
    }

    async fn state(&self, message_id: String) -> Answer {
        let Response::Message { message } = self.ask(Request::Message { id: message_id }).await?
        else {
            return Err(Refusal::Unsupported);
        };
        // What came has no such state.
        let state = message.state.ok_or(Refusal::Unknown)?;
        Ok(json!({"state": state, "handed": message.peers.unwrap_or(0)}))
    }

    async fn inbox(&self, identity: String) -> Answer {
        let with = Some(identity);
        let history = Request::History { with, before: None, limit: Some(500), search: None };
        let Response::History { messages } = self.ask(history).await? else {
            return Err(Refusal::Unsupported);
        };
        let came = messages.iter().rev().filter(|message| message.direction == "in");
        let line =
            |message: &MessageLine| json!({"message_id": message.message_id, "text": message.text});
        Ok(json!({"messages": came.map(line).collect::<Vec<Value>>()}))
    }

    async fn counters(&self) -> Answer {
        let status = self.status().await?;
        let Response::Requests { requests } = self.ask(Request::Requests).await? else {
            return Err(Refusal::Unsupported);
        };
        Ok(json!({
            "links": status.contacts_linked + status.strangers_linked,
            "envelopes_carried": status.carried.envelopes,
            "carried_bytes": status.carried.bytes,
            "requests": requests.len(),
        }))
    }
}

/// Of base64.
fn hex(base64: &str) -> Result<String, Refusal> {
    let bytes = BASE64.decode(base64.as_bytes());
    let bytes = bytes.map_err(|error| Refusal::Refused(error.to_string()))?;
    Ok(HEXLOWER.encode(&bytes))
}

fn refusal(error: RequestError) -> Refusal {
    match error.kind {
        ErrorKind::UnknownWho
        | ErrorKind::NotAContact
        | ErrorKind::NoSuchMessage
        | ErrorKind::NoSuchRequest => Refusal::Unknown,
        _ => Refusal::Refused(error.message),
    }
}
