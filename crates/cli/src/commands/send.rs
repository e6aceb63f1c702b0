//! `tortalk send`

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tortalk_node::control::event::NodeEvent;
use tortalk_node::control::protocol::{Queued, Request, Response};

use super::read_text;
use crate::args::Send;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Style;
use crate::session::{EventStream, Reach, Session};

pub(crate) async fn send(context: &Context, args: Send) -> Result<(), Failure> {
    let text = match &args.text[..] {
        [one] if one == "-" => {
            let mut text = read_text(Path::new("-"))?;
            // The end of the last line belongs to the file, not to the text.
            if text.ends_with('\n') {
                text.truncate(text.len() - 1);
            }
            text
        }
        words => words.join(" "),
    };
    let reach = if args.wait == 0 { Reach::Profile } else { Reach::Network };
    let (message_id, state) = Session::with(context, reach, async |session| {
        // Asked for first, so that no state of the message is missed.
        let mut events = session.events().await?;
        let request = Request::Send { to: args.who.clone(), text };
        let Response::Queued(Queued { message_id, state }) = session.request(request).await? else {
            return Err(Failure::strange_answer());
        };
        let mut state = MessageState { word: state, peers: None };
        if args.wait > 0 {
            let until = Instant::now() + Duration::from_secs(args.wait);
            follow(session, &mut events, &message_id, &mut state, until).await?;
        }
        Ok((message_id, state))
    })
    .await?;

    let out = context.out;
    if out.is_json() {
        let mut line = json!({ "message_id": message_id, "state": state.word });
        if let Some(peers) = state.peers {
            line["peers"] = peers.into();
        }
        out.object(&line)?;
    } else if state.is_delivered() {
        out.line(&out.paint(Style::Good, &state.words()))?;
    } else if args.wait == 0 {
        out.line(&out.paint(Style::Waiting, &state.words()))?;
    }
    if state.is_delivered() || args.wait == 0 {
        return Ok(());
    }
    let line = match state.word.as_str() {
        "cancelled" | "not confirmed" => format!("the message is {}", state.words()),
        _ => format!(
            "not delivered within {} s ({}): a node that runs goes on trying; `tortalk run`",
            args.wait,
            state.words()
        ),
    };
    let mut failure = Failure::new(Exit::NotDelivered, line);
    if out.is_json() {
        // Its state is on standard output already.
        failure.kind = "not_delivered".to_owned();
    }
    Err(failure)
}

/// Follows a message until it is delivered, or nothing more is done for it.
pub(crate) async fn follow(
    session: &Session,
    events: &mut EventStream,
    message_id: &str,
    state: &mut MessageState,
    until: Instant,
) -> Result<(), Failure> {
    while !state.is_final() {
        let Ok(event) = timeout_at(until, events.next()).await else { return Ok(()) };
        let Some(event) = event else {
            return Err(Failure::world("the node has ended: the message stays queued"));
        };
        match event.event {
            NodeEvent::State { message_id: of, state: word, peers, .. } if of == message_id => {
                *state = MessageState { word, peers };
            }
            NodeEvent::Missed { .. } => {
                let request = Request::Message { id: message_id.to_owned() };
                if let Response::Message { message } = session.request(request).await? {
                    let word = message.state.unwrap_or_default();
                    *state = MessageState { word, peers: message.peers };
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A message's state as the node says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageState {
    pub(crate) word: String,
    pub(crate) peers: Option<u32>,
}

impl MessageState {
    pub(crate) fn is_delivered(&self) -> bool {
        matches!(self.word.as_str(), "delivered" | "read")
    }

    pub(crate) fn is_final(&self) -> bool {
        self.is_delivered() || matches!(self.word.as_str(), "not confirmed" | "cancelled")
    }

    pub(crate) fn words(&self) -> String {
        state_words(&self.word, self.peers)
    }
}

/// A state for people.
pub(crate) fn state_words(word: &str, peers: Option<u32>) -> String {
    match peers {
        Some(peers) if word == "handed" => format!("handed to {peers}"),
        _ => crate::text::one_line(word),
    }
}
