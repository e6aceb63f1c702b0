//! Runs the cases that were chosen, with sanity first and last.

mod bench;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::LocalSet;

use self::bench::{Bench, Place};
use crate::case::{Case, Ctx, Profile, Role, Run};
use crate::features::Features;
use crate::peer::Entry;
use crate::spec::Level;
use crate::target::{Program, Spawned};
use crate::verdict::{Exit, Verdict};
use crate::{cases, probe, vectors};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of the target.
    pub role: Role,
    /// What the suite may do with it.
    pub profile: Profile,
    /// Which cases; an empty list is all.
    pub globs: Vec<String>,
    /// Whether of these only the ones that need all of `profile`.
    pub only_profile: bool,
    /// Cases that are known to fail, with the reason.
    pub known_failing: BTreeMap<String, String>,
    /// Whether a SHOULD counts like a MUST.
    pub strict: bool,
    /// Whether cases run that wait more than 5 s.
    pub slow: bool,
    /// Of the choices that cases make.
    pub seed: u64,
    /// What the target says of itself.
    pub features: Features,
    /// What is tested, in words.
    pub target: String,
    /// The command that leads to the same target.
    pub again: String,
    /// How many targets are tested at once, where the suite starts them.
    pub jobs: usize,
    /// Whether a vector is changed, to see that the suite notices.
    pub wrong_vector: bool,
}

/// The target where the suite started it, and what starts more.
#[derive(Debug, Clone)]
pub struct Started {
    /// Starts more.
    pub program: Arc<Program>,
    /// The one that is tested.
    pub process: Arc<Mutex<Spawned>>,
}

/// What one case came to.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub case: Case,
    /// What it found.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What went over the wire.
    pub transcript: Vec<Entry>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// In the order in which they ran.
    pub outcomes: Vec<Outcome>,
    /// Of the whole run.
    pub exit: Exit,
    /// Why, where the cases alone do not say it.
    pub remark: Option<String>,
    /// From the first byte to the first answer of an honest peer.
    pub rtt: Duration,
    /// The whole run.
    pub took: Duration,
    /// What was asked for.
    pub options: Options,
}

/// Whether `*` and text match an id.
#[must_use]
pub fn matches(glob: &str, id: &str) -> bool {
    match glob.split_once('*') {
        None => glob == id,
        Some((head, tail)) => id.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))
        }),
    }
}

/// The cases that were chosen.
#[must_use]
pub fn selected(options: &Options) -> Vec<Case> {
    let wanted = |case: &Case| {
        case.role == options.role
            && (!options.only_profile || case.profile == options.profile)
            && (options.globs.is_empty() || options.globs.iter().any(|g| matches(g, case.id)))
    };
    cases::all().into_iter().filter(wanted).collect()
}

/// The suite's own stack against the vectors, one of them wrong if asked for; what differs.
///
/// # Errors
/// A line for each vector that differs.
pub fn self_check(wrong_vector: bool) -> Result<usize, Vec<String>> {
    let mut all = vectors::all();
    if wrong_vector {
        all.iter_mut().take(1).for_each(|vector| vector.expect.push('?'));
    }
    let differing: Vec<String> = all
        .iter()
        .filter_map(|vector| {
            let answer = vectors::own::answer(vector.object, &vector.input);
            let difference = vectors::difference(vector, &answer)?;
            Some(format!("{}/{}: {difference}", vector.object, vector.id))
        })
        .collect();
    if differing.is_empty() { Ok(all.len()) } else { Err(differing) }
}

/// Below the 5 s after which a target closes whatever does not come up (LNK-45).
const DEADLINE_MAX: Duration = Duration::from_secs(4);
const DEADLINE_MIN: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// Which of the targets the case of this task is run against.
    pub static PLACE: usize;
}

/// Runs. Cases of strangers that share nothing run together; of all others one at a time on
/// each target; `each` is told in the order of the list.
pub async fn run(
    target: SocketAddr,
    process: Option<Started>,
    options: Options,
    each: impl FnMut(&Outcome),
) -> Report {
    let mut report = Report {
        outcomes: Vec::new(),
        exit: Exit::Unreachable,
        remark: None,
        rtt: Duration::ZERO,
        took: Duration::ZERO,
        options,
    };
    let started = Instant::now();
    if let Err(differing) = self_check(report.options.wrong_vector) {
        report.exit = Exit::SelfCheck;
        report.remark = Some(format!("the suite differs from the vectors: {}", differing[0]));
        return report;
    }
    let chosen = selected(&report.options);
    if chosen.is_empty() {
        report.exit = Exit::NothingSelected;
        report.remark = Some("no case was selected".to_owned());
        return report;
    }
    let (role, seed) = (report.options.role, report.options.seed);
    let mut ctx = Ctx::new(target, seed, DEADLINE_MAX, "sanity.first");
    let first = sanity(&mut ctx, role).await;
    if first != Verdict::Pass {
        report.remark = Some(format!("an honest peer is not served: {}", first.detail()));
        return report;
    }
    report.rtt = started.elapsed();
    let deadline = (report.rtt * 100).clamp(DEADLINE_MIN, DEADLINE_MAX);
    let mut ctx = Ctx::new(target, seed, deadline, "sanity.probe");
    let control = match &process {
        Some(started) if report.options.profile == Profile::Shim => {
            Some(started.process.lock().await.control.clone())
        }
        _ => None,
    };
    let invented = match probe::invents(&mut ctx, role, control.as_deref()).await {
        Ok(invented) => invented,
        Err(verdict) => Some(verdict.detail().to_owned()),
    };
    let options = report.options.clone();
    let mut places = vec![Place { target, process: process.clone() }];
    for _ in 1..report.options.jobs {
        let Some(started) = &process else { break };
        match started.program.start(&json!({})).await {
            Ok(spawned) => {
                let (target, process) = (spawned.address, Arc::new(Mutex::new(spawned)));
                let process = Some(Started { program: Arc::clone(&started.program), process });
                places.push(Place { target, process });
            }
            Err(error) => {
                report.remark = Some(format!("one more target for --jobs: {error}"));
                return report;
            }
        }
    }
    let bench = Arc::new(Bench::new(places, deadline, invented, options));
    // The targets end with the bench, so it stays until an honest peer was served at the end.
    report.outcomes = LocalSet::new().run_until(Arc::clone(&bench).cases(chosen, each)).await;
    report.exit = Exit::of(report.outcomes.iter().map(|outcome| &outcome.verdict));
    kept_after_all(&mut report);
    let mut ctx = Ctx::new(target, seed, DEADLINE_MAX, "sanity.last");
    let last = sanity(&mut ctx, role).await;
    if last != Verdict::Pass {
        report.exit = Exit::Unreachable;
        report.remark = Some(format!("at the end an honest peer is not served: {}", last.detail()));
    }
    drop((bench, process));
    report.took = started.elapsed();
    report
}

/// A requirement that the features file excuses, and all cases of which pass, is a fault of
/// that file.
fn kept_after_all(report: &mut Report) {
    for id in report.options.features.keeps_not.keys() {
        let of = |outcome: &&mut Outcome| outcome.case.req == id;
        let mut cases: Vec<_> = report.outcomes.iter_mut().filter(of).collect();
        if cases.is_empty() || cases.iter().any(|outcome| outcome.verdict != Verdict::Pass) {
            continue;
        }
        cases.iter_mut().for_each(|outcome| outcome.verdict = Verdict::UnexpectedPass);
        report.exit = Exit::Failed;
        let text = format!("the features file says that {id} is not kept, and it is: take it out");
        report.remark = Some(text);
    }
}

impl Report {
    /// How many cases did not run because they are slow, and how many for want of a profile.
    #[must_use]
    pub fn left_out(&self) -> (usize, usize) {
        let options = &self.options;
        let not_run = self.outcomes.iter().filter(|o| matches!(o.verdict, Verdict::NotTested(_)));
        let (profile, rest): (Vec<_>, Vec<_>) =
            not_run.partition(|outcome| outcome.case.profile > options.profile);
        let slow = rest.iter().filter(|outcome| outcome.case.slow && !options.slow).count();
        (slow, profile.len())
    }
}

async fn sanity(ctx: &mut Ctx, role: Role) -> Verdict {
    match role {
        Role::Node => cases::gossip::sanity(ctx).await,
        Role::Relay => cases::relay::sanity(ctx).await,
    }
}

/// Runs one case and nothing around it.
pub async fn run_case(ctx: &mut Ctx, case: &Case) -> Verdict {
    match case.run {
        Run::Handshake(fault) => cases::link::run(ctx, fault).await,
        Run::Dialled(fault) => cases::dialled::run(ctx, fault).await,
        Run::Frame(fault) => cases::link_frames::run(ctx, fault).await,
        Run::Letter(fault) => cases::letters::run(ctx, fault).await,
        Run::Script(script) => script(ctx).await,
    }
}

/// A verdict with what is known beforehand: the level, and the list of known failures.
#[must_use]
pub fn judged(found: Verdict, case: &Case, options: &Options) -> Verdict {
    let found = match found {
        Verdict::Fail(text) if case.level() != Level::Must && !options.strict => {
            Verdict::Warn(text)
        }
        Verdict::Warn(text) if options.strict => Verdict::Fail(text),
        other => other,
    };
    let known = options.known_failing.get(case.id);
    match (known, options.features.keeps_not.get(case.req), found) {
        (Some(reason), _, Verdict::Fail(text)) | (None, Some(reason), Verdict::Fail(text)) => {
            Verdict::ExpectedFail(format!("{text}; known: {reason}"))
        }
        (Some(_), _, Verdict::Pass) => Verdict::UnexpectedPass,
        (_, _, found) => found,
    }
}

#[cfg(test)]
mod tests;
