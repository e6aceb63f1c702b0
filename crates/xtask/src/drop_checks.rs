//! `cargo xtask drop-checks`: does a requirement's test notice that its check is gone?
//!
//! A check in code is an `if` directly below its mark. For each requirement
//! drawn, a copy of the tree gets `if false && (…)` at every such place, and the
//! tests marked with the same id must fail. That they pass before is seen first.

mod scratch;
mod sites;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use crate::repo::{self, Tree};
use crate::report::{Outcome, Report};
use crate::trace::{Id, Target, Test, Trace};
use scratch::{Scratch, TestRun};
use sites::Site;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Draws the same requirements for the same number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many requirements to draw
    #[arg(long, default_value_t = 10)]
    count: usize,
    /// These requirements instead of drawn ones
    #[arg(long, num_args = 1.., value_name = "ID", conflicts_with = "all")]
    id: Vec<Id>,
    /// Every requirement that has a check and a test
    #[arg(long)]
    all: bool,
    /// Print what could be drawn and stop
    #[arg(long)]
    list: bool,
}

/// A requirement whose check can be removed, and the tests that should notice.
struct Candidate {
    sites: BTreeSet<Site>,
    tests: BTreeSet<Test>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let root = repo::root()?;
    let tree = Tree::load(&root)?;
    let candidates = candidates(&tree);
    if options.list {
        for (id, candidate) in &candidates {
            println!("{id}: {} | {}", places(&candidate.sites), names(&candidate.tests));
        }
        println!("{} requirements have a check and a test", candidates.len());
        return Ok(ExitCode::SUCCESS);
    }
    let drawn = choose(&candidates, options)?;
    let scratch = Scratch::prepare(&root)?;
    let before = before(&scratch, &drawn)?;
    println!("| id | check | test | verdict |");
    println!("|----|-------|------|---------|");
    let mut survivors = 0;
    for (id, candidate) in &drawn {
        let verdict = if candidate.tests.iter().any(|test| before.contains_key(test)) {
            Verdict::FailsAlready
        } else {
            without_check(&scratch, &tree, candidate)?
        };
        let (noticed, test, text) = verdict.describe(&candidate.tests);
        survivors += usize::from(!noticed);
        println!("| {id} | {} | {test} | {text} |", places(&candidate.sites));
    }
    println!("{} checks removed, {} noticed", drawn.len(), drawn.len() - survivors);
    Ok(if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What happened when a check was gone.
enum Verdict {
    /// This test failed, as it should.
    Fails(String),
    Passes,
    DoesNotBuild,
    DoesNotEnd,
    /// A test fails, hangs or is missing with the check in place.
    FailsAlready,
}

impl Verdict {
    /// Whether the test did its work, which test, and a word for the table.
    fn describe(self, tests: &BTreeSet<Test>) -> (bool, String, &'static str) {
        match self {
            Self::Fails(test) => (true, test, "fails without it"),
            Self::Passes => (false, names(tests), "PASSES WITHOUT IT"),
            Self::DoesNotBuild => (false, names(tests), "does not build without it"),
            Self::DoesNotEnd => (false, names(tests), "does not end without it"),
            Self::FailsAlready => (false, names(tests), "does not pass even with it"),
        }
    }
}

fn candidates(tree: &Tree) -> BTreeMap<Id, Candidate> {
    // What is wrong with marks is the business of `trace`.
    let trace = Trace::collect(tree, &mut Report::default());
    let mut found = BTreeMap::new();
    for (id, links) in trace.links() {
        let marks = links.code.iter();
        let sites: BTreeSet<Site> =
            marks.filter_map(|(path, line)| sites::below(tree, path, *line)).collect();
        let runners = links.vectors.values().flat_map(|vectors| &vectors.runners);
        let tests: BTreeSet<Test> = links.tests.iter().chain(runners).cloned().collect();
        if !sites.is_empty() && !tests.is_empty() {
            found.insert(id.clone(), Candidate { sites, tests });
        }
    }
    found
}

fn choose<'a>(
    candidates: &'a BTreeMap<Id, Candidate>,
    options: &Options,
) -> Outcome<Vec<(&'a Id, &'a Candidate)>> {
    let mut all: Vec<_> = candidates.iter().collect();
    if options.all {
        return Ok(all);
    }
    if !options.id.is_empty() {
        let pick = |id: &Id| {
            candidates.get_key_value(id).ok_or_else(|| {
                format!("{id} has no check that is an `if` below its mark, or no test")
            })
        };
        return options.id.iter().map(pick).collect();
    }
    shuffle(&mut all, options.seed);
    if all.len() < options.count {
        eprintln!("only {} requirements have a check and a test", all.len());
    }
    all.truncate(options.count);
    Ok(all)
}

/// Fisher and Yates' shuffle, drawn by SplitMix64: the same everywhere for ever.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for end in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let bound = u64::try_from(end + 1).expect("a length fits in 64 bits");
        let other = usize::try_from(z % bound).expect("below a length");
        items.swap(end, other);
    }
}

/// The tests that do not pass while every check is in place.
fn before(scratch: &Scratch, drawn: &[(&Id, &Candidate)]) -> Outcome<BTreeMap<Test, &'static str>> {
    let tests: BTreeSet<Test> = drawn.iter().flat_map(|(_, c)| c.tests.iter().cloned()).collect();
    let mut broken = BTreeMap::new();
    for (target, names) in by_target(&tests) {
        eprintln!("before: {} {:?}", target.0, target.1);
        for name in names {
            let test = Test { package: target.0.clone(), target: target.1.clone(), name };
            let single: Vec<_> = test.name.clone().into_iter().collect();
            let why = match scratch.run(&target.0, &target.1, &single)? {
                TestRun::Passes => continue,
                TestRun::Fails(_) => "fails",
                TestRun::DoesNotBuild(_) => "does not build",
                TestRun::DoesNotEnd => "does not end",
                TestRun::Missing => "does not exist",
            };
            eprintln!("{test} {why} with every check in place");
            broken.insert(test, why);
        }
    }
    Ok(broken)
}

/// Runs a candidate's tests on the tree without its checks.
fn without_check(scratch: &Scratch, tree: &Tree, candidate: &Candidate) -> Outcome<Verdict> {
    let mut paths: BTreeMap<&str, Vec<&Site>> = BTreeMap::new();
    for site in &candidate.sites {
        paths.entry(&site.path).or_default().push(site);
    }
    for (path, sites) in &paths {
        let text = tree.text(path).expect("sites lie in files of the tree");
        scratch.write(path, &sites::without(text, sites))?;
    }
    let verdict = run_until_noticed(scratch, &candidate.tests);
    for path in paths.keys() {
        scratch.write(path, tree.text(path).expect("sites lie in files of the tree"))?;
    }
    verdict
}

fn run_until_noticed(scratch: &Scratch, tests: &BTreeSet<Test>) -> Outcome<Verdict> {
    let mut verdict = Verdict::Passes;
    for ((package, target), names) in by_target(tests) {
        // Without a name all tests of the target count.
        let names: Vec<String> = names.into_iter().collect::<Option<_>>().unwrap_or_default();
        match scratch.run(&package, &target, &names)? {
            TestRun::Fails(name) => {
                let test = Test { package, target, name: Some(name) };
                return Ok(Verdict::Fails(test.to_string()));
            }
            TestRun::DoesNotBuild(why) => {
                eprintln!("{why}");
                verdict = Verdict::DoesNotBuild;
            }
            TestRun::DoesNotEnd => verdict = Verdict::DoesNotEnd,
            TestRun::Passes | TestRun::Missing => {}
        }
    }
    Ok(verdict)
}

fn by_target(tests: &BTreeSet<Test>) -> BTreeMap<(String, Target), Vec<Option<String>>> {
    let mut grouped: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for test in tests {
        let key = (test.package.clone(), test.target.clone());
        grouped.entry(key).or_default().push(test.name.clone());
    }
    grouped
}

fn places(sites: &BTreeSet<Site>) -> String {
    sites.iter().map(Site::to_string).collect::<Vec<_>>().join(", ")
}

fn names(tests: &BTreeSet<Test>) -> String {
    tests.iter().map(Test::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
