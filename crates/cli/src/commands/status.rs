//! `tortalk status`

use serde_json::json;
use tortalk_node::control::protocol::{RelayLine, RelayState, Request, Response, Visible};

use super::relay_words;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::Style;
use crate::session::{Reach, Session};
use crate::{text, when};

pub(crate) async fn status(context: &Context) -> Result<(), Failure> {
    let (status, running) = Session::with(context, Reach::Profile, async |session| {
        Ok((session.request(Request::Status).await?, session.is_running()))
    })
    .await?;
    let Response::Status(status) = status else { return Err(Failure::strange_answer()) };
    let out = context.out;
    if out.is_json() {
        let mut line = serde_json::to_value(&status).unwrap_or_default();
        line["running"] = json!(running);
        if !running {
            // These are of the node that answered and is gone already.
            for field in ["pid", "instance", "started_at", "port"] {
                line[field] = serde_json::Value::Null;
            }
        }
        return out.object(&line);
    }
    let node = if running {
        let since = when::span(status.now.saturating_sub(status.started_at));
        let port = status.port;
        out.paint(Style::Good, &format!("runs since {since}, process {}, port {port}", status.pid))
    } else {
        out.paint(Style::Waiting, "does not run: start it with `tortalk run`")
    };
    let visible = match status.visibility {
        Visible::Everyone => "everyone on the network",
        Visible::Contacts => "contacts",
        Visible::Nobody => "nobody",
    };
    let name =
        if status.name.is_empty() { "(none)".to_owned() } else { text::one_line(&status.name) };
    let mut lines = vec![
        ("node", node),
        ("profile", text::one_line(&status.profile)),
        ("name", name),
        ("identity", status.identity.clone()),
        ("visible to", visible.to_owned()),
        ("contacts", status.contacts.to_string()),
        ("unread", status.unread.to_string()),
        ("only here", counted(status.waiting, "envelope", " on the way out")),
        ("carries", counted(status.carried.envelopes, "envelope", " for others")),
    ];
    if running {
        let (contacts, strangers) = (status.contacts_linked, status.strangers_linked);
        let strangers = counted(strangers as u64, "stranger", "");
        lines.push(("here now", format!("{contacts} of the contacts, {strangers}")));
    }
    if running {
        for RelayLine { url, state, reason, adopted } in &status.relays {
            let url = if *adopted { &format!("{url} (of an address that you added)") } else { url };
            let style = match state {
                RelayState::Up => Style::Good,
                RelayState::Connecting => Style::Waiting,
                _ => Style::Bad,
            };
            let line = format!("{} {}", text::one_line(url), relay_words(*state, *reason));
            lines.push(("relay", out.paint(style, &line)));
        }
    }
    if let Some(failed) = &status.store_failed {
        lines.insert(0, ("store", out.paint(Style::Bad, &text::one_line(failed))));
    }
    lines.iter().try_for_each(|(what, value)| out.line(&format!("{what:<11} {value}")))
}

fn counted(number: u64, what: &str, rest: &str) -> String {
    format!("{number} {what}{}{rest}", if number == 1 { "" } else { "s" })
}
