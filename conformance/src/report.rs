//! Reports: for a terminal, and as JSON, JUnit, TAP and a page for people.

mod html;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use self::html::html;
use crate::case::Profile;
use crate::cases;
use crate::runner::{Options, Outcome, Report};
use crate::spec::{self, Level};
use crate::uncovered::{self, Coverage, KINDS};
use crate::verdict::{Exit, Verdict};

/// Most lines of a transcript on a terminal.
const LINES_MAX: usize = 40;
/// Most lines of a transcript in JSON.
const ENTRIES_MAX: usize = 400;

/// Whether a verdict wants to be looked at.
#[must_use]
pub fn notable(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Pass | Verdict::NotTested(_) | Verdict::ExpectedFail(_))
}

/// The lines of one case on a terminal; with its transcript where something is wrong.
#[must_use]
pub fn lines(outcome: &Outcome, options: &Options) -> String {
    let Outcome { case, verdict, took, transcript } = outcome;
    let mut text = format!("{:<12} {} [{}]", verdict.word(), case.id, case.req);
    if !verdict.detail().is_empty() {
        text += &format!(": {}", verdict.detail());
    }
    if notable(verdict) {
        if let Some(found) = spec::requirement(case.req) {
            text += &format!("\n  {}: {}", found.document, found.sentence);
        }
        text += &format!("\n  {}", case.about);
        let left_out = transcript.len().saturating_sub(LINES_MAX);
        if left_out > 0 {
            text += &format!("\n    … {left_out} earlier lines");
        }
        for entry in &transcript[left_out..] {
            text += &format!("\n    {}", entry.line());
        }
        let (ms, id) = (took.as_millis(), case.id);
        let Options { again, seed, .. } = options;
        text += &format!("\n  {ms} ms; again: {again} --run {id} --seed {seed}");
    }
    text
}

/// How one case is run again.
fn again(report: &Report, id: &str) -> String {
    let Options { again, seed, .. } = &report.options;
    format!("{again} --run {id} --seed {seed}")
}

/// All words of verdicts, in the order of reports.
const WORDS: [&str; 10] = [
    "pass",
    "fail",
    "xpass",
    "error",
    "inconclusive",
    "warn",
    "xfail",
    "info",
    "unsupported",
    "not-tested",
];

/// How many deliberately broken programs stand in `mutants.toml`.
const MUTANTS: usize = include!(concat!(env!("OUT_DIR"), "/mutants.rs"));

/// What a run claims and what it does not.
#[derive(Debug)]
pub struct Claim {
    /// Each verdict's word with how many cases have it, if any.
    pub verdicts: Vec<(&'static str, usize)>,
    /// MUSTs of which a case passed and none failed.
    pub shown: usize,
    /// MUSTs of which a case did not pass that ran.
    pub broken: usize,
    /// MUSTs that the suite has a case of for this kind of target.
    pub testable: usize,
    /// All MUSTs of the documents.
    pub musts: usize,
    /// What the suite has of them.
    pub coverage: Option<Coverage>,
    exit: Exit,
}

impl Claim {
    /// Of a run.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
        for outcome in report.outcomes.iter().filter(|o| o.case.level() == Level::Must) {
            match outcome.verdict {
                Verdict::Pass => drop(good.insert(outcome.case.req)),
                Verdict::NotTested(_) | Verdict::Unsupported(_) | Verdict::Info(_) => {}
                _ => drop(bad.insert(outcome.case.req)),
            }
        }
        let count =
            |word: &str| report.outcomes.iter().filter(|o| o.verdict.word() == word).count();
        let lock = uncovered::lock(uncovered::LOCK);
        let all = cases::all();
        let role = report.options.role;
        let own = all.iter().filter(|case| case.role == role && case.level() == Level::Must);
        let testable: BTreeSet<&str> = own.map(|case| case.req).collect();
        Self {
            verdicts: WORDS
                .map(|word| (word, count(word)))
                .into_iter()
                .filter(|(_, n)| *n > 0)
                .collect(),
            shown: good.difference(&bad).count(),
            broken: bad.len(),
            testable: testable.len(),
            musts: spec::requirements().iter().filter(|r| r.level == Level::Must).count(),
            coverage: Coverage::of(&all, uncovered::REASONS, &lock).ok(),
            exit: report.exit,
        }
    }

    fn count(&self, word: &str) -> usize {
        self.verdicts.iter().find(|(known, _)| *known == word).map_or(0, |(_, count)| *count)
    }

    /// One line that says how the run ended.
    #[must_use]
    pub fn headline(&self) -> String {
        let failed = self.count("fail") + self.count("xpass");
        match self.exit {
            Exit::Passed => format!("{} cases passed, none failed", self.count("pass")),
            Exit::Failed if failed == 0 => "failed".to_owned(),
            Exit::Failed => format!("{failed} failed, {} passed", self.count("pass")),
            Exit::Inconclusive => {
                format!("nothing failed, {} not decided", self.count("inconclusive"))
            }
            Exit::Unreachable => "an honest peer is not served, so nothing is claimed".to_owned(),
            Exit::SelfCheck => "the suite itself went wrong, so nothing is claimed".to_owned(),
            Exit::NothingSelected => "no case ran".to_owned(),
            Exit::Usage => "the command line is wrong".to_owned(),
        }
    }

    /// Names and values for the head of a report.
    #[must_use]
    pub fn facts(&self, report: &Report) -> Vec<(&'static str, String)> {
        let counts: Vec<String> = self.verdicts.iter().map(|(w, n)| format!("{n} {w}")).collect();
        let options = &report.options;
        vec![
            ("target", options.target.clone()),
            ("verdicts", counts.join(", ")),
            ("MUSTs shown here", format!("{} of {}", self.shown, self.testable)),
            ("spec", spec::fingerprint()),
            ("seed", options.seed.to_string()),
            ("round trip", format!("{:.1} ms", report.rtt.as_secs_f64() * 1000.0)),
            ("took", format!("{:.1} s", report.took.as_secs_f64())),
        ]
    }

    /// What a run claims.
    #[must_use]
    pub fn claims(&self, report: &Report) -> Vec<String> {
        if matches!(self.exit, Exit::Unreachable | Exit::SelfCheck | Exit::NothingSelected) {
            return vec!["Nothing.".to_owned()];
        }
        let passed = self.count("pass");
        vec![
            format!(
                "On this day, at this place, the target did what the {passed} cases that passed \
                 look for, profile {}. They show {} of the {} MUSTs of which the suite has a case \
                 for a {} ({} MUSTs in all, spec {}).",
                report.options.profile.word(),
                self.shown,
                self.testable,
                report.options.role.word(),
                self.musts,
                spec::fingerprint(),
            ),
            "A refusal counted only where it was the one that the document names, where the same \
             bytes without the fault were accepted, and where a fresh connection worked afterwards."
                .to_owned(),
            format!(
                "What that is worth is measured: {MUTANTS} programs with one fault each are listed \
                 with the cases that find them (conformance/mutants.toml, docs/mutants.md)."
            ),
        ]
    }

    /// What a run does not claim.
    #[must_use]
    pub fn disclaims(&self, report: &Report) -> Vec<String> {
        let mut texts = Vec::new();
        let rest = self.musts - self.shown - self.broken;
        let mut text = format!("Nothing is said of {rest} other MUSTs. ");
        if let Some(coverage) = &self.coverage {
            let excepted: usize = KINDS.iter().map(|(word, _)| coverage.excepted(word)).sum();
            let cases: usize = [Profile::Wire, Profile::Managed, Profile::Shim]
                .map(|p| coverage.by(p))
                .iter()
                .sum();
            text += &format!(
                "Of all {}, {cases} have a case in this suite (for nodes, relays or both), \
                 {excepted} have none for a reason that is written down, {} are open.",
                self.musts,
                coverage.open().len(),
            );
        }
        texts.push(text);
        if self.broken > 0 {
            texts.push(format!("{} MUSTs were not kept, or not seen to be kept.", self.broken));
        }
        let (slow, profile) = report.left_out();
        if slow + profile > 0 {
            texts.push(format!(
                "{slow} cases were not run because they are slow (--slow), {profile} because they \
                 need a greater profile."
            ));
        }
        let ran = |id: &str| {
            let of = report.outcomes.iter().find(|outcome| outcome.case.id == id);
            of.is_some_and(|outcome| !matches!(outcome.verdict, Verdict::NotTested(_)))
        };
        let known = report.options.known_failing.keys();
        let untried: Vec<&str> = known.map(String::as_str).filter(|id| !ran(id)).collect();
        if !untried.is_empty() {
            texts.push(format!("Known failures that were not tried: {}.", untried.join(", ")));
        }
        let kept_not = report.options.features.keeps_not.len();
        if kept_not > 0 {
            texts.push(format!(
                "The features file says that {kept_not} requirements are not kept; that is counted \
                 as xfail, and no excuse."
            ));
        }
        texts.push(
            "That the target does nothing else that is wrong: a case sees what it looks for. That \
             it would do the same under other load, over other networks or after a longer time."
                .to_owned(),
        );
        texts
    }
}

/// What a run claims and what it does not, for a terminal.
#[must_use]
pub fn claim(report: &Report) -> String {
    let claim = Claim::of(report);
    let mut text = String::new();
    for (name, value) in claim.facts(report) {
        text += &format!("{name:<17} {value}\n");
    }
    for (title, texts) in [
        ("What this run claims", claim.claims(report)),
        ("What it does not claim", claim.disclaims(report)),
    ] {
        text += &format!("{title}:\n");
        texts.iter().for_each(|line| text += &format!("  {line}\n"));
    }
    text += &claim.headline();
    if let Some(remark) = &report.remark {
        text += &format!("\n{remark}");
    }
    text
}

/// As JSON.
#[must_use]
pub fn json(report: &Report) -> Value {
    let cases: Vec<Value> = report
        .outcomes
        .iter()
        .map(|outcome| {
            let left_out = outcome.transcript.len().saturating_sub(ENTRIES_MAX);
            let transcript: Vec<Value> = outcome.transcript[left_out..]
                .iter()
                .map(|entry| {
                    let bytes = data_encoding::HEXLOWER.encode(&entry.bytes);
                    let direction = format!("{:?}", entry.direction).to_lowercase();
                    json!({"direction": direction, "what": entry.what, "bytes": bytes})
                })
                .collect();
            json!({
                "id": outcome.case.id,
                "version": outcome.case.version,
                "requirement": outcome.case.req,
                "level": outcome.case.level().word(),
                "profile": outcome.case.profile.word(),
                "verdict": outcome.verdict.word(),
                "detail": outcome.verdict.detail(),
                "ms": outcome.took.as_millis() as u64,
                "transcript": if notable(&outcome.verdict) { transcript } else { Vec::new() },
            })
        })
        .collect();
    json!({
        "spec": spec::fingerprint(),
        "seed": report.options.seed,
        "profile": report.options.profile.word(),
        "exit": report.exit.code(),
        "remark": report.remark,
        "cases": cases,
    })
}

/// As TAP 14.
#[must_use]
pub fn tap(report: &Report) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", report.outcomes.len());
    for (at, outcome) in report.outcomes.iter().enumerate() {
        let (state, note) = match &outcome.verdict {
            Verdict::Pass | Verdict::Info(_) | Verdict::Warn(_) => ("ok", ""),
            Verdict::NotTested(_) | Verdict::Unsupported(_) => ("ok", " # SKIP"),
            // TAP's own word for a failure that is known.
            Verdict::ExpectedFail(_) => ("not ok", concat!(" # TO", "DO")),
            _ => ("not ok", ""),
        };
        let detail = outcome.verdict.detail().replace('#', "");
        text += &format!("{state} {} - {}{note} {detail}\n", at + 1, outcome.case.id);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As JUnit's XML.
#[must_use]
pub fn junit(report: &Report) -> String {
    let failing = |o: &&Outcome| {
        matches!(o.verdict, Verdict::Fail(_) | Verdict::UnexpectedPass | Verdict::Inconclusive(_))
    };
    let failures = report.outcomes.iter().filter(failing).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"conformance\" tests=\"{}\" failures=\"{failures}\">\n",
        report.outcomes.len()
    );
    for outcome in &report.outcomes {
        let (id, seconds) = (outcome.case.id, outcome.took.as_secs_f64());
        let (word, detail) = (outcome.verdict.word(), escaped(outcome.verdict.detail()));
        let inner = match &outcome.verdict {
            Verdict::NotTested(_) | Verdict::Unsupported(_) | Verdict::ExpectedFail(_) => {
                format!("<skipped message=\"{word}: {detail}\"/>")
            }
            Verdict::Error(_) => format!("<error message=\"{detail}\"/>"),
            _ if failing(&outcome) => format!("<failure message=\"{word}: {detail}\"/>"),
            _ => String::new(),
        };
        text += &format!(
            "<testcase classname=\"{}\" name=\"{id}\" time=\"{seconds:.3}\">{inner}</testcase>\n",
            outcome.case.req
        );
    }
    text.push_str("</testsuite>\n");
    text
}
