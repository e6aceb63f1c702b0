//! Two people on two networks, never online together, and one host on both.
//!
//! The host in the middle has a node, who is a contact of both, or a relay. It
//! forwards no packets, and neither of the two has a route to the other's network.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::child::{Child, Profile, Program, registered, wait_delivered};
use super::super::relay::{Relay, RelayBuild};
use super::super::{Build, Problem, argument, namespace, scratch};
use super::{Bridge, Host, carried, unchanged};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Through {
    /// A common contact's node
    Node,
    /// A relay
    Relay,
}

#[derive(Args)]
pub(crate) struct Options {
    /// What runs on the host in the middle
    #[arg(long, value_enum, default_value = "node")]
    through: Through,
    /// Messages
    #[arg(long, default_value_t = 3)]
    messages: usize,
    #[command(flatten)]
    build: Build,
    #[command(flatten)]
    relay: RelayBuild,
}

/// Nodes wait two seconds for an answer before they try another way.
const AT_REST_AFTER: Duration = Duration::from_millis(2500);
/// The relay's address, which is on neither network.
const RELAY_IP: &str = "10.77.9.9";

pub(crate) fn run(options: &Options) -> Result<bool, Problem> {
    let program = options.build.program()?;
    let relay = match options.through {
        Through::Node => None,
        Through::Relay => Some(options.relay.program()?),
    };
    let through = if relay.is_some() { "relay" } else { "node" };
    let messages = options.messages.to_string();
    let mut again = ["show", "carried", "--through", through, "--messages", &messages]
        .map(str::to_owned)
        .to_vec();
    again.extend(["--binary".to_owned(), argument(&program.path)]);
    if let Some(how) = &program.sabotage {
        again.extend(["--sabotage".to_owned(), how.clone()]);
    }
    if let Some(path) = &relay {
        again.extend(["--relay-binary".to_owned(), argument(path)]);
    }
    namespace::enter(&again, "")?;
    let folder = scratch("carried")?;
    let stage = Stage::new(program, folder.path())?;
    match relay {
        None => stage.through_node(options.messages),
        Some(relay) => stage.through_relay(options.messages, &relay),
    }
}

/// Three hosts, two bridges: alice – middle – bob.
struct Stage<'a> {
    program: Program,
    folder: &'a Path,
    bridges: [Bridge; 2],
    alice: Host,
    middle: Host,
    bob: Host,
    started: Instant,
}

impl<'a> Stage<'a> {
    fn new(program: Program, folder: &'a Path) -> Result<Self, Problem> {
        let bridges = [Bridge::new(1)?, Bridge::new(2)?];
        let (mut alice, mut middle, mut bob) = (Host::new()?, Host::new()?, Host::new()?);
        alice.join(&bridges[0], 1)?;
        middle.join(&bridges[0], 3)?;
        middle.join(&bridges[1], 3)?;
        bob.join(&bridges[1], 2)?;
        let stage = Self { program, folder, bridges, alice, middle, bob, started: Instant::now() };
        stage.say(
            "alice's host and the one in the middle are on bridge 1, it and bob's on bridge 2",
        );
        stage.check_no_way()?;
        Ok(stage)
    }

    /// The claim is about people who cannot reach each other.
    fn check_no_way(&self) -> Result<(), Problem> {
        let pairs = [
            ("alice", &self.alice, self.bridges[1].address(2)),
            ("bob", &self.bob, self.bridges[0].address(1)),
        ];
        for (who, host, to) in pairs {
            match host.way_to(&to) {
                Ok(way) => return Err(format!("{who}'s host has a way to {to}: {way}")),
                Err(why) => self.say(&format!("{who}'s host, the way to {to}: {why}")),
            }
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        println!("{:>8.3} s  {line}", self.started.elapsed().as_secs_f64());
    }

    fn profile(&self, name: &str, settings: &str) -> Result<Profile, Problem> {
        self.program.init(&self.folder.join(name), name, settings)
    }

    fn run(&self, profile: &Profile, host: &Host) -> Result<Child, Problem> {
        self.program.run_under(profile, &host.wrapper())
    }

    /// Each gets a file with the other's contact card; no node runs.
    fn exchange_cards(&self, a: (&str, &Profile), b: (&str, &Profile)) -> Result<(), Problem> {
        for ((name, of), (_, to)) in [(a, b), (b, a)] {
            let file = self.folder.join(format!("{name}.card"));
            let file = file.display().to_string();
            if !Path::new(&file).exists() {
                self.program.say(&of.dir, &["contacts", "export-card", &file])?;
            }
            self.program.say(&to.dir, &["contacts", "import", &file, "--name", name])?;
        }
        Ok(())
    }

    fn through_node(&self, messages: usize) -> Result<bool, Problem> {
        let alice = self.profile("alice", "")?;
        let bob = self.profile("bob", "")?;
        let carol = self.profile("carol", "")?;
        self.exchange_cards(("alice", &alice), ("bob", &bob))?;
        self.exchange_cards(("alice", &alice), ("carol", &carol))?;
        self.exchange_cards(("bob", &bob), ("carol", &carol))?;
        self.say("they have each other's cards, as files; no node has run yet");

        let mut c = self.run(&carol, &self.middle)?;
        let mut a = self.run(&alice, &self.alice)?;
        up(&mut a, &carol)?;
        self.say("alice and carol, in the middle, are linked");
        let mut sent = self.write(&mut a, messages)?;
        for message in &sent {
            a.wait_for("carol to have a message", in_state(message, &["handed"]))?;
        }
        let held = carried(&mut c)?;
        self.say(&format!("alice has evidence that carol has them; carol carries {held}"));
        let mut seen = a.drain();
        a.stop()?;
        c.wait_for("alice to be gone", |line| is_down(line, &alice))?;
        self.say("alice's node has stopped");

        let mut b = self.run(&bob, &self.bob)?;
        self.say("bob's node starts");
        self.receive(&mut b, &mut sent)?;
        // Purged messages go, receipts come: those are what is left.
        let left =
            unchanged("receipts at carol", AT_REST_AFTER, || carried(&mut c), |&left| left >= 1)?;
        self.say(&format!("carol carries {left}: bob's receipts"));
        seen.extend(b.drain());
        b.stop()?;
        c.wait_for("bob to be gone", |line| is_down(line, &bob))?;
        self.say("bob's node has stopped");

        let mut a = self.run(&alice, &self.alice)?;
        self.say("alice's node starts again");
        self.delivered(&mut a, &sent)?;
        seen.extend(a.drain());
        a.stop()?;
        c.stop()?;
        if seen.iter().any(|line| is_up(line, &alice) || is_up(line, &bob)) {
            return Err("alice and bob were linked".to_owned());
        }
        self.once(&bob, sent)
    }

    fn through_relay(&self, messages: usize, relay: &Path) -> Result<bool, Problem> {
        let relay = self.relay(relay)?;
        let settings = relay.settings();
        let alice = self.profile("alice", &settings)?;
        let bob = self.profile("bob", &settings)?;
        // A card names a relay once its owner has registered there.
        for (profile, host) in [(&alice, &self.alice), (&bob, &self.bob)] {
            let mut node = self.run(profile, host)?;
            registered(&mut node, RELAY_IP)?;
            node.stop()?;
        }
        self.say("alice and bob have each been online once, alone, and registered at the relay");
        self.exchange_cards(("alice", &alice), ("bob", &bob))?;
        self.say("they have each other's cards, as files");

        let before = relay.counter("envelopes_stored_total")?;
        let mut a = self.run(&alice, &self.alice)?;
        let mut sent = self.write(&mut a, messages)?;
        for message in &sent {
            a.wait_for("the relay's receipt", in_state(message, AT_RELAY))?;
        }
        self.say("alice has the relay's signed receipts");
        let mut seen = a.drain();
        a.stop()?;
        self.say("alice's node has stopped");

        let mut b = self.run(&bob, &self.bob)?;
        self.say("bob's node starts");
        self.receive(&mut b, &mut sent)?;
        let stored = || Ok(relay.counter("envelopes_stored_total")? - before);
        let all = unchanged("receipts at the relay", AT_REST_AFTER, stored, |&all| {
            all > messages as u64
        })?;
        let receipts = all - messages as u64;
        self.say(&format!("the relay has stored {receipts} more envelopes: bob's receipts"));
        seen.extend(b.drain());
        b.stop()?;
        self.say("bob's node has stopped");

        let mut a = self.run(&alice, &self.alice)?;
        self.say("alice's node starts again");
        self.delivered(&mut a, &sent)?;
        seen.extend(a.drain());
        a.stop()?;
        if seen.iter().any(|line| line["event"] == "peer_up") {
            return Err("somebody was linked".to_owned());
        }
        self.once(&bob, sent)
    }

    /// A relay on the middle host, at an address that both reach through it.
    fn relay(&self, program: &Path) -> Result<Relay, Problem> {
        self.middle.shell(&format!("ip addr add {RELAY_IP}/32 dev lo"))?;
        self.alice.route(RELAY_IP, &self.bridges[0].address(3))?;
        self.bob.route(RELAY_IP, &self.bridges[1].address(3))?;
        // Its counters are read from here.
        self.bridges[0].look_in(RELAY_IP, 3)?;
        let listen = format!("{RELAY_IP}:8443");
        let dir = self.folder.join("relay");
        let mut relay = Relay::init(program, &dir, &listen, self.middle.wrapper())?;
        relay.start()?;
        self.say(&format!("a relay listens on {listen}, on the host in the middle"));
        Ok(relay)
    }

    fn write(&self, a: &mut Child, messages: usize) -> Result<Vec<Message>, Problem> {
        let mut sent = Vec::new();
        for number in 0..messages {
            let text = format!("message {number}: for when you are here");
            let queued = a.request(json!({"do": "send", "to": "bob", "text": text}))?;
            sent.push(Message { text, id: queued["message_id"].clone(), shown: 0 });
        }
        self.say(&format!("alice has written {messages} messages"));
        Ok(sent)
    }

    fn receive(&self, b: &mut Child, sent: &mut [Message]) -> Result<(), Problem> {
        for message in sent.iter_mut() {
            b.wait_for("a message", |line| shows(line, &message.text))?;
            message.shown += 1;
        }
        self.say(&format!("bob's node shows {} messages", sent.len()));
        Ok(())
    }

    fn delivered(&self, a: &mut Child, sent: &[Message]) -> Result<(), Problem> {
        for message in sent {
            wait_delivered(a, &message.id)?;
        }
        self.say("all are delivered, says bob's own receipt; the evidence:");
        for message in sent {
            let answer = a.request(json!({"do": "message", "message_id": message.id}))?;
            let kinds = answer["message"]["evidence"].as_array().map_or_else(String::new, |all| {
                all.iter().filter_map(|one| one["kind"].as_str()).collect::<Vec<_>>().join(", ")
            });
            println!("            {}: {kinds}", message.text);
        }
        Ok(())
    }

    /// Bob starts once more: nothing comes again.
    fn once(&self, bob: &Profile, mut sent: Vec<Message>) -> Result<bool, Problem> {
        let answer = self.program.say_lines(&bob.dir, &["history", "--limit", "500"])?;
        let mut holds = true;
        for message in &mut sent {
            let kept = answer.iter().filter(|line| line["text"] == *message.text).count();
            if message.shown != 1 || kept != 1 {
                println!("{}: shown {} times, kept {kept} times", message.text, message.shown);
                holds = false;
            }
        }
        let verdict = if holds { "each once" } else { "NOT each once" };
        self.say(&format!("bob's history: {} messages, {verdict}", answer.len()));
        Ok(holds)
    }
}

/// The words for a state that a relay's receipt proves.
const AT_RELAY: &[&str] = &["at relay"];

struct Message {
    text: String,
    id: Value,
    shown: usize,
}

fn up(node: &mut Child, peer: &Profile) -> Result<(), Problem> {
    node.wait_for("a link", |line| is_up(line, peer)).map(|_| ())
}

fn is_up(line: &Value, peer: &Profile) -> bool {
    line["event"] == "peer_up" && line["identity"] == peer.identity
}

fn is_down(line: &Value, peer: &Profile) -> bool {
    line["event"] == "peer_down" && line["identity"] == peer.identity
}

fn shows(line: &Value, text: &str) -> bool {
    line["event"] == "received" && line["message"]["text"] == text
}

fn in_state(message: &Message, states: &[&str]) -> impl Fn(&Value) -> bool {
    move |line| {
        line["event"] == "state"
            && line["message_id"] == message.id
            && states.iter().any(|state| line["state"] == **state)
    }
}
