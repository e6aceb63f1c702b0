//! Where the play is shown, and what its scenes share.

use std::time::Duration;

use tortalk_node::control::event::NodeEvent;
use tortalk_node::control::protocol::{Address, MessageLine, Request, Response};

use super::actor::{Actor, Problem};
use crate::output::{Output, Style};

/// A text that its sender's node has promised to keep.
pub(super) struct Sent {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) text: String,
    pub(super) message_id: String,
}

#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub(super) out: Output,
}

impl Stage {
    pub(super) fn scene(self, title: &str) -> Result<(), Problem> {
        self.print(&format!("\n{}", self.out.paint(Style::Strong, title)))
    }

    pub(super) fn say(self, line: &str) -> Result<(), Problem> {
        self.print(&format!("  {line}"))
    }

    pub(super) fn print(self, line: &str) -> Result<(), Problem> {
        self.out.line(line).map_err(|failure| failure.line)
    }

    pub(super) async fn add(
        self,
        who: &mut Actor,
        address: String,
        name: &str,
    ) -> Result<(), Problem> {
        who.request(Request::Add { address, name: name.to_owned(), text: String::new() }).await?;
        self.say(&format!("{} adds {name}", who.name))
    }

    /// Each of the two gets the other's invite.
    pub(super) async fn introduce(self, a: &mut Actor, b: &mut Actor) -> Result<(), Problem> {
        let (of_a, of_b) = (address(a).await?.address, address(b).await?.address);
        self.add(a, of_b, b.name).await?;
        self.add(b, of_a, a.name).await
    }
}

/// A person's own address, as they would hand it to others.
pub(super) async fn address(of: &mut Actor) -> Result<Address, Problem> {
    match of.request(Request::Address).await? {
        Response::Address(address) => Ok(address),
        _ => Err(format!("{} has no address", of.name)),
    }
}

/// Sends a text and notes that it was promised.
pub(super) async fn send(
    from: &mut Actor,
    to: &'static str,
    text: String,
    sent: &mut Vec<Sent>,
) -> Result<String, Problem> {
    let message_id = from.send(to, &text).await?;
    sent.push(Sent { from: from.name, to, text, message_id: message_id.clone() });
    Ok(message_id)
}

/// Both histories against what was promised; both sets of events against both.
pub(super) async fn compare(
    stage: Stage,
    a: &mut Actor,
    b: &mut Actor,
    sent: &[Sent],
) -> Result<(), Problem> {
    check_direction(a, b, sent).await?;
    check_direction(b, a, sent).await?;
    let between = sent.iter().filter(|sent| {
        (sent.from, sent.to) == (a.name, b.name) || (sent.from, sent.to) == (b.name, a.name)
    });
    stage.say(&format!(
        "{} and {}: {} messages, each stored once, shown once at most, confirmed",
        a.name,
        b.name,
        between.count()
    ))
}

async fn check_direction(
    writer: &mut Actor,
    reader: &mut Actor,
    sent: &[Sent],
) -> Result<(), Problem> {
    let kept = writer.history(reader.name).await?;
    let there = reader.history(writer.name).await?;
    reader.catch_up();
    let ours = sent.iter().filter(|sent| (sent.from, sent.to) == (writer.name, reader.name));
    for Sent { text, message_id, .. } in ours {
        arrived_once(reader, &there, text)?;
        let mine = kept.iter().find(|message| message.message_id == *message_id);
        let Some(mine) = mine else { return Err(format!("forgotten by its sender: “{text}”")) };
        if mine.state.as_deref() != Some("delivered") {
            let state = mine.state.as_deref().unwrap_or("without a state");
            return Err(format!("{state}, though it arrived: “{text}”"));
        }
        let Response::Message { message } =
            writer.request(Request::Message { id: message_id.clone() }).await?
        else {
            return Err(format!("no details for “{text}”"));
        };
        if message.evidence.is_empty() {
            return Err(format!("delivered without evidence: “{text}”"));
        }
    }
    Ok(())
}

/// One copy in the recipient's store, and shown once at most.
pub(super) fn arrived_once(
    reader: &Actor,
    there: &[MessageLine],
    text: &str,
) -> Result<(), Problem> {
    let is_copy = |m: &&MessageLine| m.text.as_deref() == Some(text) && m.direction == "in";
    match there.iter().filter(is_copy).count() {
        0 => return Err(format!("lost: “{text}”")),
        1 => {}
        copies => return Err(format!("stored {copies} times: “{text}”")),
    }
    match reader.shown.iter().filter(|shown| *shown == text).count() {
        0 | 1 => Ok(()),
        times => Err(format!("shown {times} times: “{text}”")),
    }
}

pub(super) fn shows(event: &NodeEvent, text: &str) -> bool {
    matches!(event, NodeEvent::Received { message } if message.text.as_deref() == Some(text))
}

pub(super) fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
