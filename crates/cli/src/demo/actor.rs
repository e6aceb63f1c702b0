//! One person of the demo: a profile, a process, a control connection.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout_at;
use tortalk_node::control::client::Client;
use tortalk_node::control::event::{EventLine, NodeEvent};
use tortalk_node::control::protocol::{ContactLine, MessageLine, Request, Response};

/// Nothing of the demo takes longer, unless it never happens.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Settings under which not a byte leaves this computer.
const SETTINGS: &str = "[network]\ninterfaces = [\"lo\"]\nmdns = false\n";

/// A sentence about what did not hold.
pub(crate) type Problem = String;

pub(crate) struct Actor {
    /// What the others call them.
    pub(crate) name: &'static str,
    /// What their own card says: long enough not to be anywhere by chance.
    pub(crate) full_name: String,
    dir: PathBuf,
    sabotage: Option<String>,
    running: Option<Running>,
    /// Texts that this person's node has shown as received, over all its lives.
    pub(crate) shown: Vec<String>,
}

struct Running {
    process: Child,
    client: Client,
    events: Receiver<EventLine>,
}

impl Actor {
    /// Makes the profile; nothing runs yet.
    pub(crate) async fn new(
        name: &'static str,
        folder: &Path,
        sabotage: Option<&str>,
    ) -> Result<Self, Problem> {
        let dir = folder.join(name);
        let full_name = format!("{name} from the demo, process {}", std::process::id());
        let mut init = program()?;
        let status = init.arg("--profile").arg(&dir).args(["init", "--name", &full_name]);
        let status = status.stdout(Stdio::null()).status().await;
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("{name}'s profile could not be made"));
        }
        std::fs::write(dir.join("settings.toml"), SETTINGS)
            .map_err(|error| format!("{name}'s settings could not be written: {error}"))?;
        let sabotage = sabotage.map(str::to_owned);
        Ok(Self { name, full_name, dir, sabotage, running: None, shown: Vec::new() })
    }

    /// Appends to the settings of a node that does not run.
    pub(crate) fn add_settings(&self, lines: &str) -> Result<(), Problem> {
        let path = self.dir.join("settings.toml");
        let problem = |error| format!("{}'s settings: {error}", self.name);
        let settings = std::fs::read_to_string(&path).map_err(problem)?;
        std::fs::write(&path, settings + lines).map_err(problem)
    }

    /// Starts the node and connects to it; how long that took.
    pub(crate) async fn start(&mut self) -> Result<Duration, Problem> {
        let started = Instant::now();
        let mut run = program()?;
        run.arg("--profile").arg(&self.dir).arg("run");
        if let Some(how) = &self.sabotage {
            run.args(["--sabotage", how]);
        }
        run.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let process =
            run.spawn().map_err(|error| format!("{} cannot start: {error}", self.name))?;
        let deadline = started + PATIENCE;
        let client = loop {
            match Client::connect(&self.dir).await {
                Ok(client) => break client,
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("{}'s node does not answer: {error}", self.name));
                }
                // The socket appears when the node is ready; there is no sign before.
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        };
        let events = client.events().await.map_err(|error| format!("{}: {error}", self.name))?;
        self.running = Some(Running { process, client, events });
        Ok(started.elapsed())
    }

    /// Ends the process as a power cut would.
    pub(crate) async fn kill(&mut self) -> Result<(), Problem> {
        let mut running = self.running.take().ok_or("nothing is running")?;
        running.process.kill().await.map_err(|error| format!("{}: {error}", self.name))?;
        while let Some(line) = running.events.recv().await {
            self.note(&line);
        }
        Ok(())
    }

    pub(crate) async fn stop(&mut self) -> Result<(), Problem> {
        self.request(Request::Stop).await?;
        let mut running = self.running.take().ok_or("nothing is running")?;
        let ended = tokio::time::timeout(PATIENCE, running.process.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(_) => Err(format!("{}'s node ended with an error", self.name)),
            Err(_) => Err(format!("{}'s node does not end", self.name)),
        }
    }

    pub(crate) async fn request(&mut self, request: Request) -> Result<Response, Problem> {
        let running = self.running.as_ref().ok_or("nothing is running")?;
        running.client.request(request).await.map_err(|error| format!("{}: {error}", self.name))
    }

    /// Sends a text to the contact called `to`; its message id.
    pub(crate) async fn send(&mut self, to: &str, text: &str) -> Result<String, Problem> {
        let request = Request::Send { to: to.to_owned(), text: text.to_owned() };
        match self.request(request).await? {
            Response::Queued(queued) => Ok(queued.message_id),
            _ => Err(format!("{}: a text was not queued", self.name)),
        }
    }

    /// Waits for the first event that fits; everything else is noted.
    pub(crate) async fn wait_for(
        &mut self,
        what: &str,
        fits: impl Fn(&NodeEvent) -> bool,
    ) -> Result<NodeEvent, Problem> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let running = self.running.as_mut().ok_or("nothing is running")?;
            let line = match timeout_at(deadline, running.events.recv()).await {
                Ok(Some(line)) => line,
                Ok(None) => return Err(format!("{}'s node ended", self.name)),
                Err(_) => return Err(format!("{} waited in vain for {what}", self.name)),
            };
            self.note(&line);
            if fits(&line.event) {
                return Ok(line.event);
            }
        }
    }

    /// Waits until every one of these messages is in a state. A later question
    /// finds what was told before, so nothing is missed by coming late.
    pub(crate) async fn wait_for_states(
        &mut self,
        ids: &[String],
        wanted: &str,
    ) -> Result<(), Problem> {
        let what = format!("{} messages to be {wanted}", ids.len());
        let mut waiting: Vec<&String> = ids.iter().collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(id) = waiting.last() else { return Ok(()) };
            let request = Request::Message { id: (*id).clone() };
            let Response::Message { message } = self.request(request).await? else {
                return Err(format!("{}: no details of a message", self.name));
            };
            if message.state.as_deref() == Some(wanted) {
                waiting.pop();
                continue;
            }
            self.pause(deadline, &what).await?;
        }
    }

    /// Waits until these texts were shown as received.
    pub(crate) async fn wait_for_texts<'t>(
        &mut self,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), Problem> {
        for text in texts {
            self.catch_up();
            if !self.shown.iter().any(|shown| shown == text) {
                let fits = |event: &NodeEvent| super::stage::shows(event, text);
                self.wait_for(&format!("“{text}”"), fits).await?;
            }
        }
        Ok(())
    }

    /// Waits until so many messages that fit are in the store.
    pub(crate) async fn wait_for_stored(
        &mut self,
        from: &str,
        count: usize,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), Problem> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.history(from).await?;
            let texts = there.iter().filter_map(|message| message.text.as_deref());
            if texts.filter(|text| fits(text)).count() >= count {
                return Ok(());
            }
            self.pause(deadline, &format!("{count} messages of {from}")).await?;
        }
    }

    /// Waits until this contact's card is here, so that they can be written to.
    pub(crate) async fn wait_for_card_of(&mut self, who: &str) -> Result<(), Problem> {
        self.wait_for_contact(who, "a card", |contact| contact.has_card).await
    }

    /// Waits until this contact's card names so many relays.
    pub(crate) async fn wait_for_relays_of(
        &mut self,
        who: &str,
        relays: usize,
    ) -> Result<(), Problem> {
        self.wait_for_contact(who, "a card with a relay", |contact| contact.relays >= relays).await
    }

    async fn wait_for_contact(
        &mut self,
        who: &str,
        what: &str,
        fits: impl Fn(&ContactLine) -> bool,
    ) -> Result<(), Problem> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = Request::Contact { who: who.to_owned() };
            let Response::Contact { contact } = self.request(request).await? else {
                return Err(format!("{}: no contact {who}", self.name));
            };
            if fits(&contact) {
                return Ok(());
            }
            self.pause(deadline, &format!("{what} of {who}")).await?;
        }
    }

    /// Waits until everything of theirs is somewhere else too.
    pub(crate) async fn wait_until_nothing_waits(&mut self) -> Result<(), Problem> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Response::Status(status) = self.request(Request::Status).await? else {
                return Err(format!("{}: no status", self.name));
            };
            if status.waiting == 0 {
                return Ok(());
            }
            let what = format!("{} envelopes to go out", status.waiting);
            self.pause(deadline, &what).await?;
        }
    }

    /// A moment between two looks, until there have been enough.
    async fn pause(&self, deadline: Instant, what: &str) -> Result<(), Problem> {
        if Instant::now() > deadline {
            return Err(format!("{} waited in vain for {what}", self.name));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }

    pub(crate) async fn wait_for_state(&mut self, id: &str, wanted: &str) -> Result<(), Problem> {
        let fits = |event: &NodeEvent| {
            matches!(event, NodeEvent::State { message_id, state, .. }
                if message_id == id && state == wanted)
        };
        self.wait_for(&format!("a message to be {wanted}"), fits).await.map(|_| ())
    }

    /// Everything in the store that was exchanged with `with`, oldest first.
    pub(crate) async fn history(&mut self, with: &str) -> Result<Vec<MessageLine>, Problem> {
        let request = Request::History {
            with: Some(with.to_owned()),
            before: None,
            limit: Some(1000),
            search: None,
        };
        match self.request(request).await? {
            Response::History { messages } => Ok(messages),
            _ => Err(format!("{}: no history", self.name)),
        }
    }

    /// Takes in what was said and not waited for.
    pub(crate) fn catch_up(&mut self) {
        let Some(running) = self.running.as_mut() else { return };
        let mut lines = Vec::new();
        while let Ok(line) = running.events.try_recv() {
            lines.push(line);
        }
        for line in &lines {
            self.note(line);
        }
    }

    fn note(&mut self, line: &EventLine) {
        if let NodeEvent::Received { message } = &line.event
            && let Some(text) = &message.text
        {
            self.shown.push(text.clone());
        }
    }
}

/// This very program.
fn program() -> Result<Command, Problem> {
    let path = std::env::current_exe();
    Ok(Command::new(path.map_err(|error| format!("cannot find this program: {error}"))?))
}
