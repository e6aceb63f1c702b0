//! Two people on one network.

use std::time::{Duration, Instant};

use tortalk_node::control::event::NodeEvent;
use tortalk_node::control::protocol::{Request, Response};

use super::actor::{Actor, Problem};
use crate::output::{Output, Style};

/// What they say to each other before anything goes wrong.
const TALK: [(&str, &str); 4] = [
    ("alice", "Hello Bob, is this thing on?"),
    ("bob", "It is. No server, no internet, no account."),
    ("alice", "And if your laptop dies while I write?"),
    ("bob", "Try it."),
];
/// Messages that are under way when somebody's process is killed.
const UNDER_WAY: usize = 25;

pub(crate) async fn play(out: Output, sabotage: Option<&str>) -> Result<(), Problem> {
    let stage = Stage { out };
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let mut alice = Actor::new("alice", folder.path(), sabotage).await?;
    let mut bob = Actor::new("bob", folder.path(), sabotage).await?;
    let mut sent = Vec::new();

    stage.scene("Two processes start and find each other by beacon")?;
    stage.find_each_other(&mut alice, &mut bob).await?;
    stage.scene("They exchange invites")?;
    stage.exchange_invites(&mut alice, &mut bob).await?;
    stage.scene("They talk")?;
    stage.talk(&mut alice, &mut bob, &mut sent).await?;
    stage.scene("Bob's process is killed the moment his receipt is there")?;
    stage.kill_after_a_receipt(&mut alice, &mut bob, &mut sent).await?;
    stage.scene("Bob's process is killed while messages are on their way")?;
    stage.kill_recipient(&mut alice, &mut bob, &mut sent).await?;
    stage.scene("Alice's process is killed the moment her message is queued")?;
    stage.kill_sender(&mut alice, &mut bob, &mut sent).await?;
    stage.scene("What was promised is compared with what is there")?;
    stage.compare(&mut alice, &mut bob, &sent).await?;
    alice.stop().await?;
    bob.stop().await?;
    let line = "OK: nothing lost, nothing twice, no state ahead of its evidence";
    stage.print(&format!("\n{}", out.paint(Style::Good, line)))
}

/// A text that its sender's node has promised to keep.
struct Sent {
    from: &'static str,
    text: String,
}

/// Where the play is shown.
#[derive(Clone, Copy)]
struct Stage {
    out: Output,
}

impl Stage {
    fn scene(self, title: &str) -> Result<(), Problem> {
        self.print(&format!("\n{}", self.out.paint(Style::Strong, title)))
    }

    fn say(self, line: &str) -> Result<(), Problem> {
        self.print(&format!("  {line}"))
    }

    fn print(self, line: &str) -> Result<(), Problem> {
        self.out.line(line).map_err(|failure| failure.line)
    }

    async fn find_each_other(self, alice: &mut Actor, bob: &mut Actor) -> Result<(), Problem> {
        let started = alice.start().await?;
        self.say(&format!("alice is ready after {}", ms(started)))?;
        let started = bob.start().await?;
        self.say(&format!("bob is ready after {}", ms(started)))?;
        let linked = Instant::now();
        let is_up = |event: &NodeEvent| matches!(event, NodeEvent::PeerUp { .. });
        bob.wait_for("alice to be near", is_up).await?;
        alice.wait_for("bob to be near", is_up).await?;
        self.say(&format!(
            "each has proved who they are to the other {} later",
            ms(linked.elapsed())
        ))
    }

    async fn exchange_invites(self, alice: &mut Actor, bob: &mut Actor) -> Result<(), Problem> {
        let (for_bob, for_alice) = (address(alice).await?, address(bob).await?);
        self.say(&format!("alice: {}…", for_bob.chars().take(48).collect::<String>()))?;
        self.say(&format!("bob:   {}…", for_alice.chars().take(48).collect::<String>()))?;
        self.add(alice, for_alice, "bob").await?;
        self.add(bob, for_bob, "alice").await
    }

    async fn add(self, who: &mut Actor, address: String, name: &str) -> Result<(), Problem> {
        who.request(Request::Add { address, name: name.to_owned(), text: String::new() }).await?;
        self.say(&format!("{} adds {name}", who.name))
    }

    async fn talk(self, a: &mut Actor, b: &mut Actor, sent: &mut Vec<Sent>) -> Result<(), Problem> {
        for (from, text) in TALK {
            let (writer, reader) =
                if from == a.name { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            let written = Instant::now();
            let id = writer.send(reader.name, text).await?;
            sent.push(Sent { from: writer.name, text: text.to_owned() });
            let queued = written.elapsed();
            writer.wait_for_state(&id, "delivered").await?;
            let delivered = written.elapsed();
            if !reader.shown.iter().any(|shown| shown == text) {
                reader.wait_for("a message", |event| shows(event, text)).await?;
            }
            self.say(&format!("{from}: {text}"))?;
            self.say(&format!("    queued {}, delivered {}", ms(queued), ms(delivered)))?;
        }
        Ok(())
    }

    /// A receipt says that the recipient's disk has the message: it has to be there
    /// whatever happens next.
    async fn kill_after_a_receipt(
        self,
        alice: &mut Actor,
        bob: &mut Actor,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Problem> {
        let text = "You have this on disk, says your receipt.";
        let id = alice.send(bob.name, text).await?;
        sent.push(Sent { from: alice.name, text: text.to_owned() });
        alice.wait_for_state(&id, "delivered").await?;
        bob.kill().await?;
        self.say("bob: kill -9")?;
        let started = bob.start().await?;
        self.say(&format!("bob is back after {}", ms(started)))?;
        let there = bob.history(alice.name).await?;
        if !there.iter().any(|message| message.text.as_deref() == Some(text)) {
            return Err("a message with a receipt is not in its recipient's store".to_owned());
        }
        self.say("the message with the receipt is there")?;
        Ok(())
    }

    async fn kill_recipient(
        self,
        alice: &mut Actor,
        bob: &mut Actor,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Problem> {
        let mut last = String::new();
        for number in 0..UNDER_WAY {
            let text = format!("while you fall: {number}");
            last = alice.send(bob.name, &text).await?;
            sent.push(Sent { from: alice.name, text });
            if number == UNDER_WAY / 2 {
                bob.kill().await?;
                self.say(&format!("bob: kill -9 after {number} of {UNDER_WAY}"))?;
            }
        }
        let started = bob.start().await?;
        self.say(&format!("bob is back after {}", ms(started)))?;
        alice.wait_for_state(&last, "delivered").await?;
        self.say("everything has a receipt")?;
        Ok(())
    }

    /// "queued" says that the sender's disk has the message.
    async fn kill_sender(
        self,
        alice: &mut Actor,
        bob: &mut Actor,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Problem> {
        let text = "Queued is a promise too.";
        let id = alice.send(bob.name, text).await?;
        alice.kill().await?;
        sent.push(Sent { from: alice.name, text: text.to_owned() });
        self.say("alice: kill -9")?;
        let started = alice.start().await?;
        self.say(&format!("alice is back after {}", ms(started)))?;
        let kept = alice.history(bob.name).await?;
        let Some(message) = kept.iter().find(|message| message.message_id == id) else {
            return Err("a queued message is not in its sender's store".to_owned());
        };
        if message.state.as_deref() != Some("delivered") {
            alice.wait_for_state(&id, "delivered").await?;
        }
        self.say("the queued message went out and was confirmed")?;
        Ok(())
    }

    /// Both histories against what was promised; both sets of events against both.
    async fn compare(
        self,
        alice: &mut Actor,
        bob: &mut Actor,
        sent: &[Sent],
    ) -> Result<(), Problem> {
        for (writer, reader) in [(&mut *alice, &mut *bob)] {
            check_direction(writer, reader, sent).await?;
            check_direction(reader, writer, sent).await?;
        }
        self.say(&format!(
            "{} messages: each stored once, shown once at most, confirmed",
            sent.len()
        ))?;
        Ok(())
    }
}

async fn address(of: &mut Actor) -> Result<String, Problem> {
    match of.request(Request::Address).await? {
        Response::Address(address) => Ok(address.address),
        _ => Err(format!("{} has no address", of.name)),
    }
}

async fn check_direction(
    writer: &mut Actor,
    reader: &mut Actor,
    sent: &[Sent],
) -> Result<(), Problem> {
    let kept = writer.history(reader.name).await?;
    let there = reader.history(writer.name).await?;
    reader.catch_up();
    let name = writer.name;
    for Sent { text, .. } in sent.iter().filter(|sent| sent.from == name) {
        let copies = there.iter().filter(|m| m.text.as_ref() == Some(text) && m.direction == "in");
        match copies.count() {
            0 => return Err(format!("lost: “{text}”")),
            1 => {}
            copies => return Err(format!("stored {copies} times: “{text}”")),
        }
        let shown = reader.shown.iter().filter(|shown| *shown == text).count();
        if shown > 1 {
            return Err(format!("shown {shown} times: “{text}”"));
        }
        let mine = kept.iter().find(|message| message.text.as_ref() == Some(text));
        let Some(mine) = mine else { return Err(format!("forgotten by its sender: “{text}”")) };
        if mine.state.as_deref() != Some("delivered") {
            let state = mine.state.as_deref().unwrap_or("without a state");
            return Err(format!("{state}, though it arrived: “{text}”"));
        }
        let Response::Message { message } =
            writer.request(Request::Message { id: mine.message_id.clone() }).await?
        else {
            return Err(format!("no details for “{text}”"));
        };
        if message.evidence.is_empty() {
            return Err(format!("delivered without evidence: “{text}”"));
        }
    }
    Ok(())
}

fn shows(event: &NodeEvent, text: &str) -> bool {
    matches!(event, NodeEvent::Received { message } if message.text.as_deref() == Some(text))
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
