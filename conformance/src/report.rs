//! Reports: for a terminal, and as JSON, JUnit and TAP.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::runner::{Outcome, Report};
use crate::spec::{self, Level};
use crate::verdict::Verdict;

/// Whether a verdict wants to be looked at.
#[must_use]
pub fn notable(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Pass | Verdict::NotTested(_) | Verdict::ExpectedFail(_))
}

/// The lines of one case on a terminal; with its transcript where something is wrong.
#[must_use]
pub fn lines(outcome: &Outcome, seed: u64) -> String {
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
        for entry in transcript {
            text += &format!("\n    {}", entry.line());
        }
        let (ms, id) = (took.as_millis(), case.id);
        text += &format!("\n  {ms} ms; again: --run {id} --seed {seed}");
    }
    text
}

/// What a run claims and what it does not.
#[must_use]
pub fn claim(report: &Report) -> String {
    let passed: BTreeSet<&str> = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Pass)
        .map(|outcome| outcome.case.req)
        .collect();
    let musts: BTreeSet<String> = spec::requirements()
        .into_iter()
        .filter(|requirement| requirement.level == Level::Must)
        .map(|requirement| requirement.id)
        .collect();
    let covered = musts.iter().filter(|id| passed.contains(id.as_str())).count();
    let mut counts: Vec<String> = Vec::new();
    for word in [
        "pass",
        "fail",
        "warn",
        "info",
        "unsupported",
        "not-tested",
        "inconclusive",
        "xfail",
        "xpass",
        "error",
    ] {
        let count = report.outcomes.iter().filter(|o| o.verdict.word() == word).count();
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    let mut text = format!(
        "{}\nprofile {}, seed {}, round trip {} ms, spec {}\n\
         {covered} of {} MUSTs have a case here that passed; nothing is said of the others",
        counts.join(", "),
        report.options.profile.word(),
        report.options.seed,
        report.rtt.as_millis(),
        spec::fingerprint(),
        musts.len(),
    );
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
            let transcript: Vec<Value> = outcome
                .transcript
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
