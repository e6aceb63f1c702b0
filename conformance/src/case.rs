//! What a case is, and what it is given.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::control::{Control, Operated};
use crate::peer::{Ended, Link, Log, Plan, Reached, dial};
use crate::people::Person;
use crate::spec::Level;
use crate::stack::crypto::Rng;
use crate::target::{Program, Spawned};
use crate::verdict::Verdict;

/// What the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Speaks links.
    Node,
    /// Serves `tortalk.v1.RelayService`.
    Relay,
}

/// What the suite may do with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Talk to its port.
    Wire,
    /// Start, kill, stop and restart it besides.
    Managed,
    /// Use its control channel besides.
    Shim,
}

impl Role {
    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Relay => "relay",
        }
    }
}

impl Profile {
    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Managed => "managed",
            Self::Shim => "shim",
        }
    }
}

/// What a case returns while it runs.
pub type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// How a case is run.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// One fault while a link comes up.
    Handshake(&'static crate::cases::link::HandshakeFault),
    /// One fault while a link comes up that the target dialled.
    Dialled(&'static crate::cases::dialled::ReplyFault),
    /// One fault on a link that is up.
    Frame(&'static crate::cases::link_frames::FrameFault),
    /// One fault in an envelope, sent by an accepted contact.
    Letter(&'static crate::cases::letters::LetterFault),
    /// Anything else.
    Script(for<'a> fn(&'a mut Ctx) -> Running<'a>),
}

/// One pair of requirement and fault, or a requirement that is seen kept.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `area.fault`; never given to another case.
    pub id: &'static str,
    /// The requirement that it judges.
    pub req: &'static str,
    /// For which targets.
    pub role: Role,
    /// What it needs.
    pub profile: Profile,
    /// Whether it waits more than 5 s for something that takes its time.
    pub slow: bool,
    /// Raised when a change of the case can change its verdict.
    pub version: u16,
    /// What it does, and what passes.
    pub about: &'static str,
    /// How it is run.
    pub run: Run,
}

impl Case {
    /// Whether it can run beside others of its kind: it plays strangers that nobody has met,
    /// one connection at a time, and leaves nothing behind.
    #[must_use]
    pub fn disturbs_nobody(&self) -> bool {
        matches!(self.run, Run::Handshake(_) | Run::Frame(_))
    }

    /// Whether nothing else runs meanwhile, on no target: it measures what others get.
    #[must_use]
    pub fn wants_calm(&self) -> bool {
        self.id.starts_with("attack")
    }

    /// How much its requirement binds; a MUST where there is none, which a test rules out.
    #[must_use]
    pub fn level(&self) -> Level {
        crate::spec::requirement(self.req).map_or(Level::Must, |found| found.level)
    }
}

/// What a case has to work with.
#[derive(Debug)]
pub struct Ctx {
    /// Where the target listens.
    pub target: SocketAddr,
    /// Choices: the same for the same seed.
    pub choose: Rng,
    /// Nonces and keys: never twice the same, so that a target that remembers is not misled.
    pub fresh: Rng,
    /// How long one answer may take.
    pub deadline: Duration,
    /// What went over the wire.
    pub log: Log,
    /// The target's process, where the suite started it.
    pub process: Option<Arc<Mutex<Spawned>>>,
    /// Starts more targets, where the suite was told how.
    pub program: Option<Arc<Program>>,
    /// What the target says is smaller than the documents' numbers.
    pub limits: Arc<BTreeMap<String, u64>>,
    /// What the clocks of the case's own target are ahead of ours, ms.
    pub ahead: u64,
}

impl Ctx {
    /// A context of its own for a case.
    #[must_use]
    pub fn new(target: SocketAddr, seed: u64, deadline: Duration, case: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self {
            target,
            choose: Rng::new(&seed.to_be_bytes(), case),
            fresh: Rng::new(&now.to_be_bytes(), case),
            deadline,
            log: Log::default(),
            process: None,
            program: None,
            limits: Arc::default(),
            ahead: 0,
        }
    }

    /// A limit of the target: the documents' number, or the smaller one of its features file.
    #[must_use]
    pub fn limit(&self, name: &str, documents: u64) -> u64 {
        self.limits.get(name).map_or(documents, |own| documents.min(*own))
    }

    /// The wall clock, ms; that of the target where the case has moved it.
    #[must_use]
    pub fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(self.ahead)
    }

    /// A target of the case's own, new, with what is said of
    /// `settings` in annex-targets.md, section 4; it ends with the value.
    ///
    /// # Errors
    /// `not-tested` when the suite was not told how to start one or to set it up; a failure
    /// when it does not start.
    pub async fn own_target(&mut self, settings: &Value) -> Result<Spawned, Verdict> {
        let lacking = |text: &str| Verdict::NotTested(text.to_owned());
        let program = self.program.clone().ok_or_else(|| lacking("it needs --spawn"))?;
        let wanted = settings.as_object().is_some_and(|map| !map.is_empty());
        if wanted && !program.takes("settings") {
            return Err(lacking("the command line of --spawn has no {settings}"));
        }
        let started = program.start(settings).await;
        let spawned = started.map_err(|e| Verdict::Fail(format!("it does not start: {e}")))?;
        self.log.add(crate::peer::Direction::Note, "a target of its own was started", &[]);
        self.target = spawned.address;
        Ok(spawned)
    }

    /// The same, with its control channel.
    ///
    /// # Errors
    /// As [`Self::own_target`], and when the channel is not what the annex has.
    pub async fn own_user(&mut self, settings: &Value) -> Result<Operated, Verdict> {
        if self.program.as_ref().is_none_or(|program| !program.takes("control")) {
            let text = "the command line of --spawn has no {control}";
            return Err(Verdict::NotTested(text.to_owned()));
        }
        let spawned = self.own_target(settings).await?;
        let control = Control::connect(&spawned.control, self.log.clone()).await?;
        Ok(Operated { spawned, control })
    }

    /// A plan for a person's usual device, in a new start.
    pub fn plan<'a>(&mut self, person: &'a Person) -> Plan<'a> {
        Plan {
            person,
            device_id: person.device_id,
            instance_id: self.fresh.array(),
            deviation: None,
        }
    }

    /// Dials.
    ///
    /// # Errors
    /// A verdict when not even a connection can be made.
    pub async fn dial(&mut self, plan: &Plan<'_>) -> Result<Reached, Verdict> {
        dial(self.target, plan, &mut self.fresh, self.deadline, &self.log)
            .await
            .map_err(|error| Verdict::Fail(format!("no connection is accepted: {error}")))
    }

    /// An honest link.
    ///
    /// # Errors
    /// A verdict that says how far it came.
    pub async fn link(&mut self, person: &Person) -> Result<Box<Link>, Verdict> {
        let plan = self.plan(person);
        match self.dial(&plan).await? {
            Reached::Up(link) => Ok(link),
            Reached::First(ended, _) => {
                Err(unserved(&format!("an honest link gets no message 2: {ended}"), &ended))
            }
            Reached::Second(ended, _) => {
                Err(unserved(&format!("an honest link gets no Auth: {ended}"), &ended))
            }
        }
    }

    /// What holds after every negative case: somebody else is served.
    ///
    /// # Errors
    /// A verdict when nobody is.
    pub async fn still_serves(&mut self) -> Result<(), Verdict> {
        self.log.add(crate::peer::Direction::Note, "does a fresh connection work?", &[]);
        let person = Person::stranger(&mut self.fresh);
        let mut link = self.link(&person).await?;
        link.ping()
            .await
            .map_err(|ended| unserved(&format!("a fresh link answers no ping: {ended}"), &ended))
    }
}

/// A verdict for an honest peer that is not served: a time-out alone decides nothing.
#[must_use]
pub fn unserved(text: &str, ended: &Ended) -> Verdict {
    match ended {
        Ended::TimedOut => Verdict::Inconclusive(text.to_owned()),
        _ => Verdict::Fail(text.to_owned()),
    }
}
