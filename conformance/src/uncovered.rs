//! Which MUSTs have a case, which have a reason for having none, and which have neither.
//!
//! `uncovered.toml` holds the reasons; `uncovered.lock` holds the ids that may be without a
//! case, so that the list can only shrink: an id that is not in the lock needs a case.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Case, Profile};
use crate::spec::{self, Level};

/// The reasons.
pub const REASONS: &str = include_str!("../uncovered.toml");
/// The ids that may be without a case.
pub const LOCK: &str = include_str!("../uncovered.lock");

/// Why a requirement has no case, and what that means.
pub const KINDS: &[(&str, &str)] = &[
    ("inside", "nothing outside of the target tells"),
    ("user-interface", "what people are shown and asked"),
    ("own-choice", "what the target decides for itself, within bounds that no peer can see"),
    ("probability", "a property of randomness, which no number of tries shows"),
    ("planned", "the part that it binds is not there in any program yet"),
    ("profile", "it needs what no profile of the suite has"),
];

/// One entry of `uncovered.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A word of [`KINDS`].
    pub kind: String,
    /// One line for people.
    pub why: String,
}

/// What may be without a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// How many ids may have neither a case nor a reason.
    pub open: usize,
    /// All ids that may be without a case.
    pub ids: BTreeSet<String>,
}

/// What there is of one requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cover {
    /// A case; the least profile that one of its cases needs.
    Case(Profile),
    /// None, for a reason.
    Excepted(Reason),
    /// Neither.
    Open,
}

/// Every MUST of the documents, in their order, and what there is of it.
#[derive(Debug)]
pub struct Coverage {
    /// Id and cover.
    pub musts: Vec<(String, Cover)>,
    /// What is wrong, a line each.
    pub faults: Vec<String>,
    /// Ids of the lock that are not needed there any more.
    pub stale: Vec<String>,
}

/// Reads `uncovered.toml`.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn reasons(text: &str) -> Result<Vec<(String, Reason)>, String> {
    let file: toml::Table = text.parse().map_err(|error| format!("uncovered.toml: {error}"))?;
    let mut found = Vec::new();
    for (name, value) in &file {
        let entries = value.as_array().filter(|_| name == "requirement");
        for entry in entries.ok_or_else(|| format!("uncovered.toml: {name} is not known"))? {
            let field = |name: &str| {
                let text = entry.get(name).and_then(toml::Value::as_str).unwrap_or_default();
                text.trim().to_owned()
            };
            let (id, kind, why) = (field("id"), field("kind"), field("why"));
            if !KINDS.iter().any(|(word, _)| *word == kind) {
                let words: Vec<_> = KINDS.iter().map(|(word, _)| *word).collect();
                let words = words.join(", ");
                return Err(format!("uncovered.toml: {id}: kind {kind:?} is none of {words}"));
            }
            if why.is_empty() || entry.as_table().is_none_or(|table| table.len() != 3) {
                return Err(format!("uncovered.toml: {id:?} needs id, kind and why, no more"));
            }
            found.push((id, Reason { kind, why }));
        }
    }
    Ok(found)
}

/// Reads `uncovered.lock`.
#[must_use]
pub fn lock(text: &str) -> Lock {
    let mut lock = Lock { open: 0, ids: BTreeSet::new() };
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match line.strip_prefix("open ") {
            Some(count) => lock.open = count.parse().unwrap_or_default(),
            None => drop(lock.ids.insert(line.to_owned())),
        }
    }
    lock
}

impl Lock {
    /// As a file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# MUSTs that may be without a case, and how many of them without a reason too.\n\
             # Written by `conformance --uncovered --bless`, which takes out what has a case.\n",
        );
        text += &format!("open {}\n", self.open);
        for id in &self.ids {
            text += &format!("{id}\n");
        }
        text
    }
}

impl Coverage {
    /// Of all cases of the suite and the files beside it.
    ///
    /// # Errors
    /// When `uncovered.toml` cannot be read.
    pub fn of(cases: &[Case], reasons_text: &str, lock: &Lock) -> Result<Self, String> {
        let listed = reasons(reasons_text)?;
        let mut faults = Vec::new();
        for pair in listed.windows(2) {
            let [(one, _), (next, _)] = pair else { continue };
            if one >= next {
                faults.push(format!("uncovered.toml: {next} after {one}: sort by id, each once"));
            }
        }
        let mut covered: BTreeMap<&str, Profile> = BTreeMap::new();
        for case in cases {
            let least = covered.entry(case.req).or_insert(case.profile);
            *least = case.profile.min(*least);
        }
        let all = spec::requirements();
        let listed: BTreeMap<String, Reason> = listed.into_iter().collect();
        for id in listed.keys() {
            let level = all.iter().find(|r| r.id == *id).map(|r| r.level);
            match (level, covered.get(id.as_str())) {
                (None, _) => faults.push(format!("uncovered.toml: there is no {id} in spec/")),
                (Some(Level::Must), None) => {}
                (Some(Level::Must), Some(_)) => {
                    let names: Vec<_> =
                        cases.iter().filter(|case| case.req == id).map(|case| case.id).collect();
                    let names = names.join(", ");
                    faults.push(format!("uncovered.toml: {id} has a case ({names}): take it out"));
                }
                (Some(_), _) => {
                    faults.push(format!("uncovered.toml: {id} is no MUST: take it out"));
                }
            }
        }
        let mut musts = Vec::new();
        for requirement in all.into_iter().filter(|r| r.level == Level::Must) {
            let id = requirement.id;
            let cover = match (covered.get(id.as_str()), listed.get(&id)) {
                (Some(profile), _) => Cover::Case(*profile),
                (None, Some(reason)) => Cover::Excepted(reason.clone()),
                (None, None) => Cover::Open,
            };
            if !matches!(cover, Cover::Case(_)) && !lock.ids.contains(&id) {
                faults.push(format!(
                    "{id} has no case, and uncovered.lock does not know it: write a case, or, \
                     where none can be written, `conformance --uncovered --bless {id}`"
                ));
            }
            musts.push((id, cover));
        }
        let mut coverage = Self { musts, faults, stale: Vec::new() };
        let open = coverage.open().len();
        if open > lock.open {
            coverage.faults.push(format!(
                "{open} MUSTs have neither a case nor a reason, and {} may: see --requirements",
                lock.open
            ));
        }
        let needed = coverage.without_case();
        coverage.stale = lock.ids.iter().filter(|id| !needed.contains(*id)).cloned().collect();
        Ok(coverage)
    }

    /// The MUSTs without case and reason.
    #[must_use]
    pub fn open(&self) -> Vec<&str> {
        let open = self.musts.iter().filter(|(_, cover)| *cover == Cover::Open);
        open.map(|(id, _)| id.as_str()).collect()
    }

    fn without_case(&self) -> BTreeSet<String> {
        let without = self.musts.iter().filter(|(_, cover)| !matches!(cover, Cover::Case(_)));
        without.map(|(id, _)| id.clone()).collect()
    }

    /// The lock after a blessing: what has a case leaves, and only `ids` may come.
    #[must_use]
    pub fn blessed(&self, lock: &Lock, ids: &[String]) -> Lock {
        let mut needed = self.without_case();
        needed.retain(|id| lock.ids.contains(id) || ids.contains(id));
        Lock { open: self.open().len(), ids: needed }
    }

    /// How many MUSTs have a case that needs this profile and no greater one.
    #[must_use]
    pub fn by(&self, profile: Profile) -> usize {
        self.musts.iter().filter(|(_, cover)| *cover == Cover::Case(profile)).count()
    }

    /// How many MUSTs are excepted for a kind of reason.
    #[must_use]
    pub fn excepted(&self, word: &str) -> usize {
        let is = |cover: &Cover| matches!(cover, Cover::Excepted(reason) if reason.kind == word);
        self.musts.iter().filter(|(_, cover)| is(cover)).count()
    }

    /// The table of `--requirements`.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{:>4} MUSTs in spec {}\n", self.musts.len(), spec::fingerprint());
        for profile in [Profile::Wire, Profile::Managed, Profile::Shim] {
            text += &format!("{:>4} have a case, profile {}\n", self.by(profile), profile.word());
        }
        for (word, meaning) in KINDS {
            text += &format!("{:>4} excepted, {word}: {meaning}\n", self.excepted(word));
        }
        let vectors = crate::vectors::all();
        let without = self.without_case();
        let shown = without.iter().filter(|id| vectors.iter().any(|v| v.req.contains(id))).count();
        text += &format!("{shown:>4} without a case have vectors: see `conformance vectors`\n");
        let open = self.open();
        text += &format!("{:>4} open: neither a case nor a reason", open.len());
        let mut documents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for requirement in spec::requirements() {
            if let Some(id) = open.iter().find(|id| **id == requirement.id) {
                documents.entry(requirement.document).or_default().push(id);
            }
        }
        for (document, ids) in documents {
            text += &format!("\n     {document}: {}", ids.join(" "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    fn of(reasons: &str, lock_text: &str) -> Coverage {
        Coverage::of(&cases::all(), reasons, &lock(lock_text)).expect("it can be read")
    }

    fn entry(id: &str) -> String {
        format!("[[requirement]]\nid = \"{id}\"\nkind = \"inside\"\nwhy = \"so\"\n")
    }

    #[test]
    fn every_must_has_a_case_or_a_reason_or_is_in_the_lock() {
        let coverage = of(REASONS, LOCK);
        assert!(coverage.faults.is_empty(), "\n{}", coverage.faults.join("\n"));
        println!("{}", coverage.table());
    }

    #[test]
    fn a_requirement_that_the_lock_does_not_know_is_named() {
        let known = lock(LOCK);
        let one = known.ids.iter().next().expect("some are without a case").clone();
        let fewer = LOCK.replace(&format!("{one}\n"), "");
        let faults = of(REASONS, &fewer).faults;
        assert!(faults.iter().any(|fault| fault.contains(&format!("--bless {one}"))), "{faults:?}");
    }

    #[test]
    fn wrong_entries_are_named() {
        let wrong = |text: &str| of(text, &format!("open 1000\n{LOCK}")).faults.join("\n");
        assert!(wrong(&entry("LNK-15")).contains("LNK-15 has a case (link.length-0"));
        assert!(wrong(&entry("ZZZ-99")).contains("there is no ZZZ-99"));
        assert!(wrong(&entry("LNK-24")).contains("LNK-24 is no MUST"));
        let unsorted = entry("TOR-02") + &entry("TOR-01");
        assert!(wrong(&unsorted).contains("TOR-01 after TOR-02"));
        assert!(reasons(&entry("TOR-01").replace("inside", "because")).is_err());
        assert!(reasons(&entry("TOR-01").replace("so", " ")).is_err());
    }

    #[test]
    fn a_blessing_only_takes_out_unless_an_id_is_named() {
        let coverage = of(REASONS, LOCK);
        let (gone, new) = ("LNK-15".to_owned(), "TOR-01".to_owned());
        let mut known = lock(LOCK);
        known.ids.insert(gone.clone());
        known.ids.remove(&new);
        let plain = coverage.blessed(&known, &[]);
        assert!(!plain.ids.contains(&gone) && !plain.ids.contains(&new));
        assert!(coverage.blessed(&known, std::slice::from_ref(&new)).ids.contains(&new));
        assert_eq!(lock(&plain.text()), plain);
    }
}
