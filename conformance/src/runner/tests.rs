//! What a run makes of verdicts.

use super::*;

fn options() -> Options {
    Options {
        role: Role::Node,
        profile: Profile::Wire,
        globs: Vec::new(),
        known_failing: BTreeMap::new(),
        strict: false,
        slow: false,
        seed: 0,
        features: Features::default(),
        target: String::new(),
        again: String::new(),
        jobs: 1,
        only_profile: false,
        wrong_vector: false,
    }
}

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
    let mut options = options();
    options.known_failing = BTreeMap::from([(case.id.to_owned(), "so it is".to_owned())]);
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
    let mut options = options();
    assert_eq!(judged(Verdict::Fail(String::new()), case, &options).word(), "warn");
    options.strict = true;
    assert_eq!(judged(Verdict::Fail(String::new()), case, &options).word(), "fail");
}

#[test]
fn what_a_target_says_that_it_does_not_keep_is_known_and_not_excused() {
    let case = cases::all()[0];
    let mut options = options();
    options.features.keeps_not.insert(case.req.to_owned(), "it is small".to_owned());
    let verdict = judged(Verdict::Fail("no".to_owned()), &case, &options);
    assert_eq!(verdict, Verdict::ExpectedFail("no; known: it is small".to_owned()));
    let outcome = |verdict| Outcome { case, verdict, took: Duration::ZERO, transcript: Vec::new() };
    let mut report = Report {
        outcomes: vec![outcome(Verdict::Pass)],
        exit: Exit::Passed,
        remark: None,
        rtt: Duration::ZERO,
        took: Duration::ZERO,
        options,
    };
    kept_after_all(&mut report);
    assert_eq!((report.exit, report.outcomes[0].verdict.word()), (Exit::Failed, "xpass"));
    report.outcomes = vec![outcome(Verdict::Pass), outcome(Verdict::ExpectedFail("no".into()))];
    report.exit = Exit::Passed;
    kept_after_all(&mut report);
    assert_eq!(report.exit, Exit::Passed);
}
