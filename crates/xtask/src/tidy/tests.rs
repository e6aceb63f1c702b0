//! Each rule on a tree that keeps it and on trees that break it in one place.

use super::*;

type Rule = fn(&Tree, &mut Report);

fn faults(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let mut report = Report::default();
    rule(&Tree::of(files), &mut report);
    report.lines()
}

fn clean(rule: Rule, files: &[(&str, &str)]) {
    assert_eq!(faults(rule, files), [] as [String; 0]);
}

/// Exactly one fault, at this place, naming this.
fn one(rule: Rule, files: &[(&str, &str)], place: &str, names: &str) {
    let found = faults(rule, files);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(place) && found[0].contains(names), "{found:#?}");
    assert!(found[0].contains("; "), "says what to do: {found:#?}");
}

#[test]
fn arrows_follow_the_table() {
    let at = "crates/keys/Cargo.toml";
    clean(arrows::check, &[(at, "[dependencies]\ntortalk-model.workspace = true\n")]);
    clean(arrows::check, &[(at, "[dev-dependencies]\ntortalk-testkit.workspace = true\n")]);
    clean(
        arrows::check,
        &[("crates/mesh/Cargo.toml", "[dev-dependencies]\ntortalk-store.workspace = true\n")],
    );
    one(
        arrows::check,
        &[(at, "[dependencies]\ntortalk-model.workspace = true\ntortalk-seal.workspace = true\n")],
        "crates/keys/Cargo.toml:3: ",
        "keys may not build on seal",
    );
    one(
        arrows::check,
        &[("crates/mesh/Cargo.toml", "[dependencies]\ntortalk-store.workspace = true\n")],
        "crates/mesh/Cargo.toml:2: ",
        "mesh may not build on store",
    );
    one(
        arrows::check,
        &[(at, "[dependencies]\nalias = { package = \"tortalk-node\", path = \"../node\" }\n")],
        "crates/keys/Cargo.toml:2: ",
        "keys may not build on node",
    );
    one(
        arrows::check,
        &[(at, "[target.'cfg(unix)'.dependencies]\ntortalk-wire = { workspace = true }\n")],
        "crates/keys/Cargo.toml:2: ",
        "keys may not build on wire",
    );
    one(
        arrows::check,
        &[("crates/cli/Cargo.toml", "[dev-dependencies]\ntortalk-mesh.workspace = true\n")],
        "crates/cli/Cargo.toml:2: ",
        "cli may not build on mesh",
    );
    one(arrows::check, &[("crates/new/Cargo.toml", "")], "crates/new/Cargo.toml:1: ", "no arrow");
    one(arrows::check, &[(at, "[dependencies\n")], "crates/keys/Cargo.toml:1: ", "mend");
    one(
        arrows::check,
        &[("conformance/Cargo.toml", "[dependencies]\ntortalk-model = { path = \"..\" }\n")],
        "conformance/Cargo.toml:2: ",
        "nothing under crates/",
    );
}

#[test]
fn libraries_follow_their_tables() {
    let mesh = "crates/mesh/Cargo.toml";
    clean(arrows::check, &[(mesh, "[dependencies]\nthiserror.workspace = true\n")]);
    clean(arrows::check, &[(mesh, "[dev-dependencies]\ntokio.workspace = true\n")]);
    one(
        arrows::check,
        &[(mesh, "[dependencies]\nserde.workspace = true\n")],
        "crates/mesh/Cargo.toml:2: ",
        "sans-IO crate mesh may not build on serde",
    );
    one(
        arrows::check,
        &[("crates/store/Cargo.toml", "[dependencies]\ntokio.workspace = true\n")],
        "crates/store/Cargo.toml:2: ",
        "tokio is named by",
    );
    one(
        arrows::check,
        &[("crates/relay/Cargo.toml", "[dependencies]\norion = \"0.18\"\n")],
        "crates/relay/Cargo.toml:2: ",
        "orion is named by seal",
    );
}

fn sans_io_tree<'a>(clippy: &'a str, lib: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("crates/model/Cargo.toml", ""),
        ("crates/model/clippy.toml", clippy),
        ("crates/model/src/lib.rs", lib),
        ("crates/node/Cargo.toml", ""),
        ("crates/node/src/lib.rs", "use std::fs; use std::time::Instant;"),
    ]
}

const CLIPPY: &str = include_str!("../../../model/clippy.toml");

#[test]
fn sans_io_crates_reach_for_nothing() {
    clean(
        sans_io::check,
        &sans_io_tree(
            CLIPPY,
            "// std::fs is not used\nconst S: &str = \"HashMap\";\nuse core::time::Duration;\n\
             #[cfg(test)]\nmod tests { use std::collections::HashMap; }\n#[cfg(test)]\nmod aid;\n",
        ),
    );
    for (code, names) in [
        ("use std::time::{Duration, Instant};", "Instant"),
        ("fn f() { let x = std::time::SystemTime::now(); }", "SystemTime"),
        ("use std::{fs, fmt};", "std::fs"),
        ("fn f() { ::std::fs::read(p); }", "std::fs"),
        ("fn f() { std::thread::yield_now(); }", "std::thread"),
        ("use std::collections::HashSet;", "HashSet"),
        ("fn f() { getrandom::fill(b); }", "getrandom"),
        ("use tokio::sync;", "tokio"),
        ("fn f() { rand::random() }", "rand::"),
        ("fn f() { std::net::TcpStream::connect(a); }", "std::net::Tcp"),
        ("#[cfg(test)]\nmod tests {}\nuse std::fs;", "std::fs"),
    ] {
        let found = faults(sans_io::check, &sans_io_tree(CLIPPY, code));
        assert!(found.iter().any(|f| f.contains(names)), "{code}: {found:#?}");
        assert!(found.iter().all(|f| f.starts_with("crates/model/src/lib.rs:")), "{found:#?}");
    }
}

#[test]
fn files_that_only_tests_compile_are_free() {
    let mut files = sans_io_tree(CLIPPY, "#[cfg(test)]\nmod aid;\nmod aide;\n").to_vec();
    files.push(("crates/model/src/aid.rs", "use std::fs;"));
    files.push(("crates/model/src/aid/deep.rs", "use std::fs;"));
    files.push(("crates/model/tests/all.rs", "use std::fs;"));
    clean(sans_io::check, &files);
    files.push(("crates/model/src/aide.rs", "use std::fs;"));
    one(sans_io::check, &files, "crates/model/src/aide.rs:1: ", "std::fs");
}

#[test]
fn the_clippy_configuration_is_held_too() {
    let weak = CLIPPY.replace("std::time::Instant::now", "std::time::Instant::elapsed");
    one(
        sans_io::check,
        &sans_io_tree(&weak, ""),
        "crates/model/clippy.toml:1: ",
        "std::time::Instant::now",
    );
    let longer = format!("{CLIPPY}# different\n");
    let mut files = sans_io_tree(CLIPPY, "").to_vec();
    files.extend([("crates/mesh/Cargo.toml", ""), ("crates/mesh/clippy.toml", longer.as_str())]);
    one(sans_io::check, &files, "crates/mesh/clippy.toml:1: ", "differs");
}

#[test]
fn frames_are_matched_in_three_crates_only() {
    let wire = "[dependencies]\ntortalk-wire.workspace = true\n";
    let tree = |name: &'static str, code: &'static str| {
        let (manifest, source) = match name {
            "node" => ("crates/node/Cargo.toml", "crates/node/src/lib.rs"),
            _ => ("crates/mesh/Cargo.toml", "crates/mesh/src/lib.rs"),
        };
        [(manifest, wire), (source, code)]
    };
    for code in [
        "fn f() { match x { Frame::Ping(p) => 1, _ => 2 } }",
        "fn f() { match x { wire::Frame::Ping { nonce } | wire::Frame::End => 1 } }",
        "fn f() { match x { Frame::Ping(p) if p > 1 => 1 } }",
        "fn f() { if let Frame::Ping(p) = x { } }",
        "fn f() -> bool { matches!(x, Frame::Ping(_)) }",
    ] {
        assert!(!faults(frames::check, &tree("node", code)).is_empty(), "{code}");
        clean(frames::check, &tree("mesh", code));
    }
    clean(frames::check, &tree("node", "fn f() { send(Frame::Ping(p)); Frame::Pull == x }"));
    clean(
        frames::check,
        &tree("node", "#[cfg(test)] mod t { fn f() { if let Frame::Ping(p) = x {} } }"),
    );
    let desktop = "fn f() { if let egui::Frame::Group(p) = x {} }";
    clean(
        frames::check,
        &[("crates/desktop/Cargo.toml", ""), ("crates/desktop/src/lib.rs", desktop)],
    );
}

#[test]
fn files_stay_small() {
    let lines = |n: usize| "x\n".repeat(n);
    clean(sizes::check, &[("crates/a/src/lib.rs", &lines(800)), ("spec/link.md", &lines(500))]);
    one(sizes::check, &[("a.rs", &lines(801))], "a.rs:1: ", "801 lines");
    one(sizes::check, &[("spec/link.md", &lines(501))], "spec/link.md:1: ", "501 lines");
    one(sizes::check, &[("README.md", &lines(101))], "README.md:1: ", "101 lines");
    clean(sizes::check, &[("spec/COVERAGE.md", &lines(900)), ("crates/README.md", &lines(300))]);
    let wide = format!("\n{}", "é".repeat(101));
    one(sizes::check, &[("a.rs", &wide)], "a.rs:2: ", "101 columns");
    clean(sizes::check, &[("a.rs", &"é".repeat(100))]);
    let heavy = "0".repeat(1024 * 1024 + 1);
    one(sizes::check, &[("a.bin", &heavy)], "a.bin:1: ", "1048577 bytes");
    let mut report = Report::default();
    sizes::check(&Tree::of(&[("a.rs", &lines(401))]), &mut report);
    assert_eq!(report.notes(), ["longer than 400 lines: a.rs (401)"]);
}

#[test]
fn unfinished_and_foreign_words_are_found() {
    for bad in [
        concat!("// TO", "DO: later"),
        concat!("FIX", "ME"),
        concat!("a XX", "X b"),
        concat!("to", "do!()"),
        concat!("unimplem", "ented!()"),
        concat!("db", "g!(x)"),
        concat!("see /ho", "me/me/x"),
        concat!("\"/ro", "ot/x\""),
        concat!("cp /wo", "rk/x ."),
        concat!("https://crates", ".io/x"),
        concat!("https://docs", ".rs/x"),
    ] {
        let text = format!("fine\n{bad}\n");
        let found = faults(words::check, &[("notes.txt", &text)]);
        assert_eq!(found.len(), 1, "{bad}: {found:#?}");
        assert!(found[0].starts_with("notes.txt:2: "), "{found:#?}");
    }
    // In pieces like those above: a search for such words finds none in this file.
    for good in [
        concat!("to", "do = \"deny\""),
        concat!("masto", "don MASTO", "DON xX", "XXx"),
        concat!("a/ho", "me/b ~/wo", "rk/c target/wo", "rk/d"),
    ] {
        clean(words::check, &[("a.txt", good)]);
    }
    let lock = format!("{}\n", words::LOCK_SOURCE);
    clean(words::check, &[("Cargo.lock", &lock)]);
    assert_eq!(faults(words::check, &[("Cargo.toml", &lock)]).len(), 1);
}

#[test]
fn roots_state_what_they_forbid() {
    let manifest = ("crates/a/Cargo.toml", "[lints]\nworkspace = true\n");
    let good =
        "//! A thing.\n//! It never sleeps.\n#![forbid(unsafe_code)]\n#![deny(missing_docs)]";
    clean(roots::check, &[manifest, ("crates/a/src/lib.rs", good)]);
    clean(roots::check, &[manifest, ("crates/a/src/main.rs", "#![forbid(unsafe_code)]")]);
    for (from, to, names) in [
        ("#![forbid(unsafe_code)]", "// #![forbid(unsafe_code)]", "forbid(unsafe_code)"),
        ("#![deny(missing_docs)]", "#![warn(missing_docs)]", "deny(missing_docs)"),
        ("never", "nevermore", "never does"),
    ] {
        let bad = good.replace(from, to);
        one(
            roots::check,
            &[manifest, ("crates/a/src/lib.rs", &bad)],
            "crates/a/src/lib.rs:1: ",
            names,
        );
    }
    for path in ["crates/a/src/main.rs", "crates/a/src/bin/b.rs"] {
        one(roots::check, &[manifest, (path, "fn main() {}")], path, "forbid(unsafe_code)");
    }
    one(roots::check, &[("crates/a/Cargo.toml", "")], "crates/a/Cargo.toml:1: ", "[lints]");
}

#[test]
fn dependencies_have_reasons_and_one_origin() {
    let manifest = "[workspace]\nodd = 1\n[workspace.dependencies]\n# Heading.\n\
                    tortalk-model = { path = \"crates/model\" }\ntokio = \"1\"\n\
                    snow = \"0.10\" # the Noise state machine\n";
    clean(lock::check, &[("Cargo.toml", manifest)]);
    let bad = format!("{manifest}odd = \"1\"\n");
    one(lock::check, &[("Cargo.toml", &bad)], "Cargo.toml:8: ", "odd has no reason");
    let bad = format!("{manifest}# Some reason above.\nodd = \"1\" # short\n");
    one(lock::check, &[("Cargo.toml", &bad)], "Cargo.toml:9: ", "odd has no reason");
    let lock = format!("{}\nsource = \"git+https://example.org/x\"\n", words::LOCK_SOURCE);
    one(lock::check, &[("Cargo.lock", &lock)], "Cargo.lock:2: ", "standard registry");
}

#[test]
fn a_relay_has_nothing_below_it_that_opens() {
    let relay = "[[package]]\nname = \"tortalk-relay\"\ndependencies = [\"a 1.0.0\"]\n";
    let a = |on: &str| format!("{relay}[[package]]\nname = \"a\"\ndependencies = [{on:?}]\n");
    let node = "[[package]]\nname = \"tortalk-node\"\ndependencies = [\"orion\"]\n";
    clean(blind::check, &[("Cargo.lock", &(a("b") + node))]);
    one(blind::check, &[("Cargo.lock", &a("orion"))], "Cargo.lock:1: ", "orion");
    one(blind::check, &[("Cargo.lock", &a("tortalk-seal"))], "Cargo.lock:1: ", "tortalk-seal");
}

#[test]
fn nothing_is_switched_off_outside_the_fuzzer() {
    let library = "crates/keys/src/lib.rs";
    let module = ("crates/keys/src/fuzzing.rs", "//! Hashes.\n");
    let behind = "#[cfg(fuzzing)]\npub mod fuzzing;\n";
    clean(fuzzing::check, &[(library, behind), module]);
    clean(fuzzing::check, &[("crates/mesh/src/a.rs", "// cfg(fuzzing)\nfn fuzzing() {}\n")]);
    one(fuzzing::check, &[(library, "pub mod fuzzing;\n"), module], module.0, "every build");
    for asks in ["#[cfg(fuzzing)]", "#[cfg(not(fuzzing))]", "if cfg!(fuzzing) {}"] {
        let at = "crates/mesh/src/a.rs";
        one(fuzzing::check, &[(at, asks)], "crates/mesh/src/a.rs:1: ", "cfg(fuzzing)");
    }
    let long = "\n".repeat(21);
    one(fuzzing::check, &[("fuzz/fuzz_targets/a.rs", &long)], "fuzz/fuzz_targets/a.rs", "20");
    let package = |version: &str| format!("name = \"a\"\nversion = \"{version}\"\n");
    let (used, other) = (package("1.0.0"), package("1.0.1"));
    clean(fuzzing::check, &[("Cargo.lock", &used), ("fuzz/Cargo.lock", &used)]);
    let both = [("Cargo.lock", used.as_str()), ("fuzz/Cargo.lock", other.as_str())];
    one(fuzzing::check, &both, "fuzz/Cargo.lock:1: ", "a 1.0.1");
    let manifest = "[dependencies]\nodd = \"1\"\n";
    one(fuzzing::check, &[("fuzz/Cargo.toml", manifest)], "fuzz/Cargo.toml:2: ", "odd");
    clean(words::check, &[("fuzz/corpus/a/b", concat!("/ro", "ot/x"))]);
}
