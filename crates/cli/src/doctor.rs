//! `tortalk doctor`: what can be found out about a profile and its surroundings
//! without changing anything.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tortalk_node::control::client::{Client, ClientError};
use tortalk_node::control::protocol::{MessageLine, Request, Response, Status};
use tortalk_node::profile::{IdentityFault, OpenError};
use tortalk_node::{SETTINGS_FILE, Settings};

use crate::context::{Context, OpenProfileError};
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::session::{Reach, Session};
use crate::{passphrase, text, when};

mod network;

/// Less than this is too little to go on with.
const DISK_BYTES_MIN: u64 = 50 * 1024 * 1024;
/// Clocks that differ by less are not worth a word.
const CLOCK_TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// 2026-01-01: this program did not exist before.
const EARLIEST_MS: u64 = 1_767_225_600_000;

/// What one look has found.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What is so; for what is wrong also what to do.
    line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    /// Worth knowing, and perhaps meant to be so.
    Note,
    Wrong,
}

/// Everything that was found, in the order of looking.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, verdict: Verdict, line: impl AsRef<str>) {
        self.0.push(Finding { check, verdict, line: text::one_line(line.as_ref()) });
    }

    fn good(&mut self, check: &'static str, line: impl AsRef<str>) {
        self.add(check, Verdict::Good, line);
    }

    fn note(&mut self, check: &'static str, line: impl AsRef<str>) {
        self.add(check, Verdict::Note, line);
    }

    fn wrong(&mut self, check: &'static str, line: impl AsRef<str>) {
        self.add(check, Verdict::Wrong, line);
    }
}

pub(crate) async fn doctor(context: &Context) -> Result<(), Failure> {
    let mut found = Findings::default();
    let node = look_at_node(context, &mut found).await;
    let latest = match &node {
        Some(_) => look_at_messages(Session::open(context, Reach::Profile).await, &mut found).await,
        None => look_at_profile(context, &mut found).await,
    };
    look_at_clock(&context.dir, latest, &mut found);
    look_at_folder(&context.dir, &mut found);
    match Settings::load(&context.dir.join(SETTINGS_FILE)) {
        Ok(settings) => network::look(&settings, node.as_deref(), &mut found).await,
        // Where there is no profile or it does not open, that was said above.
        Err(error) if node.is_some() => found.wrong("settings", error.to_string()),
        Err(_) => {}
    }
    tell(context.out, &found)
}

fn tell(out: Output, found: &Findings) -> Result<(), Failure> {
    let wrong = found.0.iter().find(|finding| finding.verdict == Verdict::Wrong);
    if out.is_json() {
        for finding in &found.0 {
            out.object(finding)?;
        }
    } else {
        out.line(&match wrong {
            Some(finding) => out.paint(Style::Bad, &finding.line),
            None => out.paint(Style::Good, "everything looks right"),
        })?;
        for finding in &found.0 {
            let (mark, style) = match finding.verdict {
                Verdict::Good => ("ok   ", Style::Good),
                Verdict::Note => ("note ", Style::Waiting),
                Verdict::Wrong => ("WRONG", Style::Bad),
            };
            out.line(&format!(
                "  {} {:<10} {}",
                out.paint(style, mark),
                finding.check,
                finding.line
            ))?;
        }
    }
    // What is wrong was said already.
    if wrong.is_some() { Err(Failure::quiet(Exit::World)) } else { Ok(()) }
}

async fn look_at_node(context: &Context, found: &mut Findings) -> Option<Box<Status>> {
    let client = match Client::connect(&context.dir).await {
        Ok(client) => client,
        Err(ClientError::NotRunning) => {
            found.note("node", "no node runs: messages come in only while one does; `tortalk run`");
            return None;
        }
        Err(error) => {
            found.wrong("node", error.to_string());
            return None;
        }
    };
    match client.request(Request::Status).await {
        Ok(Response::Status(status)) => {
            found.good("node", format!("runs as process {}", status.pid));
            match &status.store_failed {
                Some(failed) => found.wrong("store", failed),
                None => found.good("store", "takes what it is given"),
            }
            Some(status)
        }
        Ok(_) => {
            found.wrong("node", ClientError::Answer.to_string());
            None
        }
        Err(error) => {
            found.wrong("node", error.to_string());
            None
        }
    }
}

/// Opens the profile as a node would; gives the time of its latest message.
async fn look_at_profile(context: &Context, found: &mut Findings) -> Option<u64> {
    let has_passphrase = matches!(
        tortalk_node::profile::open(&context.dir, None),
        Err(OpenError::Identity { fault: IdentityFault::NeedsPassphrase, .. })
    );
    if has_passphrase && context.passphrase_file.is_none() && !passphrase::is_interactive() {
        let line = "has a passphrase, so it was not looked into: give it with --passphrase-file";
        found.note("profile", line);
        return None;
    }
    match context.open_profile() {
        Ok(profile) => {
            found.good("profile", format!("{} opens", context.dir.display()));
            look_at_messages(Session::start(profile, Reach::Profile).await, found).await
        }
        Err(error @ OpenProfileError::Open(_) | error @ OpenProfileError::Passphrase(_)) => {
            found.wrong("profile", Failure::from(error).line);
            None
        }
    }
}

async fn look_at_messages(session: Result<Session, Failure>, found: &mut Findings) -> Option<u64> {
    let look = async {
        let session = session?;
        let request = Request::History { with: None, before: None, limit: Some(1), search: None };
        let answer = session.request(request).await;
        session.close().await?;
        let Response::History { messages } = answer? else { return Err(Failure::strange_answer()) };
        Ok(messages)
    };
    match look.await {
        Ok(messages) => {
            found.good("messages", "can be read");
            messages.first().map(|message: &MessageLine| message.stored_at)
        }
        Err(failure) => {
            found.wrong("messages", failure.line);
            None
        }
    }
}

/// A clock is known to be wrong only against something that has a time: this
/// program's own age, files, and messages that were stored here.
fn look_at_clock(dir: &Path, latest_message: Option<u64>, found: &mut Findings) {
    let now = unix_ms(SystemTime::now());
    if now < EARLIEST_MS {
        let day = when::day_and_time(now);
        found.wrong("clock", format!("it says {day}, which is long ago: set the clock right"));
        return;
    }
    let newest = latest_message.max(newest_file(dir)).unwrap_or(0);
    let behind = newest.saturating_sub(now);
    if behind > CLOCK_TOLERANCE_MS {
        let span = when::span(behind);
        let line = format!("it is {span} behind what was stored here: see whether it is right");
        found.wrong("clock", line);
    } else {
        found.good("clock", format!("says {}", when::day_and_time(now)));
    }
}

fn newest_file(dir: &Path) -> Option<u64> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    times.map(unix_ms).max()
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn look_at_folder(dir: &Path, found: &mut Findings) {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::metadata(dir) else { return };
    if metadata.mode() & 0o077 == 0 {
        found.good("rights", "only you can look into the folder");
    } else {
        let line = format!("others can look into the folder: chmod 700 '{}'", dir.display());
        found.wrong("rights", line);
    }
    match rustix::fs::statvfs(dir) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let shown = format!("{} MiB are free", free / (1024 * 1024));
            if free < DISK_BYTES_MIN {
                found.wrong("disk", format!("only {shown}: free some space"));
            } else {
                found.good("disk", shown);
            }
        }
        Err(error) => found.note("disk", format!("its free space is not known ({error})")),
    }
}
