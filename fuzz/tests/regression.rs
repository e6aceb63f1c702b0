//! Every input of the corpora and every former crash, on the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

use tortalk_fuzz::{TARGETS, run};

/// All corpora together, so that the repository stays small.
const CORPUS_BYTES_MAX: u64 = 1_500_000;

#[test]
fn every_known_input_passes() {
    let mut inputs = 0;
    for (target, _) in TARGETS {
        for path in ["corpus", "crashes"].iter().flat_map(|folder| files(folder, target)) {
            let bytes = fs::read(&path).expect("readable");
            // Shown when it fails: which input it was.
            println!("{}", path.display());
            run(target, &bytes);
            inputs += 1;
        }
    }
    assert!(inputs >= TARGETS.len(), "{inputs} inputs: the corpora are missing");
}

#[test]
fn each_target_has_a_program_and_nothing_else_lies_about() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("readable");
    for name in &names {
        let text = fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs")));
        let text = text.unwrap_or_else(|_| panic!("{name} has no program"));
        assert!(text.contains(&format!("tortalk_fuzz::{name}(bytes)")), "{name} runs another");
        assert!(text.lines().count() <= 20, "{name} is long");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} is not built");
    }
    for folder in ["corpus", "crashes", "fuzz_targets", "dictionaries"] {
        for path in entries(&root().join(folder)) {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
            assert!(names.contains(&stem), "{} is no target's", path.display());
        }
    }
}

#[test]
fn the_corpora_are_small() {
    let all = TARGETS.iter().flat_map(|(target, _)| files("corpus", target));
    let bytes: u64 = all.map(|path| fs::metadata(path).expect("there").len()).sum();
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes of corpora");
}

fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    entries(&root().join(folder).join(target))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(read) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = read.map(|entry| entry.expect("readable").path()).collect();
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
