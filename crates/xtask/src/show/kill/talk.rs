//! A conversation in which any process may be killed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::Problem;
use super::super::child::{
    Child, LOOPBACK, Profile, Program, acquaint, befriend, registered, wait_delivered,
};
use super::super::relay::Relay;
use super::super::table::percentile;
use super::Way;

/// The longest wait before another try of a relay or a carrier is a minute.
const SETTLED_WITHIN: Duration = Duration::from_secs(100);
/// Messages of a broken program are waited for no longer than this.
const PATIENCE_WITH_BROKEN: Duration = Duration::from_secs(5);
/// Rounds that tell how long one takes when nothing is killed.
const UNDISTURBED_ROUNDS: usize = 5;

/// Whose process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    Sender,
    Recipient,
    Carrier,
    Relay,
}

/// How far a message had come when the process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Asked,
    Queued,
    Handed,
    AtRelay,
    Delivered,
}

/// What did not hold in a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) lost: usize,
    pub(super) doubled: usize,
    pub(super) unconfirmed: usize,
}

pub(super) struct Talk {
    program: Program,
    sender: Person,
    recipient: Person,
    carrier: Option<Person>,
    relay: Option<Relay>,
    /// Every text that was asked to be sent: what is known about it.
    sent: BTreeMap<String, Sent>,
    /// How often the recipient's events showed a text.
    shown: BTreeMap<String, u32>,
    /// Whether the recipient was linked with the sender.
    linked: bool,
}

struct Person {
    profile: Profile,
    node: Option<Child>,
}

struct Sent {
    request: u64,
    message_id: Option<String>,
    step: Step,
}

impl Talk {
    pub(super) fn start(
        program: Program,
        way: Way,
        relay: Option<PathBuf>,
        dir: &Path,
    ) -> Result<Self, Problem> {
        std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let person = |name: &str, settings: &str| -> Result<Person, Problem> {
            let profile = program.init(&dir.join(name), name, settings)?;
            let node = Some(program.run(&profile)?);
            Ok(Person { profile, node })
        };
        let (mut sender, mut recipient, carrier, relay) = match (way, relay) {
            (Way::Link, _) => (person("alice", LOOPBACK)?, person("bob", LOOPBACK)?, None, None),
            (Way::Carrier, _) => {
                let [a, b, c] = [free_port()?, free_port()?, free_port()?];
                // The carrier dials too: whoever starts again is linked at once.
                let carrier = person("carol", &quiet(c, &[a, b]))?;
                let sender = person("alice", &quiet(a, &[c]))?;
                (sender, person("bob", &quiet(b, &[c]))?, Some(carrier), None)
            }
            (Way::Relay, None) => return Err("there is no relay".to_owned()),
            (Way::Relay, Some(program)) => {
                let listen = format!("127.0.0.1:{}", free_port()?);
                let mut relay = Relay::init(&program, &dir.join("relay"), &listen, Vec::new())?;
                relay.start()?;
                let settings = |port| format!("{}{}", quiet(port, &[]), relay.settings());
                let sender = person("alice", &settings(free_port()?))?;
                let recipient = person("bob", &settings(free_port()?))?;
                (sender, recipient, None, Some(relay))
            }
        };
        if way == Way::Link
            && let (Some(a), Some(b)) = (&mut sender.node, &mut recipient.node)
        {
            befriend((a, &sender.profile), (b, &recipient.profile))?;
        }
        let linked = false;
        let (sent, shown) = (BTreeMap::new(), BTreeMap::new());
        let mut talk = Self { program, sender, recipient, carrier, relay, sent, shown, linked };
        if way != Way::Link {
            talk.get_acquainted()?;
        }
        talk.drain()?;
        Ok(talk)
    }

    /// All get the cards of all; a message each way is delivered.
    fn get_acquainted(&mut self) -> Result<(), Problem> {
        let (a, b) = (self.sender.node()?, self.recipient.node()?);
        if self.relay.is_some() {
            for node in [&mut *a, &mut *b] {
                registered(node, "127.0.0.1")?;
            }
        }
        acquaint((&mut *a, "other"), (&mut *b, "other"))?;
        if let Some(carrier) = &mut self.carrier {
            let c = carrier.node()?;
            acquaint((&mut *a, "alice"), (&mut *c, "carrier"))?;
            acquaint((&mut *b, "bob"), (&mut *c, "carrier"))?;
        }
        for node in [a, b] {
            let request = json!({"do": "send", "to": "other", "text": "warm-up"});
            let queued = node.request(request)?;
            wait_delivered(node, &queued["message_id"])?;
        }
        Ok(())
    }

    pub(super) fn victims(&self) -> &'static [Victim] {
        match (&self.carrier, &self.relay) {
            (Some(_), _) => &[Victim::Sender, Victim::Recipient, Victim::Carrier],
            // Nodes wait twice as long each time that a relay goes away within a
            // minute. They are killed more often, and start with short waits.
            (_, Some(_)) => &[
                Victim::Sender,
                Victim::Recipient,
                Victim::Sender,
                Victim::Recipient,
                Victim::Relay,
            ],
            (None, None) => &[Victim::Sender, Victim::Recipient],
        }
    }

    /// How long a round takes in which nobody is killed: the median of a few.
    pub(super) fn undisturbed(&mut self, messages: usize) -> Result<Duration, Problem> {
        let mut took = Vec::new();
        for round in 0..UNDISTURBED_ROUNDS {
            let texts: Vec<String> =
                (0..messages).map(|i| format!("undisturbed {round} message {i}")).collect();
            let started = Instant::now();
            self.send(&texts)?;
            for _ in &texts {
                self.sender.node()?.wait_for("delivery", |line| line["state"] == "delivered")?;
            }
            took.push(started.elapsed());
            self.drain()?;
        }
        self.sent.clear();
        self.shown.clear();
        Ok(percentile(&took, 50))
    }

    pub(super) fn messages(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn send(&mut self, texts: &[String]) -> Result<(), Problem> {
        for text in texts {
            let request = json!({"do": "send", "to": "other", "text": text});
            let request = self.sender.node()?.post(request)?;
            let sent = Sent { request, message_id: None, step: Step::Asked };
            self.sent.insert(text.clone(), sent);
        }
        Ok(())
    }

    pub(super) fn kill(&mut self, victim: Victim) -> Result<(), Problem> {
        let last_words = match self.person(victim) {
            Some(person) => person.node.take().ok_or("the node is not running")?.kill()?,
            None => {
                self.relay.as_mut().ok_or("there is no relay")?.kill()?;
                Vec::new()
            }
        };
        match victim {
            Victim::Sender => self.note_sender(&last_words),
            Victim::Recipient => self.note_recipient(&last_words),
            Victim::Carrier | Victim::Relay => {}
        }
        self.drain()
    }

    pub(super) fn restart(&mut self, victim: Victim) -> Result<(), Problem> {
        let program = self.program.clone();
        match self.person(victim) {
            Some(person) => person.node = Some(program.run(&person.profile)?),
            None => self.relay.as_mut().ok_or("there is no relay")?.start()?,
        }
        Ok(())
    }

    const fn person(&mut self, victim: Victim) -> Option<&mut Person> {
        match victim {
            Victim::Sender => Some(&mut self.sender),
            Victim::Recipient => Some(&mut self.recipient),
            Victim::Carrier => self.carrier.as_mut(),
            Victim::Relay => None,
        }
    }

    pub(super) fn step(&self, text: &str) -> Option<Step> {
        self.sent.get(text).map(|sent| sent.step)
    }

    /// Takes in what the running nodes have said.
    fn drain(&mut self) -> Result<(), Problem> {
        if let Some(node) = &mut self.sender.node {
            let lines = node.drain();
            self.note_sender(&lines);
        }
        if let Some(node) = &mut self.recipient.node {
            let lines = node.drain();
            self.note_recipient(&lines);
        }
        if let Some(carrier) = &mut self.carrier
            && let Some(node) = &mut carrier.node
        {
            node.drain();
        }
        Ok(())
    }

    fn note_recipient(&mut self, lines: &[Value]) {
        for line in lines {
            self.linked |=
                line["event"] == "peer_up" && line["identity"] == self.sender.profile.identity;
            if line["event"] == "received"
                && let Some(text) = line["message"]["text"].as_str()
            {
                *self.shown.entry(text.to_owned()).or_default() += 1;
            }
        }
    }

    fn note_sender(&mut self, lines: &[Value]) {
        for line in lines {
            let answered = line["ok"]["message_id"].as_str();
            let sent = self.sent.values_mut().find(|sent| match answered {
                Some(_) => sent.message_id.is_none() && line["id"] == sent.request,
                None => {
                    line["event"] == "state"
                        && sent.message_id.is_some()
                        && line["message_id"].as_str() == sent.message_id.as_deref()
                }
            });
            let Some(sent) = sent else { continue };
            if let Some(id) = answered {
                sent.message_id = Some(id.to_owned());
                sent.step = Step::Queued;
            }
            sent.step = match line["state"].as_str() {
                Some("handed") => sent.step.max(Step::Handed),
                Some("at relay") => sent.step.max(Step::AtRelay),
                Some("delivered") => Step::Delivered,
                _ => sent.step,
            };
        }
    }

    /// Waits until everything of the round that became durable at the sender is
    /// delivered, and compares both histories.
    pub(super) fn settle(&mut self, texts: &[String]) -> Result<Round, Problem> {
        let broken = self.program.sabotage.is_some();
        let patience = if broken { PATIENCE_WITH_BROKEN } else { SETTLED_WITHIN };
        let deadline = Instant::now() + patience;
        let mut outgoing = self.sender.history()?;
        // What is in the sender's history is all that can still be delivered.
        while Instant::now() < deadline && !all_delivered(&outgoing, texts) {
            let left = deadline.saturating_duration_since(Instant::now());
            let node = self.sender.node()?;
            // Another state is told when something moves; a node that is stuck
            // is asked again by the deadline.
            let event = node.wait_within(left, "a state", |line| line["event"] == "state").ok();
            if let Some(event) = event {
                self.note_sender(&[event]);
            }
            outgoing = self.sender.history()?;
        }
        let incoming = self.recipient.history()?;
        self.drain()?;
        let mut round = Round::default();
        for text in texts {
            let promised = self.sent.get(text).is_some_and(|sent| sent.message_id.is_some());
            let copies = incoming.iter().filter(|message| message["text"] == **text).count();
            let kept = outgoing.iter().find(|message| message["text"] == **text);
            if (promised || kept.is_some()) && copies == 0 {
                round.lost += 1;
            } else if kept.is_some_and(|message| message["state"] != "delivered") {
                round.unconfirmed += 1;
            }
            let shown = self.shown.get(text).copied().unwrap_or(0);
            if copies > 1 || shown > 1 {
                round.doubled += 1;
            }
            self.sent.entry(text.clone()).and_modify(|sent| sent.request = 0);
        }
        Ok(round)
    }

    /// A way around the carrier or the relay would have shown nothing.
    pub(super) fn check_links(&self) -> Result<(), Problem> {
        let around = self.linked && (self.carrier.is_some() || self.relay.is_some());
        if around { Err("sender and recipient were linked".to_owned()) } else { Ok(()) }
    }
}

impl Person {
    fn node(&mut self) -> Result<&mut Child, Problem> {
        self.node.as_mut().ok_or_else(|| "the node is not running".to_owned())
    }

    fn history(&mut self) -> Result<Vec<Value>, Problem> {
        let request = json!({"do": "history", "with": "other", "limit": 64});
        let answer = self.node()?.request(request)?;
        Ok(answer["messages"].as_array().cloned().unwrap_or_default())
    }
}

fn all_delivered(outgoing: &[Value], texts: &[String]) -> bool {
    let mut of_round =
        outgoing.iter().filter(|message| texts.iter().any(|text| message["text"] == **text));
    of_round.all(|message| message["state"] == "delivered")
}

/// Settings of a node that finds nobody by itself.
fn quiet(port: u16, peers: &[u16]) -> String {
    let peers: Vec<String> = peers.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    // An empty list is a mistake.
    let peers =
        if peers.is_empty() { String::new() } else { format!("peers = [{}]\n", peers.join(", ")) };
    format!(
        "[network]\ntcp_port = {port}\ninterfaces = [\"lo\"]\nbeacons = false\nmdns = false\n\
         {peers}"
    )
}

/// A port below those that the system gives to connections, so that it is still
/// free when its process starts again.
fn free_port() -> Result<u16, Problem> {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if port >= 32_000 {
            return Err("no port is free".to_owned());
        }
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
}

impl Round {
    pub(super) const fn has_fault(&self) -> bool {
        self.lost + self.doubled + self.unconfirmed > 0
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.unconfirmed += other.unconfirmed;
    }
}

impl Victim {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Carrier => "carrier",
            Self::Relay => "relay",
        }
    }
}

impl Step {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Asked => "asked for, not answered",
            Self::Queued => "queued, not handed over",
            Self::Handed => "handed over, not confirmed",
            Self::AtRelay => "at the relay, not confirmed",
            Self::Delivered => "delivered",
        }
    }
}
