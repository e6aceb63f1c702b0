//! Whether a node runs, and who has the profile if none answers.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tortalk_node::LockError;
use tortalk_node::control::client::{Client, ClientError};
use tortalk_node::control::protocol::{Diagnosis, ErrorKind, Request, Response, Status};
use tortalk_node::profile::{self, OpenError};

use super::{Check, Findings, holder};
use crate::context::Context;

/// A node that is at work for its disk answers within this time.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A node that is just starting, or a command that takes a moment, has the
/// profile for so long without an answer.
const IN_USE_FOR: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What there is on the profile.
pub(super) enum Found {
    /// A node that answers.
    Running(Box<Running>),
    /// A process that has it and does not answer.
    Silent,
    /// Nobody.
    None,
}

/// What a running node says of itself.
pub(super) struct Running {
    pub(super) status: Status,
    /// `None` from a node of an older version.
    pub(super) diagnosis: Option<Diagnosis>,
}

pub(super) async fn look(context: &Context, found: &mut Findings) -> Found {
    let began = Instant::now();
    loop {
        match timeout(ANSWER_MAX, ask(&context.dir)).await {
            Ok(Ok(running)) => return tell_of(running, found),
            Ok(Err(ClientError::NotRunning)) => {}
            Ok(Err(error)) => {
                found.wrong(Check::Node, error.to_string());
                return Found::None;
            }
            Err(_) => {
                silent(holder_of(&context.dir).flatten(), found);
                return Found::Silent;
            }
        }
        match holder_of(&context.dir) {
            Some(_) if began.elapsed() < IN_USE_FOR => tokio::time::sleep(LOOK_EVERY).await,
            Some(pid) => {
                silent(pid, found);
                return Found::Silent;
            }
            None => {
                let line = "no node runs: messages come in only while one does; `tortalk run`";
                found.note(Check::Node, line);
                return Found::None;
            }
        }
    }
}

async fn ask(dir: &Path) -> Result<Running, ClientError> {
    let client = Client::connect(dir).await?;
    let Response::Status(status) = client.request(Request::Status).await? else {
        return Err(ClientError::Answer);
    };
    let diagnosis = match client.request(Request::Diagnose).await {
        Ok(Response::Diagnosis(diagnosis)) => Some(*diagnosis),
        Ok(_) => return Err(ClientError::Answer),
        Err(ClientError::Refused(error)) if error.kind == ErrorKind::BadRequest => None,
        Err(error) => return Err(error),
    };
    Ok(Running { status: *status, diagnosis })
}

fn tell_of(running: Running, found: &mut Findings) -> Found {
    let status = &running.status;
    found.good(Check::Node, format!("runs as process {}", status.pid));
    if running.diagnosis.is_none() {
        let line = "it is of an older version, and the network was not asked of it: restart it";
        found.note(Check::Node, line);
    }
    match &status.store_failed {
        Some(failed) => found.wrong(Check::Store, failed),
        None => found.good(Check::Store, "takes what it is given"),
    }
    Found::Running(Box::new(running))
}

/// Who has the profile's folder, if anybody has; the number where it is known.
fn holder_of(dir: &Path) -> Option<Option<u32>> {
    match profile::open(dir, None) {
        Err(OpenError::Lock(LockError::InUse { pid, .. })) => Some(pid),
        _ => None,
    }
}

fn silent(pid: Option<u32>, found: &mut Findings) {
    let who = pid.map_or_else(|| "another process".to_owned(), holder::process);
    let line =
        format!("{who} has this profile open and does not answer: wait until it ends, or end it");
    found.wrong(Check::Process, line);
}
