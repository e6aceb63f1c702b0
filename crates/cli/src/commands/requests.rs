//! `tortalk requests`

use serde_json::json;
use tortalk_node::control::protocol::{Request, RequestedLine, Response};

use super::contacts::once_a_node_runs;
use crate::args::Requests;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::session::{Reach, Session};
use crate::{text, when};

pub(crate) async fn requests(context: &Context, command: Option<Requests>) -> Result<(), Failure> {
    let request = match command.unwrap_or(Requests::List) {
        Requests::List => Request::Requests,
        Requests::Accept { who, name } => Request::Accept { who, name },
        Requests::Decline { who } => Request::Decline { who },
    };
    let (answer, running) = Session::with(context, Reach::Profile, async |session| {
        Ok((session.request(request).await?, session.is_running()))
    })
    .await?;
    let out = context.out;
    match answer {
        Response::Requests { requests } => list(out, &requests),
        Response::Contact { contact } if out.is_json() => out.object(&contact),
        Response::Contact { contact } => {
            let name = out.paint(Style::Strong, &text::one_line(&contact.name));
            let told = format!("{name} is a contact; they are told");
            out.line(&if running {
                format!("{told} as soon as they can be reached")
            } else {
                once_a_node_runs(&told)
            })
        }
        Response::Done {} if out.is_json() => out.object(&json!({})),
        Response::Done {} => out.line("The request is forgotten; they are not told"),
        _ => Err(Failure::strange_answer()),
    }
}

fn list(out: Output, requests: &[RequestedLine]) -> Result<(), Failure> {
    if out.is_json() {
        return requests.iter().try_for_each(|request| out.object(request));
    }
    if requests.is_empty() {
        return out.line("Nobody asks to be a contact");
    }
    requests.iter().flat_map(|request| lines(out, request)).try_for_each(|line| out.line(&line))
}

/// A stranger's name never looks like a contact's: it stands in quotes, and the
/// identity in front of it.
fn lines(out: Output, request: &RequestedLine) -> Vec<String> {
    let identity = request.identity.get(..16).unwrap_or(&request.identity);
    let calls = if request.own_name.is_empty() {
        "stranger".to_owned()
    } else {
        format!("stranger, calls themselves “{}”", text::one_line(&request.own_name))
    };
    let mut lines = vec![format!(
        "{}  {}  {}",
        out.paint(Style::Faint, &text::one_line(identity)),
        out.paint(Style::Waiting, &calls),
        out.paint(
            Style::Faint,
            &format!(
                "{}, from {}",
                when::day_and_time(request.stored_at),
                text::one_line(&request.from)
            )
        ),
    )];
    if !request.text.is_empty() {
        lines.extend(text::lines(&request.text).into_iter().map(|line| format!("    {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::ColorChoice;

    use super::*;
    use crate::output::Format;

    #[test]
    fn a_stranger_cannot_pass_for_somebody_else() {
        let request = RequestedLine {
            identity: "5f0c2a9100000000ffff".into(),
            own_name: "Bob\n5f0c2a91  Alice\x1b[1A".into(),
            text: "hello\n\x1b[2Jit is me".into(),
            sent_at: 0,
            stored_at: 0,
            from: "192.0.2.1".into(),
        };
        let lines = lines(Output::new(Format::Human, ColorChoice::Never), &request);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| !line.contains(char::is_control)), "{lines:?}");
        assert!(lines[0].starts_with("5f0c2a9100000000  stranger, calls themselves “Bob"));
        assert!(lines[1].starts_with("    hello"));
    }
}
