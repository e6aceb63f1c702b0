//! A small tree whose trace is whole, and one fault at a time in it.

use super::*;

const SPEC: &str = "\
# Envelope

A node looks at the envelope. The words \"MUST\" and `MAY` are quoted here.

**[ENV-01]** A node MUST refuse an envelope
that is not the layout.

- **[ENV-02]** A node MUST NOT open
  what is not for it.
- **[ENV-03]** A node SHOULD say why.
- ~~[ENV-04]~~ A node MUST sing.

```text
MUST in a drawing
```

| field | rule |
|---|---|
| **bold** | none |
";

const CODE: &str = "\
fn parse() {
    // req: ENV-01
    if bad {
        return;
    }
}
#[cfg(test)]
mod tests {
    // req: ENV-01, ENV-03
    #[test]
    fn refuses() {}
}
";

const VECTORS: &str = r#"{"vectors": [{"id": "a", "req": ["ENV-02"]}]}"#;
const RUNNER: &str = "#[test]\nfn all() { check(\"envelope.json\"); }\n";

const FILES: [(&str, &str); 5] = [
    ("spec/envelope.md", SPEC),
    ("crates/model/src/lib.rs", "mod envelope;"),
    ("crates/model/src/envelope.rs", CODE),
    ("crates/model/tests/vectors.rs", RUNNER),
    ("spec/vectors/envelope.json", VECTORS),
];

/// The small tree with its lock, then one file changed or added.
fn tree_with(path: &str, from: &str, to: &str) -> Tree {
    let lock = lock_of(&Tree::of(&FILES));
    let mut files: Vec<(&str, String)> = FILES.map(|(p, t)| (p, t.to_owned())).to_vec();
    files.push((lock::PATH, lock));
    match files.iter_mut().find(|(p, _)| *p == path) {
        Some((_, text)) => {
            assert!(text.contains(from), "{path} has no {from}");
            *text = text.replace(from, to);
        }
        None => files.push((path, to.to_owned())),
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
    Tree::of(&files)
}

fn lock_of(tree: &Tree) -> String {
    let mut lock = Lock::default();
    let spec = Spec::read(tree, &mut Report::default());
    lock.bless(&spec, &[], true).expect("all");
    lock.to_text()
}

fn faults(tree: &Tree) -> Vec<String> {
    let mut report = Report::default();
    let trace = Trace::collect(tree, &mut report);
    Lock::read(tree, &mut report).check(&trace.spec, &mut report);
    trace.check(&mut report);
    references::check(&trace, tree, &mut report);
    report.lines()
}

#[test]
fn a_whole_trace_has_no_fault_and_a_table() {
    let tree = tree_with("extra", "", "");
    assert_eq!(faults(&tree), [] as [String; 0]);
    let trace = Trace::collect(&tree, &mut Report::default());
    let table = coverage::render(&trace);
    for row in [
        "| requirements |          2 |            1 |   0 |",
        "| with a test  |          2 |            1 |   0 |",
        "## [envelope.md](envelope.md)",
        "| ENV-01 | MUST | `model/src/envelope.rs` | `model: envelope::tests::refuses` |",
        "| ENV-02 | MUST NOT | – | `vectors/envelope.json`: a |",
        "| ENV-03 | SHOULD | – | `model: envelope::tests::refuses` |",
    ] {
        assert!(table.contains(row), "{row} in\n{table}");
    }
    let links = &trace.links()[&"ENV-02".parse().expect("an id")];
    let runner = links.vectors["spec/vectors/envelope.json"].runners.first().expect("one");
    assert_eq!(runner.to_string(), "model/tests/vectors: all");
}

#[test]
fn each_break_of_the_trace_is_found() {
    let spec = "spec/envelope.md";
    let code = "crates/model/src/envelope.rs";
    let vectors = "spec/vectors/envelope.json";
    for (path, from, to, fault) in [
        (code, "// req: ENV-01, ENV-03", "//", "spec/envelope.md:5: ENV-01 has no test"),
        (vectors, "ENV-02", "ENV-01", "spec/envelope.md:8: ENV-02 has no test"),
        (code, "#[test]", "", "envelope.rs:9: the mark stands on no test"),
        (code, "ENV-03", "ENV-77", "envelope.rs:9: ENV-77 is not in the spec"),
        (code, "ENV-03", "ENV-04", "envelope.rs:9: ENV-04 is withdrawn"),
        (code, "ENV-03", "ENV-3", "envelope.rs:9: `ENV-3` is no requirement id"),
        (vectors, "ENV-02\"]", "ENV-02\", \"ENV-88\"]", "ENV-88 is not in the spec"),
        (vectors, "[\"ENV-02\"]", "[]", "vector a shows no requirement"),
        ("crates/model/tests/vectors.rs", "\"envelope.json\"", "x", "no test in crates/ names"),
        (spec, "MUST refuse", "will refuse", "envelope.md:5: ENV-01 has no keyword"),
        (spec, "MUST refuse", "SHALL refuse", "envelope.md:5: ENV-01 says SHALL"),
        (spec, "SHOULD say why", "SHOULD say why and MUST go", "ENV-03 says SHOULD and MUST"),
        (spec, "[ENV-03]", "[ENV-01]", "envelope.md:10: ENV-01 is used already"),
        (spec, "[ENV-03]", "[ENV-003]", "envelope.md:10: `ENV-003` is no requirement id"),
        (spec, "~~[ENV-04]~~", "~~[ENV-03]~~", "envelope.md:11: ENV-03 is in use and withdrawn"),
        (spec, "A node looks", "A node MUST look", "envelope.md:3: MUST without an id"),
        (spec, "A node looks", "See **[ENV-09]** it", "envelope.md:3: an id inside a paragraph"),
        (spec, "refuse an envelope", "drop an envelope", "envelope.md:5: ENV-01 was changed"),
        (spec, "| **bold** |", "| MUST |", "envelope.md:19: MUST without an id"),
        (
            spec,
            "- **[ENV-03]** A node SHOULD say why.\n",
            "",
            "requirements.lock:5: ENV-03 left the spec",
        ),
        ("spec/new.md", "", "**[NEW-01]** It MAY sing.", "spec/new.md:1: new: NEW-01; read"),
    ] {
        let found = faults(&tree_with(path, from, to));
        assert!(found.iter().any(|line| line.contains(fault)), "{fault} in {found:#?}");
    }
}

#[test]
fn wrapping_and_moving_a_sentence_is_no_change() {
    let tree = tree_with("spec/envelope.md", "an envelope\nthat is", "an\n  envelope that\nis");
    assert_eq!(faults(&tree), [] as [String; 0]);
}

#[test]
fn exceptions_are_held_to_their_reasons() {
    // ENV-02 loses its vector, so that an exception for it is in order.
    let check = |exceptions: &str| {
        let mut files: Vec<(&str, &str)> = FILES[..4].to_vec();
        files.push((exceptions::PATH, exceptions));
        let lock = lock_of(&Tree::of(&files));
        files.push((lock::PATH, &lock));
        faults(&Tree::of(&files))
    };
    let row = |rest: &str| format!("[[exception]]\nid = \"ENV-02\"\n{rest}\n");
    assert_eq!(check(&row("kind = \"planned\"\narea = \"relay\"")), [] as [String; 0]);
    let twice = row("kind = \"planned\"\narea = \"relay\"").repeat(2);
    for (text, fault) in [
        (row("kind = \"planned\""), "exceptions.toml:2: ENV-02 is planned without an area"),
        (row("kind = \"unobservable\""), "ENV-02 is unobservable without a reason"),
        (row("kind = \"later\""), "ENV-02 is `later`"),
        (row("kind = \"planned\"\nwhy = \"x\""), "mend the file"),
        (twice, "ENV-02 is excepted twice"),
        (
            row("kind = \"unobservable\"\nreason = \"inside\""),
            "1 of 2 MUSTs are unobservable, more than 5 %",
        ),
        (
            "[[exception]]\nid = \"ENV-01\"\nkind = \"planned\"\narea = \"x\"".to_owned(),
            "ENV-01 has a test; remove",
        ),
        (
            "[[exception]]\nid = \"ENV-99\"\nkind = \"planned\"\narea = \"x\"".to_owned(),
            "ENV-99 is not in the spec; remove",
        ),
    ] {
        let found = check(&text);
        assert!(found.iter().any(|line| line.contains(fault)), "{fault} in {found:#?}");
    }
    let should = "**[ABC-01]** A node SHOULD sing.";
    let exception = "[[exception]]\nid = \"ABC-01\"\nkind = \"planned\"\narea = \"x\"";
    let found = faults(&Tree::of(&[("spec/a.md", should), (exceptions::PATH, exception)]));
    assert!(found.iter().any(|line| line.contains("ABC-01 is no MUST")), "{found:#?}");
}

#[test]
fn documents_name_only_what_is_held() {
    let check = |path: &str, text: &str| faults(&tree_with(path, "", text));
    let row = |cell: &str| format!("| cannot | because |\n|---|---|\n| fly | {cell} |\n");
    let threats = "spec/threats.md";
    assert_eq!(check(threats, &row("ENV-01, ENV-02")), [] as [String; 0]);
    assert_eq!(check("docs/a.md", "ABC-12 and A-1"), [] as [String; 0]);
    for (path, text, fault) in [
        (threats, row("it has no wings"), "threats.md:3: a \"cannot\" without an id"),
        (threats, row("ENV-03"), "threats.md:3: ENV-03 is a SHOULD"),
        (threats, row("ENV-01, ENV-09"), "threats.md:3: ENV-09 is not in the spec"),
        ("spec/other.md", "(ABC-12)".to_owned(), "spec/other.md:1: ABC-12 is not in the spec"),
        ("docs/a.md", "as ENV-09 says".to_owned(), "docs/a.md:1: ENV-09 is not in the spec"),
    ] {
        let found = check(path, &text);
        assert!(found.iter().any(|line| line.contains(fault)), "{fault} in {found:#?}");
    }
    // Without its vector ENV-02 is held by nothing.
    let files = [("spec/envelope.md", SPEC), (threats, &row("ENV-02"))];
    let found = faults(&Tree::of(&files));
    assert!(found.iter().any(|l| l.contains("ENV-02 has neither test nor plan")), "{found:#?}");
}

#[test]
fn blessing_takes_over_exactly_what_was_read() {
    let tree = tree_with("spec/envelope.md", "refuse an envelope", "drop an envelope");
    let mut report = Report::default();
    let spec = Spec::read(&tree, &mut report);
    let mut lock = Lock::read(&tree, &mut report);
    let id = |text: &str| text.parse::<Id>().expect("an id");
    lock.bless(&spec, &[id("ENV-02")], false).expect("known");
    lock.check(&spec, &mut report);
    assert_eq!(report.lines().len(), 1, "{:?}", report.lines());
    lock.bless(&spec, &[id("ENV-01")], false).expect("known");
    let mut report = Report::default();
    lock.check(&spec, &mut report);
    assert_eq!(report.lines(), [] as [String; 0]);
    assert!(lock.bless(&spec, &[id("ENV-09")], false).is_err());
    assert!(lock.bless(&spec, &[], false).is_err());
    assert!(lock.bless(&spec, &[id("ENV-01")], true).is_err());
}

#[test]
fn a_stale_table_is_found() {
    let tree = tree_with(coverage::PATH, "", "old");
    let mut report = Report::default();
    let table = coverage::render(&Trace::collect(&tree, &mut report));
    coverage::check(&tree, &table, &mut report);
    assert!(report.lines()[0].contains("trace --write"), "{:?}", report.lines());
    let tree = tree_with(coverage::PATH, "", &table);
    let mut report = Report::default();
    coverage::check(&tree, &table, &mut report);
    assert_eq!(report.lines(), [] as [String; 0]);
}

#[test]
fn tests_are_named_as_the_harness_names_them() {
    let tree = Tree::of(&[("crates/a/src/lib.rs", ""), ("crates/b/src/main.rs", "")]);
    for (path, inner, expected) in [
        ("crates/a/src/lib.rs", &["tests", "x"][..], (Target::Library, Some("tests::x"))),
        ("crates/a/src/m/n.rs", &["x"], (Target::Library, Some("m::n::x"))),
        ("crates/a/src/m/tests.rs", &["x"], (Target::Library, Some("m::tests::x"))),
        ("crates/a/src/main.rs", &["x"], (Target::Programs, Some("x"))),
        ("crates/b/src/m.rs", &["x"], (Target::Programs, Some("m::x"))),
        ("crates/a/tests/it.rs", &["x"], (Target::Test("it".to_owned()), Some("x"))),
        ("crates/a/tests/it/main.rs", &["x"], (Target::Test("it".to_owned()), Some("x"))),
        ("crates/a/tests/it/m.rs", &["x"], (Target::Test("it".to_owned()), Some("m::x"))),
        ("crates/a/tests/it.rs", &[], (Target::Test("it".to_owned()), None)),
    ] {
        let test = locate(&tree, path, inner.iter().map(|&part| part.to_owned()).collect());
        assert_eq!((test.target, test.name.as_deref()), expected, "{path}");
    }
}
