use super::*;

const CODE: &str = "\
fn parse() {
    // req: ENV-01
    if a == 1 || (b && f(|x| { x })) {
        return;
    }
    // req: ENV-02
    // Because of this.
    if let Some(x) = y
        && x > 3 // why
    {
        return;
    }
    // req: ENV-03
    let z = if q { 1 } else { 2 };
    // req: ENV-01
    if e {
        return;
    }
    // req: ENV-04
    (if g { 1 } else { 2 });
}
#[cfg(test)]
mod tests {
    // req: ENV-01, ENV-02, ENV-03, ENV-04
    #[test]
    fn all() {}
}
";

fn tree() -> Tree {
    Tree::of(&[("crates/a/src/lib.rs", CODE)])
}

#[test]
fn only_ifs_below_their_mark_are_checks() {
    let found = candidates(&tree());
    let places: Vec<_> = found.iter().map(|(id, c)| format!("{id} {}", places(&c.sites))).collect();
    assert_eq!(places, ["ENV-01 a/src/lib.rs:2, a/src/lib.rs:15", "ENV-02 a/src/lib.rs:6"]);
    assert_eq!(names(&found.values().next().expect("two").tests), "a: tests::all");
}

#[test]
fn every_place_of_a_check_is_switched_off() {
    let found = candidates(&tree());
    let without = |id: &str| {
        let candidate = &found[&id.parse::<Id>().expect("an id")];
        sites::without(CODE, &candidate.sites.iter().collect::<Vec<_>>())
    };
    let first = without("ENV-01");
    assert!(first.contains("if false && (a == 1 || (b && f(|x| { x }))) {"), "{first}");
    assert!(first.contains("if false && (e) {"), "{first}");
    assert!(first.contains("if let Some(x) = y\n"), "{first}");
    let second = without("ENV-02");
    assert!(second.contains("if false && let Some(x) = y\n        && x > 3 // why\n    {"));
    assert!(second.contains("if e {"), "{second}");
}

#[test]
fn a_seed_draws_the_same_again_and_another_draws_otherwise() {
    let drawn = |seed| {
        let mut items: Vec<u32> = (0..50).collect();
        shuffle(&mut items, seed);
        items
    };
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    let mut sorted = drawn(7);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..50).collect::<Vec<_>>());
}

/// A workspace of one crate: a check with a good test, one whose test looks
/// elsewhere, one that binds a name.
const LIBRARY: &str = "\
//! A crate.
pub fn half(x: u32) -> Option<u32> {
    // req: ABC-01
    if x % 2 == 1 {
        return None;
    }
    // req: ABC-02
    if x > 100 {
        return None;
    }
    Some(x / 2)
}
pub fn one(x: bool) -> u32 {
    let y;
    // req: ABC-03
    if let z = x && z {
        y = 1;
    } else {
        return 0;
    }
    y
}
#[cfg(test)]
mod tests {
    use super::*;
    // req: ABC-01, ABC-02, ABC-03
    #[test]
    fn odd_numbers_have_no_half() {
        assert_eq!(half(3), None);
        assert_eq!(one(true), 1);
    }
}
";

#[test]
fn a_test_that_looks_elsewhere_is_found_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = "[package]\nname = \"tortalk-a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let lock = "version = 4\n\n[[package]]\nname = \"tortalk-a\"\nversion = \"0.1.0\"\n";
    for (path, text) in [
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n"),
        ("Cargo.lock", lock),
        ("crates/a/Cargo.toml", manifest),
        ("crates/a/src/lib.rs", LIBRARY),
    ] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has a folder")).expect("created");
        std::fs::write(path, text).expect("written");
    }
    let tree = Tree::load(folder.path()).expect("readable");
    let found = candidates(&tree);
    let drawn: Vec<_> = found.iter().collect();
    let scratch = Scratch::prepare(folder.path()).expect("copied");
    assert!(before(&scratch, &drawn).expect("cargo runs").is_empty());
    let verdicts: Vec<_> = drawn
        .iter()
        .map(|(_, candidate)| {
            let verdict = without_check(&scratch, &tree, candidate).expect("cargo runs");
            let (noticed, _, text) = verdict.describe(&candidate.tests);
            (noticed, text)
        })
        .collect();
    assert_eq!(
        verdicts,
        [(true, "fails without it"), (false, "PASSES WITHOUT IT"), (true, "fails without it")]
    );
    // Everything is back in its place, and a test that is not there is missed.
    let copy = folder.path().join("target/drop-checks/tree/crates/a/src/lib.rs");
    assert_eq!(std::fs::read_to_string(copy).expect("there"), LIBRARY);
    let missing = scratch.run("a", &Target::Library, &["tests::none".to_owned()]);
    assert!(matches!(missing, Ok(TestRun::Missing)));
    scratch.write("crates/a/src/lib.rs", "fn broken(").expect("written");
    let broken = scratch.run("a", &Target::Library, &[]);
    assert!(matches!(broken, Ok(TestRun::DoesNotBuild(why)) if why.contains("error")));
}
