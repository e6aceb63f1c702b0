//! Smaller plans that fail in the same way.

use crate::plan::Plan;
use crate::trace::Keep;
use crate::violation::Invariant;

/// Runs that are spent on it.
const RUNS_MAX: usize = 400;

/// Leaves out of a failing plan whatever is not needed for it to break the same
/// promise: first large parts of its incidents, then single ones, then
/// friendships. What is left need not be the least, but it is less.
pub fn smallest(plan: &Plan, invariant: Invariant) -> Plan {
    let mut search = Search { best: plan.clone(), invariant, runs: 0 };
    let mut size = search.best.incidents.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < search.best.incidents.len() {
            let mut smaller = search.best.clone();
            let to = (from + size).min(smaller.incidents.len());
            smaller.incidents.drain(from..to);
            if !search.takes(smaller) {
                from += size;
            }
        }
        size /= 2;
    }
    let mut at = 0;
    while at < search.best.friends.len() {
        let mut smaller = search.best.clone();
        smaller.friends.remove(at);
        if !search.takes(smaller) {
            at += 1;
        }
    }
    search.best
}

struct Search {
    best: Plan,
    invariant: Invariant,
    runs: usize,
}

impl Search {
    /// Whether this plan fails likewise; it is the best then.
    fn takes(&mut self, plan: Plan) -> bool {
        self.runs += 1;
        if self.runs > RUNS_MAX {
            return false;
        }
        let violation = crate::run(&plan, Keep::Last).violation;
        let same = violation.is_some_and(|violation| violation.invariant == self.invariant);
        if same {
            self.best = plan;
        }
        same
    }
}
