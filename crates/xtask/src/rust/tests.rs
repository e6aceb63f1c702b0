use super::*;

#[test]
fn code_and_comments_are_told_apart() {
    let text = "let a = \"// no\"; // yes \"\nlet b = r#\"x\"y\"#; \
                /* c /* d */ e */ f('{', '\\'', 'é');\nfn g<'a>(x: &'a str) {}\n";
    let source = Source::new(text);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(source.comments.len(), text.len());
    assert!(source.comments.contains("// yes \""));
    assert!(!source.comments.contains("// no"));
    assert!(source.comments.contains("/* c /* d */ e */"));
    assert!(!source.code.contains("no") && !source.code.contains("yes"));
    assert!(source.code.contains("f(' ', '  ', '  ');"));
    assert!(source.code.contains("fn g<'a>(x: &'a str) {}"));
    assert_eq!(source.line(text.find("fn g").expect("there")), 3);
}

#[test]
fn test_code_is_found() {
    let source = Source::new(
        "fn a() { x }\n#[cfg(test)]\n#[allow(unused)]\nmod tests { fn b() { y } }\nfn c() {}\n\
         #[cfg(test)]\nmod helpers;\n#[cfg(not(test))]\nfn d() { z }\n",
    );
    let regions = source.test_regions();
    let inside = |word: &str| {
        let at = source.text.find(word).expect("there");
        regions.iter().any(|region| region.contains(&at))
    };
    assert!(inside("y }"));
    assert!(!inside("x }") && !inside("fn c") && !inside("z }"));
    assert_eq!(source.test_modules(), ["helpers"]);
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = Source::new(
        "struct S { f: fn(u8) -> u8 }\nfn plain(x: [u8; 4]) -> u8 { 1 }\nmod m {\n // note\n \
         #[test]\n fn one() {}\n #[tokio::test(flavor = \"x\")]\n \
         async fn two() { fn in_two() {} }\n\
         proptest! {\n #![config(C { n: 1 })]\n #[test]\n fn three(a in 0..9) {}\n }\n}\n\
         machine! {\n #[test]\n fn four(sequential 1..9 => Them);\n }\n\
         trait T { fn bodyless(&self); }",
    );
    let functions = source.functions();
    let seen: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.is_test)).collect();
    assert_eq!(
        seen,
        [
            ("plain", false),
            ("one", true),
            ("two", true),
            ("in_two", false),
            ("three", true),
            ("four", true)
        ]
    );
    let note = source.text.find("// note").expect("there");
    assert!(functions[1].item.contains(&note));
    assert_eq!(source.modules_around(functions[1].body.start), ["m"]);
    assert!(source.modules_around(functions[0].body.start).is_empty());
}

#[test]
fn imports_are_written_out() {
    let source = Source::new(
        "use std::{fs, io::{self, Read as R}, time::Instant,};\nuse a::b as c; // use d;\n",
    );
    let paths: Vec<_> = source.imports().into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["std::fs", "std::io::self", "std::io::Read", "std::time::Instant", "a::b"]);
}

#[test]
fn test_files_are_known_by_their_place() {
    assert!(is_test_path("crates/mesh/tests/scenario.rs"));
    assert!(is_test_path("crates/mesh/src/node/tests.rs"));
    assert!(is_test_path("crates/mesh/src/node/tests/a.rs"));
    assert!(is_test_path("crates/mesh/benches/a.rs"));
    assert!(!is_test_path("crates/mesh/src/contests.rs"));
    assert!(!is_test_path("crates/tests/src/lib.rs"));
}
