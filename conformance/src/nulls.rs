//! Targets that implement nothing, or nearly: what a case does not tell from a right program.
//!
//! Each is served on loopback and every wire case runs against it, sanity or not. The cases
//! that may pass stand in `null-targets.toml`; a new one there is a weak oracle.

mod serve;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use crate::case::{Case, Ctx, Profile, Role};
use crate::verdict::Verdict;
use crate::{cases, relay_client, runner};

/// The cases that each null target may pass.
pub const ALLOWED: &str = include_str!("../null-targets.toml");

/// What a null target does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Closes it at once.
    Closes,
    /// Reads everything and says nothing.
    Silent,
    /// Sends everything back.
    Echoes,
    /// Does not even accept it.
    Mute,
    /// A node of version 2.
    OtherVersion,
    /// A node that comes up and then says yes to everything.
    NodeYes,
    /// A node that comes up and then closes on everything.
    NodeNo,
    /// Answers HTTP/1.1 200 to whatever comes.
    Http1,
    /// gRPC: OK and an empty message to every call.
    RelayYes,
    /// gRPC: `INVALID_ARGUMENT` to every call.
    RelayNo,
}

/// One null target.
#[derive(Debug)]
pub struct Null {
    /// In `null-targets.toml`.
    pub name: &'static str,
    /// What it is taken for.
    pub role: Role,
    /// What it does.
    pub kind: Kind,
    /// The same in words.
    pub about: &'static str,
}

const fn null(name: &'static str, role: Role, kind: Kind, about: &'static str) -> Null {
    Null { name, role, kind, about }
}

/// All of them.
#[rustfmt::skip] // a table
pub const NULLS: &[Null] = &[
    null("node-closes", Role::Node, Kind::Closes, "closes at once"),
    null("node-silent", Role::Node, Kind::Silent, "accepts everything and says nothing"),
    null("node-echoes", Role::Node, Kind::Echoes, "sends everything back"),
    null("node-mute", Role::Node, Kind::Mute, "never accepts"),
    null("node-version-2", Role::Node, Kind::OtherVersion, "speaks another version"),
    null("node-yes", Role::Node, Kind::NodeYes, "comes up, stores everything, knows everything"),
    null("node-no", Role::Node, Kind::NodeNo, "comes up and closes on everything"),
    null("relay-closes", Role::Relay, Kind::Closes, "closes at once"),
    null("relay-silent", Role::Relay, Kind::Silent, "accepts everything and says nothing"),
    null("relay-echoes", Role::Relay, Kind::Echoes, "sends everything back"),
    null("relay-mute", Role::Relay, Kind::Mute, "never accepts"),
    null("relay-http-1", Role::Relay, Kind::Http1, "speaks another version of HTTP"),
    null("relay-yes", Role::Relay, Kind::RelayYes, "OK and an empty message to everything"),
    null("relay-no", Role::Relay, Kind::RelayNo, "INVALID_ARGUMENT to everything"),
];

/// What came of one.
#[derive(Debug)]
pub struct Found {
    /// How many cases ran.
    pub cases: usize,
    /// Those that passed, sorted.
    pub passed: Vec<&'static str>,
    /// For all.
    pub took: Duration,
}

/// Reads `null-targets.toml`: the cases by the name of the target that may pass them.
///
/// # Errors
/// A line that says what is wrong.
pub fn allowed(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("null-targets.toml: {error}"))?;
    let all = cases::all();
    let mut allowed = BTreeMap::new();
    for (name, value) in &table {
        if !NULLS.iter().any(|null| null.name == name) {
            return Err(format!("null-targets.toml: there is no null target {name}"));
        }
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let ids: Vec<String> =
            list.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        if let Some(id) = ids.iter().find(|id| !all.iter().any(|case| case.id == **id)) {
            return Err(format!("null-targets.toml: {name}: there is no case {id}"));
        }
        allowed.insert(name.clone(), ids);
    }
    Ok(allowed)
}

/// Serves one on loopback until the process ends.
///
/// # Errors
/// When no port is free.
pub fn start(kind: Kind) -> io::Result<SocketAddr> {
    serve::start(kind)
}

/// Runs every quick wire case against one.
///
/// # Errors
/// When no port of loopback is free.
pub async fn run(null: &Null) -> io::Result<Found> {
    // One that answers at all gets the time to do so on a busy machine.
    let (deadline, at_once) = match null.kind {
        Kind::NodeYes | Kind::NodeNo | Kind::RelayYes | Kind::RelayNo => (800, 24),
        _ => (150, 64),
    };
    relay_client::unpaced();
    let started = Instant::now();
    let target = start(null.kind)?;
    let wanted =
        |case: &Case| case.role == null.role && case.profile == Profile::Wire && !case.slow;
    let chosen: Vec<Case> = cases::all().into_iter().filter(wanted).collect();
    let count = chosen.len();
    let running = each(chosen, target, Duration::from_millis(deadline), at_once);
    let mut passed = LocalSet::new().run_until(running).await;
    passed.sort_unstable();
    Ok(Found { cases: count, passed, took: started.elapsed() })
}

/// The ids of those that pass.
async fn each(
    chosen: Vec<Case>,
    target: SocketAddr,
    deadline: Duration,
    at_once: usize,
) -> Vec<&'static str> {
    /// Some cases wait on purpose; whatever needs longer than this has not passed.
    const MOST: Duration = Duration::from_secs(12);
    let places = Arc::new(Semaphore::new(at_once));
    let mut handles = Vec::new();
    for case in chosen {
        let places = Arc::clone(&places);
        handles.push(spawn_local(async move {
            let _place = places.acquire().await;
            let mut ctx = Ctx::new(target, 1, deadline, case.id);
            let verdict = timeout(MOST, runner::run_case(&mut ctx, &case)).await;
            (verdict == Ok(Verdict::Pass)).then_some(case.id)
        }));
    }
    let mut passed = Vec::new();
    for handle in handles {
        // A case that panics has not passed.
        passed.extend(handle.await.ok().flatten());
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_null_targets_and_cases_that_there_are() {
        let list = allowed(ALLOWED).expect("it can be read");
        assert_eq!(list.len(), NULLS.len(), "one line for each");
        assert!(allowed("no-such = []").is_err());
        assert!(allowed("node-closes = [\"no.such\"]").is_err());
    }
}
