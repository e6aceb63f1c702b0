//! Runs the cases that were chosen, with sanity first and last.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::case::{Case, Ctx, Profile, Role, Run};
use crate::peer::Entry;
use crate::spec::Level;
use crate::target::{Program, Spawned};
use crate::verdict::{Exit, Verdict};
use crate::{cases, vectors};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of the target.
    pub role: Role,
    /// What the suite may do with it.
    pub profile: Profile,
    /// Which cases; an empty list is all.
    pub globs: Vec<String>,
    /// Cases that are known to fail, with the reason.
    pub known_failing: BTreeMap<String, String>,
    /// Whether a SHOULD counts like a MUST.
    pub strict: bool,
    /// Whether cases run that wait more than 5 s.
    pub slow: bool,
    /// Of the choices that cases make.
    pub seed: u64,
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
    /// Time from a ping to its pong.
    pub rtt: Duration,
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
            && (options.globs.is_empty() || options.globs.iter().any(|g| matches(g, case.id)))
    };
    cases::all().into_iter().filter(wanted).collect()
}

/// The suite's own stack against the vectors; what differs.
///
/// # Errors
/// A line for each vector that differs.
pub fn self_check() -> Result<usize, Vec<String>> {
    let all = vectors::all();
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

/// Runs.
pub async fn run(
    target: SocketAddr,
    process: Option<Started>,
    options: Options,
    mut each: impl FnMut(&Outcome),
) -> Report {
    /// Below the 5 s after which a target closes whatever does not come up (LNK-45).
    const DEADLINE_MAX: Duration = Duration::from_secs(4);
    const DEADLINE_MIN: Duration = Duration::from_secs(2);
    let mut report = Report {
        outcomes: Vec::new(),
        exit: Exit::Unreachable,
        remark: None,
        rtt: Duration::ZERO,
        options,
    };
    if let Err(differing) = self_check() {
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
    let seed = report.options.seed;
    let started = Instant::now();
    let mut ctx = Ctx::new(target, seed, DEADLINE_MAX, "sanity.first");
    let first = sanity(&mut ctx, report.options.role).await;
    if first != Verdict::Pass {
        report.remark = Some(format!("an honest peer is not served: {}", first.detail()));
        return report;
    }
    report.rtt = started.elapsed();
    let deadline = (report.rtt * 100).clamp(DEADLINE_MIN, DEADLINE_MAX);
    for case in chosen {
        let mut ctx = Ctx::new(target, seed, deadline, case.id);
        if let Some(started) = &process {
            ctx.program = Some(Arc::clone(&started.program));
            ctx.process = Some(Arc::clone(&started.process));
        }
        let started = Instant::now();
        let found = if case.profile > report.options.profile {
            Verdict::NotTested(format!("it needs the profile {}", case.profile.word()))
        } else if case.slow && !report.options.slow {
            Verdict::NotTested("it waits more than 5 s: see --slow".to_owned())
        } else {
            run_case(&mut ctx, &case).await
        };
        let outcome = Outcome {
            case,
            verdict: judged(found, &case, &report.options),
            took: started.elapsed(),
            transcript: ctx.log.entries(),
        };
        each(&outcome);
        report.outcomes.push(outcome);
    }
    report.exit = Exit::of(report.outcomes.iter().map(|outcome| &outcome.verdict));
    let mut ctx = Ctx::new(target, seed, DEADLINE_MAX, "sanity.last");
    let last = sanity(&mut ctx, report.options.role).await;
    if last != Verdict::Pass {
        report.exit = Exit::Unreachable;
        report.remark = Some(format!("at the end an honest peer is not served: {}", last.detail()));
    }
    report
}

async fn sanity(ctx: &mut Ctx, role: Role) -> Verdict {
    match role {
        Role::Node => cases::gossip::sanity(ctx).await,
        Role::Relay => cases::relay::sanity(ctx).await,
    }
}

async fn run_case(ctx: &mut Ctx, case: &Case) -> Verdict {
    match case.run {
        Run::Handshake(fault) => cases::link::run(ctx, fault).await,
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
    match (options.known_failing.contains_key(case.id), found) {
        (true, Verdict::Fail(text)) => Verdict::ExpectedFail(text),
        (true, Verdict::Pass) => Verdict::UnexpectedPass,
        (_, found) => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert!(matches("*", "link.early"));
        assert!(matches("link.*", "link.early"));
        assert!(matches("*auth*", "link.auth-split"));
        assert!(!matches("link", "link.early"));
        assert!(!matches("gossip.*", "link.early"));
    }

    #[test]
    fn known_failures_are_judged_and_stale_ones_fail() {
        let case = cases::all()[0];
        let mut options = Options {
            role: Role::Node,
            profile: Profile::Wire,
            globs: Vec::new(),
            known_failing: BTreeMap::from([(case.id.to_owned(), "so it is".to_owned())]),
            strict: false,
            slow: false,
            seed: 0,
        };
        let fail = || Verdict::Fail("no".to_owned());
        assert_eq!(judged(fail(), &case, &options).word(), "xfail");
        assert_eq!(judged(Verdict::Pass, &case, &options).word(), "xpass");
        options.known_failing.clear();
        assert_eq!(judged(fail(), &case, &options).word(), "fail");
    }

    #[test]
    fn a_should_warns_unless_strict() {
        let all = cases::all();
        let case = all.iter().find(|case| case.level() == Level::Should).expect("LNK-24 has one");
        let mut options = Options {
            role: Role::Node,
            profile: Profile::Wire,
            globs: Vec::new(),
            known_failing: BTreeMap::new(),
            strict: false,
            slow: false,
            seed: 0,
        };
        assert_eq!(judged(Verdict::Fail(String::new()), case, &options).word(), "warn");
        options.strict = true;
        assert_eq!(judged(Verdict::Fail(String::new()), case, &options).word(), "fail");
    }
}
