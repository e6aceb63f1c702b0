//! `tortalk doctor`: what can be found out about a profile and its surroundings
//! without changing anything.
//!
//! Each check looks alone and says what it saw. Which of them is told first is
//! decided by [`Check`]: a cause stands before what follows from it. The lines
//! for the faults of docs/doctor.md stand there too, and a test compares them.

use serde::Serialize;
use tortalk_node::{SETTINGS_FILE, Settings};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::text;

mod clock;
mod files;
mod holder;
mod neighbours;
mod network;
mod node;
mod reach;
mod relays;

/// What is looked at, causes before effects: without a disk there is no store,
/// without an interface nobody is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Process,
    Disk,
    Node,
    Profile,
    Store,
    Messages,
    Rights,
    Settings,
    Clock,
    Interfaces,
    Port,
    Firewall,
    Multicast,
    Neighbours,
    Visibility,
    Discovery,
    Relay,
}

impl Check {
    const fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Disk => "disk",
            Self::Node => "node",
            Self::Profile => "profile",
            Self::Store => "store",
            Self::Messages => "messages",
            Self::Rights => "rights",
            Self::Settings => "settings",
            Self::Clock => "clock",
            Self::Interfaces => "interfaces",
            Self::Port => "port",
            Self::Firewall => "firewall",
            Self::Multicast => "multicast",
            Self::Neighbours => "neighbours",
            Self::Visibility => "visibility",
            Self::Discovery => "discovery",
            Self::Relay => "relay",
        }
    }
}

/// What one look has found.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    check: Check,
    verdict: Verdict,
    /// What is so; for what is wrong also what to do.
    line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Wrong,
    /// Worth knowing, and perhaps meant to be so.
    Note,
    Good,
}

/// The first line where nothing is wrong and not everything was seen.
const LOCKED: &str = "what was looked at looks right, but not the profile, which has a passphrase: \
    give it with --passphrase-file";

/// Everything that was found, in the order of looking.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: Check, verdict: Verdict, line: impl AsRef<str>) {
        self.0.push(Finding { check, verdict, line: text::one_line(line.as_ref()) });
    }

    fn good(&mut self, check: Check, line: impl AsRef<str>) {
        self.add(check, Verdict::Good, line);
    }

    fn note(&mut self, check: Check, line: impl AsRef<str>) {
        self.add(check, Verdict::Note, line);
    }

    fn wrong(&mut self, check: Check, line: impl AsRef<str>) {
        self.add(check, Verdict::Wrong, line);
    }

    /// Whether the profile was not looked into, for want of its passphrase.
    fn was_locked(&self) -> bool {
        self.0.iter().any(|f| f.check == Check::Profile && f.verdict == Verdict::Note)
    }

    fn has_wrong(&self, check: Check) -> bool {
        self.0.iter().any(|f| f.check == check && f.verdict == Verdict::Wrong)
    }
}

pub(crate) async fn doctor(context: &Context) -> Result<(), Failure> {
    let mut found = Findings::default();
    if let Err(line) = files::can_look_into(&context.dir) {
        found.wrong(Check::Profile, line);
        return tell(context.out, found);
    }
    let settings = Settings::load(&context.dir.join(SETTINGS_FILE));
    let node = node::look(context, &mut found).await;
    let running = match &node {
        node::Found::Running(running) => Some(&**running),
        _ => None,
    };
    let latest = match &node {
        node::Found::Running(_) | node::Found::None => {
            files::look_at_profile(context, running.is_some(), &mut found).await
        }
        // What another process has open cannot be looked into.
        node::Found::Silent => None,
    };
    files::look_at_folder(&context.dir, settings.as_ref().ok(), &mut found);
    clock::look(&context.dir, latest, running, &mut found);
    match &settings {
        Ok(settings) => {
            let chosen = network::look(settings, running, &mut found).await;
            if let Some(running) = running {
                neighbours::look(settings, running, &chosen, &mut found).await;
            }
            relays::look(settings, running, &mut found);
        }
        // Where there is no profile or it does not open, that was said above.
        Err(error) if running.is_some() => found.wrong(Check::Settings, error.to_string()),
        Err(_) => {}
    }
    tell(context.out, found)
}

fn tell(out: Output, mut found: Findings) -> Result<(), Failure> {
    let first = found.0.iter().filter(|finding| finding.verdict == Verdict::Wrong);
    let first = first.min_by_key(|finding| finding.check).map(|finding| finding.line.clone());
    if out.is_json() {
        found.0.sort_by_key(|finding| (finding.verdict, finding.check));
        for finding in &found.0 {
            out.object(finding)?;
        }
    } else {
        out.line(&match &first {
            Some(line) => out.paint(Style::Bad, line),
            None if found.was_locked() => out.paint(Style::Waiting, LOCKED),
            None => out.paint(Style::Good, "everything looks right"),
        })?;
        for finding in &found.0 {
            let (mark, style) = match finding.verdict {
                Verdict::Good => ("ok   ", Style::Good),
                Verdict::Note => ("note ", Style::Waiting),
                Verdict::Wrong => ("WRONG", Style::Bad),
            };
            let (mark, word) = (out.paint(style, mark), finding.check.word());
            out.line(&format!("  {mark} {word:<10} {}", finding.line))?;
        }
    }
    // What is wrong was said already.
    if first.is_some() { Err(Failure::quiet(Exit::World)) } else { Ok(()) }
}
