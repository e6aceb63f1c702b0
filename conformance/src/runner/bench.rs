//! Which case runs when, and against which of the targets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{RwLock, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::{Options, Outcome, PLACE, Started, judged, run_case};
use crate::case::{Case, Ctx};
use crate::peer::CASE_LOG;
use crate::verdict::Verdict;

/// How many cases run at once that disturb nobody: below the eight connections that one
/// address may have before it is authenticated (LIM-02), since some of them are left half open.
const AT_ONCE: usize = 4;
/// After this a case that does not end is given up.
const CASE_MAX: Duration = Duration::from_secs(90);
/// The same for those that are slow.
const SLOW_MAX: Duration = Duration::from_secs(900);
/// One target, and what started it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) target: SocketAddr,
    pub(super) process: Option<Started>,
}

/// What all cases of a run share.
#[derive(Debug)]
pub(super) struct Bench {
    /// Cases that disturb nobody share a target; others have one to themselves.
    places: Vec<RwLock<Place>>,
    /// Numbers of the places that no case has to itself.
    free: std::sync::Mutex<Vec<usize>>,
    alone: Semaphore,
    together: Semaphore,
    deadline: Duration,
    /// What the target claims to know that does not exist.
    invented: Option<String>,
    options: Options,
}

impl Bench {
    pub(super) fn new(
        places: Vec<Place>,
        deadline: Duration,
        invented: Option<String>,
        options: Options,
    ) -> Self {
        let count = places.len();
        Self {
            places: places.into_iter().map(RwLock::new).collect(),
            free: std::sync::Mutex::new((0..count).rev().collect()),
            alone: Semaphore::new(count),
            together: Semaphore::new(AT_ONCE * count),
            deadline,
            invented,
            options,
        }
    }

    pub(super) async fn cases(
        self: Arc<Self>,
        chosen: Vec<Case>,
        mut each: impl FnMut(&Outcome),
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut running: VecDeque<(Case, JoinHandle<Outcome>)> = VecDeque::new();
        // An end of the list, and what wants calm, wait for all before.
        for (number, case) in chosen.into_iter().map(Some).chain([None]).enumerate() {
            let most = match case {
                Some(case) if !case.wants_calm() => AT_ONCE * self.places.len(),
                _ => 0,
            };
            while running.len() > most {
                let Some((case, handle)) = running.pop_front() else { break };
                outcomes.push(handle.await.unwrap_or_else(|_| panicked(case)));
                outcomes.iter().last().into_iter().for_each(&mut each);
            }
            let Some(case) = case else { break };
            let bench = Arc::clone(&self);
            let handle = spawn_local(async move { bench.placed(number, case).await });
            if case.wants_calm() {
                outcomes.push(handle.await.unwrap_or_else(|_| panicked(case)));
                outcomes.iter().last().into_iter().for_each(&mut each);
            } else {
                running.push_back((case, handle));
            }
        }
        outcomes
    }

    /// Waits for a target, and runs a case there.
    async fn placed(&self, number: usize, case: Case) -> Outcome {
        if case.disturbs_nobody() {
            let _permit = self.together.acquire().await;
            let at = number % self.places.len();
            let place = self.places[at].read().await;
            return PLACE.scope(at, self.case(&place, case)).await;
        }
        let _permit = self.alone.acquire().await;
        let at = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let _back = Back { free: &self.free, at };
        let place = self.places[at].write().await;
        PLACE.scope(at, self.case(&place, case)).await
    }

    async fn case(&self, place: &Place, case: Case) -> Outcome {
        let mut ctx = Ctx::new(place.target, self.options.seed, self.deadline, case.id);
        ctx.limits = Arc::new(self.options.features.limits.clone());
        if let Some(started) = &place.process {
            ctx.program = Some(Arc::clone(&started.program));
            ctx.process = Some(Arc::clone(&started.process));
        }
        let started = Instant::now();
        let found = if let Some(group) = self.options.features.lacks(&case) {
            Verdict::Unsupported(format!("the features file says that {group} is absent"))
        } else if case.profile > self.options.profile {
            Verdict::NotTested(format!("it needs the profile {}", case.profile.word()))
        } else if case.slow && !self.options.slow {
            Verdict::NotTested("it waits more than 5 s: see --slow".to_owned())
        } else {
            let most = if case.slow { SLOW_MAX } else { CASE_MAX };
            let log = ctx.log.clone();
            let running = CASE_LOG.scope(log, timeout(most, run_case(&mut ctx, &case)));
            let late = |_| Verdict::Inconclusive(format!("it did not end within {most:?}"));
            running.await.unwrap_or_else(late)
        };
        let found = match (found, &self.invented) {
            (Verdict::Unsupported(text), Some(invented)) => {
                Verdict::Fail(format!("{text}; that is not believed: {invented}"))
            }
            (found, _) => found,
        };
        let verdict = judged(found, &case, &self.options);
        Outcome { case, verdict, took: started.elapsed(), transcript: ctx.log.entries() }
    }
}

/// Gives a place back, also where the case panics.
struct Back<'a> {
    free: &'a std::sync::Mutex<Vec<usize>>,
    at: usize,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.at);
    }
}

fn panicked(case: Case) -> Outcome {
    let verdict = Verdict::Error("the case panicked".to_owned());
    Outcome { case, verdict, took: Duration::ZERO, transcript: Vec::new() }
}
