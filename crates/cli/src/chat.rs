//! `tortalk chat`: a conversation on a terminal, or line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout_at};
use tortalk_node::control::event::{EventLine, NodeEvent};
use tortalk_node::control::protocol::{ContactLine, MessageLine, Queued, Request, Response};

use crate::args;
use crate::commands::{message_lines, state_words, stop_signal};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::session::{EventStream, Reach, Session};
use crate::{text, when};
use editor::{Action, Editor};
use screen::Screen;
use terminal::RawTerminal;

mod editor;
mod screen;
mod terminal;

/// Earlier messages that are shown at the beginning, unread ones besides.
const EARLIER: u64 = 10;
/// The most of them.
const EARLIER_MAX: u64 = 500;
/// Where lines come from a file: how long its last ones may take.
const LAST_LINES_FOR: Duration = Duration::from_secs(10);

const HELP: &str = "Enter sends. /quit or Ctrl-D ends. // at the beginning sends a text that \
                    begins with a slash.";

pub(crate) async fn chat(context: &Context, args: args::Chat) -> Result<(), Failure> {
    Session::with(context, Reach::Network, async |session| {
        let events = session.events().await?;
        let answer = session.request(Request::Contact { who: args.who.clone() }).await?;
        let Response::Contact { contact } = answer else { return Err(Failure::strange_answer()) };
        let out = context.out;
        let on_terminal = !out.is_json() && io::stdin().is_terminal() && io::stdout().is_terminal();
        let (own, shown) = (BTreeMap::new(), BTreeSet::new());
        let mut chat = Chat { session, contact, out, screen: None, own, shown, since: now() };
        if on_terminal { chat.on_terminal(events).await } else { chat.by_line(events).await }
    })
    .await
}

struct Chat<'s> {
    session: &'s Session,
    contact: ContactLine,
    out: Output,
    /// On a terminal.
    screen: Option<Screen>,
    /// Own messages whose state can still change.
    own: BTreeMap<String, MessageLine>,
    /// Messages that were shown here.
    shown: BTreeSet<String>,
    /// When this began.
    since: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Quit,
}

impl Chat<'_> {
    async fn on_terminal(&mut self, mut events: EventStream) -> Result<(), Failure> {
        let terminal = RawTerminal::enter()?;
        let (columns, rows) = terminal.size();
        self.screen = Some(Screen::new(columns, rows));
        let mut resized = signal(SignalKind::window_change())
            .map_err(|error| Failure::world(format!("signals cannot be heard ({error})")))?;
        let stop = stop_signal()?;
        tokio::pin!(stop);
        let mut editor = Editor::default();
        let mut stdin = tokio::io::stdin();
        let mut bytes = [0; 1024];
        self.greet().await?;
        loop {
            tokio::select! {
                read = stdin.read(&mut bytes) => {
                    let read = read.unwrap_or(0);
                    if read == 0 || self.typed(&mut editor, &bytes[..read]).await? == Next::Quit {
                        break;
                    }
                }
                event = events.next() => self.happened(event).await?,
                _ = resized.recv() => {
                    let (columns, rows) = terminal.size();
                    self.draw(|screen| screen.resize(columns, rows))?;
                }
                () = &mut stop => break,
            }
        }
        self.draw(|screen| screen.leave())
    }

    /// Lines in, lines out.
    async fn by_line(&mut self, mut events: EventStream) -> Result<(), Failure> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let stop = stop_signal()?;
        tokio::pin!(stop);
        self.greet().await?;
        loop {
            tokio::select! {
                line = lines.next_line() => {
                    let line = line.map_err(|error| {
                        let line = format!("standard input cannot be read ({error}): give text");
                        Failure::new(Exit::Data, line)
                    })?;
                    let Some(line) = line else { break };
                    if self.entered(line).await?.is_none() {
                        break;
                    }
                }
                event = events.next() => self.happened(event).await?,
                () = &mut stop => return Ok(()),
            }
        }
        let until = Instant::now() + LAST_LINES_FOR;
        while !self.own.is_empty() {
            let Ok(event) = timeout_at(until, events.next()).await else {
                let line = format!(
                    "{} not delivered within {} s: a node that runs goes on trying; `tortalk run`",
                    self.own.len(),
                    LAST_LINES_FOR.as_secs()
                );
                return Err(Failure::new(Exit::NotDelivered, line));
            };
            self.happened(event).await?;
        }
        Ok(())
    }

    /// Shows who this is and what was said before.
    async fn greet(&mut self) -> Result<(), Failure> {
        let name = text::one_line(&self.contact.name);
        let here = if self.contact.linked { "is here" } else { "is not here" };
        self.notice(&format!("{name} {here}. /help says what can be done."))?;
        if self.contact.missing > 0 {
            self.gap(self.contact.missing)?;
        }
        let limit = (EARLIER + self.contact.unread).min(EARLIER_MAX);
        let request = Request::History {
            with: Some(self.contact.identity.clone()),
            before: None,
            limit: usize::try_from(limit).ok(),
            search: None,
        };
        let Response::History { messages } = self.session.request(request).await? else {
            return Err(Failure::strange_answer());
        };
        for message in messages.into_iter().rev() {
            self.message(message).await?;
        }
        Ok(())
    }

    /// Keys on the terminal.
    async fn typed(&mut self, editor: &mut Editor, bytes: &[u8]) -> Result<Next, Failure> {
        for action in editor.feed(bytes) {
            match action {
                Action::Quit => return Ok(Next::Quit),
                Action::Enter(line) => {
                    // The line is off the screen before something is printed.
                    self.draw(|screen| screen.prompt(""))?;
                    match self.entered(line.clone()).await? {
                        None => return Ok(Next::Quit),
                        Some(Taken::Yes) => {}
                        // Nobody types a text twice because of an error.
                        Some(Taken::No) => editor.put_back(line),
                    }
                }
            }
        }
        let text = editor.text().to_owned();
        self.draw(|screen| screen.prompt(&text))?;
        Ok(Next::Go)
    }

    /// A line was entered; `None` to quit.
    async fn entered(&mut self, line: String) -> Result<Option<Taken>, Failure> {
        let text = match line.strip_prefix('/') {
            None => line,
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            Some(command) => match command.trim() {
                "quit" | "q" => return Ok(None),
                "help" => return self.notice(HELP).map(|()| Some(Taken::Yes)),
                _ => {
                    return self
                        .notice(&format!("No such command. {HELP}"))
                        .map(|()| Some(Taken::Yes));
                }
            },
        };
        if text.trim().is_empty() {
            return Ok(Some(Taken::Yes));
        }
        let to = self.contact.identity.clone();
        let answer = self.session.request(Request::Send { to, text: text.clone() }).await;
        let Queued { message_id, state } = match answer {
            Ok(Response::Queued(queued)) => queued,
            Ok(_) => return Err(Failure::strange_answer()),
            // A node that is gone ends the conversation; a text that it does
            // not take does not.
            Err(failure) if failure.exit == Exit::Data || failure.kind == "store_failed" => {
                self.notice(&failure.line)?;
                return Ok(Some(Taken::No));
            }
            Err(failure) => return Err(failure),
        };
        let now = now();
        let message = MessageLine {
            row: 0,
            message_id,
            direction: "out".to_owned(),
            identity: self.contact.identity.clone(),
            name: self.contact.name.clone(),
            request: false,
            text: Some(text),
            sent_at: now,
            stored_at: now,
            state: Some(state),
            peers: None,
            read: None,
            evidence: Vec::new(),
        };
        self.message(message).await?;
        Ok(Some(Taken::Yes))
    }

    async fn happened(&mut self, event: Option<EventLine>) -> Result<(), Failure> {
        let Some(EventLine { at, event }) = event else {
            return Err(Failure::world("the node has ended: start it again with `tortalk run`"));
        };
        let name = text::one_line(&self.contact.name);
        let me = self.contact.identity.clone();
        match event {
            NodeEvent::Received { message } if message.identity == me => {
                self.message(*message).await
            }
            NodeEvent::Received { message } => {
                self.notice(&format!("{} has written to you", text::one_line(&message.name)))
            }
            NodeEvent::State { message_id, identity, .. }
                if identity == me && !self.shown.contains(&message_id) =>
            {
                self.written_elsewhere(message_id).await
            }
            NodeEvent::State { message_id, state, peers, .. } => {
                self.state(at, &message_id, state, peers)
            }
            NodeEvent::PeerUp { identity, .. } if identity == me => {
                self.notice(&format!("{name} is here"))
            }
            NodeEvent::PeerDown { identity, .. } if identity == me => {
                self.notice(&format!("{name} is not here any more"))
            }
            NodeEvent::Contact { contact } if contact.identity == me => {
                self.contact = contact;
                Ok(())
            }
            NodeEvent::Gap { identity, missing, .. } if identity == me => self.gap(missing),
            NodeEvent::StoreFailed { message } => self.notice(&message),
            NodeEvent::Missed { .. } => self.catch_up().await,
            NodeEvent::Stopped if self.session.is_running() => {
                Err(Failure::world("the node has ended: start it again with `tortalk run`"))
            }
            _ => Ok(()),
        }
    }

    /// Shows what was written in another window since this one is open.
    async fn written_elsewhere(&mut self, id: String) -> Result<(), Failure> {
        let answer = self.session.request(Request::Message { id: id.clone() }).await?;
        // Asked for once only, also when it is an old one.
        self.shown.insert(id);
        match answer {
            Response::Message { message } if message.stored_at >= self.since => {
                self.message(*message).await
            }
            _ => Ok(()),
        }
    }

    fn gap(&mut self, missing: u64) -> Result<(), Failure> {
        let name = text::one_line(&self.contact.name);
        self.notice(&match missing {
            0 => format!("Nothing of {name} is missing any more"),
            1 => format!("A message of {name} has not come yet"),
            n => format!("{n} messages of {name} have not come yet"),
        })
    }

    /// After events were missed: what has become of the own messages.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        for id in self.own.keys().cloned().collect::<Vec<_>>() {
            let answer = self.session.request(Request::Message { id }).await?;
            if let Response::Message { message } = answer {
                let state = message.state.unwrap_or_default();
                self.state(now(), &message.message_id, state, message.peers)?;
            }
        }
        self.notice("There was too much at once to show everything: see `tortalk history`")
    }

    async fn message(&mut self, message: MessageLine) -> Result<(), Failure> {
        let unseen = message.read == Some(false);
        self.shown.insert(message.message_id.clone());
        if self.out.is_json() {
            self.out.object(&message)?;
        } else {
            let lines = self.lines(&message);
            self.print(Some(&message.message_id), lines)?;
        }
        let id = message.message_id.clone();
        if message.state.as_deref().is_some_and(|state| !is_final(state)) {
            self.own.insert(id.clone(), message);
        }
        if unseen {
            self.session.request(Request::MarkRead { id }).await?;
        }
        Ok(())
    }

    fn state(
        &mut self,
        at: u64,
        id: &str,
        state: String,
        peers: Option<u32>,
    ) -> Result<(), Failure> {
        let Some(message) = self.own.get_mut(id) else { return Ok(()) };
        if message.state.as_ref() == Some(&state) && message.peers == peers {
            return Ok(());
        }
        message.state = Some(state.clone());
        message.peers = peers;
        let message = message.clone();
        if is_final(&state) {
            self.own.remove(id);
        }
        if self.out.is_json() {
            let mut line = json!({ "at": at, "message_id": id, "state": state });
            if let Some(peers) = peers {
                line["peers"] = peers.into();
            }
            return self.out.object(&line);
        }
        let first = message.text.as_deref().and_then(|text| text.lines().next()).unwrap_or("");
        let appended = self.out.paint(
            Style::Faint,
            &format!("[{}] {}", state_words(&state, peers), text::cut(&text::one_line(first), 40)),
        );
        let lines = self.lines(&message);
        match &mut self.screen {
            Some(screen) => {
                let drawn = screen.replace(id, lines, appended);
                self.out.raw(&drawn)
            }
            None => self.out.line(&appended),
        }
    }

    fn lines(&self, message: &MessageLine) -> Vec<String> {
        let day = now() / DAY_MS == message.stored_at / DAY_MS;
        let at = message.stored_at;
        let time = if day { when::time(at) } else { when::day_and_time(at) };
        message_lines(self.out, &self.out.paint(Style::Faint, &time), time.len(), message)
    }

    fn notice(&mut self, line: &str) -> Result<(), Failure> {
        if self.out.is_json() {
            return Ok(());
        }
        let line = self.out.paint(Style::Faint, &format!("— {}", text::one_line(line)));
        self.print(None, vec![line])
    }

    fn print(&mut self, id: Option<&str>, lines: Vec<String>) -> Result<(), Failure> {
        match &mut self.screen {
            Some(screen) => {
                let drawn = screen.print(id, lines);
                self.out.raw(&drawn)
            }
            None => lines.iter().try_for_each(|line| self.out.line(line)),
        }
    }

    fn draw(&mut self, draw: impl FnOnce(&mut Screen) -> String) -> Result<(), Failure> {
        match &mut self.screen {
            Some(screen) => {
                let drawn = draw(screen);
                self.out.raw(&drawn)
            }
            None => Ok(()),
        }
    }
}

/// Whether the node has taken a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

const DAY_MS: u64 = 86_400_000;

fn is_final(state: &str) -> bool {
    matches!(state, "delivered" | "read" | "not confirmed" | "cancelled")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
