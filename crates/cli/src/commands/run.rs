//! `tortalk run`

use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::BufReader;
use tokio::signal::unix::{SignalKind, signal};
use tortalk_node::control::event::{EventLine, NodeEvent};
use tortalk_node::control::lines::{self, AtEnd, EventsFrom};
#[cfg(feature = "sabotage")]
use tortalk_node::sabotage::Sabotage;
use tortalk_node::{Events, Handle, Node, NodeOptions};

use super::{relay_words, state_words};
use crate::args::Run;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::session::{Found, find};
use crate::{text, when};

pub(crate) async fn run(context: &Context, args: &Run) -> Result<(), Failure> {
    let profile = match find(context).await? {
        Found::Profile(profile) => *profile,
        // It has the profile, and the error says which process it is.
        Found::Node(_) => context.open_profile()?,
    };
    // Until here, while a passphrase may be asked for, a signal ends the process
    // at once. From here on the node ends in order.
    let stop = stop_signal()?;
    let mut node = Node::start(profile, options(args)).await?;
    // Somebody may be here before this process has looked.
    let events = node.events();
    let handle = node.handle();
    let stopping = handle.clone();
    let signals = tokio::spawn(async move {
        stop.await;
        stopping.stop();
    });
    let written = if context.out.is_json() {
        serve(handle.clone(), events, args.until_eof).await
    } else {
        show(context.out, events).await
    };
    handle.stop();
    let ended = node.wait().await;
    signals.abort();
    ended?;
    written
}

#[cfg(feature = "sabotage")]
fn options(args: &Run) -> NodeOptions {
    let sabotage = args.sabotage.map(Sabotage::from).unwrap_or_default();
    NodeOptions { sabotage, ..NodeOptions::default() }
}

#[cfg(not(feature = "sabotage"))]
fn options(_: &Run) -> NodeOptions {
    NodeOptions::default()
}

/// Ends when somebody wants this process to end.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::world(format!("signals cannot be heard ({error})")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

async fn serve(handle: Handle, events: Events, until_eof: bool) -> Result<(), Failure> {
    let at_end = if until_eof { AtEnd::Close } else { AtEnd::KeepEvents };
    let reader = BufReader::new(tokio::io::stdin());
    let from = EventsFrom::Start(events);
    let serving = lines::serve(handle, reader, tokio::io::stdout(), from, at_end);
    tokio::select! {
        served = serving => served
            .map_err(|error| Failure::world(format!("standard input cannot be read ({error})"))),
        () = reader_gone() => Ok(()),
    }
}

/// Ends when nobody can read standard output any more: the program that started
/// this one is gone, and may never have an event written to it that would tell.
async fn reader_gone() {
    let gone = tokio::task::spawn_blocking(|| {
        let stdout = std::io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        // A file is always there, so this waits as long as the process lives.
        while poll(&mut watched, None).is_ok_and(|found| found == 0) {}
    });
    // The thread cannot crash; if it cannot be had, nobody is waited for.
    if gone.await.is_err() {
        std::future::pending().await
    }
}

async fn show(out: Output, mut events: Events) -> Result<(), Failure> {
    while let Some(event) = events.next().await {
        if let Some(line) = event_line(out, &event) {
            out.line(&format!("{}  {line}", out.paint(Style::Faint, &when::time(event.at))))?;
        }
        if event.event == NodeEvent::Stopped {
            break;
        }
    }
    Ok(())
}

/// An event for people. A log lives long and is read by others, so it contains
/// no text of a message.
fn event_line(out: Output, line: &EventLine) -> Option<String> {
    let name = |name: &str| out.paint(Style::Strong, &text::one_line(name));
    let short = |identity: &str| text::one_line(identity.get(..16).unwrap_or(identity));
    let someone = |contact: &Option<String>, identity: &str| match contact {
        Some(contact) => name(contact),
        None => format!("stranger {}", short(identity)),
    };
    Some(match &line.event {
        NodeEvent::Ready { port, identity, .. } => {
            out.paint(Style::Good, &format!("ready on port {port} as {}", short(identity)))
        }
        NodeEvent::Received { message } => format!("message from {}", name(&message.name)),
        NodeEvent::State { message_id, name: to, state, peers, .. } => {
            let id = text::one_line(message_id.get(..8).unwrap_or(message_id));
            format!("message {id} to {}: {}", name(to), state_words(state, *peers))
        }
        NodeEvent::PeerUp { identity, contact } => {
            format!("{} is here", someone(contact, identity))
        }
        NodeEvent::PeerDown { identity, contact } => {
            format!("{} is not here any more", someone(contact, identity))
        }
        NodeEvent::PeerNamed { own_name, .. } if own_name.is_empty() => return None,
        NodeEvent::PeerNamed { identity, own_name } => {
            format!("{} {}", short(identity), calls(own_name))
        }
        NodeEvent::WantsContact { identity, own_name } => {
            format!("stranger {} wants you as a contact and {}", short(identity), calls(own_name))
        }
        NodeEvent::ContactRequest { request } => format!(
            "stranger {} asks to be a contact and {}: `tortalk requests list`",
            short(&request.identity),
            calls(&request.own_name)
        ),
        NodeEvent::Gap { name: of, missing: 0, .. } => {
            format!("nothing of {} is missing", name(of))
        }
        NodeEvent::Gap { name: of, missing, .. } => {
            let line = format!("{missing} messages of {} have not come", name(of));
            out.paint(Style::Waiting, &line)
        }
        NodeEvent::ContactRemoved { identity } => {
            format!("{} is no contact any more", short(identity))
        }
        NodeEvent::Contact { contact } => {
            format!("contact {}: {}", name(&contact.name), text::one_line(&contact.standing))
        }
        NodeEvent::ClockDiffers { name: of, offset_ms, .. } => {
            clock_line(out, &text::one_line(of), *offset_ms)
        }
        NodeEvent::RelayUp { url } => {
            out.paint(Style::Good, &format!("relay {} is up", text::one_line(url)))
        }
        NodeEvent::RelayDown { url, state } => {
            let line = format!("relay {} {}", text::one_line(url), relay_words(*state, None));
            out.paint(Style::Waiting, &line)
        }
        NodeEvent::RelayAdopted { relay } => format!(
            "you have no relay of your own: answers come to {}, of the address that you added",
            text::one_line(relay)
        ),
        NodeEvent::RelayClockDiffers { url, offset_ms } => {
            let whose = url.as_ref().map_or_else(
                || "somebody's relay".to_owned(),
                |url| format!("relay {}", text::one_line(url)),
            );
            clock_line(out, &whose, *offset_ms)
        }
        NodeEvent::StoreFailed { message } => out.paint(Style::Bad, &text::one_line(message)),
        NodeEvent::StoreWorks => out.paint(Style::Good, "the store works again"),
        NodeEvent::Missed { count } => format!("{count} events were too fast to be shown"),
        NodeEvent::Stopped => "ended".to_owned(),
        _ => return None,
    })
}

/// What somebody says of their own name, which is no contact's.
fn calls(own_name: &str) -> String {
    if own_name.is_empty() {
        return "gives no name".to_owned();
    }
    format!("calls themselves “{}”", text::one_line(own_name))
}

fn clock_line(out: Output, whose: &str, offset_ms: i64) -> String {
    let span = when::span(offset_ms.unsigned_abs());
    let way = if offset_ms > 0 { "ahead of" } else { "behind" };
    let line = format!("the clock of {whose} is {span} {way} ours: see whether ours is right");
    out.paint(Style::Waiting, &line)
}

#[cfg(test)]
mod tests {
    use clap::ColorChoice;
    use tortalk_node::control::protocol::RelayState;

    use super::*;
    use crate::output::Format;

    #[test]
    fn names_of_others_cannot_write_lines_of_their_own() {
        let out = Output::new(Format::Human, ColorChoice::Never);
        let own_name = "x\n16:00  bob is here\x1b[1A".to_owned();
        let event = NodeEvent::WantsContact { identity: "ab".into(), own_name };
        let line = event_line(out, &EventLine { at: 0, event }).expect("is shown");
        assert!(!line.contains(char::is_control), "{line}");
    }

    #[test]
    fn who_gives_no_name_has_none() {
        let out = Output::new(Format::Human, ColorChoice::Never);
        let line = |event| event_line(out, &EventLine { at: 0, event });
        let (identity, own_name) = ("ab".to_owned(), String::new());
        let named = NodeEvent::PeerNamed { identity: identity.clone(), own_name: own_name.clone() };
        assert_eq!(line(named), None);
        let wants = line(NodeEvent::WantsContact { identity, own_name });
        assert_eq!(wants.as_deref(), Some("stranger ab wants you as a contact and gives no name"));
    }

    #[test]
    fn relays_come_and_go_in_words() {
        let out = Output::new(Format::Human, ColorChoice::Never);
        let line = |event| event_line(out, &EventLine { at: 0, event }).expect("is shown");
        let url = || "http://127.0.0.1:7".to_owned();
        let up = NodeEvent::RelayUp { url: url() };
        assert_eq!(line(up), "relay http://127.0.0.1:7 is up");
        let down = NodeEvent::RelayDown { url: url(), state: RelayState::Unreachable };
        assert!(line(down).starts_with("relay http://127.0.0.1:7 is not reached: "));
        let of_ours = NodeEvent::RelayClockDiffers { url: Some(url()), offset_ms: -7_200_000 };
        assert!(
            line(of_ours).starts_with("the clock of relay http://127.0.0.1:7 is 2 hours behind")
        );
        let of_others = NodeEvent::RelayClockDiffers { url: None, offset_ms: 7_200_000 };
        assert!(line(of_others).starts_with("the clock of somebody's relay is 2 hours ahead of"));
    }
}
