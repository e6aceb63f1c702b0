//! Ids that documents name: each exists, and the threat model rests on nothing
//! that is not held.

use super::spec::Id;
use super::{Trace, coverage};
use crate::repo::Tree;
use crate::report::Report;

const THREATS: &str = "spec/threats.md";
/// How a table of the threat model begins whose rows owe an id.
const CANNOT: &str = "| cannot |";

/// Every id that a document names is in the spec. In the threat model each is a
/// MUST with a test or a plan, and each "cannot" names one.
pub(super) fn check(trace: &Trace, tree: &Tree, report: &mut Report) {
    for (path, text) in tree.matching("", ".md") {
        if path == coverage::PATH {
            continue;
        }
        let spec = path.starts_with("spec/");
        let mut in_cannot = false;
        for (index, line) in text.lines().enumerate() {
            let named = ids(line);
            for id in &named {
                if let Some(problem) = trace.problem(id, path, spec) {
                    report.fault(path, index + 1, problem);
                }
            }
            in_cannot = line.starts_with(CANNOT) || in_cannot && line.starts_with('|');
            let row = in_cannot && !line.starts_with(CANNOT) && !line.starts_with("|--");
            if path == THREATS && row && named.is_empty() {
                report.fault(path, index + 1, "a \"cannot\" without an id; name what holds it");
            }
        }
    }
}

impl Trace {
    fn problem(&self, id: &Id, path: &str, spec: bool) -> Option<String> {
        let requirement = self.spec.requirements.get(id);
        let known_area = self.spec.requirements.keys().any(|other| other.same_area(id));
        match requirement {
            // Other documents may speak of examples.
            None if !spec && !known_area => None,
            None if self.spec.withdrawn.contains_key(id) => None,
            None => Some(format!("{id} is not in the spec; mend the id")),
            Some(_) if path != THREATS => None,
            Some(r) if !r.keyword.is_must() => {
                Some(format!("{id} is a {}; a \"cannot\" rests on a MUST", r.keyword))
            }
            Some(_) if self.is_tested(id) || self.exceptions.is_planned(id) => None,
            Some(_) => Some(format!("{id} has neither test nor plan; name what is held")),
        }
    }
}

/// The ids in a line, a mark that begins a requirement included.
fn ids(line: &str) -> Vec<Id> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        // SHA-512 and the like are no areas of ours.
        .filter(|word| !word.starts_with("SHA-"))
        .filter_map(|word| word.parse().ok())
        .collect()
}
