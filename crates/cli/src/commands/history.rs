//! `tortalk history`

use tortalk_node::control::protocol::{MessageLine, Request, Response};

use super::state_words;
use crate::args;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::session::{Reach, Session};
use crate::{text, when};

/// Messages in one answer of a node.
const PAGE: usize = 500;

pub(crate) async fn history(context: &Context, args: args::History) -> Result<(), Failure> {
    let messages = Session::with(context, Reach::Profile, async |session| {
        let mut messages: Vec<MessageLine> = Vec::new();
        while messages.len() < args.limit {
            let before = messages.last().map(|message| message.row);
            let limit = PAGE.min(args.limit - messages.len());
            let request = Request::History {
                with: args.who.clone(),
                before,
                limit: Some(limit),
                search: args.search.clone(),
            };
            let Response::History { messages: page } = session.request(request).await? else {
                return Err(Failure::strange_answer());
            };
            if page.is_empty() {
                break;
            }
            messages.extend(page);
        }
        Ok(messages)
    })
    .await?;
    let out = context.out;
    for message in messages.iter().rev() {
        if out.is_json() {
            out.object(message)?;
        } else {
            let day = out.paint(Style::Faint, &when::day_and_time(message.stored_at));
            for line in message_lines(out, &day, when::day_and_time(0).len(), message) {
                out.line(&line)?;
            }
        }
    }
    Ok(())
}

/// A message for people: its first line has a time, a name and behind an
/// outgoing one the state; further lines are indented.
pub(crate) fn message_lines(
    out: Output,
    time: &str,
    time_columns: usize,
    message: &MessageLine,
) -> Vec<String> {
    let name = text::one_line(&message.name);
    let incoming = message.direction == "in";
    let who = if incoming {
        format!("{}:", out.paint(Style::Strong, &name))
    } else {
        format!("you → {name}:")
    };
    let body = match &message.text {
        Some(text) if message.request => request_lines(out, text, incoming),
        Some(text) => text::lines(text),
        None => vec![out.paint(Style::Waiting, "(needs a newer version of torTalk)")],
    };
    let mut lines: Vec<String> = Vec::with_capacity(body.len());
    for (index, line) in body.iter().enumerate() {
        lines.push(match index {
            0 => format!("{time}  {who} {line}").trim_end().to_owned(),
            _ => format!("{}  {line}", " ".repeat(time_columns)).trim_end().to_owned(),
        });
    }
    if let (Some(state), Some(last)) = (&message.state, lines.last_mut()) {
        let words = format!("[{}]", state_words(state, message.peers));
        last.push_str(&format!("  {}", out.paint(style_of(state), &words)));
    }
    lines
}

/// What was said with a contact request, if anything.
fn request_lines(out: Output, text: &str, incoming: bool) -> Vec<String> {
    let what = if incoming { "(asked to be a contact)" } else { "(asked them to accept you)" };
    let mut lines = text::lines(text);
    if let Some(first) = lines.first_mut() {
        *first = format!("{} {first}", out.paint(Style::Faint, what)).trim_end().to_owned();
    }
    lines
}

pub(crate) fn style_of(state: &str) -> Style {
    match state {
        "delivered" | "read" => Style::Good,
        "not confirmed" | "cancelled" => Style::Bad,
        _ => Style::Waiting,
    }
}
